// The options of commands that ask a room: --room and the credential.

#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "proto/uuid.h"
#include "sync/room_reader.h"

namespace pitbox {

struct RoomArguments {
  std::string url;
  std::string api_key;
  std::string ca_file;

  CLI::Option* add_to(CLI::App* command) {
    command->add_option("--api-key", api_key, "API key for the room")
        ->envname("PITBOX_ROOM_API_KEY");
    command->add_option("--ca-file", ca_file,
                        "Certificates to trust (PEM) instead of the system's");
    return command->add_option("--room", url, "The room server: ws://HOST:PORT or wss://HOST:PORT");
  }
  RoomReaderOptions reader_options(const Uuid& session) const {
    RoomReaderOptions options;
    options.url = url;
    options.session = session;
    options.api_key = api_key;
    options.ca_file = ca_file;
    return options;
  }
};

}  // namespace pitbox
