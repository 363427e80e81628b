#include "buffer/journal.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <tuple>
#include <utility>

#include "buffer/decoder.h"
#include "buffer/file_sync.h"
#include "buffer/high_water.h"
#include "buffer/journal_schema.h"
#include "buffer/journal_writer.h"
#include "proto/mutant.h"
#include "proto/sqlite.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

// While recording: a foreign lock is waited for no longer than a flush may be late.
constexpr int kBusyCommitMs = 100;

fs::path beside(const fs::path& file, const char* ending) {
  return file.string() + ending;
}

void remove_with_companions(const fs::path& file) {
  std::error_code ignored;
  for (const char* ending : {"", "-wal", "-shm", "-journal"}) {
    fs::remove(beside(file, ending), ignored);
  }
}

std::uint64_t size_or_zero(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  return error ? 0 : size;
}

// Settings of a connection that writes. They are not stored in the file.
Status set_up(Database& database, const Journal::Options& options) {
  const std::string pragmas =
      std::string(has_mutant(Mutant::kSendBeforeSync) ? "PRAGMA synchronous = OFF; "
                                                      : "PRAGMA synchronous = FULL; ") +
      "PRAGMA temp_store = MEMORY; "
      "PRAGMA journal_size_limit = " +
      std::to_string(options.wal_bytes_target);
  return database.exec(pragmas.c_str());
}

JournalMeta meta_of(const Journal::Options& options, std::uint64_t incarnation) {
  return {.box_id = options.box_id,
          .session = options.session,
          .incarnation = incarnation,
          .rekeyed_from = options.rekeyed_from,
          .number = options.number,
          .token = options.token,
          .cut_incarnation = options.cut_incarnation,
          .cut_sequence = options.cut_sequence};
}

// Everything of a new file, under a name that nobody takes for a journal.
Status write_new_file(const fs::path& file, const Journal::Options& options,
                      const JournalMeta& meta, const Commit& first) {
  auto opened = Database::open(file, Database::Mode::kCreate, options.vfs);
  if (!opened.ok()) return opened.status();
  Database database = std::move(opened).take();
  const std::string page =
      "PRAGMA page_size = " + std::to_string(options.page_bytes) + "; PRAGMA synchronous = FULL";
  if (Status set = database.exec(page.c_str()); !set.ok()) return set;
  {
    auto transaction = Transaction::begin(database);
    if (!transaction.ok()) return transaction.status();
    Status status = create_journal_tables(database);
    if (status.ok()) status = put_journal_meta(database, meta);
    if (!status.ok()) return status;
    auto writer = JournalWriter::prepare(database);
    if (!writer.ok()) return writer.status();
    auto written = writer.value().write(first);
    if (!written.ok()) return written.status();
    if (status = transaction.value().commit(); !status.ok()) return status;
  }
  return database.use_wal();
}

// As far as it goes: kTryAgain if a reader has the file open.
Status leave_plain(Database& database, const fs::path& file) {
  Status checkpointed = database.checkpoint(true);
  if (!checkpointed.ok()) return checkpointed;
  const auto mode = database.text("PRAGMA journal_mode = DELETE");
  if (!mode.ok()) return mode.status();
  if (mode.value() != "delete") return {Code::kTryAgain, "a reader has the file open"};
  if (Database::has_rollback_journal(file)) {
    return {Code::kTryAgain, "its rollback journal could not be deleted"};
  }
  // A hint for people and scripts; the seal itself is in `meta`.
  if (::chmod(file.c_str(), 0440) != 0) return system_error("chmod");
  Status synced = sync_file(file);
  return synced.ok() ? sync_folder(file.parent_path()) : synced;
}

}  // namespace

bool began_before(const SessionInfo& a, const SessionInfo& b) {
  return std::tie(a.ordinal, a.started_at_ms, a.id) < std::tie(b.ordinal, b.started_at_ms, b.id);
}

struct Journal::State {
  Options options;
  JournalMeta meta;
  std::optional<Database> database;     // Nothing: closed.
  std::optional<JournalWriter> writer;  // Its statements are the database's.
  HighWater high_water;
  bool broken = false;
  std::uint64_t page_bytes = 0;
  std::uint64_t wal_bytes_at_open = 0;
  std::uint64_t last_at_close = 0;
  RangeSet acknowledged_at_close;
  RangeSet removed_at_close;
  EvictedRanges evicted_at_close;
  Counters counters_at_close;

  // As of the last commit.
  std::map<std::string, ConsumedPosition> positions;
  std::map<std::string, std::string> decoder_states;
  std::string lap_state;

  Status load();
  Status refusal() const;
  Status fail(Status why, const char* step);
  void note() {
    high_water.note({.incarnation = meta.incarnation, .last = last(), .failed = broken});
  }
  std::uint64_t last() const { return writer ? writer->last_sequence() : last_at_close; }
  Database close();
};

