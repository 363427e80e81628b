// The link between real ends: journals on disk, the real room in a process of its own, a proxy that
// can be cut, and the room's contents read back and compared with the journal. Threaded.

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <thread>

#include "apps/launch/child_process.h"
#include "apps/launch/link_proxy.h"
#include "buffer/journal.h"
#include "proto/event.h"
#include "sync/journal_entry_source.h"
#include "sync/link.h"
#include "sync/room_reader.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

bool until(const std::function<bool()>& done, seconds patience = seconds(60)) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < deadline) {
    if (done()) return true;
    std::this_thread::sleep_for(milliseconds(2));  // Between two looks.
  }
  return done();
}

// What this process logs, while it lives.
class LogCapture {
 public:
  LogCapture() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(stream_);
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("captured", std::move(sink)));
  }
  ~LogCapture() { spdlog::set_default_logger(before_); }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  // While nobody logs.
  std::string text() const { return stream_.str(); }

 private:
  std::shared_ptr<spdlog::logger> before_;
  std::ostringstream stream_;
};

class RoomProcess {
 public:
  RoomProcess(const fs::path& folder, const std::string& keys) : folder_(folder), keys_(keys) {
    start(0);
  }
  void start(int port) {
    const fs::path log = folder_ / ("room-" + std::to_string(++starts_) + ".log");
    ChildProcess::Options options;
    options.program = fs::path(PITBOX_BIN_DIR) / "pitbox-room";
    options.arguments = {"--store", (folder_ / "room").string(), "--port", std::to_string(port)};
    if (keys_.empty()) {
      options.arguments.emplace_back("--no-auth");
    } else {
      options.arguments.insert(options.arguments.end(), {"--keys", keys_});
    }
    options.output = log;
    auto started = ChildProcess::start(options);
    ASSERT_TRUE(started.ok()) << started.status().message();
    child_ = std::move(started).take();
    ASSERT_TRUE(until([&] {
      std::ifstream file(log);
      const std::string text{std::istreambuf_iterator<char>(file), {}};
      const std::size_t at = text.find("http://127.0.0.1:");
      if (at == std::string::npos || text.find('/', at + 17) == std::string::npos) return false;
      port_ = std::stoi(text.substr(at + 17));
      return true;
    }));
  }
  void kill() { child_.kill_now(); }
  int port() const { return port_; }

 private:
  fs::path folder_;
  std::string keys_;
  ChildProcess child_;
  int starts_ = 0;
  int port_ = 0;
};

// A session's journal, and the heads a recorder would publish of it.
class Recording {
 public:
  Recording(const fs::path& folder, const Uuid& box, const std::string& name) {
    Journal::Options options;
    options.session.id = Uuid::mint();
    options.session.name = name;
    options.box_id = box;
    options.file = folder / (name + ".db");
    auto made = Journal::create(options, random_id());
    CHECK(made.ok());
    journal_ = std::move(made).take();
    ChannelGroup group;
    group.group = "engine";
    group.channels.push_back(Channel{"rpm", "1/min", StorageType::kU16, 1.0, 0.0});
    definition_ = Definition::make(group).value();
    info_ = options.session;
  }
  // One batch of `rows` rows in one commit.
  void record(std::size_t rows = 50) {
    GroupRows group;
    group.definition = definition_;
    for (std::size_t i = 0; i < rows; ++i) {
      const std::uint64_t value = ++rows_ * 2654435761U;
      group.receive_ns.push_back(static_cast<std::int64_t>(rows_) * 1'000'000);
      group.rows.push_back(static_cast<std::byte>(value));
      group.rows.push_back(static_cast<std::byte>(value >> 8U));
    }
    Commit commit;
    commit.batches.push_back({"7", encode_batch("7", std::span(&group, 1))});
    hashes_.push_back(commit.batches.front().batch.hash);
    CHECK(journal_->commit(commit).ok());
  }
  SessionHeads heads(bool is_live, bool ended) const {
    SessionHeads session;
    session.info = info_;
    session.is_live = is_live;
    session.ended = ended;
    FileHead head;
    head.incarnation = journal_->incarnation();
    head.file = journal_->file();
    head.last = journal_->last_sequence();
    session.files.push_back(head);
    return session;
  }
  const Uuid& id() const { return info_.id; }
  std::uint64_t last() const { return journal_->last_sequence(); }
  const std::vector<ContentHash>& hashes() const { return hashes_; }

