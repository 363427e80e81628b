// Promise under attack: bytes from a disk are hostile. Whatever is in a file, JournalReader::open
// refuses it or reads it; every entry it gives has the shape that docs/journal.md promises, in
// order and without a sequence twice; and the same entry is found by its sequence.

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "buffer/journal_reader.h"
#include "buffer/journal_schema.h"
#include "proto/check.h"
#include "proto/text.h"

namespace {

using namespace pitbox;

void check_shape(const StoredEntry& entry) {
  CHECK(entry.first >= 1 && entry.first <= entry.last);
  CHECK(entry.hashes.size() == entry.last - entry.first + 1);
  CHECK(!entry.bytes.empty());
  CHECK(entry.car.size() <= kMaxNameBytes && is_plain_text(entry.car));
  if (entry.is_event) {
    CHECK(entry.first == entry.last && entry.bytes.size() <= kMaxEventBytes);
    CHECK(!entry.kind.empty() && entry.kind.size() <= kMaxEventKindBytes);
    CHECK(is_plain_text(entry.kind) && entry.definitions.empty());
    CHECK(entry.hashes[0] == hash_event(entry.bytes));
    return;
  }
  CHECK(!entry.car.empty() && entry.bytes.size() <= kMaxBatchBytes);
  CHECK(entry.rows >= 1 && entry.rows <= kMaxBatchRows);
  CHECK(entry.samples <= entry.rows * kMaxChannels);
  CHECK(!entry.definitions.empty() && entry.definitions.size() <= kMaxBatchGroups);
}

void check_scan(JournalReader& reader) {
  std::uint64_t done = 0;
  std::uint64_t middle = 0;
  const Status scanned = reader.scan(
      1,
      [&](const StoredEntry& entry) {
        check_shape(entry);
        CHECK(entry.first > done);
        done = entry.last;
        if (middle == 0 || entry.first % 3 == 0) middle = entry.first;
        return true;
      },
      [](std::uint64_t, const Status& reason) { CHECK(!reason.ok()); });
  if (scanned.ok() && middle != 0) {
    const auto entry = reader.entry(middle);
    CHECK(!entry.ok() || (entry.value().first <= middle && entry.value().last >= middle));
  }
}

void check_rest(JournalReader& reader) {
  const auto definitions = reader.definitions();
  if (definitions.ok()) {
    for (const DefinitionPtr& definition : definitions.value()) {
      CHECK(definition != nullptr && !definition->channels().empty());
    }
  }
  const auto laps = reader.laps();
  if (laps.ok()) {
    for (const StoredLap& lap : laps.value()) {
      CHECK(lap.sequence >= 1 && !lap.car.empty() && is_plain_text(lap.car));
      CHECK(lap.sector_time_ms.size() <= kMaxLapSectors);
    }
  }
  const auto acknowledged = reader.acknowledged();
  if (acknowledged.ok()) {
    for (const Range& range : acknowledged.value().ranges()) {
      CHECK(range.first >= 1 && range.first <= range.last);
    }
  }
  // Any answer will do, as long as there is one.
  static_cast<void>(reader.session().ok());
  static_cast<void>(reader.counters().ok());
  static_cast<void>(reader.positions().ok());
  static_cast<void>(reader.decoder_states().ok());
  static_cast<void>(reader.lap_state().ok());
  static_cast<void>(reader.totals().ok());
  static_cast<void>(reader.bytes_in({1, 100}).ok());
}

// One file in memory for all runs: /dev/shm where there is one.
const std::filesystem::path& scratch_file() {
  static const std::filesystem::path kFile = [] {
    const bool has_memory = std::filesystem::is_directory("/dev/shm");
    const std::filesystem::path folder =
        has_memory ? "/dev/shm" : std::filesystem::temp_directory_path();
    return folder / ("pitbox-journal-fuzz-" + std::to_string(getpid()) + ".db");
  }();
  static const bool kRegistered =
      atexit([] {
        std::error_code ignored;
        for (const char* ending : {"", "-wal", "-shm"}) {
          std::filesystem::remove(scratch_file().string() + ending, ignored);
        }
      }) == 0;
  static_cast<void>(kRegistered);
  return kFile;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::filesystem::path& file = scratch_file();
  std::FILE* out = std::fopen(file.c_str(), "wb");
  CHECK(out != nullptr);
  CHECK(std::fwrite(data, 1, size, out) == size);
  std::fclose(out);
  auto opened = JournalReader::open(file);
  if (!opened.ok()) return 0;
  check_scan(*opened.value());
  check_rest(*opened.value());
  return 0;
}
