// Asks a running daemon over its control socket. Blocking; any thread.

#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include "proto/status.h"

namespace pitbox {

// Sends one request line and returns the answer line. kTryAgain if no daemon answers there; kFatal
// if it answered and then failed or took longer than `patience`.
Result<std::string> ask_daemon(const std::filesystem::path& socket, std::string_view request,
                               std::chrono::milliseconds patience);

}  // namespace pitbox
