// A recorder with everything real around it (rings, store, SQLite files) in a folder of its own,
// and a decoder small enough to say what must come out.

#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "buffer/journal_reader.h"
#include "buffer/recorder.h"
#include "buffer/session_store.h"
#include "proto/batch.h"
#include "proto/event.h"

namespace pitbox::rig {

inline constexpr BootNs kMillisecond = 1'000'000;

class TestClock final : public Clock {
 public:
  BootNs boot_now() const override { return boot; }
  WallNs wall_now() const override { return boot + offset; }
  std::string boot_id() const override { return id; }

  BootNs boot = 1'000'000'000;
  std::int64_t offset = 1'700'000'000'000'000'000;
  std::string id = "11111111-2222-3333-4444-555555555555";
};

inline DefinitionPtr numbered_definition() {
  static const DefinitionPtr kDefinition = [] {
    ChannelGroup group;
    group.group = "numbered";
    group.time_base = TimeBase::kCar;
    group.channels = {
        Channel{.name = "number", .unit = "", .type = StorageType::kU64},
        Channel{.name = "half", .unit = "V", .type = StorageType::kU32, .factor = 0.5}};
    auto made = Definition::make(group);
    CHECK(made.ok());
    return std::move(made).take();
  }();
  return kDefinition;
}

inline std::uint32_t mixed(std::uint64_t number) {
  number = (number ^ number >> 33U) * 0xFF51AFD7ED558CCDU;
  return static_cast<std::uint32_t>((number ^ number >> 33U) * 0xC4CEB9FE1A85EC53U >> 32U);
}
// What a row's channel "half" shows.
inline double half_of(std::uint64_t number) {
  return 0.5 * mixed(number);
}

// Four bytes of each row cannot be compressed, so that a thousand rows are some 4 kB.
// Messages are text: "D" announces the definition; "R car first count" are rows with consecutive
// numbers; "H n" is half of a row and "T car" the other half; "G count" is a gap. The end of
// its connection tears a half. State: whether it was announced, and the half.
class NumberDecoder final : public Decoder {
 public:
  DecodeOutcome decode(const Message& message, RecordSink& sink) override {
    if (message.kind == MessageKind::kSourceStarted) return DecodeOutcome::kDecoded;
    if (message.kind == MessageKind::kStreamClosed) {
      if (half_ != 0) sink.reject(RejectReason::kTorn, 1);
      set(announced_, 0);
      return DecodeOutcome::kDecoded;
    }
    const std::string text(reinterpret_cast<const char*>(message.bytes.data()),
                           message.bytes.size());
    char car[32] = {};
    unsigned long long first = 0;
    unsigned long long count = 0;
    if (text == "D") {
      set(true, half_);
    } else if (std::sscanf(text.c_str(), "R %31s %llu %llu", car, &first, &count) == 3) {
      rows(car, first, count, message.receive_ns, sink);
    } else if (std::sscanf(text.c_str(), "H %llu", &first) == 1) {
      set(announced_, first);
    } else if (std::sscanf(text.c_str(), "T %31s", car) == 1) {
      rows(car, half_, 1, message.receive_ns, sink);
      set(announced_, 0);
    } else if (std::sscanf(text.c_str(), "G %llu", &count) == 1) {
      sink.gap("7", "sequence", count, "messages");
    } else {
      return DecodeOutcome::kMalformed;
    }
    return DecodeOutcome::kDecoded;
  }
  std::string save() const override { return (announced_ ? "D" : "-") + std::to_string(half_); }
  Status load(std::string_view state) override {
    if (state.empty()) return Status(Code::kCorrupt, "empty");
    announced_ = state[0] == 'D';
    half_ = std::stoull(std::string(state.substr(1)));
    return {};
  }
  std::uint64_t state_version() const override { return version_; }

 private:
  void set(bool announced, std::uint64_t half) {
    if (announced != announced_ || half != half_) ++version_;
    announced_ = announced;
    half_ = half;
  }
  void rows(const char* car, std::uint64_t first, std::uint64_t count, std::int64_t receive_ns,
            RecordSink& sink) const {
    if (!announced_) {
      sink.reject(RejectReason::kUnknownGroup, count);
      return;
    }
    const DefinitionPtr definition = numbered_definition();
    std::vector<std::int64_t> times;
    std::vector<std::byte> bytes(count * definition->row_bytes());
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t number = first + i;
      const std::uint32_t half = mixed(number);
      times.push_back(static_cast<std::int64_t>(number) * 1000);
      std::memcpy(&bytes[i * definition->row_bytes()], &number, sizeof number);
      std::memcpy(&bytes[i * definition->row_bytes() + 8], &half, sizeof half);
    }
    sink.rows(RowBlock{.car = car,
                       .definition = &definition,
                       .count = count,
                       .source_ns = times,
                       .receive_ns = receive_ns,
                       .rows = bytes});
  }

