// Promise under attack: a damaged journal is hostile bytes. Whatever is in a database and the WAL
// beside it, salvage ends, leaves both as they are, and writes either nothing or a journal in which
// every entry has its hash.
//
// Input: size of the database as u32 little-endian, the database, the WAL.

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "buffer/salvage.h"
#include "proto/batch.h"
#include "proto/check.h"

namespace {

using namespace pitbox;

// One folder in memory for all runs: /dev/shm where there is one.
const std::filesystem::path& scratch_folder() {
  static const std::filesystem::path kFolder = [] {
    const bool has_memory = std::filesystem::is_directory("/dev/shm");
    const std::filesystem::path parent =
        has_memory ? "/dev/shm" : std::filesystem::temp_directory_path();
    auto folder = parent / ("pitbox-salvage-fuzz-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    return folder;
  }();
  static const bool kRegistered = atexit([] {
                                    std::error_code ignored;
                                    std::filesystem::remove_all(scratch_folder(), ignored);
                                  }) == 0;
  static_cast<void>(kRegistered);
  return kFolder;
}

void write_file(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void check_written(const std::filesystem::path& file, const SalvageReport& report) {
  auto opened = JournalReader::open(file);
  CHECK(opened.ok());
  JournalReader& reader = *opened.value();
  std::uint64_t entries = 0;
  const Status scanned = reader.scan(
      1,
      [&](const StoredEntry& entry) {
        ++entries;
        if (entry.is_event) return true;  // The reader compared its hash.
        const auto decoded = decode_batch(entry.car, entry.bytes, [&](std::uint64_t prefix) {
          return reader.definition(prefix).value();
        });
        CHECK(decoded.ok() && decoded.value().hash == entry.hashes.front());
        return true;
      },
      [](std::uint64_t, const Status&) { CHECK(false); });
  CHECK(scanned.ok());
  CHECK(entries == report.batches + report.events);
  CHECK(entries == report.recovered.count());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint32_t database_bytes = 0;
  if (size < sizeof(database_bytes)) return 0;
  std::memcpy(&database_bytes, data, sizeof(database_bytes));
  const std::string rest(reinterpret_cast<const char*>(data) + 4, size - 4);
  const std::string database = rest.substr(0, database_bytes);
  const std::string wal = rest.substr(database.size());
  const auto damaged = scratch_folder() / "1-00000000000000aa.db";
  const auto output = scratch_folder() / "new.db";
  std::error_code ignored;
  std::filesystem::remove(output, ignored);
  write_file(damaged, database);
  write_file(damaged.string() + "-wal", wal);
  const auto report = salvage_journal({.damaged = damaged, .output = output, .progress = {}});
  CHECK(report.ok());
  CHECK(read_file(damaged) == database && read_file(damaged.string() + "-wal") == wal);
  CHECK(!std::filesystem::exists(damaged.string() + "-shm"));
  CHECK(std::filesystem::exists(output) == !report.value().is_empty());
  if (!report.value().is_empty()) check_written(output, report.value());
  return 0;
}
