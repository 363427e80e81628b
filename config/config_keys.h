// The table of configuration keys: the one place that knows a key's name, type, limits and purpose.
// Constant; any thread.

#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"

namespace pitbox {

// What a TOML value or an environment variable becomes before it is checked.
using ConfigValue = std::variant<std::string, std::int64_t, double, bool, std::vector<std::string>,
                                 GeoLine, std::vector<GeoLine>>;

enum class ConfigType { kText, kInteger, kNumber, kTexts, kLine, kLines };

struct ConfigKey {
  std::string section{};  // "" for the top level; "source" is an array of tables.
  std::string name{};
  ConfigType type = ConfigType::kText;
  std::string allowed{};  // For people: "udp, tcp" or "1..1024".
  std::string purpose{};
  bool is_secret = false;
  // REQUIRES: the value's alternative is the type's. Empty result: taken; otherwise why not.
  std::function<std::optional<std::string>(Config&, std::size_t index, const ConfigValue&)> set{};
  // The value as a TOML literal; empty if there is nothing to say (an optional that is not set).
  std::function<std::string(const Config&, std::size_t index)> get{};

  std::string path() const { return section.empty() ? name : section + "." + name; }
  // The environment variable that overrides it; empty for keys of a [[source]].
  std::string variable() const;
};

const std::vector<ConfigKey>& config_keys();
std::string_view to_string(ConfigType type);
// A text as a TOML basic string.
std::string toml_text(std::string_view text);

}  // namespace pitbox
