#include "buffer/journal_reader.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "buffer/block.h"
#include "buffer/journal_rows.h"
#include "buffer/journal_schema.h"
#include "proto/sqlite.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

constexpr int kReaderBusyMs = 200;
// No sequence is greater: SQLite's integers are signed.
constexpr auto kNoCut = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
// How many files that follow are asked whether they cut this one; it is the first that is asked.
constexpr std::size_t kFollowersAsked = 64;

// Something beside it that belongs to it: not all of the database is in the file.
bool has_more(const fs::path& file) {
  for (const char* ending : {"-wal", "-journal"}) {
    std::error_code error;
    const auto size = fs::file_size(file.string() + ending, error);
    if (!error && size > 0) return true;
  }
  return false;
}

Result<Database> open_as(const fs::path& file, Database::Mode mode) {
  auto opened = Database::open(file, mode);
  if (!opened.ok()) return opened;
  opened.value().set_busy_timeout_ms(kReaderBusyMs);
  Status status = opened.value().distrust(kMaxJournalValueBytes);
  if (status.ok()) status = check_journal_tables(opened.value());
  if (!status.ok()) return status;
  return opened;
}

}  // namespace

Result<Database> open_journal_to_read(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) {
    return Status(Code::kRejected, "there is no such file");
  }
  auto opened = open_as(file, Database::Mode::kReadOnly);
  if (opened.ok() || opened.status().code() != Code::kFatal) return opened;
  // A file in WAL form wants to make files beside it; where it may not (a read-only medium), it can
  // be read as it is if it is all there.
  if (!has_more(file)) return open_as(file, Database::Mode::kImmutable);
  return Status(opened.status())
      .within(
          "there is a WAL or a rollback journal beside it; copy both to where files can be made");
}

namespace {

struct Follower {
  std::uint64_t number = 0;
  fs::path file;
};

std::vector<Follower> followers_of(const fs::path& file) {
  std::vector<Follower> followers;
  const auto own = parse_journal_file_name(file.filename().string());
  if (!own.ok()) return followers;
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const auto name = parse_journal_file_name(it->path().filename().string());
    if (!name.ok() || name.value().number <= own.value().number) continue;
    followers.push_back({name.value().number, it->path()});
  }
  std::sort(followers.begin(), followers.end(),
            [](const Follower& a, const Follower& b) { return a.number < b.number; });
  if (followers.size() > kFollowersAsked) followers.resize(kFollowersAsked);
  return followers;
}

std::uint64_t find_cut(const fs::path& file, const JournalMeta& meta) {
  for (const Follower& follower : followers_of(file)) {
    auto opened = open_journal_to_read(follower.file);
    if (!opened.ok()) continue;
    const auto other = read_journal_meta(opened.value());
    if (!other.ok() || other.value().session.id != meta.session.id) continue;
    if (other.value().cut_incarnation != meta.incarnation) continue;
    return std::min(other.value().cut_sequence, kNoCut);
  }
  return kNoCut;
}

}  // namespace

struct JournalReader::State {
  fs::path file;
  JournalMeta meta;  // What is constant in it.
  std::uint64_t cut = kNoCut;
  std::optional<Database> database;
  std::optional<JournalRows> rows;
  std::map<std::uint64_t, DefinitionPtr> definitions;
  std::optional<BlockExpander> blocks;

  Status named(Status status) const { return std::move(status).within(file.string()); }
  Status named(Status status, std::uint64_t sequence) const {
    return named(std::move(status).within("sequence " + std::to_string(sequence)));
  }
  Result<Range> extent();
  Result<JournalMeta> meta_now();
  // As it was journaled, whether or not it was merged since.
  Result<StoredEntry> batch(std::uint64_t sequence);
  Result<StoredEntry> batch_holding(std::uint64_t sequence);
  Result<StoredEntry> expanded(const std::function<Result<StoredEntry>()>& read);
  Result<DefinitionPtr> definition(std::uint64_t prefix);
};

