// `pitbox status`: what the daemon hears, keeps and sends, and why not.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/control/control_client.h"
#include "apps/pitbox/command.h"

namespace pitbox {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kStatusPatience{5'000};

std::uint64_t number(const json& status, const char* pointer) {
  const json::json_pointer at(pointer);
  return status.contains(at) && status[at].is_number() ? status[at].get<std::uint64_t>() : 0;
}

std::string text(const json& status, const char* pointer) {
  const json::json_pointer at(pointer);
  return status.contains(at) && status[at].is_string() ? status[at].get<std::string>() : "";
}

// Reasons and their counts, as "truncated 3, malformed 1".
std::string reasons(const json& status, const char* pointer) {
  const json::json_pointer at(pointer);
  std::string out;
  if (!status.contains(at) || !status[at].is_object()) return out;
  for (const auto& [reason, count] : status[at].items()) {
    if (!count.is_number() || count == 0) continue;
    out += (out.empty() ? "" : ", ") + reason + " " + count.dump();
  }
  return out;
}

void print_link(const json& status) {
  const std::string reason = text(status, "/reason");
  std::printf("link       %s%s%s, since %s\n", text(status, "/state").c_str(),
              reason.empty() ? "" : ": ", reason.c_str(), text(status, "/since").c_str());
  if (const std::string error = text(status, "/error"); !error.empty()) {
    std::printf("           %s\n", error.c_str());
  }
  const auto waiting =
      std::max(number(status, "/batches/pending"), number(status, "/link/waiting"));
  if (waiting == 0) {
    std::printf("waiting    nothing (synced)\n");
  } else {
    std::printf("waiting    %lu batches and events\n", waiting);
  }
  for (const char* part : {"health", "auth", "room"}) {
    const std::string last = text(status, (std::string("/last/") + part).c_str());
    std::printf("last %-6s %s\n", part, last.empty() ? "never" : last.c_str());
  }
}

void print_recording(const json& status) {
  if (status.contains("session") && status["session"].is_object()) {
    std::printf("session    %s \"%s\" (%s)\n", text(status, "/session/id").c_str(),
                text(status, "/session/name").c_str(), text(status, "/session/type").c_str());
  } else {
    std::printf("session    none; one of type test begins with the first datagram\n");
  }
  std::printf("messages   %lu heard, %lu decoded, %lu in the ring\n",
              number(status, "/messages/heard"), number(status, "/messages/decoded"),
              number(status, "/messages/in_ring"));
  std::printf("records    %lu decoded, %lu journaled\n", number(status, "/records/decoded"),
              number(status, "/records/journaled"));
  const std::string dropped = reasons(status, "/messages/dropped");
  const std::string rejected = reasons(status, "/records/rejected");
  if (!dropped.empty()) std::printf("dropped    %s\n", dropped.c_str());
  if (!rejected.empty()) std::printf("rejected   %s\n", rejected.c_str());
  if (const std::string evicted = reasons(status, "/batches/evicted"); !evicted.empty()) {
    std::printf("given up   %s (batches; %lu records that nobody has)\n", evicted.c_str(),
                number(status, "/batches/evicted_records"));
  }
  if (status.contains("disk") && status["disk"].value("full", false)) {
    std::printf(
        "disk       FULL: batches are refused, laps and events are kept; free some space\n");
  }
  if (const auto unheard = number(status, "/unheard"); unheard > 0) {
    std::printf("unheard    %lu messages dropped by the kernel before us\n", unheard);
  }
}

void print_sources(const json& status) {
  if (!status.contains("sources") || !status["sources"].is_array()) return;
  for (const json& source : status["sources"]) {
    std::printf("source     %-12s %-4s %-22s %lu messages, ring %lu %% full\n",
                text(source, "/name").c_str(), text(source, "/kind").c_str(),
                text(source, "/endpoint").c_str(), number(source, "/messages"),
                number(source, "/ring_used_percent"));
    if (const auto refused = number(source, "/refused"); refused > 0) {
      std::printf("           %lu connections refused: as many as it takes are open\n", refused);
    }
    if (const std::string error = text(source, "/error"); !error.empty()) {
      std::printf("           %s\n", error.c_str());
    }
  }
}

void run_status(CommandContext& context, bool as_json) {
  const auto answer = ask_daemon(context.runtime_directory / "control.sock",
                                 R"({"command":"status"})", kStatusPatience);
  if (!answer.ok()) {
    context.exit_code = fail(answer.status());
    return;
  }
  if (as_json) {
    std::printf("%s\n", answer.value().c_str());
    return;
  }
  const auto status = json::parse(answer.value(), nullptr, false);
  if (!status.is_object()) {
    context.exit_code = fail({Code::kCorrupt, "the daemon's status is not JSON"});
    return;
  }
  print_recording(status);
  print_link(status);
  print_sources(status);
}

}  // namespace

void add_status_command(CLI::App& app, CommandContext& context) {
  auto* command = app.add_subcommand("status", "What the daemon hears, keeps and sends");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "As JSON");
  command->callback([&context, as_json] { run_status(context, *as_json); });
}

}  // namespace pitbox
