// A real file system of 16 MiB that is full for the whole run (PITBOX_FULL_DISK_SECONDS, 20), with
// the room down and another program taking what is left of it (but not what is given up later): the
// daemon stays up, keeps every lap and every event, says what it gave up to the row, and recovers
// by itself.

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>

#include "apps/sim/track.h"
#include "buffer/journal_reader.h"
#include "tests/line/line_rig.h"

namespace pitbox {
namespace {

constexpr std::size_t kDiskBytes = std::size_t{16} << 20;
constexpr int kSeconds = 20;

int run_seconds() {
  const char* const given = std::getenv("PITBOX_FULL_DISK_SECONDS");
  return given != nullptr ? std::atoi(given) : kSeconds;
}

void write_text(const char* file, const std::string& text) {
  const int opened = ::open(file, O_WRONLY | O_CLOEXEC);
  ASSERT_GE(opened, 0) << file;
  EXPECT_EQ(::write(opened, text.data(), text.size()), static_cast<ssize_t>(text.size())) << file;
  ::close(opened);
}

// Of batches that tombstones answer for and that the files still hold.
std::uint64_t buried_rows(const std::vector<std::filesystem::path>& files) {
  EvictedRanges evicted;
  std::vector<std::unique_ptr<JournalReader>> readers;
  for (const auto& file : files) {
    auto reader = JournalReader::open(file);
    EXPECT_TRUE(reader.ok()) << reader.status().message();
    if (!reader.ok()) return 0;
    for (const auto& [incarnation, ranges] : reader.value()->evicted().take()) {
      evicted[incarnation].add_all(ranges);
    }
    readers.push_back(std::move(reader).take());
  }
  std::uint64_t rows = 0;
  for (const auto& reader : readers) {
    for (Range range : evicted[reader->incarnation()].ranges()) {
      for (auto found = reader->outlines(range).take(); !found.empty();
           found = reader->outlines(range).take()) {
        for (const BatchOutline& batch : found) rows += batch.rows;
        range.first = found.back().last + 1;
        if (range.first > range.last) break;
      }
    }
  }
  return rows;
}

// A tmpfs at `place`, in a mount namespace of this process and its children; without root in a user
// namespace as well.
class TinyDisk {
 public:
  explicit TinyDisk(std::filesystem::path place) : place_(std::move(place)) {
    const uid_t user = ::geteuid();
    const gid_t group = ::getegid();
    if (user == 0) {
      EXPECT_EQ(::unshare(CLONE_NEWNS), 0) << std::strerror(errno);
    } else {
      EXPECT_EQ(::unshare(CLONE_NEWUSER | CLONE_NEWNS), 0) << std::strerror(errno);
      write_text("/proc/self/setgroups", "deny");
      write_text("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
      write_text("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
    }
    EXPECT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    std::filesystem::create_directories(place_);
    const std::string size = "size=" + std::to_string(kDiskBytes);
    is_mounted_ = ::mount("tmpfs", place_.c_str(), "tmpfs", 0, size.c_str()) == 0;
    EXPECT_TRUE(is_mounted_) << std::strerror(errno);
  }
  ~TinyDisk() {
    if (is_mounted_) ::umount2(place_.c_str(), MNT_DETACH);
  }
  TinyDisk(const TinyDisk&) = delete;
  TinyDisk& operator=(const TinyDisk&) = delete;

  // Another program takes all there is.
  void fill() const {
    const int file = ::open((place_ / "film.mp4").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ASSERT_GE(file, 0);
    const std::string block(4096, 'x');
    while (::write(file, block.data(), block.size()) > 0) {
    }
    ::close(file);
  }
  void give_back() const { std::filesystem::remove(place_ / "film.mp4"); }

 private:
  std::filesystem::path place_;
  bool is_mounted_ = false;
};

nlohmann::json full_status(LineRig& rig) {
  const auto answer = rig.stage().ask(R"({"command":"status"})");
  return answer.ok() ? nlohmann::json::parse(answer.value(), nullptr, false) : nlohmann::json();
}

std::uint64_t sum_of(const nlohmann::json& counts) {
  std::uint64_t sum = 0;
  for (const auto& [name, count] : counts.items()) sum += count.get<std::uint64_t>();
  return sum;
}

// Cars that lap in six seconds, until stopped; a quarter of a MiB/s in the journal.
Result<ChildProcess> start_cars(LineRig& rig, const std::filesystem::path& ledger) {
  return rig.stage().start_command(
      {"sim", "--cars", "4", "--gt3", "--speed", "20", "--ledger", ledger.string(), "--to",
       "udp://127.0.0.1:" + std::to_string(rig.stage().source().port())},
      "sim.log");
}

TEST(SmallDisk, KeepsLapsAndEventsAndAccountsForEveryRowItGaveUp) {
  LineRig rig;
  const TinyDisk disk(rig.folder() / "state");
  if (testing::Test::HasFailure()) return;
  rig.set({.track = SimTrack().toml()});
  if (testing::Test::HasFatalFailure()) return;
  const Uuid session = rig.start_session("full");
  ASSERT_TRUE(becomes_true([&] { return rig.status().state == "online"; }));
  rig.stage().kill_room();
  const pid_t daemon = rig.stage().daemon().pid();
  const std::filesystem::path ledger = rig.folder() / "sent.ledger";
  auto cars = start_cars(rig, ledger);
  ASSERT_TRUE(cars.ok());

  // Full by itself first; then another program takes the rest, for half of the time.
  const auto begun = std::chrono::steady_clock::now();
  const auto has_passed = [&](int part) {
    return std::chrono::steady_clock::now() >=
           begun + std::chrono::seconds(run_seconds()) * part / 4;
  };
  const std::chrono::seconds patience(run_seconds() + 60);
  ASSERT_TRUE(
      becomes_true([&] { return sum_of(full_status(rig)["batches"]["evicted"]) > 0; }, patience))
      << full_status(rig).dump(2);
  ASSERT_TRUE(becomes_true([&] { return has_passed(1); }, patience));
  disk.fill();
  ASSERT_TRUE(becomes_true([&] { return has_passed(3); }, patience));
  const nlohmann::json full = full_status(rig);
  EXPECT_EQ(full["recorder"]["state"], "recording") << full.dump(2);
  disk.give_back();
  const std::uint64_t records = rig.status().records;
  ASSERT_TRUE(
      becomes_true([&] { return has_passed(4) && rig.status().records > records; }, patience))
      << full_status(rig).dump(2);
  cars.value().send(SIGTERM);
  ASSERT_TRUE(cars.value().wait(kLinePatience).has_value());
  ASSERT_TRUE(becomes_true([&] { return full_status(rig)["messages"]["in_ring"] == 0; }));
  EXPECT_EQ(rig.stage().daemon().pid(), daemon);
  EXPECT_TRUE(rig.stage().daemon().is_running());

  // The room gets everything that is left, and an answer for everything that is not.
  ASSERT_TRUE(rig.stage().start_room().ok());
  rig.end_session();
  ASSERT_TRUE(becomes_true([&] { return rig.is_complete(session); }, patience));
  const auto verified = rig.pitbox({"verify", session.text(), "--room", rig.stage().room_url()});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
  const auto found = find_session(rig.stage().state_directory(), session.text());
  ASSERT_TRUE(found.ok());
  auto newest = JournalReader::open(found.value().files.back());
  ASSERT_TRUE(newest.ok());
  const Counters counters = newest.value()->counters().take();
  const auto counter = [&](const char* name) {
    const auto at = counters.find(name);
    return at == counters.end() ? std::uint64_t{0} : at->second;
  };
  ASSERT_EQ(counter("unheard"), 0U) << "invalid run: the kernel dropped datagrams";
  EXPECT_GT(counter("records.evicted"), 0U);
  // What the room got is deleted here first, and what it is told was given up a little later, so
  // the journal lacks more than the room does, but for what was not deleted yet when there was room
  // again.
  const auto ledger_of = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"ledger",    "--sent",       ledger.string(),
                                       "--session", session.text(), "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto compared = rig.pitbox(arguments);
    auto json = json_in(compared.output);
    EXPECT_TRUE(json.is_object()) << compared.output;
    return json;
  };
  const auto in_journal = ledger_of({});
  const auto in_both = ledger_of({"--room", rig.stage().room_url()});
  if (testing::Test::HasFailure()) return;
  const auto missing_in_room =
      in_both["missing"].get<std::uint64_t>() - in_journal["missing"].get<std::uint64_t>();
  // What was on its way to the room when it was given up may have arrived.
  EXPECT_LE(missing_in_room, counter("records.evicted") + counter("records.rejected.no_space"));
  EXPECT_GT(missing_in_room, 0U);
  const std::uint64_t not_yet_deleted = buried_rows(found.value().files);
  EXPECT_GE(in_journal["missing"].get<std::uint64_t>() + not_yet_deleted, missing_in_room);
  EXPECT_EQ(in_both["duplicated"], 0);
  EXPECT_EQ(in_both["different"], 0);
  // Laps 1, 2, 3 ... of each car, in the journal and in the room.
  const auto laps = rig.pitbox({"laps", session.text(), "--json"});
  std::printf(
      "%lu laps, %lu records given up (%lu not deleted yet), %lu rows refused, %lu journals "
      "replaced\n",
      counter("laps.journaled"), counter("records.evicted"), not_yet_deleted,
      counter("records.rejected.no_space"), counter("journals.replaced"));
  std::map<std::string, std::uint64_t> next;
  std::uint64_t count = 0;
  for (const auto& file : found.value().files) {
    auto reader = JournalReader::open(file);
    ASSERT_TRUE(reader.ok());
    for (const StoredLap& lap : reader.value()->laps().take()) {
      EXPECT_EQ(lap.lap, next[lap.car]++) << "car " << lap.car;
      ++count;
    }
  }
  EXPECT_EQ(count, counter("laps.journaled"));
  EXPECT_GT(count, 8U);
}

}  // namespace
}  // namespace pitbox
