#include "export/csv_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

namespace pitbox {
namespace {

Status write_failure(const std::filesystem::path& path, int error) {
  const Code code = error == ENOSPC || error == EDQUOT ? Code::kFull : Code::kFatal;
  return {code, "write " + path.string() + ": " + std::generic_category().message(error)};
}

}  // namespace

CsvFile::CsvFile(std::filesystem::path path, const Definition& definition)
    : path_(std::move(path)), partial_(path_.string() + ".partial") {
  block_ = "t_s";
  for (const Channel& channel : definition.channels()) {
    block_.push_back(',');
    block_ += csv_text_cell(channel.name + " [" + channel.unit + "]");
  }
  block_.push_back('\n');
}

CsvFile::~CsvFile() {
  if (is_begun_ && !is_finished_) ::unlink(partial_.c_str());
}

Status CsvFile::add(std::int64_t time_ns, std::string line) {
  ++rows_;
  const bool is_step_back =
      (has_written_ && time_ns < written_ns_) ||
      (!waiting_.empty() && time_ns < waiting_.back().time_ns - kCsvReorderSpan.count());
  if (is_step_back) {
    Status status = write_ready(std::numeric_limits<std::int64_t>::max(), 0);
    if (!status.ok()) return status;
    has_written_ = false;
  }
  auto place = waiting_.end();
  while (place != waiting_.begin() && (place - 1)->time_ns > time_ns) --place;
  waiting_.insert(place, Row{time_ns, std::move(line)});
  return write_ready(waiting_.back().time_ns - kCsvReorderSpan.count(), kCsvReorderRows);
}

// Rows up to `until_ns`, and the oldest ones beyond `keep`.
Status CsvFile::write_ready(std::int64_t until_ns, std::size_t keep) {
  while (!waiting_.empty() && (waiting_.front().time_ns <= until_ns || waiting_.size() > keep)) {
    const Row& row = waiting_.front();
    append_csv_seconds(row.time_ns, block_);
    block_ += row.line;
    block_.push_back('\n');
    written_ns_ = row.time_ns;
    has_written_ = true;
    waiting_.pop_front();
    if (block_.size() < kCsvBlockBytes) continue;
    Status status = write_block();
    if (!status.ok()) return status;
  }
  return {};
}

Status CsvFile::write_block() {
  const int mode = O_WRONLY | O_CREAT | O_CLOEXEC | (is_begun_ ? O_APPEND : O_TRUNC);
  const int descriptor = ::open(partial_.c_str(), mode, 0644);
  if (descriptor < 0) return write_failure(partial_, errno);
  is_begun_ = true;
  std::string_view left = block_;
  while (!left.empty()) {
    const ssize_t written = ::write(descriptor, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      ::close(descriptor);
      return write_failure(partial_, error);
    }
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  block_.clear();
  if (::close(descriptor) != 0) return write_failure(partial_, errno);
  return {};
}

Status CsvFile::finish() {
  Status status = write_ready(std::numeric_limits<std::int64_t>::max(), 0);
  if (!status.ok()) return status;
  status = write_block();
  if (!status.ok()) return status;
  std::error_code error;
  std::filesystem::rename(partial_, path_, error);
  if (error) return write_failure(path_, error.value());
  is_finished_ = true;
  return {};
}

}  // namespace pitbox
