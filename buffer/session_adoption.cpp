// What box.db and the folders say of each other when a store is opened: files that box.db does not
// know are adopted, files that are gone are noted. A box.db that was lost is rebuilt by the same
// steps, all files being unknown then.

#include <algorithm>
#include <system_error>
#include <utility>

#include "buffer/journal_schema.h"
#include "buffer/session_state.h"
#include "proto/event.h"

namespace pitbox {

namespace fs = std::filesystem;

std::vector<fs::path> journal_files_in(const fs::path& folder) {
  std::vector<std::pair<std::uint64_t, fs::path>> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const auto name = parse_journal_file_name(it->path().filename().string());
    if (name.ok()) found.emplace_back(name.value().number, it->path());
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> files;
  files.reserve(found.size());
  for (auto& [number, file] : found) files.push_back(std::move(file));
  return files;
}

namespace {

struct SessionFolder {
  Uuid session;
  fs::path folder;
};

std::vector<SessionFolder> session_folders(const fs::path& root) {
  std::vector<SessionFolder> folders;
  std::error_code error;
  fs::directory_iterator it(root / "sessions", error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    const auto id = Uuid::parse(it->path().filename().string());
    if (id.ok()) folders.push_back({id.value(), it->path()});
  }
  return folders;
}

// What a crash left of a file that was never given its name.
void remove_unnamed(const fs::path& folder) {
  std::vector<fs::path> unnamed;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const std::size_t at = name.find(".db.new");
    if (at != std::string::npos && parse_journal_file_name(name.substr(0, at + 3)).ok()) {
      unnamed.push_back(it->path());
    }
  }
  for (const fs::path& file : unnamed) fs::remove(file, error);
}

// One pass over the folders, collected into one change of box.db.
class Adoption {
 public:
  Adoption(const fs::path& root, const BoxContents& known) : root_(root), known_(known) {}

  void look_at(const SessionFolder& folder);
  void note_missing();
  void note_shortened();
  BoxChange finish();

 private:
  FileRecord* changed(std::uint64_t incarnation);
  void adopt(const SessionFolder& folder, const fs::path& file);
  void cut_older(JournalReader& reader);
  void learn_evicted(JournalReader& reader);
  void keep_positions(JournalReader& reader);
  bool is_known(const fs::path& file, std::uint64_t incarnation) const;

