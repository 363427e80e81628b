#include "apps/bench/soak.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

#include "apps/bench/stopwatch.h"
#include "apps/launch/process_stats.h"
#include "apps/launch/stage.h"
#include "buffer/session_store.h"
#include "proto/uuid.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using std::chrono::milliseconds;

constexpr double kLooks = 1200;
constexpr double kAskEveryS = 0.25;  // What is behind cannot be told more exactly.
constexpr double kCompleteWithinS = 60;
constexpr double kGrowthMax = 1.1;
constexpr std::size_t kLooksToJudge = 40;  // Fewer say nothing of what grows.
constexpr auto kSoakPoll = milliseconds(50);

std::size_t count_descriptors(pid_t pid) {
  std::error_code error;
  std::size_t count = 0;
  fs::directory_iterator it("/proc/" + std::to_string(pid) + "/fd", error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) ++count;
  return count;
}

double resident_mib(pid_t pid) {
  return static_cast<double>(memory_kib(pid, "VmRSS")) / 1024;
}

// How long ago as many entries were journaled as are acknowledged now.
class Behind {
 public:
  double note(double now_s, std::uint64_t journaled, std::uint64_t pending) {
    if (history_.empty() || history_.back().journaled != journaled) {
      history_.push_back({now_s, journaled});
    }
    const std::uint64_t acknowledged = journaled - std::min(journaled, pending);
    while (history_.size() > 1 && history_[1].journaled <= acknowledged) history_.pop_front();
    return pending == 0 ? 0 : now_s - history_.front().at_s;
  }

 private:
  struct Point {
    double at_s;
    std::uint64_t journaled;
  };
  std::deque<Point> history_;
};

class Soak {
 public:
  explicit Soak(const SoakOptions& options) : options_(options) {}

  Result<SoakFigures> run() {
    if (Status set = set_stage(); !set.ok()) return set;
    Status ran = drive();
    if (ran.ok()) ran = finish();
    if (figures_.looks.empty()) return ran.ok() ? Status(Code::kFatal, "too short a run") : ran;
    // Hours of figures are not thrown away because of how they ended.
    figures_.why_not = ran.ok() ? judge() : ran.message();
    return std::move(figures_);
  }

 private:
  Status set_stage() {
    Stage::Options stage;
    stage.programs = options_.programs;
    stage.folder = options_.folder;
    auto set = Stage::set(stage);
    if (!set.ok()) return set.status();
    stage_ = std::move(set).take();
    session_ = Uuid::mint();
    const ordered_json start = {{"command", "session_start"}, {"id", session_.text()}};
    if (auto started = stage_->ask(start.dump()); !started.ok()) return started.status();
    return {};
  }

  Status drive() {
    const double length_s = options_.hours * 3600;
    std::array<char, 32> seconds{};
    std::snprintf(seconds.data(), seconds.size(), "%.1f", length_s);
    auto started =
        stage_->start_command({"sim", "--cars", std::to_string(options_.cars), "--seconds",
                               seconds.data(), "--to", stage_->source().address()},
                              "sim.log");
    if (!started.ok()) return started.status();
    ChildProcess cars = std::move(started).take();
    const double every_s = std::max(kAskEveryS, length_s / kLooks);
    const Stopwatch watch;
    double ask_at_s = 0;
    double look_at_s = 0;
    std::optional<int> code;
    while (!(code = cars.wait(kSoakPoll))) {
      if (options_.should_stop()) return {Code::kTryAgain, "stopped"};
      if (Status cut = cut_or_restore(watch.seconds()); !cut.ok()) return cut;
      const double now_s = watch.seconds();
      if (now_s < ask_at_s) continue;
      ask_at_s += kAskEveryS;
      if (Status asked = ask(now_s); !asked.ok()) return asked;
      if (now_s < look_at_s) continue;
      look_at_s += every_s;
      look(now_s);
      tell(now_s, length_s);
    }
    if (*code != 0) return {Code::kFatal, "the simulator failed; run again with --keep"};
    if (!is_cut_) return {};
    is_cut_ = false;
    return stage_->link().restore();
  }

