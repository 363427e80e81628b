#include "buffer/session_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "buffer/file_sync.h"
#include "buffer/journal_schema.h"
#include "buffer/retention.h"
#include "buffer/session_state.h"
#include "proto/mutant.h"
#include "proto/text.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

Result<int> take_lock(const fs::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (descriptor < 0) return system_error("open " + file.string());
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return descriptor;
  Status failure = errno == EWOULDBLOCK
                       ? Status(Code::kTryAgain, file.string() + ": another process has it")
                       : system_error("lock " + file.string());
  ::close(descriptor);
  return failure;
}

struct OpenedBox {
  BoxDatabase database;
  BoxContents contents;
};

Result<OpenedBox> open_sound_box(const fs::path& file) {
  auto database = BoxDatabase::open(file);
  if (!database.ok()) return database.status();
  auto contents = database.value().load();
  if (!contents.ok()) return contents.status();
  return OpenedBox{std::move(database).take(), std::move(contents).take()};
}

Result<OpenedBox> open_box(const fs::path& file) {
  auto opened = open_sound_box(file);
  if (opened.ok() || opened.status().code() != Code::kCorrupt) return opened;
  // Its identities are lost with it, so no old file is appended to; the rest is in the files.
  Status aside = quarantine(file);
  if (!aside.ok()) return aside;
  return open_sound_box(file);
}

void note_gone(const Journal& journal, FileRecord& file) {
  file.removed = journal.removed();
  const auto evicted = journal.evicted().find(journal.incarnation());
  if (evicted != journal.evicted().end()) file.evicted.add_all(evicted->second);
}

Status check_info(const SessionInfo& info) {
  const bool named = info.name.size() <= kMaxNameBytes && is_plain_text(info.name);
  if (!named) return {Code::kRejected, "a session's name is at most 128 bytes of plain text"};
  if (!is_session_type(info.type)) {
    return {Code::kRejected, "a session's type is practice, qualifying, race, warmup or test"};
  }
  if (!info.platform_id.empty() && !is_row_name(info.platform_id)) {
    return {Code::kRejected, "not a platform id"};
  }
  return {};
}

}  // namespace

void remove_journal(const fs::path& file) {
  std::error_code ignored;
  for (const char* ending : {"", "-wal", "-shm"}) fs::remove(file.string() + ending, ignored);
}

Status quarantine(const fs::path& file) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  fs::path aside = file.string() + ".quarantine-" + std::to_string(seconds);
  // Another one in the same second keeps its name.
  for (int i = 2; fs::exists(fs::symlink_status(aside)); ++i) {
    aside = file.string() + ".quarantine-" + std::to_string(seconds) + "-" + std::to_string(i);
  }
  // SQLite finds a WAL by the name of its database. The WAL goes first: a database without its WAL
  // is older, a WAL without its database is nothing.
  for (const char* ending : {"-wal", "-journal", ""}) {
    const std::string from = file.string() + ending;
    const std::string to = aside.string() + ending;
    if (::rename(from.c_str(), to.c_str()) == 0) continue;
    if (errno != ENOENT) return system_error("rename " + from);
  }
  std::error_code ignored;
  fs::remove(file.string() + "-shm", ignored);
  return sync_folder(file.parent_path());
}

Result<std::pair<std::uint64_t, std::uint64_t>> device_and_inode(const fs::path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return system_error(file.string());
  return std::pair<std::uint64_t, std::uint64_t>(found.st_dev, found.st_ino);
}

SessionStore::State::~State() {
  if (lock >= 0) ::close(lock);
}

Status SessionStore::State::put(const BoxChange& change) {
  Status status = box->put(change);
  if (!status.ok()) return status;
  for (const SessionRecord& session : change.sessions) known.sessions[session.info.id] = session;
  for (const FileRecord& file : change.files) known.files[file.incarnation] = file;
  for (const auto& [key, position] : change.positions) known.positions[key] = position;
  return {};
}

SessionRecord* SessionStore::State::open_session() {
  for (auto& [id, session] : known.sessions) {
    if (session.open) return &session;
  }
  return nullptr;
}

FileRecord* SessionStore::State::live_file(const Uuid& session) {
  for (auto& [incarnation, file] : known.files) {
    if (file.session == session && file.state == FileState::kLive) return &file;
  }
  return nullptr;
}

bool SessionStore::State::has_readable_file(const Uuid& session) const {
  return std::any_of(known.files.begin(), known.files.end(), [&](const auto& item) {
    const FileRecord& file = item.second;
    return file.session == session && file.state == FileState::kAside && file.last > 0;
  });
}

