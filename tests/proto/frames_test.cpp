// Goal: what parse_frame() accepts is within every bound of ROOM.md, and nothing within them is
// refused. Method: one valid frame of each kind, then each bound at its limit and one beyond it.

#include "proto/frames.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "proto/batch.h"
#include "proto/event.h"

namespace pitbox {
namespace {

words::Frame valid_part() {
  words::Frame frame;
  words::Part* part = frame.mutable_part();
  part->set_incarnation(7);
  part->set_first(1);
  part->set_last(1);
  part->set_kind(words::BATCH);
  part->set_lane(words::LIVE);
  part->set_total(10);
  part->set_bytes("0123456789");
  part->add_hashes(std::string(16, 'h'));
  part->set_car("27");
  part->add_definitions(std::string(32, 'd'));
  return frame;
}

words::Frame valid_hello() {
  words::Frame frame;
  words::Hello* hello = frame.mutable_hello();
  hello->set_version(1);
  hello->set_box_id(std::string(16, 'b'));
  hello->set_session_id(std::string(16, 's'));
  words::IncarnationState* state = hello->add_incarnations();
  state->set_incarnation(7);
  state->set_first(1);
  state->set_last(9);
  return frame;
}

words::Frame valid_ack() {
  words::Frame frame;
  frame.mutable_ack()->set_incarnation(7);
  frame.mutable_ack()->set_through(3);
  return frame;
}

void add_range(google::protobuf::RepeatedPtrField<words::Range>* ranges, std::uint64_t first,
               std::uint64_t last) {
  words::Range* range = ranges->Add();
  range->set_first(first);
  range->set_last(last);
}

bool is_accepted(const words::Frame& frame) {
  const auto parsed = parse_frame(serialise(frame));
  if (!parsed.ok()) {
    EXPECT_EQ(parsed.status().code(), Code::kCorrupt);
    EXPECT_FALSE(parsed.status().message().empty());
  }
  return parsed.ok();
}

// The frame after a change to its part.
words::Frame part_with(const std::function<void(words::Part&)>& change) {
  words::Frame frame = valid_part();
  change(*frame.mutable_part());
  return frame;
}

TEST(Frames, OneOfEachKindComesBackAsItWas) {
  std::vector<words::Frame> frames{valid_part(), valid_hello(), valid_ack()};
  frames.emplace_back().mutable_welcome()->set_version(1);
  words::Definition* definition = frames.emplace_back().mutable_definition();
  definition->set_name(std::string(32, 'n'));
  definition->set_content("content");
  words::Conflict* conflict = frames.emplace_back().mutable_conflict();
  conflict->set_incarnation(7);
  conflict->set_first(2);
  conflict->set_last(2);
  conflict->set_held_hash(std::string(16, 'h'));
  frames.emplace_back().mutable_session_finished()->add_finals()->set_incarnation(7);
  frames.emplace_back().mutable_session_complete();
  words::Pull* pull = frames.emplace_back().mutable_pull();
  pull->set_incarnation(7);
  add_range(pull->mutable_ranges(), 1, 2);
  frames.emplace_back().mutable_slow()->set_for_ms(10);
  frames.emplace_back().mutable_goodbye()->set_reason("server_closing");
  frames.emplace_back().mutable_live_view()->add_values()->set_value(1.5);
  frames.emplace_back().mutable_subscribe()->set_session_id(std::string(16, 's'));
  frames.emplace_back().mutable_history_end()->set_entries(3);
  for (const words::Frame& frame : frames) {
    const std::string bytes = serialise(frame);
    const auto parsed = parse_frame(bytes);
    ASSERT_TRUE(parsed.ok()) << frame.body_case() << ": " << parsed.status().message();
    EXPECT_EQ(serialise(parsed.value()), bytes);
  }
}

TEST(Frames, EveryTruncationIsRefusedOrStillWithinTheBounds) {
  const std::string bytes = serialise(valid_part());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const auto parsed = parse_frame(std::string_view(bytes).substr(0, length));
    EXPECT_FALSE(parsed.ok()) << length;
  }
}

TEST(Frames, AFrameIsAtMostOneMiB) {
  words::Frame frame = valid_part();
  frame.mutable_part()->set_total(kMaxFrameBytes);
  const std::size_t around = serialise(frame).size() + 2;  // A longer length prefix twice.
  frame.mutable_part()->set_bytes(std::string(kMaxFrameBytes - around - 8, 'x'));
  while (serialise(frame).size() < kMaxFrameBytes) {
    frame.mutable_part()->mutable_bytes()->push_back('x');
  }
  ASSERT_EQ(serialise(frame).size(), kMaxFrameBytes);
  EXPECT_TRUE(is_accepted(frame));
  frame.mutable_part()->mutable_bytes()->push_back('x');
  EXPECT_FALSE(is_accepted(frame));
}

TEST(Frames, AFrameOfNoKindIsRefused) {
  EXPECT_FALSE(parse_frame("").ok());
  EXPECT_FALSE(parse_frame("\xF2\x3F\x01x").ok());  // A kind of a later version.
  EXPECT_FALSE(parse_frame("not protobuf").ok());
}

TEST(Frames, APartsKeyIsARangeOfAnIncarnation) {
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.set_incarnation(0); })));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.set_first(0); })));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.set_first(2); })));
  const auto at = [](std::uint64_t sequence) {
    return part_with([=](auto& p) {
      p.set_first(sequence);
      p.set_last(sequence);
    });
  };
  EXPECT_TRUE(is_accepted(at(kMaxSequence)));
  EXPECT_FALSE(is_accepted(at(kMaxSequence + 1)));
  EXPECT_FALSE(is_accepted(at(std::numeric_limits<std::uint64_t>::max())));
}

