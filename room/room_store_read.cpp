// Opening a room's file, and what is read from it: matches, pages of history, laps, summaries.

#include <algorithm>
#include <charconv>

#include "proto/event.h"
#include "proto/frames.h"
#include "room/room_store.h"

namespace pitbox {
namespace {

// "PbRm": tells the file from a box's journal.
constexpr std::int64_t kApplicationId = 0x5062'526D;
constexpr std::int64_t kFormat = 1;
constexpr std::size_t kHashBytes = 16;
constexpr int kRowsPerPage = 256;

constexpr const char* kTables = R"(
  CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE files(id INTEGER PRIMARY KEY, box BLOB NOT NULL, incarnation INTEGER NOT NULL,
                     final INTEGER, UNIQUE(box, incarnation));
  CREATE TABLE finished(box BLOB PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE definitions(prefix INTEGER PRIMARY KEY, name BLOB NOT NULL, content BLOB NOT NULL);
  CREATE TABLE entries(id INTEGER PRIMARY KEY, file INTEGER NOT NULL, first INTEGER NOT NULL,
                       last INTEGER NOT NULL, kind TEXT NOT NULL, car TEXT NOT NULL,
                       hashes BLOB NOT NULL, definitions BLOB NOT NULL, bytes BLOB NOT NULL);
  CREATE UNIQUE INDEX entries_by_key ON entries(file, last);
  CREATE INDEX events ON entries(id) WHERE kind <> 'batch';
  CREATE TABLE held(file INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
                    PRIMARY KEY(file, first)) WITHOUT ROWID;
  CREATE TABLE laps(car TEXT NOT NULL, lap INTEGER NOT NULL, revision INTEGER NOT NULL,
                    content BLOB NOT NULL, PRIMARY KEY(car, lap)) WITHOUT ROWID;
)";

std::vector<std::uint64_t> unpacked(std::string_view bytes) {
  std::vector<std::uint64_t> out;
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t prefix = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      prefix = prefix << 8 | static_cast<std::uint8_t>(bytes[at + i]);
    }
    out.push_back(prefix);
  }
  return out;
}

std::int64_t to_integer(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Runs `visit` for each row of a query without parameters.
Status each_row(Database& database, std::string_view sql, const auto& visit) {
  auto statement = database.prepare(sql);
  if (!statement.ok()) return statement.status();
  while (true) {
    const auto row = statement.value().step();
    if (!row.ok()) return row.status();
    if (!row.value()) return {};
    Status visited = visit(statement.value());
    if (!visited.ok()) return visited;
  }
}

Status load_meta(Database& database, std::map<std::string, std::string, std::less<>>& meta,
                 RoomTotals& totals) {
  Status read = each_row(database, "SELECT key, value FROM meta", [&](Statement& row) -> Status {
    meta[std::string(row.text(0))] = std::string(row.text(1));
    return {};
  });
  if (!read.ok()) return read;
  return each_row(database, "SELECT name, value FROM counters", [&](Statement& row) -> Status {
    each_total(totals, [&](std::string_view name, std::uint64_t& value) {
      if (name == row.text(0)) value = row.u64(1);
    });
    return {};
  });
}

Status check_format(Database& database) {
  const auto application = database.integer("PRAGMA application_id");
  if (!application.ok()) return application.status();
  const auto format = database.integer("PRAGMA user_version");
  if (!format.ok()) return format.status();
  if (application.value() != kApplicationId) return {Code::kCorrupt, "not a room's file"};
  // One step newer is readable: it only adds (expand, then contract).
  if (format.value() > kFormat + 1) return {Code::kCorrupt, "written by a much newer version"};
  return {};
}

}  // namespace

RoomStore::RoomStore(const Options& options, Database database)
    : options_(options), database_(std::move(database)) {}

Result<std::unique_ptr<RoomStore>> RoomStore::open(const Options& options) {
  const std::string step = "open room " + options.file.string();
  std::error_code error;
  const bool is_there = std::filesystem::exists(options.file, error);
  if (!is_there && !options.create) return Status(Code::kRejected, "there is no such room");
  auto database = Database::open(
      options.file, options.create ? Database::Mode::kCreate : Database::Mode::kReadWrite,
      options.vfs);
  if (!database.ok()) return Status(database.status()).within(step);
  std::unique_ptr<RoomStore> store(new RoomStore(options, std::move(database).take()));
  Status opened = store->create_tables();
  if (opened.ok()) opened = store->load();
  if (opened.ok()) opened = store->prepare();
  if (!opened.ok()) return std::move(opened).within(step);
  return store;
}