std::uint64_t SessionStore::State::next_number(const Uuid& session) const {
  std::uint64_t greatest = 0;
  for (const auto& [incarnation, file] : known.files) {
    if (file.session == session) greatest = std::max(greatest, file.number);
  }
  for (const fs::path& file : journal_files_in(folder_of(session))) {
    const auto name = parse_journal_file_name(file.filename().string());
    if (name.ok()) greatest = std::max(greatest, name.value().number);
  }
  return greatest + 1;
}

fs::path SessionStore::State::folder_of(const Uuid& session) const {
  return root / "sessions" / session.text();
}

// First the file, complete and durable under its name, then box.db. Between the two a crash leaves
// a file that box.db does not know: it is adopted as read-only at the next start (reconcile()), and
// yet another one takes over. So box.db never names a file that is not there.
Result<std::unique_ptr<Journal>> SessionStore::State::create(const SessionRecord& session,
                                                             const Replacement& from) {
  const Uuid& id = session.info.id;
  std::error_code error;
  if (fs::create_directories(folder_of(id), error); error) {
    return Status(Code::kFatal, "make " + folder_of(id).string() + ": " + error.message());
  }
  if (Status synced = sync_folder(root / "sessions"); !synced.ok()) return synced;
  FileRecord file;
  file.incarnation = has_mutant(Mutant::kIncarnationReused) ? id.bytes[0] + 1U : random_id();
  file.session = id;
  file.number = next_number(id);
  file.token = random_id();
  file.rekeyed_from = from.rekeyed_from;
  file.file = fs::path("sessions") / id.text() /
              journal_file_name({.number = file.number, .incarnation = file.incarnation});
  Journal::Options options = defaults;
  options.file = path_of(file);
  options.session = session.info;
  options.box_id = known.box_id;
  options.rekeyed_from = from.rekeyed_from;
  options.number = file.number;
  options.token = file.token;
  options.expected_token = 0;
  options.cut_incarnation = from.cut_incarnation;
  options.cut_sequence = from.cut_sequence;
  options.high_water = high_water();
  auto journal = Journal::create(options, file.incarnation, from.carry);
  if (!journal.ok()) return journal;
  const auto identity = device_and_inode(options.file);
  Status status = identity.ok() ? Status() : identity.status();
  if (identity.ok()) {
    std::tie(file.device, file.inode) = identity.value();
    BoxChange change{.sessions = {session}, .files = {file}, .positions = {}};
    change.files.insert(change.files.end(), from.old.begin(), from.old.end());
    for (const FileRecord& old : from.old) change.gone_of.push_back(old.incarnation);
    for (const auto& [source, at] : from.carry.positions) {
      change.positions[{source, at.ring_id}] = at;
    }
    status = put(change);
  }
  if (status.ok()) return journal;
  // Nobody was told of it. The mark must not forget what it said of the old file.
  journal = Status(status);
  remove_journal(options.file);
  if (from.cut_incarnation != 0) {
    HighWater(high_water())
        .note({.incarnation = from.cut_incarnation, .last = from.cut_sequence, .failed = true});
  }
  return status;
}

Result<std::unique_ptr<Journal>> SessionStore::State::finish_replacement() {
  auto journal = create(pending->session, *pending);
  if (journal.ok()) pending.reset();
  return journal;
}

void SessionStore::State::remember(const Journal& journal) {
  for (const auto& [source, position] : journal.positions()) {
    known.positions[{source, position.ring_id}] = position;
  }
}

// What tombstones answer for, into the records of the files. It counts also where box.db cannot be
// told: a journal says it, which is asked at the next start.
void SessionStore::State::note_answered(const EvictedRanges& evicted) {
  for (const auto& [incarnation, ranges] : evicted) {
    const auto open = unanswered.find(incarnation);
    if (open != unanswered.end()) open->second.remove_all(ranges);
    const auto others = disbelieved.find(incarnation);
    if (others != disbelieved.end()) others->second.remove_all(ranges);
  }
}

Status SessionStore::State::learn_evicted(const EvictedRanges& evicted) {
  BoxChange change{.sessions = {}, .files = {}, .positions = {}};
  for (const auto& [incarnation, ranges] : evicted) {
    const auto found = known.files.find(incarnation);
    if (found == known.files.end()) continue;
    FileRecord file = found->second;
    RangeSet told = ranges;
    if (const auto others = disbelieved.find(incarnation); others != disbelieved.end()) {
      told.remove_all(others->second);
    }
    file.evicted.add_all(told);
    if (file.evicted == found->second.evicted) continue;
    change.files.push_back(std::move(file));
    change.gone_of.push_back(incarnation);
  }
  if (change.files.empty()) return {};
  for (const FileRecord& file : change.files) known.files[file.incarnation] = file;
  return put(change);
}

