// Which sessions the link holds for done, over rooms in memory (fake_room.h).

#include "sync/link.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "tests/simulation/sim_clock.h"
#include "tests/sync/fake_journal.h"
#include "tests/sync/fake_room.h"

namespace pitbox {
namespace {

using testing::FakeJournal;
using testing::FakeRoom;

constexpr BootNs kMs = 1'000'000;
constexpr std::uint64_t kFirstFile = 0x9f01;
constexpr std::uint64_t kSecondFile = 0x9f02;

// One room for each path; it commits with each service(), and answers at once.
class FakeRooms final : public RoomTransport {
 public:
  Id connect(const Target& target, RoomHandler& handler) override {
    connections_[++last_id_] = Connection{&handler, &rooms_[target.endpoint.path]};
    return last_id_;
  }
  void request_send(Id) override {}
  void ping(Id) override {}
  void close(Id id, std::uint16_t, const std::string&) override {
    connections_.at(id).is_closing = true;
  }
  void kill(Id id, LinkReason, const std::string&) override { close(id, 0, {}); }
  void service(std::chrono::nanoseconds) override {
    const auto all = connections_;
    for (const auto& [id, connection] : all) serve(id);
  }
  void wake() override {}
  std::size_t connections() const override { return connections_.size(); }
  std::chrono::nanoseconds round_trip(Id) const override { return {}; }
  std::uint64_t bytes_sent() const override { return 0; }
  std::uint64_t bytes_received() const override { return 0; }

  std::uint64_t dials() const { return last_id_; }

 private:
  struct Connection {
    RoomHandler* handler = nullptr;
    FakeRoom* room = nullptr;
    bool is_open = false;
    bool is_closing = false;
  };

  void serve(Id id) {
    Connection& connection = connections_.at(id);
    RoomHandler& handler = *connection.handler;
    FakeRoom& room = *connection.room;
    if (!std::exchange(connection.is_open, true)) {
      room.connect();
      handler.on_open();
    }
    for (std::string frame; handler.next_frame(frame); frame.clear()) room.take(frame);
    room.commit();
    while (const auto reply = room.next_reply()) {
      const Status status = handler.on_frame(*reply);
      EXPECT_TRUE(status.ok()) << status.message();
    }
    if (!connection.is_closing) return;
    connections_.erase(id);
    RoomClosed politely;
    politely.reason = LinkReason::kNone;
    handler.on_closed(politely);
  }

  std::map<std::string, FakeRoom> rooms_;
  std::map<Id, Connection> connections_;
  Id last_id_ = 0;
};

class LinkTest : public ::testing::Test {
 protected:
  LinkTest() {
    journal_.ended = true;
    journal_.sealed = true;
    journal_.add(kFirstFile, 500);
    journal_.add(kSecondFile, 500);
    SessionHeads both = journal_.heads();
    first_ = both;
    first_.files.pop_back();
    second_ = both;
    second_.files.erase(second_.files.begin());
    second_.info.id = Uuid::mint();
    Link::Options options;
    options.room_url = "ws://127.0.0.1:6162";
    options.seed = 1;
    auto transport = std::make_unique<FakeRooms>();
    rooms_ = transport.get();
    auto made = Link::create(
        options, {heads_, nullptr, journal_, {acknowledged_, completed_, seen_, refused_}, clock_},
        std::move(transport));
    CHECK(made.ok());
    link_ = std::move(made).take();
  }
  void publish(std::vector<SessionHeads> sessions) { heads_.put({Uuid::mint(), sessions}); }
  void run(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      world_ns_ += 10 * kMs;
      link_->step(clock_.boot_now());
      rooms_->service({});
    }
  }

  std::int64_t world_ns_ = 0;
  simulation::SimClock clock_{world_ns_, 0};
  FakeJournal journal_;
  SessionHeads first_;
  SessionHeads second_;
  Published<JournalHeads> heads_;
  BoundedQueue<Acknowledged> acknowledged_{16};
  BoundedQueue<SessionCompleted> completed_{1};
  LatestSlot<RoomSeen> seen_;
  BoundedQueue<IncarnationRefused> refused_{4};
  FakeRooms* rooms_ = nullptr;
  std::unique_ptr<Link> link_;
};

// The recorder takes no reports while it can write nothing, for as long as a disk is full.
TEST_F(LinkTest, ASessionIsDoneOnceTheRecorderCouldBeToldSo) {
  publish({first_, second_});
  run(100);
  EXPECT_EQ(rooms_->dials(), 2U);
  const auto told = completed_.try_pop();
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->session, first_.info.id);
  publish({second_});
  run(100);
  const auto told_later = completed_.try_pop();
  ASSERT_TRUE(told_later.has_value()) << "nobody would ever say it again";
  EXPECT_EQ(told_later->session, second_.info.id);
  run(100);
  EXPECT_EQ(rooms_->dials(), 2U) << "no connection was needed for that";
}

}  // namespace
}  // namespace pitbox
