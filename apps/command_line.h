// How the programs read their command lines: the same exit codes everywhere.

#pragma once

#include <CLI/CLI.hpp>
#include <optional>

namespace pitbox {

// A command line that was not understood; as for a configuration that was not.
inline constexpr int kExitUsage = 2;

// Fills what `app` names. The exit code if the program is to end at once: 0 after --help and
// --version, kExitUsage after the complaint on stderr. Empty: go on.
inline std::optional<int> end_after_parsing(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  return std::nullopt;
}

}  // namespace pitbox