Status SessionStore::State::finish_end(SessionRecord session, FileRecord file) {
  session.open = false;
  session.ended = true;
  const std::uint64_t incarnation = file.incarnation;
  return put({.sessions = {std::move(session)},
              .files = {std::move(file)},
              .positions = known.positions,
              .gone_of = {incarnation}});
}

SessionStore::SessionStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
SessionStore::~SessionStore() = default;

Result<std::unique_ptr<SessionStore>> SessionStore::open(const fs::path& state_directory,
                                                         const Journal::Options& defaults) {
  const std::string step = "open state directory " + state_directory.string();
  std::error_code error;
  if (fs::create_directories(state_directory / "sessions", error); error) {
    return Status(Code::kFatal, error.message()).within(step);
  }
  auto state = std::make_unique<State>();
  state->root = fs::absolute(state_directory);
  state->defaults = defaults;
  if (const auto disk = disk_space(state->root); disk.ok()) {
    std::size_t& wal = state->defaults.wal_bytes_target;
    wal = static_cast<std::size_t>(small_part(disk.value(), wal, kWalPart));
  }
  const auto lock = take_lock(state->root / "lock");
  if (!lock.ok()) return Status(lock.status()).within(step);
  state->lock = lock.value();
  auto box = open_box(state->root / "box.db");
  if (!box.ok()) return Status(box.status()).within("box.db").within(step);
  state->box = std::move(box.value().database);
  state->known = std::move(box.value().contents);
  Status status = state->choose_box_id();
  if (status.ok()) status = state->reconcile();
  if (status.ok()) status = state->find_unanswered();
  if (!status.ok()) return std::move(status).within(step);
  return std::unique_ptr<SessionStore>(new SessionStore(std::move(state)));
}

const Uuid& SessionStore::box_id() const {
  return state_->known.box_id;
}

Result<std::unique_ptr<Journal>> SessionStore::begin(const SessionInfo& info) {
  State& state = *state_;
  if (Status refused = check_info(info); !refused.ok()) return refused;
  if (state.pending || state.open_session() != nullptr) {
    return Status(Code::kRejected, "a session is open");
  }
  SessionRecord session{.info = info, .open = true, .ended = false, .complete = false};
  if (session.info.id.is_nil()) session.info.id = Uuid::mint();
  for (const auto& [known_id, known] : state.known.sessions) {
    session.info.ordinal = std::max(session.info.ordinal, known.info.ordinal + 1);
  }
  session.info.ordinal = std::max<std::uint64_t>(session.info.ordinal, 1);
  const Uuid& id = session.info.id;
  if (state.known.sessions.contains(id) || !journal_files_in(state.folder_of(id)).empty()) {
    return Status(Code::kRejected, "there is a session " + id.text());
  }
  return state.create(session, {});
}

Result<std::unique_ptr<Journal>> SessionStore::replace(std::unique_ptr<Journal> journal,
                                                       const Commit& carry,
                                                       std::uint64_t rekeyed_from,
                                                       std::string_view reason) {
  State& state = *state_;
  const auto found = state.known.files.find(journal->incarnation());
  CHECK(found != state.known.files.end());
  Replacement next;
  next.session = state.known.sessions.at(journal->session().id);
  next.session.info = journal->session();
  next.cut_incarnation = journal->incarnation();
  next.cut_sequence = journal->last_sequence();
  next.rekeyed_from = rekeyed_from;
  next.carry = carry;
  FileRecord old = found->second;
  old.state = FileState::kAside;
  old.last = journal->last_sequence();
  old.acknowledged = journal->acknowledged();
  old.acknowledged_by = value_or(journal->counters(), kAcknowledgedBy, 0);
  note_gone(*journal, old);
  old.reason = reason;
  // A seal is a courtesy to a healthy file; the cut is what counts.
  if (!journal->is_broken()) old.needs_plain = !journal->seal(false).ok();
  next.old.push_back(std::move(old));
  journal.reset();
  state.pending = std::move(next);
  return state.finish_replacement();
}

Status SessionStore::end(std::unique_ptr<Journal> journal) {
  State& state = *state_;
  if (journal->is_broken()) {
    Commit carry;
    carry.positions = journal->positions();
    carry.decoder_states = journal->decoder_states();
    carry.lap_state = journal->lap_state();
    carry.counters = journal->counters();
    carry.evicted = journal->evicted();
    auto next = replace(std::move(journal), carry, 0, "its last commit failed");
    if (!next.ok()) return next.status();
    journal = std::move(next).take();
  }
  SessionRecord session = state.known.sessions.at(journal->session().id);
  session.info = journal->session();
  FileRecord file = state.known.files.at(journal->incarnation());
  state.remember(*journal);
  Status sealed = journal->seal(true);
  if (journal->is_broken()) return sealed;  // Nothing is marked: resume() carries on in a new file.
  file.state = FileState::kAside;
  file.last = journal->last_sequence();
  file.acknowledged = journal->acknowledged();
  file.acknowledged_by = value_or(journal->counters(), kAcknowledgedBy, 0);
  note_gone(*journal, file);
  file.needs_plain = !sealed.ok();
  file.reason = "the session ended";
  journal.reset();
  return state.finish_end(std::move(session), std::move(file));
}

