#include "apps/pitboxd/status_report.h"

#include <nlohmann/json.hpp>

#include "proto/text.h"

namespace pitbox {
namespace {

using nlohmann::ordered_json;

// Milliseconds since 1970 as ISO 8601, or null for "never".
ordered_json utc(std::int64_t milliseconds) {
  if (milliseconds <= 0) return nullptr;
  return utc_text(milliseconds);
}

ordered_json dropped(const Conservation::Messages& messages) {
  ordered_json out = ordered_json::object();
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    out[std::string(to_string(static_cast<DropReason>(i)))] = messages.dropped[i];
  }
  return out;
}

ordered_json rejected(const Conservation::Records& records) {
  ordered_json out = ordered_json::object();
  for (std::size_t i = 0; i < kRejectReasons; ++i) {
    out[std::string(to_string(static_cast<RejectReason>(i)))] = records.rejected[i];
  }
  return out;
}

ordered_json evicted(const Conservation::Entries& entries) {
  ordered_json out = ordered_json::object();
  for (std::size_t i = 0; i < kEvictReasons; ++i) {
    out[std::string(to_string(static_cast<EvictReason>(i)))] = entries.evicted[i];
  }
  return out;
}

void add_link(ordered_json& status, const LinkSnapshot& link) {
  status["state"] = to_string(link.condition.state);
  const bool is_online = link.condition.state == LinkState::kOnline;
  status["reason"] = is_online ? "" : std::string(to_string(link.condition.reason));
  status["since"] = utc(link.condition.since_ms);
  status["error"] = is_online ? "" : link.condition.error;
}

void add_last(ordered_json& status, const LinkSnapshot& link) {
  status["last"] = {{"health", utc(link.last_health_ms)},
                    {"auth", utc(link.last_auth_ms)},
                    {"room", utc(link.last_room_ms)}};
  ordered_json lines = ordered_json::array();
  std::uint64_t waiting = 0;
  for (const SessionLinkSnapshot& session : link.sessions) {
    waiting += session.pending;
    lines.push_back({{"session", session.session.text()},
                     {"live", session.is_live},
                     {"connected", session.connected},
                     {"pending", session.pending},
                     {"in_flight_bytes", session.in_flight_bytes},
                     {"bytes_per_second", session.bytes_per_second},
                     {"round_trip_ms", static_cast<double>(session.round_trip_us) / 1000},
                     {"reason", to_string(session.reason)},
                     {"error", session.error},
                     {"dials", session.dials}});
  }
  status["link"] = {{"waiting", waiting},
                    {"bytes_sent", link.bytes_sent},
                    {"bytes_received", link.bytes_received},
                    {"sessions", std::move(lines)}};
}

void add_session(ordered_json& status, const RecorderSnapshot& recorder) {
  status["session"] = nullptr;
  if (!recorder.session) return;
  status["session"] = {{"id", recorder.session->id.text()},
                       {"name", recorder.session->name},
                       {"type", recorder.session->type},
                       {"platformId", recorder.session->platform_id},
                       {"startedAt", utc(recorder.session->started_at_ms)},
                       {"automatic", recorder.session_is_automatic},
                       {"laps", recorder.conservation.laps_journaled}};
}

void add_conservation(ordered_json& status, const Conservation& counts) {
  status["messages"] = {{"heard", counts.messages.heard},
                        {"decoded", counts.messages.decoded},
                        {"in_ring", counts.messages.in_ring},
                        {"dropped", dropped(counts.messages)}};
  status["records"] = {{"decoded", counts.records.decoded},
                       {"building", counts.records.building},
                       {"journaled", counts.records.journaled},
                       {"rejected", rejected(counts.records)}};
  // Batches and events together: what the link has to carry.
  status["batches"] = {
      {"journaled", counts.entries.journaled},   {"acknowledged", counts.entries.acknowledged},
      {"pending", counts.entries.pending},       {"evicted", evicted(counts.entries)},
      {"pending_bytes", counts.pending_bytes()}, {"evicted_records", counts.records_evicted},
      {"evicted_bytes", counts.bytes_evicted}};
  status["samples"] = counts.samples_journaled;
  status["gaps"] = counts.gaps;
  status["unheard"] = counts.unheard;
}

void add_recorder(ordered_json& status, const RecorderSnapshot& recorder, BootNs now) {
  const BootNs oldest = oldest_unjournaled_age(recorder, now);
  status["recorder"] = {{"state", to_string(recorder.state)},
                        {"error", recorder.error},
                        {"commits", recorder.commits},
                        {"last_commit_ms", static_cast<double>(recorder.last_commit_took_ns) / 1e6},
                        {"commit_ms",
                         {{"p50", recorder.commit_took.quantile_ms(0.5)},
                          {"p99", recorder.commit_took.quantile_ms(0.99)}}},
                        {"oldest_unjournaled_age_ms", static_cast<double>(oldest) / 1e6},
                        {"commit_age_ms_log2", recorder.commit_age_ms_log2},
                        {"law_violations", recorder.law_violations},
                        {"last_violation", recorder.last_violation},
                        {"rekeying", recorder.rekeying}};
  status["disk"] = {{"bytes", recorder.space.total},
                    {"free_bytes", recorder.space.free},
                    {"full", recorder.is_starving}};
}

ordered_json describe_source(const SourceReport& report, const RecorderSnapshot* recorder,
                             BootNs now_ns) {
  const SourceStatus& source = report.status;
  ordered_json out = {{"name", source.name},
                      {"kind", to_string(source.kind)},
                      {"endpoint", source.endpoint},
                      {"decoder", report.decoder},
                      {"error", source.error},
                      {"ring_set_aside", source.ring_set_aside},
                      {"connections", source.connections},
                      {"refused", source.refused},
                      {"truncated", source.truncated},
                      {"kernel_drops", source.kernel_drops},
                      {"receive_buffer_bytes", source.receive_buffer_bytes},
                      {"recovered", source.recovered}};
  if (recorder == nullptr) return out;
  for (const SourceSnapshot& read : recorder->sources) {
    if (read.name != source.name) continue;
    out["messages"] = read.messages;
    out["bytes"] = read.bytes;
    out["malformed"] = read.malformed;
    out["ring_bytes"] = read.ring_bytes;
    out["ring_used_percent"] =
        read.ring_bytes == 0 ? 0 : read.ring_used_bytes * 100 / read.ring_bytes;
    out["last_heard_ms_ago"] = read.last_receive_ns == 0
                                   ? ordered_json(nullptr)
                                   : ordered_json((now_ns - read.last_receive_ns) / 1'000'000);
  }
  return out;
}

}  // namespace

std::string status_report(const RecorderSnapshot* recorder, const LinkSnapshot* link,
                          const std::vector<SourceReport>& sources, const ControlCounters& control,
                          const Clock& clock) {
  const LinkSnapshot no_link;
  const RecorderSnapshot no_recorder;
  const LinkSnapshot& link_now = link == nullptr ? no_link : *link;
  const RecorderSnapshot& recorder_now = recorder == nullptr ? no_recorder : *recorder;
  ordered_json status;
  add_link(status, link_now);
  add_session(status, recorder_now);
  add_conservation(status, recorder_now.conservation);
  add_last(status, link_now);
  add_recorder(status, recorder_now, clock.boot_now());
  status["sources"] = ordered_json::array();
  for (const SourceReport& source : sources) {
    status["sources"].push_back(describe_source(source, recorder, clock.boot_now()));
  }
  status["control"] = {
      {"clients_refused", control.clients_refused.load(std::memory_order_relaxed)},
      {"lines_too_long", control.lines_too_long.load(std::memory_order_relaxed)},
      {"requests_refused", control.requests_refused.load(std::memory_order_relaxed)}};
  status["version"] = PITBOX_VERSION;
  return status.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace pitbox
