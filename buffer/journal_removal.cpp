#include "buffer/journal_removal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "buffer/file_sync.h"
#include "buffer/journal_schema.h"
#include "buffer/journal_writer.h"
#include "proto/sqlite.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

// A reader is waited for no longer than a flush may be late.
constexpr int kBusyRemovalMs = 50;
constexpr std::size_t kHeaderBytes = 100;

class Descriptor {
 public:
  Descriptor(const fs::path& file, int flags) : raw_(::open(file.c_str(), flags | O_CLOEXEC)) {}
  ~Descriptor() {
    if (raw_ >= 0) ::close(raw_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int raw() const { return raw_; }

 private:
  int raw_;
};

std::uint32_t page_number_at(const std::vector<std::uint8_t>& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | bytes[at + i];
  return value;
}

bool read_at(int file, std::uint64_t offset, std::vector<std::uint8_t>& out) {
  const ssize_t got = ::pread(file, out.data(), out.size(), static_cast<off_t>(offset));
  return got == static_cast<ssize_t>(out.size());
}

// Numbers of the pages that are leaves of the free list. The trunks hold the list itself and stay.
Result<std::vector<std::uint32_t>> free_leaves(int file, std::uint32_t page_bytes,
                                               const std::vector<std::uint8_t>& header) {
  std::uint32_t trunk = page_number_at(header, 32);
  const std::uint32_t count = page_number_at(header, 36);
  const std::uint32_t pages = page_number_at(header, 28);
  std::vector<std::uint32_t> leaves;
  std::vector<std::uint8_t> page(page_bytes);
  std::uint32_t trunks = 0;
  while (trunk != 0) {
    if (trunk > pages || ++trunks > count || !read_at(file, (trunk - 1ULL) * page_bytes, page)) {
      return Status::corrupt("its list of free pages is damaged");
    }
    const std::uint32_t in_trunk = page_number_at(page, 4);
    if (in_trunk > page_bytes / 4 - 2) return Status::corrupt("its list of free pages is damaged");
    for (std::uint32_t i = 0; i < in_trunk; ++i) {
      const std::uint32_t leaf = page_number_at(page, 8 + 4ULL * i);
      if (leaf < 2 || leaf > pages) return Status::corrupt("its list of free pages is damaged");
      leaves.push_back(leaf);
    }
    trunk = page_number_at(page, 0);
  }
  std::sort(leaves.begin(), leaves.end());
  return leaves;
}

// Where holes cannot be made the batches are gone all the same.
void make_holes(const fs::path& file) {
  const auto stretches = free_stretches(file);
  if (!stretches.ok()) return;
  const Descriptor opened(file, O_RDWR);
  for (const FileStretch& stretch : stretches.value()) {
    const int made =
        ::fallocate(opened.raw(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    static_cast<off_t>(stretch.offset), static_cast<off_t>(stretch.length));
    if (made != 0) return;
  }
}

Status delete_rows(Database& database, const std::vector<Range>& ranges) {
  auto transaction = Transaction::begin(database);
  if (!transaction.ok()) return transaction.status();
  if (Status migrated = migrate_journal(database); !migrated.ok()) return migrated;
  auto writer = JournalWriter::prepare(database);
  if (!writer.ok()) return writer.status();
  Commit commit;
  commit.removed = ranges;
  if (Status refused = writer.value().check(commit); !refused.ok()) return refused;
  const auto written = writer.value().write(commit);
  if (!written.ok()) return written.status();
  return transaction.value().commit();
}

// True if it is a plain file now.
Result<bool> remove_from(const fs::path& file, const std::vector<Range>& ranges,
                         const std::string& vfs) {
  auto opened = Database::open(file, Database::Mode::kReadWrite, vfs);
  if (!opened.ok()) return opened.status();
  Database database = std::move(opened).take();
  database.set_busy_timeout_ms(kBusyRemovalMs);
  if (Status checked = check_journal_tables(database); !checked.ok()) return checked;
  Status status = database.use_wal();
  if (status.ok()) status = database.exec("PRAGMA synchronous = FULL");
  if (status.ok()) status = delete_rows(database, ranges);
  if (!status.ok()) return status;
  // The batches are gone. What follows gives the space back; a reader can delay it.
  if (status = database.checkpoint(true); !status.ok()) return status;
  const auto plain = database.text("PRAGMA journal_mode = DELETE");
  return plain.ok() && plain.value() == "delete" && !Database::has_rollback_journal(file);
}

}  // namespace

Result<std::vector<FileStretch>> free_stretches(const fs::path& file) {
  const Descriptor opened(file, O_RDONLY);
  std::vector<std::uint8_t> header(kHeaderBytes);
  if (opened.raw() < 0) return system_error("open " + file.string());
  if (!read_at(opened.raw(), 0, header)) return Status::corrupt(file.string() + ": no header");
  std::uint32_t page_bytes = static_cast<std::uint32_t>(header[16]) << 8 | header[17];
  if (page_bytes == 1) page_bytes = 65536;
  if (page_bytes < 512) return Status::corrupt(file.string() + ": no page size");
  const auto leaves = free_leaves(opened.raw(), page_bytes, header);
  if (!leaves.ok()) return Status(leaves.status()).within(file.string());
  std::vector<FileStretch> stretches;
  for (const std::uint32_t leaf : leaves.value()) {
    const std::uint64_t offset = (leaf - 1ULL) * page_bytes;
    if (!stretches.empty() && stretches.back().offset + stretches.back().length == offset) {
      stretches.back().length += page_bytes;
    } else {
      stretches.push_back({offset, page_bytes});
    }
  }
  return stretches;
}

Result<bool> remove_batches(const fs::path& file, const std::vector<Range>& ranges,
                            const std::string& vfs) {
  struct stat before {};
  if (::stat(file.c_str(), &before) != 0) return system_error("stat " + file.string());
  const mode_t mode = before.st_mode & 07777;
  if (::chmod(file.c_str(), mode | S_IWUSR) != 0) return system_error("chmod " + file.string());
  auto is_plain = remove_from(file, ranges, vfs);
  if (!is_plain.ok()) return Status(is_plain.status()).within("remove from " + file.string());
  if (vfs.empty()) make_holes(file);
  if (is_plain.value() && ::chmod(file.c_str(), mode) != 0) {
    return system_error("chmod " + file.string());
  }
  return is_plain;
}

}  // namespace pitbox
