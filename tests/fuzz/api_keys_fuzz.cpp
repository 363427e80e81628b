// Attacks the room's keys file: one that is taken lets in exactly the keys that stand in it, under
// names that are plain text; one that is refused names a line that it has and shows no key.
//
// Input: the file.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "proto/check.h"
#include "proto/text.h"
#include "room/api_keys.h"
#include "tests/temporary_directory.h"

namespace {

using namespace pitbox;  // NOLINT(google-build-using-namespace): a fuzz target is one page.

struct KeyLine {
  int number = 0;
  std::string word;
};

std::vector<KeyLine> lines_of(const std::string& text) {
  std::vector<KeyLine> lines;
  std::istringstream in(text);
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    KeyLine one{++number, {}};
    std::istringstream words(line.substr(0, line.find('#')));
    if (words >> one.word) lines.push_back(std::move(one));
  }
  return lines;
}

void check_refusal(const Status& status, const std::vector<KeyLine>& lines) {
  const std::string& message = status.message();
  CHECK(status.code() == Code::kRejected);
  const bool is_named = std::any_of(lines.begin(), lines.end(), [&](const KeyLine& line) {
    return message.ends_with(": line " + std::to_string(line.number) + " is no key");
  });
  CHECK(is_named || message.ends_with("has more than 10,000 keys") ||
        message.ends_with("is longer than 1 MiB"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const testing::TemporaryDirectory kFolder;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto file = kFolder.path() / "keys";
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
  std::filesystem::permissions(
      file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const std::vector<KeyLine> lines = lines_of(text);
  auto keys = ApiKeys::open(file);
  if (!keys.ok()) {
    check_refusal(keys.status(), lines);
    return 0;
  }
  CHECK(!keys.value().find("").has_value() && !keys.value().is_open_to_all());
  for (const KeyLine& line : lines) {
    // A hash in the file is not itself a key.
    const bool is_hash = line.word.starts_with("sha256:");
    const auto account = keys.value().find(line.word);
    CHECK(account.has_value() != is_hash);
    CHECK(!account || (is_plain_text(account->name) && account->name.size() <= 128));
    CHECK(!account || keys.value().is_valid(*account));
    std::string other = line.word;
    other.back() = other.back() == 'x' ? 'y' : 'x';
    const bool is_listed = std::any_of(lines.begin(), lines.end(),
                                       [&](const KeyLine& known) { return known.word == other; });
    CHECK(is_hash || is_listed || !keys.value().find(other).has_value());
  }
  return 0;
}
