// `pitbox session start | end | bind | list`: asks the running daemon; when none runs, does it on
// the state directory itself, under its lock.

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/control/control_client.h"
#include "apps/pitbox/command.h"
#include "buffer/clock.h"
#include "buffer/recorder.h"
#include "buffer/session_store.h"

namespace pitbox {
namespace {

constexpr std::chrono::milliseconds kSessionPatience{15'000};

struct SessionRequest {
  std::string name;
  std::string type = "test";
  std::string id;
  std::string platform_id;
};

void print_session(const SessionInfo& session, const char* what) {
  std::printf("%s session %s \"%s\" (%s)\n", what, session.id.text().c_str(), session.name.c_str(),
              session.type.c_str());
}

// The daemon's answer to `request`; kTryAgain if no daemon runs.
Status ask(const CommandContext& context, const nlohmann::json& request, const char* what) {
  const auto answer =
      ask_daemon(context.runtime_directory / "control.sock", request.dump(), kSessionPatience);
  if (!answer.ok()) return answer.status();
  const auto json = nlohmann::json::parse(answer.value(), nullptr, false);
  if (!json.is_object()) return {Code::kFatal, "the daemon's answer is not JSON"};
  if (!json.value("ok", false)) return {Code::kRejected, json.value("error", "refused")};
  if (json.contains("session")) {
    const auto& session = json["session"];
    std::printf("%s session %s \"%s\" (%s)\n", what, session.value("id", "").c_str(),
                session.value("name", "").c_str(), session.value("type", "").c_str());
  }
  return {};
}

// Without a daemon: a recorder without sources carries the command out, so that it means the same.
Status do_it_here(const CommandContext& context, SessionCommand command, const char* what) {
  auto store = SessionStore::open(context.state_directory, {});
  if (!store.ok()) return store.status();
  const Clock& clock = system_clock();
  Recorder::Parts parts;
  parts.store = std::move(store).take();
  parts.clock = &clock;
  const auto recorder = Recorder::open({}, std::move(parts), clock.boot_now());
  auto outcome = recorder->submit(std::move(command));
  constexpr int kStepsMax = 10'000;
  for (int step = 0; step < kStepsMax; ++step) {
    recorder->step(clock.boot_now());
    if (outcome.wait_for(std::chrono::seconds(0)) == std::future_status::ready) break;
  }
  if (outcome.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    return {Code::kFatal,
            "the journal cannot be written now; is the disk full, or the directory read-only?"};
  }
  const CommandResult result = outcome.get();
  Status stopped = recorder->stop(clock.boot_now());
  if (!result.status.ok()) return result.status;
  if (result.session) print_session(*result.session, what);
  return stopped;
}

void run_session(CommandContext& context, const nlohmann::json& request,
                 const SessionCommand& command, const char* what) {
  Status done = ask(context, request, what);
  if (done.code() == Code::kTryAgain) done = do_it_here(context, command, what);
  if (done.code() == Code::kTryAgain) {
    done = Status(Code::kTryAgain, "a daemon has " + context.state_directory.string() +
                                       ", but none answers at " +
                                       (context.runtime_directory / "control.sock").string() +
                                       "; name its runtime directory with --runtime");
  }
  context.exit_code = done.ok() ? kExitDone : fail(done);
}

void mark(CommandContext& context, const MarkMoment& wanted) {
  const nlohmann::json request = {{"command", "mark"}, {"car", wanted.car}, {"text", wanted.text}};
  run_session(context, request, wanted, "marked in");
}

void start(CommandContext& context, const SessionRequest& wanted) {
  StartSession command;
  command.name = wanted.name;
  command.type = wanted.type;
  nlohmann::json request = {
      {"command", "session_start"}, {"name", wanted.name}, {"type", wanted.type}};
  if (!wanted.id.empty()) {
    const auto id = Uuid::parse(wanted.id);
    if (!id.ok()) {
      context.exit_code = fail(id.status());
      return;
    }
    command.id = id.value();
    request["id"] = id.value().text();
  }
  run_session(context, request, command, "started");
}

}  // namespace

void add_mark_command(CLI::App& app, CommandContext& context) {
  auto* command = app.add_subcommand(
      "mark", "Keep this moment's lap when space runs out, and show the mark to everybody");
  auto wanted = std::make_shared<MarkMoment>();
  command->add_option("TEXT", wanted->text, "What happened");
  command->add_option("--car", wanted->car, "Whose lap; default: every car's");
  command->callback([&context, wanted] { mark(context, *wanted); });
}

void add_session_command(CLI::App& app, CommandContext& context) {
  auto* session = app.add_subcommand("session", "Start, end or bind the session being recorded");
  session->require_subcommand(1);
  auto wanted = std::make_shared<SessionRequest>();

  auto* begin = session->add_subcommand("start", "Start a session");
  begin->add_option("--name", wanted->name, "FP1, Q1, Race, ...; default: type and time");
  begin->add_option("--type", wanted->type, "What kind it is")
      ->check(CLI::IsMember({"practice", "qualifying", "race", "warmup", "test"}))
      ->capture_default_str();
  begin->add_option("--id", wanted->id, "Its UUID; default: a new one");
  begin->callback([&context, wanted] { start(context, *wanted); });

  auto* end = session->add_subcommand("end", "End the open session");
  end->callback([&context] {
    run_session(context, {{"command", "session_end"}}, EndSession{}, "ended");
  });

  auto* bind = session->add_subcommand("bind", "Say which session of the platform this is");
  bind->add_option("PLATFORM-ID", wanted->platform_id, "The platform's session id")->required();
  bind->callback([&context, wanted] {
    run_session(context, {{"command", "session_bind"}, {"platform_id", wanted->platform_id}},
                BindSession{wanted->platform_id}, "bound");
  });

  auto as_json = std::make_shared<bool>(false);
  auto* list = session->add_subcommand("list", "List the sessions; the same as `pitbox sessions`");
  list->add_flag("--json", *as_json, "As JSON");
  list->callback([&context, as_json] { list_sessions_to_stdout(context, *as_json); });
}

}  // namespace pitbox
