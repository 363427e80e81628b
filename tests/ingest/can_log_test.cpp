// Goal: a recorded log and published examples are decoded as others decode them; method: the log
// frame by frame against an independent decode by the format's description, raw integers and
// physical values bit for bit, and the examples value by value.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "ingest/candump.h"
#include "tests/ingest/can_rig.h"
#include "tests/ingest/shared_data.h"

namespace pitbox {
namespace {

// What the independent decode prints of a log.
std::string reference_decode(const std::string& dbc, const std::string& log) {
  const std::string script = std::string(PITBOX_SOURCE_DIR) + "/tests/ingest/dbc_reference.py";
  const std::string command = "python3 '" + script + "' '" + dbc + "' '" + log + "' 2>&1";
  std::FILE* const pipe = popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr) << "cannot run " << command;
  if (pipe == nullptr) return "";
  std::string out;
  std::array<char, 65'536> piece{};
  for (std::size_t got = 0; (got = std::fread(piece.data(), 1, piece.size(), pipe)) > 0;) {
    out.append(piece.data(), got);
  }
  EXPECT_EQ(pclose(pipe), 0) << "python3 is needed for the independent decode:\n"
                             << out.substr(0, 1000);
  return out;
}

// The rig's last rows of frame `frame` as the independent decode writes them, in that order.
void append_decoded(CanRig& rig, const Dbc& dbc, std::size_t frame, canid_t id, std::string& out) {
  for (const DbcMessage& message : dbc.messages) {
    if (message.id != id) continue;
    const CollectedRows& rows = rig.rows("can." + message.name);
    for (std::size_t c = 0; c < message.signals.size(); ++c) {
      std::array<char, 256> line{};
      std::snprintf(line.data(), line.size(), "%zu %s %s %lld ", frame, message.name.c_str(),
                    message.signals[c].name.c_str(), static_cast<long long>(stored_value(rows, c)));
      out += line.data();
      const double value = rows.value(rows.count - 1, c);
      std::snprintf(line.data(), line.size(), "%016llx\n",
                    static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(value)));
      out += line.data();
    }
  }
}

// The same line with its last field, a hexadecimal double, as the double's bits.
std::string with_bits(const std::string& line) {
  const std::size_t space = line.rfind(' ');
  const double value = std::strtod(line.c_str() + space, nullptr);
  std::array<char, 32> bits{};
  std::snprintf(bits.data(), bits.size(), " %016llx",
                static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(value)));
  return line.substr(0, space) + bits.data();
}

