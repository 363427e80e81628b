// The house rules that a machine can hold: includes point one way, names are defined once, lines
// fit the screen, and each third-party C library is included by one file per module.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

// A module may include its own headers and those of the modules named here.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"proto", {}},
    {"buffer", {"proto"}},
    {"ingest", {"buffer", "proto"}},
    {"sync", {"buffer", "proto"}},
    {"export", {"buffer", "proto"}},
    {"config", {"export", "sync", "ingest", "buffer", "proto"}},
    {"room", {"proto"}},
};

// Headers of C libraries, by the name they are included with.
const std::vector<std::string> kDoors = {"sqlite3.h", "libwebsockets.h", "curl/curl.h",
                                         "zstd.h",    "xxhash.h",        "openssl/"};

fs::path source_directory() {
  return PITBOX_SOURCE_DIR;
}

bool is_source(const fs::path& path) {
  return path.extension() == ".h" || path.extension() == ".cpp";
}

using LineVisitor = std::function<void(const fs::path&, int number, const std::string& line)>;

int each_line(const std::string& folder, const LineVisitor& visit) {
  int lines = 0;
  for (const auto& entry : fs::recursive_directory_iterator(source_directory() / folder)) {
    if (!is_source(entry.path())) continue;
    std::ifstream file(entry.path());
    int number = 0;
    for (std::string line; std::getline(file, line);) {
      visit(entry.path(), ++number, line);
      ++lines;
    }
  }
  return lines;
}

TEST(Tidy, IncludesPointOneWay) {
  for (const auto& [module, below] : kMayInclude) {
    auto allowed = below;
    allowed.insert(module);
    const int lines = each_line(module, [&](const fs::path& file, int number, const auto& line) {
      if (!line.starts_with("#include \"")) return;
      const std::string target = line.substr(10, line.find('/') - 10);
      EXPECT_TRUE(allowed.contains(target)) << file << ":" << number << ": " << line;
    });
    EXPECT_GT(lines, 0) << module << " has no sources: is the test looking in the right place?";
  }
}

// The name that a line at the left margin of an anonymous namespace declares; empty if none. An
// alias of a namespace is none: it may be repeated.
std::string declared_name(const std::string& line) {
  static const std::regex kType(R"(^(?:struct|class|union|enum(?: class)?|using) (\w+)(?: final)?)"
                                R"((?: [:=]|\s*\{|;).*)");
  static const std::regex kValue(
      R"(^(?!TEST|EXPECT|INSTANTIATE|static_assert|using|namespace|template|return))"
      R"([A-Za-z][\w:<>,&* ]*?[ &*](\w+)(?:\(| =|;|\[|\{).*)");
  std::smatch match;
  if (std::regex_match(line, match, kType) || std::regex_match(line, match, kValue)) {
    return match[1];
  }
  return {};
}

std::map<std::string, std::set<std::string>> local_names(const fs::path& folder) {
  std::map<std::string, std::set<std::string>> files_by_name;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".cpp") continue;
    std::ifstream file(entry.path());
    bool is_local = false;
    for (std::string line; std::getline(file, line);) {
      if (line == "namespace {") is_local = true;
      if (line == "}  // namespace") is_local = false;
      const std::string name = is_local ? declared_name(line) : std::string();
      if (!name.empty()) files_by_name[name].insert(entry.path().filename().string());
    }
  }
  return files_by_name;
}

// Files of a folder are compiled as one in most presets (PITBOX_BUNDLE). A name that two of them
// have for themselves is an error there at best, and at worst another overload.
TEST(Tidy, LocalNamesAreUniqueInAFolder) {
  std::size_t names = 0;
  for (const char* parent : {".", "apps", "tests"}) {
    for (const auto& folder : fs::directory_iterator(source_directory() / parent)) {
      const std::string own_name = folder.path().filename().string();
      // Build trees are not ours; a fuzz target or a benchmark is a program of one file.
      if (!folder.is_directory() || own_name == "build" || own_name == "fuzz" ||
          own_name == "bench") {
        continue;
      }
      for (const auto& [name, files] : local_names(folder.path())) {
        ++names;
        std::string list;
        for (const std::string& file : files) list += " " + file;
        EXPECT_EQ(files.size(), 1U) << folder.path() << ": " << name << " is in" << list;
      }
    }
  }
  EXPECT_GT(names, 500U) << "is the test looking in the right place?";
}

// Two types of one name in the namespace of all are two definitions as soon as one program has both
// modules, and no linker says so.
TEST(Tidy, PublicTypesHaveOneDefinition) {
  static const std::regex kDefinition(
      R"(^(?:class|struct|enum class) (\w+)(?: final)?(?: : .*)? \{$)");
  std::map<std::string, std::set<std::string>> files_by_name;
  for (const auto& [module, below] : kMayInclude) {
    each_line(module, [&](const fs::path& file, int, const std::string& line) {
      std::smatch match;
      if (file.extension() != ".h" || !std::regex_match(line, match, kDefinition)) return;
      files_by_name[match[1]].insert(file.string());
    });
  }
  EXPECT_GT(files_by_name.size(), 100U) << "is the test looking in the right place?";
  for (const auto& [name, files] : files_by_name) {
    std::string list;
    for (const std::string& file : files) list += "\n  " + file;
    EXPECT_EQ(files.size(), 1U) << name << " is defined in:" << list;
  }
}

TEST(Tidy, LinesFitTheScreen) {
  for (const char* folder : {"proto", "buffer", "ingest", "sync", "export", "config", "room",
                             "apps", "tests", "bench"}) {
    each_line(folder, [&](const fs::path& file, int number, const std::string& line) {
      EXPECT_LE(line.size(), 100U) << file << ":" << number;
    });
  }
}

TEST(Tidy, EachLibraryHasOneDoorPerModule) {
  for (const auto& [module, below] : kMayInclude) {
    std::map<std::string, std::set<std::string>> includers;
    each_line(module, [&](const fs::path& file, int, const std::string& line) {
      if (!line.starts_with("#include <")) return;
      for (const std::string& door : kDoors) {
        if (line.starts_with("#include <" + door)) includers[door].insert(file.string());
      }
    });
    for (const auto& [door, files] : includers) {
      std::string names;
      for (const std::string& file : files) names += "\n  " + file;
      EXPECT_EQ(files.size(), 1U) << module << " includes <" << door << "> in:" << names;
    }
  }
}

}  // namespace
