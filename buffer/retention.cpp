#include "buffer/retention.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <system_error>

#include "buffer/file_sync.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

// As in `struct stat`.
constexpr std::uint64_t kBlockBytes = 512;

// Which batches of a file belong to marked laps.
class Marked {
 public:
  static Result<Marked> read(JournalReader& reader) {
    Marked marked;
    auto marks = reader.moments("mark");
    if (!marks.ok()) return marks.status();
    marked.marks_ = std::move(marks).take();
    if (marked.marks_.empty()) return marked;
    const auto laps = reader.moments("lap");
    if (!laps.ok()) return laps.status();
    for (const StoredMoment& lap : laps.value()) marked.laps_[lap.car].push_back(lap);
    return marked;
  }

  bool holds(const BatchOutline& batch) const {
    return std::any_of(marks_.begin(), marks_.end(), [&](const StoredMoment& mark) {
      return (mark.car.empty() || mark.car == batch.car) && protects(mark, batch);
    });
  }

 private:
  bool protects(const StoredMoment& mark, const BatchOutline& batch) const {
    const BootNs away =
        std::max({mark.time_ns - batch.last_ns, batch.first_ns - mark.time_ns, BootNs{0}});
    const auto laps = laps_.find(batch.car);
    if (laps == laps_.end()) return away <= to_ns(Retention::kMarkAlone);
    const std::vector<StoredMoment>& ends = laps->second;
    const auto end = std::lower_bound(
        ends.begin(), ends.end(), mark.sequence,
        [](const StoredMoment& lap, std::uint64_t sequence) { return lap.sequence < sequence; });
    if (end != ends.begin() && batch.last < (end - 1)->sequence) return false;
    // A commit's events come before its batches: the lap's last rows follow its event.
    const bool is_after = end != ends.end() && batch.first > end->sequence;
    if (is_after && batch.first_ns > end->time_ns) return false;
    return away <= to_ns(Retention::kMarkLap);
  }

  std::vector<StoredMoment> marks_;
  std::map<std::string, std::vector<StoredMoment>> laps_;  // By car; rising.
};

// The laps of the run's cars that end in it, and the first that ends after it.
std::vector<StoredLap> laps_of(const std::vector<BatchOutline>& batches, const Range& run,
                               const std::vector<StoredLap>& laps) {
  std::vector<StoredLap> result;
  std::vector<std::string> cars;
  for (const BatchOutline& batch : batches) {
    const bool is_in = batch.first >= run.first && batch.last <= run.last;
    if (is_in && std::find(cars.begin(), cars.end(), batch.car) == cars.end()) {
      cars.push_back(batch.car);
    }
  }
  for (const std::string& car : cars) {
    for (const StoredLap& lap : laps) {
      if (lap.car != car || lap.sequence < run.first) continue;
      result.push_back(lap);
      if (lap.sequence > run.last) break;
    }
  }
  return result;
}

// What a batch takes of the file, and of the WAL when it is deleted: where two do not fit on a
// page, each has its own.
std::uint64_t footprint(const BatchOutline& batch) {
  constexpr std::uint64_t kPageBytes = 16 * 1024;
  if (batch.stored <= kPageBytes / 2) return batch.stored;
  return (batch.stored + kPageBytes - 1) / kPageBytes * kPageBytes;
}

void add_to_runs(const BatchOutline& batch, std::vector<BatchRun>& runs) {
  if (runs.empty() || runs.back().range.last + 1 != batch.first) {
    runs.push_back({.range = {batch.first, batch.first}, .records = 0, .bytes = 0, .laps = {}});
  }
  BatchRun& run = runs.back();
  run.range.last = batch.last;
  run.records += batch.rows;
  run.bytes += batch.bytes;
}

std::uint64_t count_of(const std::vector<Range>& ranges) {
  std::uint64_t sum = 0;
  for (const Range& range : ranges) sum += range.last - range.first + 1;
  return sum;
}

// Sequences that a rung may take of a file.
std::vector<Range> candidates(const RetainedFile& file, bool is_settled) {
  RangeSet settled = file.acknowledged;
  settled.add_all(file.evicted);
  if (!is_settled) {
    settled.add_all(file.removed);
    return settled.missing(Range{1, file.last});
  }
  settled.remove_all(file.removed);
  return settled.ranges();
}

}  // namespace

