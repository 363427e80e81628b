#include "buffer/fsck.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "buffer/batch_facts.h"
#include "buffer/block.h"
#include "buffer/conservation.h"
#include "buffer/journal_schema.h"
#include "buffer/salvage.h"
#include "buffer/salvage_pages.h"
#include "buffer/session_state.h"
#include "proto/batch.h"
#include "proto/event.h"
#include "proto/sqlite.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kEntriesPerProgress = 64;
constexpr int kRowsPerQuestion = 64;
constexpr Range kNoSequences{1, 0};

std::string salvage_advice(const fs::path& file) {
  return "pitbox salvage " + file.string() + " -o NEW";
}

}  // namespace

// All that is asked of one file.
class JournalCheck {
 public:
  JournalCheck(Fsck& fsck, fs::path file, JournalReader& reader, Database& database)
      : fsck_(fsck), file_(std::move(file)), reader_(reader), database_(database) {}

  Status run();

 private:
  void find(Range range, std::string what) {
    fsck_.find(file_, range, std::move(what), salvage_advice(file_));
  }
  void find_at(std::uint64_t sequence, std::string what) {
    find({sequence, sequence}, std::move(what));
  }
  Status check_pages();
  Status check_entries();
  bool look_at(const StoredEntry& entry);
  void check_batch(const StoredEntry& entry);
  void note_tombstone(const StoredEntry& entry);
  Status check_totals(const char* table, const std::string& columns, int totals);
  void check_totals_of_row(const std::string& table, Statement& row, int totals);
  Status check_small_tables();
  Status forget_known_losses();
  void check_wal();

  Fsck& fsck_;
  const fs::path file_;
  JournalReader& reader_;
  Database& database_;
  std::uint64_t last_ = 0;
  std::uint64_t entries_ = 0;
  RangeSet seen_;
  std::set<std::uint64_t> missing_definitions_;
  // Of check_totals(): the row before.
  std::uint64_t before_sequence_ = 0;
  std::vector<std::uint64_t> before_;
};

Status JournalCheck::run() {
  const auto last = reader_.last_sequence();
  if (!last.ok()) return last.status();
  last_ = last.value();
  Status status = check_pages();
  if (status.ok()) status = check_entries();
  if (status.ok()) {
    status = check_totals("events", "total_events, total_bytes, 1, length(bytes)", 2);
  }
  if (status.ok()) {
    status =
        check_totals("batches",
                     "total_batches, total_rows, total_samples, total_bytes, 1, rows, samples, "
                     "CASE WHEN length(blob) > " +
                         std::to_string(kMaxReferenceBytes) +
                         " OR substr(blob, 1, 1) <> x'00' THEN length(blob) END",
                     4);
  }
  if (status.ok()) status = check_small_tables();
  if (status.ok()) status = forget_known_losses();
  check_wal();
  fsck_.known_[reader_.incarnation()] = {
      .file = file_, .last = last_, .holes = seen_.missing({1, last_})};
  return status;
}

Status JournalCheck::check_pages() {
  auto check = database_.prepare("PRAGMA quick_check(20)");
  if (!check.ok()) return check.status();
  for (;;) {
    const auto row = check.value().step();
    if (!row.ok() && row.status().code() != Code::kCorrupt) return row.status();
    if (!row.ok()) find(kNoSequences, "SQLite: " + row.status().message());
    if (!row.ok() || !row.value()) return {};
    const std::string text(check.value().text(0));
    if (text != "ok") find(kNoSequences, "SQLite: " + text);
  }
}

Status JournalCheck::check_entries() {
  Status status = reader_.scan(
      1, [&](const StoredEntry& entry) { return look_at(entry); },
      [&](std::uint64_t sequence, const Status& reason) {
        seen_.add(sequence);  // A hole it is not: it was named.
        find_at(sequence, reason.message());
      });
  if (status.code() != Code::kCorrupt) return status;
  find(kNoSequences, status.message());
  return {};
}

