// Drives a source's event loop from a test, on the test's own thread: run until something can be
// seen, with a deadline, instead of sleeping.

#pragma once

#include <chrono>
#include <functional>

#include "ingest/asio.h"
#include "ingest/source.h"
#include "tests/buffer/ring_test_support.h"

namespace pitbox::source_test {

inline constexpr std::chrono::seconds kDeadline{20};

inline bool run_until(boost::asio::io_context& io, const std::function<bool()>& is_seen) {
  const auto end = std::chrono::steady_clock::now() + kDeadline;
  while (!is_seen()) {
    if (std::chrono::steady_clock::now() > end) return false;
    io.restart();
    io.run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}

inline SourceOptions options_of(SourceKind kind, const std::filesystem::path& file) {
  SourceOptions options;
  options.name = "car";
  options.kind = kind;
  options.receive_buffer_bytes = std::size_t{4} << 20;
  options.ring = ring_test::small_options(file);
  return options;
}

// A socket connected to a source on loopback.
inline ring_test::Descriptor connected(int type, std::uint16_t port) {
  ring_test::Descriptor descriptor(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  sockaddr_in address = ring_test::loopback();
  address.sin_port = htons(port);
  EXPECT_EQ(connect(descriptor.get(), ring_test::generic(address), sizeof address), 0);
  return descriptor;
}

inline void send_text(const ring_test::Descriptor& socket, const std::string& text) {
  ASSERT_EQ(send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

}  // namespace pitbox::source_test