std::uint64_t small_part(const DiskSpace& disk, std::uint64_t bytes, std::uint64_t part) {
  return disk.total == 0 ? bytes : std::min(bytes, disk.total / part);
}

Result<DiskSpace> disk_space(const fs::path& directory) {
  struct statvfs found {};
  if (::statvfs(directory.c_str(), &found) != 0) return system_error("statvfs");
  return DiskSpace{.total = std::uint64_t{found.f_blocks} * found.f_frsize,
                   .free = std::uint64_t{found.f_bavail} * found.f_frsize};
}

std::uint64_t bytes_on_disk(const fs::path& directory) {
  std::uint64_t sum = 0;
  std::error_code error;
  fs::recursive_directory_iterator it(directory, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    struct stat found {};
    if (::lstat(it->path().c_str(), &found) != 0 || !S_ISREG(found.st_mode)) continue;
    sum += static_cast<std::uint64_t>(found.st_blocks) * kBlockBytes;
  }
  return sum;
}

std::uint64_t Giving::bytes() const {
  return std::accumulate(runs.begin(), runs.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const BatchRun& run) { return sum + run.bytes; });
}

Retention::Retention() = default;
Retention::~Retention() = default;

std::vector<Range> Retention::lost(const RetainedFile& file) {
  RangeSet lost = file.removed;
  lost.remove_all(file.acknowledged);
  lost.remove_all(file.evicted);
  return lost.ranges();
}

Giving Retention::choose(const std::vector<RetainedFile>& files, std::uint64_t wanted,
                         bool may_bury) {
  Giving giving;
  for (const Rung rung : {Rung::kDelete, Rung::kBury, Rung::kDeleteMarked, Rung::kBuryMarked}) {
    const bool buries = rung == Rung::kBury || rung == Rung::kBuryMarked;
    if (buries && !may_bury) continue;
    for (const RetainedFile& file : files) {
      if (!take(file, rung, wanted, giving)) continue;
      reader_.reset();  // An open reader would keep the file from becoming plain.
      return giving;
    }
  }
  reader_.reset();
  return {};
}

bool Retention::take(const RetainedFile& file, Rung rung, std::uint64_t wanted, Giving& out) {
  const bool deletes = rung == Rung::kDelete || rung == Rung::kDeleteMarked;
  const bool spares_marked = rung == Rung::kDelete || rung == Rung::kBury;
  const std::vector<Range> ranges = candidates(file, deletes);
  const std::uint64_t count = count_of(ranges);
  const auto key = std::pair(file.incarnation, rung);
  const auto dry = dry_.find(key);
  if (count == 0 || (dry != dry_.end() && dry->second == count)) return false;
  JournalReader* const journal = reader(file);
  if (journal == nullptr) return false;
  const auto newest = journal->newest_batch();
  const auto marked = Marked::read(*journal);
  if (!newest.ok() || !marked.ok()) return false;

  std::vector<BatchOutline> chosen;
  std::uint64_t bytes = 0;
  out = {.how = deletes ? Giving::How::kDelete : Giving::How::kBury, .file = file, .runs = {}};
  const auto is_enough = [&] {
    return bytes >= wanted || chosen.size() >= kRowsPerChoice || out.runs.size() >= kRunsPerChoice;
  };
  for (Range range : ranges) {
    while (range.first <= range.last && !is_enough()) {
      const auto found = journal->outlines(range);
      if (!found.ok() || found.value().empty()) break;
      for (const BatchOutline& batch : found.value()) {
        range.first = batch.last + 1;
        // A block is given up as a whole; the newest batch carries the running totals on.
        if (batch.last > range.last || batch.first == newest.value() || is_enough()) continue;
        if (spares_marked && marked.value().holds(batch)) continue;
        add_to_runs(batch, out.runs);
        bytes += footprint(batch);
        chosen.push_back(batch);
      }
    }
    if (is_enough()) break;
  }
  if (out.runs.empty()) {
    dry_[key] = count;
    return false;
  }
  const auto laps = journal->laps();
  for (BatchRun& run : out.runs) {
    if (!deletes && laps.ok()) run.laps = laps_of(chosen, run.range, laps.value());
  }
  return true;
}

JournalReader* Retention::reader(const RetainedFile& file) {
  if (reader_ != nullptr && reader_->file() == file.file) return reader_.get();
  auto opened = JournalReader::open(file.file);
  if (!opened.ok()) return nullptr;
  reader_ = std::move(opened).take();
  return reader_.get();
}

}  // namespace pitbox
