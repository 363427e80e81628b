// Where the shared recordings lie, and what is in them.

#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace pitbox {

inline std::filesystem::path shared_data(const std::string& file) {
  const char* shared = std::getenv("PITBOX_SHARED");
  const std::filesystem::path root =
      shared != nullptr ? shared : std::string(PITBOX_SOURCE_DIR) + "/../shared";
  return root / "data" / file;
}

inline std::string read_whole(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace pitbox

#define SKIP_WITHOUT(path) \
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no shared recordings at " << (path)
