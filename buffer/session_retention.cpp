// The store's part of making room: which files there are to take from, and the deletion of batches
// in files that are no longer live. What is chosen, and when, is retention.h.

#include <algorithm>
#include <utility>

#include "buffer/journal_removal.h"
#include "buffer/journal_schema.h"
#include "buffer/session_state.h"

namespace pitbox {

const FileRecord* SessionStore::State::newest_file(const Uuid& session) const {
  const FileRecord* newest = nullptr;
  for (const auto& [incarnation, file] : known.files) {
    if (file.session != session || file.state != FileState::kAside) continue;
    if (newest == nullptr || file.number > newest->number) newest = &file;
  }
  return newest;
}

void SessionStore::State::note_gone(const Uuid& session, BoxChange& change) const {
  for (const auto& [incarnation, file] : known.files) {
    if (file.session != session || file.state != FileState::kAside) continue;
    const auto gone = gone_from(path_of(file), file);
    if (!gone || *gone == file.removed) continue;
    change.files.push_back(file);
    change.files.back().removed = *gone;
    change.gone_of.push_back(incarnation);
  }
}

std::vector<RetainedFile> SessionStore::retained(const Journal* live) const {
  struct Candidate {
    const SessionRecord* session;
    const FileRecord* file;
  };
  std::vector<Candidate> candidates;
  for (const auto& [incarnation, file] : state_->known.files) {
    const auto session = state_->known.sessions.find(file.session);
    const bool is_there = file.state == FileState::kAside && file.last > 0;
    if (is_there && session != state_->known.sessions.end()) {
      candidates.push_back({&session->second, &file});
    }
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (a.file->session == b.file->session) return a.file->number < b.file->number;
    return began_before(a.session->info, b.session->info);
  });
  std::vector<RetainedFile> files;
  for (const Candidate& candidate : candidates) {
    const FileRecord& file = *candidate.file;
    files.push_back({.session = file.session,
                     .incarnation = file.incarnation,
                     .file = state_->path_of(file),
                     .last = file.last,
                     .is_live = false,
                     .is_current = live != nullptr && live->session().id == file.session,
                     .acknowledged = file.acknowledged,
                     .evicted = file.evicted,
                     .removed = file.removed,
                     .unanswered = {}});
    const auto open = state_->unanswered.find(file.incarnation);
    if (open != state_->unanswered.end()) files.back().unanswered = open->second;
    if (candidate.session->complete) files.back().acknowledged.add(Range{1, file.last});
  }
  if (live == nullptr || live->last_sequence() == 0) return files;
  RetainedFile last{.session = live->session().id,
                    .incarnation = live->incarnation(),
                    .file = live->file(),
                    .last = live->last_sequence(),
                    .is_live = true,
                    .is_current = true,
                    .acknowledged = live->acknowledged(),
                    .evicted = {},
                    .removed = live->removed(),
                    .unanswered = {}};
  const auto evicted = live->evicted().find(live->incarnation());
  if (evicted != live->evicted().end()) last.evicted = evicted->second;
  files.push_back(std::move(last));
  return files;
}

bool SessionStore::undo_interrupted(bool in_all) {
  return state_->undo_interrupted(in_all);
}

Status SessionStore::remove(std::uint64_t incarnation, const std::vector<Range>& ranges) {
  State& state = *state_;
  const auto found = state.known.files.find(incarnation);
  if (found == state.known.files.end() || found->second.state != FileState::kAside) {
    return {Code::kRejected, "no such file that is not live: " + hex_id(incarnation)};
  }
  FileRecord file = found->second;
  const bool needed_plain = file.needs_plain;
  // Whatever stops us, the next start makes a plain file of it. A full disk does not take that
  // down, and making room comes first.
  file.needs_plain = true;
  state.known.files[incarnation].needs_plain = true;
  const BoxChange unfinished{
      .sessions = {}, .files = {file}, .positions = {}, .gone_of = {}, .is_durable = false};
  static_cast<void>(state.put(unfinished).ok());
  const auto is_plain = remove_batches(state.path_of(file), ranges, state.defaults.vfs);
  if (!is_plain.ok()) return is_plain.status();
  for (const Range& range : ranges) file.removed.add(range);
  file.needs_plain = needed_plain || !is_plain.value();
  // It is so, whether or not box.db can be told; the journal says it at the next start.
  state.known.files[incarnation] = file;
  return state.put(
      {.sessions = {}, .files = {file}, .positions = {}, .gone_of = {file.incarnation}});
}

