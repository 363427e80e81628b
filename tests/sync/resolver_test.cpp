// Names on a thread of their own: asking never blocks, what was known stays known. Threaded.

#include "sync/resolver.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>

namespace pitbox {
namespace {

constexpr BootNs kASecond = 1'000'000'000;

bool until(const std::function<bool()>& done) {
  const BootNs deadline = system_clock().boot_now() + 20 * kASecond;
  while (!done() && system_clock().boot_now() < deadline) std::this_thread::yield();
  return done();
}

TEST(Resolver, ANumericAddressIsItsOwnAnswer) {
  Resolver resolver([] {},
                    [](const std::string&) {
                      ADD_FAILURE() << "there is nothing to look up";
                      return Resolver::Answer{};
                    });
  for (const char* address : {"127.0.0.1", "::1", "2001:db8::7"}) {
    const auto answer = resolver.look_up(address, 0);
    EXPECT_TRUE(answer.done);
    EXPECT_EQ(answer.addresses, std::vector<std::string>{address});
  }
}

TEST(Resolver, ANameServerThatHangsBlocksNobody) {
  std::atomic<bool> release{false};
  std::atomic<int> woken{0};
  Resolver resolver([&] { ++woken; },
                    [&](const std::string&) {
                      release.wait(false);
                      return Resolver::Answer{true, {"10.0.0.7"}, {}};
                    });
  const BootNs begun = system_clock().boot_now();
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(resolver.look_up("room.example", i).done);
  EXPECT_LT(system_clock().boot_now() - begun, kASecond);
  release = true;
  release.notify_all();
  EXPECT_TRUE(until([&] { return woken > 0; }));
  EXPECT_EQ(resolver.look_up("room.example", 200).addresses, std::vector<std::string>{"10.0.0.7"});
  EXPECT_EQ(woken, 1) << "asked once, whoever waits";
}

TEST(Resolver, WhenTheNameServerIsGoneTheLastAddressStays) {
  std::atomic<int> looks{0};
  Resolver resolver([] {},
                    [&](const std::string& name) {
                      const bool first = ++looks == 1;
                      if (first) return Resolver::Answer{true, {"10.0.0.7"}, {}};
                      return Resolver::Answer{true, {}, name + ": no name server"};
                    });
  resolver.look_up("room.example", 0);
  ASSERT_TRUE(until([&] { return resolver.look_up("room.example", 1).done; }));
  resolver.distrust("room.example");
  ASSERT_TRUE(until([&] { return !resolver.look_up("room.example", 2 * kASecond).error.empty(); }));
  const auto answer = resolver.look_up("room.example", 2 * kASecond + 1);
  EXPECT_EQ(answer.addresses, std::vector<std::string>{"10.0.0.7"});
  EXPECT_EQ(answer.error, "room.example: no name server");
  EXPECT_EQ(looks, 2) << "not asked in a loop";
}

TEST(Resolver, AsksAgainOnlyWhenTheAnswerIsOldOrDistrusted) {
  std::atomic<int> looks{0};
  Resolver resolver([] {},
                    [&](const std::string&) {
                      ++looks;
                      return Resolver::Answer{true, {"10.0.0.7"}, {}};
                    });
  resolver.look_up("room.example", 0);
  ASSERT_TRUE(until([&] { return resolver.look_up("room.example", 1).done; }));
  resolver.look_up("room.example", 59 * kASecond);
  EXPECT_EQ(looks, 1);
  resolver.look_up("room.example", 60 * kASecond);
  EXPECT_TRUE(until([&] { return looks == 2; }));
}

TEST(Resolver, ANameThatDoesNotResolveSaysSo) {
  Resolver resolver([] {});
  Resolver::Answer answer;
  ASSERT_TRUE(until([&] {
    answer = resolver.look_up("no-such-name.invalid", system_clock().boot_now());
    return answer.done;
  }));
  EXPECT_TRUE(answer.addresses.empty());
  EXPECT_NE(answer.error.find("no-such-name.invalid"), std::string::npos);
}

TEST(Resolver, NamesAreBounded) {
  Resolver resolver([] {}, [](const std::string&) { return Resolver::Answer{true, {"::1"}, {}}; });
  for (std::size_t i = 0; i < Resolver::kMaxNames; ++i) {
    resolver.look_up("name" + std::to_string(i), 0);
  }
  EXPECT_EQ(resolver.look_up("one-too-many", 0).error, "too many names");
}

}  // namespace
}  // namespace pitbox
