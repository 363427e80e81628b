// `pitbox channels SESSION`: what every car measured.

#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "apps/pitbox/command.h"
#include "buffer/journal_reader.h"

namespace pitbox {
namespace {

struct ChannelsOptions {
  std::string session = "latest";
  bool json = false;
};

// By car, the definitions its batches use, in order of group name.
using CarGroups =
    std::map<std::string, std::map<std::pair<std::string, std::uint64_t>, DefinitionPtr>>;

Status collect(const std::filesystem::path& path, CarGroups& cars) {
  auto opened = JournalReader::open(path);
  if (!opened.ok()) return opened.status();
  JournalReader& reader = *opened.value();
  std::set<std::pair<std::string, std::uint64_t>> seen;
  ProgressLine progress("read " + path.filename().string());
  const auto last = reader.last_sequence();
  if (!last.ok()) return last.status();
  Status status = reader.scan(1, [&](const StoredEntry& entry) {
    for (const std::uint64_t prefix : entry.definitions) seen.emplace(entry.car, prefix);
    progress.show_part(entry.last, last.value());
    return true;
  });
  if (!status.ok()) return status;
  for (const auto& [car, prefix] : seen) {
    auto definition = reader.definition(prefix);
    if (!definition.ok()) return definition.status();
    if (!definition.value()) continue;
    const std::string& group = definition.value()->group().group;
    cars[car][{group, prefix}] = definition.value();
  }
  return {};
}

std::string_view time_name(TimeBase base) {
  if (base == TimeBase::kUtc) return "utc";
  return base == TimeBase::kCar ? "car" : "received";
}

void print_channels_json(const CarGroups& cars) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const auto& [car, groups] : cars) {
    for (const auto& [key, definition] : groups) {
      for (const Channel& channel : definition->channels()) {
        list.push_back({{"car", car},
                        {"group", definition->group().group},
                        {"name", channel.name},
                        {"unit", channel.unit},
                        {"type", to_string(channel.type)},
                        {"factor", channel.factor},
                        {"offset", channel.offset},
                        {"time", time_name(definition->group().time_base)}});
      }
    }
  }
  std::printf("%s\n", list.dump(2).c_str());
}

void print_channels_table(const CarGroups& cars) {
  std::printf("%-6s  %-16s  %-28s  %-8s  %-4s  %s\n", "car", "group", "channel", "unit", "type",
              "physical = raw * factor + offset");
  for (const auto& [car, groups] : cars) {
    for (const auto& [key, definition] : groups) {
      for (const Channel& channel : definition->channels()) {
        std::printf("%-6s  %-16s  %-28s  %-8s  %-4s  %.9g %+.9g\n", car.c_str(),
                    definition->group().group.c_str(), channel.name.c_str(), channel.unit.c_str(),
                    std::string(to_string(channel.type)).c_str(), channel.factor, channel.offset);
      }
    }
  }
}

void run_channels(const ChannelsOptions& options, CommandContext& context) {
  const auto session = session_of(context, options.session);
  if (!session.ok()) {
    context.exit_code = fail(session.status());
    return;
  }
  CarGroups cars;
  for (const std::filesystem::path& path : session.value().files) {
    Status status = collect(path, cars);
    if (!status.ok()) {
      context.exit_code = fail(std::move(status).within("read " + path.string()));
      return;
    }
  }
  if (options.json) return print_channels_json(cars);
  print_channels_table(cars);
}

}  // namespace

void add_channels_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ChannelsOptions>();
  CLI::App* command = app.add_subcommand("channels", "Print the channels of a session's cars");
  add_session_option(command, options->session);
  command->add_flag("--json", options->json, "As a JSON array");
  command->callback([options, &context] { run_channels(*options, context); });
}

}  // namespace pitbox
