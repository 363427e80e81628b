#include "proto/sqlite.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "proto/mutant.h"

namespace pitbox {
namespace {

// SQLite codes by remedy; extended codes carry the primary one in their low byte.
Code remedy_of(int code) {
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::kTryAgain;
    case SQLITE_FULL:
      return Code::kFull;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return Code::kCorrupt;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
      return Code::kRejected;
    default:
      return Code::kFatal;
  }
}

Status status_of(sqlite3* database, const char* step) {
  const int code = sqlite3_extended_errcode(database);
  return {remedy_of(code), std::string(step) + ": " + sqlite3_errmsg(database) + " (sqlite " +
                               std::to_string(code) + ")"};
}

std::string_view view_of(const void* data, int size) {
  if (data == nullptr || size <= 0) return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

// SQLite takes a null pointer for NULL; an empty text or blob needs some address.
const char* address_of(std::string_view value) {
  return value.empty() ? "" : value.data();
}

// A path as the URI that SQLite asks for where a flag is to go with it.
std::string immutable_uri(const std::filesystem::path& file) {
  constexpr char kHexDigits[] = "0123456789ABCDEF";
  std::string uri = "file://";
  for (const char c : std::filesystem::absolute(file).string()) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '/' || c == '-' || c == '_' || c == '.';
    if (is_plain) {
      uri.push_back(c);
      continue;
    }
    uri.push_back('%');
    uri.push_back(kHexDigits[byte >> 4]);
    uri.push_back(kHexDigits[byte & 0x0F]);
  }
  return uri + "?immutable=1";
}

int note_wal_pages(void* counter, sqlite3*, const char*, int pages) {
  *static_cast<int*>(counter) = pages;
  return SQLITE_OK;
}

// A file of a VFS, outside of any connection.
class VfsFile {
 public:
  VfsFile(sqlite3_vfs& vfs, const std::string& name, int flags)
      // Twice terminated, as a VFS may look for URI parameters behind a name.
      : name_(name + std::string(2, '\0')),
        memory_(static_cast<std::size_t>(vfs.szOsFile) / sizeof(std::max_align_t) + 1),
        file_(reinterpret_cast<sqlite3_file*>(memory_.data())),
        code_(vfs.xOpen(&vfs, name_.c_str(), file_, flags, nullptr)) {}
  ~VfsFile() {
    if (file_->pMethods != nullptr) file_->pMethods->xClose(file_);
  }
  VfsFile(const VfsFile&) = delete;
  VfsFile& operator=(const VfsFile&) = delete;

  int open_code() const { return code_; }
  // Every byte again, and a sync. SQLITE_OK or what failed.
  int rewrite() {
    sqlite3_int64 size = 0;
    int code = file_->pMethods->xFileSize(file_, &size);
    std::vector<char> chunk(static_cast<std::size_t>(std::min<sqlite3_int64>(size, kChunkBytes)));
    for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size;) {
      const auto length = static_cast<int>(std::min<sqlite3_int64>(kChunkBytes, size - at));
      code = file_->pMethods->xRead(file_, chunk.data(), length, at);
      if (code == SQLITE_OK) code = file_->pMethods->xWrite(file_, chunk.data(), length, at);
      at += length;
    }
    if (code != SQLITE_OK || size == 0) return code;
    return file_->pMethods->xSync(file_, SQLITE_SYNC_NORMAL);
  }

 private:
  static constexpr int kChunkBytes = 64 * 1024;  // A unix VFS takes less than 128 KiB at a time.
  const std::string name_;
  std::vector<std::max_align_t> memory_;
  sqlite3_file* const file_;
  const int code_;
};

}  // namespace

Statement::Statement(Statement&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(raw_, other.raw_);
  return *this;
}

Statement::~Statement() {
  sqlite3_finalize(raw_);
}

