#include "room/room_store.h"

#include <algorithm>

#include "proto/event.h"

namespace pitbox {
namespace {

constexpr std::string_view kPutFile = "INSERT INTO files(id, box, incarnation) VALUES(?1, ?2, ?3)";
constexpr std::string_view kPutDefinition =
    "INSERT INTO definitions(prefix, name, content) VALUES(?1, ?2, ?3)";
constexpr std::string_view kPutEntry =
    "INSERT INTO entries(id, file, first, last, kind, car, hashes, definitions, bytes)"
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
// Entries of a file are disjoint, so in order of their last sequence they are in order of their
// first one too, and the reader stops at the first that begins beyond its range.
constexpr std::string_view kMatch =
    "SELECT first, last, hashes FROM entries WHERE file = ?1 AND last >= ?2 ORDER BY last";
constexpr std::string_view kContents =
    "SELECT first, last, hashes FROM entries WHERE file = ?1 AND last BETWEEN ?2 AND ?3"
    " ORDER BY last DESC";
constexpr std::string_view kPutLap =
    "INSERT INTO laps(car, lap, revision, content) VALUES(?1, ?2, ?3, ?4)"
    " ON CONFLICT(car, lap) DO UPDATE SET revision = ?3, content = ?4 WHERE ?3 >= revision";
constexpr std::string_view kDropHeld =
    "DELETE FROM held WHERE file = ?1 AND first BETWEEN ?2 AND ?3";
constexpr std::string_view kPutHeld = "INSERT INTO held(file, first, last) VALUES(?1, ?2, ?3)";
constexpr std::string_view kPutMeta = "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)";
constexpr std::string_view kPutCounter =
    "INSERT OR REPLACE INTO counters(name, value) VALUES(?1, ?2)";
constexpr std::string_view kClearFinals = "UPDATE files SET final = NULL WHERE box = ?1";
constexpr std::string_view kPutFinal = "UPDATE files SET final = ?2 WHERE id = ?1";
constexpr std::string_view kPutFinished = "INSERT OR REPLACE INTO finished(box) VALUES(?1)";

std::string packed(const std::vector<std::uint64_t>& prefixes) {
  std::string out;
  for (const std::uint64_t prefix : prefixes) {
    for (int shift = 56; shift >= 0; shift -= 8) {
      out.push_back(static_cast<char>(static_cast<std::uint8_t>(prefix >> shift)));
    }
  }
  return out;
}

}  // namespace

Status RoomStore::begin() {
  if (transaction_.has_value()) return {};
  auto begun = Transaction::begin(database_);
  if (!begun.ok()) return Status(begun.status()).within("begin");
  transaction_.emplace(std::move(begun).take());
  waiting_totals_ = totals_;
  return {};
}

Status RoomStore::put_meta(std::string_view key, std::string_view value) {
  Status begun = begin();
  if (!begun.ok()) return begun;
  meta_[std::string(key)] = std::string(value);
  return statements_.put_meta.bind_text(1, key).bind_text(2, value).run();
}

Status RoomStore::set_session(const std::string& name, const std::string& type) {
  if (!name.empty() && meta_["name"] != name) {
    Status put = put_meta("name", name);
    if (!put.ok()) return put;
  }
  if (type.empty() || meta_["type"] == type) return {};
  return put_meta("type", type);
}

Status RoomStore::put_definition(const DefinitionPtr& definition) {
  const auto found = definitions_.find(definition->prefix());
  if (found != definitions_.end()) {
    if (found->second->name() == definition->name()) return {};
    return {Code::kRejected, "another definition has this prefix"};
  }
  const std::size_t bytes = definition_bytes_ + definition->bytes().size();
  if (definitions_.size() >= kMaxRoomDefinitions || bytes > kMaxRoomDefinitionBytes) {
    return {Code::kRejected, "the room has too many definitions"};
  }
  Status begun = begin();
  if (!begun.ok()) return begun;
  const auto& name = definition->name();
  const std::string raw(name.begin(), name.end());
  Status put = statements_.put_definition.bind_u64(1, definition->prefix())
                   .bind_blob(2, raw)
                   .bind_blob(3, definition->bytes())
                   .run();
  if (!put.ok()) return put;
  definitions_.emplace(definition->prefix(), definition);
  definition_bytes_ = bytes;
  return {};
}

Result<std::int64_t> RoomStore::file(const Uuid& box, std::uint64_t incarnation) {
  const auto found = file_ids_.find({box, incarnation});
  if (found != file_ids_.end()) return found->second;
  if (files_.size() >= kMaxRoomFiles) {
    return Status(Code::kRejected, "the room has too many incarnations");
  }
  Status begun = begin();
  if (!begun.ok()) return begun;
  const std::int64_t id = files_.empty() ? 1 : files_.rbegin()->first + 1;
  const std::string raw = box.raw();
  Status put = statements_.put_file.bind(1, id).bind_blob(2, raw).bind_u64(3, incarnation).run();
  if (!put.ok()) return put;
  files_[id] = RoomFile{id, box, incarnation, {}, {}};
  file_ids_[{box, incarnation}] = id;
  return id;
}

Status RoomStore::put(RoomEntry& entry) {
  Status begun = begin();
  if (!begun.ok()) return begun;
  entry.id = last_id_ + 1;
  const std::string definitions = packed(entry.definitions);
  Status put = statements_.put_entry.bind(1, entry.id)
                   .bind(2, entry.file)
                   .bind_u64(3, entry.first)
                   .bind_u64(4, entry.last)
                   .bind_text(5, entry.kind)
                   .bind_text(6, entry.car)
                   .bind_blob(7, entry.hashes)
                   .bind_blob(8, definitions)
                   .bind_blob(9, entry.bytes)
                   .run();
  if (!put.ok()) return put;
  last_id_ = entry.id;
  waiting_[entry.file].add(Range{entry.first, entry.last});
  ++waiting_totals_.entries;
  ++(entry.is_batch() ? waiting_totals_.batches : waiting_totals_.events);
  waiting_totals_.bytes += entry.bytes.size();
  return {};
}

Status RoomStore::put_lap(const words::Lap& lap) {
  Status begun = begin();
  if (!begun.ok()) return begun;
  const std::string content = lap.SerializeAsString();
  Status put = statements_.put_lap.bind_text(1, lap.car())
                   .bind(2, static_cast<std::int64_t>(lap.lap()))
                   .bind(3, static_cast<std::int64_t>(lap.revision()))
                   .bind_blob(4, content)
                   .run();
  if (!put.ok()) return put;
  auto count = database_.integer("SELECT count(*) FROM laps");
  if (!count.ok()) return count.status();
  waiting_totals_.laps = static_cast<std::uint64_t>(count.value());
  return {};
}

Status RoomStore::answer(std::int64_t file, Range range) {
  Status begun = begin();
  if (!begun.ok()) return begun;
  waiting_[file].add(range);
  return {};
}

Status RoomStore::set_finals(const Uuid& box,
                             const std::map<std::uint64_t, std::uint64_t>& finals) {
  Status begun = begin();
  if (!begun.ok()) return begun;
  const std::string raw = box.raw();
  Status cleared = statements_.clear_finals.bind_blob(1, raw).run();
  if (!cleared.ok()) return cleared;
  for (auto& [id, known] : files_) {
    if (known.box == box) known.final_sequence.reset();
  }
  for (const auto& [incarnation, last] : finals) {
    const auto id = file(box, incarnation);
    if (!id.ok()) return id.status();
    Status put = statements_.put_final.bind(1, id.value()).bind_u64(2, last).run();
    if (!put.ok()) return put;
    files_[id.value()].final_sequence = last;
  }
  finished_[box] = true;
  return statements_.put_finished.bind_blob(1, raw).run();
}

Status RoomStore::count_conflict() {
  Status begun = begin();
  if (begun.ok()) ++waiting_totals_.conflicts;
  return begun;
}

Status RoomStore::write_waiting() {
  for (const auto& [file, added] : waiting_) {
    RangeSet after = files_[file].held;
    after.add_all(added);
    // Most commits make one range longer: one row goes, one row comes.
    for (const Range& range : added.ranges()) {
      const auto& all = after.ranges();
      const auto merged =
          std::lower_bound(all.begin(), all.end(), range.first,
                           [](const Range& r, std::uint64_t at) { return r.last < at; });
      Status dropped = statements_.drop_held.bind(1, file)
                           .bind_u64(2, merged->first)
                           .bind_u64(3, merged->last)
                           .run();
      if (!dropped.ok()) return dropped;
      Status put = statements_.put_held.bind(1, file)
                       .bind_u64(2, merged->first)
                       .bind_u64(3, merged->last)
                       .run();
      if (!put.ok()) return put;
    }
  }
  Status result;
  each_total(waiting_totals_, [&](std::string_view name, std::uint64_t value) {
    if (!result.ok()) return;
    result = statements_.put_counter.bind_text(1, name).bind_u64(2, value).run();
  });
  return result;
}

Result<std::map<std::int64_t, RangeSet>> RoomStore::commit() {
  if (!transaction_.has_value()) return std::map<std::int64_t, RangeSet>{};
  Status written = write_waiting();
  if (!written.ok()) return std::move(written).within("commit");
  Status committed = transaction_->commit();
  if (!committed.ok()) return std::move(committed).within("commit");
  transaction_.reset();
  for (const auto& [file, added] : waiting_) files_[file].held.add_all(added);
  totals_ = waiting_totals_;
  last_committed_ = last_id_;
  return std::exchange(waiting_, {});
}

Status RoomStore::checkpoint_if_due() {
  if (database_.wal_pages() < options_.wal_pages_target) return {};
  return database_.checkpoint(false);
}

Status RoomStore::checkpoint_all() {
  return database_.checkpoint(true);
}

Status RoomStore::prepare() {
  const std::pair<Statement*, std::string_view> all[] = {
      {&statements_.put_file, kPutFile},
      {&statements_.put_definition, kPutDefinition},
      {&statements_.put_entry, kPutEntry},
      {&statements_.match, kMatch},
      {&statements_.contents, kContents},
      {&statements_.put_lap, kPutLap},
      {&statements_.drop_held, kDropHeld},
      {&statements_.put_held, kPutHeld},
      {&statements_.put_meta, kPutMeta},
      {&statements_.put_counter, kPutCounter},
      {&statements_.clear_finals, kClearFinals},
      {&statements_.put_final, kPutFinal},
      {&statements_.put_finished, kPutFinished},
      {&statements_.page_all,
       "SELECT id, file, first, last, kind, car, hashes, definitions, bytes FROM entries"
       " WHERE id > ?1 AND id <= ?2 ORDER BY id"},
      {&statements_.page_events,
       "SELECT id, file, first, last, kind, car, hashes, definitions, bytes FROM entries"
       " WHERE id > ?1 AND id <= ?2 AND kind <> 'batch' ORDER BY id"},
  };
  for (const auto& [statement, sql] : all) {
    auto prepared = database_.prepare(sql);
    if (!prepared.ok()) return prepared.status();
    *statement = std::move(prepared).take();
  }
  return {};
}

}  // namespace pitbox
