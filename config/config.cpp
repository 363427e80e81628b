#include "config/config.h"

#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "config/config_keys.h"
#include "proto/text.h"

namespace pitbox {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxSources = 64;
constexpr std::size_t kMaxShownBytes = 256;  // Of a key or value that is refused.
constexpr std::size_t kMaxRefusalBytes = 2048;
// Each dot of a key may be one more table in a table, and toml++ takes stack for each, some 400
// bytes (1 MiB of "a.a.a" ended the process). Numbers, addresses and comments have dots, too.
constexpr std::size_t kMaxDots = 4096;
constexpr const char* kVariablePlace = "environment variable ";  // Before its name, in a Place.

// Where in the file something stands, for messages.
struct Place {
  std::string file;
  unsigned line = 0;

  std::string text() const { return line == 0 ? file : file + ":" + std::to_string(line); }
};

Status refuse(const Place& place, const std::string& key, const std::string& what) {
  const std::string shown = key.empty() ? "" : printable(key, kMaxShownBytes) + ": ";
  return {Code::kRejected, place.text() + ": " + shown + printable(what, kMaxRefusalBytes)};
}

// toml::parse() with a bound on its stack. Throws what it throws.
toml::table parse_toml(std::string_view text) {
  if (std::count(text.begin(), text.end(), '.') > static_cast<std::ptrdiff_t>(kMaxDots)) {
    throw toml::parse_error("more than 4096 dots", toml::source_position{1, 1}, nullptr);
  }
  return toml::parse(text);
}

Place place_of(std::string_view file, const toml::node& node) {
  return {std::string(file), static_cast<unsigned>(node.source().begin.line)};
}

std::optional<double> to_number(const toml::node& node) {
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* number = node.as_integer()) return static_cast<double>(number->get());
  return std::nullopt;
}

std::optional<GeoPoint> to_point(const toml::node& node) {
  const auto* pair = node.as_array();
  if (pair == nullptr || pair->size() != 2) return std::nullopt;
  const auto latitude = to_number(*pair->get(0));
  const auto longitude = to_number(*pair->get(1));
  if (!latitude || !longitude) return std::nullopt;
  return GeoPoint{*latitude, *longitude};
}

std::optional<GeoLine> to_line(const toml::node& node) {
  const auto* pair = node.as_array();
  if (pair == nullptr || pair->size() != 2) return std::nullopt;
  const auto from = to_point(*pair->get(0));
  const auto to = to_point(*pair->get(1));
  if (!from || !to) return std::nullopt;
  return GeoLine{*from, *to};
}

template <typename T, typename Convert>
std::optional<ConfigValue> to_list(const toml::node& node, Convert convert) {
  const auto* array = node.as_array();
  if (array == nullptr) return std::nullopt;
  std::vector<T> items;
  for (const toml::node& element : *array) {
    auto item = convert(element);
    if (!item) return std::nullopt;
    items.push_back(*std::move(item));
  }
  return ConfigValue(std::move(items));
}

std::optional<std::string> to_text(const toml::node& node) {
  const auto* text = node.as_string();
  return text == nullptr ? std::nullopt : std::optional(text->get());
}

// The node as the key's type, or nothing if it is of another one.
std::optional<ConfigValue> to_value(ConfigType type, const toml::node& node) {
  switch (type) {
    case ConfigType::kText:
      if (auto text = to_text(node)) return ConfigValue(*std::move(text));
      return std::nullopt;
    case ConfigType::kInteger:
      if (const auto* number = node.as_integer()) return ConfigValue(number->get());
      return std::nullopt;
    case ConfigType::kNumber:
      if (const auto number = to_number(node)) return ConfigValue(*number);
      return std::nullopt;
    case ConfigType::kTexts:
      return to_list<std::string>(node, to_text);
    case ConfigType::kLine:
      if (const auto line = to_line(node)) return ConfigValue(*line);
      return std::nullopt;
    case ConfigType::kLines:
      return to_list<GeoLine>(node, to_line);
  }
  return std::nullopt;
}

std::string expectation(const ConfigKey& key) {
  return std::string(to_string(key.type)) + "; allowed: " + key.allowed;
}

Status apply(Config& config, const ConfigKey& key, std::size_t index, const toml::node& node,
             const Place& place) {
  const auto value = to_value(key.type, node);
  if (!value) return refuse(place, key.path(), "wrong type, want a " + expectation(key));
  if (const auto why = key.set(config, index, *value)) {
    return refuse(place, key.path(), *why + "; want a " + expectation(key));
  }
  config.places[{key.path(), index}] = place.text();
  return {};
}

// Null if there is none.
const ConfigKey* find_key(std::string_view section, std::string_view name) {
  const auto& keys = config_keys();
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& key) {
    return key.section == section && key.name == name;
  });
  return found == keys.end() ? nullptr : &*found;
}

std::string names_in(std::string_view section) {
  std::string names;
  for (const ConfigKey& key : config_keys()) {
    if (key.section == section) names += (names.empty() ? "" : ", ") + key.name;
  }
  return names;
}

