// Whether the journal file of the session left open may be appended to, and what happens if not.
// docs/journal.md, "Identity", has the argument in prose.

#include <algorithm>
#include <limits>
#include <utility>

#include "buffer/journal_schema.h"
#include "buffer/session_state.h"

namespace pitbox {

namespace fs = std::filesystem;

Status read_as_aside(JournalReader& reader, FileRecord& file) {
  const auto first = reader.first_sequence();
  if (!first.ok()) return first.status();
  const auto last = reader.last_sequence();
  if (!last.ok()) return last.status();
  auto acknowledged = reader.acknowledged();
  if (!acknowledged.ok()) return acknowledged.status();
  auto removed = reader.removed();
  if (!removed.ok()) return removed.status();
  auto evicted = reader.evicted();
  if (!evicted.ok()) return evicted.status();
  file.removed = std::move(removed).take();
  file.evicted.add_all(evicted.value()[reader.incarnation()]);
  file.incarnation = reader.incarnation();
  file.number = reader.number();
  file.rekeyed_from = reader.rekeyed_from();
  file.first = first.value();
  file.last = last.value();
  file.acknowledged = std::move(acknowledged).take();
  const auto counters = reader.counters();
  if (!counters.ok()) return counters.status();
  file.acknowledged_by = value_or(counters.value(), kAcknowledgedBy, 0);
  return {};
}

Status read_carry(JournalReader& reader, Commit& carry) {
  auto positions = reader.positions();
  if (!positions.ok()) return positions.status();
  auto states = reader.decoder_states();
  if (!states.ok()) return states.status();
  auto laps = reader.lap_state();
  if (!laps.ok()) return laps.status();
  auto counters = reader.counters();
  if (!counters.ok()) return counters.status();
  carry.positions = std::move(positions).take();
  carry.decoder_states = std::move(states).take();
  carry.lap_state = std::move(laps).take();
  carry.counters = std::move(counters).take();
  auto evicted = reader.evicted();
  if (!evicted.ok()) return evicted.status();
  carry.evicted = std::move(evicted).take();
  return {};
}

// Empty if nothing speaks against it so far; the token in the file is compared when it is opened.
std::string SessionStore::State::why_not_append(const FileRecord& file) const {
  const auto identity = device_and_inode(path_of(file));
  if (!identity.ok()) return "the file is not there";
  if (identity.value() != std::pair(file.device, file.inode)) {
    return "it is a copy: another device or inode";
  }
  const auto mark = HighWater::read(high_water());
  if (!mark || mark->incarnation != file.incarnation) return {};
  if (mark->failed) return "its last commit failed";
  auto reader = JournalReader::open(path_of(file));
  if (!reader.ok()) return reader.status().message();
  const auto last = reader.value()->last_sequence();
  if (!last.ok()) return last.status().message();
  if (last.value() >= mark->last) return {};
  return "it holds less than was committed: an older copy, or a disk that forgot";
}

// Null with `why_not` set: another file must take over.
//
// The fresh token goes to box.db first, durably, then to the file. Whatever stops us between the
// two leaves tokens that differ, and a file whose token differs is never appended to.
Result<std::unique_ptr<Journal>> SessionStore::State::append_to(FileRecord file,
                                                                std::string& why_not) {
  const std::uint64_t expected = file.token;
  file.token = random_id();
  if (Status status = put({.sessions = {}, .files = {file}, .positions = {}}); !status.ok()) {
    return status;
  }
  Journal::Options options = defaults;
  options.file = path_of(file);
  options.token = file.token;
  options.expected_token = expected;
  options.high_water = high_water();
  auto journal = Journal::open(options);
  if (!journal.ok()) {
    why_not = journal.status().message();
    return std::unique_ptr<Journal>();
  }
  if (journal.value()->incarnation() != file.incarnation) {
    why_not = "it is of another incarnation";
    return std::unique_ptr<Journal>();
  }
  return journal;
}

// Writes down in `file` how far it counts. With `carry`, also where it says the session stands.
// What cannot be read is quarantined if it is damaged, else noted as missing.
Status SessionStore::State::set_aside(FileRecord& file, const std::string& why,
                                      Replacement* carry) const {
  const std::uint64_t incarnation = file.incarnation;
  file.state = FileState::kAside;
  file.reason = why;
  Status status;
  {
    auto reader = JournalReader::open(path_of(file));
    status = reader.ok() ? Status() : reader.status();
    if (status.ok() && reader.value()->incarnation() != incarnation) {
      status = Status(Code::kCorrupt, "it is of another incarnation");
    }
    if (status.ok()) status = read_as_aside(*reader.value(), file);
    if (status.ok() && carry != nullptr) {
      status = read_carry(*reader.value(), carry->carry);
      const auto info = reader.value()->session();
      if (info.ok()) carry->session.info = info.value();
    }
  }
  if (status.ok() || status.code() == Code::kTryAgain) return status;
  file.reason = status.message();
  file.state = FileState::kMissing;
  if (status.code() == Code::kCorrupt) {
    file.state = FileState::kQuarantined;
    if (Status renamed = quarantine(path_of(file)); !renamed.ok()) return renamed;
  }
  if (carry != nullptr) carry->carry = {};
  return {};
}

// The newest file says where the session stands, and is cut at what it holds now. If it cannot be
// read, nobody says: where the rings stand is known to the rings themselves, whose tail only moves
// after a commit, and states of an older file would belong to another place in them.
Result<std::unique_ptr<Journal>> SessionStore::State::take_over(const SessionRecord& session,
                                                                const std::string& why) {
  Replacement next;
  next.session = session;
  std::vector<FileRecord> files;
  for (const auto& [incarnation, file] : known.files) {
    const bool is_there = file.state == FileState::kLive || file.state == FileState::kAside;
    if (file.session == session.info.id && is_there) files.push_back(file);
  }
  std::sort(files.begin(), files.end(),
            [](const FileRecord& a, const FileRecord& b) { return a.number > b.number; });
  for (FileRecord& file : files) {
    const bool is_newest = &file == &files.front();
    if (!is_newest && file.state != FileState::kLive) continue;
    Status status = set_aside(file, why, is_newest ? &next : nullptr);
    if (!status.ok()) return status;
    // An older copy has not issued what was evicted of a newer one.
    const Range never{file.last + 1, std::numeric_limits<std::uint64_t>::max()};
    file.evicted.remove(never);
    if (const auto open = unanswered.find(file.incarnation); open != unanswered.end()) {
      open->second.remove(never);
    }
    if (is_newest && file.state == FileState::kAside) {
      next.cut_incarnation = file.incarnation;
      next.cut_sequence = file.last;
    }
    next.old.push_back(file);
  }
  // What it evicted of older files may not have come as far as box.db.
  Status learned = learn_carried(session.info.id, next.carry.evicted);
  if (!learned.ok()) return learned;
  pending = std::move(next);
  return finish_replacement();
}

// What its newest file says is evicted. Where box.db says less, it could not be told, and the
// counters count it; or at an earlier start the tombstones could not be read and were not believed
// in, and the counters were set to that.
Status SessionStore::State::learn_carried(const Uuid& session, const EvictedRanges& evicted) {
  const auto known_of = [&] {
    std::uint64_t count = 0;
    for (const auto& [incarnation, file] : known.files) {
      if (file.session == session) count += file.evicted.count();
    }
    return count;
  };
  const std::uint64_t before = known_of();
  Status learned = learn_evicted(evicted);
  if (known_of() != before) recounted.insert(session);
  return learned;
}

// A crash while the session was being ended: its file says so before box.db does.
Result<bool> SessionStore::State::ended_before(const SessionRecord& session, FileRecord file) {
  {
    auto reader = JournalReader::open(path_of(file));
    if (!reader.ok() || reader.value()->incarnation() != file.incarnation) return false;
    const auto ended = reader.value()->session_ended();
    if (!ended.ok() || !ended.value()) return false;
    if (Status status = read_as_aside(*reader.value(), file); !status.ok()) return status;
  }
  file.state = FileState::kAside;
  file.reason = "the session ended";
  file.needs_plain = !Journal::make_plain(path_of(file)).ok();
  if (Status status = finish_end(session, file); !status.ok()) return status;
  return true;
}

Result<std::unique_ptr<Journal>> SessionStore::resume() {
  State& state = *state_;
  if (state.pending) return state.finish_replacement();
  const SessionRecord* open = state.open_session();
  if (open == nullptr) return std::unique_ptr<Journal>();
  const SessionRecord session = *open;
  const FileRecord* live = state.live_file(session.info.id);
  if (live == nullptr) return state.take_over(session, "no file was live");
  const FileRecord file = *live;
  // The last commit may have failed and be visible all the same; whatever it shows is about to
  // count, so it has to be durable.
  const Status rewritten = Database::rewrite_wal(state.path_of(file));
  if (!rewritten.ok()) return rewritten;
  if (Status undone = Database::roll_back(state.path_of(file)); !undone.ok()) return undone;
  const auto ended = state.ended_before(session, file);
  if (!ended.ok()) return ended.status();
  if (ended.value()) return std::unique_ptr<Journal>();
  std::string why_not = state.why_not_append(file);
  if (!why_not.empty()) return state.take_over(session, why_not);
  auto journal = state.append_to(file, why_not);
  if (!journal.ok()) return journal;
  if (journal.value() == nullptr) return state.take_over(session, why_not);
  state.remember(*journal.value());
  Status learned = state.learn_carried(session.info.id, journal.value()->evicted());
  if (!learned.ok()) return learned;
  state.known.sessions.at(session.info.id).info = journal.value()->session();
  return journal;
}

}  // namespace pitbox
