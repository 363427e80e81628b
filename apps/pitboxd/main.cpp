// pitboxd: hears the cars, keeps every sample, tells the factory.

#include <google/protobuf/stubs/logging.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "apps/command_line.h"
#include "apps/pitboxd/check.h"
#include "apps/pitboxd/daemon.h"
#include "config/config.h"

namespace {

constexpr int kExitBadConfig = 2;
constexpr int kExitFailed = 1;

void set_up_logging(const std::string& level) {
  // Lines to stderr; the service manager adds time and name, a terminal gets ours.
  auto logger = spdlog::stderr_logger_mt("pitboxd");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

// The signals that end the daemon, blocked in every thread and read here in peace.
sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

int run(const pitbox::Config& config) {
  const sigset_t signals = ending_signals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  set_up_logging(config.log_level);
  auto daemon = pitbox::Daemon::start(config);
  if (!daemon.ok()) {
    spdlog::error("{}", daemon.status().message());
    return kExitFailed;
  }
  int received = 0;
  sigwait(&signals, &received);
  spdlog::info("stopping on signal {}", received);
  daemon.value().reset();
  spdlog::info("stopped");
  return 0;
}

int run_program(int argc, char** argv) {
  // It complains on stderr about bytes that our own parsers refuse, count and report.
  google::protobuf::SetLogHandler(nullptr);
  CLI::App app{"Hears car telemetry, journals every sample, and streams it to the session's room."};
  std::filesystem::path file = "/etc/pitbox/pitbox.toml";
  bool check = false;
  bool print = false;
  app.add_option("--config", file, "TOML file; every key is in docs/config.md")
      ->envname("PITBOX_CONFIG")
      ->capture_default_str();
  app.add_flag("--check-config", check, "Only say whether the configuration is right");
  app.add_flag("--print-config", print, "Only print the configuration in force, without secrets");
  app.set_version_flag("--version", PITBOX_VERSION);
  if (const auto code = pitbox::end_after_parsing(app, argc, argv)) return *code;

  for (const std::string& name : pitbox::unknown_variables()) {
    std::fprintf(stderr, "pitboxd: environment variable %s is not one of ours, and is ignored\n",
                 name.c_str());
  }
  const auto config = pitbox::load_config(file, pitbox::process_environment());
  if (!config.ok()) {
    std::fprintf(stderr, "pitboxd: %s\n", config.status().message().c_str());
    return kExitBadConfig;
  }
  if (print) {
    std::fputs(pitbox::print_config(config.value(), false).c_str(), stdout);
    return 0;
  }
  const pitbox::Status usable = pitbox::check_options(config.value());
  if (!usable.ok()) {
    std::fprintf(stderr, "pitboxd: %s\n", usable.message().c_str());
    return kExitBadConfig;
  }
  if (check) {
    std::printf("%s: right, %zu source%s\n", file.c_str(), config.value().sources.size(),
                config.value().sources.size() == 1 ? "" : "s");
    return 0;
  }
  return run(config.value());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_program(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pitboxd: %s\n", error.what());
    return 1;
  }
}
