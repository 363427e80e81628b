// Goal: an event comes back from its bytes as it was, and one that breaks a limit is refused.
// Method: one of each kind, each limit and one beyond it, every truncation.

#include "proto/event.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>
#include <vector>

#include "proto/content_hash.h"

namespace pitbox {
namespace {

words::Lap lap() {
  words::Lap made;
  made.set_car("27");
  made.set_lap(3);
  made.set_kind(words::Lap::TIMED);
  made.set_lap_time_ms(69'961);
  made.add_sector_time_ms(30'000);
  made.add_sector_time_ms(39'961);
  made.set_started_at_ms(1'700'000'000'000);
  made.set_evidence("gps-line");
  return made;
}

std::vector<std::pair<std::string, words::Event>> one_of_each() {
  std::vector<std::pair<std::string, words::Event>> all;
  const auto add = [&](const char* kind) -> words::Event& {
    auto& event = all.emplace_back(kind, words::Event()).second;
    event.set_time_ns(12'345'678'901);
    return event;
  };
  auto& anchor = *add("clock_anchor").mutable_clock_anchor();
  anchor.set_boot_id("11111111-2222-3333-4444-555555555555");
  anchor.set_boot_time_ns(5);
  anchor.set_wall_time_ns(1'700'000'000'000'000'000);
  auto& start = *add("session_start").mutable_session_start();
  start.set_session_id(std::string(16, '\x01'));
  start.set_name("Sebring");
  start.set_type("race");
  add("session_end").mutable_session_end()->set_wall_time_ms(1'700'000'000'000);
  add("session_bound").mutable_session_bound()->set_platform_id("p-1");
  *add("lap").mutable_lap() = lap();
  auto& gap = *add("gap").mutable_gap();
  gap.set_source("udp");
  gap.set_reason("kernel_drop");
  gap.set_from_ns(10);
  gap.set_to_ns(20);
  gap.set_count_known(true);
  gap.set_count(7);
  auto& tombstone = *add("tombstone").mutable_tombstone();
  tombstone.set_incarnation(1);
  tombstone.set_first(1);
  tombstone.set_last(2);
  *tombstone.add_laps() = lap();
  add("mark").mutable_mark()->set_text("incident at turn 7");
  return all;
}

words::Event event_of(const std::string& kind) {
  for (auto& [name, event] : one_of_each()) {
    if (name == kind) return event;
  }
  return {};
}

bool is_accepted_event(const words::Event& event) {
  return parse_event(event.SerializeAsString()).ok();
}

TEST(Event, OfEachKindComesBackAsItWas) {
  for (const auto& [kind, event] : one_of_each()) {
    EXPECT_EQ(event_kind(event), kind);
    const std::string bytes = serialise_event(event);
    const auto parsed = parse_event(bytes);
    ASSERT_TRUE(parsed.ok()) << kind << ": " << parsed.status().message();
    EXPECT_EQ(serialise_event(parsed.value()), bytes);
    EXPECT_EQ(event_kind(parsed.value()), kind);
  }
}

TEST(Event, NeverCrashesOnATruncation) {
  for (const auto& [kind, event] : one_of_each()) {
    const std::string bytes = serialise_event(event);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const auto parsed = parse_event(bytes.substr(0, size));
      if (!parsed.ok()) {
        EXPECT_EQ(parsed.status().code(), Code::kCorrupt);
        continue;
      }
      EXPECT_NE(serialise_event(parsed.value()), bytes);
    }
  }
}

TEST(Event, MustSaySomethingThisVersionKnows) {
  EXPECT_FALSE(parse_event("").ok());
  words::Event silent;
  silent.set_time_ns(5);
  EXPECT_FALSE(is_accepted_event(silent));
  EXPECT_EQ(event_kind(silent), "");
  EXPECT_FALSE(parse_event(std::string("\xA2\x06\x00", 3)).ok());  // Field 100.
}

TEST(Event, CarriesFieldsOfANewerVersionAlong) {
  const std::string bytes = serialise_event(event_of("mark")) + std::string("\xA2\x06\x01x", 4);
  const auto parsed = parse_event(bytes);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(serialise_event(parsed.value()), bytes);
}

TEST(Event, IsHeldToItsSize) {
  words::Event event = event_of("tombstone");
  auto& tombstone = *event.mutable_tombstone();
  while (tombstone.laps_size() < static_cast<int>(kMaxTombstoneLaps)) {
    *tombstone.add_laps() = lap();
  }
  EXPECT_TRUE(is_accepted_event(event));
  *tombstone.add_laps() = lap();
  EXPECT_FALSE(is_accepted_event(event));
  EXPECT_FALSE(parse_event(std::string(kMaxEventBytes + 1, '\0')).ok());
}

void expect_text_limit(const char* kind,
                       const std::function<void(words::Event&, const std::string&)>& set) {
  words::Event event = event_of(kind);
  set(event, std::string(kMaxEventTextBytes, 'x'));
  EXPECT_TRUE(is_accepted_event(event)) << kind;
  set(event, std::string(kMaxEventTextBytes + 1, 'x'));
  EXPECT_FALSE(is_accepted_event(event)) << kind;
  set(event, "a\nb");
  EXPECT_FALSE(is_accepted_event(event)) << kind;
  set(event, "\xFF");
  EXPECT_FALSE(is_accepted_event(event)) << kind;
}

TEST(Event, IsHeldToTheLengthOfItsTexts) {
  using Event = words::Event;
  using Text = std::string;
  expect_text_limit("clock_anchor", [](Event& event, const Text& text) {
    event.mutable_clock_anchor()->set_boot_id(text);
  });
  expect_text_limit("session_start", [](Event& event, const Text& text) {
    event.mutable_session_start()->set_name(text);
  });
  expect_text_limit("session_bound", [](Event& event, const Text& text) {
    event.mutable_session_bound()->set_platform_id(text);
  });
  expect_text_limit("lap",
                    [](Event& event, const Text& text) { event.mutable_lap()->set_car(text); });
  expect_text_limit("gap",
                    [](Event& event, const Text& text) { event.mutable_gap()->set_reason(text); });
  expect_text_limit("tombstone", [](Event& event, const Text& text) {
    event.mutable_tombstone()->set_reason(text);
  });
  expect_text_limit("mark",
                    [](Event& event, const Text& text) { event.mutable_mark()->set_text(text); });
}

void expect_refused(const char* kind, const std::function<void(words::Event&)>& spoil) {
  words::Event event = event_of(kind);
  ASSERT_TRUE(is_accepted_event(event));
  spoil(event);
  EXPECT_FALSE(is_accepted_event(event)) << kind;
}

TEST(Event, IsRefusedIfItCannotHaveHappened) {
  using Event = words::Event;
  expect_refused("mark", [](Event& e) { e.set_time_ns(-1); });
  expect_refused("clock_anchor", [](Event& e) { e.mutable_clock_anchor()->clear_boot_id(); });
  expect_refused("clock_anchor", [](Event& e) { e.mutable_clock_anchor()->set_boot_time_ns(-1); });
  expect_refused("session_start", [](Event& e) { e.mutable_session_start()->set_session_id("x"); });
  expect_refused("session_end", [](Event& e) { e.mutable_session_end()->set_wall_time_ms(-1); });
  expect_refused("session_end",
                 [](Event& e) { e.mutable_session_end()->set_wall_time_ms(253'402'300'800'000); });
  expect_refused("lap", [](Event& e) { e.mutable_lap()->clear_car(); });
  expect_refused("lap", [](Event& e) { e.mutable_lap()->clear_kind(); });
  expect_refused("lap", [](Event& e) { e.mutable_lap()->set_lap_time_ms(-1); });
  expect_refused("lap", [](Event& e) { e.mutable_lap()->set_sector_time_ms(0, -1); });
  expect_refused("lap", [](Event& e) { e.mutable_lap()->set_lap(1'000'001); });
  expect_refused("gap", [](Event& e) { e.mutable_gap()->set_from_ns(21); });
  expect_refused("gap", [](Event& e) { e.mutable_gap()->set_count_known(false); });
  expect_refused("tombstone", [](Event& e) { e.mutable_tombstone()->set_first(0); });
  expect_refused("tombstone", [](Event& e) { e.mutable_tombstone()->set_first(3); });
  expect_refused("tombstone", [](Event& e) { e.mutable_tombstone()->set_incarnation(0); });
  expect_refused("tombstone",
                 [](Event& e) { e.mutable_tombstone()->mutable_laps(0)->clear_kind(); });
}

TEST(Event, HasAtMostSixtyFourSectorsInALap) {
  words::Event event = event_of("lap");
  while (event.lap().sector_time_ms_size() < 64) event.mutable_lap()->add_sector_time_ms(1);
  EXPECT_TRUE(is_accepted_event(event));
  event.mutable_lap()->add_sector_time_ms(1);
  EXPECT_FALSE(is_accepted_event(event));
}

TEST(ContentHash, IsTheCanonicalXxh3OfTheBytes) {
  EXPECT_EQ(hash_event("").hex(), "99aa06d3014798d86001c324468d497f");
  const ContentHash hash = hash_event("pitbox");
  EXPECT_EQ(ContentHash::from_bytes(hash.raw()).value(), hash);
  EXPECT_EQ(ContentHash::from_bytes("short").status().code(), Code::kCorrupt);
  ContentHasher hasher;
  hasher.add(std::as_bytes(std::span(std::string_view("pit"))));
  hasher.add(std::as_bytes(std::span(std::string_view("box"))));
  EXPECT_EQ(hasher.finish(), hash);
  // Reusable after finish().
  hasher.add(std::as_bytes(std::span(std::string_view("pitbox"))));
  EXPECT_EQ(hasher.finish(), hash);
}

}  // namespace
}  // namespace pitbox
