// CSV: one file per car and channel group, physical values (README.md, "CSV").
//
//   t_s,latitude [deg],longitude [deg],...
//   1682789670.01,28.411755,-81.37932883333333,...
//
// `CsvFile` writes one such file; `export_csv` a whole session. Blocking, on the caller's thread.
//
// Order: rows are written in order of their time. Rows that arrived up to kCsvReorderSpan late are
// put in their place; a time that steps back further is a clock that was set or restarted, and what
// follows is written after it, as it came.
//
// Limits: kCsvReorderRows rows wait for their place per file, whatever the span.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/session_store.h"
#include "export/session_rows.h"
#include "proto/batch.h"
#include "proto/status.h"

namespace pitbox {

inline constexpr std::chrono::nanoseconds kCsvReorderSpan = std::chrono::seconds(2);
inline constexpr std::size_t kCsvReorderRows = 65'536;

struct CsvExportOptions {
  std::filesystem::path directory;  // Made if absent.
  bool overwrite = false;           // Replace files that are there.
  SessionReadOptions reading;
};

struct CsvExportResult {
  struct File {
    std::filesystem::path path;
    std::string car;
    std::string group;
    std::uint64_t rows = 0;
  };
  std::vector<File> files;
  std::uint64_t rows = 0;
};

// kRejected if a file is there already and may not be replaced (nothing is then written to it);
// kFull or kFatal if writing fails. Files are written as `*.partial` and named when complete.
Result<CsvExportResult> export_csv(const SessionFiles& session, const CsvExportOptions& options);

// A name from outside as part of a file name: letters, digits, '-' and '_' and '.' inside stay,
// every other byte becomes %XX, so that different names stay different.
std::string csv_file_part(std::string_view name);
// Text as a cell: quoted if CSV needs it; and if it begins as a spreadsheet's formula does (= + - @
// tab CR), quoted with an apostrophe before it, so that no spreadsheet computes what a car sent.
std::string csv_text_cell(std::string_view text);
// Physical value of the raw bytes, as the shortest text that reads back as exactly that number.
void append_csv_value(const Channel& channel, const std::byte* raw, std::string& out);
// Nanoseconds as seconds, exact, without trailing zeros.
void append_csv_seconds(std::int64_t nanoseconds, std::string& out);

}  // namespace pitbox
