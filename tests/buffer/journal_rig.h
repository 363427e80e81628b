// What the journal's tests share: a folder of their own, entries to commit, and a SQLite VFS whose
// disk can be told to fail.

#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "buffer/journal.h"
#include "buffer/journal_reader.h"
#include "proto/batch.h"
#include "proto/definition.h"
#include "proto/sqlite.h"
#include "proto/uuid.h"

namespace pitbox {

class TestFolder {
 public:
  TestFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pitbox-test-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline DefinitionPtr test_definition(const std::string& group) {
  ChannelGroup described{
      .group = group,
      .time_base = TimeBase::kNone,
      .channels = {Channel{
          .name = "speed", .unit = "m/s", .type = StorageType::kI32, .factor = 0.5, .offset = 0}}};
  return Definition::make(std::move(described)).take();
}

// `rows` rows that count from `value`, one nanosecond apart.
inline NewBatch test_batch(const std::string& car, std::int32_t value, std::size_t rows = 3,
                           const std::string& group = "engine") {
  GroupRows data;
  data.definition = test_definition(group);
  for (std::size_t i = 0; i < rows; ++i) {
    data.receive_ns.push_back(1000 + value + static_cast<std::int64_t>(i));
    const std::int32_t raw = value + static_cast<std::int32_t>(i);
    std::byte bytes[sizeof(raw)];
    std::memcpy(bytes, &raw, sizeof(raw));
    data.rows.insert(data.rows.end(), bytes, bytes + sizeof(raw));
  }
  return {.car = car, .batch = encode_batch(car, std::span(&data, 1))};
}

// A batch of nearly `bytes` bytes that nothing makes smaller. It cannot be decoded.
inline NewBatch noisy_batch(const std::string& car, std::size_t bytes) {
  NewBatch noisy = test_batch(car, 1);
  std::minstd_rand random(static_cast<unsigned>(bytes));
  noisy.batch.blob.resize(bytes);
  for (char& byte : noisy.batch.blob) byte = static_cast<char>(random() >> 8);
  return noisy;
}

inline NewEvent test_event(const std::string& kind, const std::string& bytes = "what") {
  return {.car = "7", .kind = kind, .time_ns = 5, .bytes = bytes};
}

inline Commit commit_of(std::vector<NewBatch> batches, std::vector<NewEvent> events = {}) {
  Commit commit;
  commit.batches = std::move(batches);
  commit.events = std::move(events);
  return commit;
}

inline Journal::Options test_options(const std::filesystem::path& file) {
  Journal::Options options;
  options.file = file;
  options.session = {.id = Uuid::mint(),
                     .name = "Morning",
                     .type = "practice",
                     .platform_id = "",
                     .started_at_ms = 1'700'000'000'000};
  options.box_id = Uuid::mint();
  return options;
}

inline std::vector<StoredEntry> entries_of(JournalReader& reader, std::uint64_t from = 1) {
  std::vector<StoredEntry> entries;
  const Status scanned = reader.scan(
      from,
      [&](const StoredEntry& entry) {
        entries.push_back(entry);
        return true;
      },
      [](std::uint64_t sequence, const Status& reason) {
        ADD_FAILURE() << sequence << ": " << reason.message();
      });
  EXPECT_TRUE(scanned.ok()) << scanned.message();
  return entries;
}

// Changes a file behind the journal's back, as a user or an accident would.
inline void run_sql(const std::filesystem::path& file, const std::string& sql) {
  auto database = Database::open(file, Database::Mode::kReadWrite);
  ASSERT_TRUE(database.ok()) << database.status().message();
  const Status done = database.value().exec(sql.c_str());
  ASSERT_TRUE(done.ok()) << done.message();
}

inline std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Writes over the file in place: the inode stays, as with `cp`.
inline void write_over(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << bytes;
}

// A VFS over the default one. While `failing`, a sync of a WAL or database reports EIO although the
// data arrived: what the kernel does after it has dropped the dirty pages of a failed write-back.
class FailingDisk {
 public:
  static constexpr const char* kName = "failing";
  static inline std::atomic<bool> fail_sync = false;
  static inline std::atomic<bool> fail_write = false;