TEST(CanLog, AgreesWithAnIndependentDecodeOfARecordedLogBitForBit) {
  const auto log = shared_data("can/can_sample.log");
  SKIP_WITHOUT(log);
  const auto dbc_file = shared_data("can/sample_can_spec.dbc");
  const Dbc dbc = load_dbc(dbc_file).take();
  CanRig rig(dbc);
  const std::string text = read_whole(log);
  CandumpReader reader(text);
  std::string decoded;
  std::size_t frames = 0;
  while (const auto line = reader.next()) {
    ASSERT_TRUE(line->ok()) << line->status().message();
    const std::uint64_t before = rig.sink.delivered;
    ASSERT_EQ(rig.hear(line->value().frame), DecodeOutcome::kDecoded);
    // One row each: none of these messages is multiplexed.
    ASSERT_EQ(rig.sink.delivered, before + 1) << "frame " << frames;
    append_decoded(rig, dbc, frames, line->value().frame.frame.can_id, decoded);
    ++frames;
  }
  EXPECT_EQ(frames, 82'558U);
  EXPECT_EQ(rig.sink.delivered, 82'558U);
  std::istringstream ours(decoded);
  std::istringstream theirs(reference_decode(dbc_file.string(), log.string()));
  std::size_t signals = 0;
  for (std::string mine, other; std::getline(theirs, other); ++signals) {
    ASSERT_TRUE(std::getline(ours, mine)) << "only " << signals << " signals";
    ASSERT_EQ(mine, with_bits(other));
  }
  std::string more;
  EXPECT_FALSE(std::getline(ours, more)) << more;
  EXPECT_EQ(signals, 91'381U);
  const CollectedRows& raw = rig.rows("can.raw");
  std::size_t decoded_rows = 0;
  for (const auto& [key, rows] : rig.sink.groups) {
    if (key.second != "can.raw") decoded_rows += rows.count;
  }
  EXPECT_EQ(decoded_rows + raw.count, frames);
  EXPECT_GT(raw.count, 0U);
  for (std::size_t i = 0; i < raw.count; ++i) {
    ASSERT_EQ(raw.value(i, 4), static_cast<int>(CanRawReason::kNoEntry));
  }
}

// "Name: value" by name, of all decoded groups; a value with a name in the Dbc is its name.
std::map<std::string, std::string> decoded_values(CanRig& rig, const Dbc& dbc) {
  std::map<std::string, std::string> out;
  for (const auto& [key, rows] : rig.sink.groups) {
    if (rows.count == 0 || key.second.starts_with("can.raw")) continue;
    for (std::size_t c = 0; c < rows.definition->channels().size(); ++c) {
      const std::string& name = rows.definition->channels()[c].name;
      std::ostringstream text;
      text << rows.value(rows.count - 1, c);
      out[name] = text.str();
      for (const DbcMessage& message : dbc.messages) {
        for (const DbcSignal& signal : message.signals) {
          if (signal.name != name) continue;
          for (const DbcValueName& each : signal.value_names) {
            if (static_cast<double>(each.value) == rows.value(0, c)) out[name] = each.name;
          }
        }
      }
    }
  }
  return out;
}

struct VectorSection {
  std::string dbc;
  std::vector<std::string> input;
  std::vector<std::string> expected;
};

std::vector<VectorSection> vector_sections(const std::string& text) {
  std::vector<VectorSection> sections;
  std::vector<std::string>* into = nullptr;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ")) {
      const std::size_t at = line.find("(dbc: ") + 6;
      sections.push_back({line.substr(at, line.find(')') - at), {}, {}});
      into = nullptr;
    } else if (line.starts_with("### ")) {
      into = line == "### input" ? &sections.back().input : &sections.back().expected;
    } else if (into != nullptr) {
      into->push_back(line);
    }
  }
  return sections;
}

// What stands behind "<line> ::" among the expected lines, and the values in parentheses after it.
std::string expected_of(const VectorSection& section, const std::string& line,
                        std::map<std::string, std::string>& values) {
  const auto found =
      std::find_if(section.expected.begin(), section.expected.end(),
                   [&](const std::string& each) { return each.starts_with(line + " ::"); });
  if (found == section.expected.end()) return "nothing";
  for (auto each = found + 1; each != section.expected.end() && *each != ")"; ++each) {
    const std::size_t colon = each->find(": ");
    if (!each->starts_with("    ") || colon == std::string::npos) continue;
    std::string value = each->substr(colon + 2);
    if (value.ends_with(',')) value.pop_back();
    if (value.ends_with(".0")) value.resize(value.size() - 2);
    values[each->substr(4, colon - 4)] = value;
  }
  return found->substr(line.size() + 3);
}

TEST(CanLog, ReproducesTheSharedDecodeVectors) {
  const auto file = shared_data("can/decode_vectors.txt");
  SKIP_WITHOUT(file);
  std::size_t decoded = 0;
  std::size_t refused = 0;
  for (const VectorSection& section : vector_sections(read_whole(file))) {
    const Dbc dbc = load_dbc(shared_data("can/dbc/" + section.dbc)).take();
    for (const std::string& line : section.input) {
      std::map<std::string, std::string> values;
      const std::string said = expected_of(section, line, values);
      const auto read = parse_candump_line(line);
      if (said.starts_with(" Wrong data size") && !read.ok()) {
        ++refused;  // Ten bytes in a classic frame.
        continue;
      }
      ASSERT_TRUE(read.ok()) << line << read.status().message();
      if (read.value().kind != CandumpKind::kFrame) continue;
      CanRig rig(dbc);
      ASSERT_EQ(rig.hear(read.value().frame), DecodeOutcome::kDecoded);
      if (!said.empty()) {
        ++refused;
        const bool is_unknown = said.starts_with(" Unknown frame id");
        EXPECT_EQ(rig.value(read.value().frame.is_fd ? "can.raw_fd" : "can.raw", "reason"),
                  static_cast<int>(is_unknown ? CanRawReason::kNoEntry : CanRawReason::kLonger));
        continue;
      }
      ++decoded;
      // One expected text was made with a shorter table of names than the shared Dbc has.
      if (values["IO_DEBUG_test_enum"] == "two") {
        values["IO_DEBUG_test_enum"] = "IO_DEBUG_test2_enum_two";
      } else if (values["IO_DEBUG_test_enum"].empty()) {
        values.erase("IO_DEBUG_test_enum");
      }
      EXPECT_EQ(decoded_values(rig, dbc), values) << line;
    }
  }
  EXPECT_EQ(decoded, 7U);
  EXPECT_EQ(refused, 4U);
}

}  // namespace
}  // namespace pitbox
