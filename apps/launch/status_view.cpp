#include "apps/launch/status_view.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace pitbox {

Result<StatusView> StatusView::parse(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Status(Code::kCorrupt, "the daemon's status is not a JSON object");
  const auto number = [&](const char* pointer) {
    const auto* found = json.contains(nlohmann::json::json_pointer(pointer))
                            ? &json.at(nlohmann::json::json_pointer(pointer))
                            : nullptr;
    return found != nullptr && found->is_number() ? found->get<std::uint64_t>() : 0;
  };
  const auto text_at = [&](const char* key) {
    return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
  };
  StatusView view;
  view.state = text_at("state");
  view.reason = text_at("reason");
  if (json.contains("session") && json["session"].is_object()) {
    view.session = json["session"].value("id", "");
  }
  view.heard = number("/messages/heard");
  view.records = number("/records/journaled");
  view.batches = number("/batches/journaled");
  view.pending = std::max(number("/batches/pending"), number("/link/waiting"));
  view.pending_bytes = number("/batches/pending_bytes");
  view.unheard = number("/unheard");
  return view;
}

}  // namespace pitbox
