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
  if (!status.ok()) return status;
  auto inserts = JournalInserts::prepare(*database_);
  if (!inserts.ok()) return inserts.status();
  inserts_.emplace(std::move(inserts).take());
  return {};
}

SalvageWriter::~SalvageWriter() {
  inserts_.reset();
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
    return inserts_->add(JournalInserts::Event{.sequence = entry.first,
                                               .kind = entry.kind,
                                               .car = entry.car,
                                               .time_ns = entry.first_ns,
                                               .hash = hash,
                                               .bytes = entry.bytes},
                         totals_);
  }
  return inserts_->add(JournalInserts::Batch{.sequence = entry.first,
                                             .car = entry.car,
                                             .first_ns = entry.first_ns,
                                             .last_ns = entry.last_ns,
                                             .rows = entry.rows,
                                             .samples = entry.samples,
                                             .hash = hash,
                                             .definitions = entry.definitions,
                                             .blob = entry.bytes},
                       totals_);
}

Status SalvageWriter::add(const StoredLap& lap) {
  return inserts_->add(JournalInserts::Lap{.sequence = lap.sequence,
                                           .car = lap.car,
                                           .lap = lap.lap,
                                           .kind = lap.kind,
                                           .lap_time_ms = lap.lap_time_ms,
                                           .sector_time_ms = lap.sector_time_ms,
                                           .started_at_ms = lap.started_at_ms,
                                           .evidence = lap.evidence});
}

Status SalvageWriter::add(const Definition& definition) {
  return inserts_->add(definition);
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
  inserts_.reset();
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
