#include "apps/bench/disk_bench.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>

#include "apps/bench/journal_maker.h"
#include "apps/bench/limits.h"
#include "apps/bench/stopwatch.h"

namespace pitbox {

Result<DiskFigures> measure_disk(const DiskBenchOptions& options) {
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static_cast<void>(options);
  return Status(Code::kRejected, "this is not a release build: no figure");
#else
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error) return Status(Code::kRejected, options.folder.string() + ": " + error.message());
  DiskFigures figures;
  if (options.progress) options.progress("appending and making durable");
  const auto probe = DiskProbe::measure(options.folder);
  if (!probe.ok()) return probe.status();
  figures.fdatasync = probe.value();
  const auto append = measure_append(options.folder);
  if (!append.ok()) return append.status();
  figures.append_mb_per_second = append.value();
  JournalMakerOptions making;
  making.state_directory = options.folder / "state";
  making.bytes = options.bytes;
  making.progress = options.progress;
  making.should_stop = options.should_stop;
  const Stopwatch watch;
  const auto made = make_journal(making);
  if (!made.ok()) return made.status();
  const double seconds = watch.seconds();
  figures.journal_mb_per_second = static_cast<double>(made.value().bytes) / 1e6 / seconds;
  figures.journal_samples_per_second = static_cast<double>(made.value().samples) / seconds;
  return figures;
#endif
}

std::string to_json(const DiskFigures& figures) {
  const nlohmann::ordered_json json = {
      {"fdatasync_ms", {{"p50", figures.fdatasync.p50_ms}, {"p99", figures.fdatasync.p99_ms}}},
      {"append_mb_per_second", figures.append_mb_per_second},
      {"journal",
       {{"mb_per_second", figures.journal_mb_per_second},
        {"samples_per_second", figures.journal_samples_per_second}}}};
  return json.dump(2);
}

std::string to_table(const DiskFigures& figures) {
  std::array<char, 400> text{};
  std::snprintf(text.data(), text.size(),
                "fdatasync of 4 KiB     p50 %.2f ms, p99 %.2f ms\n"
                "append, 16 MiB a sync  %.0f MB/s\n"
                "journal, one thread    %.0f MB/s: %.1f M samples/s, from datagrams to commits\n",
                figures.fdatasync.p50_ms, figures.fdatasync.p99_ms, figures.append_mb_per_second,
                figures.journal_mb_per_second, figures.journal_samples_per_second / 1e6);
  return text.data();
}

}  // namespace pitbox