 private:
  std::unique_ptr<Journal> journal_;
  SessionInfo info_;
  DefinitionPtr definition_;
  std::uint64_t rows_ = 0;
  std::vector<ContentHash> hashes_;
};

class LinkLine : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("pitbox-link-" + Uuid::mint().text());
    fs::create_directories(folder_);
  }
  void TearDown() override {
    stop_link();
    proxy_.reset();
    room_.reset();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  void given_room(const std::string& keys = {}) {
    std::string file;
    if (!keys.empty()) {
      file = (folder_ / "keys").string();
      std::ofstream(file) << keys << "\n";
      ASSERT_EQ(chmod(file.c_str(), 0600), 0);
    }
    room_ = std::make_unique<RoomProcess>(folder_, file);
    auto proxy = LinkProxy::start(static_cast<std::uint16_t>(room_->port()));
    ASSERT_TRUE(proxy.ok());
    proxy_ = std::move(proxy).take();
  }
  void start_link(const std::string& key = {}) {
    const std::string authority = "127.0.0.1:" + std::to_string(proxy_->port());
    Link::Options options;
    options.room_url = "ws://" + authority;
    options.api_url = "http://" + authority;
    options.api_key = key;
    options.seed = 1;
    auto made = Link::create(options, {published_,
                                       nullptr,
                                       source_,
                                       {acknowledged_, completed_, seen_, refused_},
                                       system_clock()});
    ASSERT_TRUE(made.ok()) << made.status().message();
    link_ = std::move(made).take();
    thread_ = std::thread([this] { link_->run(); });
  }
  void stop_link() {
    if (!link_) return;
    link_->stop(seconds(2));
    thread_.join();
    link_.reset();
  }
  void publish(std::vector<SessionHeads> sessions) {
    JournalHeads heads;
    heads.box_id = box_;
    heads.sessions = std::move(sessions);
    published_.put(std::move(heads));
    if (link_) link_->wake();
  }
  LinkSnapshot snapshot() {
    const auto taken = link_->snapshot();
    return taken ? *taken : LinkSnapshot{};
  }
  // Takes what the link reported; true once the room was said to hold 1..last.
  bool acknowledged(const Recording& recording) {
    while (auto report = acknowledged_.try_pop()) {
      RangeSet& known = known_[report->session];
      if (report->replaces) known.clear();
      known.add_all(report->ranges);
    }
    return known_[recording.id()].through() >= recording.last();
  }
  RoomReaderOptions reader(const Recording& recording, const std::string& key = {}) {
    RoomReaderOptions options;
    options.url = "ws://127.0.0.1:" + std::to_string(room_->port());
    options.session = recording.id();
    options.api_key = key;
    return options;
  }
  // The room holds every batch of the recording once, under its own hash.
  void expect_in_room(const Recording& recording, const std::string& key = {}) {
    std::map<std::uint64_t, ContentHash> held;
    std::uint64_t greatest = 0;
    const Status read = read_room(reader(recording, key), [&](const DownloadedEntry& entry) {
      EXPECT_TRUE(held.emplace(entry.first, entry.hashes.at(0)).second) << "twice";
      EXPECT_EQ(entry.box, box_);
      if (!entry.is_event) {
        const auto batch = entry.decode();
        EXPECT_TRUE(batch.ok() && batch.value().hash == entry.hashes.at(0));
      }
      greatest = std::max(greatest, entry.last);
      return Status();
    });
    ASSERT_TRUE(read.ok()) << read.message();
    EXPECT_EQ(held.size(), recording.last());
    EXPECT_EQ(greatest, recording.last());
    const std::uint64_t before = recording.last() - recording.hashes().size();
    for (std::size_t i = 0; i < recording.hashes().size(); ++i) {
      EXPECT_EQ(held.at(before + i + 1), recording.hashes()[i]) << i;
    }
  }

  fs::path folder_;
  const Uuid box_ = Uuid::mint();
  std::unique_ptr<RoomProcess> room_;
  std::unique_ptr<LinkProxy> proxy_;
  Published<JournalHeads> published_;
  JournalEntrySource source_;
  BoundedQueue<Acknowledged> acknowledged_{256};
  BoundedQueue<SessionCompleted> completed_{16};
  LatestSlot<RoomSeen> seen_;
  BoundedQueue<IncarnationRefused> refused_{16};
  std::map<Uuid, RangeSet> known_;
  std::unique_ptr<Link> link_;
  std::thread thread_;
};

