#include "buffer/salvage_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <system_error>
#include <utility>

#include "buffer/file_sync.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLostTable =
    "CREATE TABLE lost(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, reason TEXT NOT NULL, "
    "car TEXT NOT NULL)";

std::string packed(const std::vector<std::uint64_t>& prefixes) {
  std::string bytes;
  for (const std::uint64_t prefix : prefixes) {
    for (int shift = 56; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<char>(prefix >> shift & 0xFF));
    }
  }
  return bytes;
}

bool is_taken(const fs::path& file) {
  std::error_code error;
  return fs::exists(fs::symlink_status(file, error));
}

// Never over a file that appeared meanwhile, where the file system can say so.
Status rename_new(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno == EEXIST) return Status::rejected(to.string() + ": the name is taken");
  if (errno != EINVAL && errno != ENOSYS) return system_error("rename " + from.string());
  if (is_taken(to)) return Status::rejected(to.string() + ": the name is taken");
  if (::rename(from.c_str(), to.c_str()) != 0) return system_error("rename " + from.string());
  return {};
}

}  // namespace

Result<std::unique_ptr<SalvageWriter>> SalvageWriter::create(const fs::path& file) {
  std::unique_ptr<SalvageWriter> writer(new SalvageWriter());
  writer->file_ = file;
  const fs::path unnamed = file.string() + ".new";
  for (const fs::path& name : {file, unnamed}) {
    if (is_taken(name)) return Status::rejected(name.string() + ": the name is taken");
  }
  const int made = ::open(unnamed.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0640);
  if (made < 0) return system_error("make " + unnamed.string());
  ::close(made);
  writer->unnamed_ = unnamed;
  Status status = writer->prepare();
  if (!status.ok()) return std::move(status).within("write " + unnamed.string());
  return writer;
}

