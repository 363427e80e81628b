// Salvaging: a fixture that salvages a damaged journal, checks that the original stays untouched,
// and judges what came back by the oracle of salvage_rig.h.

#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "buffer/journal_reader.h"
#include "buffer/salvage.h"
#include "proto/batch.h"
#include "tests/buffer/salvage_rig.h"

namespace pitbox::salvaging {

struct FileMark {
  std::string bytes;
  std::int64_t changed_ns = 0;
  friend bool operator==(const FileMark&, const FileMark&) = default;
};

inline std::map<std::string, FileMark> marks_of(const fs::path& folder) {
  std::map<std::string, FileMark> marks;
  for (const auto& entry : fs::directory_iterator(folder)) {
    struct stat found {};
    EXPECT_EQ(::stat(entry.path().c_str(), &found), 0);
    marks[entry.path().filename().string()] = {
        contents_of(entry.path()), found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec};
  }
  return marks;
}

inline void expect_same(const StoredEntry& got, const StoredEntry& want) {
  EXPECT_EQ(got.is_event, want.is_event);
  EXPECT_EQ(got.kind, want.kind);
  EXPECT_EQ(got.car, want.car);
  EXPECT_EQ(got.rows, want.rows);
  EXPECT_EQ(got.samples, want.samples);
  EXPECT_EQ(got.first_ns, want.first_ns);
  EXPECT_EQ(got.last_ns, want.last_ns);
  EXPECT_EQ(got.hashes, want.hashes);
  EXPECT_EQ(got.definitions, want.definitions);
  EXPECT_TRUE(got.bytes == want.bytes) << "the bytes differ";
}

class Salvaging : public testing::Test {
 protected:
  // Under `name`, with its WAL.
  void given(const Damaged& damaged, const fs::path& name) {
    fs::create_directories(folder_ / "damaged");
    file_ = folder_ / "damaged" / name;
    write_over(file_, damaged.database);
    if (damaged.has_wal) write_over(file_.string() + "-wal", damaged.wal);
  }
  static Damaged undamaged_of(const Original& original) {
    return {original.database, original.wal, !original.wal.empty(), original.name};
  }
  SalvageReport salvage() {
    const auto before = marks_of(folder_ / "damaged");
    output_ = folder_ / "new.db";
    fs::remove(output_);
    auto report = salvage_journal({.damaged = file_, .output = output_, .progress = {}});
    EXPECT_TRUE(report.ok()) << report.status().message();
    EXPECT_TRUE(marks_of(folder_ / "damaged") == before) << "the original was touched";
    if (!report.ok()) return {};
    EXPECT_EQ(fs::exists(output_), !report.value().is_empty());
    EXPECT_FALSE(fs::exists(output_.string() + ".new"));
    return std::move(report).take();
  }
  // Everything in the new journal, each batch verified by decoding it.
  std::map<std::uint64_t, StoredEntry> written() {
    std::map<std::uint64_t, StoredEntry> entries;
    auto opened = JournalReader::open(output_);
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    if (!opened.ok()) return entries;
    JournalReader& reader = *opened.value();
    EXPECT_TRUE(reader.sealed().value());
    for (StoredEntry& entry : entries_of(reader)) {
      if (!entry.is_event) {
        const auto decoded = decode_batch(entry.car, entry.bytes, [&](std::uint64_t prefix) {
          return reader.definition(prefix).value();
        });
        EXPECT_TRUE(decoded.ok() && decoded.value().hash == entry.hashes.front())
            << entry.first << " does not hold what its hash says";
      }
      const std::uint64_t sequence = entry.first;
      entries.emplace(sequence, std::move(entry));
    }
    return entries;
  }
  // Returns how many sequences had to come back.
  std::size_t judge(Original& original, const Damaged& damaged) {
    const std::set<std::uint64_t> expected = undamaged(original, damaged);
    const SalvageReport report = salvage();
    std::map<std::uint64_t, StoredEntry> got;
    if (!report.is_empty()) got = written();
    EXPECT_EQ(journal_file_name({report.meta.number, report.meta.incarnation}),
              original.file.string());
    EXPECT_EQ(report.recovered.count(), got.size());
    EXPECT_EQ(report.batches + report.events, got.size());
    for (const auto& [sequence, entry] : got) {
      const auto truth = original.whole().rows.find(sequence);
      if (truth == original.whole().rows.end()) {
        ADD_FAILURE() << "sequence " << sequence << " never was";
        continue;
      }
      SCOPED_TRACE("sequence " + std::to_string(sequence));
      expect_same(entry, truth->second.entry);
    }
    for (const std::uint64_t sequence : expected) {
      EXPECT_TRUE(got.contains(sequence)) << "sequence " << sequence << " is undamaged";
    }
    if (report.is_complete() && damaged.wal == original.wal) {
      EXPECT_EQ(got.size(), original.whole().rows.size()) << "it says that it is complete";
    }
    return expected.size();
  }

  TestFolder folder_;
  fs::path file_;
  fs::path output_;
};

}  // namespace pitbox::salvaging