TEST(Frames, APartStaysInsideItsEntry) {
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.set_total(9); })));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.set_total(0); })));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.clear_bytes(); })));
  EXPECT_TRUE(is_accepted(part_with([](auto& p) { p.set_total(kMaxBatchBytes); })));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.set_total(kMaxBatchBytes + 1); })));
  const auto continued = [](std::uint64_t offset) {
    return part_with([=](auto& p) {
      p.set_total(100);
      p.set_offset(offset);
      p.clear_hashes();
      p.clear_car();
      p.clear_definitions();
    });
  };
  EXPECT_TRUE(is_accepted(continued(90)));
  EXPECT_FALSE(is_accepted(continued(91)));
  EXPECT_FALSE(is_accepted(continued(std::numeric_limits<std::uint64_t>::max())));
}

TEST(Frames, TheFirstPartDescribesItsEntryAndNoOtherDoes) {
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.clear_hashes(); })));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.add_hashes(std::string(16, 'x')); })));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.set_hashes(0, std::string(15, 'x')); })));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.set_definitions(0, std::string(31, 'x')); })));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.set_kind(words::ENTRY_KIND_UNSPECIFIED); })));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.set_lane(words::LANE_UNSPECIFIED); })));
  EXPECT_TRUE(is_accepted(part_with([](auto& p) { p.set_car(std::string(256, 'c')); })));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.set_car(std::string(257, 'c')); })));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.set_box_id("short"); })));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) {
    p.set_total(20);
    p.set_offset(10);
  }))) << "a later part with a description";
}

TEST(Frames, AnEventHasOneSequenceAndNoDefinitions) {
  const auto event = [](auto& p) {
    p.set_kind(words::EVENT);
    p.clear_definitions();
  };
  EXPECT_TRUE(is_accepted(part_with(event)));
  EXPECT_FALSE(is_accepted(part_with([](auto& p) { p.set_kind(words::EVENT); })));
  EXPECT_FALSE(is_accepted(part_with([&](auto& p) {
    event(p);
    p.set_last(2);
    p.add_hashes(std::string(16, 'h'));
  })));
  EXPECT_FALSE(is_accepted(part_with([&](auto& p) {
    event(p);
    p.set_total(kMaxEventBytes + 1);
  })));
}

TEST(Frames, AnEntryHasAtMost4096SequencesWithAHashEach) {
  const auto block = [](std::uint64_t sequences) {
    return part_with([=](auto& p) {
      p.set_last(sequences);
      while (p.hashes_size() < static_cast<int>(sequences)) p.add_hashes(std::string(16, 'h'));
    });
  };
  EXPECT_TRUE(is_accepted(block(kMaxSequencesPerEntry)));
  EXPECT_FALSE(is_accepted(block(kMaxSequencesPerEntry + 1)));
}

