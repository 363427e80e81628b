#include "buffer/journal_rows.h"

#include <string>
#include <utility>

#include "buffer/block.h"
#include "proto/check.h"
#include "proto/text.h"

namespace pitbox {
namespace {

bool has_types(const Statement& row, std::initializer_list<ValueType> types) {
  int column = 0;
  for (const ValueType type : types) {
    if (row.type(column++) != type) return false;
  }
  return true;
}

constexpr auto kInteger = ValueType::kInteger;
constexpr auto kText = ValueType::kText;
constexpr auto kBlob = ValueType::kBlob;

// sequence, kind, car, time_ns, hash, bytes
Result<StoredEntry> event_of(const Statement& row) {
  if (!has_types(row, {kInteger, kText, kText, kInteger, kBlob, kBlob})) {
    return Status::corrupt("an event's column is of another type");
  }
  if (row.integer(0) < 1) return Status::corrupt("a sequence below 1");
  StoredEntry entry;
  entry.first = entry.last = row.u64(0);
  entry.is_event = true;
  entry.kind = row.text(1);
  entry.car = row.text(2);
  entry.first_ns = entry.last_ns = row.integer(3);
  entry.bytes = row.blob(5);
  if (entry.kind.empty() || entry.kind.size() > kMaxEventKindBytes || !is_plain_text(entry.kind)) {
    return Status::corrupt("an event's kind is no name");
  }
  if (!is_car_name(entry.car, true)) return Status::corrupt("an event's car is no name");
  if (entry.bytes.empty() || entry.bytes.size() > kMaxEventBytes) {
    return Status::corrupt("an event of " + std::to_string(entry.bytes.size()) + " bytes");
  }
  const auto hash = ContentHash::from_bytes(row.blob(4));
  if (!hash.ok()) return hash.status();
  if (hash.value() != hash_event(entry.bytes)) return Status::corrupt("an event's hash is another");
  entry.hashes.push_back(hash.value());
  return entry;
}

Status read_hashes(std::string_view raw, std::uint64_t count, std::vector<ContentHash>& out) {
  constexpr std::size_t kHashBytes = sizeof(ContentHash::bytes);
  if (raw.size() % kHashBytes != 0 || raw.size() / kHashBytes != count) {
    return Status::corrupt("not one hash of 16 bytes for each sequence");
  }
  for (std::size_t at = 0; at < raw.size(); at += kHashBytes) {
    const auto hash = ContentHash::from_bytes(raw.substr(at, kHashBytes));
    if (!hash.ok()) return hash.status();
    out.push_back(hash.value());
  }
  return {};
}

// sequence, last_sequence, car, first_ns, last_ns, rows, samples, hash, definitions, blob
Result<StoredEntry> batch_of(const Statement& row) {
  if (!has_types(row, {kInteger, kInteger, kText, kInteger, kInteger, kInteger, kInteger, kBlob,
                       kBlob, kBlob})) {
    return Status::corrupt("a batch's column is of another type");
  }
  if (row.integer(0) < 1 || row.integer(1) < row.integer(0)) {
    return Status::corrupt("no range of sequences");
  }
  StoredEntry entry;
  entry.first = row.u64(0);
  entry.last = row.u64(1);
  entry.car = row.text(2);
  entry.first_ns = row.integer(3);
  entry.last_ns = row.integer(4);
  entry.rows = row.u64(5);
  entry.samples = row.u64(6);
  const std::string_view blob = row.blob(9);
  if (!is_car_name(entry.car, false)) return Status::corrupt("a batch's car is no name");
  if (entry.rows < 1 || entry.rows > kMaxBatchRows || entry.samples > entry.rows * kMaxChannels) {
    return Status::corrupt("a batch of " + std::to_string(entry.rows) + " rows, " +
                           std::to_string(entry.samples) + " samples");
  }
  if (blob.empty() || blob.size() > kMaxBatchBytes) {
    return Status::corrupt("a batch of " + std::to_string(blob.size()) + " bytes");
  }
  Status hashes = read_hashes(row.blob(7), entry.last - entry.first + 1, entry.hashes);
  if (!hashes.ok()) return hashes;
  auto prefixes = unpack_prefixes(row.blob(8));
  if (!prefixes.ok()) return prefixes.status();
  entry.definitions = std::move(prefixes).take();
  if (entry.definitions.empty() || entry.definitions.size() > kMaxBatchGroups) {
    return Status::corrupt("a batch of " + std::to_string(entry.definitions.size()) + " groups");
  }
  entry.bytes = blob;
  return entry;
}

// sequence, car, lap, kind, lap_time_ms, sector_time_ms, started_at_ms, evidence
Result<StoredLap> lap_of(const Statement& row) {
  if (!has_types(row, {kInteger, kText, kInteger, kText, kInteger, kText, kInteger, kText})) {
    return Status::corrupt("a lap's column is of another type");
  }
  StoredLap lap;
  lap.sequence = row.u64(0);
  lap.car = row.text(1);
  lap.kind = row.text(3);
  lap.lap_time_ms = row.integer(4);
  lap.started_at_ms = row.integer(6);
  lap.evidence = row.text(7);
  constexpr std::int64_t kMaxLap = 1'000'000;
  if (row.integer(0) < 1 || row.integer(2) < 0 || row.integer(2) > kMaxLap) {
    return Status::corrupt("a lap's sequence or number");
  }
  lap.lap = static_cast<std::uint32_t>(row.integer(2));
  if (!is_car_name(lap.car, false) || !is_row_name(lap.kind) || !is_row_name(lap.evidence)) {
    return Status::corrupt("a lap's car, kind or evidence is no name");
  }
  auto sectors = parse_sectors(row.text(5));
  if (!sectors.ok()) return sectors.status();
  lap.sector_time_ms = std::move(sectors).take();
  return lap;
}

// Runs `wanted` for one row and lets `make` turn it into a value.
template <typename Value, typename Make>
Result<Value> one_row(LazyStatement& wanted, std::uint64_t sequence, Make make) {
  const auto compiled = wanted.get();
  if (!compiled.ok()) return compiled.status();
  Statement& statement = *compiled.value();
  const auto stepped = statement.bind_u64(1, sequence).step();
  if (!stepped.ok()) return stepped.status();
  Result<Value> value =
      stepped.value() ? make(statement) : Result<Value>(Status(Code::kRejected, "not in the file"));
  statement.reset();
  return value;
}

}  // namespace

namespace {

const std::string kEvent = "SELECT sequence, kind, car, time_ns, hash, bytes FROM events ";
const std::string kBatch =
    "SELECT sequence, last_sequence, car, first_ns, last_ns, rows, samples, hash, definitions, "
    "blob FROM batches ";
const std::string kWithin = " WHERE sequence BETWEEN ? AND ? ORDER BY sequence ";
const std::string kStep = "LIMIT " + std::to_string(JournalRows::kRowsPerStep);
// The reference of a merged batch (block.h), else nothing. Small ones are looked at only: of a long
// blob SQLite would read all.
const std::string kReference = "CASE WHEN length(blob) <= " + std::to_string(kMaxReferenceBytes) +
                               " AND substr(blob, 1, 1) = x'00' THEN blob END";
const std::string kEventSum = "SELECT total_events, total_bytes, length(bytes) FROM events";
const std::string kBatchSum =
    "SELECT total_batches, total_rows, total_samples, total_bytes, length(blob), rows, samples, " +
    kReference + " FROM batches";

// Runs `wanted` for the first kRowsPerStep sequences within `range`.
Status read_keys(LazyStatement& wanted, const Range& range, std::vector<std::uint64_t>& out) {
  const auto compiled = wanted.get();
  if (!compiled.ok()) return compiled.status();
  Statement& keys = *compiled.value();
  keys.bind_u64(1, range.first).bind_u64(2, range.last);
  Status status;
  std::uint64_t least = range.first;
  for (int i = 0; i < JournalRows::kRowsPerStep; ++i) {
    const auto stepped = keys.step();
    if (!stepped.ok()) status = stepped.status();
    if (!status.ok() || !stepped.value()) break;
    const std::uint64_t sequence = keys.u64(0);
    if (sequence < least || sequence > range.last) {
      status = Status::corrupt("rows out of order");
      break;
    }
    out.push_back(sequence);
    least = sequence + 1;
  }
  keys.reset();
  return status;
}

// Bytes of a batch as it was journaled, and of what it takes, by its length and its reference, if
// it has one. A reference that cannot be read is what it is long.
struct BatchSizes {
  std::uint64_t journaled = 0;
  std::uint64_t stored = 0;
};
BatchSizes sizes_of(const Statement& row, int length, int reference) {
  const BatchSizes plain{row.u64(length), row.u64(length)};
  if (row.type(reference) != kBlob) return plain;
  const auto parsed = parse_block_reference(row.blob(reference), 0);
  return parsed.ok() ? BatchSizes{parsed.value().bytes, parsed.value().share} : plain;
}

}  // namespace

// length() of a blob reads its size from the row's header, not the blob.
JournalRows::JournalRows(Database& database)
    : event_(database, kEvent + "WHERE sequence = ?"),
      batch_(database, kBatch + "WHERE sequence = ?"),
      batch_holding_(database, kBatch + "WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1"),
      block_(database, "SELECT car, blob FROM blocks WHERE block = ?"),
      lap_(database,
           "SELECT sequence, car, lap, kind, lap_time_ms, sector_time_ms, started_at_ms, evidence "
           "FROM laps WHERE sequence = ?"),
      event_keys_(database, "SELECT sequence FROM events" + kWithin + kStep),
      batch_keys_(database, "SELECT sequence FROM batches" + kWithin + kStep),
      lap_keys_(database, "SELECT sequence FROM laps" + kWithin + kStep),
      unmerged_(database, "SELECT sequence FROM batches WHERE sequence BETWEEN ? AND ? AND (" +
                              kReference + ") IS NULL ORDER BY sequence " + kStep),
      outline_(database,
               "SELECT sequence, last_sequence, car, first_ns, last_ns, rows, length(blob), " +
                   kReference + " FROM batches" + kWithin + kStep),
      first_event_(database, kEventSum + kWithin + "LIMIT 1"),
      last_event_(database, kEventSum + kWithin + "DESC LIMIT 1"),
      first_batch_(database, kBatchSum + kWithin + "LIMIT 1"),
      last_batch_(database, kBatchSum + kWithin + "DESC LIMIT 1") {}

Result<StoredEntry> JournalRows::event(std::uint64_t sequence) {
  return one_row<StoredEntry>(event_, sequence, event_of);
}

Result<StoredEntry> JournalRows::batch(std::uint64_t sequence) {
  return one_row<StoredEntry>(batch_, sequence, batch_of);
}

Result<StoredEntry> JournalRows::batch_holding(std::uint64_t sequence) {
  auto found = one_row<StoredEntry>(batch_holding_, sequence, batch_of);
  if (found.ok() && found.value().last < sequence) {
    return Status(Code::kRejected, "not in the file");
  }
  return found;
}

Result<std::string> JournalRows::block(std::uint64_t block, std::string_view car) {
  // Older forms have no such table.
  const auto compiled = block_.get();
  if (!compiled.ok() && compiled.status().code() == Code::kFatal) {
    return Status::corrupt(compiled.status().message());
  }
  return one_row<std::string>(block_, block, [&](const Statement& row) -> Result<std::string> {
    if (!has_types(row, {kText, kBlob})) {
      return Status::corrupt("a block's column is of another type");
    }
    if (row.text(0) != car) return Status::corrupt("its block is another car's");
    return std::string(row.blob(1));
  });
}

Status JournalRows::unmerged(Range range, std::vector<std::uint64_t>& out) {
  return read_keys(unmerged_, range, out);
}

Result<StoredLap> JournalRows::lap(std::uint64_t sequence) {
  return one_row<StoredLap>(lap_, sequence, lap_of);
}

Status JournalRows::sequences(Table table, Range range, std::vector<std::uint64_t>& out) {
  LazyStatement& wanted = table == Table::kEvents    ? event_keys_
                          : table == Table::kBatches ? batch_keys_
                                                     : lap_keys_;
  return read_keys(wanted, range, out);
}

Status JournalRows::outlines(Range range, std::vector<BatchOutline>& out) {
  const auto compiled = outline_.get();
  if (!compiled.ok()) return compiled.status();
  Statement& row = *compiled.value();
  row.bind_u64(1, range.first).bind_u64(2, range.last);
  Status status;
  while (status.ok()) {
    const auto stepped = row.step();
    if (!stepped.ok()) status = stepped.status();
    if (!status.ok() || !stepped.value()) break;
    const bool is_sound =
        has_types(row, {kInteger, kInteger, kText, kInteger, kInteger, kInteger, kInteger}) &&
        row.integer(0) >= 1 && row.integer(1) >= row.integer(0) && row.integer(5) >= 0 &&
        is_car_name(row.text(2), false);
    if (!is_sound) {
      status = Status::corrupt("a batch's row is of another shape");
      break;
    }
    const BatchSizes sizes = sizes_of(row, 6, 7);
    out.push_back({.first = row.u64(0),
                   .last = row.u64(1),
                   .car = std::string(row.text(2)),
                   .first_ns = row.integer(3),
                   .last_ns = row.integer(4),
                   .rows = row.u64(5),
                   .bytes = sizes.journaled,
                   .stored = sizes.stored});
  }
  row.reset();
  return status;
}

Result<JournalRows::Edge> JournalRows::edges(Range range) {
  Edge edge;
  // What `take` reads of the statement's row, if there is one.
  const auto at = [&](LazyStatement& wanted, const auto& take) -> Result<bool> {
    const auto compiled = wanted.get();
    if (!compiled.ok()) return compiled.status();
    Statement& row = *compiled.value();
    auto found = row.bind_u64(1, range.first).bind_u64(2, range.last).step();
    if (found.ok() && found.value()) take(row);
    row.reset();
    return found;
  };
  auto found = at(first_event_, [&](const Statement& row) {
    edge.found = true;
    edge.before.events = row.u64(0) - 1;
    edge.before.event_bytes = row.u64(1) - row.u64(2);
  });
  if (found.ok() && found.value()) {
    found = at(last_event_, [&](const Statement& row) {
      edge.through.events = row.u64(0);
      edge.through.event_bytes = row.u64(1);
    });
  }
  if (!found.ok()) return found.status();
  found = at(first_batch_, [&](const Statement& row) {
    edge.found = true;
    edge.before.batches = row.u64(0) - 1;
    edge.before.rows = row.u64(1) - row.u64(5);
    edge.before.samples = row.u64(2) - row.u64(6);
    edge.before.batch_bytes = row.u64(3) - sizes_of(row, 4, 7).journaled;
  });
  if (found.ok() && found.value()) {
    found = at(last_batch_, [&](const Statement& row) {
      edge.through.batches = row.u64(0);
      edge.through.rows = row.u64(1);
      edge.through.samples = row.u64(2);
      edge.through.batch_bytes = row.u64(3);
    });
  }
  if (!found.ok()) return found.status();
  const JournalTotals& a = edge.before;
  const JournalTotals& b = edge.through;
  if (b.events < a.events || b.event_bytes < a.event_bytes || b.batches < a.batches ||
      b.rows < a.rows || b.samples < a.samples || b.batch_bytes < a.batch_bytes) {
    return Status::corrupt("the running totals go back");
  }
  return edge;
}

}  // namespace pitbox