// Statements first: they must not outlive the database.
Database Journal::State::close() {
  last_at_close = writer->last_sequence();
  acknowledged_at_close = writer->acknowledged();
  removed_at_close = writer->removed();
  evicted_at_close = writer->evicted();
  counters_at_close = writer->counters();
  writer.reset();
  Database closing = *std::move(database);
  database.reset();
  return closing;
}

Status Journal::State::load() {
  const auto page = database->integer("PRAGMA page_size");
  if (!page.ok()) return page.status();
  page_bytes = static_cast<std::uint64_t>(page.value());
  auto prepared = JournalWriter::prepare(*database);
  if (!prepared.ok()) return prepared.status();
  writer = std::move(prepared).take();
  auto read_meta = read_journal_meta(*database);
  if (!read_meta.ok()) return read_meta.status();
  meta = std::move(read_meta).take();
  auto read_places = read_positions(*database);
  if (!read_places.ok()) return read_places.status();
  positions = std::move(read_places).take();
  auto states = read_decoder_states(*database);
  if (!states.ok()) return states.status();
  decoder_states = std::move(states).take();
  auto laps = read_lap_state(*database);
  if (!laps.ok()) return laps.status();
  lap_state = std::move(laps).take();
  return {};
}

Status Journal::State::refusal() const {
  if (broken) return {Code::kFatal, "the journal is broken since an earlier failure"};
  if (!database) return {Code::kFatal, "the journal is closed"};
  return {};
}

Status Journal::State::fail(Status why, const char* step) {
  broken = true;
  note();
  // Closing it must not write either.
  if (database) static_cast<void>(database->keep_wal_on_close().ok());
  return std::move(why).within(step).within(options.file.string());
}

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}
Journal::~Journal() = default;

Result<std::unique_ptr<Journal>> Journal::create(const Options& options, std::uint64_t incarnation,
                                                 const Commit& first) {
  CHECK(incarnation != 0);
  const std::string step = "create " + options.file.string();
  if (fs::exists(fs::symlink_status(options.file))) {
    return Status(Code::kRejected, "the name is taken").within(step);
  }
  const fs::path unnamed = beside(options.file, ".new");
  remove_with_companions(unnamed);
  Status status = write_new_file(unnamed, options, meta_of(options, incarnation), first);
  if (status.ok()) status = sync_file(unnamed);
  if (status.ok() && ::rename(unnamed.c_str(), options.file.c_str()) != 0) {
    status = system_error("rename");
  }
  if (!status.ok()) {
    remove_with_companions(unnamed);
    return std::move(status).within(step);
  }
  status = sync_folder(options.file.parent_path());
  if (!status.ok()) {
    // Nobody was given it yet, so nobody misses it.
    remove_with_companions(options.file);
    return std::move(status).within(step);
  }
  Options reopen = options;
  reopen.token = 0;
  reopen.expected_token = options.token;
  auto opened = open(reopen);
  if (!opened.ok()) remove_with_companions(options.file);
  return opened;
}

Result<std::unique_ptr<Journal>> Journal::open(const Options& options) {
  const std::string step = "open journal " + options.file.string();
  auto opened = Database::open(options.file, Database::Mode::kReadWrite, options.vfs);
  if (!opened.ok()) return Status(opened.status()).within(step);
  auto state = std::make_unique<State>();
  state->options = options;
  state->database = std::move(opened).take();
  state->wal_bytes_at_open = size_or_zero(beside(options.file, "-wal"));
  Database& database = *state->database;
  database.set_busy_timeout_ms(static_cast<int>(options.busy.count()));
  Status status = check_journal_tables(database);
  if (status.ok()) status = set_up(database, options);
  // Made on a disk that failed it may be in another form, and a commit in that form is no commit to
  // those who read beside it.
  if (status.ok()) status = database.use_wal();
  if (!status.ok()) return std::move(status).within(step);
  const auto meta = read_journal_meta(database);
  if (!meta.ok()) return Status(meta.status()).within(step);
  if (meta.value().sealed) return Status(Code::kRejected, "it is sealed").within(step);
  if (options.expected_token != 0 && meta.value().token != options.expected_token) {
    return Status(Code::kRejected, "its token is another").within(step);
  }
  if (options.token != 0) {
    auto transaction = Transaction::begin(database);
    if (!transaction.ok()) return Status(transaction.status()).within(step);
    status = migrate_journal(database);
    if (status.ok()) status = put_meta(database, "token", std::string_view(hex_id(options.token)));
    if (status.ok()) status = transaction.value().commit();
    if (!status.ok()) return std::move(status).within(step);
  }
  if (status = state->load(); !status.ok()) return std::move(status).within(step);
  database.set_busy_timeout_ms(kBusyCommitMs);
  state->high_water = HighWater(options.high_water);
  state->note();
  return std::unique_ptr<Journal>(new Journal(std::move(state)));
}

