// pitbox-room: the other end. Serves session rooms to boxes, viewers and browsers, and keeps what
// boxes send in one SQLite file per session.
//
// SIGTERM and SIGINT: what waits is committed, everybody is told Goodbye{server_closing}, exit 0.

#include <google/protobuf/stubs/logging.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

#include "apps/command_line.h"
#include "room/room_server.h"

namespace {

pitbox::RoomServer* server_to_stop = nullptr;  // Set before the handler is, and then constant.

void on_signal(int) {
  server_to_stop->stop();
}

void stop_on_signals(pitbox::RoomServer& server) {
  server_to_stop = &server;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int run_program(int argc, char** argv) {
  // It complains on stderr about bytes that our own parsers refuse, count and report.
  google::protobuf::SetLogHandler(nullptr);
  pitbox::RoomServer::Options options;
  std::string log_level = "info";
  CLI::App app("Session rooms: store what boxes send, show it to engineers.", "pitbox-room");
  app.set_version_flag("--version", "pitbox-room " PITBOX_VERSION);
  app.add_option("--listen", options.listen, "IPv4 address to listen on")->capture_default_str();
  app.add_option("--port", options.port, "TCP port; 0 takes a free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--store", options.rooms.directory, "Directory of the rooms, one file per session")
      ->required();
  auto* keys = app.add_option("--keys", options.keys_file,
                              "File of API keys, one per line: KEY [account]; mode 0600");
  app.add_flag("--no-auth", options.no_auth, "Let everybody in; on a loopback address only")
      ->excludes(keys);
  app.add_option("--allow-host", options.allowed_hosts,
                 "Name by which browsers may reach this server, beside its addresses");
  app.add_option("--log-level", log_level, "debug, info, warning, error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  if (const auto code = pitbox::end_after_parsing(app, argc, argv)) return *code;

  // Standard output is for the one line that says we are ready.
  spdlog::set_default_logger(spdlog::stderr_color_mt("pitbox-room"));
  spdlog::set_level(spdlog::level::from_str(log_level));
  auto server = pitbox::RoomServer::open(options);
  if (!server.ok()) {
    std::fprintf(stderr, "pitbox-room: %s\n", server.status().message().c_str());
    return 1;
  }
  stop_on_signals(*server.value());
  std::printf("pitbox-room listening on http://%s:%d/ (%zu rooms)\n", options.listen.c_str(),
              server.value()->port(), server.value()->known_rooms());
  std::fflush(stdout);
  server.value()->run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_program(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pitbox-room: %s\n", error.what());
    return 1;
  }
}
