// A small language for tests of the whole line: the real daemon, room and commands on a Stage, with
// waits for observable states.

#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "apps/launch/stage.h"
#include "apps/launch/status_view.h"
#include "buffer/session_store.h"
#include "proto/uuid.h"
#include "tests/becomes_true.h"

namespace pitbox {

inline std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The JSON object that a command printed; what it said of its progress, because it took long,
// stands before it.
inline nlohmann::json json_in(const std::string& output) {
  const std::size_t begins = output.find('{');
  return begins == std::string::npos ? nlohmann::json()
                                     : nlohmann::json::parse(output.substr(begins), nullptr, false);
}

// The folder of real recordings; empty if this machine has none.
inline std::filesystem::path recordings() {
  const char* given = std::getenv("PITBOX_SHARED");
  const std::filesystem::path folder =
      (given != nullptr ? std::filesystem::path(given)
                        : std::filesystem::path(PITBOX_SOURCE_DIR) / ".." / "shared") /
      "data";
  return std::filesystem::exists(folder) ? folder : std::filesystem::path();
}

class LineRig {
 public:
  LineRig() {
    folder_ = std::filesystem::temp_directory_path() /
              ("pitbox-line-" + std::to_string(getpid()) + "-" + Uuid::mint().text().substr(0, 8));
  }
  ~LineRig() {
    stage_.reset();
    std::error_code ignored;
    if (!testing::Test::HasFailure()) std::filesystem::remove_all(folder_, ignored);
  }

  // Room, link and daemon are up.
  void set(Stage::Options options) {
    options.programs = PITBOX_BIN_DIR;
    options.folder = folder_;
    auto stage = Stage::set(options);
    ASSERT_TRUE(stage.ok()) << stage.status().message();
    stage_ = std::move(stage).take();
  }
  Stage& stage() { return *stage_; }

  StatusView status() {
    const auto answer = stage_->ask(R"({"command":"status"})");
    if (!answer.ok()) return {};
    auto view = StatusView::parse(answer.value());
    return view.ok() ? std::move(view).take() : StatusView{};
  }

  // Asks the daemon; its answer must be ok.
  nlohmann::json ask(const nlohmann::json& request) {
    const auto answer = stage_->ask(request.dump());
    EXPECT_TRUE(answer.ok()) << answer.status().message();
    if (!answer.ok()) return {};
    auto json = nlohmann::json::parse(answer.value(), nullptr, false);
    EXPECT_TRUE(json.is_object() && json.value("ok", false)) << answer.value();
    return json;
  }
  Uuid start_session(const std::string& name) {
    const Uuid id = Uuid::mint();
    ask({{"command", "session_start"}, {"name", name}, {"id", id.text()}});
    return id;
  }
  void end_session() { ask({{"command", "session_end"}}); }

  struct Outcome {
    int exit_code = -1;
    std::string output;  // Both streams.
  };
  // Runs `pitbox ARGUMENT...` on the stage's state directory to its end.
  Outcome pitbox(std::vector<std::string> arguments) {
    const std::string log = "command-" + std::to_string(++commands_) + ".log";
    arguments.insert(arguments.begin(), {"--state", stage_->state_directory().string()});
    auto command = stage_->start_command(arguments, log);
    EXPECT_TRUE(command.ok());
    if (!command.ok()) return {};
    const auto code = command.value().wait(kLinePatience);
    EXPECT_TRUE(code.has_value()) << "pitbox " << arguments[2] << " did not end";
    return {code.value_or(-1), text_of(stage_->log_directory() / log)};
  }

  bool is_complete(const Uuid& session) {
    const auto found = find_session(stage_->state_directory(), session.text());
    return found.ok() && found.value().complete;
  }
  std::filesystem::path folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  std::unique_ptr<Stage> stage_;
  int commands_ = 0;
};

}  // namespace pitbox
