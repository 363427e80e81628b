#include "tests/simulation/site.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "buffer/clock.h"
#include "proto/check.h"
#include "proto/sqlite.h"
#include "tests/simulation/box_journals.h"

namespace pitbox::simulation {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kDay = 86'400'000 * kNsPerMs;

// The bytes of a database and of what belongs to it, into the file that is there (its inode stays)
// or into one of its own.
void copy_database(const fs::path& from, const fs::path& to, bool keeps_inode) {
  for (const char* ending : {"-wal", "-shm", "-journal"}) fs::remove(to.string() + ending);
  if (!keeps_inode) fs::remove(to);
  fs::copy_file(from, to, fs::copy_options::overwrite_existing);
  for (const char* ending : {"-wal", "-journal"}) {
    if (fs::exists(from.string() + ending)) {
      fs::copy_file(from.string() + ending, to.string() + ending);
    }
  }
}

}  // namespace

Site::Site(const std::int64_t& world_ns, Dice& dice, SimNetwork& network, const fs::path& folder,
           const Options& options, Talk talk)
    : now_(world_ns),
      dice_(dice),
      folder_(folder),
      options_(options),
      talk_(std::move(talk)),
      box_(world_ns, network, folder, options.box),
      cars_(world_ns, dice, options.cars, options.first_car),
      starts_at_(world_ns) {}

Party Site::party() const {
  return {.state = box_.state(),
          .cars = &cars_,
          .windows = windows_,
          .rejected_before = rejected_before_,
          .plain_loss_ns = options_.plain_loss_ns,
          .was_disk_small = was_disk_small_};
}

