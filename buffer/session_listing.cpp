// Sessions as other programs find them: from the files themselves, with or without a daemon. box.db
// adds only what files cannot know (whether the room has everything).

#include <algorithm>
#include <system_error>
#include <utility>

#include "buffer/journal_schema.h"
#include "buffer/session_state.h"

namespace pitbox {

namespace fs = std::filesystem;

namespace {

BoxContents box_of(const fs::path& state_directory) {
  std::error_code error;
  if (!fs::exists(state_directory / "box.db", error)) return {};
  auto box = read_box(state_directory / "box.db");
  return box.ok() ? std::move(box).take() : BoxContents{};
}

// What the newest file that opens says.
Result<SessionFiles> session_of(const std::vector<fs::path>& files, const BoxContents& box) {
  SessionFiles session;
  session.files = files;
  Status first_refusal;
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    auto reader = JournalReader::open(*file);
    if (!reader.ok()) {
      if (first_refusal.ok()) first_refusal = reader.status();
      continue;
    }
    const auto info = reader.value()->session();
    const auto ended = reader.value()->session_ended();
    if (!info.ok() || !ended.ok()) continue;
    session.info = info.value();
    session.open = !ended.value();
    const auto known = box.sessions.find(session.info.id);
    if (known == box.sessions.end()) return session;
    session.open = known->second.open && !ended.value();
    session.complete = known->second.complete;
    return session;
  }
  if (!first_refusal.ok()) return first_refusal;
  return Status::rejected("no journal file");
}

std::vector<fs::path> folders_in(const fs::path& state_directory, std::string_view prefix) {
  std::vector<fs::path> folders;
  std::error_code error;
  fs::directory_iterator it(state_directory / "sessions", error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (Uuid::parse(name).ok() && name.starts_with(prefix)) folders.push_back(it->path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

// A folder as it may lie on a USB stick: its journals whatever their names, of one session.
Result<SessionFiles> session_in_folder(const fs::path& folder) {
  std::vector<std::pair<std::uint64_t, fs::path>> found;
  std::optional<Uuid> session;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".db") continue;
    auto reader = JournalReader::open(it->path());
    if (!reader.ok()) {
      // Damaged, but one of them by its name: whoever reads the session is to hear of it.
      const auto name = parse_journal_file_name(it->path().filename().string());
      if (name.ok()) found.emplace_back(name.value().number, it->path());
      continue;
    }
    const auto info = reader.value()->session();
    if (!info.ok()) continue;
    if (session && *session != info.value().id) {
      return Status::rejected(folder.string() + " holds journals of several sessions");
    }
    session = info.value().id;
    found.emplace_back(reader.value()->number(), it->path());
  }
  if (error) return Status(Code::kRejected, folder.string() + ": " + error.message());
  std::sort(found.begin(), found.end());
  std::vector<fs::path> files;
  files.reserve(found.size());
  for (auto& [number, file] : found) files.push_back(std::move(file));
  // In its place in a state directory, box.db stands two levels up.
  auto read = session_of(files, box_of(fs::absolute(folder).parent_path().parent_path()));
  if (!read.ok()) return Status(read.status()).within(folder.string());
  return read;
}

Result<SessionFiles> session_at(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return session_in_folder(path);
  if (!fs::exists(path, error)) return Status::rejected(path.string() + " is not there");
  const fs::path folder = fs::absolute(path).parent_path();
  return session_of({path}, box_of(folder.parent_path().parent_path()));
}

bool looks_like_path(std::string_view text) {
  return text.find('/') != std::string_view::npos || text.ends_with(".db") || text == "." ||
         text == "..";
}

}  // namespace

Result<std::vector<SessionFiles>> list_sessions(const fs::path& state_directory) {
  std::error_code error;
  if (!fs::is_directory(state_directory, error)) {
    return Status::rejected("no state directory " + state_directory.string());
  }
  const BoxContents box = box_of(state_directory);
  std::vector<SessionFiles> sessions;
  for (const fs::path& folder : folders_in(state_directory, {})) {
    auto session = session_of(journal_files_in(folder), box);
    if (session.ok()) sessions.push_back(std::move(session).take());
  }
  std::sort(sessions.begin(), sessions.end(), [](const SessionFiles& a, const SessionFiles& b) {
    return began_before(a.info, b.info);
  });
  return sessions;
}

Result<SessionFiles> find_session(const fs::path& state_directory, std::string_view session) {
  if (looks_like_path(session)) return session_at(session);
  if (session == "latest") {
    auto sessions = list_sessions(state_directory);
    if (!sessions.ok()) return sessions.status();
    if (sessions.value().empty()) {
      return Status::rejected("no session in " + state_directory.string());
    }
    return std::move(sessions.value().back());
  }
  std::string prefix(session);
  std::transform(prefix.begin(), prefix.end(), prefix.begin(), [](char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const std::vector<fs::path> folders =
      prefix.empty() ? std::vector<fs::path>{} : folders_in(state_directory, prefix);
  if (folders.size() == 1) {
    auto found = session_of(journal_files_in(folders.front()), box_of(state_directory));
    if (!found.ok()) return Status(found.status()).within(folders.front().string());
    return found;
  }
  std::error_code error;
  if (folders.empty() && !prefix.empty() && fs::exists(fs::path(session), error)) {
    return session_at(session);
  }
  if (folders.empty()) {
    return Status::rejected("no session '" + std::string(session.substr(0, 64)) + "' in " +
                            state_directory.string());
  }
  std::string names;
  for (const fs::path& folder : folders) names += "\n  " + folder.filename().string();
  return Status::rejected("'" + prefix + "' could be any of these:" + names);
}

}  // namespace pitbox