  const fs::path& root_;
  const BoxContents& known_;
  std::map<std::uint64_t, FileRecord> files_;
  std::map<Uuid, SessionRecord> sessions_;  // New ones.
  RingPositions positions_;
};

FileRecord* Adoption::changed(std::uint64_t incarnation) {
  if (const auto found = files_.find(incarnation); found != files_.end()) return &found->second;
  const auto found = known_.files.find(incarnation);
  if (found == known_.files.end()) return nullptr;
  return &files_.emplace(incarnation, found->second).first->second;
}

bool Adoption::is_known(const fs::path& file, std::uint64_t incarnation) const {
  const auto found = known_.files.find(incarnation);
  if (found == known_.files.end()) return false;
  if (found->second.state == FileState::kMissing) return false;
  std::error_code error;
  // Its name elsewhere is a stray copy unless it is the only one there is.
  return root_ / found->second.file == file || fs::exists(root_ / found->second.file, error);
}

void Adoption::look_at(const SessionFolder& folder) {
  remove_unnamed(folder.folder);
  for (const fs::path& file : journal_files_in(folder.folder)) {
    const auto name = parse_journal_file_name(file.filename().string());
    if (name.ok() && !is_known(file, name.value().incarnation)) adopt(folder, file);
  }
}

void Adoption::adopt(const SessionFolder& folder, const fs::path& file) {
  // What it shows is about to count. What cannot be written now may be writable at the next start.
  if (!Database::rewrite_wal(file).ok() || !Database::roll_back(file).ok()) return;
  auto opened = JournalReader::open(file);
  if (!opened.ok()) {
    // What cannot be read now may be readable at the next start.
    if (opened.status().code() == Code::kCorrupt) static_cast<void>(quarantine(file).ok());
    return;
  }
  JournalReader& reader = *opened.value();
  const auto info = reader.session();
  const auto ended = reader.session_ended();
  // A file of another box or session that was put here can be read, but is not ours to send. Nor is
  // a copy under another name.
  const auto name = parse_journal_file_name(file.filename().string());
  if (!name.ok() || name.value().incarnation != reader.incarnation()) return;
  if (!info.ok() || !ended.ok() || info.value().id != folder.session) return;
  if (reader.box_id() != known_.box_id) return;
  FileRecord record;
  if (!read_as_aside(reader, record).ok()) return;
  record.session = folder.session;
  record.file = fs::relative(file, root_);
  record.state = FileState::kAside;
  record.reason = "found";
  if (const FileRecord* before = changed(record.incarnation)) {
    // It was away for a while. What the room holds of it was written down here.
    record.acknowledged.add_all(before->acknowledged);
    if (record.acknowledged_by != before->acknowledged_by) record.acknowledged_by = 0;
    record.evicted.add_all(before->evicted);
  }
  files_[record.incarnation] = record;
  cut_older(reader);
  learn_evicted(reader);
  keep_positions(reader);
  if (known_.sessions.contains(folder.session)) return;
  // Files come in order, so what the newest says stays.
  SessionRecord& session = sessions_[folder.session];
  session.info = info.value();
  session.ended = ended.value();
}

// A crash came after the new file had its name and before box.db knew: the new file's word counts.
void Adoption::cut_older(JournalReader& reader) {
  if (reader.cut_incarnation() == 0) return;
  FileRecord* older = changed(reader.cut_incarnation());
  if (older == nullptr || older->state != FileState::kLive) return;
  older->state = FileState::kAside;
  older->reason = "another file took over";
  auto opened = JournalReader::open(root_ / older->file);
  if (!opened.ok() || !read_as_aside(*opened.value(), *older).ok()) {
    older->state = FileState::kMissing;
    return;
  }
  older->last = std::min(older->last, reader.cut_sequence());
}

// Its tombstones may answer for batches of older files.
void Adoption::learn_evicted(JournalReader& reader) {
  const auto evicted = reader.evicted();
  if (!evicted.ok()) return;
  for (const auto& [incarnation, ranges] : evicted.value()) {
    if (FileRecord* file = changed(incarnation)) file->evicted.add_all(ranges);
  }
}

// The file that took over from a cut one has carried its positions; those that the cut one shows
// may lie beyond the cut, and a position that is too far is data lost.
void Adoption::keep_positions(JournalReader& reader) {
  if (reader.is_cut()) return;
  const auto positions = reader.positions();
  if (!positions.ok()) return;
  for (const auto& [source, at] : positions.value()) positions_[{source, at.ring_id}] = at;
}

void Adoption::note_missing() {
  std::error_code error;
  for (const auto& [incarnation, file] : known_.files) {
    const bool is_expected = file.state == FileState::kLive || file.state == FileState::kAside;
    if (!is_expected || fs::exists(root_ / file.file, error)) continue;
    if (files_.contains(incarnation)) continue;  // Found under another name.
    FileRecord& missing = *changed(incarnation);
    missing.state = FileState::kMissing;
    missing.reason = "the file is not there";
  }
}

// What is to be sent may be less than box.db knows: batches were deleted and it could not be told,
// or an older copy of the file was put back. What is gone is gone: if the room does not have it, a
// tombstone will say so. What an older copy has again is there.
void Adoption::note_shortened() {
  for (const auto& [incarnation, stored] : known_.files) {
    // Something may have been learned of it just now, such as tombstones for it.
    const auto learned = files_.find(incarnation);
    const FileRecord& known = learned == files_.end() ? stored : learned->second;
    const auto session = known_.sessions.find(known.session);
    // Of a session that is complete it is asked when that is in doubt (see_room()).
    const bool is_wanted = known.state == FileState::kAside && session != known_.sessions.end() &&
                           !session->second.complete;
    if (!is_wanted) continue;
    auto gone = gone_from(root_ / known.file, known);
    if (!gone || *gone == known.removed) continue;
    changed(incarnation)->removed = *std::move(gone);
  }
}

BoxChange Adoption::finish() {
  BoxChange change;
  // At most one session is open: if box.db knows none, the newest that was not ended.
  const bool has_open = std::any_of(known_.sessions.begin(), known_.sessions.end(),
                                    [](const auto& item) { return item.second.open; });
  SessionRecord* newest = nullptr;
  for (auto& [id, session] : sessions_) {
    if (session.ended) continue;
    if (newest == nullptr || began_before(newest->info, session.info)) newest = &session;
  }
  if (newest != nullptr && !has_open) newest->open = true;
  for (auto& [id, session] : sessions_) {
    // No file of it will ever be appended to again.
    if (!session.open) session.ended = true;
    change.sessions.push_back(session);
  }
  for (auto& [incarnation, file] : files_) {
    change.files.push_back(file);
    change.gone_of.push_back(incarnation);
  }
  // What box.db remembers of a ring is as good as what an adopted file says; the greater counts.
  for (const auto& [key, at] : positions_) {
    const auto before = known_.positions.find(key);
    if (before == known_.positions.end() || before->second.position < at.position) {
      change.positions[key] = at;
    }
  }
  return change;
}

}  // namespace

