#include "buffer/box_database.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "buffer/journal_schema.h"

namespace pitbox {
namespace {

constexpr std::int64_t kBoxApplicationId = 0x50424231;  // "PBB1"
// 2: the order of the sessions, and the room in which one is complete. 3: what retention removed.
// 4: which store of the room acknowledged.
constexpr std::int64_t kBoxFormat = 4;
constexpr int kBoxBusyMs = 500;

constexpr char kCreate[] =
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value NOT NULL);"
    "CREATE TABLE IF NOT EXISTS sessions(id TEXT PRIMARY KEY, name TEXT NOT NULL, "
    "type TEXT NOT NULL, platform_id TEXT NOT NULL, started_at_ms INTEGER NOT NULL, "
    "open INTEGER NOT NULL, ended INTEGER NOT NULL, complete INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS files(incarnation TEXT PRIMARY KEY, session TEXT NOT NULL, "
    "number INTEGER NOT NULL, file TEXT NOT NULL, device INTEGER NOT NULL, "
    "inode INTEGER NOT NULL, token TEXT NOT NULL, state TEXT NOT NULL, first INTEGER NOT NULL, "
    "last INTEGER NOT NULL, needs_plain INTEGER NOT NULL, rekeyed_from TEXT NOT NULL, "
    "reason TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS acknowledged(incarnation TEXT NOT NULL, first INTEGER NOT NULL, "
    "last INTEGER NOT NULL, PRIMARY KEY(incarnation, first)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS positions(source TEXT NOT NULL, ring_id INTEGER NOT NULL, "
    "position INTEGER NOT NULL, number INTEGER NOT NULL, connection INTEGER NOT NULL, "
    "kernel_drops INTEGER NOT NULL, UNIQUE(source, ring_id))";

// What forms after the first added, each from the form before it.
constexpr char kToForm2[] =
    "ALTER TABLE sessions ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE sessions ADD COLUMN complete_url TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE sessions ADD COLUMN complete_store TEXT NOT NULL DEFAULT '0000000000000000';"
    "PRAGMA user_version = 2";
constexpr char kToForm3[] =
    "CREATE TABLE removed(incarnation TEXT NOT NULL, first INTEGER NOT NULL, "
    "last INTEGER NOT NULL, PRIMARY KEY(incarnation, first)) WITHOUT ROWID;"
    "CREATE TABLE evicted(incarnation TEXT NOT NULL, first INTEGER NOT NULL, "
    "last INTEGER NOT NULL, PRIMARY KEY(incarnation, first)) WITHOUT ROWID;"
    "PRAGMA user_version = 3";
constexpr char kToForm4[] =
    "ALTER TABLE files ADD COLUMN acknowledged_by TEXT NOT NULL DEFAULT '0000000000000000';"
    "PRAGMA user_version = 4";

constexpr std::array kStates = {FileState::kLive, FileState::kAside, FileState::kQuarantined,
                                FileState::kMissing};

std::optional<FileState> parse_state(std::string_view text) {
  for (const FileState state : kStates) {
    if (text == to_string(state)) return state;
  }
  return std::nullopt;
}

Status check_box(Database& database) {
  const auto application = database.integer("PRAGMA application_id");
  if (!application.ok()) return application.status();
  const auto format = database.integer("PRAGMA user_version");
  if (!format.ok()) return format.status();
  if (application.value() == kBoxApplicationId && format.value() >= 1 &&
      format.value() <= kBoxFormat + 1) {
    return {};
  }
  return Status::corrupt("not a box.db of this format");
}

// To the form of this program, in one transaction.
Status migrate_box(Database& database) {
  const auto form = database.integer("PRAGMA user_version");
  if (!form.ok()) return form.status();
  if (form.value() >= kBoxFormat) return {};
  auto transaction = Transaction::begin(database);
  if (!transaction.ok()) return transaction.status();
  Status status;
  if (form.value() < 2) status = database.exec(kToForm2);
  if (status.ok() && form.value() < 3) status = database.exec(kToForm3);
  if (status.ok()) status = database.exec(kToForm4);
  if (status.ok()) status = transaction.value().commit();
  return status;
}

// Calls `take` for each row; stops at the first refusal.
template <typename Take>
Status each(Database& database, std::string_view sql, Take take) {
  auto statement = database.prepare(sql);
  if (!statement.ok()) return statement.status();
  for (;;) {
    const auto stepped = statement.value().step();
    if (!stepped.ok()) return stepped.status();
    if (!stepped.value()) return {};
    Status taken = take(statement.value());
    if (!taken.ok()) return taken;
  }
}

Status load_session(const Statement& row, BoxContents& box) {
  const auto id = Uuid::parse(row.text(0));
  if (!id.ok()) return Status::corrupt("a session's id");
  SessionRecord session;
  session.info = {.id = id.value(),
                  .name = std::string(row.text(1)),
                  .type = std::string(row.text(2)),
                  .platform_id = std::string(row.text(3)),
                  .started_at_ms = row.integer(4)};
  session.open = row.integer(5) != 0;
  session.ended = row.integer(6) != 0;
  session.complete = row.integer(7) != 0;
  session.info.ordinal = row.u64(8);
  const auto store = parse_hex_id(row.text(10));
  if (!store.ok()) return Status::corrupt("the id of a room's store");
  session.complete_in = {.url = std::string(row.text(9)), .store = store.value()};
  box.sessions.emplace(id.value(), std::move(session));
  return {};
}

Status load_file(const Statement& row, BoxContents& box) {
  const auto incarnation = parse_hex_id(row.text(0));
  const auto session = Uuid::parse(row.text(1));
  const auto token = parse_hex_id(row.text(6));
  const auto state = parse_state(row.text(7));
  const auto rekeyed_from = parse_hex_id(row.text(11));
  const auto acknowledged_by = parse_hex_id(row.text(13));
  if (!incarnation.ok() || !session.ok() || !token.ok() || !state || !rekeyed_from.ok() ||
      !acknowledged_by.ok()) {
    return Status::corrupt("a file's row");
  }
  FileRecord file;
  file.incarnation = incarnation.value();
  file.session = session.value();
  file.number = row.u64(2);
  file.file = row.text(3);
  file.device = row.u64(4);
  file.inode = row.u64(5);
  file.token = token.value();
  file.state = *state;
  file.first = row.u64(8);
  file.last = row.u64(9);
  file.needs_plain = row.integer(10) != 0;
  file.rekeyed_from = rekeyed_from.value();
  file.reason = row.text(12);
  file.acknowledged_by = acknowledged_by.value();
  box.files.emplace(file.incarnation, std::move(file));
  return {};
}

// A table of ranges by incarnation, into that member of the files.
Status load_ranges(Database& database, const std::string& table, RangeSet FileRecord::*member,
                   BoxContents& box) {
  return each(database, "SELECT incarnation, first, last FROM " + table, [&](Statement& row) {
    const auto incarnation = parse_hex_id(row.text(0));
    if (!incarnation.ok() || row.integer(1) < 1 || row.integer(2) < row.integer(1)) {
      return Status::corrupt("a range of " + table);
    }
    const auto file = box.files.find(incarnation.value());
    if (file != box.files.end()) (file->second.*member).add(Range{row.u64(1), row.u64(2)});
    return Status();
  });
}

Result<BoxContents> load_box(Database& database) {
  BoxContents box;
  Status status =
      each(database, "SELECT value FROM meta WHERE key = 'box_id'", [&](Statement& row) {
        const auto id = Uuid::parse(row.text(0));
        if (id.ok()) box.box_id = id.value();
        return id.ok() ? Status() : Status::corrupt("the box's id");
      });
  if (!status.ok()) return status;
  // Whoever only reads does not migrate.
  const auto form = database.integer("PRAGMA user_version");
  if (!form.ok()) return form.status();
  status = each(database,
                std::string("SELECT id, name, type, platform_id, started_at_ms, open, ended, "
                            "complete, ") +
                    (form.value() < 2 ? "0, '', '0000000000000000'"
                                      : "ordinal, complete_url, complete_store") +
                    " FROM sessions",
                [&](Statement& row) { return load_session(row, box); });
  if (!status.ok()) return status;
  status = each(database,
                std::string("SELECT incarnation, session, number, file, device, inode, token, "
                            "state, first, last, needs_plain, rekeyed_from, reason, ") +
                    (form.value() < 4 ? "'0000000000000000'" : "acknowledged_by") + " FROM files",
                [&](Statement& row) { return load_file(row, box); });
  if (!status.ok()) return status;
  status = load_ranges(database, "acknowledged", &FileRecord::acknowledged, box);
  if (status.ok() && form.value() >= 3) {
    status = load_ranges(database, "removed", &FileRecord::removed, box);
    if (status.ok()) status = load_ranges(database, "evicted", &FileRecord::evicted, box);
  }
  if (!status.ok()) return status;
  status = each(
      database, "SELECT source, ring_id, position, number, connection, kernel_drops FROM positions",
      [&](Statement& row) {
        const ConsumedPosition position{.ring_id = row.u64(1),
                                        .position = row.u64(2),
                                        .number = row.u64(3),
                                        .connection = row.u64(4),
                                        .kernel_drops = static_cast<std::uint32_t>(row.u64(5))};
        box.positions[{std::string(row.text(0)), position.ring_id}] = position;
        return Status();
      });
  if (!status.ok()) return status;
  return box;
}

// Prepares, binds through `bind`, runs.
template <typename Bind>
Status run(Database& database, const char* sql, Bind bind) {
  auto statement = database.prepare(sql);
  if (!statement.ok()) return statement.status();
  bind(statement.value());
  return statement.value().run();
}

Status put_session(Database& database, const SessionRecord& session) {
  const std::string id = session.info.id.text();
  const std::string store = hex_id(session.complete_in.store);
  return run(database,
             "INSERT OR REPLACE INTO sessions(id, name, type, platform_id, started_at_ms, open, "
             "ended, complete, ordinal, complete_url, complete_store) "
             "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
             [&](Statement& row) {
               row.bind_text(1, id)
                   .bind_text(2, session.info.name)
                   .bind_text(3, session.info.type)
                   .bind_text(4, session.info.platform_id)
                   .bind(5, session.info.started_at_ms)
                   .bind(6, session.open ? 1 : 0)
                   .bind(7, session.ended ? 1 : 0)
                   .bind(8, session.complete ? 1 : 0)
                   .bind_u64(9, session.info.ordinal)
                   .bind_text(10, session.complete_in.url)
                   .bind_text(11, store);
             });
}

Status put_ranges(Database& database, const std::string& table, const std::string& incarnation,
                  const RangeSet& ranges) {
  Status status = run(database, ("DELETE FROM " + table + " WHERE incarnation = ?").c_str(),
                      [&](Statement& row) { row.bind_text(1, incarnation); });
  const std::string insert = "INSERT INTO " + table + "(incarnation, first, last) VALUES(?, ?, ?)";
  for (const Range& range : ranges.ranges()) {
    if (!status.ok()) return status;
    status = run(database, insert.c_str(), [&](Statement& row) {
      row.bind_text(1, incarnation).bind_u64(2, range.first).bind_u64(3, range.last);
    });
  }
  return status;
}

Status put_file(Database& database, const FileRecord& file) {
  const std::string incarnation = hex_id(file.incarnation);
  const std::string session = file.session.text();
  const std::string path = file.file.string();
  const std::string token = hex_id(file.token);
  const std::string rekeyed_from = hex_id(file.rekeyed_from);
  const std::string acknowledged_by = hex_id(file.acknowledged_by);
  Status status =
      run(database,
          "INSERT OR REPLACE INTO files(incarnation, session, number, file, device, inode, token, "
          "state, first, last, needs_plain, rekeyed_from, reason, acknowledged_by) "
          "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          [&](Statement& row) {
            row.bind_text(1, incarnation)
                .bind_text(2, session)
                .bind_u64(3, file.number)
                .bind_text(4, path)
                .bind_u64(5, file.device)
                .bind_u64(6, file.inode)
                .bind_text(7, token)
                .bind_text(8, to_string(file.state))
                .bind_u64(9, file.first)
                .bind_u64(10, file.last)
                .bind(11, file.needs_plain ? 1 : 0)
                .bind_text(12, rekeyed_from)
                .bind_text(13, file.reason)
                .bind_text(14, acknowledged_by);
          });
  return status.ok() ? put_ranges(database, "acknowledged", incarnation, file.acknowledged)
                     : status;
}

