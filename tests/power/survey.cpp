#include "tests/power/survey.h"

#include <string>
#include <utility>

#include "buffer/session_store.h"
#include "export/session_rows.h"

namespace pitbox {
namespace {

Status refuse_quarantined(const std::filesystem::path& state_directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(state_directory, error)) {
    if (entry.path().filename().string().find(".quarantine-") == std::string::npos) continue;
    return Status::corrupt(entry.path().string() + ": did not open");
  }
  return {};
}

Status follow(std::uint64_t incarnation, std::uint64_t first, std::uint64_t last, Survey& found) {
  std::uint64_t& before = found.last[incarnation];
  if (first != before + 1) {
    return Status::corrupt("sequence " + std::to_string(first) + " follows " +
                           std::to_string(before));
  }
  before = last;
  return {};
}

Status survey_session(const SessionFiles& session, Survey& found) {
  SessionReadOptions reading;
  reading.keep_copies = true;  // What was journaled twice would have to show.
  reading.event = [&](const SessionEvent& event) {
    return follow(event.incarnation, event.sequence, event.sequence, found);
  };
  return read_session_batches(session, reading, [&](const SessionBatch& batch) -> Status {
    for (const GroupColumns& group : batch.decoded.groups) {
      identify_rows(batch.car, group, found.rows);
    }
    return follow(batch.incarnation, batch.first, batch.last, found);
  });
}

}  // namespace

Result<Survey> survey(const std::filesystem::path& state_directory) {
  Survey found;
  if (!std::filesystem::exists(state_directory)) return found;
  if (Status clean = refuse_quarantined(state_directory); !clean.ok()) return clean;
  const auto sessions = list_sessions(state_directory);
  if (!sessions.ok()) return sessions.status();
  for (const SessionFiles& session : sessions.value()) {
    found.files += session.files.size();
    Status read = survey_session(session, found);
    if (!read.ok()) return std::move(read).within("session " + session.info.id.text());
  }
  return found;
}

}  // namespace pitbox
