// RoomVisitor: a fixture that connects to whatever listens on port_, as a box or a viewer of one
// session.

#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "conversation.h"
#include "web_client.h"

namespace pitbox::testing {

class RoomVisitor : public ::testing::Test {
 protected:
  std::string path() const { return "/rooms/" + session_.text(); }
  std::unique_ptr<WebClient> connect(const std::string& headers = {},
                                     std::string_view protocol = kRoomSubprotocol) {
    return std::make_unique<WebClient>(port_, path(), protocol, headers);
  }
  std::unique_ptr<WebClient> connect_box() {
    auto client = connect();
    EXPECT_EQ(client->status(), 101);
    client->send(hello(box_, session_));
    client->expect(words::Frame::kWelcome);
    return client;
  }
  static void give(WebClient& client, const Entry& entry) {
    for (const DefinitionPtr& used : entry.definitions) client.send(define(used));
    for (const words::Frame& part : parts(entry)) client.send(part);
  }

  TemporaryDirectory directory_;
  Uuid session_ = Uuid::mint();
  Uuid box_ = Uuid::mint();
  int port_ = 0;
};

}  // namespace pitbox::testing
