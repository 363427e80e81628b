#include "apps/demo/live_run.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <thread>

#include "apps/launch/stage.h"
#include "apps/launch/status_view.h"
#include "apps/sim/track.h"

namespace pitbox {
namespace {

using std::chrono::milliseconds;

std::atomic<bool> is_asked_to_stop{false};

void ask_to_stop(int) {
  is_asked_to_stop = true;
}

// The Orlando Kart Center's gates: the track of the recordings that Pitbox is tested with.
constexpr const char* kKartTrack =
    "[track]\n"
    "name = \"Orlando Kart Center\"\n"
    "start_finish = [[28.41270817056385, -81.37973266418031],"
    " [28.41273038679321, -81.37957048753776]]\n"
    "sectors = [[[28.4119049886871, -81.3790708193926], [28.4118316342961, -81.3791856652217]],\n"
    "           [[28.4115010664104, -81.3799856475317], [28.4115084390461, -81.3798064021136]]]\n";

Result<std::string> track_table(const LiveRunOptions& options) {
  if (options.input.empty()) return SimTrack().toml();
  if (options.track_file.empty()) return std::string(kKartTrack);
  std::ifstream file(options.track_file);
  if (!file) return Status(Code::kRejected, options.track_file.string() + ": cannot be read");
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

std::string describe(const StatusView& view) {
  std::string text = view.state;
  if (!view.reason.empty()) text += " (" + view.reason + ")";
  text += " | heard " + std::to_string(view.heard) + " messages";
  text += " | journaled " + std::to_string(view.records) + " records";
  text += " | waiting for the room " + std::to_string(view.pending) + " batches";
  if (view.unheard > 0) text += " | the kernel dropped " + std::to_string(view.unheard);
  return text;
}

void show(const std::string& line) {
  if (isatty(STDERR_FILENO) != 0) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    return;
  }
  std::fprintf(stderr, "%s\n", line.c_str());
}

// What a program that failed said last.
std::string last_line(const std::filesystem::path& log, const std::string& otherwise) {
  std::ifstream file(log);
  std::string last = otherwise;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

std::vector<std::string> player(const LiveRunOptions& options, const Stage& stage) {
  if (!options.input.empty()) {
    return {"feed", std::filesystem::absolute(options.input).string(), "--to",
            stage.source().address()};
  }
  return {"sim", "--cars", "2", "--seed", "7", "--gt3", "--to", stage.source().address()};
}

}  // namespace

Status run_live(const LiveRunOptions& options) {
  auto track = track_table(options);
  if (!track.ok()) return track.status();
  std::signal(SIGINT, ask_to_stop);
  std::signal(SIGTERM, ask_to_stop);
  auto stage = Stage::set({.programs = options.programs,
                           .folder = options.folder,
                           .room_port = options.room_port,
                           .source_port = options.source_port,
                           .decoder = options.input.empty() ? "native" : "nmea",
                           .track = std::move(track).take()});
  if (!stage.ok()) return stage.status();
  auto playing = stage.value()->start_command(player(options, *stage.value()), "cars.log");
  if (!playing.ok()) return playing.status();

  std::fprintf(stderr,
               "page      %s\nlisten    %s (%s)\njournals  %s\nlogs      %s\nstop      Ctrl-C\n",
               stage.value()->page_url().c_str(), stage.value()->source().address().c_str(),
               options.input.empty() ? "native" : "nmea", stage.value()->state_directory().c_str(),
               stage.value()->log_directory().c_str());
  const bool is_terminal = isatty(STDERR_FILENO) != 0;
  const milliseconds every(is_terminal ? 500 : 5000);
  auto next = std::chrono::steady_clock::now();
  bool was_playing = true;
  while (!is_asked_to_stop) {
    if (std::chrono::steady_clock::now() >= next) {
      next += every;
      const auto answer = stage.value()->ask(R"({"command":"status"})");
      const auto view = answer.ok() ? StatusView::parse(answer.value()) : answer.status();
      show(view.ok() ? describe(view.value()) : view.status().message());
    }
    if (was_playing && !playing.value().is_running()) {
      was_playing = false;
      if (playing.value().wait(milliseconds(0)).value_or(1) != 0) {
        return {Code::kRejected,
                last_line(stage.value()->log_directory() / "cars.log", "the cars stopped")};
      }
      show("the recording is over");
      std::fprintf(stderr, "\n");
    }
    if (!stage.value()->daemon().is_running()) {
      return {Code::kFatal, "the daemon stopped; see " +
                                (stage.value()->log_directory() / "pitboxd.log").string()};
    }
    std::this_thread::sleep_for(milliseconds(50));
  }
  std::fprintf(stderr, "\nstopping\n");
  playing.value().stop(milliseconds(5000));
  // So that the next run is a session of its own, and this one's last lap is an in lap.
  const auto ended = stage.value()->ask(R"({"command":"session_end"})");
  return ended.ok() ? Status() : ended.status();
}

}  // namespace pitbox