std::optional<std::uint64_t> SessionStore::recounted_evicted(const Journal& live) const {
  const Uuid& session = live.session().id;
  if (!state_->recounted.contains(session)) return std::nullopt;
  std::uint64_t sum = 0;
  for (const auto& [incarnation, file] : state_->known.files) {
    const bool is_other = file.session == session && incarnation != live.incarnation();
    if (is_other) sum += file.evicted.count();
  }
  const auto own = live.evicted().find(live.incarnation());
  return own == live.evicted().end() ? sum : sum + own->second.count();
}

Status SessionStore::note_evicted(const EvictedRanges& evicted) {
  state_->note_answered(evicted);
  return state_->learn_evicted(evicted);
}

Status SessionStore::bury(const Uuid& session, std::vector<NewEvent> events,
                          const EvictedRanges& evicted,
                          const std::function<void(Counters&)>& count) {
  auto carry = carry_of_ended(session);
  if (!carry.ok()) return carry.status();
  Commit first = std::move(carry).take();
  first.events = std::move(events);
  for (const auto& [incarnation, ranges] : evicted) first.evicted[incarnation].add_all(ranges);
  if (first.counters) count(*first.counters);
  auto journal = add_to_ended(session, 0, first);
  if (!journal.ok()) return journal.status();
  return finish_addition(std::move(journal).take(), "tombstones of a session that is over",
                         evicted);
}

Result<Commit> SessionStore::carry_of_ended(const Uuid& session) const {
  const FileRecord* newest = state_->newest_file(session);
  const auto record = state_->known.sessions.find(session);
  if (newest == nullptr || record == state_->known.sessions.end() || record->second.open) {
    return Status(Code::kRejected, "no session that is over: " + session.text());
  }
  auto reader = JournalReader::open(state_->path_of(*newest));
  if (!reader.ok()) return reader.status();
  Commit carry;
  if (Status read = read_carry(*reader.value(), carry); !read.ok()) return read;
  return carry;
}

Result<std::unique_ptr<Journal>> SessionStore::add_to_ended(const Uuid& session,
                                                            std::uint64_t rekeyed_from,
                                                            const Commit& first) {
  State& state = *state_;
  const auto record = state.known.sessions.find(session);
  if (record == state.known.sessions.end() || record->second.open) {
    return Status(Code::kRejected, "no session that is over: " + session.text());
  }
  const std::uint64_t incarnation = random_id();
  Journal::Options options = state.defaults;
  options.number = state.next_number(session);
  options.file = state.folder_of(session) /
                 journal_file_name({.number = options.number, .incarnation = incarnation});
  options.session = record->second.info;
  options.box_id = state.known.box_id;
  options.rekeyed_from = rekeyed_from;
  options.token = random_id();
  options.high_water.clear();  // That is the live file's.
  return Journal::create(options, incarnation, first);
}

Status SessionStore::finish_addition(std::unique_ptr<Journal> journal, std::string_view reason,
                                     const EvictedRanges& answered) {
  State& state = *state_;
  FileRecord file;
  file.incarnation = journal->incarnation();
  file.session = journal->session().id;
  file.number = journal->number();
  file.rekeyed_from = journal->rekeyed_from();
  file.state = FileState::kAside;
  file.reason = reason;
  file.file = std::filesystem::relative(journal->file(), state.root);
  file.last = journal->last_sequence();
  const EvictedRanges evicted = journal->evicted();
  const std::filesystem::path path = journal->file();
  if (!journal->is_broken()) file.needs_plain = !journal->seal(true).ok();
  journal.reset();
  // What the room had completed it has not any more.
  SessionRecord record = state.known.sessions.at(file.session);
  BoxChange change{.sessions = {}, .files = {file}, .positions = {}};
  if (std::exchange(record.complete, false)) state.note_gone(file.session, change);
  change.sessions.push_back(std::move(record));
  Status status = state.put(change);
  if (status.ok()) {
    state.note_answered(answered);
    return state.learn_evicted(evicted);
  }
  // Nobody was told of it.
  remove_journal(path);
  return status;
}

const std::filesystem::path& SessionStore::directory() const {
  return state_->root;
}

}  // namespace pitbox
