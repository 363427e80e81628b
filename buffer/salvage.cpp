#include "buffer/salvage.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <utility>

#include "buffer/conservation.h"
#include "buffer/high_water.h"
#include "buffer/salvage_cells.h"
#include "buffer/salvage_meta.h"
#include "buffer/salvage_pages.h"
#include "buffer/salvage_verify.h"
#include "buffer/salvage_writer.h"
#include "proto/event.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kEntriesPerReport = 64;
// Files beside a damaged one that are asked for a definition.
constexpr std::size_t kNeighboursAsked = 64;

// A row that is right, and how it is read again.
struct GoodRow {
  EntryCandidate candidate;
  std::uint32_t view = 0;
};

class Salvage {
 public:
  Salvage(const SalvageOptions& options, SalvagePages& pages) : options_(options), pages_(pages) {}

  Result<SalvageReport> run();

 private:
  Status gather();
  bool is_foreign_wal() const;
  Status verify_all();
  void verify_sequence(std::span<const EntryCandidate> candidates);
  void drop_contested();
  void find_definitions();
  void count_pages();
  void count_lost();
  void add_lost(Range range, LossReason reason, const std::string& car);
  Status write();
  Status write_rows(SalvageWriter& writer);
  Status write_event(SalvageWriter& writer, const StoredEntry& event);
  void count_written(const StoredEntry& entry);
  void choose_counters();
  bool goes_on(std::size_t done);

  const SalvageOptions& options_;
  SalvagePages& pages_;
  Gathered gathered_;
  std::optional<RowVerifier> verifier_;
  std::vector<GoodRow> good_;  // One for each sequence, rising.
  struct Loss {
    LossReason reason = LossReason::kGone;
    std::string car;
  };
  std::map<std::uint64_t, Loss> losses_;  // Sequences of which there is a row, and no good one.
  // Good rows that others with the same total, of the same table, contend with: by both, hashes.
  std::map<std::pair<bool, std::uint64_t>, std::vector<std::uint64_t>> rivals_;
  std::set<std::uint64_t> used_definitions_;
  Counters counters_;
  RangeSet acknowledged_;
  SalvageReport report_;
};

Status stopped() {
  return {Code::kTryAgain, "stopped"};
}

bool Salvage::goes_on(std::size_t done) {
  if (done % kEntriesPerReport != 0 || !options_.progress) return true;
  return options_.progress(done, gathered_.entries.size());
}

bool Salvage::is_foreign_wal() const {
  std::set<std::string> here = gathered_.incarnations_in_database;
  const auto name = parse_journal_file_name(salvaged_name(options_.damaged));
  if (name.ok()) here.insert(hex_id(name.value().incarnation));
  const auto& there = gathered_.incarnations_in_wal;
  if (here.empty() || there.empty()) return false;
  return std::all_of(here.begin(), here.end(), [&](const std::string& a) {
    return std::all_of(there.begin(), there.end(),
                       [&](const std::string& b) { return !is_nearly(a, b); });
  });
}

Status Salvage::gather() {
  Status status = gather_rows(pages_, options_.progress, gathered_);
  if (!status.ok() || !is_foreign_wal()) return status;
  pages_.forget_wal("it belongs to another journal");
  gathered_ = {};
  return gather_rows(pages_, options_.progress, gathered_);
}

Status Salvage::verify_all() {
  std::vector<EntryCandidate>& entries = gathered_.entries;
  mark_in_order(entries);
  // The newest version first: it most likely is the one that counts.
  std::sort(entries.begin(), entries.end(), [](const EntryCandidate& a, const EntryCandidate& b) {
    return std::tuple(a.sequence, ~a.version, a.page, a.cell) <
           std::tuple(b.sequence, ~b.version, b.page, b.cell);
  });
  verifier_.emplace(pages_, gathered_.definitions, gathered_.blocks);
  for (std::size_t begin = 0; begin < entries.size();) {
    std::size_t end = begin + 1;
    while (end < entries.size() && entries[end].sequence == entries[begin].sequence) ++end;
    verify_sequence(std::span(entries).subspan(begin, end - begin));
    for (; begin < end; ++begin) {
      if (!goes_on(begin)) return stopped();
    }
  }
  drop_contested();
  return {};
}

