#include "buffer/journal_writer.h"

#include <algorithm>
#include <utility>

#include "buffer/block.h"
#include "buffer/decoder.h"
#include "proto/check.h"
#include "proto/text.h"

namespace pitbox {
namespace {

Status check_event(const NewEvent& event) {
  if (!is_car_name(event.car, true)) return Status::rejected("an event's car is no name");
  if (event.kind.empty() || event.kind.size() > kMaxEventKindBytes || !is_plain_text(event.kind)) {
    return Status::rejected("an event's kind is no name");
  }
  if (event.bytes.empty() || event.bytes.size() > kMaxEventBytes) {
    return Status::rejected("an event of " + std::to_string(event.bytes.size()) + " bytes");
  }
  return {};
}

Status check_batch(const NewBatch& entry) {
  const EncodedBatch& batch = entry.batch;
  if (!is_car_name(entry.car, false)) return Status::rejected("a batch's car is no name");
  if (batch.blob.empty() || batch.blob.size() > kMaxBatchBytes) {
    return Status::rejected("a batch of " + std::to_string(batch.blob.size()) + " bytes");
  }
  if (batch.rows == 0 || batch.rows > kMaxBatchRows || batch.samples > batch.rows * kMaxChannels) {
    return Status::rejected("a batch of " + std::to_string(batch.rows) + " rows");
  }
  if (batch.definitions.empty() || batch.definitions.size() > kMaxBatchGroups) {
    return Status::rejected("a batch of " + std::to_string(batch.definitions.size()) + " groups");
  }
  return {};
}

Status check_lap(const NewLap& lap, std::size_t events) {
  if (lap.event_index >= events) return Status::rejected("a lap without its event");
  if (!is_car_name(lap.car, false) || !is_row_name(lap.kind) || !is_row_name(lap.evidence)) {
    return Status::rejected("a lap's car, kind or evidence is no name");
  }
  if (lap.sector_time_ms.size() > kMaxLapSectors) {
    return Status::rejected("a lap of too many sectors");
  }
  return {};
}

Status check_block(const NewBlock& block, std::uint64_t last) {
  const bool is_sound = is_car_name(block.car, false) && !block.members.empty() &&
                        block.first == block.members.front().sequence &&
                        block.block == block.members.back().sequence && block.first >= 1 &&
                        block.block <= last && !block.blob.empty() &&
                        block.blob.size() <= kMaxBatchBytes;
  if (!is_sound) return Status::rejected("a block that is none");
  const bool are_references =
      std::all_of(block.members.begin(), block.members.end(), [](const NewBlock::Member& member) {
        return is_block_reference(member.reference) &&
               member.reference.size() <= kMaxReferenceBytes;
      });
  return are_references ? Status() : Status::rejected("a block's reference that is none");
}

}  // namespace

Result<JournalWriter> JournalWriter::prepare(Database& database) {
  auto inserts = JournalInserts::prepare(database);
  if (!inserts.ok()) return inserts.status();
  JournalWriter writer(std::move(inserts).take());
  Status status;
  const auto make = [&](Statement& statement, const char* sql) {
    if (!status.ok()) return;
    auto prepared = database.prepare(sql);
    if (!prepared.ok()) {
      status = prepared.status();
      return;
    }
    statement = std::move(prepared).take();
  };
  // Updates in place where the row is there: a REPLACE would touch the key's index each time.
  make(writer.put_position_,
       "INSERT INTO positions(source, ring_id, position, number, connection, kernel_drops) "
       "VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(source) DO UPDATE SET ring_id = ?2, "
       "position = ?3, number = ?4, connection = ?5, kernel_drops = ?6");
  make(writer.put_decoder_state_,
       "INSERT INTO decoder_state(source, state) VALUES(?1, ?2) "
       "ON CONFLICT(source) DO UPDATE SET state = ?2");
  make(writer.put_lap_state_,
       "INSERT INTO lap_state(id, state) VALUES(1, ?1) ON CONFLICT(id) DO UPDATE SET state = ?1");
  make(writer.put_counter_,
       "INSERT INTO counters(name, value) VALUES(?1, ?2) "
       "ON CONFLICT(name) DO UPDATE SET value = ?2");
  make(writer.forget_acknowledged_, "DELETE FROM acknowledged");
  make(writer.drop_acknowledged_, "DELETE FROM acknowledged WHERE first BETWEEN ? AND ?");
  make(writer.put_acknowledged_, "INSERT INTO acknowledged(first, last) VALUES(?, ?)");
  // The newest batch stays: the next one's running totals follow from it.
  make(writer.remove_batches_,
       "DELETE FROM batches WHERE sequence BETWEEN ? AND ? AND last_sequence <= ?2 AND "
       "sequence < (SELECT max(sequence) FROM batches)");
  make(writer.drop_removed_, "DELETE FROM removed WHERE first BETWEEN ? AND ?");
  make(writer.put_removed_, "INSERT INTO removed(first, last) VALUES(?, ?)");
  make(writer.drop_evicted_, "DELETE FROM evicted WHERE incarnation = ? AND first BETWEEN ? AND ?");
  make(writer.put_evicted_, "INSERT INTO evicted(incarnation, first, last) VALUES(?, ?, ?)");
  make(writer.put_block_, "INSERT INTO blocks(block, first, car, blob) VALUES(?, ?, ?, ?)");
  make(writer.put_reference_, "UPDATE batches SET blob = ? WHERE sequence = ? AND car = ?");
  make(writer.references_,
       "SELECT blob FROM batches WHERE sequence BETWEEN ? AND ? AND length(blob) <= ? AND "
       "substr(blob, 1, 1) = x'00'");
  make(writer.references_of_block_,
       "SELECT batches.blob FROM blocks JOIN batches ON sequence BETWEEN first AND block AND "
       "batches.car = blocks.car WHERE block = ? AND length(batches.blob) <= ? AND "
       "substr(batches.blob, 1, 1) = x'00' ORDER BY sequence DESC");
  make(writer.drop_block_, "DELETE FROM blocks WHERE block = ?");
  if (status.ok()) status = writer.load(database);
  if (!status.ok()) return status;
  return writer;
}

Status JournalWriter::load(Database& database) {
  const auto extent = read_extent(database);
  if (!extent.ok()) return extent.status();
  now_.last = extent.value().last;
  const auto totals = read_totals(database);
  if (!totals.ok()) return totals.status();
  now_.totals = totals.value();
  auto ranges = read_acknowledged(database);
  if (!ranges.ok()) return ranges.status();
  now_.acknowledged = std::move(ranges).take();
  auto removed = read_removed(database);
  if (!removed.ok()) return removed.status();
  now_.removed = std::move(removed).take();
  auto evicted = read_evicted(database);
  if (!evicted.ok()) return evicted.status();
  now_.evicted = std::move(evicted).take();
  auto counters = read_counters(database);
  if (!counters.ok()) return counters.status();
  counters_ = std::move(counters).take();
  auto names = database.prepare("SELECT prefix, name FROM definitions");
  if (!names.ok()) return names.status();
  for (;;) {
    const auto stepped = names.value().step();
    if (!stepped.ok()) return stepped.status();
    if (!stepped.value()) break;
    DefinitionName name{};
    const std::string_view raw = names.value().blob(1);
    if (raw.size() != name.size() || definitions_.size() == kMaxDefinitionRows) {
      return {Code::kCorrupt, "definitions: a name of another length, or too many"};
    }
    std::copy(raw.begin(), raw.end(), name.begin());
    definitions_.emplace(names.value().u64(0), name);
  }
  next_ = now_;
  return {};
}

Status JournalWriter::check(const Commit& commit) const {
  Status status;
  const auto keep = [&](Status result) {
    if (status.ok()) status = std::move(result);
  };
  for (const NewEvent& event : commit.events) keep(check_event(event));
  for (const NewBatch& batch : commit.batches) keep(check_batch(batch));
  for (const NewLap& lap : commit.laps) keep(check_lap(lap, commit.events.size()));
  for (const auto& [source, position] : commit.positions) {
    if (!is_row_name(source)) keep(Status::rejected("a source's name"));
  }
  for (const auto& [source, state] : commit.decoder_states) {
    if (!is_row_name(source)) keep(Status::rejected("a source's name"));
    if (state.size() > kMaxDecoderStateBytes) {
      keep(Status::rejected("the decoder state of " + source));
    }
  }
  if (commit.lap_state && commit.lap_state->size() > kMaxLapStateBytes) {
    keep(Status::rejected("the lap state is too long"));
  }
  if (commit.counters) {
    for (const auto& [name, value] : *commit.counters) {
      if (!is_row_name(name)) keep(Status::rejected("a counter's name"));
    }
  }
  for (const Range& range : commit.acknowledged) {
    if (range.first < 1 || range.last < range.first) keep(Status::rejected("a range that is none"));
  }
  for (const Range& range : commit.removed) {
    const bool is_there = range.first >= 1 && range.first <= range.last && range.last <= now_.last;
    if (!is_there) keep(Status::rejected("batches to be removed that do not exist"));
  }
  for (const NewBlock& block : commit.blocks) keep(check_block(block, now_.last));
  keep(check_definitions(commit));
  return std::move(status).within("commit");
}

Status JournalWriter::check_definitions(const Commit& commit) const {
  std::map<std::uint64_t, DefinitionName> added;
  for (const NewBatch& entry : commit.batches) {
    for (const DefinitionPtr& definition : entry.batch.definitions) {
      if (definition == nullptr) return Status::rejected("a definition that is none");
      const auto known = definitions_.find(definition->prefix());
      const bool is_new = known == definitions_.end();
      const DefinitionName& name =
          is_new ? added.emplace(definition->prefix(), definition->name()).first->second
                 : known->second;
      if (name == definition->name()) continue;
      return Status::rejected("two definitions begin with " + hex_id(definition->prefix()));
    }
  }
  if (definitions_.size() + added.size() <= kMaxDefinitionRows) return {};
  return Status::rejected("too many definitions for one file");
}

Result<Journal::Committed> JournalWriter::write(const Commit& commit) {
  next_ = now_;
  new_definitions_.clear();
  new_counters_.clear();
  const std::uint64_t first = now_.last + 1;
  Status status;
  for (const NewEvent& event : commit.events) {
    if (status.ok()) status = write_event(event);
  }
  for (const NewBatch& batch : commit.batches) {
    if (status.ok()) status = write_batch(batch);
  }
  if (status.ok()) status = write_laps(commit, first);
  if (status.ok()) status = write_states(commit);
  if (status.ok()) status = write_acknowledged(commit);
  if (status.ok()) status = write_evicted(commit);
  if (status.ok()) status = write_blocks(commit);
  if (status.ok()) status = write_removed(commit);
  if (!status.ok()) return status;
  return Journal::Committed{.first = first,
                            .last = next_.last,
                            .bytes = next_.totals.batch_bytes + next_.totals.event_bytes -
                                     now_.totals.batch_bytes - now_.totals.event_bytes};
}

void JournalWriter::adopt() {
  now_ = next_;
  for (const DefinitionPtr& definition : new_definitions_) {
    definitions_.emplace(definition->prefix(), definition->name());
  }
  new_definitions_.clear();
  for (const auto& [name, value] : new_counters_) counters_[name] = value;
  new_counters_.clear();
}

Status JournalWriter::write_event(const NewEvent& event) {
  const std::string hash = hash_event(event.bytes).raw();
  return inserts_.add(JournalInserts::Event{.sequence = ++next_.last,
                                            .kind = event.kind,
                                            .car = event.car,
                                            .time_ns = event.time_ns,
                                            .hash = hash,
                                            .bytes = event.bytes},
                      next_.totals);
}

Status JournalWriter::write_batch(const NewBatch& entry) {
  const EncodedBatch& batch = entry.batch;
  std::vector<std::uint64_t> prefixes;
  for (const DefinitionPtr& definition : batch.definitions) {
    prefixes.push_back(definition->prefix());
    const auto is_same = [&](const DefinitionPtr& other) {
      return other->prefix() == definition->prefix();
    };
    if (definitions_.contains(definition->prefix())) continue;
    if (std::any_of(new_definitions_.begin(), new_definitions_.end(), is_same)) continue;
    if (Status inserted = inserts_.add(*definition); !inserted.ok()) return inserted;
    new_definitions_.push_back(definition);
  }
  const std::string hash = batch.hash.raw();
  return inserts_.add(JournalInserts::Batch{.sequence = ++next_.last,
                                            .car = entry.car,
                                            .first_ns = batch.first_receive_ns,
                                            .last_ns = batch.last_receive_ns,
                                            .rows = batch.rows,
                                            .samples = batch.samples,
                                            .hash = hash,
                                            .definitions = prefixes,
                                            .blob = batch.blob},
                      next_.totals);
}

Status JournalWriter::write_laps(const Commit& commit, std::uint64_t first_event) {
  for (const NewLap& lap : commit.laps) {
    Status inserted = inserts_.add(JournalInserts::Lap{.sequence = first_event + lap.event_index,
                                                       .car = lap.car,
                                                       .lap = lap.lap,
                                                       .kind = lap.kind,
                                                       .lap_time_ms = lap.lap_time_ms,
                                                       .sector_time_ms = lap.sector_time_ms,
                                                       .started_at_ms = lap.started_at_ms,
                                                       .evidence = lap.evidence});
    if (!inserted.ok()) return inserted;
  }
  return {};
}

Status JournalWriter::write_states(const Commit& commit) {
  Status status;
  for (const auto& [source, at] : commit.positions) {
    if (!status.ok()) return status;
    status = put_position_.bind_text(1, source)
                 .bind_u64(2, at.ring_id)
                 .bind_u64(3, at.position)
                 .bind_u64(4, at.number)
                 .bind_u64(5, at.connection)
                 .bind(6, at.kernel_drops)
                 .run();
  }
  for (const auto& [source, state] : commit.decoder_states) {
    if (!status.ok()) return status;
    status = put_decoder_state_.bind_text(1, source).bind_blob(2, state).run();
  }
  if (status.ok() && commit.lap_state) {
    status = put_lap_state_.bind_blob(1, *commit.lap_state).run();
  }
  if (status.ok() && commit.counters) status = write_counters(*commit.counters);
  return status;
}

// Of some seventy a dozen change from commit to commit, and looking each of them up costs more than
// writing those.
Status JournalWriter::write_counters(const Counters& counters) {
  for (const auto& [name, value] : counters) {
    const auto known = counters_.find(name);
    if (known != counters_.end() && known->second == value) continue;
    Status status = put_counter_.bind_text(1, name).bind_u64(2, value).run();
    if (!status.ok()) return status;
    new_counters_[name] = value;
  }
  return {};
}

namespace {

// Adds `range` to `set`; then `drop(first, last)` and `put(first, last)` make its rows say so: the
// range that now holds it takes the place of those it swallowed.
template <typename Drop, typename Put>
Status add_stored(RangeSet& set, const Range& range, Drop drop, Put put) {
  if (set.contains(range)) return {};
  set.add(range);
  const auto whole = std::find_if(set.ranges().begin(), set.ranges().end(),
                                  [&](const Range& r) { return r.last >= range.last; });
  CHECK(whole != set.ranges().end());
  Status status = drop(*whole);
  return status.ok() ? put(*whole) : status;
}

Status run_with(Statement& statement, const Range& range) {
  return statement.bind_u64(1, range.first).bind_u64(2, range.last).run();
}

}  // namespace

Status JournalWriter::write_acknowledged(const Commit& commit) {
  RangeSet& held = next_.acknowledged;
  if (commit.acknowledged_replaces) {
    Status forgotten = forget_acknowledged_.run();
    if (!forgotten.ok()) return forgotten;
    held.clear();
  }
  for (Range range : commit.acknowledged) {
    range.last = std::min(range.last, now_.last);
    if (range.first > range.last) continue;
    Status status = add_stored(
        held, range, [&](const Range& r) { return run_with(drop_acknowledged_, r); },
        [&](const Range& r) { return run_with(put_acknowledged_, r); });
    if (!status.ok()) return status;
  }
  return {};
}

Status JournalWriter::write_removed(const Commit& commit) {
  for (const Range& range : commit.removed) {
    const auto blocks = blocks_of(range);
    if (!blocks.ok()) return blocks.status();
    Status status = run_with(remove_batches_, range);
    if (status.ok()) status = drop_empty(blocks.value());
    if (!status.ok()) return status;
    status = add_stored(
        next_.removed, range, [&](const Range& r) { return run_with(drop_removed_, r); },
        [&](const Range& r) { return run_with(put_removed_, r); });
    if (!status.ok()) return status;
  }
  return {};
}

Status JournalWriter::write_blocks(const Commit& commit) {
  for (const NewBlock& block : commit.blocks) {
    Status status = put_block_.bind_u64(1, block.block)
                        .bind_u64(2, block.first)
                        .bind_text(3, block.car)
                        .bind_blob(4, block.blob)
                        .run();
    for (const NewBlock::Member& member : block.members) {
      if (!status.ok()) return status;
      status = put_reference_.bind_blob(1, member.reference)
                   .bind_u64(2, member.sequence)
                   .bind_text(3, block.car)
                   .run();
    }
    // Its batches may have been deleted while it was made.
    if (status.ok()) status = drop_empty({block.block});
    if (!status.ok()) return status;
  }
  return {};
}

Result<std::set<std::uint64_t>> JournalWriter::blocks_of(const Range& range) {
  std::set<std::uint64_t> blocks;
  references_.bind_u64(1, range.first).bind_u64(2, range.last).bind_u64(3, kMaxReferenceBytes);
  for (;;) {
    const auto row = references_.step();
    if (!row.ok()) return row.status();
    if (!row.value()) break;
    const auto reference = parse_block_reference(references_.blob(0), 0);
    if (reference.ok()) blocks.insert(reference.value().block);
  }
  references_.reset();
  return blocks;
}

Status JournalWriter::drop_empty(const std::set<std::uint64_t>& blocks) {
  for (const std::uint64_t block : blocks) {
    const auto empty = is_empty(block);
    if (!empty.ok()) return empty.status();
    if (!empty.value()) continue;
    if (Status dropped = drop_block_.bind_u64(1, block).run(); !dropped.ok()) return dropped;
  }
  return {};
}

// The newest of its batches is mostly there as long as any is: the oldest are given up first.
Result<bool> JournalWriter::is_empty(std::uint64_t block) {
  references_of_block_.bind_u64(1, block).bind_u64(2, kMaxReferenceBytes);
  bool is_empty = true;
  while (is_empty) {
    const auto row = references_of_block_.step();
    if (!row.ok()) return row.status();
    if (!row.value()) break;
    const auto reference = parse_block_reference(references_of_block_.blob(0), 0);
    is_empty = !reference.ok() || reference.value().block != block;
  }
  references_of_block_.reset();
  return is_empty;
}

Status JournalWriter::write_evicted(const Commit& commit) {
  for (const auto& [incarnation, added] : commit.evicted) {
    const auto run = [id = incarnation](Statement& statement, const Range& range) {
      return statement.bind_u64(1, id).bind_u64(2, range.first).bind_u64(3, range.last).run();
    };
    for (const Range& range : added.ranges()) {
      Status status = add_stored(
          next_.evicted[incarnation], range, [&](const Range& r) { return run(drop_evicted_, r); },
          [&](const Range& r) { return run(put_evicted_, r); });
      if (!status.ok()) return status;
    }
  }
  return {};
}

}  // namespace pitbox
