#include "apps/pitboxd/check.h"

#include <unistd.h>

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

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
  if (!geometry.ok()) return said_of(config, "source.ring_mib", index, geometry);
  const auto decoder =
      make_decoder(source.decoder, {.is_stream = ring.is_stream, .car = source.car});
  return decoder.ok() ? Status() : said_of(config, "source.decoder", index, decoder.status());
}

Status check_sources(const Config& config) {
  std::map<std::pair<std::string, std::string>, std::string> listeners;
  for (std::size_t i = 0; i < config.sources.size(); ++i) {
    if (Status checked = check_source(config, i); !checked.ok()) return checked;
    const SourceConfig& source = config.sources[i];
    if (source.listen.ends_with(":0")) continue;  // Whichever port is free.
    const auto [other, is_free] = listeners.try_emplace({source.kind, source.listen}, source.name);
    if (is_free) continue;
    return said_of(config, "source.listen", i,
                   Status(Code::kRejected, source.kind + " " + source.listen +
                                               " is where source '" + other->second + "' listens"));
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
  if (url.empty()) return {};
  const auto endpoint = parse_endpoint(url);
  return endpoint.ok() ? Status() : said_of(config, key, 0, endpoint.status());
}

Status check_link(const Config& config) {
  const auto link = link_options(config);
  if (!link.ok()) return link.status();
  Status checked = check_url(config, config.room_url, "room.url");
  if (checked.ok()) checked = check_url(config, config.api_url, "api.url");
  if (!checked.ok()) return checked;
  const std::string& ca_file = config.room_ca_file;
  if (ca_file.empty() || access(ca_file.c_str(), R_OK) == 0) return {};
  return said_of(config, "room.ca_file", 0, Status(Code::kRejected, ca_file + ": cannot be read"));
}

}  // namespace

Status check_options(const Config& config) {
  Status checked = check_sources(config);
  if (checked.ok()) checked = check_track(config.track, config);
  return checked.ok() ? check_link(config) : checked;
}

}  // namespace pitbox