void Salvage::drop_contested() {
  std::erase_if(good_, [&](const GoodRow& row) {
    const EntryCandidate& mine = row.candidate;
    const auto rivals = rivals_.find({mine.is_event, mine.total});
    if (rivals == rivals_.end()) return false;
    const bool is_contested = std::any_of(rivals->second.begin(), rivals->second.end(),
                                          [&](std::uint64_t hash) { return hash != mine.hash; });
    if (is_contested) losses_.emplace(mine.sequence, Loss{LossReason::kConflict, {}});
    return is_contested;
  });
}

// All rows that claim one sequence.
void Salvage::verify_sequence(std::span<const EntryCandidate> candidates) {
  const std::uint64_t sequence = candidates.front().sequence;
  std::vector<std::pair<GoodRow, ContentHash>> good;
  std::optional<Loss> loss;
  bool is_believed = false;
  for (const EntryCandidate& candidate : candidates) {
    const bool is_known = std::any_of(good.begin(), good.end(), [&](const auto& other) {
      const EntryCandidate& row = other.first.candidate;
      return row.hash == candidate.hash && row.is_event == candidate.is_event;
    });
    if (is_known) continue;
    is_believed = is_believed || candidate.is_in_order;
    const Verdict verdict = verifier_->verify(candidate);
    if (verdict.entry && verdict.entry->is_event) add_meta_of(*verdict.entry, gathered_.meta);
    if (verdict.entry && candidate.is_in_order) {
      good.emplace_back(GoodRow{candidate, verdict.view}, verdict.entry->hashes.front());
      continue;
    }
    // What is nearest to being good says why it is lost.
    const LossReason reason = verdict.entry                ? LossReason::kDoubt
                              : verdict.missing_definition ? LossReason::kDefinition
                                                           : LossReason::kDamaged;
    if (verdict.entry) ++report_.doubtful;
    if (verdict.entry && candidate.is_rival) {
      rivals_[{candidate.is_event, candidate.total}].push_back(candidate.hash);
    }
    if (!loss || loss->reason == LossReason::kDamaged) loss = Loss{reason, verdict.car};
  }
  if (is_believed) report_.last_sequence = std::max(report_.last_sequence, sequence);
  if (good.size() == 1) {
    good_.push_back(good.front().first);
    return;
  }
  if (good.size() > 1) loss = Loss{LossReason::kConflict, {}};
  losses_.emplace(sequence, *loss);
}

// A definition is the same wherever it lies, so the session's other files are asked.
void Salvage::find_definitions() {
  std::set<std::uint64_t> missing = verifier_->missing_definitions();
  if (missing.empty()) return;
  const fs::path folder = fs::absolute(options_.damaged).parent_path();
  std::size_t asked = 0;
  DefinitionMap found;
  for (const fs::path& file : files_to_salvage(folder)) {
    std::error_code error;
    if (fs::equivalent(file, options_.damaged, error) || ++asked > kNeighboursAsked) continue;
    const auto pages = SalvagePages::open(file, count_known_rows);
    if (pages.ok()) gather_definitions(pages.value(), missing, found);
    for (const auto& [prefix, definition] : found) missing.erase(prefix);
    if (missing.empty()) break;
  }
  for (const auto& [prefix, definition] : found) {
    gathered_.definitions.emplace(prefix, definition);
    report_.found_definitions.push_back(prefix);
  }
}

void Salvage::count_pages() {
  report_.page_bytes = pages_.page_bytes();
  report_.pages = pages_.pages();
  report_.unreadable_pages = gathered_.unreadable_pages;
  report_.damaged_pages = gathered_.damaged_pages;
  report_.wal = pages_.wal();
  const DatabaseHeader header = read_database_header(pages_);
  report_.missing_pages = pages_.missing_of(header.pages);
  // What lies behind the database's end is not its own; pages on its free list are nothing.
  std::uint64_t unclaimed = 0;
  for (const std::uint32_t page : gathered_.unclaimed) {
    const bool is_inside = header.pages == 0 || page <= header.pages;
    const bool is_claimed = verifier_->has_used(page) || gathered_.claimed.contains(page);
    if (is_inside && !is_claimed && pages_.version(page, pages_.newest()) == 0) {
      ++unclaimed;
    }
  }
  if (unclaimed > header.free_pages) report_.damaged_pages += unclaimed - header.free_pages;
}

