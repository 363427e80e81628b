// Attacks ControlHandler: whatever a line on the control socket says, the answer is one JSON object
// on one line, with "ok" where it is no status; a command reaches the recorder only out of a
// request that names it; and what a refusal quotes of the request does no harm.
//
// Input: one byte of what the recorder will say, then the request.

#include <cstddef>
#include <cstdint>
#include <future>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "apps/pitboxd/control_handler.h"
#include "proto/check.h"

namespace {

using namespace pitbox;  // NOLINT(google-build-using-namespace): a fuzz target is one page.

// A recorder that quotes what it was told, whole and cut anywhere.
CommandResult quoting(const SessionCommand& command, std::uint8_t mood) {
  SessionInfo session;
  if (const auto* start = std::get_if<StartSession>(&command)) session.name = start->name;
  if (const auto* bind = std::get_if<BindSession>(&command)) {
    session.platform_id = bind->platform_id;
  }
  if ((mood & 1) == 0) return {Status(), session};
  const std::string quote = session.name + session.platform_id;
  return {Status::rejected("not \"" + quote.substr(0, mood) + "\""), std::nullopt};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view line(reinterpret_cast<const char*>(data) + 1, size - 1);
  int commands = 0;
  int statuses = 0;
  ControlCounters counters;
  ControlHandler handler({.status =
                              [&] {
                                ++statuses;
                                return std::string("{}");
                              },
                          .submit =
                              [&](const SessionCommand& command) {
                                ++commands;
                                std::promise<CommandResult> said;
                                said.set_value(quoting(command, data[0]));
                                return said.get_future();
                              },
                          .counters = &counters});
  const std::string answer = handler.handle(line);
  CHECK(answer.find('\n') == std::string::npos);
  const auto json = nlohmann::json::parse(answer, nullptr, false);
  CHECK(json.is_object());
  CHECK(statuses + commands <= 1);
  CHECK(statuses == 1 || (json.contains("ok") && json["ok"].is_boolean()));
  CHECK(statuses == 1 || json["ok"] == true || json["error"].is_string());
  CHECK(counters.requests_refused.load() == (statuses == 0 && json["ok"] == false ? 1 : 0));
  CHECK(commands == 0 || line.find("session_") != std::string_view::npos ||
        line.find("mark") != std::string_view::npos || line.find('\\') != std::string_view::npos);
  return 0;
}