namespace {

// What of `wanted` the file has.
RangeSet still_held(const fs::path& file, const RangeSet& wanted) {
  RangeSet held;
  auto reader = JournalReader::open(file);
  if (!reader.ok()) return held;
  const auto last = reader.value()->last_sequence();
  const auto removed = reader.value()->removed();
  if (!last.ok() || !removed.ok()) return held;
  for (const Range& range : wanted.within({1, last.value()})) held.add(range);
  held.remove_all(removed.value());
  return held;
}

}  // namespace

std::optional<RangeSet> gone_from(const fs::path& file, const FileRecord& known) {
  auto reader = JournalReader::open(file);
  if (!reader.ok() || reader.value()->incarnation() != known.incarnation) return std::nullopt;
  const auto last = reader.value()->last_sequence();
  auto removed = reader.value()->removed();
  if (!last.ok() || !removed.ok()) return std::nullopt;
  RangeSet gone = std::move(removed).take();
  if (last.value() < known.last) gone.add(Range{last.value() + 1, known.last});
  return gone;
}

Status SessionStore::State::choose_box_id() {
  if (!known.box_id.is_nil()) return {};
  // The newest file knows whose it is.
  SessionInfo newest;
  Uuid id;
  for (const SessionFolder& folder : session_folders(root)) {
    const std::vector<fs::path> files = journal_files_in(folder.folder);
    for (auto file = files.rbegin(); file != files.rend(); ++file) {
      auto reader = JournalReader::open(*file);
      if (!reader.ok()) continue;
      const auto info = reader.value()->session();
      if (info.ok() && (id.is_nil() || began_before(newest, info.value()))) {
        newest = info.value();
        id = reader.value()->box_id();
      }
      break;
    }
  }
  known.box_id = id.is_nil() ? Uuid::mint() : id;
  return box->set_box_id(known.box_id);
}

// Where a change of a sealed file was cut off, nobody can read it until the change is undone.
bool SessionStore::State::undo_interrupted(bool in_all) const {
  bool is_done = true;
  for (const auto& [incarnation, file] : known.files) {
    const bool is_its = file.state == FileState::kAside && (in_all || file.needs_plain);
    if (is_its) is_done &= Database::roll_back(path_of(file)).ok();
  }
  return is_done;
}

