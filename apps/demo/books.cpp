#include "apps/demo/books.h"

#include <algorithm>
#include <vector>

#include "apps/ledger/room_side.h"
#include "buffer/journal_reader.h"
#include "buffer/session_store.h"
#include "export/ledger_file.h"
#include "export/row_ledger.h"

namespace pitbox {
namespace {

// kCorrupt if the room holds bytes that are no batch.
Result<std::vector<RowIdentity>> room_row_identities(const Books& books) {
  RoomReaderOptions reading;
  reading.url = books.room_url;
  reading.session = books.session;
  auto room = read_room_side(reading, {.with_rows = true, .cars = {}, .progress = {}});
  if (!room.ok()) return room.status();
  RoomSide side = std::move(room).take();
  if (!side.damaged.empty()) return Status::corrupt("the room holds " + side.damaged.front());
  return std::move(side.rows);
}

// Gap records and decoded records over all files of the session.
Status count_events(const SessionFiles& session, DemoLedger& ledger) {
  for (const auto& file : session.files) {
    auto reader = JournalReader::open(file);
    if (!reader.ok()) return reader.status();
    const auto counters = reader.value()->counters();
    if (!counters.ok()) return counters.status();
    const auto decoded = counters.value().find("records.decoded");
    // Carried from file to file, so the greatest is the last.
    if (decoded != counters.value().end()) ledger.heard = std::max(ledger.heard, decoded->second);
    Status scanned = reader.value()->scan(1, [&](const StoredEntry& entry) {
      if (entry.is_event && entry.kind == "gap") ++ledger.gaps;
      return true;
    });
    if (!scanned.ok()) return scanned;
  }
  return {};
}

void add_faults(const RowComparison& comparison, DemoLedger& ledger) {
  ledger.missing += comparison.missing;
  ledger.duplicated += comparison.duplicated;
  ledger.different += comparison.different;
}

}  // namespace

bool session_is_complete(const std::filesystem::path& state_directory, const Uuid& session) {
  const auto found = find_session(state_directory, session.text());
  return found.ok() && found.value().complete;
}

Status compare_books(const Books& books, DemoLedger& ledger) {
  auto sent = read_ledger(books.sent);
  if (!sent.ok()) return sent.status();
  const auto session = find_session(books.state_directory, books.session.text());
  if (!session.ok()) return session.status();
  if (Status counted = count_events(session.value(), ledger); !counted.ok()) return counted;

  auto journaled = session_row_identities(session.value());
  if (!journaled.ok()) return Status(journaled.status()).within("read the journal");
  auto room = room_row_identities(books);
  if (!room.ok()) return room.status();

  ledger.expected = sent.value().rows.size();
  ledger.journaled = journaled.value().size();
  ledger.room = room.value().size();
  add_faults(compare_rows(sent.value().rows, journaled.value()), ledger);
  add_faults(compare_rows(sent.value().rows, room.value()), ledger);
  return {};
}

}  // namespace pitbox