  bool announced_ = false;
  std::uint64_t half_ = 0;
  std::uint64_t version_ = 0;
};

// A row whose number is a multiple of 1000 ends a lap; rows since the last one are its state.
class ThousandLaps final : public LapEngine {
 public:
  void rows(const RowBlock& block, std::vector<LapRecord>& out) override {
    for (std::size_t i = 0; i < block.count; ++i) {
      ++rows_;
      ++version_;
      std::uint64_t number = 0;
      std::memcpy(&number, &block.rows[i * (*block.definition)->row_bytes()], sizeof number);
      if (number % 1000 == 0) end_lap(block, out);
    }
  }
  void finish(std::vector<LapRecord>& out) override {
    if (rows_ > 0) {
      LapRecord lap;
      lap.car = "7";
      lap.lap = ++laps_;
      lap.kind = LapKind::kIn;
      lap.lap_time_ms = rows_;
      lap.evidence = "count";
      out.push_back(lap);
    }
    rows_ = 0;
    ++version_;
  }
  std::string save() const override { return std::to_string(rows_) + " " + std::to_string(laps_); }
  Status load(std::string_view state) override {
    if (std::sscanf(std::string(state).c_str(), "%ld %u", &rows_, &laps_) != 2) {
      return Status(Code::kCorrupt, "not a lap state");
    }
    return {};
  }
  std::uint64_t state_version() const override { return version_; }

 private:
  void end_lap(const RowBlock& block, std::vector<LapRecord>& out) {
    LapRecord lap;
    lap.car = block.car;
    lap.lap = ++laps_;
    lap.lap_time_ms = std::exchange(rows_, 0);
    lap.sector_time_ms = {1, 2};
    lap.started_boot_ns = block.receive_ns;
    lap.evidence = "count";
    out.push_back(std::move(lap));
  }

  long rows_ = 0;
  unsigned laps_ = 0;
  std::uint64_t version_ = 0;
};

// What the files of one session hold.
struct Kept {
  std::map<std::uint64_t, int> numbers;  // Row number -> how many times.
  std::vector<std::string> kinds;        // Of events, in order.
  std::vector<words::Event> events;
  std::vector<StoredLap> laps;
  Counters counters;  // Of the newest file.
  std::size_t files = 0;
  std::uint64_t entries = 0;

  std::size_t count_kind(const std::string& kind) const {
    std::size_t count = 0;
    for (const std::string& other : kinds) count += other == kind;
    return count;
  }
  std::vector<words::Gap> gaps() const {
    std::vector<words::Gap> found;
    for (const words::Event& event : events) {
      if (event.has_gap()) found.push_back(event.gap());
    }
    return found;
  }
};

inline void read_file(const std::filesystem::path& path, Kept& kept) {
  auto opened = JournalReader::open(path);
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  JournalReader& reader = *opened.value();
  const auto lookup = [&](std::uint64_t prefix) {
    auto definition = reader.definition(prefix);
    return definition.ok() ? definition.value() : nullptr;
  };
  const auto visit = [&](const StoredEntry& entry) {
    ++kept.entries;
    if (entry.is_event) {
      auto event = parse_event(entry.bytes);
      EXPECT_TRUE(event.ok());
      kept.kinds.push_back(entry.kind);
      if (event.ok()) kept.events.push_back(event.value());
      return true;
    }
    auto batch = decode_batch(entry.car, entry.bytes, lookup);
    EXPECT_TRUE(batch.ok()) << batch.status().message();
    if (!batch.ok()) return true;
    EXPECT_EQ(batch.value().hash, entry.hashes.front());
    for (const GroupColumns& group : batch.value().groups) {
      for (std::size_t i = 0; i < group.row_count(); ++i) {
        std::uint64_t number = 0;
        std::memcpy(&number, &group.columns[0][i * 8], sizeof number);
        ++kept.numbers[number];
      }
    }
    return true;
  };
  const auto bad = [](std::uint64_t sequence, const Status& status) {
    ADD_FAILURE() << "sequence " << sequence << ": " << status.message();
  };
  const Status scanned = reader.scan(1, visit, bad);
  EXPECT_TRUE(scanned.ok()) << scanned.message();
  auto laps = reader.laps();
  ASSERT_TRUE(laps.ok());
  for (const StoredLap& lap : laps.value()) kept.laps.push_back(lap);
  auto counters = reader.counters();
  ASSERT_TRUE(counters.ok());
  kept.counters = counters.value();
  ++kept.files;
}