bool JournalCheck::look_at(const StoredEntry& entry) {
  seen_.add({entry.first, entry.last});
  if (entry.is_event) {
    ++fsck_.report_.events;  // Its hash was compared by the reader.
    const auto parsed = parse_event(entry.bytes);
    if (parsed.ok() && event_kind(parsed.value()) != entry.kind) {
      find_at(entry.first, "the event is another than its kind says");
    }
    if (entry.kind == "tombstone") note_tombstone(entry);
  } else {
    check_batch(entry);
  }
  if (++entries_ % kEntriesPerProgress == 0 && fsck_.progress_ &&
      !fsck_.progress_(file_, entries_)) {
    fsck_.is_stopped_ = true;
  }
  return !fsck_.is_stopped_;
}

void JournalCheck::note_tombstone(const StoredEntry& entry) {
  const auto parsed = parse_event(entry.bytes);
  if (!parsed.ok() || !parsed.value().has_tombstone()) return;
  const words::Tombstone& tombstone = parsed.value().tombstone();
  fsck_.tombstones_[tombstone.incarnation()].add({tombstone.first(), tombstone.last()});
}

void JournalCheck::check_batch(const StoredEntry& entry) {
  std::optional<std::uint64_t> missing;
  const auto decoded = decode_batch(entry.car, entry.bytes, [&](std::uint64_t prefix) {
    auto found = reader_.definition(prefix);
    if (!found.ok() || found.value() == nullptr) missing = prefix;
    return found.ok() ? std::move(found).take() : DefinitionPtr();
  });
  if (missing) {
    if (!missing_definitions_.insert(*missing).second) return;
    return find_at(entry.first, "definition " + hex_id(*missing) +
                                    " is missing or another; this is the first batch to use it");
  }
  if (!decoded.ok()) return find_at(entry.first, decoded.status().message());
  // A block merged from several sequences has a hash for each, and this one would be of all.
  const bool is_merged = entry.hashes.size() != 1;
  if (!is_merged && entry.hashes.front() != decoded.value().hash) {
    return find_at(entry.first, "content hash differs");
  }
  const BatchFacts row{.rows = entry.rows,
                       .samples = entry.samples,
                       .first_ns = entry.first_ns,
                       .last_ns = entry.last_ns};
  if (row != facts_of(decoded.value())) {
    return find_at(entry.first, "rows, samples or times are not those of its columns");
  }
  ++fsck_.report_.batches;
}

// `columns`: totals, and then what the row adds to each.
Status JournalCheck::check_totals(const char* table, const std::string& columns, int totals) {
  before_sequence_ = 0;
  before_.assign(static_cast<std::size_t>(totals), 0);
  auto rows = database_.prepare("SELECT sequence, " + columns + " FROM " + table +
                                " WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT " +
                                std::to_string(kRowsPerQuestion));
  if (!rows.ok()) return rows.status();
  for (bool has_more = true; has_more && !fsck_.is_stopped_;) {
    rows.value().bind_u64(1, before_sequence_).bind_u64(2, last_);
    int count = 0;
    for (;; ++count) {
      const auto row = rows.value().step();
      // The pages that hold it were named already.
      if (!row.ok()) return row.status().code() == Code::kCorrupt ? Status() : row.status();
      if (!row.value()) break;
      check_totals_of_row(table, rows.value(), totals);
    }
    rows.value().reset();
    has_more = count == kRowsPerQuestion;
  }
  return {};
}

void JournalCheck::check_totals_of_row(const std::string& table, Statement& row, int totals) {
  const std::uint64_t sequence = row.u64(0);
  // Where rows were evicted or lost in between, the totals still count them.
  const bool has_all_between =
      sequence <= before_sequence_ + 1 || seen_.contains(Range{before_sequence_ + 1, sequence});
  bool is_right = true;
  for (int i = 0; i < totals; ++i) {
    const std::uint64_t total = row.u64(1 + i);
    const std::uint64_t want = before_[static_cast<std::size_t>(i)] + row.u64(1 + totals + i);
    // Of a merged batch nobody knows how long it was but its total.
    const bool is_known = row.type(1 + totals + i) != ValueType::kNull;
    is_right = is_right && (has_all_between && is_known ? total == want : total >= want);
    before_[static_cast<std::size_t>(i)] = total;
  }
  if (!is_right) find_at(sequence, "the running totals of " + table + " do not add up");
  before_sequence_ = std::max(sequence, before_sequence_ + 1);
}