Status apply_table(Config& config, const toml::table& table, const std::string& section,
                   std::size_t index, std::string_view file) {
  for (const auto& [toml_name, node] : table) {
    const std::string name(toml_name.str());
    const Place place = place_of(file, node);
    const ConfigKey* key = find_key(section, name);
    if (key == nullptr) {
      return refuse(place, std::string(section).append(".").append(name),
                    "unknown key; allowed in [" + section + "]: " + names_in(section));
    }
    if (Status applied = apply(config, *key, index, node, place); !applied.ok()) return applied;
  }
  return {};
}

bool is_section(std::string_view name) {
  return std::any_of(config_keys().begin(), config_keys().end(),
                     [&](const ConfigKey& key) { return key.section == name; });
}

Status apply_sources(Config& config, const toml::node& node, std::string_view file) {
  const auto* array = node.as_array();
  if (array == nullptr || (!array->empty() && !array->is_array_of_tables())) {
    return refuse(place_of(file, node), "source", "want [[source]] tables");
  }
  if (array->size() > kMaxSources) {
    return refuse(place_of(file, node), "source",
                  "at most " + std::to_string(kMaxSources) + " sources");
  }
  std::map<std::string, Place> names;
  for (const toml::node& element : *array) {
    config.places[{"source", config.sources.size()}] = place_of(file, element).text();
    config.sources.emplace_back();
    Status applied =
        apply_table(config, *element.as_table(), "source", config.sources.size() - 1, file);
    if (!applied.ok()) return applied;
    const SourceConfig& source = config.sources.back();
    if (source.name.empty()) {
      return refuse(place_of(file, element), "source.name", "every [[source]] needs a name");
    }
    const Place place = place_of(file, *element.as_table()->get("name"));
    const auto [first, is_new] = names.emplace(source.name, place);
    if (!is_new) {
      return refuse(place, "source.name",
                    "\"" + source.name + "\" is the name of the source at " + first->second.text() +
                        "; every source needs one of its own");
    }
  }
  return {};
}

Status apply_document(Config& config, const toml::table& document, std::string_view file) {
  for (const auto& [name, node] : document) {
    const std::string key(name.str());
    Status applied;
    if (key == "source") {
      applied = apply_sources(config, node, file);
    } else if (is_section(key) && node.is_table()) {
      applied = apply_table(config, *node.as_table(), key, 0, file);
    } else if (is_section(key)) {
      applied = refuse(place_of(file, node), key, "want a table: [" + key + "]");
    } else {
      const ConfigKey* known = find_key("", key);
      if (known == nullptr) {
        applied = refuse(place_of(file, node), key,
                         "unknown key; allowed at the top level: " + names_in("") +
                             " and the tables source, journal, track, room, api, live_view");
      } else {
        applied = apply(config, *known, 0, node, place_of(file, node));
      }
    }
    if (!applied.ok()) return applied;
  }
  return {};
}

// A variable's text as the TOML it stands for: texts need no quotes there.
Result<toml::table> variable_document(const ConfigKey& key, const std::string& text) {
  const std::string literal = key.type == ConfigType::kText ? toml_text(text) : text;
  try {
    return parse_toml("value = " + literal);
  } catch (const toml::parse_error& error) {
    return Status(Code::kRejected, std::string(error.description()));
  }
}

Status apply_variable(Config& config, const ConfigKey& key, const std::string& variable,
                      const std::string& text) {
  const Place place{kVariablePlace + variable};
  const auto document = variable_document(key, text);
  // A line break in the text could have begun another key.
  if (!document.ok() || document.value().size() != 1) {
    return refuse(place, key.path(), "want a " + expectation(key));
  }
  return apply(config, key, 0, *document.value().get("value"), place);
}

Status apply_environment(Config& config, const Environment& environment) {
  for (const ConfigKey& key : config_keys()) {
    if (key.variable().empty()) continue;
    if (key.path() == "room.driver") {
      if (const auto driver = environment("REALTIME_DRIVER")) {
        Status applied = apply_variable(config, key, "REALTIME_DRIVER", *driver);
        if (!applied.ok()) return applied;
      }
    }
    if (const auto text = environment(key.variable())) {
      Status applied = apply_variable(config, key, key.variable(), *text);
      if (!applied.ok()) return applied;
    }
  }
  return {};
}

// What no single key can say.
Status check_whole(const Config& config) {
  if (config.sources.empty()) {
    return refuse({config.file}, "source", "no [[source]]: there is nothing to hear");
  }
  if (!config.track.sectors.empty() && !config.track.start_finish) {
    return refuse({config.place_of("track.sectors")}, "track.sectors",
                  "sector lines need a start_finish line, too");
  }
  return {};
}

// One key, or one file with it. A variable wins over the file, whichever of the two it gives; an
// empty text gives neither.
Status settle_api_key(Config& config) {
  if (config.room_api_key.empty() || config.room_api_key_file.empty()) return {};
  const auto is_variable = [&](const char* key) {
    return config.place_of(key).starts_with(kVariablePlace);
  };
  const bool key_is = is_variable("room.api_key");
  if (key_is == is_variable("room.api_key_file")) {
    return refuse({config.place_of("room.api_key_file")}, "room.api_key_file",
                  "room.api_key is given, too; leave one of them out");
  }
  (key_is ? config.room_api_key_file : config.room_api_key).clear();
  return {};
}

}  // namespace

