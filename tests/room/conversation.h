// A small language for talking to a room in tests: entries a box could send, the frames they travel
// in, and an Outbound that keeps what the room said.

#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "proto/batch.h"
#include "proto/event.h"
#include "proto/frames.h"
#include "proto/uuid.h"
#include "room/outbound.h"
#include "tests/temporary_directory.h"

namespace pitbox::testing {

// What a box has journaled: an entry with its key.
struct Entry {
  std::uint64_t incarnation = 0x9F00'0000'0000'0001;
  std::uint64_t sequence = 1;
  bool is_event = false;
  std::string car;
  std::string bytes;
  std::string hash;
  std::vector<DefinitionPtr> definitions;
};

inline DefinitionPtr definition_of(const std::string& group) {
  ChannelGroup channels{group, TimeBase::kNone, {}};
  channels.channels.push_back({"speed", "km/h", StorageType::kI16, 0.1, 0.0});
  channels.channels.push_back({"throttle", "%", StorageType::kU8, 1.0, 0.0});
  auto made = Definition::make(channels);
  CHECK(made.ok());
  return made.value();
}

// A batch of `rows` rows whose values depend on `salt`.
inline Entry batch(std::uint64_t sequence, int salt = 0, int rows = 20,
                   const std::string& car = "27", const std::string& group = "motion") {
  GroupRows group_rows;
  group_rows.definition = definition_of(group);
  std::mt19937 random(static_cast<unsigned>(salt));  // Noise, so that rows make bytes.
  for (int row = 0; row < rows; ++row) {
    group_rows.receive_ns.push_back(1'000'000 * (static_cast<std::int64_t>(sequence) * 100 + row));
    const auto speed = static_cast<std::int16_t>(random() % 30'000);
    std::byte packed[3];
    std::memcpy(packed, &speed, 2);
    packed[2] = static_cast<std::byte>((row + salt) % 101);
    group_rows.rows.insert(group_rows.rows.end(), packed, packed + 3);
  }
  const EncodedBatch encoded = encode_batch(car, std::span<const GroupRows>(&group_rows, 1));
  Entry entry;
  entry.sequence = sequence;
  entry.car = car;
  entry.bytes = encoded.blob;
  entry.hash = encoded.hash.raw();
  entry.definitions = {group_rows.definition};
  return entry;
}

inline Entry event_entry(std::uint64_t sequence, const words::Event& event,
                         const std::string& car = "") {
  Entry entry;
  entry.sequence = sequence;
  entry.is_event = true;
  entry.car = car;
  entry.bytes = serialise_event(event);
  entry.hash = hash_event(entry.bytes).raw();
  return entry;
}

inline Entry lap(std::uint64_t sequence, std::uint32_t number, std::int64_t ms,
                 const std::string& car = "27", std::uint32_t revision = 0) {
  words::Event event;
  event.set_time_ns(static_cast<std::int64_t>(sequence) * 1'000'000'000);
  words::Lap* made = event.mutable_lap();
  made->set_car(car);
  made->set_lap(number);
  made->set_kind(words::Lap::TIMED);
  made->set_lap_time_ms(ms);
  made->set_started_at_ms(1'700'000'000'000 + number);
  made->set_evidence("gps-line");
  made->set_revision(revision);
  return event_entry(sequence, event, car);
}

inline Entry tombstone(std::uint64_t sequence, std::uint64_t incarnation, Range range) {
  words::Event event;
  words::Tombstone* made = event.mutable_tombstone();
  made->set_incarnation(incarnation);
  made->set_first(range.first);
  made->set_last(range.last);
  made->set_reason("evicted");
  made->set_records(7);
  return event_entry(sequence, event);
}

inline words::Frame hello(const Uuid& box, const Uuid& session) {
  words::Frame frame;
  words::Hello* made = frame.mutable_hello();
  made->set_version(1);
  made->set_box_id(box.raw());
  made->set_session_id(session.raw());
  made->set_session_name("FP1");
  made->set_session_type("practice");
  return frame;
}

inline words::Frame subscribe(const Uuid& session, bool live, bool history) {
  words::Frame frame;
  words::Subscribe* made = frame.mutable_subscribe();
  made->set_version(1);
  made->set_session_id(session.raw());
  made->set_live(live);
  made->set_history(history);
  return frame;
}

inline words::Frame define(const DefinitionPtr& definition) {
  words::Frame frame;
  frame.mutable_definition()->set_name(
      std::string(definition->name().begin(), definition->name().end()));
  frame.mutable_definition()->set_content(std::string(definition->bytes()));
  return frame;
}

inline std::vector<words::Frame> parts(const Entry& entry, std::size_t part_bytes = 1 << 16,
                                       words::Lane lane = words::LIVE) {
  std::vector<words::Frame> frames;
  for (std::size_t offset = 0; offset < entry.bytes.size(); offset += part_bytes) {
    words::Part* part = frames.emplace_back().mutable_part();
    part->set_incarnation(entry.incarnation);
    part->set_first(entry.sequence);
    part->set_last(entry.sequence);
    part->set_kind(entry.is_event ? words::EVENT : words::BATCH);
    part->set_lane(lane);
    part->set_offset(offset);
    part->set_total(entry.bytes.size());
    part->set_bytes(entry.bytes.substr(offset, part_bytes));
    if (offset > 0) continue;
    part->add_hashes(entry.hash);
    part->set_car(entry.car);
    for (const DefinitionPtr& used : entry.definitions) {
      part->add_definitions(std::string(used->name().begin(), used->name().end()));
    }
  }
  return frames;
}

inline words::Frame finished(const std::map<std::uint64_t, std::uint64_t>& finals) {
  words::Frame frame;
  words::SessionFinished* made = frame.mutable_session_finished();
  for (const auto& [incarnation, last] : finals) {
    words::FinalSequence* item = made->add_finals();
    item->set_incarnation(incarnation);
    item->set_last(last);
  }
  return frame;
}

// What a viewer was given: the parts put together again, in order.
class Received {
 public:
  void add(const words::Frame& frame) {
    if (frame.has_definition()) known_.push_back(frame.definition().name());
    if (frame.has_history_end()) history_end = frame.history_end().entries();
    if (frame.has_live_view()) ++live_views;
    if (frame.has_ack()) acknowledge(frame.ack());
    if (!frame.has_part()) return;
    const words::Part& part = frame.part();
    if (part.offset() == 0) {
      for (const std::string& name : part.definitions()) {
        EXPECT_NE(std::find(known_.begin(), known_.end(), name), known_.end())
            << "a batch came before its definition";
      }
      open_ = Entry{part.incarnation(),
                    part.first(),
                    part.kind() == words::EVENT,
                    part.car(),
                    part.bytes(),
                    part.hashes(0),
                    {}};
    } else {
      EXPECT_EQ(part.offset(), open_.bytes.size());
      open_.bytes += part.bytes();
    }
    if (open_.bytes.size() == part.total()) entries.push_back(open_);
  }
  std::vector<std::uint64_t> sequences() const {
    std::vector<std::uint64_t> out;
    for (const Entry& entry : entries) out.push_back(entry.sequence);
    return out;
  }

  std::vector<Entry> entries;
  std::optional<std::uint64_t> history_end;
  std::map<std::uint64_t, RangeSet> acknowledged;
  int live_views = 0;

 private:
  void acknowledge(const words::Ack& ack) {
    if (ack.through() > 0) acknowledged[ack.incarnation()].add(Range{1, ack.through()});
    for (const words::Range& range : ack.ranges()) {
      acknowledged[ack.incarnation()].add(Range{range.first(), range.last()});
    }
  }
  std::vector<std::string> known_;
  Entry open_;
};

// Keeps what a room says. Every binary frame must be one that parse_frame() takes.
class FakeOutbound final : public Outbound {
 public:
  void send(ConnectionId to, SharedFrame frame) override {
    ASSERT_FALSE(closed.contains(to)) << "a closed connection was spoken to";
    if (frame->starts_with('{')) {
      texts[to].push_back(*frame);
    } else {
      auto parsed = parse_frame(*frame);
      ASSERT_TRUE(parsed.ok()) << parsed.status().message();
      received[to].add(parsed.value());
      frames[to].push_back(std::move(parsed).take());
    }
    if (stuck.contains(to)) stuck[to] += frame->size();
  }
  void close(ConnectionId to, CloseCode code, std::string_view) override { closed[to] = code; }
  std::size_t queued_bytes(ConnectionId to) const override {
    const auto found = stuck.find(to);
    return found == stuck.end() ? 0 : found->second;
  }

  const words::Frame* last(ConnectionId id, words::Frame::BodyCase body) {
    for (auto it = frames[id].rbegin(); it != frames[id].rend(); ++it) {
      if (it->body_case() == body) return &*it;
    }
    return nullptr;
  }
  int count(ConnectionId id, words::Frame::BodyCase body) {
    int n = 0;
    for (const words::Frame& frame : frames[id]) n += frame.body_case() == body ? 1 : 0;
    return n;
  }

  std::map<ConnectionId, std::vector<words::Frame>> frames;
  std::map<ConnectionId, std::vector<std::string>> texts;
  std::map<ConnectionId, Received> received;
  std::map<ConnectionId, CloseCode> closed;
  std::map<ConnectionId, std::size_t> stuck;  // Connections that take nothing, and what waits.
};

}  // namespace pitbox::testing
