// A thin door to SQLite: connection and statement as owned values, errors as Status. The box's
// journals and the room's store both stand on it; nothing else includes <sqlite3.h>.
//
// Checkpoints are never automatic (SQLite's own are a use of the hook that counts WAL pages here):
// whoever writes in WAL mode calls checkpoint().
//
// Threads: a Database and its Statements belong to one thread at a time (SQLite's own mutexes are
// off). Statements must not outlive their Database.
//
// Errors: busy or locked is kTryAgain; full is kFull; corrupt or not a database is kCorrupt; a
// constraint is kRejected; anything else (I/O, out of memory, misuse) is kFatal.

#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "proto/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace pitbox {

// What a value is in the file, whatever its column was declared as. Numbered as in SQLite.
enum class ValueType : std::uint8_t { kInteger = 1, kReal, kText, kBlob, kNull };

class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* raw) : raw_(raw) {}
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  // Parameters count from 1. The bytes of text and blobs must stay valid until the next reset().
  Statement& bind(int index, std::int64_t value);
  Statement& bind_u64(int index, std::uint64_t value);  // Stored as the same 64 bits.
  Statement& bind_text(int index, std::string_view value);
  Statement& bind_blob(int index, std::string_view value);
  Statement& bind_null(int index);

  // True: a row is there. False: done.
  Result<bool> step();
  // Steps a statement that gives no rows, and resets it.
  Status run();
  void reset();
  bool is_prepared() const { return raw_ != nullptr; }

  // Of the current row; columns count from 0. Views are valid until the next step() or reset().
  std::int64_t integer(int column) const;
  std::uint64_t u64(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  double real(int column) const;
  std::string_view text(int column) const;
  std::string_view blob(int column) const;
  bool is_null(int column) const;
  // REQUIRES: asked before the column's value is.
  ValueType type(int column) const;

 private:
  Status error(const char* step) const;
  sqlite3_stmt* raw_ = nullptr;
};

class Database {
 public:
  // kImmutable: read-only, and nobody will write while it is open; asks for no locks and no files
  // beside it, so it opens on read-only media. REQUIRES: there is no WAL file beside it.
  enum class Mode : std::uint8_t { kReadOnly, kReadWrite, kCreate, kImmutable };
  // `vfs`: name of the SQLite VFS to use; empty for the default one.
  static Result<Database> open(const std::filesystem::path& file, Mode mode,
                               const std::string& vfs = {});
  // Writes the WAL beside `file` over itself and syncs it. After a sync that failed the kernel
  // takes the pages it could not write for written: they are whole in memory, absent on the disk,
  // and no later sync brings them there, while SQLite appends behind them. open() does it for
  // whoever is going to write, for an earlier process may have left such pages; who goes on with a
  // connection after a commit that failed must do it before the next.
  static Status rewrite_wal(const std::filesystem::path& file, const std::string& vfs = {});
  // Undoes what a rollback journal beside `file` says was not finished, as any writer would;
  // whoever only reads cannot. Does nothing if there is none.
  static Status roll_back(const std::filesystem::path& file, const std::string& vfs = {});
  // There is such a journal. SQLite does not always say that it could not delete one.
  static bool has_rollback_journal(const std::filesystem::path& file);
  Database(Database&& other) noexcept;
  Database& operator=(Database&& other) noexcept;
  ~Database();

  // For a file that may come from an enemy: its schema may not call functions with side effects, a
  // value is at most `value_bytes_max` long, and a damaged page is noticed rather than misread.
  Status distrust(int value_bytes_max);
  // Closing the last connection leaves the WAL as it is, instead of writing a checkpoint.
  Status keep_wal_on_close();

  // Runs one or several statements without parameters or rows.
  Status exec(const char* sql);
  Result<Statement> prepare(std::string_view sql);
  // The first column of the first row, e.g. of a PRAGMA. kRejected if there is no row.
  Result<std::int64_t> integer(std::string_view sql);
  Result<std::string> text(std::string_view sql);

  // From now on in WAL form. SQLite says nothing when it cannot (a disk that fails, a reader in the
  // way) and goes on without: kTryAgain then.
  Status use_wal();
  // Copies WAL pages into the database without waiting for anybody (PASSIVE), or all of them,
  // emptying the WAL file (`truncate`).
  Status checkpoint(bool truncate);
  // How long a call waits for a lock before kTryAgain. 0 at first.
  void set_busy_timeout_ms(int milliseconds);
  std::int64_t changes() const;
  // Pages in the WAL as of the last commit on this connection.
  int wal_pages() const { return *wal_pages_; }

 private:
  friend class Transaction;
  explicit Database(sqlite3* raw);
  Status error(const char* step) const;
  // Of a transaction: `sql` is compiled once.
  Status run(Statement& kept, const char* sql);
  sqlite3* raw_ = nullptr;
  std::unique_ptr<int> wal_pages_ = std::make_unique<int>(0);  // Its address is given to SQLite.
  Statement begin_;
  Statement commit_;
};

// A statement that is compiled when it is first asked for. Must not outlive the Database, which
// must not be moved meanwhile.
class LazyStatement {
 public:
  LazyStatement(Database& database, std::string sql) : database_(&database), sql_(std::move(sql)) {}
  Result<Statement*> get();

 private:
  Database* database_;
  std::string sql_;
  std::optional<Statement> statement_;
};

// BEGIN IMMEDIATE .. COMMIT; rolls back if commit() was not called or failed.
class Transaction {
 public:
  static Result<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Status commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace pitbox
