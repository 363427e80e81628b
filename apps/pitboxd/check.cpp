#include "apps/pitboxd/check.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "apps/pitboxd/options.h"
#include "buffer/ring_layout.h"
#include "ingest/decoders.h"
#include "ingest/gps_lap_engine.h"
#include "ingest/listening_socket.h"
#include "sync/endpoint.h"

namespace pitbox {
namespace {

// "PLACE: KEY: what is wrong"; kOk if nothing is.
Status said_of(const Config& config, const std::string& key, std::size_t index, Status status) {
  if (status.ok()) return status;
  return std::move(status).within(config.place_of(key, index) + ": " + key);
}

Status check_source(const Config& config, std::size_t index) {
  const SourceConfig& source = config.sources[index];
  const SourceOptions options = source_options(config, source, -1);
  const Status address = ListeningSocket::check_address(options);
  if (!address.ok()) return said_of(config, "source.listen", index, address);
  MessageRing::Options ring = options.ring;
  ring.is_stream = options.kind == SourceKind::kTcp;
  const Status geometry = geometry_of(ring).check();
  if (!geometry.ok()) {
    return said_of(config, "source.ring_mib", index,
                   Status(Code::kRejected,
                          std::to_string(source.ring_mib) + " MiB are too few for slots of " +
                              std::to_string(source.slot_bytes) +
                              " bytes (slot_bytes); want a larger ring_mib or smaller slots"));
  }
  const auto decoder =
      make_decoder(source.decoder, {.is_stream = ring.is_stream, .car = source.car});
  return decoder.ok() ? Status() : said_of(config, "source.decoder", index, decoder.status());
}

// What a socket of ours would be bound to.
struct Listener {
  SourceKind kind = SourceKind::kUdp;
  std::string address;  // As the kernel writes it.
  std::uint16_t port = 0;

  bool hears_everything() const { return address == "::"; }
  bool hears_all_ipv4() const { return address == "0.0.0.0"; }
  bool is_ipv4() const { return address.find(':') == std::string::npos; }
  // Whether one would keep the other from being bound.
  bool meets(const Listener& other) const {
    if (kind != other.kind || port != other.port || port == 0) return false;
    if (hears_everything() || other.hears_everything() || address == other.address) return true;
    return (hears_all_ipv4() && other.is_ipv4()) || (is_ipv4() && other.hears_all_ipv4());
  }
};

Listener listener_of(const SourceOptions& options) {
  const bool is_ipv6 = options.address.find(':') != std::string::npos;
  std::array<unsigned char, sizeof(in6_addr)> raw{};
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = is_ipv6 ? AF_INET6 : AF_INET;
  inet_pton(family, options.address.c_str(), raw.data());
  inet_ntop(family, raw.data(), text.data(), text.size());
  return {options.kind, text.data(), options.port};
}

Status check_sources(const Config& config) {
  std::vector<Listener> listeners;
  for (std::size_t i = 0; i < config.sources.size(); ++i) {
    if (Status checked = check_source(config, i); !checked.ok()) return checked;
    const SourceConfig& source = config.sources[i];
    const Listener mine = listener_of(source_options(config, source, -1));
    for (std::size_t other = 0; other < listeners.size(); ++other) {
      if (!mine.meets(listeners[other])) continue;
      return said_of(
          config, "source.listen", i,
          Status(Code::kRejected, source.kind + " " + source.listen + " is where source '" +
                                      config.sources[other].name + "' listens (" +
                                      config.place_of("source.listen", other) + ")"));
    }
    listeners.push_back(mine);
  }
  return {};
}

Status check_track(const TrackConfig& track, const Config& config) {
  const std::array<std::pair<const char*, const std::optional<GeoLine>&>, 3> lines = {
      {{"track.start_finish", track.start_finish},
       {"track.pit_entry", track.pit_entry},
       {"track.pit_exit", track.pit_exit}}};
  for (const auto& [key, line] : lines) {
    if (!line) continue;
    Status checked = GpsLapEngine::check_line(*line);
    if (!checked.ok()) return said_of(config, key, 0, std::move(checked));
  }
  for (std::size_t i = 0; i < track.sectors.size(); ++i) {
    Status checked =
        GpsLapEngine::check_line(track.sectors[i]).within("line " + std::to_string(i + 1));
    if (!checked.ok()) return said_of(config, "track.sectors", 0, std::move(checked));
  }
  return {};
}

Status check_url(const Config& config, const std::string& url, const char* key) {
  if (url.empty() || parse_endpoint(url).ok()) return {};
  return said_of(
      config, key, 0,
      Status(Code::kRejected, "\"" + url +
                                  "\" names no host, or no port that is one; "
                                  "want " +
                                  url.substr(0, url.find("//")) + "//HOST[:PORT][/PATH]"));
}

Status check_link(const Config& config) {
  const auto link = link_options(config);
  if (!link.ok()) return link.status();
  Status checked = check_url(config, config.room_url, "room.url");
  if (checked.ok()) checked = check_url(config, config.api_url, "api.url");
  if (!checked.ok()) return checked;
  const std::string& ca_file = config.room_ca_file;
  std::error_code error;
  const bool is_file = !std::filesystem::is_directory(ca_file, error);
  if (ca_file.empty() || (is_file && access(ca_file.c_str(), R_OK) == 0)) return {};
  return said_of(config, "room.ca_file", 0,
                 Status(Code::kRejected, ca_file + ": cannot be read; want a PEM file"));
}

}  // namespace

Status check_options(const Config& config) {
  Status checked = check_sources(config);
  if (checked.ok()) checked = check_track(config.track, config);
  return checked.ok() ? check_link(config) : checked;
}

}  // namespace pitbox