void Site::step_recorder() {
  if (now_ < recorder_stalls_until_) return;
  const auto before = box_.snapshot();
  box_.step_recorder();
  const auto after = box_.snapshot();
  if (after != nullptr && after->state == RecorderState::kHolding) held_at_ = now_;
  if (after == nullptr || before == after) return;
  if (box_.is_settled()) {
    settled_packets_ = cars_.packets().size();
    slept_ns_ = 0;
  }
  if (const std::string law = box_.broken_law(); !law.empty()) talk_.fault("the law: " + law);
  if (before != nullptr && before->state != after->state) {
    tell("recorder is " + std::string(to_string(after->state)) + " " + after->error);
  }
  if (before == nullptr || before->last_sequence != after->last_sequence ||
      before->incarnation != after->incarnation) {
    tell("journal " + std::to_string(after->incarnation % 10'000) + " holds " +
         std::to_string(after->last_sequence));
  }
}

void Site::step_link() {
  if (now_ >= link_stalls_until_) box_.step_link();
}

void Site::revive() {
  if (box_.is_up() || now_ < starts_at_) return;
  std::string why;
  if (!box_.start(why)) {
    tell("the daemon cannot start: " + why);
    starts_at_ = now_ + 200 * kNsPerMs;
    return;
  }
  has_power_ = true;
  started_at_ = now_;
  const auto now = box_.snapshot();
  tell("the daemon is up, journal " + std::to_string(now->incarnation % 10'000) + " holds " +
       std::to_string(now->last_sequence));
}

void Site::pass() {
  if (now_ >= power_fails_at_) cut_power();
  if (now_ >= small_until_) box_.grow_disk();
  if (now_ >= disk_bad_until_) box_.disk().heal();
}

void Site::heal() {
  box_.disk().heal();
  recorder_stalls_until_ = link_stalls_until_ = small_until_ = 0;
  power_fails_at_ = kNever;
  starts_at_ = now_;
}

bool Site::is_finished(std::int64_t end_again_every) {
  if (end_again_at_ == 0) end_again_at_ = now_ + end_again_every / 2;
  if (cars_.has_waiting()) return false;
  const auto snapshot = box_.snapshot();
  if (snapshot != nullptr && snapshot->session && now_ >= end_again_at_) {
    if (box_.submit(EndSession{})) tell("the last session is to end");
    end_again_at_ = now_ + end_again_every;
  }
  return snapshot != nullptr && !snapshot->session && box_.is_finished();
}

void Site::kill() {
  if (!box_.is_up()) return;
  box_.kill();
  ++kills_;
  starts_at_ = now_ + dice_.between(1, 400) * kNsPerMs;
  tell("the daemon is killed");
}

void Site::cut_power() {
  power_fails_at_ = kNever;
  if (!std::exchange(has_power_, false)) return;
  const std::size_t heard = cars_.packets().size();
  windows_.push_back({.from = settled_packets_,
                      .until = heard,
                      .cut_ns = now_,
                      .slept_ns = slept_ns_,
                      .is_plain = is_plain_now()});
  box_.cut_power(dice_);
  cars_.cut_power();
  ++power_cuts_;
  starts_at_ = now_ + dice_.between(100, 1'000) * kNsPerMs;
  tell("the box loses power; " + std::to_string(heard - settled_packets_) +
       " datagrams were not durable");
}

// Nothing was wrong for a while that keeps the recorder from committing.
bool Site::is_plain_now() const {
  constexpr std::int64_t kAfter = 500 * kNsPerMs;
  const auto now = box_.snapshot();
  const std::int64_t last_wrong =
      std::max({recorder_stalls_until_, disk_bad_until_, started_at_, small_until_, held_at_});
  return now != nullptr && now_ >= last_wrong + kAfter;
}

void Site::fill_disk() {
  box_.disk().set_full(true);
  disk_bad_until_ = now_ + dice_.between(50, 2'000) * kNsPerMs;
  tell("the box's disk is full");
}

void Site::shrink_disk() {
  box_.shrink_disk(dice_.below(128) << 10U);
  was_disk_small_ = true;
  small_until_ = now_ + dice_.between(200, 3'000) * kNsPerMs;
  tell("the box's disk is small");
}

void Site::break_disk() {
  disk_bad_until_ = now_ + box_.disk().break_down(dice_);
  tell("the box's disk breaks");
}

// A sync that fails is worst shortly before a power cut.
void Site::fail_sync() {
  box_.disk().fail_sync();
  disk_bad_until_ = now_ + 500 * kNsPerMs;
  if (dice_.one_in(2)) power_fails_at_ = now_ + dice_.between(20, 1'500) * kNsPerMs;
  tell("the box's next sync fails");
}

void Site::step_wall_clock() {
  box_.clock().step_wall(dice_.between(-1, 1) * kDay + dice_.between(-5'000, 5'000) * kNsPerMs);
  tell("the wall clock jumps");
}

// 1970 first, today at a moment of chance.
void Site::lose_wall_clock() {
  dice_.one_in(2) ? box_.clock().forget_wall() : box_.clock().set_wall();
  tell("the wall clock is set");
}

void Site::suspend(std::int64_t slept_ns) {
  slept_ns_ += slept_ns;
  // What goes on, goes on afterwards.
  for (std::int64_t* until :
       {&recorder_stalls_until_, &disk_bad_until_, &started_at_, &small_until_}) {
    *until += slept_ns;
  }
  cars_.skip();
}

void Site::stall_recorder() {
  recorder_stalls_until_ = now_ + dice_.between(10, 800) * kNsPerMs;
  tell("the recorder stands still");
}

void Site::stall_link() {
  link_stalls_until_ = now_ + dice_.between(10, 3'000) * kNsPerMs;
  tell("the link stands still");
}

void Site::command_session() {
  if (dice_.one_in(2)) {
    if (box_.submit(EndSession{})) tell("a session is to end");
    return;
  }
  StartSession start;
  start.name = "FP1";
  if (box_.submit(start)) tell("a session is to start");
}

std::vector<fs::path> Site::journals() const {
  std::vector<fs::path> found;
  if (!fs::exists(box_.state() / "sessions")) return found;
  for (const auto& session : fs::directory_iterator(box_.state() / "sessions")) {
    if (!session.is_directory()) continue;
    for (const auto& file : fs::directory_iterator(session.path())) {
      if (file.path().extension() == ".db") found.push_back(file.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

void Site::replace_journals() {
  kill();
  if (box_.is_up()) return;
  for (const fs::path& journal : journals()) {
    if (!dice_.one_in(2)) continue;
    const fs::path copy = journal.string() + ".copy";
    fs::copy_file(journal, copy, fs::copy_options::overwrite_existing);
    fs::rename(copy, journal);
    tell("a journal is replaced by its copy");
  }
}

void Site::restore() {
  kill();
  if (box_.is_up() || settled_packets_ == 0) return;
  const fs::path backup = folder_ / "backup";
  if (!has_backup_ || dice_.one_in(2)) {
    fs::remove_all(backup);
    fs::copy(box_.state(), backup, fs::copy_options::recursive);
    has_backup_ = true;
    settled_at_backup_ = settled_packets_;
    tell("the state directory is copied");
    return;
  }
  const auto ring = box_.open_ring();
  windows_.push_back({.from = settled_at_backup_,
                      .until = std::max(settled_at_backup_, cars_.released(*ring)),
                      .cut_ns = now_,
                      .slept_ns = 0,
                      .is_plain = false,
                      .is_older_copy = true});
  cars_.forget_announcements(*ring);
  const std::vector<fs::path> all = journals();
  if (dice_.one_in(2) || all.empty()) {
    put_back_state();
  } else {
    put_back_journal(all[dice_.below(all.size())]);
  }
  box_.disk().settle();
}

void Site::put_back_journal(const fs::path& journal) {
  const fs::path copy = folder_ / "backup" / fs::relative(journal, box_.state());
  if (!fs::exists(copy)) return;  // It is younger.
  copy_database(copy, journal, dice_.one_in(2));
  tell("an older copy of journal " + journal.filename().string() + " is put back");
}

// Onto a disk that works.
void Site::put_back_state() {
  box_.disk().heal();
  fs::remove_all(box_.state());
  fs::copy(folder_ / "backup", box_.state(), fs::copy_options::recursive);
  const bool is_image = dice_.one_in(2);
  if (is_image) take_inodes(box_.state());
  tell(is_image ? "the disk goes back in time"
                : "an older copy of the state directory is put back");
}

void Site::clone_to(Site& twin) {
  kill();
  CHECK(!box_.is_up() && !twin.box_.is_up());
  fs::remove_all(twin.box_.state());
  fs::copy(box_.state(), twin.box_.state(), fs::copy_options::recursive);
  const bool is_image = dice_.one_in(2);
  if (is_image) take_inodes(twin.box_.state());
  // As its start would; the books are to be read before that.
  for (const fs::path& journal : twin.journals()) CHECK(Database::roll_back(journal).ok());
  const auto rejected = rejected_rows(twin.box_.state());
  if (!rejected.ok()) return talk_.fault("at the cloning: " + rejected.status().message());
  twin.rejected_before_ = rejected.value();
  tell(is_image ? "the laptop's disk is cloned"
                : "the state directory is copied to another laptop");
}

// In an image of a disk each file has the inode it had.
void Site::take_inodes(const fs::path& state) {
  auto box = Database::open(state / "box.db", Database::Mode::kReadWrite);
  CHECK(box.ok());
  auto files = box.value().prepare("SELECT incarnation, file FROM files");
  CHECK(files.ok());
  std::vector<std::pair<std::string, fs::path>> all;
  for (auto row = files.value().step(); row.ok() && row.value(); row = files.value().step()) {
    all.emplace_back(files.value().text(0), state / fs::path(files.value().text(1)));
  }
  auto put = box.value().prepare("UPDATE files SET device = ?2, inode = ?3 WHERE incarnation = ?1");
  CHECK(put.ok());
  for (const auto& [incarnation, file] : all) {
    struct stat found {};
    if (::stat(file.c_str(), &found) != 0) continue;
    CHECK(put.value()
              .bind_text(1, incarnation)
              .bind_u64(2, found.st_dev)
              .bind_u64(3, found.st_ino)
              .run()
              .ok());
  }
}

}  // namespace pitbox::simulation
