#include "buffer/salvage_verify.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "buffer/batch_facts.h"
#include "buffer/journal_schema.h"
#include "buffer/lap_engine.h"
#include "proto/batch.h"
#include "proto/batch_layout.h"
#include "proto/content_hash.h"
#include "proto/event.h"
#include "proto/text.h"

namespace pitbox {
namespace {

// Where the columns of docs/journal.md stand in a row.
struct BatchColumn {
  static constexpr std::size_t kCar = 2;
  static constexpr std::size_t kHash = 11;
  static constexpr std::size_t kDefinitions = 12;
  static constexpr std::size_t kBlob = 13;
};
struct BlockColumn {
  static constexpr std::size_t kCar = 2;
  static constexpr std::size_t kBlob = 3;
};
struct EventColumn {
  static constexpr std::size_t kKind = 1;
  static constexpr std::size_t kCar = 2;
  static constexpr std::size_t kTime = 3;
  static constexpr std::size_t kHash = 6;
  static constexpr std::size_t kBytes = 7;
};

constexpr std::size_t kDefinitionsListed = 1024;

std::string car_of_event(const words::Event& event) {
  if (event.has_lap()) return event.lap().car();
  if (event.has_gap()) return event.gap().car();
  if (event.has_mark()) return event.mark().car();
  return {};
}

// What an event's bytes say, over what its row says. False if neither is of use.
bool settle_event(StoredEntry& entry) {
  const auto parsed = parse_event(entry.bytes);
  if (parsed.ok()) {
    entry.kind = event_kind(parsed.value());
    entry.car = car_of_event(parsed.value());
    entry.first_ns = entry.last_ns = parsed.value().time_ns();
    return true;
  }
  const bool has_kind = !entry.kind.empty() && entry.kind.size() <= kMaxEventKindBytes;
  return has_kind && is_plain_text(entry.kind) && is_car_name(entry.car, true);
}

}  // namespace

RowVerifier::RowVerifier(const SalvagePages& pages, const DefinitionMap& definitions,
                         const BlockMap& blocks)
    : pages_(pages),
      definitions_(definitions),
      used_(std::size_t{pages.pages()} + 1),
      reads_left_(kReadsPerPage * (std::uint64_t{pages.pages()} + pages.newest() + 1024)),
      raw_bytes_left_(kLeastRawBytes + kRawBytesPerByte * pages.page_bytes() *
                                           (std::uint64_t{pages.pages()} + pages.newest())),
      blocks_(blocks),
      expander_([this](std::uint64_t way, const std::string& car) { return load_block(way, car); },
                [this](std::uint64_t prefix) {
                  const auto found = definitions_.find(prefix);
                  return found == definitions_.end() ? DefinitionPtr() : found->second;
                }) {}

const LeafPage& RowVerifier::leaf_of(Leaf& leaf, std::uint32_t page, std::uint32_t version) {
  if (leaf.page == page && leaf.version == version) return leaf.cells;
  leaf.page = page;
  leaf.version = version;
  leaf.cells = {};
  if (pages_.read(page, version, leaf.bytes)) leaf.cells = parse_leaf(leaf.bytes, page == 1);
  return leaf.cells;
}

std::optional<RowVerifier::Payload> RowVerifier::read(const EntryCandidate& candidate,
                                                      std::uint32_t view) {
  const LeafPage& leaf =
      leaf_of(leaves_[candidate.is_event ? 1 : 0], candidate.page, candidate.version);
  return read(leaf, candidate.cell, candidate.is_event ? RowKind::kEvent : RowKind::kBatch, view);
}

std::optional<RowVerifier::Payload> RowVerifier::read(const LeafPage& leaf, std::size_t index,
                                                      RowKind kind, std::uint32_t view) {
  if (index >= leaf.cells.size() || !leaf.cells[index]) return std::nullopt;
  const LeafCell& cell = *leaf.cells[index];
  auto columns = parse_record(cell.local, cell.payload_bytes);
  if (!columns || kind_of(*columns) != kind) return std::nullopt;
  Payload payload;
  auto bytes = read_payload(cell, pages_.page_bytes(), [&](std::uint32_t next, std::string& out) {
    if (reads_left_ == 0) return false;
    --reads_left_;
    payload.chain.push_back(next);
    payload.versions.push_back(pages_.version(next, view));
    return pages_.read(next, payload.versions.back(), out);
  });
  if (!bytes) return std::nullopt;
  payload.bytes = *std::move(bytes);
  payload.columns = *std::move(columns);
  return payload;
}

std::vector<std::uint32_t> RowVerifier::views_of(std::uint32_t version) const {
  std::vector<std::uint32_t> views;
  if (version != 0) views.push_back(pages_.frames()[version - 1].commit);
  for (const std::uint32_t view : {pages_.newest(), std::uint32_t{0}}) {
    if (std::find(views.begin(), views.end(), view) == views.end()) views.push_back(view);
  }
  return views;
}

Result<std::string> RowVerifier::load_block(std::uint64_t way, const std::string& car) {
  const BlockWay& chosen = ways_.at(way - 1);
  const LeafPage& leaf = leaf_of(leaves_[2], chosen.row.page, chosen.row.version);
  const auto payload = read(leaf, chosen.row.cell, RowKind::kBlock, chosen.view);
  if (!payload) return Status::corrupt("a block that cannot be read");
  if (bytes_of(payload->columns[BlockColumn::kCar], payload->bytes) != car) {
    return Status::corrupt("its block is another car's");
  }
  return std::string(bytes_of(payload->columns[BlockColumn::kBlob], payload->bytes));
}

// Whichever way leads to a block that has the batch with its hash.
bool RowVerifier::expand(StoredEntry& entry) {
  auto reference = parse_block_reference(entry.bytes, entry.definitions.size());
  if (!reference.ok()) return false;
  const std::uint64_t block = reference.value().block;
  const auto [known, is_new] = ways_of_.try_emplace(block);
  const auto [begin, end] = blocks_.equal_range(block);
  // What was found last is the newest.
  for (auto row = end; is_new && row != begin;) {
    --row;
    for (const std::uint32_t view : views_of(row->second.version)) {
      if (known->second.size() == kWaysPerBlock) break;
      ways_.push_back({row->second, view});
      known->second.push_back(ways_.size());
    }
  }
  std::uint64_t raw_bytes = 0;
  for (std::size_t d = 0; d < entry.definitions.size(); ++d) {
    const std::uint64_t rows =
        std::min<std::uint64_t>(reference.value().slices[d].count, kMaxBatchRows);
    raw_bytes += counted_bytes(*definitions_.at(entry.definitions[d]), rows);
  }
  for (const std::uint64_t way : known->second) {
    if (raw_bytes_left_ < raw_bytes) return false;
    raw_bytes_left_ -= raw_bytes;
    StoredEntry tried = entry;
    reference.value().block = way;
    tried.bytes = pack_block_reference(reference.value());
    if (!expander_.expand(tried).ok()) continue;
    entry = std::move(tried);
    return true;
  }
  return false;
}

Verdict RowVerifier::verify(const EntryCandidate& candidate) {
  Verdict verdict;
  std::vector<std::vector<std::uint32_t>> tried;
  for (const std::uint32_t view : views_of(candidate.version)) {
    const auto payload = read(candidate, view);
    if (!payload) continue;
    if (std::find(tried.begin(), tried.end(), payload->versions) != tried.end()) continue;
    tried.push_back(payload->versions);
    // Whatever is in them, they are this row's.
    for (std::size_t i = 0; i < payload->chain.size(); ++i) {
      const std::uint32_t page = payload->chain[i];
      if (payload->versions[i] == 0 && page < used_.size()) used_[page] = true;
    }
    verdict.entry = judge(candidate, *payload, verdict);
    if (!verdict.entry) continue;
    verdict.view = view;
    verdict.missing_definition = false;
    return verdict;
  }
  return verdict;
}

std::optional<StoredEntry> RowVerifier::read_again(const EntryCandidate& candidate,
                                                   std::uint32_t view) {
  const auto payload = read(candidate, view);
  if (!payload) return std::nullopt;
  Verdict ignored;
  return judge(candidate, *payload, ignored);
}

std::optional<StoredEntry> RowVerifier::judge(const EntryCandidate& candidate,
                                              const Payload& payload, Verdict& verdict) {
  const auto bytes = [&](std::size_t column) {
    return bytes_of(payload.columns[column], payload.bytes);
  };
  StoredEntry entry;
  entry.first = entry.last = candidate.sequence;
  entry.is_event = candidate.is_event;
  const bool is_event = candidate.is_event;
  entry.car = bytes(is_event ? EventColumn::kCar : BatchColumn::kCar);
  entry.bytes = bytes(is_event ? EventColumn::kBytes : BatchColumn::kBlob);
  const auto hash =
      ContentHash::from_bytes(bytes(is_event ? EventColumn::kHash : BatchColumn::kHash));
  if (is_car_name(entry.car, false)) verdict.car = entry.car;
  if (!hash.ok() || entry.bytes.empty()) return std::nullopt;
  entry.hashes.push_back(hash.value());
  if (!is_event) return judge_batch(std::move(entry), payload, verdict);
  if (entry.bytes.size() > kMaxEventBytes) return std::nullopt;
  if (hash_event(entry.bytes) != hash.value()) return std::nullopt;
  entry.kind = bytes(EventColumn::kKind);
  entry.first_ns = entry.last_ns = integer_of(payload.columns[EventColumn::kTime], payload.bytes);
  if (!settle_event(entry)) return std::nullopt;
  return entry;
}

std::optional<StoredEntry> RowVerifier::judge_batch(StoredEntry entry, const Payload& payload,
                                                    Verdict& verdict) {
  if (!is_car_name(entry.car, false) || entry.bytes.size() > kMaxBatchBytes) return std::nullopt;
  const bool is_merged = is_block_reference(entry.bytes);
  auto prefixes =
      is_merged
          ? unpack_prefixes(bytes_of(payload.columns[BatchColumn::kDefinitions], payload.bytes))
          : batch_definitions(entry.bytes);
  if (!prefixes.ok()) return std::nullopt;
  entry.definitions = std::move(prefixes).take();
  std::vector<std::uint64_t> missing;
  for (const std::uint64_t prefix : entry.definitions) {
    if (!definitions_.contains(prefix)) missing.push_back(prefix);
  }
  if (!missing.empty()) {
    // Believed only where row and batch name the same: a damaged batch names anything.
    const auto named =
        unpack_prefixes(bytes_of(payload.columns[BatchColumn::kDefinitions], payload.bytes));
    if (!named.ok() || named.value() != entry.definitions) return std::nullopt;
    verdict.missing_definition = true;
    if (missing_definitions_.size() < kDefinitionsListed) {
      missing_definitions_.insert(missing.begin(), missing.end());
    }
    return std::nullopt;
  }
  if (is_merged && !expand(entry)) return std::nullopt;
  const auto decoded = decode_batch(entry.car, entry.bytes, [&](std::uint64_t prefix) {
    const auto found = definitions_.find(prefix);
    return found == definitions_.end() ? DefinitionPtr() : found->second;
  });
  if (!decoded.ok() || decoded.value().hash != entry.hashes.front()) return std::nullopt;
  const BatchFacts facts = facts_of(decoded.value());
  entry.rows = facts.rows;
  entry.samples = facts.samples;
  entry.first_ns = facts.first_ns;
  entry.last_ns = facts.last_ns;
  return entry;
}

std::optional<StoredLap> lap_of_event(const StoredEntry& event) {
  const auto parsed = parse_event(event.bytes);
  if (!parsed.ok() || !parsed.value().has_lap()) return std::nullopt;
  const words::Lap& word = parsed.value().lap();
  StoredLap lap;
  lap.sequence = event.first;
  lap.car = word.car();
  lap.lap = word.lap();
  lap.kind = to_string(static_cast<LapKind>(word.kind()));  // Numbered alike.
  lap.lap_time_ms = word.lap_time_ms();
  lap.sector_time_ms.assign(word.sector_time_ms().begin(), word.sector_time_ms().end());
  lap.started_at_ms = word.started_at_ms();
  lap.evidence = word.evidence();
  if (!is_row_name(lap.kind) || !is_row_name(lap.evidence)) return std::nullopt;
  return lap;
}

}  // namespace pitbox
