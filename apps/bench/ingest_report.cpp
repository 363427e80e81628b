// The figures of an ingest bench as JSON and as a table (docs/bench.md).

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/bench/ingest_bench.h"

namespace pitbox {
namespace {

using nlohmann::ordered_json;

double per_sample(std::uint64_t bytes, const IngestFigures& figures) {
  return static_cast<double>(bytes) / static_cast<double>(figures.sent.samples);
}

ordered_json json_of(const IngestFigures& figures) {
  ordered_json threads;
  for (const auto& [name, taken] : figures.thread_s) threads[name] = taken / figures.processor_s;
  const Limits& limits = figures.limits;
  ordered_json json = {
      {"car", name_of(figures.kind)},
      {"samples", figures.sent.samples},
      {"seconds", figures.seconds},
      {"samples_per_second", figures.samples_per_second()},
      {"offered_per_second", figures.offered_per_second},
      {"late_ms", figures.late_ms},
      {"dropped", 0},
      {"samples_per_cpu_second", figures.samples_per_cpu_second()},
      {"threads", threads},
      {"bytes_per_sample", per_sample(figures.wire_bytes, figures)},
      {"journal_bytes_per_sample", per_sample(figures.journal_bytes, figures)},
      {"commit_ms", {{"p50", figures.commit_p50_ms}, {"p99", figures.commit_p99_ms}}},
      {"lag_s", figures.lag_s},
      {"resident_mib", figures.resident_mib},
      {"limits",
       {{"null_sink", limits.null_sink},
        {"fdatasync_ms", {{"p50", limits.fdatasync.p50_ms}, {"p99", limits.fdatasync.p99_ms}}},
        {"append_mb_per_second", limits.append_mb_per_second},
        {"websocket_mb_per_second", limits.websocket_mb_per_second},
        {"zstd",
         {{"samples_per_second", limits.zstd.samples_per_second},
          {"bytes_per_sample", limits.zstd.bytes_per_sample}}}}}};
  for (const IngestFigures& other : figures.beside) {
    json["beside"][name_of(other.kind)] = json_of(other);
  }
  return json;
}

}  // namespace

std::string to_json(const IngestFigures& figures) {
  return json_of(figures).dump(2);
}

std::string to_table(const IngestFigures& figures) {
  std::string text;
  const auto line = [&](const char* name, const char* format, auto... values) {
    std::array<char, 160> value{};
    std::snprintf(value.data(), value.size(), format, values...);
    std::array<char, 200> whole{};
    std::snprintf(whole.data(), whole.size(), "%-22s %s\n", name, value.data());
    text += whole.data();
  };
  const Limits& limits = figures.limits;
  line("cars", figures.kind == LoadCar::kSynthetic ? "synthetic: floats" : "simulated: integers");
  line("offered", "%.1f M samples/s, at most %.0f ms late", figures.offered_per_second / 1e6,
       figures.late_ms);
  line("kept", "%.1f M samples/s; 0 dropped; the room holds each row as it was sent",
       figures.samples_per_second() / 1e6);
  line("per CPU-second", "%.1f M samples (%.2f s of %.2f)", figures.samples_per_cpu_second() / 1e6,
       figures.processor_s, figures.seconds);
  for (const auto& [name, taken] : figures.thread_s) {
    if (taken < 0.01 * figures.processor_s) continue;
    line(("  " + name).c_str(), "%.0f %%", 100 * taken / figures.processor_s);
  }
  line("bytes per sample", "%.3f on the wire, %.3f in the journal; zstd alone %.3f",
       per_sample(figures.wire_bytes, figures), per_sample(figures.journal_bytes, figures),
       limits.zstd.bytes_per_sample);
  line("commits", "p50 %.1f ms, p99 %.1f ms; fdatasync p50 %.2f ms, p99 %.2f ms",
       figures.commit_p50_ms, figures.commit_p99_ms, limits.fdatasync.p50_ms,
       limits.fdatasync.p99_ms);
  line("lag at the end", "%.2f s", figures.lag_s);
  line("memory", "%.0f MiB", figures.resident_mib);
  const double datagrams = static_cast<double>(figures.sent.datagrams) / figures.seconds;
  line("of the null sink", "%.0f %% (%.0f of %.0f datagrams/s)", 100 * datagrams / limits.null_sink,
       datagrams, limits.null_sink);
  line("of the disk", "%.1f %% of %.0f MB/s",
       100 * static_cast<double>(figures.journal_bytes) / 1e6 / figures.seconds /
           limits.append_mb_per_second,
       limits.append_mb_per_second);
  line("of a WebSocket", "%.1f %% of %.0f MB/s",
       100 * static_cast<double>(figures.wire_bytes) / 1e6 / figures.seconds /
           limits.websocket_mb_per_second,
       limits.websocket_mb_per_second);
  for (const IngestFigures& other : figures.beside) text += "\n" + to_table(other);
  return text;
}

}  // namespace pitbox
