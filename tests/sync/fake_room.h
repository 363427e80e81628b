// A room in memory that holds a box to the letter of proto/ROOM.md: parts in order, one open entry
// per lane, definitions before use, no entry under a hash it does not know. What it takes is
// durable only after commit(), as with a disk.

#pragma once

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proto/content_hash.h"
#include "proto/frames.h"

namespace pitbox::testing {

class FakeRoom {
 public:
  using Key = std::pair<std::uint64_t, std::uint64_t>;  // Incarnation, sequence.
  struct Arrival {
    Key key;
    words::Lane lane = words::LANE_UNSPECIFIED;
    friend bool operator==(const Arrival&, const Arrival&) = default;
  };

  // A connection begins or ends: what was half there is forgotten.
  void connect() {
    open_ = {};
    replies.clear();
    greeted = false;
  }
  void take(const std::string& bytes) {
    const auto parsed = parse_frame(bytes);
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    const words::Frame& frame = parsed.value();
    ASSERT_TRUE(greeted || frame.has_hello());
    if (frame.has_hello()) {
      ASSERT_FALSE(greeted) << "a second Hello";
      take_hello(frame.hello());
    }
    if (frame.has_definition()) definitions.insert(frame.definition().name());
    if (frame.has_part()) take_part(frame.part());
    if (frame.has_live_view()) live_views.push_back(frame.live_view());
    if (frame.has_session_finished()) {
      finished = frame.session_finished();
      complete_if_held();
    }
  }
  // Makes durable what has arrived, and acknowledges it.
  void commit() {
    std::map<std::uint64_t, RangeSet> news;
    for (auto& [key, hash] : pending) {
      held[key] = hash;
      news[key.first].add(key.second);
    }
    pending.clear();
    for (const auto& [incarnation, ranges] : news) acknowledge(incarnation, ranges);
    complete_if_held();
  }
  // A power cut: what was not committed is gone.
  void crash() { pending.clear(); }
  // To the box that said Hello; nobody hears what becomes durable between two connections.
  void send(const words::Frame& frame) {
    if (greeted) replies.push_back(serialise(frame));
  }
  std::optional<std::string> next_reply() {
    if (replies.empty()) return std::nullopt;
    std::string reply = std::move(replies.front());
    replies.pop_front();
    return reply;
  }

  std::map<Key, std::string> held;     // Durable: key -> hash.
  std::uint64_t shown_from = 0;        // As in a Welcome.
  std::set<Key> answered;              // Of what is held, by a tombstone only.
  std::map<Key, std::string> pending;  // Arrived, not durable.
  std::set<std::string> definitions;
  std::vector<Arrival> arrivals;  // Complete entries, in order.
  std::vector<words::LiveView> live_views;
  std::optional<words::SessionFinished> finished;
  words::Hello hello;
  std::deque<std::string> replies;
  std::uint64_t store = 7;
  bool greeted = false;
  bool welcomes = true;
  int resent_held = 0;  // Entries that came although this connection's Welcome named them.
  int again = 0;  // Entries that came although they had been acknowledged or were on their way.

 private:
  struct Open {
    Key key;
    std::string bytes;
    std::string hash;
  };

