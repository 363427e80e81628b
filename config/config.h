// Config: everything the daemon can be told, from one TOML file and the environment.
//
// The keys, with their types, defaults, what is allowed and what they are for, are one table
// (config_keys.cpp); reading, refusing, printing and docs/config.md all come from it. A file with
// an unknown key, a wrong type or a value that is not allowed is refused as a whole, naming file,
// line, key and what is allowed: a daemon never runs on half a configuration.
//
// Plain values; any thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ingest/geometry.h"
#include "proto/status.h"

namespace pitbox {

struct SourceConfig {
  std::string name;
  std::string kind = "udp";
  std::string listen = "0.0.0.0:9600";
  std::string decoder = "native";
  std::string car = "1";
  std::int64_t ring_mib = 8;
  std::int64_t slot_bytes = 2048;
  std::int64_t receive_buffer_mib = 64;
};

struct TrackConfig {
  std::string name;
  std::optional<GeoLine> start_finish;
  std::vector<GeoLine> sectors;
  std::optional<GeoLine> pit_entry;
  std::optional<GeoLine> pit_exit;
  double min_lap_s = 20;
  std::string latitude = "latitude";
  std::string longitude = "longitude";
};

struct Config {
  std::string state_dir = "/var/lib/pitbox";
  std::string runtime_dir = "/run/pitbox";
  std::string log_level = "info";
  std::vector<SourceConfig> sources;
  std::int64_t flush_ms = 100;
  std::int64_t page_kib = 16;
  std::int64_t wal_mib = 16;
  std::int64_t quota_mib = 0;
  std::int64_t keep_free_mib = 256;
  std::int64_t reserve_mib = 64;
  TrackConfig track;
  std::string room_driver = "ws";
  std::string room_url;
  std::string room_api_key;
  std::string room_api_key_file;
  std::string room_ca_file;
  std::int64_t room_budget_kbit_s = 0;
  std::string api_url;
  std::vector<std::string> live_view_channels;
  double live_view_hz = 10;

  std::string file;
  // Where each key was given: "FILE:LINE" or "environment variable NAME". By its path
  // ("source.listen") and, of a [[source]], which one.
  std::map<std::pair<std::string, std::size_t>, std::string> places;
  // Of a source's key that was not given, where the source begins; of any other, the file.
  std::string place_of(const std::string& key, std::size_t index = 0) const;
};

// Looks up an environment variable; nothing if it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();
// Those of the process's variables that begin with PITBOX_ and are none of ours: mistyped, perhaps,
// or meant for another program.
std::vector<std::string> unknown_variables();

// Reads the file, then lets the environment override it. kRejected, "FILE:LINE: key: what is wrong;
// what is allowed", for anything that is not right.
Result<Config> load_config(const std::filesystem::path& file, const Environment& environment);
// The same for a text that stands in `file`.
Result<Config> parse_config(std::string_view text, std::string_view file,
                            const Environment& environment);

// The configuration in force, as a TOML file that load_config() reads back to the same; a secret is
// shown as "***" unless `with_secrets`.
std::string print_config(const Config& config, bool with_secrets);

// The reference of all keys in Markdown: docs/config.md is exactly this text.
std::string config_reference();

}  // namespace pitbox