Statement& Statement::bind(int index, std::int64_t value) {
  CHECK(sqlite3_bind_int64(raw_, index, value) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind_u64(int index, std::uint64_t value) {
  return bind(index, static_cast<std::int64_t>(value));
}

Statement& Statement::bind_text(int index, std::string_view value) {
  CHECK(sqlite3_bind_text64(raw_, index, address_of(value), value.size(), SQLITE_STATIC,
                            SQLITE_UTF8) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind_blob(int index, std::string_view value) {
  CHECK(sqlite3_bind_blob64(raw_, index, address_of(value), value.size(), SQLITE_STATIC) ==
        SQLITE_OK);
  return *this;
}

Statement& Statement::bind_null(int index) {
  CHECK(sqlite3_bind_null(raw_, index) == SQLITE_OK);
  return *this;
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(raw_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  Status failure = error("step");
  reset();
  return failure;
}

Status Statement::run() {
  const auto stepped = step();
  reset();
  return stepped.ok() ? Status() : stepped.status();
}

void Statement::reset() {
  sqlite3_reset(raw_);
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(raw_, column);
}
double Statement::real(int column) const {
  return sqlite3_column_double(raw_, column);
}

std::string_view Statement::text(int column) const {
  const unsigned char* data = sqlite3_column_text(raw_, column);
  return view_of(data, sqlite3_column_bytes(raw_, column));
}

std::string_view Statement::blob(int column) const {
  const void* data = sqlite3_column_blob(raw_, column);
  return view_of(data, sqlite3_column_bytes(raw_, column));
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(raw_, column) == SQLITE_NULL;
}

ValueType Statement::type(int column) const {
  static_assert(SQLITE_INTEGER == 1 && SQLITE_FLOAT == 2 && SQLITE_TEXT == 3 && SQLITE_BLOB == 4 &&
                SQLITE_NULL == 5);
  return static_cast<ValueType>(sqlite3_column_type(raw_, column));
}

Status Statement::error(const char* step) const {
  return status_of(sqlite3_db_handle(raw_), step);
}

Result<Database> Database::open(const std::filesystem::path& file, Mode mode,
                                const std::string& vfs) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (mode == Mode::kReadOnly) flags |= SQLITE_OPEN_READONLY;
  if (mode == Mode::kImmutable) flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
  if (mode == Mode::kReadWrite) flags |= SQLITE_OPEN_READWRITE;
  if (mode == Mode::kCreate) flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (mode == Mode::kReadWrite || mode == Mode::kCreate) {
    const Status rewritten = rewrite_wal(file, vfs);
    if (!rewritten.ok()) return rewritten;
  }
  sqlite3* raw = nullptr;
  const std::string name = mode == Mode::kImmutable ? immutable_uri(file) : file.string();
  const int code = sqlite3_open_v2(name.c_str(), &raw, flags, vfs.empty() ? nullptr : vfs.c_str());
  Database database(raw);
  if (code != SQLITE_OK) {
    if (raw == nullptr) return Status(Code::kFatal, "open " + file.string() + ": out of memory");
    return database.error("open").within(file.string());
  }
  sqlite3_wal_hook(raw, note_wal_pages, database.wal_pages_.get());
  return database;
}

Status Database::rewrite_wal(const std::filesystem::path& file, const std::string& vfs) {
  if (has_mutant(Mutant::kTrustFailedSync)) return {};
  sqlite3_vfs* const found = sqlite3_vfs_find(vfs.empty() ? nullptr : vfs.c_str());
  if (found == nullptr) return Status(Code::kFatal, "no SQLite VFS " + vfs);
  const std::string name = std::filesystem::absolute(file).string() + "-wal";
  int is_there = 0;
  int code = found->xAccess(found, name.c_str(), SQLITE_ACCESS_EXISTS, &is_there);
  if (code == SQLITE_OK && is_there == 0) return {};
  if (code == SQLITE_OK) {
    VfsFile wal(*found, name, SQLITE_OPEN_READWRITE | SQLITE_OPEN_WAL);
    code = wal.open_code() == SQLITE_OK ? wal.rewrite() : wal.open_code();
  }
  if (code == SQLITE_OK) return {};
  return {remedy_of(code), "write " + name + " again: " + sqlite3_errstr(code) + " (sqlite " +
                               std::to_string(code) + ")"};
}

Status Database::roll_back(const std::filesystem::path& file, const std::string& vfs) {
  if (!has_rollback_journal(file)) return {};
  auto database = open(file, Mode::kReadWrite, vfs);
  if (!database.ok()) return database.status();
  // The first read does it.
  const auto read = database.value().integer("SELECT count(*) FROM sqlite_master");
  return read.ok() ? Status() : read.status();
}

bool Database::has_rollback_journal(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file.string() + "-journal", error);
  return !error && size > 0;
}

Database::Database(sqlite3* raw) : raw_(raw) {}

Database::Database(Database&& other) noexcept
    : raw_(std::exchange(other.raw_, nullptr)),
      wal_pages_(std::move(other.wal_pages_)),
      begin_(std::move(other.begin_)),
      commit_(std::move(other.commit_)) {}

Database& Database::operator=(Database&& other) noexcept {
  std::swap(raw_, other.raw_);
  std::swap(wal_pages_, other.wal_pages_);
  begin_ = std::move(other.begin_);
  commit_ = std::move(other.commit_);
  return *this;
}

Database::~Database() {
  begin_ = {};  // Else closing would wait for them.
  commit_ = {};
  sqlite3_close_v2(raw_);
}

Status Database::distrust(int value_bytes_max) {
  sqlite3_limit(raw_, SQLITE_LIMIT_LENGTH, value_bytes_max);
  for (const int option : {SQLITE_DBCONFIG_DEFENSIVE, SQLITE_DBCONFIG_TRUSTED_SCHEMA}) {
    const int value = option == SQLITE_DBCONFIG_DEFENSIVE ? 1 : 0;
    if (sqlite3_db_config(raw_, option, value, nullptr) != SQLITE_OK) return error("distrust");
  }
  return exec("PRAGMA cell_size_check = ON");
}

Status Database::use_wal() {
  const auto mode = text("PRAGMA journal_mode = WAL");
  if (!mode.ok()) return mode.status();
  // A database in memory has no use for one.
  if (mode.value() == "wal" || mode.value() == "memory") return {};
  return {Code::kTryAgain, "no WAL can be used now; it is " + mode.value()};
}

Status Database::keep_wal_on_close() {
  if (sqlite3_db_config(raw_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr) == SQLITE_OK) return {};
  return error("keep WAL on close");
}

Status Database::exec(const char* sql) {
  const int code = sqlite3_exec(raw_, sql, nullptr, nullptr, nullptr);
  Status failure = code == SQLITE_OK ? Status() : error(std::string(sql).substr(0, 40).c_str());
  // PRAGMA wal_autocheckpoint takes the hook away, without a word.
  sqlite3_wal_hook(raw_, note_wal_pages, wal_pages_.get());
  return failure;
}

Status Database::run(Statement& kept, const char* sql) {
  if (!kept.is_prepared()) {
    auto prepared = prepare(sql);
    if (!prepared.ok()) return prepared.status();
    kept = std::move(prepared).take();
  }
  return kept.run().within(sql);
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(raw_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) return error("prepare");
  return Statement(raw);
}

Result<std::int64_t> Database::integer(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement.ok()) return statement.status();
  const auto row = statement.value().step();
  if (!row.ok()) return row.status();
  if (!row.value()) return Status(Code::kRejected, "no row for: " + std::string(sql));
  return statement.value().integer(0);
}

Result<std::string> Database::text(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement.ok()) return statement.status();
  const auto row = statement.value().step();
  if (!row.ok()) return row.status();
  if (!row.value()) return Status(Code::kRejected, "no row for: " + std::string(sql));
  return std::string(statement.value().text(0));
}

Status Database::checkpoint(bool truncate) {
  const int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
  int log_pages = 0;
  int copied_pages = 0;
  const int code = sqlite3_wal_checkpoint_v2(raw_, nullptr, mode, &log_pages, &copied_pages);
  if (code != SQLITE_OK) return error("checkpoint");
  if (copied_pages >= log_pages) *wal_pages_ = 0;
  return {};
}

void Database::set_busy_timeout_ms(int milliseconds) {
  sqlite3_busy_timeout(raw_, milliseconds);
}

std::int64_t Database::changes() const {
  return sqlite3_changes64(raw_);
}

Status Database::error(const char* step) const {
  return status_of(raw_, step);
}

Result<Statement*> LazyStatement::get() {
  if (!statement_) {
    auto prepared = database_->prepare(sql_);
    if (!prepared.ok()) return prepared.status();
    statement_ = std::move(prepared).take();
  }
  return &*statement_;
}

Result<Transaction> Transaction::begin(Database& database) {
  Status begun = database.run(database.begin_, "BEGIN IMMEDIATE");
  if (!begun.ok()) return begun;
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  if (database_ == nullptr) return;
  // A failed COMMIT may have rolled back already; then this is refused, which is fine.
  static_cast<void>(database_->exec("ROLLBACK").ok());
}

Status Transaction::commit() {
  CHECK(database_ != nullptr);
  Status committed = database_->run(database_->commit_, "COMMIT");
  if (committed.ok()) database_ = nullptr;
  return committed;
}

}  // namespace pitbox
