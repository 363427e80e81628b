#include "apps/demo/script.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "apps/demo/books.h"
#include "apps/demo/live_edge.h"
#include "apps/launch/stage.h"
#include "apps/launch/status_view.h"
#include "apps/sim/track.h"
#include "buffer/clock.h"
#include "proto/uuid.h"

namespace pitbox {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr milliseconds kWatchEvery{100};
constexpr seconds kTellEvery{5};
constexpr seconds kCompletionPatience{60};
constexpr seconds kCarsRunFor{86};
// A paddock uplink of 4 Mbit/s: the backlog of the outage takes it several seconds.
constexpr std::uint64_t kLinkBytesPerSecond = 500'000;

class Script {
 public:
  explicit Script(const DemoOptions& options) : options_(options) {}

  Result<DemoLedger> play() {
    for (const auto& act : {&Script::open, &Script::interfere, &Script::close}) {
      if (Status played = (this->*act)(); !played.ok()) return played;
    }
    return ledger_;
  }

 private:
  Status open();       // Until cars stream into a session.
  Status interfere();  // Cuts and kills.
  Status close();      // Ends the session and compares the books.
  Status cut_and_restore();
  Status end_session();

  void tell(const std::string& what) const {
    const double at = std::chrono::duration<double>(steady_clock::now() - began_).count();
    std::fprintf(stderr, "[%5.1f s] %s\n", at, what.c_str());
  }
  // Looks at the daemon now; notes the state it is in.
  std::optional<StatusView> look();
  // Watches until `moment` of the script, or until `done` says so.
  void watch_until(steady_clock::time_point moment, const std::function<bool()>& done = {});
  void watch_until(seconds script_time) { watch_until(began_ + script_time); }
  std::string sent_file() const { return (options_.folder / "sent.ledger").string(); }

  const DemoOptions options_;
  const steady_clock::time_point began_ = steady_clock::now();
  steady_clock::time_point told_ = began_;
  std::unique_ptr<Stage> stage_;
  std::unique_ptr<LiveEdge> live_edge_;
  ChildProcess cars_;
  Uuid session_;
  DemoLedger ledger_;
};

std::optional<StatusView> Script::look() {
  const auto answer = stage_->ask(R"({"command":"status"})");
  if (!answer.ok()) return std::nullopt;
  auto view = StatusView::parse(answer.value());
  if (!view.ok()) return std::nullopt;
  if (ledger_.states.empty() || ledger_.states.back() != view.value().state) {
    ledger_.states.push_back(view.value().state);
    tell("the link is " + view.value().state +
         (view.value().reason.empty() ? "" : " (" + view.value().reason + ")"));
  }
  return std::move(view).take();
}

void Script::watch_until(steady_clock::time_point moment, const std::function<bool()>& done) {
  while (steady_clock::now() < moment) {
    const auto view = look();
    if (done && done()) return;
    if (view && steady_clock::now() - told_ >= kTellEvery) {
      told_ = steady_clock::now();
      tell(view->state + ": " + std::to_string(view->records) + " records journaled, " +
           std::to_string(view->pending) + " batches (" +
           std::to_string(view->pending_bytes / 1024) + " KiB) waiting for the room");
    }
    std::this_thread::sleep_for(kWatchEvery);
  }
}

Status Script::open() {
  auto stage = Stage::set({.programs = options_.programs,
                           .folder = options_.folder,
                           .track = SimTrack().toml(),
                           .link_bytes_per_second = kLinkBytesPerSecond});
  if (!stage.ok()) return stage.status();
  stage_ = std::move(stage).take();
  tell("room and daemon are up; the page is " + stage_->page_url() + "; kernel receive buffer " +
       std::to_string(stage_->source().buffer_bytes() >> 20) + " MiB");

  session_ = Uuid::mint();
  const nlohmann::json start = {
      {"command", "session_start"}, {"name", "DEMO"}, {"type", "test"}, {"id", session_.text()}};
  const auto started = stage_->ask(start.dump());
  if (!started.ok()) return Status(started.status()).within("start the session");
  const auto answer = nlohmann::json::parse(started.value(), nullptr, false);
  if (!answer.is_object() || !answer.value("ok", false)) {
    return {Code::kFatal, "start the session: " + started.value()};
  }
  live_edge_ = std::make_unique<LiveEdge>(stage_->room_url(), session_);

  auto cars =
      stage_->start_command({"sim", "--cars", "2", "--seed", std::to_string(options_.seed),
                             "--rate", "0.2", "--seconds", std::to_string(kCarsRunFor.count()),
                             "--ledger", sent_file(), "--to", stage_->source().address()},
                            "sim.log");
  if (!cars.ok()) return Status(cars.status()).within("start the cars");
  cars_ = std::move(cars).take();
  tell("two cars stream to " + stage_->source().address());
  return {};
}

Status Script::interfere() {
  watch_until(seconds(8));
  tell("SIGKILL to the daemon");
  stage_->kill_daemon();
  if (Status started = stage_->start_daemon(); !started.ok()) return started;
  tell("the daemon is back");

  watch_until(seconds(16));
  if (Status restored = cut_and_restore(); !restored.ok()) return restored;

  watch_until(seconds(70));
  tell("SIGKILL to the room");
  stage_->kill_room();
  if (Status started = stage_->start_room(); !started.ok()) return started;
  tell("the room is back");

  watch_until(seconds(78));
  tell("SIGKILL to the daemon");
  stage_->kill_daemon();
  if (Status started = stage_->start_daemon(); !started.ok()) return started;
  tell("the daemon is back");
  watch_until(kCarsRunFor);
  return {};
}

Status Script::cut_and_restore() {
  tell("the link (4 Mbit/s) is cut for 45 s");
  stage_->link().cut();
  watch_until(seconds(61));
  const auto restored_ns = system_clock().boot_now();
  live_edge_->expect_after(restored_ns);
  if (Status restored = stage_->link().restore(); !restored.ok()) return restored;
  tell("the link is back");
  watch_until(began_ + seconds(69), [&] { return live_edge_->arrived_ns().has_value(); });
  const auto arrived_ns = live_edge_->arrived_ns();
  const auto accepted_ns = stage_->link().first_accept_ns();
  if (!arrived_ns || !accepted_ns) {
    tell("the live edge did NOT return within 8 s");
    return {};
  }
  ledger_.live_again_ms = (*arrived_ns - *accepted_ns) / 1'000'000;
  const auto view = look();
  ledger_.backlog_then = view ? view->pending : 0;
  tell("live again " + std::to_string(ledger_.live_again_ms) +
       " ms after the first connection, with " + std::to_string(ledger_.backlog_then) +
       " batches of the backlog still to come");
  return {};
}

Status Script::end_session() {
  const auto ended = stage_->ask(R"({"command":"session_end"})");
  if (!ended.ok()) return Status(ended.status()).within("end the session");
  const auto answer = nlohmann::json::parse(ended.value(), nullptr, false);
  if (!answer.is_object() || !answer.value("ok", false)) {
    return {Code::kFatal, "end the session: " + ended.value()};
  }
  return {};
}

Status Script::close() {
  const auto code = cars_.wait(seconds(30));
  if (!code || *code != 0) return {Code::kFatal, "the simulator failed; see sim.log"};
  tell("the cars have stopped; ending the session");
  if (Status ended = end_session(); !ended.ok()) return ended;

  bool is_complete = false;
  watch_until(steady_clock::now() + kCompletionPatience, [&] {
    is_complete = session_is_complete(stage_->state_directory(), session_);
    return is_complete;
  });
  tell(is_complete ? "the room says that the session is complete"
                   : "the room did NOT complete the session within 60 s");
  const auto drops = stage_->source().kernel_drops();
  if (drops.ok() && drops.value() > 0) {
    tell("the kernel dropped " + std::to_string(drops.value()) +
         " datagrams: the receive buffer is too small for this run");
  }
  live_edge_.reset();
  tell("comparing the books");
  return compare_books({.sent = sent_file(),
                        .state_directory = stage_->state_directory(),
                        .session = session_,
                        .room_url = stage_->room_url()},
                       ledger_);
}

}  // namespace

