#include "ingest/lap_engines.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "ingest/state_bytes.h"
#include "proto/check.h"

namespace pitbox {
namespace {

constexpr std::uint8_t kLapEnginesStateFormat = 0xE1;  // No engine's own format begins like this.

}  // namespace

LapEngines::LapEngines(std::vector<std::unique_ptr<TimedLaps>> engines)
    : engines_(std::move(engines)) {
  CHECK(!engines_.empty() && engines_.size() <= 255);
}

bool LapEngines::is_timed_before(std::size_t engine, std::string_view car) const {
  for (std::size_t i = 0; i < engine; ++i) {
    if (engines_[i]->times(car)) return true;
  }
  return false;
}

void LapEngines::keep(std::size_t engine, std::vector<LapRecord>& out) {
  for (LapRecord& lap : found_) {
    if (!is_timed_before(engine, lap.car)) out.push_back(std::move(lap));
  }
  found_.clear();
}

void LapEngines::rows(const RowBlock& block, std::vector<LapRecord>& out) {
  for (std::size_t i = 0; i < engines_.size(); ++i) {
    engines_[i]->rows(block, found_);
    if (!found_.empty()) keep(i, out);
  }
}

// The last first: while the better ones still know which cars are theirs.
void LapEngines::finish(std::vector<LapRecord>& out) {
  for (std::size_t i = engines_.size(); i-- > 0;) {
    engines_[i]->finish(found_);
    keep(i, out);
  }
}

std::string LapEngines::save() const {
  StateWriter out;
  out.put(kLapEnginesStateFormat);
  out.put(static_cast<std::uint8_t>(engines_.size()));
  bool is_empty = true;
  for (const auto& engine : engines_) {
    const std::string state = engine->save();
    is_empty = is_empty && state.empty();
    out.put(static_cast<std::uint32_t>(state.size()));
    out.raw(state);
  }
  return is_empty ? std::string() : out.take();
}

Status LapEngines::load(std::string_view state) {
  if (state.empty()) return {};
  StateReader in(state);
  if (in.get<std::uint8_t>() != kLapEnginesStateFormat) return engines_.back()->load(state);
  const std::size_t count = in.get<std::uint8_t>();
  if (count != engines_.size()) return Status::corrupt("lap state: not of these engines");
  std::vector<std::string_view> states;
  for (std::size_t i = 0; i < count; ++i) states.push_back(in.raw(in.get<std::uint32_t>()));
  if (!in.is_done()) return Status::corrupt("lap state: wrong length");
  for (std::size_t i = 0; i < count; ++i) {
    const Status loaded = engines_[i]->load(states[i]);
    if (!loaded.ok()) spdlog::warn("laps in progress are not known: {}", loaded.message());
  }
  return {};
}

std::uint64_t LapEngines::state_version() const {
  std::uint64_t sum = 0;
  for (const auto& engine : engines_) sum += engine->state_version();
  return sum;
}

}  // namespace pitbox
