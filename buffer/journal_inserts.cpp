#include "buffer/journal_inserts.h"

#include <string>
#include <utility>

namespace pitbox {

Result<JournalInserts> JournalInserts::prepare(Database& database) {
  JournalInserts inserts;
  Status status;
  const auto make = [&](Statement& statement, const char* sql) {
    if (!status.ok()) return;
    auto prepared = database.prepare(sql);
    if (prepared.ok()) {
      statement = std::move(prepared).take();
    } else {
      status = prepared.status();
    }
  };
  make(inserts.event_,
       "INSERT INTO events(sequence, kind, car, time_ns, total_events, total_bytes, hash, bytes) "
       "VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
  make(inserts.batch_,
       "INSERT INTO batches(sequence, last_sequence, car, first_ns, last_ns, rows, samples, "
       "total_batches, total_rows, total_samples, total_bytes, hash, definitions, blob) "
       "VALUES(?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)");
  make(inserts.lap_,
       "INSERT INTO laps(sequence, car, lap, kind, lap_time_ms, sector_time_ms, started_at_ms, "
       "evidence) VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
  make(inserts.definition_, "INSERT INTO definitions(prefix, name, content) VALUES(?, ?, ?)");
  if (!status.ok()) return status;
  return inserts;
}

Status JournalInserts::add(const Event& event, JournalTotals& totals) {
  totals.events += 1;
  totals.event_bytes += event.bytes.size();
  return event_.bind_u64(1, event.sequence)
      .bind_text(2, event.kind)
      .bind_text(3, event.car)
      .bind(4, event.time_ns)
      .bind_u64(5, totals.events)
      .bind_u64(6, totals.event_bytes)
      .bind_blob(7, event.hash)
      .bind_blob(8, event.bytes)
      .run();
}

Status JournalInserts::add(const Batch& batch, JournalTotals& totals) {
  totals.batches += 1;
  totals.rows += batch.rows;
  totals.samples += batch.samples;
  totals.batch_bytes += batch.blob.size();
  const std::string prefixes = pack_prefixes(batch.definitions);
  return batch_.bind_u64(1, batch.sequence)
      .bind_text(2, batch.car)
      .bind(3, batch.first_ns)
      .bind(4, batch.last_ns)
      .bind_u64(5, batch.rows)
      .bind_u64(6, batch.samples)
      .bind_u64(7, totals.batches)
      .bind_u64(8, totals.rows)
      .bind_u64(9, totals.samples)
      .bind_u64(10, totals.batch_bytes)
      .bind_blob(11, batch.hash)
      .bind_blob(12, prefixes)
      .bind_blob(13, batch.blob)
      .run();
}

Status JournalInserts::add(const Lap& lap) {
  const std::string sectors = sectors_json(lap.sector_time_ms);
  return lap_.bind_u64(1, lap.sequence)
      .bind_text(2, lap.car)
      .bind(3, lap.lap)
      .bind_text(4, lap.kind)
      .bind(5, lap.lap_time_ms)
      .bind_text(6, sectors)
      .bind(7, lap.started_at_ms)
      .bind_text(8, lap.evidence)
      .run();
}

Status JournalInserts::add(const Definition& definition) {
  const auto* name = reinterpret_cast<const char*>(definition.name().data());
  return definition_.bind_u64(1, definition.prefix())
      .bind_blob(2, std::string_view(name, definition.name().size()))
      .bind_blob(3, definition.bytes())
      .run();
}

}  // namespace pitbox