Status JournalCheck::check_small_tables() {
  const auto told = [&](const Status& status) {
    if (status.code() == Code::kCorrupt) find(kNoSequences, status.message());
    return status.code() == Code::kCorrupt ? Status() : status;
  };
  const auto acknowledged = reader_.acknowledged();
  if (!acknowledged.ok()) {
    if (Status status = told(acknowledged.status()); !status.ok()) return status;
  } else if (!acknowledged.value().empty()) {
    const Range last = acknowledged.value().ranges().back();
    const auto now = reader_.last_sequence();  // A live file's may have grown with them.
    if (now.ok() && last.last > now.value()) {
      find(last, "acknowledged, but never issued");
    }
  }
  const auto counters = reader_.counters();
  if (!counters.ok()) {
    if (Status status = told(counters.status()); !status.ok()) return status;
  } else {
    for (const std::string& violation : Conservation::load(counters.value()).violations()) {
      find(kNoSequences, "the law of conservation does not hold: " + violation);
    }
  }
  const auto laps = reader_.laps(
      [&](std::uint64_t sequence, const Status& reason) { find_at(sequence, reason.message()); });
  if (!laps.ok()) return told(laps.status());
  return {};
}

// What a journal says itself is no finding: what retention removed, what salvage did not find.
Status JournalCheck::forget_known_losses() {
  const auto removed = reader_.removed();
  if (!removed.ok()) return removed.status();
  seen_.add_all(removed.value());
  const auto has_table = database_.integer(
      "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'lost'");
  if (!has_table.ok() || has_table.value() == 0) return {};
  auto rows = database_.prepare("SELECT first, last FROM lost ORDER BY first");
  if (!rows.ok()) return {};
  for (;;) {
    const auto row = rows.value().step();
    if (!row.ok() || !row.value()) return {};
    const Range lost{rows.value().u64(0), std::min(rows.value().u64(1), last_)};
    if (lost.first < 1 || lost.first > lost.last) continue;
    fsck_.report_.known_lost += lost.last - lost.first + 1;
    seen_.add(lost);
  }
}

void JournalCheck::check_wal() {
  if (fsck_.live_.contains(reader_.incarnation())) return;  // It changes while one looks.
  std::vector<WalFrame> frames;
  const WalState wal = read_wal(file_, frames);
  if (!wal.refusal.empty()) find(kNoSequences, "its WAL cannot be used: " + wal.refusal);
  if (wal.later_commit) {
    find(kNoSequences, "its WAL has a commit behind a damaged frame; " + std::to_string(wal.later) +
                           " frames do not count");
  }
}

void Fsck::find(const fs::path& file, Range range, std::string what, std::string advice) {
  if (report_.findings.size() == kMaxFsckFindings) {
    ++report_.more_findings;
    return;
  }
  report_.findings.push_back({file, range, std::move(what), std::move(advice)});
}

void Fsck::check_file(const fs::path& file) {
  if (is_stopped_) return;
  ++report_.files;
  const std::string name = file.filename().string();
  if (name.find(".quarantine-") != std::string::npos) {
    return find(file, kNoSequences, "was set aside as damaged", salvage_advice(file));
  }
  auto reader = JournalReader::open(file);
  auto database = reader.ok() ? open_journal_to_read(file) : Result<Database>(reader.status());
  if (!database.ok()) {
    if (database.status().code() != Code::kCorrupt) {
      report_.unchecked.emplace_back(file, database.status());
      return;
    }
    return find(file, kNoSequences, database.status().message(), salvage_advice(file));
  }
  const auto named = parse_journal_file_name(name);
  if (named.ok() && named.value().incarnation != reader.value()->incarnation()) {
    find(file, kNoSequences, "its name is another journal's",
         "rename it, or move it out of the state directory");
  }
  const Status checked = JournalCheck(*this, file, *reader.value(), database.value()).run();
  if (checked.code() == Code::kCorrupt) {
    find(file, kNoSequences, checked.message(), salvage_advice(file));
  } else if (!checked.ok()) {
    report_.unchecked.emplace_back(file, checked);
  }
}