TEST(Frames, HelloNamesBoxSessionAndEachIncarnationOnce) {
  const auto with = [](const std::function<void(words::Hello&)>& change) {
    words::Frame frame = valid_hello();
    change(*frame.mutable_hello());
    return is_accepted(frame);
  };
  EXPECT_FALSE(with([](auto& h) { h.set_box_id("short"); }));
  EXPECT_FALSE(with([](auto& h) { h.clear_session_id(); }));
  EXPECT_FALSE(with([](auto& h) { h.set_session_type("regatta"); }));
  EXPECT_TRUE(with([](auto& h) { h.set_session_type("race"); }));
  EXPECT_FALSE(with([](auto& h) { h.set_software(std::string(257, 'x')); }));
  EXPECT_FALSE(with([](auto& h) { *h.add_incarnations() = h.incarnations(0); }));
  EXPECT_FALSE(with([](auto& h) { h.mutable_incarnations(0)->set_first(11); }));
  EXPECT_TRUE(with([](auto& h) { h.mutable_incarnations(0)->set_first(10); })) << "all evicted";
  EXPECT_TRUE(with([](auto& h) { h.mutable_incarnations(0)->set_last(0); })) << "nothing yet";
  const auto many = [](int count) {
    return [=](words::Hello& h) {
      while (h.incarnations_size() < count) {
        words::IncarnationState* state = h.add_incarnations();
        state->set_incarnation(100 + static_cast<std::uint64_t>(h.incarnations_size()));
        state->set_first(1);
      }
    };
  };
  EXPECT_TRUE(with(many(kMaxIncarnations)));
  EXPECT_FALSE(with(many(kMaxIncarnations + 1)));
}

TEST(Frames, RangesAreSortedDisjointAndApart) {
  const auto with = [](const std::vector<Range>& ranges) {
    words::Frame frame = valid_ack();
    for (const Range& r : ranges) add_range(frame.mutable_ack()->mutable_ranges(), r.first, r.last);
    return is_accepted(frame);
  };
  EXPECT_TRUE(with({{5, 6}, {8, 8}}));
  EXPECT_FALSE(with({{4, 6}})) << "adjacent to through";
  EXPECT_FALSE(with({{5, 6}, {7, 8}})) << "adjacent";
  EXPECT_FALSE(with({{8, 8}, {5, 6}})) << "not sorted";
  EXPECT_FALSE(with({{6, 5}}));
  EXPECT_FALSE(with({{0, 5}}));
  std::vector<Range> many;
  for (std::uint64_t i = 0; i < 64; ++i) many.push_back({10 + 2 * i, 10 + 2 * i});
  EXPECT_TRUE(with(many));
  many.push_back({1000, 1000});
  EXPECT_FALSE(with(many));
}

TEST(Frames, AWelcomeOfTheGreatestSizeFitsAFrame) {
  words::Frame frame;
  words::Welcome* welcome = frame.mutable_welcome();
  welcome->set_software(std::string(kMaxTextBytes, 's'));
  for (int i = 0; i < kMaxWelcomeDefinitions; ++i) welcome->add_definitions(std::string(32, 'd'));
  std::uint64_t at = kMaxSequence;
  for (int i = 0; i < kMaxIncarnations; ++i) {
    words::Held* held = welcome->add_held();
    held->set_incarnation(std::numeric_limits<std::uint64_t>::max() - static_cast<unsigned>(i));
    at = kMaxSequence - 100;
    for (int r = 0; r < kMaxWelcomeRanges / kMaxIncarnations; ++r, at += 3) {
      add_range(held->mutable_ranges(), at, at + 1);
    }
  }
  words::Held* held = welcome->mutable_held(0);
  for (int i = 0; i < kMaxHeldContents; ++i) {
    words::HeldContent* run = held->add_contents();
    run->set_first(kMaxSequence / 2 + static_cast<std::uint64_t>(i) * 100);
    for (int h = 0; h < kMaxHeldHashes / kMaxHeldContents; ++h) run->add_hashes(7);
  }
  EXPECT_LE(serialise(frame).size(), kMaxFrameBytes);
  EXPECT_TRUE(is_accepted(frame));
  add_range(welcome->mutable_held(0)->mutable_ranges(), at + 1, at + 1);
  EXPECT_FALSE(is_accepted(frame));
}

