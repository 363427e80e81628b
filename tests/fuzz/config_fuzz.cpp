// Attacks parse_config(): whatever stands in the file and in the environment, a configuration that
// is taken prints as plain text, reads back from that text alone, prints the same again, and shows
// no secret unless asked; one that is refused is refused in one bounded line of plain text that
// names the file, and a line that the file has, or the environment variable.
//
// Input: the file, then perhaps a NUL and variables, NAME=VALUE, with NULs between them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"
#include "proto/check.h"
#include "proto/text.h"

namespace {

using namespace pitbox;  // NOLINT(google-build-using-namespace): a fuzz target is one page.

constexpr std::string_view kFile = "fuzz.toml";
constexpr std::size_t kMostRefusalBytes = 4096;

std::optional<std::string> no_environment(const std::string&) {
  return std::nullopt;
}

std::map<std::string, std::string> variables_of(std::string_view text) {
  std::map<std::string, std::string> variables;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find('\0'));
    const std::size_t equals = std::min(one.find('='), one.size());
    variables[std::string(one.substr(0, equals))] = one.substr(std::min(equals + 1, one.size()));
    text.remove_prefix(std::min(one.size() + 1, text.size()));
  }
  return variables;
}

// "FILE:LINE: ..." with a line of the file; or "FILE: ..." about all of it; or a variable.
void check_refusal(const Status& status, std::string_view text) {
  const std::string_view message = status.message();
  CHECK(status.code() == Code::kRejected);
  CHECK(message.size() <= kMostRefusalBytes && is_plain_text(message));
  if (message.starts_with("environment variable ")) return;
  CHECK(message.starts_with(kFile));
  std::string_view rest = message.substr(kFile.size());
  if (rest.starts_with(": ")) return;
  CHECK(rest.starts_with(":"));
  rest.remove_prefix(1);
  std::int64_t line = 0;
  std::size_t digits = 0;
  for (; digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9'; ++digits) {
    line = line * 10 + (rest[digits] - '0');
  }
  CHECK(digits > 0 && rest.substr(digits).starts_with(": "));
  CHECK(line >= 1 && line <= 2 + std::count(text.begin(), text.end(), '\n'));
}

void check_taken(const Config& config) {
  const std::string printed = print_config(config, true);
  std::string on_one_line = printed;
  std::replace(on_one_line.begin(), on_one_line.end(), '\n', ' ');
  CHECK(is_plain_text(on_one_line));
  const auto again = parse_config(printed, kFile, no_environment);
  CHECK(again.ok());
  CHECK(print_config(again.value(), true) == printed);
  const std::string shown = print_config(config, false);
  CHECK(shown.find(config.room_api_key.empty() ? "\napi_key = \"\"\n" : "\napi_key = \"***\"\n") !=
        std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view text = input.substr(0, input.find('\0'));
  const auto variables = variables_of(input.substr(std::min(text.size() + 1, input.size())));
  const auto environment = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  const auto config = parse_config(text, kFile, environment);
  if (config.ok()) {
    check_taken(config.value());
  } else {
    check_refusal(config.status(), text);
  }
  return 0;
}
