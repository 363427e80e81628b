// SessionStore: the state directory of a box: which sessions there are, their journal files, and
// which file may be appended to.
//
//   STATE/box.db                                 box id, sessions, files, file identities; what is
//                                                not an identity is rebuildable from the files
//   STATE/sessions/<session-id>/<n>-<incarnation>.db
//   STATE/lock, STATE/high_water                 who has the directory; how far the live file got
//
// Threads: one (the recorder's, or a command that holds the lock). The directory is flocked while
// a store opened for writing lives; list_sessions() and find_session() only read, without the lock.
//
// A file is appended to only while its device, inode, the random token kept in box.db (a fresh one
// at every opening) and the last sequence noted beside it all agree; a copy, a restored older file
// or one that was moved back never does: it becomes read-only and a new file with a new incarnation
// takes over. docs/journal.md, "Identity", says why this cannot append wrongly.

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/handover.h"
#include "buffer/journal.h"
#include "proto/status.h"
#include "proto/uuid.h"

namespace pitbox {

struct SessionFiles {
  SessionInfo info;
  bool open = false;                         // Being recorded, or was when the daemon last stopped.
  bool complete = false;                     // The room held everything when last heard of.
  std::vector<std::filesystem::path> files;  // Oldest first (by n).
};

// A journal file as retention sees it.
struct RetainedFile {
  Uuid session;
  std::uint64_t incarnation = 0;
  std::filesystem::path file;
  std::uint64_t last = 0;
  bool is_live = false;     // The file that is appended to...
  bool is_current = false;  // ...or an earlier one of its session.
  RangeSet acknowledged;    // All of it where the room said that the session is complete.
  RangeSet evicted;
  RangeSet removed;
  // Of `evicted`: the tombstones that answered for it went with an older copy of a journal.
  RangeSet unanswered;
};

class SessionStore {
 public:
  // Creates the directory and box.db as needed. A box.db that does not open is set aside as
  // `box.db.quarantine-<time>` and rebuilt from the journal files (under a new box id only if no
  // file names one). kTryAgain if another process holds the lock.
  static Result<std::unique_ptr<SessionStore>> open(const std::filesystem::path& state_directory,
                                                    const Journal::Options& defaults);
  ~SessionStore();
  SessionStore(const SessionStore&) = delete;
  SessionStore& operator=(const SessionStore&) = delete;

  const Uuid& box_id() const;

  // The session left open, ready to be appended to: in its live file if that passes the identity
  // check (and opens), else in a new one that begins with what the old one's last commit said
  // (positions, decoder states, lap state, counters), the old one being set aside. Null if no
  // session is open.
  Result<std::unique_ptr<Journal>> resume();
  // Starts a session in a new file. kRejected if one is open, or the id exists.
  Result<std::unique_ptr<Journal>> begin(const SessionInfo& info);
  // Sets the journal's file aside (read-only from now) and continues its session in a new file.
  // `carry`: positions, states and counters for the new file's first commit. The old file is cut at
  // its last good commit; what it may show beyond that is ignored for ever.
  // On failure the old journal is gone all the same, and resume() tries the same replacement again.
  Result<std::unique_ptr<Journal>> replace(std::unique_ptr<Journal> journal, const Commit& carry,
                                           std::uint64_t rekeyed_from, std::string_view reason);
  // Ends the open session: seals the journal. A broken journal is replaced first, by a file that
  // only says where it was cut. On failure the session stays open: resume(), then end() again.
  Status end(std::unique_ptr<Journal> journal);

  // What is to be sent, without the live journal's own head (its owner adds that).
  Result<JournalHeads> heads(const Journal* live);
  // Acknowledged ranges of a file that is no longer live. Not synced: after a power cut the room's
  // Welcome says it again. kRejected if the store has no such file or it is the live one.
  Status acknowledge(const Acknowledged& acknowledged);
  // On that room's word. Without effect if another store of the same room was seen meanwhile.
  Status set_complete(const Uuid& session, const RoomIdentity& room);
  // A room was seen. Sessions that are complete on the word of another store of the same room are
  // not any more, for that store may have been replaced by an older copy; returns how many. Those
  // of which no file is left stay as they are.
  Result<std::size_t> see_room(const RoomIdentity& room);

  // Every readable file, in the order in which bulk is given up: oldest session first, the live
  // file last.
  std::vector<RetainedFile> retained(const Journal* live) const;
  // Deletes batches of a file that is not live (journal_removal.h). kTryAgain: a reader is in the
  // way.
  Status remove(std::uint64_t incarnation, const std::vector<Range>& ranges);
  // Undoes what an error cut off while a file that is not live was changed: nobody can read it
  // until then. In those that are to become plain, or in all (where box.db may not have been told).
  // False: not all of it yet.
  bool undo_interrupted(bool in_all = false);
  // How many sequences of the open session tombstones answer for, its live journal's included.
  // Nothing unless some went with an older copy of a journal (RetainedFile::unanswered): then its
  // counters may say another number.
  std::optional<std::uint64_t> recounted_evicted(const Journal& live) const;
  // The live journal's tombstones answer for these, durably.
  Status note_evicted(const EvictedRanges& evicted);
  // Tombstones for a session that is over: in a file of their own, sealed at once, which carries on
  // the session's counters as `count` changes them. `events` begin with a clock anchor.
  Status bury(const Uuid& session, std::vector<NewEvent> events, const EvictedRanges& evicted,
              const std::function<void(Counters&)>& count);
  // Likewise in steps: what a file of a session that is over begins with (its positions, states,
  // counters); such a file, which no other call knows of until it is finished (a crash before that
  // leaves it to be adopted at the next start: its tombstones count with what it holds); its seal.
  Result<Commit> carry_of_ended(const Uuid& session) const;
  Result<std::unique_ptr<Journal>> add_to_ended(const Uuid& session, std::uint64_t rekeyed_from,
                                                const Commit& first);
  // A journal that broke counts up to its last good commit. `answered`: by its own tombstones.
  Status finish_addition(std::unique_ptr<Journal> journal, std::string_view reason,
                         const EvictedRanges& answered);
  const std::filesystem::path& directory() const;

  // The greatest consumed position of `ring_id` over the session's files and the store's own memory
  // of earlier sessions; nothing if no file knows that ring.
  Result<std::optional<ConsumedPosition>> consumed(std::string_view source, std::uint64_t ring_id);
  // Decoder states by source as the latest sessions left them: a schema that was announced once
  // stays known when no session is open. What is damaged is left out; `unread`: what could not be
  // read now and perhaps can be later.
  struct EarlierStates {
    std::map<std::string, std::string> states;
    Status unread;
  };
  EarlierStates earlier_decoder_states() const;

 private:
  struct State;
  explicit SessionStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Readers' side; each works with or without a running daemon.
Result<std::vector<SessionFiles>> list_sessions(const std::filesystem::path& state_directory);
// SESSION as the command line takes it: an id, a unique prefix of one, a path to a journal file or
// a session's folder, or "latest". kRejected with what was found if none or several match.
Result<SessionFiles> find_session(const std::filesystem::path& state_directory,
                                  std::string_view session);

}  // namespace pitbox