TEST(Frames, WhatABoxKnowsIsBounded) {
  words::Frame frame = valid_hello();
  words::IncarnationState* state = frame.mutable_hello()->mutable_incarnations(0);
  for (std::uint64_t i = 0; i < kMaxKnownRanges; ++i) {
    add_range(state->mutable_known(), 1 + 2 * i, 1 + 2 * i);
  }
  EXPECT_TRUE(is_accepted(frame));
  for (int i = 1; i <= kMaxHelloRanges / kMaxKnownRanges; ++i) {
    words::IncarnationState* more = frame.mutable_hello()->add_incarnations();
    *more = *state;
    more->set_incarnation(1000 + static_cast<std::uint64_t>(i));
    state = frame.mutable_hello()->mutable_incarnations(0);
  }
  EXPECT_LE(serialise(frame).size(), kMaxFrameBytes);
  EXPECT_FALSE(is_accepted(frame)) << "one incarnation too many";
  frame.mutable_hello()->mutable_incarnations()->RemoveLast();
  EXPECT_TRUE(is_accepted(frame));
  add_range(frame.mutable_hello()->mutable_incarnations(0)->mutable_known(), 900, 900);
  EXPECT_FALSE(is_accepted(frame)) << "65 in one";
}

TEST(Frames, HeldContentsAreSortedApartAndBounded) {
  const auto with = [](const std::vector<std::pair<std::uint64_t, int>>& runs) {
    words::Frame frame;
    frame.mutable_welcome()->set_version(1);
    words::Held* held = frame.mutable_welcome()->add_held();
    held->set_incarnation(1);
    for (const auto& [first, count] : runs) {
      words::HeldContent* run = held->add_contents();
      run->set_first(first);
      for (int i = 0; i < count; ++i) run->add_hashes(7);
    }
    return is_accepted(frame);
  };
  EXPECT_TRUE(with({{1, 2}, {4, 1}}));
  EXPECT_FALSE(with({{1, 2}, {3, 1}})) << "adjacent";
  EXPECT_FALSE(with({{4, 1}, {1, 2}})) << "not sorted";
  EXPECT_FALSE(with({{0, 1}}));
  EXPECT_FALSE(with({{1, 0}}));
  EXPECT_FALSE(with({{kMaxSequence, 2}}));
  EXPECT_TRUE(with({{1, kMaxHeldHashes}}));
  EXPECT_FALSE(with({{1, kMaxHeldHashes}, {kMaxHeldHashes + 2, 1}}));
  std::vector<std::pair<std::uint64_t, int>> many;
  for (std::uint64_t i = 0; i < kMaxHeldContents; ++i) many.emplace_back(1 + 2 * i, 1);
  EXPECT_TRUE(with(many));
  many.emplace_back(1'000'000, 1);
  EXPECT_FALSE(with(many));
}

TEST(Frames, LiveValuesAreFiniteAndAtMost64) {
  words::Frame frame;
  for (int i = 0; i < 64; ++i) frame.mutable_live_view()->add_values()->set_value(i);
  EXPECT_TRUE(is_accepted(frame));
  for (const double bad :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    frame.mutable_live_view()->mutable_values(0)->set_value(bad);
    EXPECT_FALSE(is_accepted(frame));
  }
  frame.mutable_live_view()->mutable_values(0)->set_value(0);
  frame.mutable_live_view()->add_values();
  EXPECT_FALSE(is_accepted(frame));
}

TEST(Frames, ADefinitionHasANameAndFitsAFrame) {
  words::Frame frame;
  frame.mutable_definition()->set_name(std::string(32, 'n'));
  EXPECT_FALSE(is_accepted(frame)) << "empty";
  frame.mutable_definition()->set_content(std::string(kMaxDefinitionFrameBytes, 'c'));
  EXPECT_TRUE(is_accepted(frame));
  frame.mutable_definition()->set_name("short");
  EXPECT_FALSE(is_accepted(frame));
}

TEST(Frames, TheNewestRangesAreKeptWhenThereAreTooMany) {
  RangeSet set;
  for (std::uint64_t i = 1; i < 100; i += 2) set.add(i);
  words::Ack ack;
  add_ranges(set, 3, ack.mutable_ranges());
  RangeSet want;
  for (const std::uint64_t i : {95U, 97U, 99U}) want.add(i);
  EXPECT_EQ(to_range_set(ack.ranges()), want);
}

TEST(Frames, CloseCodesHaveNames) {
  EXPECT_EQ(to_string(CloseCode::kReplaced), "replaced");
  EXPECT_EQ(to_string(CloseCode::kStorageFull), "storage_full");
  EXPECT_EQ(static_cast<int>(CloseCode::kProtocolError), 4011);
}

}  // namespace
}  // namespace pitbox
