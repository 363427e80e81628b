#include "config/config_keys.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <system_error>
#include <type_traits>

#include "proto/check.h"
#include "proto/text.h"

namespace pitbox {
namespace {

using Refusal = std::optional<std::string>;

constexpr std::size_t kTextBytesMax = 1024;
constexpr std::size_t kShownBytes = 256;  // Of a value that is refused.

std::string number_text(std::int64_t value) {
  return std::to_string(value);
}

std::string number_text(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string line_text(const GeoLine& line) {
  std::string text = "[";
  for (const GeoPoint& point : line) {
    if (text.size() > 1) text += ", ";
    text += "[" + number_text(point.latitude) + ", " + number_text(point.longitude) + "]";
  }
  return text + "]";
}

// A control character in a path, an address or a key would be cut at, or said to somebody.
Refusal check_text(const std::string& text) {
  if (text.size() > kTextBytesMax) return "the text is too long";
  if (!is_plain_text(text)) return "the text has a control character";
  return std::nullopt;
}

Refusal check_line(const GeoLine& line) {
  for (const GeoPoint& point : line) {
    if (!(std::abs(point.latitude) <= 90 && std::abs(point.longitude) <= 180)) {
      return "latitude must be within -90..90 and longitude within -180..180";
    }
  }
  if (line[0] == line[1]) return "the two ends of a line must differ";
  return std::nullopt;
}

// Keys are built from an accessor: a function from (Config&, index) to the member.
template <typename Access>
ConfigKey text_key(std::string section, std::string name, const std::vector<std::string>& choices,
                   std::string purpose, Access access) {
  ConfigKey key{.section = std::move(section), .name = std::move(name)};
  for (const std::string& choice : choices) {
    key.allowed += (key.allowed.empty() ? "" : ", ") + choice;
  }
  if (choices.empty()) key.allowed = "text of at most 1024 bytes, no control characters";
  key.purpose = std::move(purpose);
  key.set = [access, choices](Config& config, std::size_t index,
                              const ConfigValue& value) -> Refusal {
    const auto& text = std::get<std::string>(value);
    if (!choices.empty() && std::find(choices.begin(), choices.end(), text) == choices.end()) {
      return printable(toml_text(text), kShownBytes) + " is not one of them";
    }
    if (auto refusal = check_text(text)) return refusal;
    access(config, index) = text;
    return std::nullopt;
  };
  key.get = [access](const Config& config, std::size_t index) {
    return toml_text(access(config, index));
  };
  return key;
}

// Both ends are allowed.
template <typename Number>
struct Bounds {
  Number least;
  Number greatest;
};

template <typename Number, typename Access>
ConfigKey bounded_key(std::string section, std::string name, Bounds<Number> bounds,
                      std::string purpose, Access access) {
  ConfigKey key{.section = std::move(section), .name = std::move(name)};
  key.type = std::is_integral_v<Number> ? ConfigType::kInteger : ConfigType::kNumber;
  key.allowed = number_text(bounds.least) + ".." + number_text(bounds.greatest);
  key.purpose = std::move(purpose);
  key.set = [=](Config& config, std::size_t index, const ConfigValue& value) -> Refusal {
    const auto number = std::get<Number>(value);
    // Not the other way round: nothing is outside for a NaN.
    if (!(number >= bounds.least && number <= bounds.greatest)) {
      return number_text(number) + " is outside";
    }
    access(config, index) = number;
    return std::nullopt;
  };
  key.get = [access](const Config& config, std::size_t index) {
    return number_text(access(config, index));
  };
  return key;
}

// The key with a rule of its own behind the common ones; `allowed` says the rule to people.
ConfigKey ruled(ConfigKey key, std::string allowed, std::function<bool(const ConfigValue&)> rule) {
  key.allowed = std::move(allowed);
  key.set = [set = std::move(key.set), rule = std::move(rule)](
                Config& config, std::size_t index, const ConfigValue& value) -> Refusal {
    if (auto refusal = set(config, index, value)) return refusal;
    if (rule(value)) return std::nullopt;
    const auto* text = std::get_if<std::string>(&value);
    return (text != nullptr ? printable(toml_text(*text), kShownBytes)
                            : number_text(std::get<std::int64_t>(value))) +
           " is not that";
  };
  return key;
}

bool is_path(const ConfigValue& value) {
  return !std::get<std::string>(value).empty();
}

// Its control socket's path fits an address of the kernel's, of 107 bytes.
bool is_runtime_path(const ConfigValue& value) {
  return is_path(value) && std::get<std::string>(value).size() <= 94;
}

bool is_car(const ConfigValue& value) {
  return is_path(value) && std::get<std::string>(value).size() <= 128;
}

bool is_source_name(const ConfigValue& value) {
  const auto& name = std::get<std::string>(value);
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
  });
}

bool is_listen_address(const ConfigValue& value) {
  const auto& address = std::get<std::string>(value);
  const auto colon = address.rfind(':');
  if (colon == std::string::npos || colon + 1 == address.size()) return false;
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::array<unsigned char, sizeof(in6_addr)> raw{};
  const bool is_host = inet_pton(AF_INET, host.c_str(), raw.data()) == 1 ||
                       inet_pton(AF_INET6, host.c_str(), raw.data()) == 1;
  if (!is_host) return false;
  const char* end = address.data() + address.size();
  std::uint16_t port = 0;
  const auto parsed = std::from_chars(address.data() + colon + 1, end, port);
  return parsed.ptr == end && parsed.ec == std::errc{};
}

bool is_power_of_two(const ConfigValue& value) {
  const auto number = std::get<std::int64_t>(value);
  return number > 0 && (number & (number - 1)) == 0;
}

bool is_multiple_of_64(const ConfigValue& value) {
  return std::get<std::int64_t>(value) % 64 == 0;
}

// Empty, or of one of the two schemes.
auto is_url(std::string_view plain, std::string_view secure) {
  return [plain, secure](const ConfigValue& value) {
    const auto& url = std::get<std::string>(value);
    return url.empty() || url.starts_with(plain) || url.starts_with(secure);
  };
}

using Integers = Bounds<std::int64_t>;
using Numbers = Bounds<double>;

template <typename Access>
ConfigKey line_key(std::string name, std::string purpose, Access access) {
  ConfigKey key{.section = "track", .name = std::move(name)};
  key.type = ConfigType::kLine;
  key.allowed = "two points: [[latitude, longitude], [latitude, longitude]] in degrees";
  key.purpose = std::move(purpose);
  key.set = [access](Config& config, std::size_t, const ConfigValue& value) -> Refusal {
    if (auto refusal = check_line(std::get<GeoLine>(value))) return refusal;
    access(config) = std::get<GeoLine>(value);
    return std::nullopt;
  };
  key.get = [access](const Config& config, std::size_t) {
    const auto& line = access(config);
    return line ? line_text(*line) : std::string();
  };
  return key;
}

ConfigKey sectors_key() {
  ConfigKey key{.section = "track", .name = "sectors"};
  key.type = ConfigType::kLines;
  key.allowed = "a list of at most 15 lines, each like start_finish";
  key.purpose = "Sector lines in the order the cars meet them, without the start/finish line.";
  key.set = [](Config& config, std::size_t, const ConfigValue& value) -> Refusal {
    const auto& lines = std::get<std::vector<GeoLine>>(value);
    if (lines.size() > 15) return "there are " + std::to_string(lines.size()) + " lines";
    for (const GeoLine& line : lines) {
      if (auto refusal = check_line(line)) return refusal;
    }
    config.track.sectors = lines;
    return std::nullopt;
  };
  key.get = [](const Config& config, std::size_t) {
    std::string text = "[";
    for (const GeoLine& line : config.track.sectors) {
      text += (text.size() > 1 ? ", " : "") + line_text(line);
    }
    return text + "]";
  };
  return key;
}

ConfigKey channels_key() {
  ConfigKey key{.section = "live_view", .name = "channels"};
  key.type = ConfigType::kTexts;
  key.allowed = "a list of at most 64 channel names";
  key.purpose =
      "Channels whose latest values viewers see without decoding batches. Empty: the first 16 of "
      "each car.";
  key.set = [](Config& config, std::size_t, const ConfigValue& value) -> Refusal {
    const auto& names = std::get<std::vector<std::string>>(value);
    if (names.size() > 64) return "there are " + std::to_string(names.size()) + " names";
    for (const std::string& name : names) {
      if (auto refusal = check_text(name)) return refusal;
    }
    config.live_view_channels = names;
    return std::nullopt;
  };
  key.get = [](const Config& config, std::size_t) {
    std::string text = "[";
    for (const std::string& name : config.live_view_channels) {
      text += (text.size() > 1 ? ", " : "") + toml_text(name);
    }
    return text + "]";
  };
  return key;
}

// Accessors need a const and a mutable form; a generic lambda is both. No parentheses: it stands as
// an argument, and a member is no expression of its own.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define PITBOX_MEMBER(expression)          \
  [](auto& config, std::size_t) -> auto& { \
    return config.expression;              \
  }
#define PITBOX_SOURCE(member)                    \
  [](auto& config, std::size_t index) -> auto& { \
    return config.sources[index].member;         \
  }
// NOLINTEND(bugprone-macro-parentheses)

void add_top_level(std::vector<ConfigKey>& keys) {
  keys.push_back(
      ruled(text_key("", "state_dir", {},
                     "Where journals live. On a disk that keeps what it was told to keep.",
                     PITBOX_MEMBER(state_dir)),
            "a path of 1 to 1024 bytes", is_path));
  keys.push_back(ruled(text_key("", "runtime_dir", {},
                                "Where rings and the control socket live. On tmpfs, so that it is "
                                "fast and empty after a boot.",
                                PITBOX_MEMBER(runtime_dir)),
                       "a path of 1 to 94 bytes", is_runtime_path));
  keys.push_back(text_key("", "log_level", {"debug", "info", "warning", "error"},
                          "What is logged to standard error.", PITBOX_MEMBER(log_level)));
}

void add_source(std::vector<ConfigKey>& keys) {
  const std::string section = "source";
  keys.push_back(
      ruled(text_key(section, "name", {}, "Unique name of the source.", PITBOX_SOURCE(name)),
            "1 to 64 letters, digits, - and _", is_source_name));
  keys.push_back(
      text_key(section, "kind", {"udp", "tcp"}, "What to listen on.", PITBOX_SOURCE(kind)));
  keys.push_back(ruled(text_key(section, "listen", {},
                                "Address and port, as 0.0.0.0:9600 or [::]:9600. A socket of the "
                                "same name that the service manager hands over is used instead.",
                                PITBOX_SOURCE(listen)),
                       "IPV4:PORT or [IPV6]:PORT, the port 0..65535", is_listen_address));
  keys.push_back(text_key(section, "decoder", {"native", "nmea", "f1"}, "What the bytes are.",
                          PITBOX_SOURCE(decoder)));
  keys.push_back(ruled(
      text_key(section, "car", {}, "Car number, for decoders whose bytes do not carry one (nmea).",
               PITBOX_SOURCE(car)),
      "1 to 128 bytes, no control characters", is_car));
  keys.push_back(ruled(bounded_key(section, "ring_mib", Integers{1, 1024},
                                   "Size of the ring in MiB: what may be waiting for the journal.",
                                   PITBOX_SOURCE(ring_mib)),
                       "a power of two, 1..1024", is_power_of_two));
  keys.push_back(ruled(
      bounded_key(section, "slot_bytes", Integers{512, 65536},
                  "Longest datagram that is taken whole. With 65536 the kernel also hands over "
                  "runs of datagrams at once (UDP GRO), where the network card or the "
                  "sender makes some: for tens of thousands a second.",
                  PITBOX_SOURCE(slot_bytes)),
      "a multiple of 64, 512..65536", is_multiple_of_64));
  keys.push_back(bounded_key(section, "receive_buffer_mib", Integers{1, 1024},
                             "Kernel receive buffer to ask for; the kernel may give less.",
                             PITBOX_SOURCE(receive_buffer_mib)));
}

void add_journal(std::vector<ConfigKey>& keys) {
  keys.push_back(bounded_key("journal", "flush_ms", Integers{1, 10'000},
                             "How long a record may wait before it is made durable: the window of "
                             "loss in a power cut, and most of the latency to the room.",
                             PITBOX_MEMBER(flush_ms)));
  keys.push_back(
      ruled(bounded_key("journal", "page_kib", Integers{4, 64},
                        "SQLite page size of new journal files in KiB.", PITBOX_MEMBER(page_kib)),
            "4, 8, 16, 32, 64", is_power_of_two));
  keys.push_back(bounded_key("journal", "wal_mib", Integers{1, 256},
                             "Write-ahead log size beyond which it is moved into the database.",
                             PITBOX_MEMBER(wal_mib)));
  keys.push_back(bounded_key("journal", "quota_mib", Integers{0, 1 << 30},
                             "Most the journals may take in MiB; beyond it the oldest batches are "
                             "given up, those that the room has first. 0: all but keep_free_mib.",
                             PITBOX_MEMBER(quota_mib)));
  keys.push_back(bounded_key("journal", "keep_free_mib", Integers{0, 1 << 20},
                             "Below so many MiB free, batches that the room has are deleted; "
                             "others only where nothing could be written any more. At most an "
                             "eighth of the file system.",
                             PITBOX_MEMBER(keep_free_mib)));
  keys.push_back(bounded_key("journal", "reserve_mib", Integers{0, 1 << 20},
                             "Size in MiB of a file that is given up when the disk is full all the "
                             "same, for laps and events; at most an eighth of the file system.",
                             PITBOX_MEMBER(reserve_mib)));
}

void add_track(std::vector<ConfigKey>& keys) {
  keys.push_back(text_key("track", "name", {}, "For people.", PITBOX_MEMBER(track.name)));
  keys.push_back(line_key(
      "start_finish",
      "The line that laps are counted at, of cars that do not count their laps "
      "themselves; without it these have none.",
      [](auto& config) -> auto& { return config.track.start_finish; }));
  keys.push_back(sectors_key());
  keys.push_back(line_key(
      "pit_entry", "A lap that crosses it is a pit lap.",
      [](auto& config) -> auto& { return config.track.pit_entry; }));
  keys.push_back(line_key(
      "pit_exit", "Where the pit lane ends.",
      [](auto& config) -> auto& { return config.track.pit_exit; }));
  keys.push_back(bounded_key("track", "min_lap_s", Numbers{1, 3600},
                             "A crossing sooner than this after the last one is ignored.",
                             PITBOX_MEMBER(track.min_lap_s)));
  keys.push_back(text_key("track", "latitude", {}, "Channel with the latitude in degrees.",
                          PITBOX_MEMBER(track.latitude)));
  keys.push_back(text_key("track", "longitude", {}, "Channel with the longitude in degrees.",
                          PITBOX_MEMBER(track.longitude)));
}

void add_link(std::vector<ConfigKey>& keys) {
  keys.push_back(text_key("room", "driver", {"ws", "cf-do"},
                          "What kind of room the url leads to. Also set by REALTIME_DRIVER.",
                          PITBOX_MEMBER(room_driver)));
  keys.push_back(ruled(text_key("room", "url", {}, "Address of the rooms. Empty: record only.",
                                PITBOX_MEMBER(room_url)),
                       "ws://... or wss://..., or nothing", is_url("ws://", "wss://")));
  keys.push_back(text_key("room", "api_key", {}, "API key (rk_...) for room and API.",
                          PITBOX_MEMBER(room_api_key)));
  keys.back().is_secret = true;
  keys.push_back(text_key("room", "api_key_file", {},
                          "File that holds the API key, instead of api_key: not both.",
                          PITBOX_MEMBER(room_api_key_file)));
  keys.push_back(text_key("room", "ca_file", {},
                          "PEM file of the certificate authority, where it is a private one.",
                          PITBOX_MEMBER(room_ca_file)));
  keys.push_back(bounded_key("room", "budget_kbit_s", Integers{0, 10'000'000},
                             "Most the link may send, in kbit/s; 0: no limit.",
                             PITBOX_MEMBER(room_budget_kbit_s)));
  keys.push_back(ruled(text_key("api", "url", {},
                                "Address of the platform's API, for its health. Empty: not polled.",
                                PITBOX_MEMBER(api_url)),
                       "http://... or https://..., or nothing", is_url("http://", "https://")));
  keys.push_back(channels_key());
  keys.push_back(bounded_key("live_view", "hz", Numbers{0, 10},
                             "How often changed values are sent to viewers; 0: never.",
                             PITBOX_MEMBER(live_view_hz)));
}

#undef PITBOX_MEMBER
#undef PITBOX_SOURCE

}  // namespace

std::string ConfigKey::variable() const {
  if (section == "source") return {};
  std::string name_upper = "PITBOX_" + (section.empty() ? "" : section + "_") + name;
  for (char& c : name_upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return name_upper;
}

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey> kKeys = [] {
    std::vector<ConfigKey> keys;
    add_top_level(keys);
    add_source(keys);
    add_journal(keys);
    add_track(keys);
    add_link(keys);
    return keys;
  }();
  return kKeys;
}

std::string_view to_string(ConfigType type) {
  switch (type) {
    case ConfigType::kText:
      return "text";
    case ConfigType::kInteger:
      return "whole number";
    case ConfigType::kNumber:
      return "number";
    case ConfigType::kTexts:
      return "list of texts";
    case ConfigType::kLine:
      return "line";
    case ConfigType::kLines:
      return "list of lines";
  }
  CHECK(false);
}

std::string toml_text(std::string_view text) {
  constexpr char kHexDigits[] = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\u00";
      out += kHexDigits[byte >> 4];
      out += kHexDigits[byte & 0x0F];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace pitbox