// A block can go between the look at its batch and the look at it: then the batch went too.
Result<StoredEntry> JournalReader::State::expanded(
    const std::function<Result<StoredEntry>()>& read) {
  auto entry = read();
  if (!entry.ok() || !is_block_reference(entry.value().bytes)) return entry;
  const std::string reference = entry.value().bytes;
  Status status = blocks->expand(entry.value());
  if (status.ok()) return entry;
  if (status.code() != Code::kRejected) return status;
  entry = read();
  if (entry.ok() && entry.value().bytes != reference) status = blocks->expand(entry.value());
  if (!entry.ok() || status.ok()) return entry;
  return Status::corrupt("its block is not there");
}

Result<StoredEntry> JournalReader::State::batch(std::uint64_t sequence) {
  return expanded([&] { return rows->batch(sequence); });
}

Result<StoredEntry> JournalReader::State::batch_holding(std::uint64_t sequence) {
  return expanded([&] { return rows->batch_holding(sequence); });
}

Result<Range> JournalReader::State::extent() {
  auto range = read_extent(*database);
  if (!range.ok()) return named(range.status());
  Range held = range.value();
  held.last = std::min(held.last, cut);
  held.first = std::min(held.first, held.last + 1);
  return held;
}

Result<JournalMeta> JournalReader::State::meta_now() {
  auto now = read_journal_meta(*database);
  if (!now.ok()) return named(now.status());
  return now;
}

JournalReader::JournalReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
JournalReader::~JournalReader() = default;

Result<std::unique_ptr<JournalReader>> JournalReader::open(const fs::path& file) {
  const std::string step = "open " + file.string();
  auto opened = open_journal_to_read(file);
  if (!opened.ok()) return Status(opened.status()).within(step);
  auto state = std::make_unique<State>();
  state->file = file;
  state->database = std::move(opened).take();
  auto meta = read_journal_meta(*state->database);
  if (!meta.ok()) return Status(meta.status()).within(step);
  state->meta = std::move(meta).take();
  state->rows.emplace(*state->database);
  State* const raw = state.get();
  state->blocks.emplace(
      [raw](std::uint64_t block, const std::string& car) { return raw->rows->block(block, car); },
      [raw](std::uint64_t prefix) {
        const auto found = raw->definition(prefix);
        return found.ok() ? found.value() : DefinitionPtr();
      });
  state->cut = find_cut(file, state->meta);
  return std::unique_ptr<JournalReader>(new JournalReader(std::move(state)));
}

std::uint64_t JournalReader::incarnation() const {
  return state_->meta.incarnation;
}
std::uint64_t JournalReader::rekeyed_from() const {
  return state_->meta.rekeyed_from;
}
std::uint64_t JournalReader::number() const {
  return state_->meta.number;
}
std::uint64_t JournalReader::cut_incarnation() const {
  return state_->meta.cut_incarnation;
}
std::uint64_t JournalReader::cut_sequence() const {
  return state_->meta.cut_sequence;
}
bool JournalReader::is_cut() const {
  return state_->cut < kNoCut;
}
const Uuid& JournalReader::box_id() const {
  return state_->meta.box_id;
}
const fs::path& JournalReader::file() const {
  return state_->file;
}

Result<SessionInfo> JournalReader::session() {
  const auto meta = state_->meta_now();
  if (!meta.ok()) return meta.status();
  return meta.value().session;
}

Result<bool> JournalReader::session_ended() {
  const auto meta = state_->meta_now();
  if (!meta.ok()) return meta.status();
  return meta.value().session_ended;
}

Result<bool> JournalReader::sealed() {
  const auto meta = state_->meta_now();
  if (!meta.ok()) return meta.status();
  return meta.value().sealed;
}

Result<std::uint64_t> JournalReader::first_sequence() {
  const auto extent = state_->extent();
  if (!extent.ok()) return extent.status();
  return extent.value().first;
}

