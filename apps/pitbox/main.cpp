// `pitbox`: the command line. Each command is a file of its own (command.h).

#include <google/protobuf/stubs/logging.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "apps/pitbox/command.h"

namespace {

constexpr const char* kFooter =
    "SESSION is a session's id, the beginning of one, a path, or 'latest'.\n"
    "Sessions are read from the journal files, with or without a running daemon.\n\n"
    "Exit codes: 0 done; 1 a comparison found something missing, duplicated or different;\n"
    "2 wrong usage, or something could not be read, written or reached.";

int run(int argc, char** argv) {
  // It complains on stderr about bytes that our own parsers refuse, count and report.
  google::protobuf::SetLogHandler(nullptr);
  CLI::App app("Pitbox: hears every car, keeps every sample, and tells the factory.", "pitbox");
  app.set_version_flag("--version", PITBOX_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kFooter);
  pitbox::CommandContext context;
  context.state_directory = "/var/lib/pitbox";
  context.runtime_directory = "/run/pitbox";
  app.add_option("--state", context.state_directory, "The daemon's state directory")
      ->envname("PITBOX_STATE_DIR")
      ->capture_default_str();
  app.add_option("--runtime", context.runtime_directory, "The daemon's runtime directory")
      ->envname("PITBOX_RUNTIME_DIR")
      ->capture_default_str();
  pitbox::add_status_command(app, context);
  pitbox::add_session_command(app, context);
  pitbox::add_mark_command(app, context);
  pitbox::add_sessions_command(app, context);
  pitbox::add_laps_command(app, context);
  pitbox::add_channels_command(app, context);
  pitbox::add_export_command(app, context);
  pitbox::add_verify_command(app, context);
  pitbox::add_fsck_command(app, context);
  pitbox::add_salvage_command(app, context);
  pitbox::add_sim_command(app, context);
  pitbox::add_feed_command(app, context);
  pitbox::add_sniff_command(app, context);
  pitbox::add_ledger_command(app, context);
  pitbox::add_bench_command(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    if (argc > 1 && argv[1][0] != '-' && app.get_subcommands().empty()) {
      std::fprintf(stderr, "pitbox: there is no command '%s'; `pitbox --help` lists them\n",
                   argv[1]);
      return pitbox::kExitFailed;
    }
    return app.exit(error) == 0 ? pitbox::kExitDone : pitbox::kExitFailed;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? pitbox::kExitDone : pitbox::kExitFailed;
  }
  return context.exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pitbox: %s\n", error.what());
  } catch (...) {
    std::fprintf(stderr, "pitbox: stopped by an exception without a name\n");
  }
  return pitbox::kExitFailed;
}