// Once every file was read: holes that nothing explains.
void Fsck::explain_holes() {
  if (is_stopped_) return;
  for (const auto& [incarnation, known] : known_) {
    const RangeSet& told = tombstones_[incarnation];
    for (const Range& hole : known.holes) {
      for (const Range& rest : told.missing(hole)) {
        find(known.file, rest, "these sequences are missing", salvage_advice(known.file));
      }
    }
  }
  tombstones_.clear();
}

void Fsck::check_files(const std::vector<fs::path>& files) {
  for (const fs::path& file : files) read_box_above(file);
  for (const fs::path& file : files) check_file(file);
  explain_holes();
  known_.clear();
}

void Fsck::check_folder(const fs::path& folder) {
  check_files(files_to_salvage(folder));
}

// Which file is live stands in the state directory, two levels up.
void Fsck::read_box_above(const fs::path& file) {
  const fs::path box = fs::absolute(file).parent_path().parent_path().parent_path() / "box.db";
  std::error_code error;
  if (!fs::exists(box, error)) return;
  const auto contents = read_box(box);
  if (!contents.ok()) return;
  for (const auto& [incarnation, record] : contents.value().files) {
    if (record.state == FileState::kLive) live_.insert(incarnation);
  }
}

void Fsck::check_state(const fs::path& state_directory) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::directory_iterator it(state_directory / "sessions", error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    if (!Uuid::parse(it->path().filename().string()).ok()) continue;
    const auto found = files_to_salvage(it->path());
    files.insert(files.end(), found.begin(), found.end());
  }
  if (!files.empty()) read_box_above(files.front());
  for (const fs::path& file : files) check_file(file);
  explain_holes();
  check_box(state_directory);
  known_.clear();
}

void Fsck::check_box(const fs::path& state_directory) {
  const fs::path box = state_directory / "box.db";
  std::error_code error;
  for (fs::directory_iterator it(state_directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with("box.db.quarantine-") && !name.ends_with("-wal")) {
      find(it->path(), kNoSequences, "was set aside as damaged",
           "it was rebuilt from the journals; remove this one");
    }
  }
  if (!fs::exists(box, error)) {
    if (known_.empty()) return;
    return find(box, kNoSequences, "it is not there", "the next start makes it from the journals");
  }
  const auto contents = read_box(box);
  if (!contents.ok()) {
    if (contents.status().code() != Code::kCorrupt) {
      report_.unchecked.emplace_back(box, contents.status());
      return;
    }
    return find(box, kNoSequences, contents.status().message(),
                "the next start sets it aside and makes it again from the journals");
  }
  std::size_t live = 0;
  for (const auto& [incarnation, record] : contents.value().files) {
    if (record.state == FileState::kLive) ++live;
    check_record(state_directory, record);
  }
  if (live > 1) find(box, kNoSequences, "more than one file is live", "the next start settles it");
  for (const auto& [incarnation, known] : known_) {
    if (contents.value().files.contains(incarnation)) continue;
    find(known.file, kNoSequences, "box.db does not know it",
         "the next start takes it in, if it is this box's");
  }
}

void Fsck::check_record(const fs::path& state_directory, const FileRecord& record) {
  if (record.state == FileState::kQuarantined) return;  // The file itself was named.
  const fs::path file = state_directory / record.file;
  std::error_code error;
  if (!fs::exists(file, error)) {
    return find(file, Range{record.first, record.last}, "box.db names it, and it is not there",
                "bring it back from a copy, then start the daemon");
  }
  const auto known = known_.find(record.incarnation);
  if (known == known_.end()) return;  // It could not be read, which was said.
  if (record.state == FileState::kLive) {
    const auto identity = device_and_inode(file);
    if (identity.ok() && identity.value() != std::pair(record.device, record.inode)) {
      find(file, kNoSequences, "it is live, but a copy of the one that was written",
           "the next start sets it aside, and another file takes over");
    }
    return;
  }
  if (known->second.last < record.last) {
    find(file, Range{known->second.last + 1, record.last}, "box.db knows of more than it holds",
         salvage_advice(file));
  }
  if (!record.acknowledged.empty() && record.acknowledged.ranges().back().last > record.last) {
    find(file, record.acknowledged.ranges().back(), "acknowledged in box.db, but never issued",
         "the room's next Welcome says it again");
  }
}

}  // namespace pitbox