  void take_hello(const words::Hello& said) {
    greeted = true;
    hello = said;
    if (!welcomes) return;
    welcomed_ = held;
    words::Frame frame;
    words::Welcome& welcome = *frame.mutable_welcome();
    welcome.set_store(store);
    welcome.set_version(1);
    std::map<std::uint64_t, RangeSet> ranges;
    for (const auto& [key, hash] : held) ranges[key.first].add(key.second);
    for (const auto& [incarnation, set] : ranges) {
      words::Held& one = *welcome.add_held();
      one.set_incarnation(incarnation);
      add_ranges(set, kMaxRanges, one.mutable_ranges());
      add_contents(said, incarnation, one);
    }
    for (const std::string& name : definitions) welcome.add_definitions(name);
    send(frame);
  }
  void add_contents(const words::Hello& said, std::uint64_t incarnation, words::Held& one) const {
    RangeSet known;
    for (const words::IncarnationState& state : said.incarnations()) {
      const bool is_it = state.incarnation() == incarnation && state.known_store() == store;
      if (is_it) known = to_range_set(state.known());
    }
    if (shown_from != 0) one.set_shown_from(shown_from);
    std::uint64_t next = 0;  // Sequence that would go on the latest run.
    for (auto it = held.lower_bound({incarnation, shown_from});
         it != held.end() && it->first.first == incarnation; ++it) {
      const std::uint64_t sequence = it->first.second;
      if (known.contains(sequence) || answered.contains(it->first)) continue;
      if (sequence != next) one.add_contents()->set_first(sequence);
      one.mutable_contents()->rbegin()->add_hashes(short_hash(it->second));
      next = sequence + 1;
    }
  }
  void take_part(const words::Part& part) {
    auto& open = open_.at(part.lane() == words::LIVE ? 0 : 1);
    if (part.offset() == 0) {
      for (const std::string& name : part.definitions()) {
        ASSERT_TRUE(definitions.contains(name)) << "a batch before its definition";
      }
      ASSERT_EQ(part.hashes_size(), 1);
      open = Open{{part.incarnation(), part.first()}, {}, part.hashes(0)};
    }
    ASSERT_TRUE(open.has_value());
    ASSERT_EQ(open->key, Key(part.incarnation(), part.first()));
    ASSERT_EQ(open->bytes.size(), part.offset());
    open->bytes += part.bytes();
    if (open->bytes.size() < part.total()) return;
    const Open entry = *std::exchange(open, std::nullopt);
    ASSERT_EQ(hash_event(entry.bytes).raw(), entry.hash) << "the bytes arrived otherwise";
    arrivals.push_back({entry.key, part.lane()});
    if (welcomed_.contains(entry.key)) ++resent_held;
    if (held.contains(entry.key) || pending.contains(entry.key)) {
      ++again;
      const std::string& known =
          held.contains(entry.key) ? held.at(entry.key) : pending.at(entry.key);
      if (known != entry.hash) return conflict(entry.key, known);
      if (held.contains(entry.key)) acknowledge_one(entry.key);
      return;
    }
    pending[entry.key] = entry.hash;
  }
  void conflict(const Key& key, const std::string& known) {
    words::Frame frame;
    frame.mutable_conflict()->set_incarnation(key.first);
    frame.mutable_conflict()->set_first(key.second);
    frame.mutable_conflict()->set_last(key.second);
    frame.mutable_conflict()->set_held_hash(known);
    send(frame);
  }
  void acknowledge_one(const Key& key) {
    RangeSet one;
    one.add(key.second);
    acknowledge(key.first, one);
  }
  void acknowledge(std::uint64_t incarnation, const RangeSet& news) {
    RangeSet all;
    for (auto it = held.lower_bound({incarnation, 0});
         it != held.end() && it->first.first == incarnation; ++it) {
      all.add(it->first.second);
    }
    const auto& ranges = news.ranges();
    for (std::size_t from = 0; from < ranges.size(); from += kMaxAckRanges) {
      words::Frame frame;
      frame.mutable_ack()->set_incarnation(incarnation);
      frame.mutable_ack()->set_through(all.through());
      for (std::size_t i = from; i < std::min(ranges.size(), from + kMaxAckRanges); ++i) {
        if (ranges[i].first <= all.through() + 1) continue;
        words::Range& range = *frame.mutable_ack()->add_ranges();
        range.set_first(ranges[i].first);
        range.set_last(ranges[i].last);
      }
      send(frame);
    }
  }
  void complete_if_held() {
    if (!finished) return;
    for (const words::FinalSequence& final : finished->finals()) {
      for (std::uint64_t sequence = 1; sequence <= final.last(); ++sequence) {
        if (!held.contains({final.incarnation(), sequence})) return;
      }
    }
    words::Frame frame;
    frame.mutable_session_complete();
    send(frame);
    finished.reset();
  }

  std::array<std::optional<Open>, 2> open_;
  std::map<Key, std::string> welcomed_;
};

}  // namespace pitbox::testing