class Rig {
 public:
  Rig() {
    // In memory where there is such a place: a kill does not ask the disk, and syncs would only
    // make the tests wait.
    const bool in_memory = access("/dev/shm", W_OK) == 0;
    const std::filesystem::path place =
        in_memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path();
    std::string pattern = (place / "pitbox-recorder-XXXXXX").string();
    CHECK(mkdtemp(pattern.data()) != nullptr);
    folder = pattern;
    options.publish_interval = std::chrono::nanoseconds(0);
    options.retry_interval = std::chrono::milliseconds(1000);
  }
  ~Rig() {
    crash();
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  // Opens the rings named by `sources` and the recorder over them.
  void open() {
    for (const std::string& name : sources) {
      auto opened = MessageRing::open({.file = folder / (name + ".ring"),
                                       .ring_bytes = ring_bytes,
                                       .slot_count = slot_bytes > 2048 ? std::size_t{4} : 64,
                                       .slot_bytes = slot_bytes});
      ASSERT_TRUE(opened.ok()) << opened.status().message();
      rings[name] = std::move(opened).take();
    }
    open_recorder();
  }
  void open_recorder() {
    auto store = SessionStore::open(folder / "state", journal_options);
    ASSERT_TRUE(store.ok()) << store.status().message();
    Recorder::Parts parts;
    parts.store = std::move(store).take();
    for (const std::string& name : sources) {
      parts.sources.push_back({.name = name, .ring = rings[name].get(), .make_decoder = [] {
                                 return std::make_unique<NumberDecoder>();
                               }});
    }
    if (with_laps) {
      parts.make_lap_engine = [] { return std::make_unique<ThousandLaps>(); };
    }
    parts.clock = &clock;
    parts.on_published = [this] { ++published; };
    recorder = Recorder::open(options, std::move(parts), clock.boot);
  }
  // What a kill leaves behind: everything in memory is gone, files and rings stay.
  void crash() {
    recorder.reset();
    rings.clear();
  }
  void reopen() {
    crash();
    open();
  }

  void say(const std::string& text, const std::string& source = "udp") {
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    const Status status = rings[source]->publish(1, clock.boot, bytes);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  // Rows first..first+count-1 in messages of ten.
  void say_rows(std::uint64_t first, std::uint64_t count, const std::string& source = "udp") {
    for (std::uint64_t n = first; n < first + count; n += 10) {
      say("R 7 " + std::to_string(n) + " " +
              std::to_string(std::min<std::uint64_t>(10, first + count - n)),
          source);
    }
  }

  void step() {
    while (recorder->step(clock.boot) > 0) {
    }
    // Or its thread would take a whole core.
    EXPECT_GT(recorder->next_deadline(), clock.boot) << "done, and asks to be asked again at once";
  }
  void pass(std::int64_t milliseconds) {
    for (std::int64_t i = 0; i < milliseconds; i += 10) {
      clock.boot += 10 * kMillisecond;
      step();
    }
  }
  // Long enough for a flush, and for what the flush leads to.
  void flush() { pass(300); }

  RecorderSnapshot snapshot() {
    const auto value = recorder->snapshot().get();
    CHECK(value != nullptr);
    EXPECT_EQ(value->law_violations, 0U) << value->last_violation;
    EXPECT_TRUE(value->conservation.violations().empty());
    return *value;
  }
  CommandResult command(SessionCommand what) {
    auto future = recorder->submit(std::move(what));
    for (int i = 0;
         i < 100 && future.wait_for(std::chrono::seconds(0)) != std::future_status::ready; ++i) {
      step();
    }
    CHECK(future.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
    return future.get();
  }
  SessionHeads live_heads() {
    const auto heads = recorder->heads().get();
    for (const SessionHeads& session : heads->sessions) {
      if (session.is_live) return session;
    }
    return {};
  }

  std::vector<SessionFiles> sessions() {
    auto listed = list_sessions(folder / "state");
    EXPECT_TRUE(listed.ok());
    return listed.ok() ? listed.value() : std::vector<SessionFiles>{};
  }
  Kept kept(const Uuid& session) {
    Kept result;
    for (const SessionFiles& files : sessions()) {
      if (files.info.id != session) continue;
      for (const auto& file : files.files) read_file(file, result);
    }
    return result;
  }
  Kept kept() { return kept(sessions().back().info.id); }

  std::filesystem::path folder;
  TestClock clock;
  Recorder::Options options;
  Journal::Options journal_options;
  std::size_t ring_bytes = std::size_t{1} << 20;
  std::size_t slot_bytes = 2048;
  std::vector<std::string> sources = {"udp"};
  bool with_laps = false;
  std::map<std::string, std::unique_ptr<MessageRing>> rings;
  std::unique_ptr<Recorder> recorder;
  int published = 0;
};

// Every number of first..last exactly once, and nothing else.
inline void expect_exactly(const Kept& kept, std::uint64_t first, std::uint64_t last) {
  EXPECT_EQ(kept.numbers.size(), last - first + 1);
  for (std::uint64_t n = first; n <= last; ++n) {
    const auto found = kept.numbers.find(n);
    ASSERT_NE(found, kept.numbers.end()) << n << " is missing";
    ASSERT_EQ(found->second, 1) << n << " is there " << found->second << " times";
  }
}

}  // namespace pitbox::rig