TEST_F(LinkLine, WhatIsJournaledIsInTheRoomOnceAndTheSessionCompletes) {
  given_room();
  Recording recording(folder_, box_, "FP1");
  for (int i = 0; i < 20; ++i) recording.record();
  publish({recording.heads(true, false)});
  start_link();
  ASSERT_TRUE(until([&] { return snapshot().condition.state == LinkState::kOnline; }));
  for (int i = 0; i < 20; ++i) {
    recording.record();
    publish({recording.heads(true, false)});
  }
  ASSERT_TRUE(until([&] { return acknowledged(recording); }));
  publish({recording.heads(false, true)});
  std::optional<SessionCompleted> completed;
  ASSERT_TRUE(until([&] { return (completed = completed_.try_pop()).has_value(); }));
  EXPECT_EQ(completed->session, recording.id());
  expect_in_room(recording);
  EXPECT_FALSE(refused_.try_pop().has_value());
  EXPECT_GT(snapshot().last_health_ms, 0);
  EXPECT_GT(snapshot().last_room_ms, 0);
  EXPECT_GT(snapshot().bytes_sent, 0U);
}

TEST_F(LinkLine, StartsWithoutAWordOfTroubleWhenTheRoomIsUp) {
  const LogCapture log;
  given_room();
  Recording recording(folder_, box_, "FP1");
  recording.record();
  publish({recording.heads(true, false)});
  start_link();
  ASSERT_TRUE(until([&] { return snapshot().condition.state == LinkState::kOnline; }));
  stop_link();
  EXPECT_NE(log.text().find("link: online"), std::string::npos) << log.text();
  EXPECT_EQ(log.text().find("warning"), std::string::npos) << log.text();
}

TEST_F(LinkLine, AfterACutTheLiveEdgeIsBackBeforeTheBacklogAndNothingComesTwice) {
  given_room();
  Recording recording(folder_, box_, "FP1");
  recording.record();
  publish({recording.heads(true, false)});
  start_link();
  ASSERT_TRUE(until([&] { return acknowledged(recording); }));
  proxy_->cut();
  for (int i = 0; i < 300; ++i) recording.record(2000);
  publish({recording.heads(true, false)});
  // Half open: found by the lack of acknowledgement, not by the network.
  const BootNs cut = system_clock().boot_now();
  ASSERT_TRUE(until([&] {
    const LinkSnapshot now = snapshot();
    return now.condition.state == LinkState::kReconnecting && !now.sessions.at(0).connected;
  }));
  EXPECT_LE(system_clock().boot_now() - cut, 12'000'000'000);
  EXPECT_NE(snapshot().condition.reason, LinkReason::kNone);
  ASSERT_TRUE(proxy_->restore().ok());
  ASSERT_TRUE(until([&] { return proxy_->first_accept_ns().has_value(); }, seconds(5)));
  const BootNs accepted = *proxy_->first_accept_ns();
  ASSERT_TRUE(until([&] { return snapshot().sessions.at(0).connected; }));
  EXPECT_LE(system_clock().boot_now() - accepted, 2'000'000'000);
  ASSERT_TRUE(until([&] { return acknowledged(recording); }));
  EXPECT_TRUE(until([&] { return snapshot().condition.state == LinkState::kOnline; }));
  expect_in_room(recording);
}

TEST_F(LinkLine, ARoomThatIsKilledUnderLoadGetsTheRestAgain) {
  given_room();
  Recording recording(folder_, box_, "FP1");
  recording.record();
  publish({recording.heads(true, false)});
  start_link();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) {
      recording.record(500);
      publish({recording.heads(true, false)});
    }
    const int port = room_->port();
    room_->kill();
    recording.record();
    room_->start(port);
  }
  publish({recording.heads(true, false)});
  ASSERT_TRUE(until([&] { return acknowledged(recording); }));
  expect_in_room(recording);
  EXPECT_FALSE(refused_.try_pop().has_value());
}

TEST_F(LinkLine, TheOldSessionFillsInBesideTheLiveOne) {
  given_room();
  Recording older(folder_, box_, "FP1");
  Recording oldest_but_complete(folder_, box_, "P0");
  Recording live(folder_, box_, "FP2");
  for (int i = 0; i < 50; ++i) older.record(1000);
  oldest_but_complete.record();
  live.record();
  publish(
      {oldest_but_complete.heads(false, true), older.heads(false, true), live.heads(true, false)});
  start_link();
  int completions = 0;
  ASSERT_TRUE(until([&] {
    live.record();
    publish({oldest_but_complete.heads(false, true), older.heads(false, true),
             live.heads(true, false)});
    completions += completed_.try_pop().has_value() ? 1 : 0;
    acknowledged(live);
    return completions == 2;
  }));
  ASSERT_TRUE(until([&] { return acknowledged(live); }));
  expect_in_room(older);
  expect_in_room(oldest_but_complete);
  expect_in_room(live);
}