  Status cut_or_restore(double now_s) {
    const double into_s = std::fmod(now_s, options_.cut_every_s);
    const bool is_time = now_s >= options_.cut_every_s && into_s < options_.cut_for_s;
    if (is_time == is_cut_) return {};
    is_cut_ = is_time;
    if (!is_cut_) return stage_->link().restore();
    stage_->link().cut();
    return {};
  }

  Result<ordered_json> status() const {
    const auto answer = stage_->ask(R"({"command":"status"})");
    if (!answer.ok()) return answer.status();
    auto json = ordered_json::parse(answer.value(), nullptr, false);
    if (json.is_discarded() || !json.contains("batches") || !json.contains("recorder")) {
      return Status(Code::kFatal, "the daemon's answer is no status");
    }
    return json;
  }

  Status ask(double now_s) {
    const auto json = status();
    if (!json.ok()) return json.status();
    const auto& batches = json.value().at("batches");
    behind_s_ = behind_.note(now_s, batches.at("journaled").get<std::uint64_t>(),
                             batches.at("pending").get<std::uint64_t>());
    return {};
  }

  void look(double now_s) {
    SoakLook look;
    look.seconds = now_s;
    look.daemon_mib = resident_mib(stage_->daemon().pid());
    look.room_mib = resident_mib(stage_->room().pid());
    look.descriptors = count_descriptors(stage_->daemon().pid());
    look.wal_mib = wal_mib();
    look.behind_s = behind_s_;
    look.is_cut = is_cut_;
    figures_.looks.push_back(look);
  }

  double wal_mib() const {
    std::uintmax_t bytes = 0;
    std::error_code error;
    const fs::path folder = stage_->state_directory() / "sessions" / session_.text();
    fs::directory_iterator it(folder, error);
    for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
      if (!it->path().filename().string().ends_with("-wal")) continue;
      std::error_code gone;
      const auto size = it->file_size(gone);
      if (!gone) bytes += size;
    }
    return static_cast<double>(bytes) / (1024 * 1024);
  }

  void tell(double now_s, double length_s) const {
    if (!options_.progress) return;
    std::array<char, 128> text{};
    const SoakLook& last = figures_.looks.back();
    std::snprintf(text.data(), text.size(), "%.0f of %.0f s; daemon %.1f MiB, room %.1f s behind%s",
                  now_s, length_s, last.daemon_mib, last.behind_s, last.is_cut ? ", link cut" : "");
    options_.progress(text.data());
  }

  Status finish() {
    const auto json = status();
    if (!json.ok()) return json.status();
    figures_.records = json.value().at("records").at("journaled").get<std::uint64_t>();
    law_violations_ = json.value().at("recorder").at("law_violations").get<std::uint64_t>();
    const auto drops = stage_->source().kernel_drops();
    if (!drops.ok()) return drops.status();
    drops_ = drops.value();
    if (auto ended = stage_->ask(R"({"command":"session_end"})"); !ended.ok()) {
      return ended.status();
    }
    const Stopwatch watch;
    while (!is_complete_ && watch.seconds() < kCompleteWithinS) {
      if (options_.should_stop()) return {Code::kTryAgain, "stopped"};
      std::this_thread::sleep_for(kSoakPoll);
      const auto found = find_session(stage_->state_directory(), session_.text());
      is_complete_ = found.ok() && found.value().complete;
    }
    figures_.completed_s = watch.seconds();
    return {};
  }

  // What did not hold; empty: all of it.
  std::string judge() const {
    if (drops_ != 0) return "the kernel dropped " + std::to_string(drops_) + " datagrams";
    if (law_violations_ != 0) return "the conservation law was broken";
    if (!is_complete_) return "the room did not have all of the session a minute after its end";
    if (figures_.looks.size() < kLooksToJudge) return {};
    if (figures_.memory_after_mib() >= kGrowthMax * figures_.memory_before_mib()) {
      return "the daemon's memory grew";
    }
    if (figures_.descriptors_after() > figures_.descriptors_before()) {
      return "the daemon's descriptors grew";
    }
    return {};
  }

  const SoakOptions& options_;
  std::unique_ptr<Stage> stage_;
  Uuid session_;
  Behind behind_;
  double behind_s_ = 0;
  bool is_cut_ = false;
  bool is_complete_ = false;
  std::uint64_t law_violations_ = 0;
  std::uint64_t drops_ = 0;
  SoakFigures figures_;
};

