// Goal: every value comes out bit for bit as it was sent, under the car, group and channel that it
// belongs to; method: real datagrams, and random ones of every packet of every format, against a
// decode by offsets in another language (f1_reference.py).

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "ingest/f1_decoder.h"
#include "tests/ingest/f1_datagrams.h"
#include "tests/ingest/record_collector.h"
#include "tests/ingest/shared_data.h"
#include "tests/temporary_directory.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;

// Writes what a decoder gives as f1_reference.py does: a line for each row.
class RowLines final : public RecordSink {
 public:
  void rows(const RowBlock& block) override {
    const Definition& definition = **block.definition;
    for (std::size_t row = 0; row < block.count; ++row) {
      std::string line = std::string(block.car) + '\t' + definition.group().group + '\t' +
                         std::to_string(block.source_ns[row]);
      const auto bytes = block.rows.subspan(row * definition.row_bytes(), definition.row_bytes());
      for (std::size_t c = 0; c < definition.channels().size(); ++c) {
        const Channel& channel = definition.channels()[c];
        line += '\t' + channel.name + '=' + std::string(to_string(channel.type)) + ':';
        append_hex(bytes.subspan(definition.column_offset(c), width_of(channel.type)), line);
      }
      lines.push_back(line);
    }
  }
  void reject(RejectReason reason, std::uint64_t records) override {
    EXPECT_EQ(records, 1U);
    lines.push_back("reject " + std::string(to_string(reason)));
  }
  void gap(std::string_view, std::string_view, std::uint64_t, std::string_view) override {
    ADD_FAILURE() << "datagrams of a game have no numbers that could have a gap";
  }

  std::vector<std::string> lines;

 private:
  static void append_hex(std::span<const std::byte> bytes, std::string& out) {
    constexpr char kDigits[] = "0123456789abcdef";
    for (const std::byte each : bytes) {
      out += kDigits[std::to_integer<unsigned>(each) >> 4];
      out += kDigits[std::to_integer<unsigned>(each) & 15];
    }
  }
};

std::vector<std::string> lines_of(F1Decoder& decoder, std::string_view datagram) {
  RowLines sink;
  if (decoder.decode(data_message(datagram), sink) == DecodeOutcome::kMalformed) return {"drop"};
  std::sort(sink.lines.begin(), sink.lines.end());
  return sink.lines;
}

// What the other decoder says: the lines of each datagram.
std::vector<std::vector<std::string>> reference_of(const std::string& how,
                                                   const std::vector<fs::path>& files) {
  std::string command =
      "python3 -B '" + std::string(PITBOX_SOURCE_DIR) + "/tests/ingest/f1_reference.py' " + how;
  for (const fs::path& file : files) command += " '" + file.string() + "'";
  FILE* const pipe = popen(command.c_str(), "r");
  CHECK(pipe != nullptr);
  std::string text;
  std::array<char, 65536> buffer{};
  while (const std::size_t got = fread(buffer.data(), 1, buffer.size(), pipe)) {
    text.append(buffer.data(), got);
  }
  const int status = pclose(pipe);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
      << "this test needs python3, and its f1_reference.py to work";
  std::vector<std::vector<std::string>> datagrams;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("# ")) {
      datagrams.emplace_back();
    } else if (!line.empty() && !datagrams.empty()) {
      datagrams.back().push_back(line);
    }
  }
  return datagrams;
}

// The datagrams in a file of repeated <u64 ns><u16 length><datagram>.
std::vector<std::string> logged_datagrams(const std::string& log) {
  constexpr std::size_t kHead = 10;
  std::vector<std::string> datagrams;
  for (std::size_t at = 0; at + kHead <= log.size();) {
    std::uint16_t size = 0;
    std::memcpy(&size, log.data() + at + 8, sizeof size);
    datagrams.push_back(log.substr(at + kHead, size));
    at += kHead + size;
  }
  return datagrams;
}

// One decoder, restarted now and then, against the reference; returns the rows compared.
std::size_t expect_agreement_on(const fs::path& log) {
  const std::vector<std::string> datagrams = logged_datagrams(read_whole(log));
  const auto expected = reference_of("log", {log});
  EXPECT_EQ(expected.size(), datagrams.size());
  if (expected.size() != datagrams.size()) return 0;
  auto decoder = std::make_unique<F1Decoder>();
  std::size_t rows = 0;
  for (std::size_t i = 0; i < datagrams.size(); ++i) {
    const auto lines = lines_of(*decoder, datagrams[i]);
    EXPECT_EQ(lines, expected[i]) << log << ", datagram " << i;
    if (lines != expected[i]) return rows;
    rows += lines.size();
    if (i % 5 != 0) continue;
    const std::string state = decoder->save();
    decoder = std::make_unique<F1Decoder>();
    EXPECT_TRUE(decoder->load(state).ok());
  }
  return rows;
}