std::vector<std::string> DemoLedger::faults() const {
  std::vector<std::string> out;
  if (expected == 0) out.emplace_back("the simulator sent nothing");
  if (missing > 0) out.push_back(std::to_string(missing) + " rows are missing");
  if (duplicated > 0) out.push_back(std::to_string(duplicated) + " rows are there twice");
  if (different > 0) out.push_back(std::to_string(different) + " rows are different");
  if (live_again_ms < 0 || live_again_ms > 2000) {
    out.emplace_back("the live edge was not back within 2 s");
  }
  if (backlog_then == 0) out.emplace_back("the live edge came after the backlog, not before it");
  const std::vector<std::string> wanted = {"online", "reconnecting", "offline", "online"};
  auto next = wanted.begin();
  for (const std::string& state : states) {
    if (next != wanted.end() && state == *next) ++next;
  }
  if (next != wanted.end()) {
    out.emplace_back("online, reconnecting, offline, online were not all seen");
  }
  return out;
}

Result<DemoLedger> play_demo(const DemoOptions& options) {
  return Script(options).play();
}

std::string to_json(const DemoLedger& ledger) {
  const nlohmann::ordered_json json = {{"expected", ledger.expected},
                                       {"heard", ledger.heard},
                                       {"journaled", ledger.journaled},
                                       {"room", ledger.room},
                                       {"missing", ledger.missing},
                                       {"duplicated", ledger.duplicated},
                                       {"different", ledger.different},
                                       {"gaps", ledger.gaps},
                                       {"live_again_ms", ledger.live_again_ms},
                                       {"backlog_then", ledger.backlog_then},
                                       {"states", ledger.states}};
  return json.dump(2);
}

std::string to_table(const DemoLedger& ledger) {
  std::string out =
      "\nLedger, in rows (the simulator's own count and hashes against what is there)\n";
  const auto line = [&](const std::string& name, std::int64_t value) {
    out += "  " + name + std::string(14 - name.size(), ' ') + std::to_string(value) + "\n";
  };
  line("expected", static_cast<std::int64_t>(ledger.expected));
  line("heard", static_cast<std::int64_t>(ledger.heard));
  line("journaled", static_cast<std::int64_t>(ledger.journaled));
  line("room", static_cast<std::int64_t>(ledger.room));
  line("missing", static_cast<std::int64_t>(ledger.missing));
  line("duplicated", static_cast<std::int64_t>(ledger.duplicated));
  line("different", static_cast<std::int64_t>(ledger.different));
  line("gaps", static_cast<std::int64_t>(ledger.gaps));
  line("live_again_ms", ledger.live_again_ms);
  return out;
}

}  // namespace pitbox
