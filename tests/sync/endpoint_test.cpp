// Addresses taken apart, and what is refused.

#include "sync/endpoint.h"

#include <gtest/gtest.h>

namespace pitbox {
namespace {

TEST(Endpoint, IsTakenApart) {
  const auto plain = parse_endpoint("ws://room.example:6162/live/");
  ASSERT_TRUE(plain.ok());
  EXPECT_FALSE(plain.value().tls);
  EXPECT_EQ(plain.value().host, "room.example");
  EXPECT_EQ(plain.value().port, 6162);
  EXPECT_EQ(plain.value().path, "/live");
  EXPECT_EQ(plain.value().authority(), "room.example:6162");
  const auto secure = parse_endpoint("wss://room.example");
  ASSERT_TRUE(secure.ok());
  EXPECT_TRUE(secure.value().tls);
  EXPECT_EQ(secure.value().port, 443);
  EXPECT_EQ(secure.value().authority(), "room.example");
}

TEST(Endpoint, AnIpv6AddressStandsInBrackets) {
  const auto endpoint = parse_endpoint("http://[2001:db8::7]:8080");
  ASSERT_TRUE(endpoint.ok());
  EXPECT_EQ(endpoint.value().host, "2001:db8::7");
  EXPECT_EQ(endpoint.value().authority(), "[2001:db8::7]:8080");
}

TEST(Endpoint, AnythingElseIsRefused) {
  for (const char* url :
       {"", "room.example", "ftp://x", "ws://", "ws://:80", "ws://x:", "ws://x:0", "ws://x:65536",
        "ws://x:8a", "ws://u:p@x", "ws://x/?q", "ws://x/#f", "ws://x y", "ws://[::1", "ws://[x]",
        "ws://[::1]x", "ws://x\r\nHost: y", "ws://\xc3\xa9"}) {
    EXPECT_EQ(parse_endpoint(url).status().code(), Code::kRejected) << url;
  }
}

TEST(Endpoint, KnowsNumericAddresses) {
  EXPECT_TRUE(is_numeric_address("10.0.0.1"));
  EXPECT_TRUE(is_numeric_address("::1"));
  EXPECT_FALSE(is_numeric_address("localhost"));
  EXPECT_FALSE(is_numeric_address("10.0.0"));
}

}  // namespace
}  // namespace pitbox