Status put_position(Database& database, const std::string& source, const ConsumedPosition& at) {
  return run(database,
             "INSERT OR REPLACE INTO positions(source, ring_id, position, number, connection, "
             "kernel_drops) VALUES(?, ?, ?, ?, ?, ?)",
             [&](Statement& row) {
               row.bind_text(1, source)
                   .bind_u64(2, at.ring_id)
                   .bind_u64(3, at.position)
                   .bind_u64(4, at.number)
                   .bind_u64(5, at.connection)
                   .bind(6, at.kernel_drops);
             });
}

}  // namespace

std::string_view to_string(FileState state) {
  switch (state) {
    case FileState::kLive:
      return "live";
    case FileState::kAside:
      return "aside";
    case FileState::kQuarantined:
      return "quarantined";
    case FileState::kMissing:
      return "missing";
  }
  return "unknown";
}

Result<BoxDatabase> BoxDatabase::open(const std::filesystem::path& file) {
  auto opened = Database::open(file, Database::Mode::kCreate);
  if (!opened.ok()) return opened.status();
  Database database = std::move(opened).take();
  database.set_busy_timeout_ms(kBoxBusyMs);
  Status status = database.distrust(kMaxJournalValueBytes);
  if (!status.ok()) return status;
  const auto tables = database.integer("SELECT count(*) FROM sqlite_master");
  if (!tables.ok()) return tables.status();
  const bool is_new = tables.value() == 0;
  status = database.use_wal();
  if (status.ok()) status = database.exec("PRAGMA synchronous = FULL");
  if (!status.ok()) return status;
  if (is_new) {
    auto transaction = Transaction::begin(database);
    if (!transaction.ok()) return transaction.status();
    status = database.exec(kCreate);
    const std::string marks = "PRAGMA application_id = " + std::to_string(kBoxApplicationId) +
                              "; PRAGMA user_version = 1";
    if (status.ok()) status = database.exec(marks.c_str());
    if (status.ok()) status = transaction.value().commit();
    if (!status.ok()) return status;
  }
  if (status = check_box(database); !status.ok()) return status;
  if (status = migrate_box(database); !status.ok()) return status;
  // It is small, so all of it can be looked at.
  const auto sound = database.text("PRAGMA quick_check(1)");
  if (!sound.ok()) return sound.status();
  if (sound.value() != "ok") return Status::corrupt(sound.value());
  return BoxDatabase(file, std::move(database));
}

