#include "buffer/salvage_pages.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <utility>

#include "buffer/file_sync.h"
#include "proto/check.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kWalHeaderBytes = 32;
constexpr std::size_t kFrameHeaderBytes = 24;
constexpr std::uint32_t kWalMagic = 0x377F0682;  // The lowest bit: checksums of big-endian words.
constexpr std::uint32_t kWalVersion = 3'007'000;
// As likely as they are in a journal.
constexpr std::array<std::uint32_t, 5> kPageSizes = {16'384, 4096, 8192, 32'768, 65'536};
// How much of a file's beginning and of its end is looked at to find its page size.
constexpr std::uint64_t kSampleBytes = std::uint64_t{4} << 20;

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return value;
}

// Any that SQLite knows, if the file says so.
bool is_page_size(std::uint32_t bytes) {
  return bytes >= 512 && bytes <= 65'536 && (bytes & (bytes - 1)) == 0;
}

// SQLite's checksum of a WAL: two sums over pairs of words, carried from frame to frame.
struct WalSum {
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  friend bool operator==(const WalSum&, const WalSum&) = default;

  void add(std::string_view bytes, bool is_big_endian) {
    const auto word = [&](std::size_t at) {
      const std::uint32_t big = big_endian(bytes, at);
      return is_big_endian ? big : __builtin_bswap32(big);
    };
    for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
      a += word(at) + b;
      b += word(at + 4) + a;
    }
  }
};

struct WalHeader {
  bool is_big_endian = false;
  std::uint32_t page_bytes = 0;
  std::uint64_t salts = 0;
  WalSum sum;
};

// Empty: it is one.
std::string parse_wal_header(std::string_view bytes, WalHeader& header) {
  const std::uint32_t magic = big_endian(bytes, 0);
  if ((magic & ~1U) != kWalMagic || big_endian(bytes, 4) != kWalVersion) return "no WAL's header";
  header.is_big_endian = (magic & 1U) != 0;
  header.page_bytes = big_endian(bytes, 8);
  header.salts = std::uint64_t{big_endian(bytes, 16)} << 32 | big_endian(bytes, 20);
  header.sum.add(bytes.substr(0, 24), header.is_big_endian);
  const WalSum stored{big_endian(bytes, 24), big_endian(bytes, 28)};
  if (stored != header.sum) return "its header's checksum is not right";
  if (!is_page_size(header.page_bytes)) return "pages of a size that no journal has";
  return {};
}

// Frames behind the last usable one, as far as they are of this generation.
void look_behind(const PlainFile& file, const WalHeader& header, WalState& wal) {
  const std::uint64_t frame_bytes = kFrameHeaderBytes + header.page_bytes;
  std::string bytes;
  for (std::uint64_t i = wal.usable; i < wal.frames; ++i) {
    if (!file.read(kWalHeaderBytes + i * frame_bytes, kFrameHeaderBytes, bytes)) {
      wal.refusal = "it cannot be read to its end";
      return;
    }
    const std::uint64_t salts = std::uint64_t{big_endian(bytes, 8)} << 32 | big_endian(bytes, 12);
    if (salts != header.salts) continue;
    ++wal.later;
    if (big_endian(bytes, 4) != 0) wal.later_commit = true;
  }
}

fs::path wal_of(const fs::path& database) {
  return database.string() + "-wal";
}

}  // namespace

Result<PlainFile> PlainFile::open(const fs::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (descriptor < 0) {
    const Code code = errno == ENOENT || errno == ENOTDIR ? Code::kRejected : Code::kFatal;
    return Status(code, system_error(file.string()).message());
  }
  struct stat found {};
  if (::fstat(descriptor, &found) != 0 || !S_ISREG(found.st_mode)) {
    ::close(descriptor);
    return Status::rejected(file.string() + " is no file");
  }
  return PlainFile(descriptor, static_cast<std::uint64_t>(found.st_size));
}

PlainFile::PlainFile(PlainFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), bytes_(other.bytes_) {}