TEST(F1Agreement, EveryRecordedDatagramDecodesAsTheReferenceDoes) {
  const fs::path folder = shared_data("f1/single-datagrams-2022-2024");
  SKIP_WITHOUT(folder);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  ASSERT_EQ(files.size(), 95U);
  const auto expected = reference_of("each", files);
  ASSERT_EQ(expected.size(), files.size());
  std::map<std::string, std::string> refused;
  for (std::size_t i = 0; i < files.size(); ++i) {
    F1Decoder decoder;
    const std::string datagram = read_whole(files[i]);
    const auto lines = lines_of(decoder, datagram);
    EXPECT_EQ(lines, expected[i]) << files[i];
    ASSERT_FALSE(lines.empty()) << files[i];
    if (lines[0].starts_with("reject")) refused[files[i].stem().string()] = lines[0];
    EXPECT_NE(lines[0], "drop") << files[i];
  }
  // These two are 44 and 47 bytes long, and an event has 45.
  EXPECT_EQ(refused, (std::map<std::string, std::string>{{"2024-03-RDFL", "reject malformed"},
                                                         {"2024-03-SCAR", "reject malformed"}}));
}

TEST(F1Agreement, EveryRecordingDecodesAsTheReferenceDoes) {
  for (const char* name : {"f1/f1_2023_garage_a.cap", "f1/f1_2023_garage_b.cap"}) {
    SKIP_WITHOUT(shared_data(name));
    EXPECT_GT(expect_agreement_on(shared_data(name)), 200U);
  }
}

// Random bytes behind sound headers: every packet and event of every format, in an order and with
// sessions, counts, slots and standings that no game would choose.
std::string random_log(std::uint32_t seed) {
  constexpr std::string_view kOtherCodes[] = {"XXXX", "ftlp", "FTL"};
  std::mt19937 random(seed);
  std::vector<std::string> datagrams;
  for (const F1Format format : kF1EveryFormat) {
    for (std::uint8_t id = 0; id < kF1PacketIds; ++id) {
      for (int copy = 0; copy < 3; ++copy) {
        std::string datagram(std::max<std::size_t>(f1_size_of(format, id), 30), '\0');
        for (char& each : datagram) each = static_cast<char>(random());
        put_head(datagram, {.format = format,
                            .id = id,
                            .session_uid = random() % 40 == 0 ? 2U : 1U,
                            .session_time = static_cast<float>(random()) / 1e6F,
                            .frame = static_cast<std::uint32_t>(random()),
                            .player = static_cast<std::uint8_t>(random() % 30)});
        datagrams.push_back(datagram);
        if (id != kF1EventId) continue;
        std::vector<std::string_view> codes(std::begin(kOtherCodes), std::end(kOtherCodes));
        for (const F1Event& event : f1_events()) codes.push_back(event.code);
        for (const std::string_view code : codes) {
          datagram.replace(f1_header_bytes(format), code.size(), code);
          if (code.size() < kF1EventCodeBytes) datagram[f1_header_bytes(format) + 3] = '\0';
          // Slots that are in use, as often as not.
          for (std::size_t at = f1_header_bytes(format) + 4; at < datagram.size(); ++at) {
            datagram[at] = static_cast<char>(random() % 2 == 0 ? random() : random() % 24);
          }
          datagrams.push_back(datagram);
        }
      }
    }
  }
  std::shuffle(datagrams.begin(), datagrams.end(), random);
  std::string log;
  for (const std::string& datagram : datagrams) {
    const auto size = static_cast<std::uint16_t>(datagram.size());
    log.append(8, '\0').append(reinterpret_cast<const char*>(&size), sizeof size).append(datagram);
  }
  return log;
}

TEST(F1Agreement, EveryPacketOfEveryFormatDecodesAsTheReferenceDoesWhateverIsInIt) {
  const testing::TemporaryDirectory directory;
  for (const std::uint32_t seed : {1U, 2U, 3U}) {
    const fs::path log = directory.path() / "random.log";
    std::ofstream(log, std::ios::binary) << random_log(seed);
    EXPECT_GT(expect_agreement_on(log), 3000U) << "seed " << seed;
  }
}

}  // namespace
}  // namespace pitbox
