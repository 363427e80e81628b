#include "apps/pitboxd/check.h"

#include <unistd.h>

#include <map>
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

Status check_source(const Config& config, const SourceConfig& source) {
  const SourceOptions options = source_options(config, source, -1);
  Status address = ListeningSocket::check_address(options);
  if (!address.ok()) return std::move(address).within("listen");
  MessageRing::Options ring = options.ring;
  ring.is_stream = options.kind == SourceKind::kTcp;
  Status geometry = geometry_of(ring).check();
  if (!geometry.ok()) return std::move(geometry).within("ring_mib (ring_bytes), slot_bytes");
  const auto decoder =
      make_decoder(source.decoder, {.is_stream = ring.is_stream, .car = source.car});
  if (!decoder.ok()) return Status(decoder.status()).within("decoder, car");
  return {};
}

Status check_sources(const Config& config) {
  std::map<std::pair<std::string, std::string>, std::string> listeners;
  for (const SourceConfig& source : config.sources) {
    Status checked = check_source(config, source);
    const auto [other, is_free] = listeners.try_emplace({source.kind, source.listen}, source.name);
    if (checked.ok() && !is_free) {
      checked = Status(Code::kRejected, source.kind + " " + source.listen + " is where source '" +
                                            other->second + "' listens")
                    .within("listen");
    }
    if (!checked.ok()) return std::move(checked).within("source '" + source.name + "'");
  }
  return {};
}

Status check_url(const std::string& url, const char* key) {
  if (url.empty()) return {};
  const auto endpoint = parse_endpoint(url);
  return endpoint.ok() ? Status() : Status(endpoint.status()).within(key);
}

Status check_link(const Config& config) {
  const auto link = link_options(config);
  if (!link.ok()) return link.status();
  Status checked = check_url(config.room_url, "room.url");
  if (checked.ok()) checked = check_url(config.api_url, "api.url");
  if (!checked.ok()) return checked;
  const std::string& ca_file = config.room_ca_file;
  if (ca_file.empty() || access(ca_file.c_str(), R_OK) == 0) return {};
  return {Code::kRejected, "room.ca_file: " + ca_file + ": cannot be read"};
}

}  // namespace

Status check_options(const Config& config) {
  Status checked = check_sources(config);
  if (!checked.ok()) return checked;
  if (const auto laps = lap_options(config)) {
    const auto engine = GpsLapEngine::make(*laps);
    if (!engine.ok()) return Status(engine.status()).within("track");
  }
  return check_link(config);
}

}  // namespace pitbox