Status SessionStore::State::reconcile() {
  Adoption adoption(root, known);
  for (const SessionFolder& folder : session_folders(root)) adoption.look_at(folder);
  adoption.note_missing();
  undo_interrupted(true);  // box.db may not have been told of it.
  adoption.note_shortened();
  BoxChange change = adoption.finish();
  for (const auto& [incarnation, file] : known.files) {
    if (!file.needs_plain || file.state != FileState::kAside) continue;
    if (!Journal::make_plain(path_of(file)).ok()) continue;
    auto record =
        std::find_if(change.files.begin(), change.files.end(),
                     [id = incarnation](const FileRecord& one) { return one.incarnation == id; });
    // What was learned of it just now counts too.
    if (record == change.files.end()) record = change.files.insert(record, file);
    record->needs_plain = false;
  }
  if (change.sessions.empty() && change.files.empty() && change.positions.empty()) return {};
  return put(change);
}

// What box.db says tombstones answer for, and no journal of the session does: they went with an
// older copy of the one that told. What such a copy has again is to be sent again; what the room
// holds needs no other answer.
namespace {

// What the tombstones that are in the file answer for. JournalReader::evicted() carries on what
// those of earlier files did, and an older copy of such a file has lost them.
EvictedRanges answered_in(JournalReader& reader) {
  EvictedRanges answered;
  const auto tombstones = reader.moments("tombstone");
  if (!tombstones.ok()) return answered;
  for (const StoredMoment& moment : tombstones.value()) {
    const auto entry = reader.entry(moment.sequence);
    if (!entry.ok()) continue;
    const auto event = parse_event(entry.value().bytes);
    if (!event.ok() || !event.value().has_tombstone()) continue;
    const words::Tombstone& tombstone = event.value().tombstone();
    answered[tombstone.incarnation()].add(Range{tombstone.first(), tombstone.last()});
  }
  return answered;
}

}  // namespace

Status SessionStore::State::find_unanswered() {
  struct Told {
    EvictedRanges claimed;   // By box.db, and by what files carry on...
    EvictedRanges answered;  // ...and by tombstones that are there.
  };
  std::map<Uuid, Told> told;
  for (const auto& [incarnation, file] : known.files) {
    const bool is_there = file.state == FileState::kLive || file.state == FileState::kAside;
    const auto session = known.sessions.find(file.session);
    if (!is_there || session == known.sessions.end() || session->second.complete) continue;
    Told& all = told[file.session];
    all.claimed[incarnation].add_all(file.evicted);
    auto reader = JournalReader::open(path_of(file));
    if (!reader.ok()) continue;
    const auto carried = reader.value()->evicted();
    if (!carried.ok()) continue;
    for (const auto& [other, ranges] : carried.value()) all.claimed[other].add_all(ranges);
    for (const auto& [other, ranges] : answered_in(*reader.value())) {
      all.answered[other].add_all(ranges);
    }
  }
  BoxChange change;
  for (const auto& [incarnation, file] : known.files) {
    const auto session = told.find(file.session);
    if (session == told.end()) continue;
    RangeSet open = session->second.claimed[incarnation];
    open.remove_all(session->second.answered[incarnation]);
    if (open.empty()) continue;
    recounted.insert(file.session);
    RangeSet none = still_held(path_of(file), open);
    for (const Range& range : open.ranges()) {
      for (const Range& held : file.acknowledged.within(range)) none.add(held);
    }
    open.remove_all(none);
    if (!open.empty()) unanswered[incarnation] = std::move(open);
    if (none.empty()) continue;
    change.files.push_back(file);
    change.files.back().evicted.remove_all(none);
    change.gone_of.push_back(incarnation);
    disbelieved[incarnation] = std::move(none);
  }
  return change.files.empty() ? Status() : put(change);
}

}  // namespace pitbox
