// Configuration: what is right is taken, what is wrong is refused with file, line, key and what is
// allowed; printing and reading agree; docs/config.md is the table of keys.

#include "config/config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>

#include "config/config_keys.h"

namespace pitbox {
namespace {

constexpr const char* kSource = "[[source]]\nname = \"cars\"\n";

Environment given(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

Result<Config> parse(const std::string& text, std::map<std::string, std::string> variables = {}) {
  return parse_config(text, "pitbox.toml", given(std::move(variables)));
}

std::string refusal_of(const std::string& text, std::map<std::string, std::string> variables = {}) {
  const auto config = parse(text, std::move(variables));
  return config.ok() ? "taken" : config.status().message();
}

TEST(Config, TakesTheSmallestFile) {
  const auto config = parse(kSource);
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config.value().sources.at(0).name, "cars");
  EXPECT_EQ(config.value().flush_ms, 100);
}

TEST(Config, NamesFileLineKeyAndWhatIsAllowed) {
  EXPECT_EQ(
      refusal_of("[[source]]\nname = \"cars\"\nkind = \"udq\"\n"),
      "pitbox.toml:3: source.kind: \"udq\" is not one of them; want a text; allowed: udp, tcp");
  EXPECT_EQ(
      refusal_of(std::string(kSource) + "[journal]\nflush_ms = 0\n"),
      "pitbox.toml:4: journal.flush_ms: 0 is outside; want a whole number; allowed: 1..10000");
}

TEST(Config, RefusesUnknownKeysAndWrongTypes) {
  EXPECT_EQ(refusal_of(std::string(kSource) + "[journal]\nflush = 5\n"),
            "pitbox.toml:4: journal.flush: unknown key; allowed in [journal]: flush_ms, page_kib, "
            "wal_mib, quota_mib, keep_free_mib, reserve_mib");
  EXPECT_NE(refusal_of(std::string(kSource) + "[journal]\nflush_ms = \"5\"\n").find("wrong type"),
            std::string::npos);
  EXPECT_NE(refusal_of("sauce = 1\n").find("unknown key"), std::string::npos);
  EXPECT_NE(refusal_of("journal = 1\n").find("want a table"), std::string::npos);
  EXPECT_NE(refusal_of("source = 1\n").find("want [[source]]"), std::string::npos);
}

TEST(Config, RefusesAFileThatWouldTakeTheParsersStack) {
  std::string deep = "a";
  for (int i = 0; i < 500'000; ++i) deep += ".a";
  EXPECT_NE(refusal_of(deep + " = 1\n").find("dots"), std::string::npos);
  EXPECT_NE(refusal_of("[" + deep + "]\n").find("dots"), std::string::npos);
  EXPECT_NE(refusal_of(kSource, {{"PITBOX_LIVE_VIEW_CHANNELS", "{" + deep + " = 1}"}}).find("want"),
            std::string::npos);
}

TEST(Config, RefusesControlCharactersAndShowsLittleOfWhatIsLong) {
  EXPECT_NE(refusal_of(std::string(kSource) + "car = \"a\\nb\"\n").find("control character"),
            std::string::npos);
  const std::string refused =
      refusal_of(std::string(kSource) + "kind = \"" + std::string(500'000, 'u') + "\"\n");
  EXPECT_LT(refused.size(), 1'000U);
  EXPECT_TRUE(refused.starts_with("pitbox.toml:3: source.kind: \"uuu")) << refused;
}

TEST(Config, SaysWhereTheFileIsNotToml) {
  EXPECT_TRUE(refusal_of("state_dir = \n").starts_with("pitbox.toml:1: not TOML: "));
}

TEST(Config, SaysTheRuleOfAKeyAndWhereItIsBroken) {
  EXPECT_EQ(
      refusal_of("[[source]]\nname = \"a/b\"\n"),
      "pitbox.toml:2: source.name: \"a/b\" is not that; want a text; allowed: 1 to 64 letters, "
      "digits, - and _");
  EXPECT_EQ(
      refusal_of(std::string(kSource) + "ring_mib = 3\n"),
      "pitbox.toml:3: source.ring_mib: 3 is not that; want a whole number; allowed: a power of "
      "two, 1..1024");
  EXPECT_TRUE(refusal_of(std::string(kSource) + "slot_bytes = 1000\n")
                  .starts_with("pitbox.toml:3: source.slot_bytes: 1000 is not that"));
  for (const char* listen : {"9600", "0.0.0.0:", "0.0.0.0:70000", "0.0.0.0:-1", "0.0.0.0:96x",
                             "localhost:9600", ":9600", "[::1:9600"}) {
    EXPECT_TRUE(refusal_of(std::string(kSource) + "listen = \"" + listen + "\"\n")
                    .starts_with("pitbox.toml:3: source.listen: "))
        << listen;
  }
  EXPECT_TRUE(refusal_of(std::string(kSource) + "[journal]\npage_kib = 12\n")
                  .starts_with("pitbox.toml:4: journal.page_kib: 12 is not that"));
  EXPECT_EQ(refusal_of(std::string(kSource) + "[room]\nurl = \"http://x\"\n"),
            "pitbox.toml:4: room.url: \"http://x\" is not that; want a text; allowed: ws://... or "
            "wss://..., or nothing");
  EXPECT_TRUE(
      refusal_of(kSource, {{"PITBOX_API_URL", "ws://x"}})
          .starts_with("environment variable PITBOX_API_URL: api.url: \"ws://x\" is not that"));
}

TEST(Config, RefusesWhatNoSingleKeyCanSayAndSaysWhere) {
  EXPECT_EQ(refusal_of(""), "pitbox.toml: source: no [[source]]: there is nothing to hear");
  EXPECT_EQ(
      refusal_of(std::string(kSource) + kSource),
      "pitbox.toml:4: source.name: \"cars\" is the name of the source at pitbox.toml:2; every "
      "source needs one of its own");
  EXPECT_EQ(refusal_of("[[source]]\nkind = \"udp\"\n"),
            "pitbox.toml:1: source.name: every [[source]] needs a name");
  const std::string why = "track.sectors: sector lines need a start_finish line, too";
  EXPECT_EQ(refusal_of(std::string(kSource) + "[track]\nsectors = [[[1, 2], [3, 4]]]\n"),
            "pitbox.toml:4: " + why);
  EXPECT_EQ(refusal_of(kSource, {{"PITBOX_TRACK_SECTORS", "[[[1, 2], [3, 4]]]"}}),
            "environment variable PITBOX_TRACK_SECTORS: " + why);
}

TEST(Config, TheEnvironmentWinsOverTheFile) {
  const std::string text =
      std::string("state_dir = \"/a\"\n") + kSource + "[room]\ndriver = \"ws\"\n";
  const auto config = parse(text, {{"PITBOX_STATE_DIR", "/b"},
                                   {"PITBOX_JOURNAL_FLUSH_MS", "5"},
                                   {"REALTIME_DRIVER", "cf-do"},
                                   {"PITBOX_LIVE_VIEW_CHANNELS", "[\"speed\", \"rpm\"]"}});
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config.value().state_dir, "/b");
  EXPECT_EQ(config.value().flush_ms, 5);
  EXPECT_EQ(config.value().room_driver, "cf-do");
  EXPECT_EQ(config.value().live_view_channels, (std::vector<std::string>{"speed", "rpm"}));
}

TEST(Config, RefusesAPathThatIsNone) {
  EXPECT_TRUE(
      refusal_of("state_dir = \"\"\n").starts_with("pitbox.toml:1: state_dir: \"\" is not"));
  EXPECT_TRUE(refusal_of("runtime_dir = \"/" + std::string(94, 'r') + "\"\n")
                  .starts_with("pitbox.toml:1: runtime_dir: "));
  EXPECT_TRUE(
      refusal_of(std::string(kSource) + "car = \"\"\n").starts_with("pitbox.toml:3: source.car: "));
}

TEST(Config, RefusesADirectoryAndAFileThatIsNotThere) {
  const auto folder = load_config("/tmp", given({}));
  ASSERT_FALSE(folder.ok());
  EXPECT_TRUE(folder.status().message().starts_with("/tmp: cannot be read (it is a directory)"))
      << folder.status().message();
  const auto none = load_config("/nowhere/pitbox.toml", given({}));
  ASSERT_FALSE(none.ok());
  EXPECT_TRUE(none.status().message().starts_with(
      "/nowhere/pitbox.toml: cannot be read (No such file or directory)"))
      << none.status().message();
}

TEST(Config, RefusesABadVariableByName) {
  EXPECT_TRUE(refusal_of(kSource, {{"PITBOX_JOURNAL_FLUSH_MS", "5\nx = 3"}})
                  .starts_with("environment variable PITBOX_JOURNAL_FLUSH_MS: "));
  EXPECT_EQ(refusal_of(kSource, {{"PITBOX_JOURNAL_FLUSH_MS", "soon"}}),
            "environment variable PITBOX_JOURNAL_FLUSH_MS: journal.flush_ms: want a whole number; "
            "allowed: 1..10000");
}

TEST(Config, TakesOneApiKeyAndAVariableBeforeTheFile) {
  const std::string room = std::string(kSource) + "[room]\n";
  EXPECT_EQ(refusal_of(room + "api_key = \"rk_a\"\napi_key_file = \"/k\"\n"),
            "pitbox.toml:5: room.api_key_file: room.api_key is given, too; leave one of them out");
  EXPECT_NE(
      refusal_of(kSource, {{"PITBOX_ROOM_API_KEY", "rk_a"}, {"PITBOX_ROOM_API_KEY_FILE", "/k"}}),
      "taken");
  const auto by_key = parse(room + "api_key_file = \"/k\"\n", {{"PITBOX_ROOM_API_KEY", "rk_a"}});
  ASSERT_TRUE(by_key.ok()) << by_key.status().message();
  EXPECT_EQ(by_key.value().room_api_key, "rk_a");
  EXPECT_EQ(by_key.value().room_api_key_file, "");
  const auto by_file = parse(room + "api_key = \"rk_a\"\n", {{"PITBOX_ROOM_API_KEY_FILE", "/k"}});
  ASSERT_TRUE(by_file.ok()) << by_file.status().message();
  EXPECT_EQ(by_file.value().room_api_key, "");
  EXPECT_EQ(by_file.value().room_api_key_file, "/k");
}

TEST(Config, NamesVariablesThatNobodyKnows) {
  ASSERT_EQ(setenv("PITBOX_JURNAL_FLUSH_MS", "5", 1), 0);
  ASSERT_EQ(setenv("PITBOX_JOURNAL_FLUSH_MS", "5", 1), 0);
  const std::vector<std::string> unknown = unknown_variables();
  unsetenv("PITBOX_JURNAL_FLUSH_MS");
  unsetenv("PITBOX_JOURNAL_FLUSH_MS");
  EXPECT_NE(std::find(unknown.begin(), unknown.end(), "PITBOX_JURNAL_FLUSH_MS"), unknown.end());
  EXPECT_EQ(std::find(unknown.begin(), unknown.end(), "PITBOX_JOURNAL_FLUSH_MS"), unknown.end());
}

TEST(Config, ReadsLinesOfTheTrack) {
  const auto config = parse(std::string(kSource) +
                            "[track]\nstart_finish = [[28.5, -81.25], [28.75, -81]]\n"
                            "sectors = [[[1, 2], [3, 4]]]\n");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config.value().track.start_finish->at(0).longitude, -81.25);
  EXPECT_EQ(config.value().track.sectors.size(), 1U);
  EXPECT_NE(refusal_of(std::string(kSource) + "[track]\nstart_finish = [[91, 0], [1, 1]]\n")
                .find("-90..90"),
            std::string::npos);
}

TEST(Config, PrintsWhatItReads) {
  const auto config = parse(std::string("state_dir = \"/srv/a \\\"b\\\"\"\n") + kSource +
                            "[track]\nstart_finish = [[28.5, -81.25], [28.75, -81]]\n"
                            "[room]\nurl = \"ws://h:1\"\napi_key = \"rk_secret\"\n");
  ASSERT_TRUE(config.ok()) << config.status().message();
  const std::string printed = print_config(config.value(), true);
  const auto again = parse(printed);
  ASSERT_TRUE(again.ok()) << again.status().message() << "\n" << printed;
  EXPECT_EQ(print_config(again.value(), true), printed);
  EXPECT_EQ(again.value().state_dir, "/srv/a \"b\"");
  EXPECT_EQ(print_config(config.value(), false).find("rk_secret"), std::string::npos);
}

TEST(Config, TheReferenceIsTheTable) {
  const std::string path = std::string(PITBOX_SOURCE_DIR) + "/docs/config.md";
  if (std::getenv("PITBOX_WRITE_REFERENCE") != nullptr) {
    std::ofstream(path) << config_reference();
  }
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, config_reference())
      << "docs/config.md is not up to date: run this test with PITBOX_WRITE_REFERENCE=1";
}

}  // namespace
}  // namespace pitbox