Result<JournalHeads> SessionStore::heads(const Journal* live) {
  const State& state = *state_;
  JournalHeads heads;
  heads.box_id = state.known.box_id;
  for (const auto& [id, session] : state.known.sessions) {
    if (session.complete) continue;
    SessionHeads head;
    head.info = session.info;
    head.is_live = live != nullptr && live->session().id == id;
    if (head.is_live) head.info = live->session();
    head.ended = session.ended;
    std::vector<const FileRecord*> files;
    for (const auto& [incarnation, file] : state.known.files) {
      if (file.session == id && file.state == FileState::kAside && file.last > 0) {
        files.push_back(&file);
      }
    }
    std::sort(files.begin(), files.end(),
              [](const FileRecord* a, const FileRecord* b) { return a->number < b->number; });
    for (const FileRecord* file : files) {
      head.files.push_back({.incarnation = file->incarnation,
                            .file = state.path_of(*file),
                            .first = file->first,
                            .last = file->last,
                            .rekeyed_from = file->rekeyed_from,
                            .sealed = true,
                            .acknowledged = file->acknowledged,
                            .acknowledged_by = file->acknowledged_by,
                            .removed = file->removed,
                            .evicted = file->evicted});
    }
    heads.sessions.push_back(std::move(head));
  }
  std::sort(
      heads.sessions.begin(), heads.sessions.end(),
      [](const SessionHeads& a, const SessionHeads& b) { return began_before(a.info, b.info); });
  return heads;
}

Status SessionStore::acknowledge(const Acknowledged& acknowledged) {
  State& state = *state_;
  const auto found = state.known.files.find(acknowledged.incarnation);
  const bool is_ours = found != state.known.files.end() &&
                       found->second.session == acknowledged.session &&
                       found->second.state != FileState::kLive;
  if (!is_ours) {
    return {Code::kRejected, "no such file that is not live: " + hex_id(acknowledged.incarnation)};
  }
  FileRecord file = found->second;
  if (acknowledged.replaces) {
    file.acknowledged.clear();
    file.acknowledged_by = acknowledged.store;
  }
  for (Range range : acknowledged.ranges.ranges()) {
    range.last = std::min(range.last, file.last);
    if (range.first <= range.last) file.acknowledged.add(range);
  }
  if (file.acknowledged == found->second.acknowledged &&
      file.acknowledged_by == found->second.acknowledged_by) {
    return {};
  }
  return state.put({.sessions = {}, .files = {file}, .positions = {}, .is_durable = false});
}

Result<std::size_t> SessionStore::see_room(const RoomIdentity& room) {
  State& state = *state_;
  state.seen = room;
  if (room.store == 0) return std::size_t{0};
  BoxChange change;
  for (const auto& [id, session] : state.known.sessions) {
    const bool is_of_another = session.complete && session.complete_in.url == room.url &&
                               session.complete_in.store != room.store;
    if (!is_of_another || !state.has_readable_file(id)) continue;
    change.sessions.push_back(session);
    change.sessions.back().complete = false;
    state.note_gone(id, change);
  }
  if (change.sessions.empty()) return std::size_t{0};
  const Status status = state.put(change);
  if (!status.ok()) return status;
  return change.sessions.size();
}

Status SessionStore::set_complete(const Uuid& session, const RoomIdentity& room) {
  State& state = *state_;
  if (state.seen.url == room.url && state.seen.store != room.store) return {};
  const auto found = state.known.sessions.find(session);
  if (found == state.known.sessions.end()) return {Code::kRejected, "no session " + session.text()};
  SessionRecord record = found->second;
  record.complete = true;
  record.complete_in = room;
  BoxChange change{.sessions = {record}, .files = {}, .positions = {}};
  // Whoever was reading it to send it has no reason to any more.
  for (const auto& [incarnation, file] : state.known.files) {
    if (file.session != session || !file.needs_plain) continue;
    if (!Journal::make_plain(state.path_of(file)).ok()) continue;
    change.files.push_back(file);
    change.files.back().needs_plain = false;
  }
  return state.put(change);
}

Result<std::optional<ConsumedPosition>> SessionStore::consumed(std::string_view source,
                                                               std::uint64_t ring_id) {
  const auto found = state_->known.positions.find({std::string(source), ring_id});
  if (found == state_->known.positions.end()) return std::optional<ConsumedPosition>();
  return std::optional<ConsumedPosition>(found->second);
}

}  // namespace pitbox
