// What the store remembers for a process that starts while no session is open.

#include <algorithm>
#include <utility>

#include "buffer/journal_reader.h"
#include "buffer/session_state.h"
#include "buffer/session_store.h"

namespace pitbox {
namespace {

// A source that took no part in that many sessions is as good as new.
constexpr std::size_t kSessionsLookedAt = 4;

Result<std::map<std::string, std::string>> read_states(const std::filesystem::path& file) {
  auto reader = JournalReader::open(file);
  if (!reader.ok()) return reader.status();
  return reader.value()->decoder_states();
}

bool may_be_read_later(const Status& status) {
  return status.code() != Code::kCorrupt && status.code() != Code::kRejected;
}

}  // namespace

SessionStore::EarlierStates SessionStore::earlier_decoder_states() const {
  const State& state = *state_;
  // Of each session the newest file: a file carries on with every state of the one before it.
  std::vector<const FileRecord*> newest;
  for (const auto& entry : state.known.files) {
    const FileRecord& file = entry.second;
    const auto same = std::find_if(newest.begin(), newest.end(), [&](const FileRecord* other) {
      return other->session == file.session;
    });
    if (same == newest.end()) {
      newest.push_back(&file);
    } else if ((*same)->number < file.number) {
      *same = &file;
    }
  }
  const auto session_of = [&](const FileRecord* file) {
    const auto session = state.known.sessions.find(file->session);
    return session == state.known.sessions.end() ? SessionInfo{} : session->second.info;
  };
  std::sort(newest.begin(), newest.end(), [&](const FileRecord* a, const FileRecord* b) {
    return began_before(session_of(b), session_of(a));
  });
  if (newest.size() > kSessionsLookedAt) newest.resize(kSessionsLookedAt);

  EarlierStates result;
  for (const FileRecord* file : newest) {
    const bool is_there = file->state == FileState::kLive || file->state == FileState::kAside;
    if (!is_there) continue;
    auto states = read_states(state.path_of(*file));
    if (states.ok()) {
      result.states.merge(states.value());
    } else if (may_be_read_later(states.status())) {
      result.unread = states.status();
    }
  }
  return result;
}

}  // namespace pitbox
