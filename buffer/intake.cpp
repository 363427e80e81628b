#include "buffer/intake.h"

#include "buffer/journal_schema.h"

namespace pitbox {
namespace {}  // namespace

Intake::Intake(const Options& options, MakeLapEngine make_lap_engine)
    : memory_bytes_(options.memory_bytes),
      make_lap_engine_(std::move(make_lap_engine)),
      builder_(options.batch),
      live_(options.live_channels) {
  if (make_lap_engine_) lap_engine_ = make_lap_engine_();
}

void Intake::begin(std::string_view source, BootNs from_ns, BootNs to_ns) {
  source_ = source;
  from_ns_ = from_ns;
  to_ns_ = to_ns;
}

void Intake::rows(const RowBlock& block) {
  if (block.count == 0) return;
  conservation_.records.decoded += block.count;
  // A decoder's mistake, not a CHECK: the same bytes wait in the ring for the next process, which
  // would stop at them again, and so on for ever.
  if (!consistent(block) || !is_car_name(block.car, false)) {
    conservation_.reject(RejectReason::kMalformed, block.count);
    return;
  }
  conservation_.records.building += block.count;
  builder_.add(block);
  live_.note(block);
  if (lap_engine_ == nullptr) return;
  lap_engine_->rows(block, ended_);
  for (LapRecord& lap : ended_) laps_.emplace_back(std::move(lap), block.receive_ns);
  ended_.clear();
}

void Intake::reject(RejectReason reason, std::uint64_t records) {
  conservation_.records.decoded += records;
  conservation_.reject(reason, records);
}

void Intake::gap(std::string_view car, std::string_view reason, std::uint64_t count,
                 std::string_view unit) {
  add_gap(car, reason, count, unit);
}

void Intake::unheard(std::uint64_t messages, bool is_exact) {
  conservation_.unheard += messages;
  add_gap({}, "kernel_drop", is_exact ? messages : 0, "messages");
}

void Intake::lose(DropReason reason, std::string_view gap_reason, std::uint64_t messages) {
  conservation_.drop(reason, messages);
  add_gap({}, gap_reason, messages, "messages");
}

void Intake::add_gap(std::string_view car, std::string_view reason, std::uint64_t count,
                     std::string_view unit) {
  gaps_.add(Gap{.source = std::string(source_),
                .car = is_car_name(car, false) ? std::string(car) : std::string(),
                .reason = std::string(reason),
                .unit = std::string(unit),
                .from_ns = from_ns_,
                .to_ns = to_ns_,
                .count_known = count != 0,
                .count = count});
}

void Intake::finish_laps(BootNs now) {
  if (lap_engine_ == nullptr) return;
  lap_engine_->finish(ended_);
  for (LapRecord& lap : ended_) laps_.emplace_back(std::move(lap), now);
  ended_.clear();
}

bool Intake::wants_commit() const {
  return builder_.bytes() >= memory_bytes_ || builder_.wants_commit();
}

Intake::Harvest Intake::take() {
  return Harvest{
      .batches = builder_.take(), .gaps = gaps_.take(), .laps = std::exchange(laps_, {})};
}

void Intake::forget() {
  builder_.clear();
  gaps_.clear();
  laps_.clear();
}

Status Intake::restart_laps(std::string_view state) {
  if (!make_lap_engine_) return {};
  lap_engine_ = make_lap_engine_();
  if (state.empty()) return {};
  Status loaded = lap_engine_->load(state);
  if (!loaded.ok()) lap_engine_ = make_lap_engine_();
  return loaded;
}

}  // namespace pitbox