Result<std::uint64_t> JournalReader::last_sequence() {
  const auto extent = state_->extent();
  if (!extent.ok()) return extent.status();
  return extent.value().last;
}

Result<RangeSet> JournalReader::acknowledged() {
  auto ranges = read_acknowledged(*state_->database);
  if (!ranges.ok()) return state_->named(ranges.status());
  if (state_->cut < kNoCut) ranges.value().remove(Range{state_->cut + 1, kNoCut});
  return ranges;
}

Result<RangeSet> JournalReader::removed() {
  auto ranges = read_removed(*state_->database);
  if (!ranges.ok()) return state_->named(ranges.status());
  if (state_->cut < kNoCut) ranges.value().remove(Range{state_->cut + 1, kNoCut});
  return ranges;
}

Result<EvictedRanges> JournalReader::evicted() {
  auto ranges = read_evicted(*state_->database);
  if (!ranges.ok()) return state_->named(ranges.status());
  return ranges;
}

Result<std::vector<StoredMoment>> JournalReader::moments(std::string_view kind) {
  auto rows = state_->database->prepare(
      "SELECT sequence, car, time_ns FROM events WHERE kind = ? ORDER BY sequence");
  if (!rows.ok()) return state_->named(rows.status());
  rows.value().bind_text(1, kind);
  std::vector<StoredMoment> moments;
  while (moments.size() < kMaxNamedRows) {
    const auto stepped = rows.value().step();
    if (!stepped.ok()) return state_->named(stepped.status());
    if (!stepped.value()) break;
    StoredMoment moment{.sequence = rows.value().u64(0),
                        .car = std::string(rows.value().text(1)),
                        .time_ns = rows.value().integer(2)};
    const bool is_sound = moment.sequence <= state_->cut && is_car_name(moment.car, true);
    if (is_sound) moments.push_back(std::move(moment));
  }
  return moments;
}

Result<std::uint64_t> JournalReader::newest_batch() {
  const auto newest = state_->database->integer("SELECT coalesce(max(sequence), 0) FROM batches");
  if (!newest.ok()) return state_->named(newest.status());
  return static_cast<std::uint64_t>(std::max<std::int64_t>(newest.value(), 0));
}

Result<std::vector<BatchOutline>> JournalReader::outlines(Range range) {
  std::vector<BatchOutline> found;
  range.last = std::min(range.last, state_->cut);
  if (range.first > range.last) return found;
  const Status read = state_->rows->outlines(range, found);
  if (!read.ok() && found.empty()) return state_->named(read);
  std::erase_if(found, [&](const BatchOutline& batch) { return batch.last > state_->cut; });
  return found;
}

Result<Counters> JournalReader::counters() {
  auto counters = read_counters(*state_->database);
  if (!counters.ok()) return state_->named(counters.status());
  return counters;
}

Result<std::map<std::string, ConsumedPosition>> JournalReader::positions() {
  auto positions = read_positions(*state_->database);
  if (!positions.ok()) return state_->named(positions.status());
  return positions;
}

Result<std::map<std::string, std::string>> JournalReader::decoder_states() {
  auto states = read_decoder_states(*state_->database);
  if (!states.ok()) return state_->named(states.status());
  return states;
}

Result<std::string> JournalReader::lap_state() {
  auto state = read_lap_state(*state_->database);
  if (!state.ok()) return state_->named(state.status());
  return state;
}

Result<std::vector<StoredLap>> JournalReader::laps(const Bad& bad) {
  const auto extent = state_->extent();
  if (!extent.ok()) return extent.status();
  std::vector<StoredLap> laps;
  Range rest{1, extent.value().last};
  while (rest.first <= rest.last) {
    std::vector<std::uint64_t> sequences;
    Status found = state_->rows->sequences(JournalRows::Table::kLaps, rest, sequences);
    if (!found.ok()) return state_->named(std::move(found));
    if (sequences.empty()) break;
    for (const std::uint64_t sequence : sequences) {
      auto lap = state_->rows->lap(sequence);
      if (lap.ok()) {
        laps.push_back(std::move(lap).take());
      } else if (bad) {
        bad(sequence, state_->named(lap.status(), sequence));
      }
    }
    rest.first = sequences.back() + 1;
  }
  return laps;
}