std::string Config::place_of(const std::string& key, std::size_t index) const {
  auto found = places.find({key, index});
  if (found == places.end() && key.starts_with("source.")) found = places.find({"source", index});
  return found == places.end() ? file : found->second;
}

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

std::vector<std::string> unknown_variables() {
  std::set<std::string> known = {"PITBOX_CONFIG"};
  for (const ConfigKey& key : config_keys()) known.insert(key.variable());
  std::vector<std::string> unknown;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    std::string name(text.substr(0, text.find('=')));
    if (name.starts_with("PITBOX_") && !known.contains(name)) unknown.push_back(std::move(name));
  }
  std::sort(unknown.begin(), unknown.end());
  return unknown;
}

Result<Config> parse_config(std::string_view text, std::string_view file,
                            const Environment& environment) {
  Config config;
  config.file = file;
  toml::table document;
  try {
    document = parse_toml(text);
  } catch (const toml::parse_error& error) {
    const Place place{std::string(file), static_cast<unsigned>(error.source().begin.line)};
    return refuse(place, "", "not TOML: " + std::string(error.description()));
  }
  if (Status applied = apply_document(config, document, file); !applied.ok()) return applied;
  if (Status applied = apply_environment(config, environment); !applied.ok()) return applied;
  if (Status settled = settle_api_key(config); !settled.ok()) return settled;
  Status checked = check_whole(config);
  return checked.ok() ? Result<Config>(std::move(config)) : checked;
}

Result<Config> load_config(const std::filesystem::path& file, const Environment& environment) {
  const auto unreadable = [&](const std::string& why) {
    return Status(Code::kRejected, file.string() + ": cannot be read (" + why +
                                       "); give a file with --config or set PITBOX_CONFIG (see "
                                       "docs/config.md)");
  };
  std::error_code error;
  if (std::filesystem::is_directory(file, error)) return unreadable("it is a directory");
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return unreadable(std::generic_category().message(errno));
  std::string text(kMaxFileBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (stream.bad()) return unreadable(std::generic_category().message(errno));
  if (text.size() > kMaxFileBytes) {
    return Status(Code::kRejected, file.string() + ": larger than 1 MiB, not a configuration");
  }
  return parse_config(text, file.string(), environment);
}

std::string print_config(const Config& config, bool with_secrets) {
  std::string out;
  std::string section;
  const auto print = [&](const ConfigKey& key, std::size_t index) {
    std::string literal = key.get(config, index);
    if (literal.empty()) return;
    if (key.is_secret && !with_secrets && literal != "\"\"") literal = "\"***\"";
    out += key.name + " = " + literal + "\n";
  };
  for (const ConfigKey& key : config_keys()) {
    if (key.section != section) {
      section = key.section;
      if (section != "source") out += "\n[" + section + "]\n";
    }
    if (section != "source") print(key, 0);
    if (section != "source" || key.name != "name") continue;
    for (std::size_t index = 0; index < config.sources.size(); ++index) {
      out += "\n[[source]]\n";
      for (const ConfigKey& source_key : config_keys()) {
        if (source_key.section == "source") print(source_key, index);
      }
    }
  }
  return out;
}

std::string config_reference() {
  Config defaults;
  defaults.sources.emplace_back();
  std::string out =
      "# Configuration\n\n"
      "One TOML file, given to `pitboxd --config FILE`. `pitboxd --check-config` reads it and says "
      "what\nis wrong; `pitboxd --print-config` shows what is in force. Every key has a default "
      "except a\nsource's name. An environment variable, where one is named, wins over the file; "
      "PITBOX_CONFIG names\nthe file itself. One that begins with PITBOX_ and is none of these is "
      "told of and ignored.\n";
  std::string section = "-";
  for (const ConfigKey& key : config_keys()) {
    if (key.section != section) {
      section = key.section;
      const std::string title = section.empty()       ? "Top level"
                                : section == "source" ? "`[[source]]`, once for each source"
                                                      : "`[" + section + "]`";
      out += "\n## " + title + "\n\n| key | type, allowed | default | variable | purpose |\n" +
             "|---|---|---|---|---|\n";
    }
    const std::string literal = key.get(defaults, 0);
    std::string variable = key.variable().empty() ? "" : "`" + key.variable() + "`";
    if (key.path() == "room.driver") variable += " or `REALTIME_DRIVER`";
    const std::string shown = literal.empty() ? "none" : "`" + literal + "`";
    for (const std::string& cell :
         {"`" + key.name + "`", std::string(to_string(key.type)) + "; " + key.allowed, shown,
          variable, key.purpose}) {
      out.append("| ").append(cell).append(" ");
    }
    out += "|\n";
  }
  return out;
}

}  // namespace pitbox