void Salvage::add_lost(Range range, LossReason reason, const std::string& car) {
  report_.lost_sequences += range.last - range.first + 1;
  std::vector<LostRange>& lost = report_.lost;
  const bool is_same = !lost.empty() && lost.back().range.last + 1 == range.first &&
                       lost.back().reason == reason && lost.back().car == car;
  if (is_same) {
    lost.back().range.last = range.last;
  } else if (lost.size() < kMaxLostRanges) {
    lost.push_back({range, reason, car});
  }
  if (!car.empty()) ++report_.cars[car].lost_batches;
}

void Salvage::count_lost() {
  std::sort(gathered_.acknowledged.begin(), gathered_.acknowledged.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });
  for (Range range : gathered_.acknowledged) {
    range.last = std::min(range.last, report_.last_sequence);
    if (range.first <= range.last) acknowledged_.add(range);
  }
  if (report_.last_sequence == 0) return;
  RangeSet told = report_.recovered;
  for (Range range : report_.evicted.ranges()) {
    range.last = std::min(range.last, report_.last_sequence);
    if (range.first <= range.last) told.add(range);
  }
  for (Range hole : told.missing({1, report_.last_sequence})) {
    for (auto loss = losses_.lower_bound(hole.first);
         loss != losses_.end() && loss->first <= hole.last; ++loss) {
      if (hole.first < loss->first) {
        add_lost({hole.first, loss->first - 1}, LossReason::kGone, {});
      }
      add_lost({loss->first, loss->first}, loss->second.reason, loss->second.car);
      hole.first = loss->first + 1;
    }
    if (hole.first <= hole.last) add_lost(hole, LossReason::kGone, {});
  }
  for (const Range& hole : acknowledged_.missing({1, report_.last_sequence})) told.add(hole);
  report_.lost_but_acknowledged = report_.last_sequence - told.count();
}

void Salvage::choose_counters() {
  counters_ = gathered_.counters;
  const bool is_whole =
      counters_.contains("entries.journaled") && Conservation::load(counters_).violations().empty();
  if (!is_whole) counters_.clear();
  report_.keeps_counters = is_whole;
}

void Salvage::count_written(const StoredEntry& entry) {
  report_.bytes += entry.bytes.size();
  report_.recovered.add(entry.first);
  if (entry.is_event) {
    ++report_.events;
    return;
  }
  ++report_.batches;
  SalvageReport::Car& car = report_.cars[entry.car];
  ++car.batches;
  car.rows += entry.rows;
  car.samples += entry.samples;
  used_definitions_.insert(entry.definitions.begin(), entry.definitions.end());
}

Status Salvage::write_event(SalvageWriter& writer, const StoredEntry& event) {
  const auto row = gathered_.laps.find(event.first);
  const std::optional<StoredLap> lap = lap_of_event(event);
  const bool has_row = row != gathered_.laps.end();
  if (lap || (event.kind == "lap" && has_row)) {
    ++report_.laps;
    Status written = writer.add(lap ? *lap : row->second);
    if (!written.ok()) return written;
  }
  if (has_row) gathered_.laps.erase(row);
  const auto parsed = parse_event(event.bytes);
  if (!parsed.ok() || !parsed.value().has_tombstone()) return {};
  const words::Tombstone& tombstone = parsed.value().tombstone();
  if (tombstone.incarnation() == report_.meta.incarnation) {
    report_.evicted.add({tombstone.first(), tombstone.last()});
  }
  return {};
}

Status Salvage::write_rows(SalvageWriter& writer) {
  std::size_t done = 0;
  for (const GoodRow& row : good_) {
    const std::optional<StoredEntry> entry = verifier_->read_again(row.candidate, row.view);
    if (!entry) return {Code::kFatal, "the damaged file changed while it was read"};
    Status written = writer.add(*entry);
    if (written.ok() && entry->is_event) written = write_event(writer, *entry);
    if (!written.ok()) return written;
    count_written(*entry);
    if (!goes_on(++done)) return stopped();
  }
  for (const std::uint64_t prefix : used_definitions_) {
    Status written = writer.add(*gathered_.definitions.at(prefix));
    if (!written.ok()) return written;
  }
  return {};
}