// The looks of one quarter, 0..3.
std::span<const SoakLook> quarter(const std::vector<SoakLook>& looks, std::size_t number) {
  const std::size_t from = looks.size() * number / 4;
  return std::span(looks).subspan(from, looks.size() * (number + 1) / 4 - from);
}

double median_memory(std::span<const SoakLook> looks) {
  if (looks.empty()) return 0;
  std::vector<double> values;
  for (const SoakLook& look : looks) values.push_back(look.daemon_mib);
  std::nth_element(values.begin(), values.begin() + std::ssize(values) / 2, values.end());
  return values[values.size() / 2];
}

std::size_t most_descriptors(std::span<const SoakLook> looks) {
  std::size_t most = 0;
  for (const SoakLook& look : looks) most = std::max(most, look.descriptors);
  return most;
}

}  // namespace

double SoakFigures::memory_before_mib() const {
  return median_memory(quarter(looks, 1));
}
double SoakFigures::memory_after_mib() const {
  return median_memory(quarter(looks, 3));
}
std::size_t SoakFigures::descriptors_before() const {
  return most_descriptors(quarter(looks, 1));
}
std::size_t SoakFigures::descriptors_after() const {
  return most_descriptors(quarter(looks, 3));
}

Result<SoakFigures> soak(const SoakOptions& options) {
  return Soak(options).run();
}

std::string to_json(const SoakFigures& figures) {
  ordered_json series;
  for (const SoakLook& look : figures.looks) {
    series["seconds"].push_back(look.seconds);
    series["daemon_mib"].push_back(look.daemon_mib);
    series["room_mib"].push_back(look.room_mib);
    series["descriptors"].push_back(look.descriptors);
    series["wal_mib"].push_back(look.wal_mib);
    series["behind_s"].push_back(look.behind_s);
    series["cut"].push_back(look.is_cut ? 1 : 0);
  }
  return ordered_json{
      {"holds", figures.why_not.empty()},
      {"why_not", figures.why_not},
      {"records", figures.records},
      {"completed_s", figures.completed_s},
      {"memory_mib",
       {{"before", figures.memory_before_mib()}, {"after", figures.memory_after_mib()}}},
      {"descriptors",
       {{"before", figures.descriptors_before()}, {"after", figures.descriptors_after()}}},
      {"series", std::move(series)}}
      .dump(1);
}

std::string to_table(const SoakFigures& figures) {
  double wal_mib = 0;
  double behind_s = 0;
  for (const SoakLook& look : figures.looks) {
    wal_mib = std::max(wal_mib, look.wal_mib);
    if (!look.is_cut) behind_s = std::max(behind_s, look.behind_s);
  }
  std::array<char, 640> text{};
  std::snprintf(
      text.data(), text.size(),
      "ran                    %.0f s, %llu records journaled\n"
      "daemon                 %.1f MiB in the second quarter, %.1f in the last; "
      "descriptors %zu, %zu\n"
      "WAL                    most %.1f MiB\n"
      "room behind            most %.1f s with the link there\n"
      "complete               %.1f s after the session's end\n"
      "%s\n",
      figures.looks.empty() ? 0.0 : figures.looks.back().seconds,
      static_cast<unsigned long long>(figures.records), figures.memory_before_mib(),
      figures.memory_after_mib(), figures.descriptors_before(), figures.descriptors_after(),
      wal_mib, behind_s, figures.completed_s,
      figures.why_not.empty() ? "it holds" : ("it does not hold: " + figures.why_not).c_str());
  return text.data();
}

}  // namespace pitbox