Result<Journal::Committed> Journal::commit(const Commit& commit) {
  State& state = *state_;
  if (Status refused = state.refusal(); !refused.ok()) return refused;
  if (Status refused = state.writer->check(commit); !refused.ok()) return refused;
  auto transaction = Transaction::begin(*state.database);
  if (!transaction.ok()) return state.fail(transaction.status(), "begin");
  auto written = state.writer->write(commit);
  if (!written.ok()) return state.fail(written.status(), "write");
  Status committed = transaction.value().commit();
  if (!committed.ok()) return state.fail(std::move(committed), "commit");
  state.writer->adopt();
  state.wal_bytes_at_open = 0;
  for (const auto& [source, position] : commit.positions) state.positions[source] = position;
  for (const auto& [source, saved] : commit.decoder_states) state.decoder_states[source] = saved;
  if (commit.lap_state) state.lap_state = *commit.lap_state;
  state.note();
  return written;
}

Status Journal::checkpoint() {
  State& state = *state_;
  if (Status refused = state.refusal(); !refused.ok()) return refused;
  Status copied = state.database->checkpoint(false);
  // Somebody else's checkpoint is no failure of the file; a write that failed is, because SQLite
  // would try again pages that the kernel has already forgotten.
  if (copied.ok() || copied.code() == Code::kTryAgain) return copied;
  return state.fail(std::move(copied), "checkpoint");
}

Status Journal::bind(const std::string& platform_id) {
  State& state = *state_;
  if (Status refused = state.refusal(); !refused.ok()) return refused;
  if (!is_row_name(platform_id)) return {Code::kRejected, "not a platform id"};
  auto transaction = Transaction::begin(*state.database);
  if (!transaction.ok()) return state.fail(transaction.status(), "begin");
  Status status = put_meta(*state.database, "platform_id", std::string_view(platform_id));
  if (status.ok()) status = transaction.value().commit();
  if (!status.ok()) return state.fail(std::move(status), "bind");
  state.meta.session.platform_id = platform_id;
  return {};
}

Status Journal::seal(bool session_ended) {
  State& state = *state_;
  if (Status refused = state.refusal(); !refused.ok()) return refused;
  {
    auto transaction = Transaction::begin(*state.database);
    if (!transaction.ok()) return state.fail(transaction.status(), "begin");
    Status status = put_meta(*state.database, "sealed", std::int64_t{1});
    if (status.ok() && session_ended) {
      status = put_meta(*state.database, "session_ended", std::int64_t{1});
    }
    if (status.ok()) status = transaction.value().commit();
    if (!status.ok()) return state.fail(std::move(status), "seal");
  }
  state.meta.sealed = true;
  state.note();
  Database database = state.close();
  return leave_plain(database, state.options.file).within("seal");
}

Status Journal::make_plain(const fs::path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return system_error("stat " + file.string());
  if ((found.st_mode & S_IWUSR) == 0) return {};  // leave_plain() was here.
  auto opened = Database::open(file, Database::Mode::kReadWrite);
  if (!opened.ok()) return opened.status();
  Status checked = check_journal_tables(opened.value());
  if (!checked.ok()) return checked;
  return leave_plain(opened.value(), file);
}

bool Journal::is_broken() const {
  return state_->broken;
}
std::uint64_t Journal::incarnation() const {
  return state_->meta.incarnation;
}
std::uint64_t Journal::number() const {
  return state_->meta.number;
}
std::uint64_t Journal::rekeyed_from() const {
  return state_->meta.rekeyed_from;
}
std::uint64_t Journal::last_sequence() const {
  return state_->last();
}
const SessionInfo& Journal::session() const {
  return state_->meta.session;
}
const fs::path& Journal::file() const {
  return state_->options.file;
}

std::uint64_t Journal::wal_bytes() const {
  if (!state_->database) return 0;
  const auto pages = static_cast<std::uint64_t>(state_->database->wal_pages());
  // A WAL frame is a page and 24 bytes.
  return std::max(state_->wal_bytes_at_open, pages * (state_->page_bytes + 24));
}

const std::map<std::string, ConsumedPosition>& Journal::positions() const {
  return state_->positions;
}
const std::map<std::string, std::string>& Journal::decoder_states() const {
  return state_->decoder_states;
}
const std::string& Journal::lap_state() const {
  return state_->lap_state;
}
const Counters& Journal::counters() const {
  return state_->writer ? state_->writer->counters() : state_->counters_at_close;
}
const RangeSet& Journal::acknowledged() const {
  return state_->writer ? state_->writer->acknowledged() : state_->acknowledged_at_close;
}
const RangeSet& Journal::removed() const {
  return state_->writer ? state_->writer->removed() : state_->removed_at_close;
}
const EvictedRanges& Journal::evicted() const {
  return state_->writer ? state_->writer->evicted() : state_->evicted_at_close;
}

std::uint64_t Journal::reusable_bytes() const {
  if (!state_->database) return 0;
  const auto pages = state_->database->integer("PRAGMA freelist_count");
  return pages.ok() ? static_cast<std::uint64_t>(pages.value()) * state_->page_bytes : 0;
}

}  // namespace pitbox