TEST_F(LinkLine, ACredentialThatIsNoGoodIsTheReasonAndLosesNothing) {
  given_room("rk_right_0123456789abcdef");
  Recording recording(folder_, box_, "FP1");
  recording.record();
  publish({recording.heads(true, false)});
  start_link("rk_wrong_0123456789abcdef");
  ASSERT_TRUE(until([&] {
    return snapshot().condition.reason == LinkReason::kAuthRejected &&
           snapshot().sessions.at(0).reason == LinkReason::kAuthRejected;
  }));
  EXPECT_GT(snapshot().last_health_ms, 0) << "/health needs no credential";
  EXPECT_EQ(snapshot().last_auth_ms, 0);
  stop_link();
  EXPECT_EQ(read_room(reader(recording, "rk_wrong_0123456789abcdef"),
                      [](const DownloadedEntry&) { return Status(); })
                .code(),
            Code::kRejected);
  start_link("rk_right_0123456789abcdef");
  ASSERT_TRUE(until([&] { return acknowledged(recording); }));
  EXPECT_TRUE(until([&] { return snapshot().last_auth_ms > 0; }));
  expect_in_room(recording, "rk_right_0123456789abcdef");
}

TEST_F(LinkLine, WithoutARoomTheLinkSaysPausedAndStopsAtOnce) {
  Link::Options options;
  auto made = Link::create(
      options,
      {published_, nullptr, source_, {acknowledged_, completed_, seen_, refused_}, system_clock()});
  ASSERT_TRUE(made.ok());
  link_ = std::move(made).take();
  thread_ = std::thread([this] { link_->run(); });
  ASSERT_TRUE(until([&] { return link_->snapshot() != nullptr; }));
  EXPECT_EQ(snapshot().condition.state, LinkState::kOffline);
  EXPECT_EQ(snapshot().condition.reason, LinkReason::kPaused);
  EXPECT_FALSE(snapshot().room_configured);
  const BootNs begun = system_clock().boot_now();
  stop_link();
  EXPECT_LT(system_clock().boot_now() - begun, 1'000'000'000);
}

TEST_F(LinkLine, AVisitorMayEndTheReading) {
  given_room();
  Recording recording(folder_, box_, "FP1");
  for (int i = 0; i < 200; ++i) recording.record(3000);
  publish({recording.heads(true, false)});
  start_link();
  ASSERT_TRUE(until([&] { return acknowledged(recording); }));
  int visited = 0;
  const Status ended = read_room(reader(recording), [&](const DownloadedEntry&) {
    return ++visited == 3 ? Status(Code::kFull, "enough") : Status();
  });
  EXPECT_EQ(ended.code(), Code::kFull);
  EXPECT_EQ(visited, 3);
  RoomReaderOptions unknown = reader(recording);
  unknown.session = Uuid::mint();
  EXPECT_FALSE(read_room(unknown, [](const DownloadedEntry&) { return Status(); }).ok());
}

TEST(LinkOptions, WhatCannotBeUsedIsRefused) {
  Published<JournalHeads> heads;
  JournalEntrySource source;
  BoundedQueue<Acknowledged> acknowledged(1);
  BoundedQueue<SessionCompleted> completed(1);
  LatestSlot<RoomSeen> seen;
  BoundedQueue<IncarnationRefused> refused(1);
  const auto refuses = [&](const Link::Options& options) {
    return Link::create(
               options,
               {heads, nullptr, source, {acknowledged, completed, seen, refused}, system_clock()})
               .status()
               .code() == Code::kRejected;
  };
  Link::Options options;
  options.driver = "carrier pigeon";
  EXPECT_TRUE(refuses(options));
  options = {};
  options.room_url = "ftp://room";
  EXPECT_TRUE(refuses(options));
  options = {};
  options.room_url = "ws://127.0.0.1:1";
  options.ca_file = "/no/such/file.pem";
  EXPECT_TRUE(refuses(options));
}

}  // namespace
}  // namespace pitbox