Result<std::vector<DefinitionPtr>> JournalReader::definitions() {
  std::vector<std::uint64_t> prefixes;
  {
    auto all = state_->database->prepare("SELECT prefix FROM definitions ORDER BY prefix");
    if (!all.ok()) return state_->named(all.status());
    for (;;) {
      const auto stepped = all.value().step();
      if (!stepped.ok()) return state_->named(stepped.status());
      if (!stepped.value()) break;
      if (prefixes.size() == kMaxDefinitionRows) {
        return state_->named({Code::kCorrupt, "too many definitions"});
      }
      prefixes.push_back(all.value().u64(0));
    }
  }
  std::vector<DefinitionPtr> definitions;
  for (const std::uint64_t prefix : prefixes) {
    auto found = definition(prefix);
    if (!found.ok() && found.status().code() != Code::kCorrupt) return found.status();
    if (found.ok() && found.value() != nullptr) definitions.push_back(std::move(found).take());
  }
  return definitions;
}

Result<DefinitionPtr> JournalReader::definition(std::uint64_t prefix) {
  return state_->definition(prefix);
}

Result<DefinitionPtr> JournalReader::State::definition(std::uint64_t prefix) {
  const auto cached = definitions.find(prefix);
  if (cached != definitions.end()) return cached->second;
  auto row = database->prepare("SELECT content FROM definitions WHERE prefix = ?");
  if (!row.ok()) return named(row.status());
  const auto stepped = row.value().bind_u64(1, prefix).step();
  if (!stepped.ok()) return named(stepped.status());
  if (!stepped.value()) return DefinitionPtr();
  auto parsed = Definition::parse(row.value().blob(0));
  const std::string step = "definition " + hex_id(prefix);
  if (!parsed.ok()) return named(Status(parsed.status()).within(step));
  if (parsed.value()->prefix() != prefix) {
    return named(Status(Code::kCorrupt, "its name is another").within(step));
  }
  definitions.emplace(prefix, parsed.value());
  return parsed;
}

Result<std::vector<std::uint64_t>> JournalReader::unmerged(Range range) {
  std::vector<std::uint64_t> found;
  range.last = std::min(range.last, state_->cut);
  if (range.first > range.last) return found;
  const Status read = state_->rows->unmerged(range, found);
  if (!read.ok()) return state_->named(read);
  return found;
}

Result<StoredEntry> JournalReader::entry(std::uint64_t sequence) {
  if (sequence < 1 || sequence > state_->cut) {
    return state_->named({Code::kRejected, "not in the file"}, sequence);
  }
  auto found = state_->rows->event(sequence);
  if (!found.ok() && found.status().code() == Code::kRejected) {
    found = state_->batch_holding(sequence);
  }
  if (!found.ok()) return state_->named(found.status(), sequence);
  return found;
}

namespace {

// One table's side of a scan: sequences found and not yet visited.
struct Lane {
  JournalRows::Table table;
  Range rest;
  std::vector<std::uint64_t> found;
  std::size_t at = 0;
  std::uint64_t stride = 1;  // How far the next leap over damage goes.