Status RoomStore::create_tables() {
  Status set =
      database_.exec(("PRAGMA page_size = " + std::to_string(options_.page_bytes)).c_str());
  if (set.ok()) set = database_.use_wal();
  if (set.ok()) set = database_.exec("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;");
  if (!set.ok()) return set;
  const auto tables = database_.integer("SELECT count(*) FROM sqlite_master");
  if (!tables.ok()) return tables.status();
  // One transaction: a room that was being made when we were killed is an empty file, made again.
  if (tables.value() > 0) return check_format(database_);
  Status begun = begin();
  if (!begun.ok()) return begun;
  Status made = database_.exec(kTables);
  if (!made.ok()) return made;
  const std::string marks = "PRAGMA application_id = " + std::to_string(kApplicationId) +
                            "; PRAGMA user_version = " + std::to_string(kFormat);
  made = database_.exec(marks.c_str());
  if (!made.ok()) return made;
  auto put = database_.prepare("INSERT INTO meta(key, value) VALUES(?1, ?2)");
  if (!put.ok()) return put.status();
  const std::string session = options_.session.text();
  const std::string created = std::to_string(options_.created_at_ms);
  made = put.value().bind_text(1, "session").bind_text(2, session).run();
  if (made.ok()) made = put.value().bind_text(1, "created_at_ms").bind_text(2, created).run();
  if (made.ok()) made = transaction_->commit();
  transaction_.reset();
  return made;
}

Status RoomStore::load() {
  Status loaded = load_meta(database_, meta_, totals_);
  if (!loaded.ok()) return loaded;
  if (meta_["session"] != options_.session.text()) {
    return {Code::kCorrupt, "the file belongs to another session"};
  }
  const auto last = database_.integer("SELECT coalesce(max(id), 0) FROM entries");
  if (!last.ok()) return last.status();
  last_committed_ = last_id_ = last.value();
  loaded = load_files();
  return loaded.ok() ? load_definitions() : loaded;
}

Status RoomStore::load_files() {
  constexpr const char* kFiles = "SELECT id, box, incarnation, final FROM files";
  Status loaded = each_row(database_, kFiles, [&](Statement& row) -> Status {
    auto box = Uuid::from_bytes(row.blob(1));
    if (!box.ok()) return box.status();
    RoomFile file{row.integer(0), box.value(), row.u64(2), {}, {}};
    if (!row.is_null(3)) file.final_sequence = row.u64(3);
    file_ids_[{file.box, file.incarnation}] = file.id;
    files_[file.id] = std::move(file);
    return {};
  });
  if (!loaded.ok()) return loaded;
  constexpr const char* kHeld = "SELECT file, first, last FROM held ORDER BY file, first";
  loaded = each_row(database_, kHeld, [&](Statement& row) -> Status {
    const auto file = files_.find(row.integer(0));
    const Range range{row.u64(1), row.u64(2)};
    if (file == files_.end() || range.first < 1 || range.first > range.last) {
      return {Code::kCorrupt, "a held range is none"};
    }
    file->second.held.add(range);
    return {};
  });
  if (!loaded.ok()) return loaded;
  return each_row(database_, "SELECT box FROM finished", [&](Statement& row) -> Status {
    auto box = Uuid::from_bytes(row.blob(0));
    if (!box.ok()) return box.status();
    finished_[box.value()] = true;
    return {};
  });
}

Status RoomStore::load_definitions() {
  return each_row(database_, "SELECT content FROM definitions", [&](Statement& row) -> Status {
    auto definition = Definition::parse(row.blob(0));
    if (!definition.ok()) return definition.status();
    definition_bytes_ += definition.value()->bytes().size();
    definitions_[definition.value()->prefix()] = definition.value();
    return {};
  });
}

Result<RoomSummary> RoomStore::summarise(const std::filesystem::path& file) {
  auto database = Database::open(file, Database::Mode::kReadWrite);
  if (!database.ok()) return database.status();
  Status checked = check_format(database.value());
  if (!checked.ok()) return checked;
  std::map<std::string, std::string, std::less<>> meta;
  RoomSummary summary;
  Status read = load_meta(database.value(), meta, summary.totals);
  if (!read.ok()) return read;
  auto session = Uuid::parse(meta["session"]);
  if (!session.ok()) return session.status();
  summary.session = session.value();
  summary.name = meta["name"];
  summary.type = meta["type"];
  summary.created_at_ms = to_integer(meta["created_at_ms"]);
  // A file is open while its last sequence is not held from 1 on.
  const auto open_files = database.value().integer(
      "SELECT count(*) FROM files WHERE final > 0 AND NOT EXISTS(SELECT 1 FROM held WHERE"
      " held.file = files.id AND held.first = 1 AND held.last >= files.final)");
  const auto finished = database.value().integer("SELECT count(*) FROM finished");
  if (!open_files.ok()) return open_files.status();
  if (!finished.ok()) return finished.status();
  summary.is_complete = finished.value() > 0 && open_files.value() == 0;
  return summary;
}

RoomSummary RoomStore::summary() const {
  RoomSummary summary;
  summary.session = options_.session;
  const auto text = [&](std::string_view key) {
    const auto found = meta_.find(key);
    return found == meta_.end() ? std::string() : found->second;
  };
  summary.name = text("name");
  summary.type = text("type");
  summary.created_at_ms = to_integer(text("created_at_ms"));
  summary.totals = totals_;
  summary.is_complete =
      !finished_.empty() && std::all_of(finished_.begin(), finished_.end(),
                                        [&](const auto& box) { return is_complete(box.first); });
  return summary;
}

