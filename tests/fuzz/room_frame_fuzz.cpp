// Attacks two promises. parse_frame(): what it accepts is within the bounds and comes out of
// serialise() such that it parses to the same again. RoomCore: whatever frames a greeted box or a
// viewer sends, it says only valid frames, speaks to nobody it has closed, and acknowledges only
// what its store holds.
//
// Input: frames one after the other, each as a little-endian u16 length and that many bytes; the
// top bit of the length says that the viewer sends it instead of the box.

#include <spdlog/spdlog.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "proto/check.h"
#include "proto/frames.h"
#include "room/room_core.h"

namespace {

using namespace pitbox;  // NOLINT(google-build-using-namespace): one file, one purpose.

constexpr ConnectionId kViewer = 1'000'000;  // The box has those before.

class StrictOutbound final : public Outbound {
 public:
  void send(ConnectionId to, SharedFrame frame) override {
    CHECK(!closed_.contains(to));
    const auto parsed = parse_frame(*frame);
    CHECK(parsed.ok());
    if (parsed.value().has_ack()) acks.push_back(parsed.value().ack());
  }
  void close(ConnectionId to, CloseCode, std::string_view) override { closed_.insert(to); }
  std::size_t queued_bytes(ConnectionId) const override { return 0; }

  std::vector<words::Ack> acks;

 private:
  std::set<ConnectionId> closed_;
};

void check_round_trip(std::string_view bytes) {
  const auto once = parse_frame(bytes);
  if (!once.ok()) return;
  const std::string again = serialise(once.value());
  // A longer form of the same numbers may have been within 1 MiB only because it was not canonical;
  // the canonical one is never longer.
  const auto twice = parse_frame(again);
  CHECK(twice.ok());
  CHECK(serialise(twice.value()) == again);
}

void check_acks(const RoomCore& room, const std::vector<words::Ack>& acks) {
  for (const words::Ack& ack : acks) {
    RangeSet held;
    for (const auto& [id, file] : room.store().files()) {
      if (file.incarnation == ack.incarnation()) held.add_all(file.held);
    }
    CHECK(ack.through() == 0 || held.contains(Range{1, ack.through()}));
    for (const words::Range& range : ack.ranges()) {
      CHECK(held.contains(Range{range.first(), range.last()}));
    }
  }
}

std::unique_ptr<RoomCore> make_room(const Uuid& session, StrictOutbound& out) {
  RoomStore::Options options;
  options.file = ":memory:";
  options.session = session;
  options.create = true;
  auto store = RoomStore::open(options);
  CHECK(store.ok());
  return std::make_unique<RoomCore>(std::move(store).take(), out, RoomCore::Options{});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  spdlog::set_level(spdlog::level::off);
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check_round_trip(input);

  const Uuid session = Uuid::from_bytes("session-16-bytes").take();
  StrictOutbound out;
  const auto room = make_room(session, out);
  RoomCore::Clock::time_point now{std::chrono::seconds(1)};
  words::Hello hello;
  hello.set_version(1);
  hello.set_box_id("the-box-16-bytes");
  hello.set_session_id(session.raw());
  ConnectionId box = 1;
  room->hello(box, hello, now);
  words::Subscribe subscribe;
  subscribe.set_version(1);
  subscribe.set_session_id(session.raw());
  subscribe.set_live(true);
  subscribe.set_history(true);
  room->subscribe(kViewer, subscribe, now);

  for (std::size_t at = 0; at + 2 <= input.size();) {
    const std::size_t word = static_cast<std::size_t>(data[at] | data[at + 1] << 8);
    const std::string_view bytes = input.substr(at + 2, word & 0x7FFF);
    at += 2 + bytes.size();
    check_round_trip(bytes);
    const auto frame = parse_frame(bytes);
    const ConnectionId from = (word & 0x8000) != 0 ? kViewer : box;
    if (frame.ok() && frame.value().has_hello() && from == box) {
      room->hello(++box, frame.value().hello(), now);  // It dials again.
    } else if (frame.ok()) {
      room->receive(from, frame.value(), bytes, now);
    }
    now += std::chrono::milliseconds(5);
    room->step(now);
    check_acks(*room, out.acks);
  }
  room->shut_down("done", 0);
  check_acks(*room, out.acks);
  return 0;
}
