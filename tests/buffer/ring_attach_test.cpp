// Attaching to a file that is not what it should be: every doubt sets it aside and makes a new
// ring; nothing unread is dropped for a changed option; two processes never share one.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <functional>

#include "buffer/ring_layout.h"
#include "tests/buffer/ring_test_support.h"

namespace pitbox {
namespace {

using namespace ring_test;  // NOLINT(google-build-using-namespace): the test's language.

class RingAttach : public testing::Test {
 protected:
  RingAttach() { given_three_messages(); }

  void given_three_messages() {
    const auto ring = opened(options_);
    id_ = ring->id();
    for (const char* text : {"one", "two", "three"}) {
      ASSERT_TRUE(ring->publish(kSocket, 1, bytes_of(text)).ok());
    }
  }
  void patch(std::size_t offset, const std::string& bytes) const {
    const Descriptor file(open(options_.file.c_str(), O_RDWR));
    ASSERT_EQ(pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
  }
  template <typename T>
  void patch_value(std::size_t offset, T value) const {
    patch(offset, std::string(reinterpret_cast<const char*>(&value), sizeof value));
  }
  void expect_a_new_ring(const std::string& why) const {
    const auto ring = opened(options_);
    EXPECT_FALSE(ring->was_attached()) << why;
    EXPECT_NE(ring->id(), id_) << why;
    EXPECT_EQ(ring->last_number(), 0U) << why;
    EXPECT_TRUE(std::filesystem::exists(ring->set_aside())) << why;
    EXPECT_FALSE(ring->set_aside_reason().empty()) << why;
    EXPECT_TRUE(ring->publish(kSocket, 1, bytes_of("again")).ok()) << why;
  }
  std::size_t ring_offset() const { return geometry_of(options_).ring_offset(); }
  std::size_t message_length(std::size_t slot) const {
    return geometry_of(options_).headers_offset() + slot * sizeof(mmsghdr) +
           offsetof(mmsghdr, msg_len);
  }

  const Folder folder_;
  MessageRing::Options options_ = small_options(folder_ / "a");
  std::uint64_t id_ = 0;
};

TEST_F(RingAttach, AttachesToWhatNobodyTouched) {
  const auto ring = opened(options_);
  EXPECT_TRUE(ring->was_attached());
  EXPECT_TRUE(ring->set_aside().empty());
  EXPECT_EQ(data_texts(read_all(*ring)).size(), 3U);
}

TEST_F(RingAttach, SetsAFileAsideWhoseHeaderIsNotRight) {
  const std::vector<std::pair<std::string, std::function<void()>>> damages = {
      {"magic", [&] { patch_value(0, std::uint64_t{1}); }},
      {"version", [&] { patch_value(8, std::uint32_t{2}); }},
      {"abi", [&] { patch_value(12, std::uint32_t{48}); }},
      {"ring bytes", [&] { patch_value(24, std::uint64_t{1} << 40); }},
      {"slot count", [&] { patch_value(32, std::uint32_t{9}); }},
      {"boot id", [&] { patch(48, "x"); }},
      {"head beyond capacity", [&] { patch_value(128, std::uint64_t{1} << 30); }},
      {"head between messages", [&] { patch_value(128, std::uint64_t{80}); }},
      {"head not aligned", [&] { patch_value(128, std::uint64_t{71}); }},
      {"tail beyond head", [&] { patch_value(192, std::uint64_t{1} << 20); }},
      {"tail inside a message", [&] { patch_value(192, std::uint64_t{8}); }},
      {"generation 0", [&] { patch_value(256, std::uint64_t{0}); }},
      {"first message's size", [&] { patch_value(ring_offset(), std::uint32_t{80}); }},
      {"first message's payload", [&] { patch_value(ring_offset() + 4, std::uint32_t{9999}); }},
      {"first message's kind", [&] { patch(ring_offset() + 16, "\x09"); }},
      {"first message's number", [&] { patch_value(ring_offset() + 24, std::uint64_t{5}); }},
      {"a slot fuller than long", [&] { patch_value(message_length(0), std::uint32_t{257}); }},
      {"filled slots not in a row", [&] { patch_value(message_length(3), std::uint32_t{5}); }},
      {"cut short", [&] { std::filesystem::resize_file(options_.file, 5000); }},
      {"cut inside the header", [&] { std::filesystem::resize_file(options_.file, 100); }},
      {"too long",
       [&] {
         std::filesystem::resize_file(options_.file,
                                      std::filesystem::file_size(options_.file) + 4096);
       }},
  };
  for (const auto& [why, damage] : damages) {
    std::filesystem::remove(options_.file);
    given_three_messages();
    damage();
    expect_a_new_ring(why);
  }
}

TEST_F(RingAttach, MakesANewRingInAnEmptyFileAndInABlankOne) {
  std::filesystem::resize_file(options_.file, 0);
  EXPECT_FALSE(opened(options_)->was_attached());
  std::filesystem::resize_file(options_.file, 0);
  std::filesystem::resize_file(options_.file, geometry_of(options_).file_bytes());
  const auto ring = opened(options_);
  EXPECT_FALSE(ring->was_attached());
  EXPECT_TRUE(ring->set_aside().empty()) << "a creation cut short never held anything";
}

TEST_F(RingAttach, PublishesWhatWasReceivedAndNotPublished) {
  // What the kernel leaves when the process dies inside recvmmsg after two datagrams.
  const RingGeometry geometry = geometry_of(options_);
  patch(geometry.slots_offset(), "four");
  patch_value(message_length(0), std::uint32_t{4});
  patch(geometry.slots_offset() + geometry.slot_stride(), "fifth");
  patch_value(message_length(1), std::uint32_t{5});
  patch_value(message_length(2), std::uint32_t{0});
  auto ring = opened(options_);
  EXPECT_EQ(ring->recovered(), 3U);
  EXPECT_EQ(data_texts(read_all(*ring)),
            (std::vector<std::string>{"one", "two", "three", "four", "fifth", ""}));
  ring.reset();
  ring = opened(options_);
  EXPECT_EQ(ring->recovered(), 0U) << "once";
  EXPECT_EQ(data_texts(read_all(*ring)).size(), 6U);
}

TEST_F(RingAttach, RefusesAFileThatAnotherHas) {
  const auto ring = opened(options_);
  EXPECT_EQ(MessageRing::open(options_).status().code(), Code::kTryAgain);
}

TEST_F(RingAttach, RefusesWhatIsNoFileOfItsOwn) {
  std::filesystem::create_symlink(options_.file, folder_ / "link");
  EXPECT_EQ(MessageRing::open(small_options(folder_ / "link")).status().code(), Code::kRejected);
  EXPECT_EQ(MessageRing::open(small_options(folder_.path())).status().code(), Code::kRejected);
  EXPECT_EQ(MessageRing::open(small_options(folder_ / "no/such")).status().code(), Code::kRejected);
}

TEST_F(RingAttach, IsReadableByItsOwnerOnly) {
  struct stat found {};
  ASSERT_EQ(stat(options_.file.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0600U);
}

TEST_F(RingAttach, KeepsItsSizesWhileSomethingIsUnread) {
  auto wanted = options_;
  wanted.ring_bytes *= 4;
  auto ring = opened(wanted);
  EXPECT_TRUE(ring->was_attached());
  EXPECT_EQ(ring->capacity(), options_.ring_bytes);
  EXPECT_EQ(data_texts(read_all(*ring)).size(), 3U);
  ring->release(ring->head(), 3);
  ring.reset();
  ring = opened(wanted);
  EXPECT_FALSE(ring->was_attached());
  EXPECT_EQ(ring->capacity(), wanted.ring_bytes);
  EXPECT_TRUE(ring->set_aside().empty()) << "there was nothing in it";
}

TEST_F(RingAttach, SetsARingOfAnotherKindAside) {
  options_.is_stream = true;
  const auto ring = opened(options_);
  EXPECT_FALSE(ring->was_attached());
  EXPECT_TRUE(std::filesystem::exists(ring->set_aside()));
}

TEST_F(RingAttach, KeepsOnlyTheNewestStaleFiles) {
  for (int i = 0; i < 9; ++i) {
    patch_value(128, std::uint64_t{3});
    expect_a_new_ring("head not aligned");
  }
  const auto entries = std::distance(std::filesystem::directory_iterator(folder_.path()), {});
  EXPECT_EQ(entries, 1 + 4);
}

TEST_F(RingAttach, RefusesSizesThatNoRingMayHave) {
  const auto refused = [&](auto change) {
    auto options = small_options(folder_ / "b");
    change(options);
    return MessageRing::open(options).status().code() == Code::kRejected;
  };
  EXPECT_TRUE(refused([](auto& o) { o.ring_bytes = (std::size_t{1} << 20) - 1; }));
  EXPECT_TRUE(refused([](auto& o) { o.ring_bytes = std::size_t{1} << 19; }));
  EXPECT_TRUE(refused([](auto& o) { o.ring_bytes = std::size_t{1} << 31; }));
  EXPECT_TRUE(refused([](auto& o) { o.slot_count = 0; }));
  EXPECT_TRUE(refused([](auto& o) { o.slot_count = 1025; }));
  EXPECT_TRUE(refused([](auto& o) { o.slot_bytes = 63; }));
  EXPECT_TRUE(refused([](auto& o) { o.slot_bytes = 65537; }));
  EXPECT_TRUE(refused([](auto& o) {
    o.slot_count = 64;
    o.slot_bytes = 16384;
  })) << "a full area must fit half of the ring";
  EXPECT_FALSE(std::filesystem::exists(folder_ / "b"));
}

}  // namespace
}  // namespace pitbox
