// What the tests of salvage share: journals as a running box leaves them, ways to damage them, and
// an oracle that knows what is undamaged without asking the code under test: it has the
// undamaged journal, and asks SQLite (dbstat) which pages each row lies on.

#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "buffer/events.h"
#include "buffer/journal.h"
#include "buffer/journal_reader.h"
#include "buffer/journal_schema.h"
#include "tests/buffer/journal_rig.h"

namespace pitbox::salvaging {

namespace fs = std::filesystem;
using Random = std::mt19937;

// In one read: these tests look at the same megabytes often.
inline std::string contents_of(const fs::path& file) {
  std::error_code error;
  std::string bytes(fs::exists(file, error) ? fs::file_size(file, error) : 0, '\0');
  std::ifstream(file, std::ios::binary)
      .read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

inline std::uint32_t up_to(Random& random, std::uint32_t most) {
  return static_cast<std::uint32_t>(random() % (std::uint64_t{most} + 1));
}

// Rows that nothing makes smaller, so that the blob has about `rows` * 4 bytes.
inline NewBatch random_batch(const std::string& car, Random& random, std::size_t rows,
                             const std::string& group) {
  GroupRows data;
  data.definition = test_definition(group);
  for (std::size_t i = 0; i < rows; ++i) {
    data.receive_ns.push_back(1'000'000 + static_cast<std::int64_t>(i) * 1000);
    const auto raw = static_cast<std::uint32_t>(random());
    std::byte bytes[sizeof(raw)];
    std::memcpy(bytes, &raw, sizeof(raw));
    data.rows.insert(data.rows.end(), bytes, bytes + sizeof(raw));
  }
  return {.car = car, .batch = encode_batch(car, std::span(&data, 1))};
}

// Three cars, 1 to 3 batches, now and then one that needs overflow pages, a lap, a gap.
inline Commit random_commit(Random& random) {
  Commit commit;
  const std::uint32_t batches = 1 + up_to(random, 2);
  for (std::uint32_t i = 0; i < batches; ++i) {
    const std::string car = std::to_string(7 + up_to(random, 2));
    const bool is_big = up_to(random, 9) == 0;
    const std::size_t rows = is_big ? 4000 + up_to(random, 12'000) : 1 + up_to(random, 300);
    commit.batches.push_back(random_batch(car, random, rows, i == 0 ? "engine" : "chassis"));
  }
  if (up_to(random, 3) == 0) {
    const LapRecord lap{.car = "7",
                        .lap = 1 + up_to(random, 50),
                        .kind = LapKind::kTimed,
                        .lap_time_ms = 90'000 + up_to(random, 5000),
                        .sector_time_ms = {30'000, 31'000},
                        .evidence = "gps-line"};
    commit.laps.push_back({.event_index = commit.events.size(),
                           .car = lap.car,
                           .lap = lap.lap,
                           .kind = "timed",
                           .lap_time_ms = lap.lap_time_ms,
                           .sector_time_ms = lap.sector_time_ms,
                           .started_at_ms = 1'700'000'000'000,
                           .evidence = lap.evidence});
    commit.events.push_back(lap_event(lap, 1'700'000'000'000, 77));
  }
  if (up_to(random, 2) == 0) {
    commit.events.push_back(gap_event({.source = "udp",
                                       .car = "",
                                       .reason = "kernel_drop",
                                       .unit = "messages",
                                       .from_ns = 5,
                                       .to_ns = 9,
                                       .count_known = true,
                                       .count = 1 + up_to(random, 1000)},
                                      9));
  }
  commit.positions["udp"] = {.ring_id = 5, .position = random()};
  commit.decoder_states["udp"] = "state " + std::to_string(random());
  commit.counters = Counters{{"messages.heard", 4}, {"messages.decoded", 4}};
  return commit;
}

// A row and where it lies.
struct TrueRow {
  StoredEntry entry;
  std::vector<std::uint32_t> pages;
};
using Rows = std::map<std::uint64_t, TrueRow>;

// What a database and a part of its WAL show: rows, and the pages of the definitions by prefix.
struct View {
  Rows rows;
  std::map<std::uint64_t, std::vector<std::uint32_t>> definitions;
};

class SqliteFile {
 public:
  explicit SqliteFile(const fs::path& file) {
    EXPECT_EQ(sqlite3_open(file.c_str(), &raw_), SQLITE_OK);
  }
  SqliteFile(const SqliteFile&) = delete;
  SqliteFile& operator=(const SqliteFile&) = delete;
  ~SqliteFile() { sqlite3_close(raw_); }
  template <typename Visit>
  void each(const std::string& sql, Visit visit) {
    sqlite3_stmt* statement = nullptr;
    ASSERT_EQ(sqlite3_prepare_v2(raw_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK)
        << sqlite3_errmsg(raw_);
    while (sqlite3_step(statement) == SQLITE_ROW) visit(statement);
    sqlite3_finalize(statement);
  }

 private:
  sqlite3* raw_ = nullptr;
};

inline std::string text_at(sqlite3_stmt* row, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, column));
  return text == nullptr ? std::string() : std::string(text);
}

// The pages of each row of a table, by key: dbstat lists leaves with their numbers of cells, and
// overflow pages with the cell they belong to; keys rise over both.
inline std::map<std::uint64_t, std::vector<std::uint32_t>> pages_of_rows(SqliteFile& file,
                                                                         const std::string& table,
                                                                         const std::string& key) {
  std::vector<std::uint64_t> keys;
  file.each("SELECT " + key + " FROM " + table + " ORDER BY " + key, [&](sqlite3_stmt* row) {
    keys.push_back(static_cast<std::uint64_t>(sqlite3_column_int64(row, 0)));
  });
  std::map<std::uint64_t, std::vector<std::uint32_t>> pages;
  std::map<std::string, std::vector<std::uint64_t>> keys_of_leaf;
  std::size_t next = 0;
  file.each("SELECT path, pageno, ncell FROM dbstat WHERE name = '" + table +
                "' AND pagetype = 'leaf' ORDER BY path",
            [&](sqlite3_stmt* row) {
              for (int i = 0; i < sqlite3_column_int(row, 2); ++i) {
                const std::uint64_t id = keys.at(next++);
                pages[id].push_back(static_cast<std::uint32_t>(sqlite3_column_int(row, 1)));
                keys_of_leaf[text_at(row, 0)].push_back(id);
              }
            });
  EXPECT_EQ(next, keys.size()) << table;
  file.each(
      "SELECT path, pageno FROM dbstat WHERE name = '" + table + "' AND pagetype = 'overflow'",
      [&](sqlite3_stmt* row) {
        const std::string path = text_at(row, 0);
        const std::size_t slash = path.rfind('/');
        const auto cell = std::stoul(path.substr(slash + 1), nullptr, 16);
        const std::uint64_t id = keys_of_leaf.at(path.substr(0, slash + 1)).at(cell);
        pages[id].push_back(static_cast<std::uint32_t>(sqlite3_column_int(row, 1)));
      });
  return pages;
}

inline View view_of_file(const fs::path& file) {
  View view;
  {
    auto reader = JournalReader::open(file);
    EXPECT_TRUE(reader.ok()) << reader.status().message();
    for (StoredEntry& entry : entries_of(*reader.value())) {
      const std::uint64_t sequence = entry.first;
      view.rows[sequence].entry = std::move(entry);
    }
  }
  SqliteFile sqlite(file);
  for (const char* table : {"batches", "events"}) {
    for (auto& [sequence, pages] : pages_of_rows(sqlite, table, "sequence")) {
      view.rows.at(sequence).pages = std::move(pages);
    }
  }
  view.definitions = pages_of_rows(sqlite, "definitions", "prefix");
  return view;
}

// An undamaged journal as bytes, and what it shows after each of its WAL's commits.
class Original {
 public:
  Original(std::string called, fs::path file_name, std::string database_bytes,
           std::string wal_bytes)
      : name(std::move(called)),
        file(std::move(file_name)),
        database(std::move(database_bytes)),
        wal(std::move(wal_bytes)) {
    const auto at = [&](const std::string& bytes, std::size_t place, std::size_t count) {
      std::uint32_t value = 0;
      for (std::size_t i = 0; i < count; ++i) {
        value = value << 8 | static_cast<std::uint8_t>(bytes[place + i]);
      }
      return value;
    };
    page_bytes = at(database, 16, 2);
    for (std::size_t place = 32; place + frame_bytes() <= wal.size(); place += frame_bytes()) {
      if (wal.compare(place + 8, 8, wal, 16, 8) != 0) break;
      frames.push_back(at(wal, place, 4));
      if (at(wal, place + 4, 4) != 0) commits.push_back(frames.size());
    }
  }

  std::size_t frame_bytes() const { return page_bytes + 24; }
  std::size_t wal_bytes_of(std::size_t frame_count) const {
    return 32 + frame_count * frame_bytes();
  }
  // With so many frames of the WAL, which end with a commit; 0: without a WAL.
  const View& view(std::size_t frame_count) {
    const auto known = views_.find(frame_count);
    if (known != views_.end()) return known->second;
    TestFolder folder;
    write_over(folder / "view.db", database);
    if (frame_count > 0) {
      write_over(folder / "view.db-wal", wal.substr(0, wal_bytes_of(frame_count)));
    }
    return views_.emplace(frame_count, view_of_file(folder / "view.db")).first->second;
  }
  const View& whole() { return view(commits.empty() ? 0 : commits.back()); }

  std::string name;
  fs::path file;  // Its name.
  std::string database;
  std::string wal;
  std::string older_wal;  // Of an earlier generation, if there was one.
  std::uint32_t page_bytes = 0;
  std::vector<std::uint32_t> frames;  // Their pages.
  std::vector<std::size_t> commits;   // Numbers of frames after which one stands.

 private:
  std::map<std::size_t, View> views_;
};

// What there is of it after an accident.
struct Damaged {
  std::string database;
  std::string wal;
  bool has_wal = false;
  std::string what;  // For messages.
};

// Sequences of which no byte of their pages (and of their definitions') was changed or lost, and
// which are committed in what is left.
inline std::set<std::uint64_t> undamaged(Original& original, const Damaged& damaged) {
  const std::size_t most = std::min(damaged.wal.size(), original.wal.size());
  const auto differs =
      std::mismatch(original.wal.data(), original.wal.data() + most, damaged.wal.data());
  const auto same = static_cast<std::size_t>(differs.first - original.wal.data());
  std::size_t usable = 0;
  for (const std::size_t commit : original.commits) {
    if (original.wal_bytes_of(commit) <= same) usable = commit;
  }
  std::set<std::uint64_t> good;
  for (const std::size_t frames : {usable, std::size_t{0}}) {
    const std::set<std::uint32_t> in_wal(
        original.frames.begin(), original.frames.begin() + static_cast<std::ptrdiff_t>(frames));
    const auto is_whole = [&](std::uint32_t page) {
      if (in_wal.contains(page)) return true;
      const std::size_t at = std::size_t{page - 1} * original.page_bytes;
      if (at + original.page_bytes > damaged.database.size()) return false;
      return damaged.database.compare(at, original.page_bytes, original.database, at,
                                      original.page_bytes) == 0;
    };
    const auto are_whole = [&](const std::vector<std::uint32_t>& pages) {
      return std::all_of(pages.begin(), pages.end(), is_whole);
    };
    const View& view = original.view(frames);
    for (const auto& [sequence, row] : view.rows) {
      const auto& prefixes = row.entry.definitions;
      const bool is_good = are_whole(row.pages) &&
                           std::all_of(prefixes.begin(), prefixes.end(), [&](std::uint64_t prefix) {
                             return are_whole(view.definitions.at(prefix));
                           });
      if (is_good) good.insert(sequence);
    }
  }
  return good;
}

// A journal that grows, and can be taken as a kill would leave it.
class Growing {
 public:
  explicit Growing(std::uint32_t seed, std::uint32_t page_bytes = 16 * 1024) : random_(seed) {
    const std::uint64_t incarnation = 0x9E3779B97F4A7C15 * (seed + 1);
    options_ = test_options(folder_ / journal_file_name({1, incarnation}));
    options_.page_bytes = page_bytes;
    auto created = Journal::create(options_, incarnation);
    EXPECT_TRUE(created.ok()) << created.status().message();
    journal_ = std::move(created).take();
  }
  void grow(int commits) {
    for (int i = 0; i < commits; ++i) {
      const auto done = journal_->commit(random_commit(random_));
      ASSERT_TRUE(done.ok()) << done.status().message();
    }
  }
  // Writes the page with `meta`.
  void bind() { ASSERT_TRUE(journal_->bind("platform").ok()); }
  void checkpoint() { ASSERT_TRUE(journal_->checkpoint().ok()); }
  void seal() { ASSERT_TRUE(journal_->seal(true).ok()); }
  std::string wal() const { return contents_of(options_.file.string() + "-wal"); }
  Original take(const std::string& name) const {
    return {name, options_.file.filename(), contents_of(options_.file), wal()};
  }
  const Journal::Options& options() const { return options_; }

 private:
  TestFolder folder_;
  Random random_;
  Journal::Options options_;
  std::unique_ptr<Journal> journal_;
};

}  // namespace pitbox::salvaging
