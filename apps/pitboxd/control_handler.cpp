#include "apps/pitboxd/control_handler.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "proto/text.h"

namespace pitbox {
namespace {

using nlohmann::ordered_json;

// Whatever a text holds (an error may quote half a character of a request), it becomes an answer.
std::string line_of(const ordered_json& answer) {
  return answer.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

// Empty if the request does not have the key.
Result<std::string> text_of(const nlohmann::json& request, const char* key) {
  const auto found = request.find(key);
  if (found == request.end()) return std::string();
  if (!found->is_string()) return Status::rejected(std::string(key) + " must be a text");
  return found->get<std::string>();
}

Result<StartSession> start_of(const nlohmann::json& request) {
  const auto name = text_of(request, "name");
  const auto type = text_of(request, "type");
  const auto id = text_of(request, "id");
  for (const auto* text : {&name, &type, &id}) {
    if (!text->ok()) return text->status();
  }
  StartSession start;
  start.name = name.value();
  if (!type.value().empty()) start.type = type.value();
  if (!id.value().empty()) {
    const auto parsed = Uuid::parse(id.value());
    if (!parsed.ok()) return parsed.status();
    start.id = parsed.value();
  }
  return start;
}

ordered_json describe_session(const SessionInfo& session) {
  return {{"id", session.id.text()},
          {"name", session.name},
          {"type", session.type},
          {"platformId", session.platform_id},
          {"startedAt", utc_text(session.started_at_ms)}};
}

}  // namespace

std::string ControlHandler::refuse(const std::string& error) {
  parts_.counters->requests_refused.fetch_add(1, std::memory_order_relaxed);
  return line_of({{"ok", false}, {"error", error}});
}

std::string ControlHandler::handle(std::string_view text) {
  const auto request = nlohmann::json::parse(text, nullptr, false);
  if (!request.is_object()) return refuse("a request is one JSON object on one line");
  const auto named = text_of(request, "command");
  if (!named.ok()) return refuse(named.status().message());
  const std::string& command = named.value();
  if (command == "status") return parts_.status();
  if (command == "session_start") {
    auto start = start_of(request);
    return start.ok() ? carry_out(std::move(start).take()) : refuse(start.status().message());
  }
  if (command == "session_end") return carry_out(EndSession{});
  if (command == "session_bind") {
    const auto platform_id = text_of(request, "platform_id");
    if (!platform_id.ok()) return refuse(platform_id.status().message());
    if (platform_id.value().empty()) return refuse("session_bind needs a platform_id");
    return carry_out(BindSession{platform_id.value()});
  }
  if (command == "mark") {
    const auto car = text_of(request, "car");
    const auto words = text_of(request, "text");
    if (!car.ok()) return refuse(car.status().message());
    if (!words.ok()) return refuse(words.status().message());
    return carry_out(MarkMoment{.car = car.value(), .text = words.value()});
  }
  return refuse("unknown command; known: status, session_start, session_end, session_bind, mark");
}

std::string ControlHandler::carry_out(SessionCommand command) {
  auto outcome = parts_.submit(std::move(command));
  if (outcome.wait_for(kPatience) != std::future_status::ready) {
    return refuse("the recorder did not answer within 10 s; the command may still be carried out");
  }
  const CommandResult result = outcome.get();
  if (!result.status.ok()) return refuse(result.status.message());
  ordered_json answer = {{"ok", true}};
  if (result.session) answer["session"] = describe_session(*result.session);
  return line_of(answer);
}

}  // namespace pitbox