bool RoomStore::is_complete(const Uuid& box) const {
  if (!finished_.contains(box)) return false;
  return std::all_of(files_.begin(), files_.end(), [&](const auto& item) {
    const RoomFile& file = item.second;
    if (file.box != box || file.final_sequence.value_or(0) == 0) return true;
    return file.held.contains(Range{1, *file.final_sequence});
  });
}

DefinitionPtr RoomStore::definition(std::uint64_t prefix) const {
  const auto found = definitions_.find(prefix);
  return found == definitions_.end() ? nullptr : found->second;
}

Result<RoomStore::Match> RoomStore::match(std::int64_t file, Range range, std::string_view hashes) {
  const bool may_hold = files_[file].held.overlaps(range) ||
                        (waiting_.contains(file) && waiting_[file].overlaps(range));
  if (!may_hold) return Match{};
  Statement& query = statements_.match;
  query.bind(1, file).bind_u64(2, range.first);
  std::uint64_t same = 0;
  Match match;
  while (match.kind != Match::Kind::kConflict) {
    const auto row = query.step();
    if (!row.ok()) return row.status();
    if (!row.value() || query.u64(0) > range.last) break;
    const std::uint64_t row_first = query.u64(0);
    const std::string_view held = query.blob(2);
    const std::uint64_t last = std::min(query.u64(1), range.last);
    for (std::uint64_t at = std::max(row_first, range.first); at <= last; ++at, ++same) {
      const auto theirs = held.substr((at - row_first) * kHashBytes, kHashBytes);
      if (theirs == hashes.substr((at - range.first) * kHashBytes, kHashBytes)) continue;
      match = {Match::Kind::kConflict, std::string(theirs)};
      break;
    }
  }
  query.reset();
  if (match.kind == Match::Kind::kConflict || same == 0) return match;
  // Some of it, but not all: it cannot be stored beside what is there without holding that twice.
  const bool is_all = same == range.last - range.first + 1;
  match.kind = is_all ? Match::Kind::kDuplicate : Match::Kind::kConflict;
  return match;
}

Result<std::vector<RoomStore::Content>> RoomStore::contents(std::int64_t file, Range range,
                                                            std::size_t limit) {
  std::vector<Content> found;
  Statement& query = statements_.contents;
  // One entry may reach beyond the range.
  const std::uint64_t last_key = std::min(range.last, kMaxSequence) + kMaxSequencesPerEntry - 1;
  query.bind(1, file).bind_u64(2, range.first).bind_u64(3, last_key);
  while (found.size() < limit) {
    const auto row = query.step();
    if (!row.ok()) return row.status();
    if (!row.value()) break;
    const std::uint64_t row_first = query.u64(0);
    const std::string_view held = query.blob(2);
    std::uint64_t at = std::min(query.u64(1), range.last);
    for (; at >= std::max(row_first, range.first) && found.size() < limit; --at) {
      found.push_back({at, short_hash(held.substr((at - row_first) * kHashBytes, kHashBytes))});
    }
  }
  query.reset();
  return found;
}

Result<RoomStore::Page> RoomStore::page(const PageRequest& request) {
  Statement& query = request.which == Which::kAll ? statements_.page_all : statements_.page_events;
  query.bind(1, request.after).bind(2, request.through);
  Page page;
  page.cursor = request.through;
  std::size_t bytes = 0;
  for (int rows = 0;; ++rows) {
    const auto row = query.step();
    if (!row.ok()) return row.status();
    if (!row.value()) break;
    const bool is_enough = page.entries.size() >= request.limit || bytes >= request.bytes;
    if (is_enough || rows >= kRowsPerPage) {
      page.cursor = query.integer(0) - 1;
      break;
    }
    const std::string_view car = query.text(5);
    const bool is_other_car = !request.car.empty() && !car.empty() && car != request.car;
    const bool is_other_kind = request.which == Which::kLaps && query.text(4) != "lap";
    if (is_other_car || is_other_kind) continue;
    RoomEntry entry;
    entry.id = query.integer(0);
    entry.file = query.integer(1);
    entry.first = query.u64(2);
    entry.last = query.u64(3);
    entry.kind = std::string(query.text(4));
    entry.car = std::string(car);
    entry.hashes = std::string(query.blob(6));
    entry.definitions = unpacked(query.blob(7));
    entry.bytes = std::string(query.blob(8));
    bytes += entry.bytes.size();
    page.entries.push_back(std::move(entry));
  }
  query.reset();
  return page;
}

Result<std::vector<words::Lap>> RoomStore::laps() {
  std::vector<words::Lap> laps;
  constexpr const char* kLaps = "SELECT content FROM laps ORDER BY car, lap";
  Status read = each_row(database_, kLaps, [&](Statement& row) -> Status {
    const std::string_view content = row.blob(0);
    words::Lap lap;
    if (!lap.ParseFromArray(content.data(), static_cast<int>(content.size()))) {
      return {Code::kCorrupt, "a lap does not parse"};
    }
    laps.push_back(std::move(lap));
    return {};
  });
  if (!read.ok()) return read;
  return laps;
}

}  // namespace pitbox