// Nothing of it counts before it is synced and named, so SQLite need not care for a power cut.
Status SalvageWriter::prepare() {
  auto opened = Database::open(unnamed_, Database::Mode::kReadWrite);
  if (!opened.ok()) return opened.status();
  database_ = std::move(opened).take();
  Status status = database_->exec(
      "PRAGMA page_size = 16384; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
  if (!status.ok()) return status;
  auto begun = Transaction::begin(*database_);
  if (!begun.ok()) return begun.status();
  transaction_.emplace(std::move(begun).take());
  status = create_journal_tables(*database_);
  if (status.ok()) status = database_->exec(kLostTable);
  Statements made;
  const auto make = [&](Statement& statement, const char* sql) {
    if (!status.ok()) return;
    auto prepared = database_->prepare(sql);
    if (prepared.ok()) {
      statement = std::move(prepared).take();
    } else {
      status = prepared.status();
    }
  };
  make(made.event,
       "INSERT INTO events(sequence, kind, car, time_ns, total_events, total_bytes, hash, bytes) "
       "VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
  make(made.batch,
       "INSERT INTO batches(sequence, last_sequence, car, first_ns, last_ns, rows, samples, "
       "total_batches, total_rows, total_samples, total_bytes, hash, definitions, blob) "
       "VALUES(?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)");
  make(made.lap,
       "INSERT INTO laps(sequence, car, lap, kind, lap_time_ms, sector_time_ms, started_at_ms, "
       "evidence) VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
  make(made.definition, "INSERT INTO definitions(prefix, name, content) VALUES(?, ?, ?)");
  statements_ = std::move(made);
  return status;
}

SalvageWriter::~SalvageWriter() {
  statements_.reset();
  transaction_.reset();
  database_.reset();
  if (unnamed_.empty()) return;
  std::error_code ignored;
  for (const char* ending : {"", "-wal", "-shm", "-journal"}) {
    fs::remove(unnamed_.string() + ending, ignored);
  }
}

Status SalvageWriter::add(const StoredEntry& entry) {
  const std::string hash = entry.hashes.front().raw();
  if (entry.is_event) {
    totals_.events += 1;
    totals_.event_bytes += entry.bytes.size();
    return statements_->event.bind_u64(1, entry.first)
        .bind_text(2, entry.kind)
        .bind_text(3, entry.car)
        .bind(4, entry.first_ns)
        .bind_u64(5, totals_.events)
        .bind_u64(6, totals_.event_bytes)
        .bind_blob(7, hash)
        .bind_blob(8, entry.bytes)
        .run();
  }
  totals_.batches += 1;
  totals_.rows += entry.rows;
  totals_.samples += entry.samples;
  totals_.batch_bytes += entry.bytes.size();
  const std::string prefixes = packed(entry.definitions);
  return statements_->batch.bind_u64(1, entry.first)
      .bind_text(2, entry.car)
      .bind(3, entry.first_ns)
      .bind(4, entry.last_ns)
      .bind_u64(5, entry.rows)
      .bind_u64(6, entry.samples)
      .bind_u64(7, totals_.batches)
      .bind_u64(8, totals_.rows)
      .bind_u64(9, totals_.samples)
      .bind_u64(10, totals_.batch_bytes)
      .bind_blob(11, hash)
      .bind_blob(12, prefixes)
      .bind_blob(13, entry.bytes)
      .run();
}

Status SalvageWriter::add(const StoredLap& lap) {
  const std::string sectors = sectors_json(lap.sector_time_ms);
  return statements_->lap.bind_u64(1, lap.sequence)
      .bind_text(2, lap.car)
      .bind(3, lap.lap)
      .bind_text(4, lap.kind)
      .bind(5, lap.lap_time_ms)
      .bind_text(6, sectors)
      .bind(7, lap.started_at_ms)
      .bind_text(8, lap.evidence)
      .run();
}

Status SalvageWriter::add(const Definition& definition) {
  const auto* name = reinterpret_cast<const char*>(definition.name().data());
  return statements_->definition.bind_u64(1, definition.prefix())
      .bind_blob(2, std::string_view(name, definition.name().size()))
      .bind_blob(3, definition.bytes())
      .run();
}

Status SalvageWriter::write_small_tables(const SalvageReport& report, const Counters& counters,
                                         const RangeSet& acknowledged) {
  Status status = put_journal_meta(*database_, report.meta);
  const auto insert = [&](const char* sql, const auto& rows, const auto& bind) {
    if (!status.ok()) return;
    auto statement = database_->prepare(sql);
    if (!statement.ok()) status = statement.status();
    for (const auto& row : rows) {
      if (!status.ok()) return;
      bind(statement.value(), row);
      status = statement.value().run();
    }
  };
  if (status.ok()) {
    status = put_meta(*database_, "salvaged_by", std::string_view("pitbox " PITBOX_VERSION));
  }
  insert("INSERT INTO counters(name, value) VALUES(?, ?)", counters,
         [](Statement& statement, const auto& row) {
           statement.bind_text(1, row.first).bind_u64(2, row.second);
         });
  insert("INSERT INTO acknowledged(first, last) VALUES(?, ?)", acknowledged.ranges(),
         [](Statement& statement, const Range& row) {
           statement.bind_u64(1, row.first).bind_u64(2, row.last);
         });
  insert("INSERT INTO lost(first, last, reason, car) VALUES(?, ?, ?, ?)", report.lost,
         [](Statement& statement, const LostRange& row) {
           statement.bind_u64(1, row.range.first)
               .bind_u64(2, row.range.last)
               .bind_text(3, to_string(row.reason))
               .bind_text(4, row.car);
         });
  return status;
}

Status SalvageWriter::finish(const SalvageReport& report, const Counters& counters,
                             const RangeSet& acknowledged) {
  const std::string step = "write " + unnamed_.string();
  Status status = write_small_tables(report, counters, acknowledged);
  statements_.reset();
  if (status.ok()) status = transaction_->commit();
  transaction_.reset();
  database_.reset();
  if (!status.ok()) return std::move(status).within(step);
  // A hint for people and scripts, as with a journal that was sealed.
  if (::chmod(unnamed_.c_str(), 0440) != 0) return system_error("chmod " + unnamed_.string());
  if (status = sync_file(unnamed_); !status.ok()) return status;
  if (status = rename_new(unnamed_, file_); !status.ok()) return status;
  unnamed_.clear();
  return sync_folder(file_.has_parent_path() ? file_.parent_path() : fs::path("."));
}

}  // namespace pitbox
