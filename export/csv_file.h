// CsvFile: one CSV being written, rows put in order of time (csv_writer.h says how far).
//
// One thread. The file is open only while a block of it is written, so that a session of hundreds
// of cars needs no hundreds of descriptors. Memory: kCsvBlockBytes and the rows that wait.

#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>

#include "export/csv_writer.h"
#include "proto/status.h"

namespace pitbox {

inline constexpr std::size_t kCsvBlockBytes = std::size_t{256} << 10;

class CsvFile {
 public:
  CsvFile(std::filesystem::path path, const Definition& definition);
  // Takes an unfinished file away.
  ~CsvFile();
  CsvFile(const CsvFile&) = delete;
  CsvFile& operator=(const CsvFile&) = delete;

  // `line`: the cells after the time, each with a comma before it.
  Status add(std::int64_t time_ns, std::string line);
  // Writes what waits and gives the file its name.
  Status finish();

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t rows() const { return rows_; }

 private:
  struct Row {
    std::int64_t time_ns;
    std::string line;
  };
  Status write_ready(std::int64_t until_ns, std::size_t keep);
  Status write_block();

  const std::filesystem::path path_;
  const std::filesystem::path partial_;
  std::string block_;
  bool is_begun_ = false;
  bool is_finished_ = false;
  std::deque<Row> waiting_;  // In order of time; equal times in order of arrival.
  bool has_written_ = false;
  std::int64_t written_ns_ = 0;  // Time of the last row in block_ or file.
  std::uint64_t rows_ = 0;
};

}  // namespace pitbox
