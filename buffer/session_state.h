// SessionStore's inside: what it knows, and the steps that its verbs are made of. Only the
// session_*.cpp files include this.

#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "buffer/box_database.h"
#include "buffer/high_water.h"
#include "buffer/journal_reader.h"
#include "buffer/session_store.h"

namespace pitbox {

// A replacement that is decided: kept until a new file has taken over.
struct Replacement {
  SessionRecord session;
  std::vector<FileRecord> old;  // Files that were live, as they are to be written down.
  std::uint64_t cut_incarnation = 0;
  std::uint64_t cut_sequence = 0;
  std::uint64_t rekeyed_from = 0;
  Commit carry;
};

// What `file` does not hold of what it once held, as it says itself, which box.db may not have been
// told. Nothing if it cannot be read now.
std::optional<RangeSet> gone_from(const std::filesystem::path& file, const FileRecord& known);

struct SessionStore::State {
  std::filesystem::path root;
  Journal::Options defaults;
  int lock = -1;
  std::optional<BoxDatabase> box;
  BoxContents known;  // What box.db says, and positions seen since.
  std::optional<Replacement> pending;
  RoomIdentity seen;  // The latest.
  // By incarnation: RetainedFile::unanswered. As the files say it when the store is opened.
  std::map<std::uint64_t, RangeSet> unanswered;
  // By incarnation: what files carry on as evicted, and no tombstone answers for, nor has to.
  std::map<std::uint64_t, RangeSet> disbelieved;
  // Sessions of which tombstones went, or came back: what their counters say of them may be another
  // number.
  std::set<Uuid> recounted;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  // session_store.cpp
  Status put(const BoxChange& change);  // Both in box.db and in `known`.
  SessionRecord* open_session();
  FileRecord* live_file(const Uuid& session);
  bool has_readable_file(const Uuid& session) const;  // That is not live.
  std::uint64_t next_number(const Uuid& session) const;
  std::filesystem::path path_of(const FileRecord& file) const { return root / file.file; }
  std::filesystem::path high_water() const { return root / "high_water"; }
  std::filesystem::path folder_of(const Uuid& session) const;
  Result<std::unique_ptr<Journal>> create(const SessionRecord& session, const Replacement& from);
  Result<std::unique_ptr<Journal>> finish_replacement();
  void remember(const Journal& journal);
  // Perhaps only carried on: of tombstones that are there, note_answered().
  Status learn_evicted(const EvictedRanges& evicted);
  void note_answered(const EvictedRanges& evicted);
  Status finish_end(SessionRecord session, FileRecord file);

  // session_resume.cpp
  std::string why_not_append(const FileRecord& file) const;
  Result<bool> ended_before(const SessionRecord& session, FileRecord file);
  Result<std::unique_ptr<Journal>> append_to(FileRecord file, std::string& why_not);
  Status set_aside(FileRecord& file, const std::string& why, Replacement* carry) const;
  Result<std::unique_ptr<Journal>> take_over(const SessionRecord& session, const std::string& why);
  Status learn_carried(const Uuid& session, const EvictedRanges& evicted);

  // session_retention.cpp
  const FileRecord* newest_file(const Uuid& session) const;
  // The room is asked about a session again that was complete: adds to `change` what its files do
  // not hold any more. It cannot be sent; a tombstone will say so.
  void note_gone(const Uuid& session, BoxChange& change) const;

  // session_adoption.cpp: files and box.db may say different things after a crash, a restored
  // backup, or a damaged box.db.
  Status reconcile();
  bool undo_interrupted(bool in_all) const;  // Or in those that are to become plain.
  Status choose_box_id();
  Status find_unanswered();
};

// When a file stops being live: reads how far it counts, what the room holds of it, what is gone.
Status read_as_aside(JournalReader& reader, FileRecord& file);
// What the file that takes over begins with.
Status read_carry(JournalReader& reader, Commit& carry);
// Renames a file that does not open, with what belongs to it, so that nobody takes it for one.
Status quarantine(const std::filesystem::path& file);
// Of a journal that nobody was told of.
void remove_journal(const std::filesystem::path& file);
// The journal files of a folder by their number, whether or not they open.
std::vector<std::filesystem::path> journal_files_in(const std::filesystem::path& folder);
Result<std::pair<std::uint64_t, std::uint64_t>> device_and_inode(const std::filesystem::path& file);

}  // namespace pitbox