  static void install() {
    static const bool kInstalled = [] {
      sqlite3_vfs* real = sqlite3_vfs_find(nullptr);
      static sqlite3_vfs shim;
      shim = *real;
      shim.zName = kName;
      shim.pAppData = real;
      shim.szOsFile = static_cast<int>(sizeof(File)) + real->szOsFile;
      shim.xOpen = open_file;
      return sqlite3_vfs_register(&shim, 0) == SQLITE_OK;
    }();
    ASSERT_TRUE(kInstalled);
    fail_sync = false;
    fail_write = false;
  }

 private:
  // The real file lies right behind this one; its methods are called through a table of ours.
  struct File {
    sqlite3_file base;
    sqlite3_file* real;
  };
  static sqlite3_file* real_of(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real; }

  static int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* out, int flags,
                       int* out_flags) {
    auto* file = reinterpret_cast<File*>(out);
    auto* real_vfs = static_cast<sqlite3_vfs*>(vfs->pAppData);
    file->real = reinterpret_cast<sqlite3_file*>(file + 1);
    file->base.pMethods = nullptr;
    const int code = real_vfs->xOpen(real_vfs, name, file->real, flags, out_flags);
    if (code == SQLITE_OK) file->base.pMethods = methods();
    return code;
  }

  static const sqlite3_io_methods* methods() {
    static const sqlite3_io_methods kTable = [] {
      sqlite3_io_methods m{};
      m.iVersion = 2;
      m.xClose = [](sqlite3_file* f) { return real_of(f)->pMethods->xClose(real_of(f)); };
      m.xRead = [](sqlite3_file* f, void* to, int size, sqlite3_int64 at) {
        return real_of(f)->pMethods->xRead(real_of(f), to, size, at);
      };
      m.xWrite = [](sqlite3_file* f, const void* from, int size, sqlite3_int64 at) {
        if (fail_write) return SQLITE_FULL;
        return real_of(f)->pMethods->xWrite(real_of(f), from, size, at);
      };
      m.xTruncate = [](sqlite3_file* f, sqlite3_int64 size) {
        return real_of(f)->pMethods->xTruncate(real_of(f), size);
      };
      m.xSync = [](sqlite3_file* f, int flags) {
        const int code = real_of(f)->pMethods->xSync(real_of(f), flags);
        return fail_sync ? SQLITE_IOERR_FSYNC : code;
      };
      m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
        return real_of(f)->pMethods->xFileSize(real_of(f), size);
      };
      m.xLock = [](sqlite3_file* f, int lock) {
        return real_of(f)->pMethods->xLock(real_of(f), lock);
      };
      m.xUnlock = [](sqlite3_file* f, int lock) {
        return real_of(f)->pMethods->xUnlock(real_of(f), lock);
      };
      m.xCheckReservedLock = [](sqlite3_file* f, int* out) {
        return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
      };
      m.xFileControl = [](sqlite3_file* f, int op, void* argument) {
        return real_of(f)->pMethods->xFileControl(real_of(f), op, argument);
      };
      m.xSectorSize = [](sqlite3_file* f) { return real_of(f)->pMethods->xSectorSize(real_of(f)); };
      m.xDeviceCharacteristics = [](sqlite3_file* f) {
        return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
      };
      m.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
        return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
      };
      m.xShmLock = [](sqlite3_file* f, int offset, int count, int flags) {
        return real_of(f)->pMethods->xShmLock(real_of(f), offset, count, flags);
      };
      m.xShmBarrier = [](sqlite3_file* f) { real_of(f)->pMethods->xShmBarrier(real_of(f)); };
      m.xShmUnmap = [](sqlite3_file* f, int remove) {
        return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
      };
      return m;
    }();
    return &kTable;
  }
};

}  // namespace pitbox
