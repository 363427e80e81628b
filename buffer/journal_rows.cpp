#include "buffer/journal_rows.h"

#include <string>
#include <utility>

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

// Runs `statement` for one row and lets `make` turn it into a value.
template <typename Value, typename Make>
Result<Value> one_row(Statement& statement, std::uint64_t sequence, Make make) {
  const auto stepped = statement.bind_u64(1, sequence).step();
  if (!stepped.ok()) return stepped.status();
  Result<Value> value =
      stepped.value() ? make(statement) : Result<Value>(Status(Code::kRejected, "not in the file"));
  statement.reset();
  return value;
}

}  // namespace

Result<JournalRows> JournalRows::prepare(Database& database) {
  JournalRows rows;
  Status status;
  const auto make = [&](Statement& statement, const std::string& sql) {
    if (!status.ok()) return;
    auto prepared = database.prepare(sql);
    if (!prepared.ok()) {
      status = prepared.status();
      return;
    }
    statement = std::move(prepared).take();
  };
  const std::string event = "SELECT sequence, kind, car, time_ns, hash, bytes FROM events ";
  const std::string batch =
      "SELECT sequence, last_sequence, car, first_ns, last_ns, rows, samples, hash, definitions, "
      "blob FROM batches ";
  make(rows.event_, event + "WHERE sequence = ?");
  make(rows.batch_, batch + "WHERE sequence = ?");
  make(rows.batch_holding_, batch + "WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1");
  make(rows.lap_,
       "SELECT sequence, car, lap, kind, lap_time_ms, sector_time_ms, started_at_ms, evidence "
       "FROM laps WHERE sequence = ?");
  const std::string within = " WHERE sequence BETWEEN ? AND ? ORDER BY sequence ";
  const std::string step = "LIMIT " + std::to_string(kRowsPerStep);
  make(rows.event_keys_, "SELECT sequence FROM events" + within + step);
  make(rows.batch_keys_, "SELECT sequence FROM batches" + within + step);
  make(rows.lap_keys_, "SELECT sequence FROM laps" + within + step);
  // length() of a blob reads its size from the row's header, not the blob.
  make(rows.outline_,
       "SELECT sequence, last_sequence, car, first_ns, last_ns, rows, length(blob) FROM batches" +
           within + step);
  const std::string event_sum = "SELECT total_events, total_bytes, length(bytes) FROM events";
  const std::string batch_sum =
      "SELECT total_batches, total_rows, total_samples, total_bytes, length(blob), rows, samples "
      "FROM batches";
  make(rows.first_event_, event_sum + within + "LIMIT 1");
  make(rows.last_event_, event_sum + within + "DESC LIMIT 1");
  make(rows.first_batch_, batch_sum + within + "LIMIT 1");
  make(rows.last_batch_, batch_sum + within + "DESC LIMIT 1");
  if (!status.ok()) return status;
  return rows;
}

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

Result<StoredLap> JournalRows::lap(std::uint64_t sequence) {
  return one_row<StoredLap>(lap_, sequence, lap_of);
}

Status JournalRows::sequences(Table table, Range range, std::vector<std::uint64_t>& out) {
  Statement& keys = table == Table::kEvents    ? event_keys_
                    : table == Table::kBatches ? batch_keys_
                                               : lap_keys_;
  keys.bind_u64(1, range.first).bind_u64(2, range.last);
  std::uint64_t least = range.first;
  for (int i = 0; i < kRowsPerStep; ++i) {
    const auto stepped = keys.step();
    if (!stepped.ok()) return stepped.status();
    if (!stepped.value()) break;
    const std::uint64_t sequence = keys.u64(0);
    if (sequence < least || sequence > range.last) {
      keys.reset();
      return Status::corrupt("rows out of order");
    }
    out.push_back(sequence);
    least = sequence + 1;
  }
  keys.reset();
  return {};
}

Status JournalRows::outlines(Range range, std::vector<BatchOutline>& out) {
  outline_.bind_u64(1, range.first).bind_u64(2, range.last);
  Status status;
  while (status.ok()) {
    const auto stepped = outline_.step();
    if (!stepped.ok()) status = stepped.status();
    if (!status.ok() || !stepped.value()) break;
    const bool is_sound =
        has_types(outline_, {kInteger, kInteger, kText, kInteger, kInteger, kInteger, kInteger}) &&
        outline_.integer(0) >= 1 && outline_.integer(1) >= outline_.integer(0) &&
        outline_.integer(5) >= 0 && is_car_name(outline_.text(2), false);
    if (!is_sound) {
      status = Status::corrupt("a batch's row is of another shape");
      break;
    }
    out.push_back({.first = outline_.u64(0),
                   .last = outline_.u64(1),
                   .car = std::string(outline_.text(2)),
                   .first_ns = outline_.integer(3),
                   .last_ns = outline_.integer(4),
                   .rows = outline_.u64(5),
                   .bytes = outline_.u64(6)});
  }
  outline_.reset();
  return status;
}

Result<JournalRows::Edge> JournalRows::edges(Range range) {
  Edge edge;
  // True: the statement stands on its row.
  const auto at = [&](Statement& statement) {
    return statement.bind_u64(1, range.first).bind_u64(2, range.last).step();
  };
  auto found = at(first_event_);
  if (!found.ok()) return found.status();
  if (found.value()) {
    edge.found = true;
    edge.before.events = first_event_.u64(0) - 1;
    edge.before.event_bytes = first_event_.u64(1) - first_event_.u64(2);
    first_event_.reset();
    if (found = at(last_event_); !found.ok()) return found.status();
    edge.through.events = last_event_.u64(0);
    edge.through.event_bytes = last_event_.u64(1);
    last_event_.reset();
  }
  first_event_.reset();
  if (found = at(first_batch_); !found.ok()) return found.status();
  if (found.value()) {
    edge.found = true;
    edge.before.batches = first_batch_.u64(0) - 1;
    edge.before.rows = first_batch_.u64(1) - first_batch_.u64(5);
    edge.before.samples = first_batch_.u64(2) - first_batch_.u64(6);
    edge.before.batch_bytes = first_batch_.u64(3) - first_batch_.u64(4);
    first_batch_.reset();
    if (found = at(last_batch_); !found.ok()) return found.status();
    edge.through.batches = last_batch_.u64(0);
    edge.through.rows = last_batch_.u64(1);
    edge.through.samples = last_batch_.u64(2);
    edge.through.batch_bytes = last_batch_.u64(3);
    last_batch_.reset();
  }
  first_batch_.reset();
  const JournalTotals& a = edge.before;
  const JournalTotals& b = edge.through;
  if (b.events < a.events || b.event_bytes < a.event_bytes || b.batches < a.batches ||
      b.rows < a.rows || b.samples < a.samples || b.batch_bytes < a.batch_bytes) {
    return Status::corrupt("the running totals go back");
  }
  return edge;
}

}  // namespace pitbox