  bool is_empty() const { return at == found.size(); }
  std::uint64_t head() const { return is_empty() ? kNoCut : found[at]; }
};

// Fills an empty lane with the next sequences. Over pages that cannot be read it leaps, each time
// twice as far, until rows are found again: at most 63 leaps, whatever the file claims to hold.
Status refill(JournalRows& rows, Lane& lane, const JournalReader::Bad& bad) {
  lane.found.clear();
  lane.at = 0;
  while (lane.found.empty() && lane.rest.first <= lane.rest.last) {
    Status status = rows.sequences(lane.table, lane.rest, lane.found);
    if (!lane.found.empty()) {
      lane.rest.first = lane.found.back() + 1;
      lane.stride = 1;
      return {};
    }
    if (status.ok()) {
      lane.rest.first = lane.rest.last + 1;
      return {};
    }
    if (status.code() == Code::kTryAgain) return status;
    if (bad) bad(lane.rest.first, status);
    const std::uint64_t left = lane.rest.last - lane.rest.first;
    lane.rest.first += std::min(lane.stride, left + 1);
    lane.stride *= 2;
  }
  return {};
}

}  // namespace

Status JournalReader::scan(std::uint64_t from, const std::function<bool(const StoredEntry&)>& visit,
                           const Bad& bad) {
  // Up to what there is now: a commit during the scan could show in one table and not yet in the
  // other, and an entry would be passed over.
  const auto extent = state_->extent();
  if (!extent.ok()) return extent.status();
  const Range all{std::max(from, std::uint64_t{1}), extent.value().last};
  Lane events{.table = JournalRows::Table::kEvents, .rest = all, .found = {}};
  Lane batches{.table = JournalRows::Table::kBatches, .rest = all, .found = {}};
  const auto report = [&](std::uint64_t sequence, const Status& reason) {
    if (bad) bad(sequence, state_->named(reason, sequence));
  };
  std::uint64_t done = all.first - 1;
  for (;;) {
    for (Lane* lane : {&events, &batches}) {
      if (!lane->is_empty()) continue;
      if (Status filled = refill(*state_->rows, *lane, report); !filled.ok()) return filled;
    }
    if (events.is_empty() && batches.is_empty()) return {};
    const bool is_event = events.head() <= batches.head();
    const std::uint64_t sequence =
        is_event ? events.found[events.at++] : batches.found[batches.at++];
    auto entry = is_event ? state_->rows->event(sequence) : state_->batch(sequence);
    if (!entry.ok() && entry.status().code() == Code::kTryAgain) return entry.status();
    if (!entry.ok() && entry.status().code() == Code::kRejected) {
      // Deleted since it was found, or its tree is damaged.
      const auto gone = removed();
      if (gone.ok() && gone.value().contains(sequence)) continue;
      entry = Status::corrupt("it was found and cannot be found again");
    }
    if (entry.ok() && (sequence <= done || entry.value().last > all.last)) {
      entry = Status(Code::kCorrupt, "its sequences are taken or do not exist");
    }
    if (!entry.ok()) {
      report(sequence, entry.status());
      continue;
    }
    done = entry.value().last;
    if (!visit(entry.value())) return {};
  }
}

Result<std::uint64_t> JournalReader::bytes_in(Range range) {
  range.first = std::max(range.first, std::uint64_t{1});
  range.last = std::min(range.last, state_->cut);
  if (range.first > range.last) return std::uint64_t{0};
  const auto edge = state_->rows->edges(range);
  if (!edge.ok()) return state_->named(edge.status());
  const JournalTotals& before = edge.value().before;
  const JournalTotals& through = edge.value().through;
  return through.event_bytes - before.event_bytes + through.batch_bytes - before.batch_bytes;
}

Result<JournalReader::Totals> JournalReader::totals() {
  const auto edge = state_->rows->edges(Range{1, state_->cut});
  if (!edge.ok()) return state_->named(edge.status());
  const JournalTotals& before = edge.value().before;
  const JournalTotals& through = edge.value().through;
  return Totals{
      .batches = through.batches - before.batches,
      .events = through.events - before.events,
      .records = through.rows - before.rows,
      .samples = through.samples - before.samples,
      .bytes = through.event_bytes - before.event_bytes + through.batch_bytes - before.batch_bytes};
}

}  // namespace pitbox