Status Salvage::write() {
  auto made = SalvageWriter::create(options_.output);
  if (!made.ok()) return made.status();
  SalvageWriter& writer = *made.value();
  if (Status written = write_rows(writer); !written.ok()) return written;
  count_lost();
  choose_counters();
  Status finished = writer.finish(report_, counters_, acknowledged_);
  if (finished.ok()) report_.output = options_.output;
  return finished;
}

Result<SalvageReport> Salvage::run() {
  report_.file = options_.damaged;
  Status status = gather();
  if (status.ok()) status = verify_all();
  if (!status.ok()) return status;
  find_definitions();
  if (!report_.found_definitions.empty()) {
    // They are known now, and the rows are judged once more.
    good_.clear();
    losses_.clear();
    rivals_.clear();
    report_.doubtful = 0;
    if (status = verify_all(); !status.ok()) return status;
  }
  report_.meta = meta_of_rows(gathered_.meta, options_.damaged, report_.unknown);
  for (const std::uint64_t prefix : verifier_->missing_definitions()) {
    report_.lost_definitions.push_back(prefix);
  }
  const fs::path state = fs::absolute(options_.damaged).parent_path().parent_path().parent_path();
  const auto mark = HighWater::read(state / "high_water");
  if (mark && mark->incarnation == report_.meta.incarnation) {
    report_.last_sequence = std::max(report_.last_sequence, mark->last);
  }
  count_pages();
  if (good_.empty()) {
    count_lost();
  } else if (status = write(); !status.ok()) {
    return status;
  }
  for (auto& [sequence, lap] : gathered_.laps) {
    if (sequence <= report_.last_sequence) report_.lost_laps.push_back(std::move(lap));
  }
  return std::move(report_);
}

}  // namespace

std::string_view to_string(LossReason reason) {
  switch (reason) {
    case LossReason::kGone:
      return "gone";
    case LossReason::kDamaged:
      return "damaged";
    case LossReason::kDefinition:
      return "definition";
    case LossReason::kConflict:
      return "conflict";
    case LossReason::kDoubt:
      return "doubt";
  }
  return "unknown";
}

bool SalvageReport::is_complete() const {
  return !is_empty() && lost_sequences == 0 && doubtful == 0 && unknown.empty() &&
         missing_pages + unreadable_pages + damaged_pages == 0 && lost_laps.empty() &&
         !wal.may_hide_commits();
}

Result<SalvageReport> salvage_journal(const SalvageOptions& options) {
  const std::string step = "salvage " + options.damaged.string();
  for (const char* ending : {"", ".new"}) {
    const fs::path name = options.output.string() + ending;
    std::error_code error;
    if (!fs::exists(fs::symlink_status(name, error))) continue;
    return Status::rejected(name.string() + " is there already").within(step);
  }
  auto pages = SalvagePages::open(options.damaged, count_known_rows);
  if (!pages.ok()) return Status(pages.status()).within(step);
  auto report = Salvage(options, pages.value()).run();
  if (!report.ok()) return Status(report.status()).within(step);
  return report;
}

std::string salvaged_name(const fs::path& damaged) {
  const std::string name = damaged.filename().string();
  const std::size_t ending = name.find(".db");
  return ending == std::string::npos ? name + ".db" : name.substr(0, ending + 3);
}

std::vector<fs::path> files_to_salvage(const fs::path& folder) {
  std::vector<std::pair<std::uint64_t, fs::path>> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const std::size_t at = name.find(".db");
    const auto ends = [&](const char* ending) { return name.ends_with(ending); };
    if (at == std::string::npos || ends("-wal") || ends("-shm") || ends("-journal")) continue;
    if (ends(".new") || !it->is_regular_file(error)) continue;
    const auto parsed = parse_journal_file_name(name.substr(0, at + 3));
    found.emplace_back(parsed.ok() ? parsed.value().number : 0, it->path());
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> files;
  files.reserve(found.size());
  for (auto& [number, file] : found) files.push_back(std::move(file));
  return files;
}

}  // namespace pitbox