PlainFile& PlainFile::operator=(PlainFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

PlainFile::~PlainFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool PlainFile::read(std::uint64_t at, std::size_t bytes, std::string& out) const {
  if (at > bytes_ || bytes > bytes_ - at) return false;
  out.resize(bytes);
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t got =
        ::pread(descriptor_, out.data() + done, bytes - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<std::size_t>(got);
  }
  return true;
}

WalState read_wal(const fs::path& database, std::vector<WalFrame>& frames) {
  WalState wal;
  auto opened = PlainFile::open(wal_of(database));
  if (!opened.ok()) {
    wal.is_there = opened.status().code() != Code::kRejected;
    if (wal.is_there) wal.refusal = opened.status().message();
    return wal;
  }
  const PlainFile& file = opened.value();
  wal.is_there = file.bytes() > 0;
  if (!wal.is_there) return wal;
  std::string bytes;
  WalHeader header;
  wal.refusal = file.read(0, kWalHeaderBytes, bytes) ? parse_wal_header(bytes, header)
                                                     : "no whole header of it";
  if (!wal.refusal.empty()) return wal;
  wal.page_bytes = header.page_bytes;
  const std::uint64_t frame_bytes = kFrameHeaderBytes + header.page_bytes;
  wal.frames = std::min<std::uint64_t>((file.bytes() - kWalHeaderBytes) / frame_bytes,
                                       SalvagePages::kMaxWalFrames);
  WalSum sum = header.sum;
  for (std::uint64_t i = 0; i < wal.frames; ++i) {
    if (!file.read(kWalHeaderBytes + i * frame_bytes, frame_bytes, bytes)) break;
    const std::uint64_t salts = std::uint64_t{big_endian(bytes, 8)} << 32 | big_endian(bytes, 12);
    sum.add(std::string_view(bytes).substr(0, 8), header.is_big_endian);
    sum.add(std::string_view(bytes).substr(kFrameHeaderBytes), header.is_big_endian);
    const WalSum stored{big_endian(bytes, 16), big_endian(bytes, 20)};
    if (salts != header.salts || stored != sum || big_endian(bytes, 0) == 0) break;
    frames.push_back({.page = big_endian(bytes, 0), .commit = 0});
    if (big_endian(bytes, 4) == 0) continue;
    ++wal.commits;
    for (std::size_t f = wal.usable; f < frames.size(); ++f) {
      frames[f].commit = static_cast<std::uint32_t>(frames.size());
    }
    wal.usable = frames.size();
  }
  frames.resize(wal.usable);
  look_behind(file, header, wal);
  return wal;
}

Result<SalvagePages> SalvagePages::open(const fs::path& file, const Rate& rate) {
  auto opened = PlainFile::open(file);
  if (!opened.ok()) return opened.status();
  SalvagePages pages(std::move(opened).take());
  pages.wal_ = read_wal(file, pages.frames_);
  pages.choose_page_size(rate);
  if (pages.wal_.usable > 0 && pages.wal_.page_bytes != pages.page_bytes_) {
    pages.forget_wal("its pages are of another size");
  }
  CHECK(pages.page_bytes_ > 0);
  const std::uint64_t count = (pages.database_.bytes() + pages.page_bytes_ - 1) / pages.page_bytes_;
  pages.pages_ = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(count, std::numeric_limits<std::uint32_t>::max() - 1));
  if (pages.wal_.usable > 0) {
    auto wal = PlainFile::open(wal_of(file));
    if (!wal.ok()) return wal.status();
    pages.wal_file_.push_back(std::move(wal).take());
  }
  for (std::size_t i = 0; i < pages.frames_.size(); ++i) {
    pages.versions_[pages.frames_[i].page].push_back(static_cast<std::uint32_t>(i + 1));
  }
  return pages;
}

void SalvagePages::forget_wal(std::string why) {
  wal_.refusal = std::move(why);
  wal_.usable = wal_.commits = 0;
  frames_.clear();
  versions_.clear();
}

// What the header says may be damaged. So each size is tried on a sample, and the one that
// shows most rows is believed; the header's, then the WAL's, where they are equal.
void SalvagePages::choose_page_size(const Rate& rate) {
  std::vector<std::uint32_t> sizes;
  std::string bytes;
  if (database_.read(0, 100, bytes) && bytes.starts_with(kSqliteMagic)) {
    const std::uint32_t said = big_endian(bytes, 14) & 0xFFFF;
    const std::uint32_t size = said == 1 ? 65'536 : said;
    if (is_page_size(size)) sizes.push_back(size);
  }
  if (wal_.page_bytes != 0) sizes.push_back(wal_.page_bytes);
  for (const std::uint32_t size : kPageSizes) sizes.push_back(size);
  std::size_t best = 0;
  page_bytes_ = sizes.front();
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::uint32_t size = sizes[i];
    if (std::find(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(i), size) !=
        sizes.begin() + static_cast<std::ptrdiff_t>(i)) {
      continue;
    }
    const std::uint64_t whole = database_.bytes() / size * size;
    const std::uint64_t tail = whole > kSampleBytes ? (whole - kSampleBytes) / size * size : 0;
    std::size_t rows = 0;
    for (std::uint64_t at = 0; at < whole; at += size) {
      if (at >= kSampleBytes) at = std::max(at, tail);
      if (database_.read(at, size, bytes)) rows += rate(bytes, at == 0);
    }
    if (rows > best) {
      best = rows;
      page_bytes_ = size;
    }
  }
}

std::uint32_t SalvagePages::version(std::uint32_t page, std::uint32_t as_of) const {
  const auto found = versions_.find(page);
  if (found == versions_.end()) return 0;
  const auto after = std::upper_bound(found->second.begin(), found->second.end(), as_of);
  return after == found->second.begin() ? 0 : *std::prev(after);
}

std::uint64_t SalvagePages::missing_of(std::uint32_t wanted) const {
  if (wanted <= pages_) return 0;
  const auto in_wal = std::distance(versions_.upper_bound(pages_), versions_.upper_bound(wanted));
  return wanted - pages_ - static_cast<std::uint64_t>(in_wal);
}

bool SalvagePages::read(std::uint32_t page, std::uint32_t version, std::string& out) const {
  if (page == 0) return false;
  if (version == 0) {
    return database_.read(std::uint64_t{page - 1} * page_bytes_, page_bytes_, out);
  }
  const std::uint64_t at =
      kWalHeaderBytes + (version - 1) * (kFrameHeaderBytes + std::uint64_t{page_bytes_});
  return wal_file_.front().read(at + kFrameHeaderBytes, page_bytes_, out);
}

}  // namespace pitbox
