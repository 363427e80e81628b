#include "apps/pitboxd/options.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>

namespace pitbox {
namespace {

constexpr std::size_t kRunSlotBytes = 65'535;
constexpr std::size_t kRunSlots = 16;  // 1 MiB.

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kKeyBytesMax = 512;

// "[::]:9600" or "0.0.0.0:9600"; the configuration was checked to have a port.
void split_endpoint(const std::string& listen, SourceOptions& options) {
  const auto colon = listen.rfind(':');
  options.address = listen.substr(0, colon);
  if (options.address.starts_with('[') && options.address.ends_with(']')) {
    options.address = options.address.substr(1, options.address.size() - 2);
  }
  std::from_chars(listen.data() + colon + 1, listen.data() + listen.size(), options.port);
}

// What may stand in an HTTP header and nothing else.
bool is_key(const std::string& text) {
  return !text.empty() && text.size() <= kKeyBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// The first line of the file.
Result<std::string> read_key(const std::string& path) {
  std::ifstream file(path);
  std::string key(kKeyBytesMax + 2, '\0');  // One more than a key, and a '\r'.
  file.read(key.data(), static_cast<std::streamsize>(key.size()));
  key.resize(static_cast<std::size_t>(file.gcount()));
  key.resize(std::min(key.find('\n'), key.size()));
  while (!key.empty() && (key.back() == '\r' || key.back() == ' ')) key.pop_back();
  if (is_key(key)) return key;
  if (file.bad() || !file.is_open()) return Status(Code::kRejected, path + ": cannot be read");
  return Status(Code::kRejected,
                path + ": its first line is no key; a key is 1 to 512 letters, digits and signs");
}

}  // namespace

SourceOptions source_options(const Config& config, const SourceConfig& source, int inherited) {
  SourceOptions options;
  options.name = source.name;
  options.kind = source.kind == "tcp" ? SourceKind::kTcp : SourceKind::kUdp;
  split_endpoint(source.listen, options);
  options.inherited_socket = inherited;
  options.receive_buffer_bytes = static_cast<std::size_t>(source.receive_buffer_mib) * kMiB;
  options.ring.file = std::filesystem::path(config.runtime_dir) / "rings" / (source.name + ".ring");
  options.ring.ring_bytes = static_cast<std::size_t>(source.ring_mib) * kMiB;
  options.ring.slot_bytes = static_cast<std::size_t>(source.slot_bytes);
  // Of 64 KiB: each may hold a run of datagrams.
  if (options.ring.slot_bytes >= kRunSlotBytes) options.ring.slot_count = kRunSlots;
  return options;
}

Journal::Options journal_options(const Config& config) {
  Journal::Options options;
  options.page_bytes = static_cast<std::uint32_t>(config.page_kib * 1024);
  options.wal_bytes_target = static_cast<std::size_t>(config.wal_mib) * kMiB;
  return options;
}

Recorder::Options recorder_options(const Config& config) {
  Recorder::Options options;
  options.flush_interval = std::chrono::milliseconds(config.flush_ms);
  options.wal_bytes_target = static_cast<std::size_t>(config.wal_mib) * kMiB;
  options.intake.live_channels = config.live_view_channels;
  options.space.is_on = true;
  options.space.quota_bytes = static_cast<std::uint64_t>(config.quota_mib) * kMiB;
  options.space.keep_free_bytes = static_cast<std::uint64_t>(config.keep_free_mib) * kMiB;
  options.space.reserve_bytes = static_cast<std::uint64_t>(config.reserve_mib) * kMiB;
  return options;
}

std::optional<GpsLapEngine::Options> lap_options(const Config& config) {
  const TrackConfig& track = config.track;
  if (!track.start_finish) return std::nullopt;
  GpsLapEngine::Options options;
  options.start_finish = *track.start_finish;
  options.sectors = track.sectors;
  options.pit_entry = track.pit_entry;
  options.pit_exit = track.pit_exit;
  options.min_lap = std::chrono::milliseconds(static_cast<std::int64_t>(track.min_lap_s * 1000));
  options.latitude = track.latitude;
  options.longitude = track.longitude;
  return options;
}

Result<Link::Options> link_options(const Config& config) {
  Link::Options options;
  options.driver = config.room_driver;
  options.room_url = config.room_url;
  options.api_url = config.api_url;
  options.api_key = config.room_api_key;
  if (options.api_key.empty() && !config.room_api_key_file.empty()) {
    auto key = read_key(config.room_api_key_file);
    if (!key.ok()) {
      return Status(key.status())
          .within(config.place_of("room.api_key_file") + ": room.api_key_file");
    }
    options.api_key = std::move(key).take();
  }
  if (!options.api_key.empty() && !is_key(options.api_key)) {
    return Status(Code::kRejected,
                  config.place_of("room.api_key") +
                      ": room.api_key: a key is 1 to 512 letters, digits and signs");
  }
  options.ca_file = config.room_ca_file;
  options.software = "pitbox " PITBOX_VERSION;
  options.bytes_per_second_max = static_cast<std::uint64_t>(config.room_budget_kbit_s) * 1000 / 8;
  if (config.live_view_hz > 0) {
    // Less often than once an hour is once an hour: a smaller rate would not fit the type.
    const double period_s = std::min(1 / config.live_view_hz, 3600.0);
    options.live_view.period = std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * period_s));
  }
  return options;
}

}  // namespace pitbox