Result<BoxContents> BoxDatabase::load() {
  return load_box(database_);
}

Status BoxDatabase::set_box_id(const Uuid& id) {
  return put_meta(database_, "box_id", std::string_view(id.text()));
}

Status BoxDatabase::put(const BoxChange& change) {
  if (has_failed_) {
    const Status rewritten = Database::rewrite_wal(file_);
    if (!rewritten.ok()) return Status(rewritten).within("box.db");
    has_failed_ = false;
  }
  // A durable transaction syncs the WAL with all that an earlier one left in it.
  Status status = database_.exec(change.is_durable ? "PRAGMA synchronous = FULL"
                                                   : "PRAGMA synchronous = NORMAL");
  if (!status.ok()) return status;
  auto transaction = Transaction::begin(database_);
  if (!transaction.ok()) return transaction.status();
  if (status = put_rows(change); !status.ok()) return std::move(status).within("box.db");
  Status committed = transaction.value().commit().within("box.db");
  has_failed_ = !committed.ok();
  if (!committed.ok() || database_.wal_pages() <= kWalPagesMax) return committed;
  // What is committed is committed; the checkpoint is tried again with the next one.
  has_failed_ = !database_.checkpoint(false).ok();
  return {};
}

Status BoxDatabase::put_rows(const BoxChange& change) {
  Status status;
  for (const SessionRecord& session : change.sessions) {
    if (status.ok()) status = put_session(database_, session);
  }
  for (const FileRecord& file : change.files) {
    if (status.ok()) status = put_file(database_, file);
    const bool is_gone_new = std::find(change.gone_of.begin(), change.gone_of.end(),
                                       file.incarnation) != change.gone_of.end();
    if (!is_gone_new) continue;
    const std::string incarnation = hex_id(file.incarnation);
    if (status.ok()) status = put_ranges(database_, "removed", incarnation, file.removed);
    if (status.ok()) status = put_ranges(database_, "evicted", incarnation, file.evicted);
  }
  for (const auto& [key, position] : change.positions) {
    if (status.ok()) status = put_position(database_, key.first, position);
  }
  if (!status.ok() || change.positions.empty()) return status;
  // Rings die with the boot; only the latest can come back.
  return run(database_,
             "DELETE FROM positions WHERE rowid <= (SELECT max(rowid) FROM positions) - ?",
             [](Statement& row) { row.bind(1, kPositionsKept); });
}

Result<BoxContents> read_box(const std::filesystem::path& file) {
  auto opened = Database::open(file, Database::Mode::kReadOnly);
  if (!opened.ok()) return opened.status();
  opened.value().set_busy_timeout_ms(kBoxBusyMs);
  Status status = opened.value().distrust(kMaxJournalValueBytes);
  if (status.ok()) status = check_box(opened.value());
  if (!status.ok()) return status;
  return load_box(opened.value());
}

}  // namespace pitbox
