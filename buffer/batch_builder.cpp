#include "buffer/batch_builder.h"

#include <algorithm>
#include <utility>

#include "proto/check.h"

namespace pitbox {
namespace {

// Receive and source time of a row in memory.
constexpr std::size_t kTimesBytes = 16;
// Group memory beyond this is given back rather than kept for the next time: the most a car keeps
// between commits is what a full batch needs.
constexpr std::size_t kGroupBytesKept = std::size_t{4} << 20;

void empty_group(GroupRows& group) {
  group.source_ns.clear();
  group.receive_ns.clear();
  group.rows.clear();
  if (group.rows.capacity() > kGroupBytesKept) group.rows.shrink_to_fit();
}

}  // namespace

bool consistent(const RowBlock& block) {
  if (block.definition == nullptr || *block.definition == nullptr) return false;
  const Definition& definition = **block.definition;
  const std::size_t times = definition.has_source_time() ? block.count : 0;
  return block.count > 0 && block.source_ns.size() == times &&
         block.count <= kMaxBatchRows * kMaxRowBytes / definition.row_bytes() &&
         block.rows.size() == block.count * definition.row_bytes();
}

void BatchBuilder::add(const RowBlock& block) {
  CHECK(consistent(block));
  if (last_car_ == cars_.end() || last_car_->first != block.car) {
    last_car_ = cars_.find(block.car);
    if (last_car_ == cars_.end()) last_car_ = cars_.emplace(block.car, Car{}).first;
  }
  Car& car = last_car_->second;
  car.active = true;
  const std::size_t row_bytes = (*block.definition)->row_bytes();
  const std::size_t row_cost = row_bytes + kTimesBytes;
  for (std::size_t done = 0; done < block.count;) {
    const std::size_t count = std::min(block.count - done, rows_that_fit(car, row_cost));
    if (count == 0) {
      seal(last_car_->first, car);
      continue;
    }
    GroupRows& group = group_for(car, *block.definition);
    if (!block.source_ns.empty()) {
      const auto times = block.source_ns.subspan(done, count);
      group.source_ns.insert(group.source_ns.end(), times.begin(), times.end());
    }
    group.receive_ns.insert(group.receive_ns.end(), count, block.receive_ns);
    const auto rows = block.rows.subspan(done * row_bytes, count * row_bytes);
    group.rows.insert(group.rows.end(), rows.begin(), rows.end());
    car.raw_bytes += count * row_cost;
    open_bytes_ += count * row_cost;
    open_rows_ += count;
    done += count;
  }
}

// At least one row fits an empty batch, whatever the options say.
std::size_t BatchBuilder::rows_that_fit(const Car& car, std::size_t row_cost) const {
  const auto coded = static_cast<double>(options_.batch_coded_bytes) / car.coded_per_raw;
  const auto limit =
      static_cast<std::size_t>(std::min(static_cast<double>(options_.batch_raw_bytes), coded));
  if (car.raw_bytes == 0) return std::max<std::size_t>(1, limit / row_cost);
  return car.raw_bytes >= limit ? 0 : (limit - car.raw_bytes) / row_cost;
}

// The next block is most often of the group after the last one's, or of the same.
GroupRows& BatchBuilder::group_for(Car& car, const DefinitionPtr& definition) {
  const std::size_t size = car.groups.size();
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t at = (car.last_group + i) % size;
    // Two decoders may hold equal definitions as different objects; a batch names one only once.
    if (car.groups[at].definition == definition ||
        car.groups[at].definition->name() == definition->name()) {
      car.last_group = at;
      return car.groups[at];
    }
  }
  if (size >= kMaxBatchGroups) {
    // More definitions than a batch may name: a car whose groups keep changing. Those of the
    // sealed batch are forgotten.
    seal(last_car_->first, car);
    car.groups.clear();
    car.memory.clear();
  }
  car.groups.push_back(
      GroupRows{.definition = definition, .source_ns = {}, .receive_ns = {}, .rows = {}});
  car.last_group = car.groups.size() - 1;
  return car.groups.back();
}

void BatchBuilder::seal(const std::string& name, Car& car) {
  if (car.raw_bytes == 0) return;
  NewBatch batch{.car = name, .batch = encode_batch(name, car.groups, &car.memory)};
  car.coded_per_raw = std::max(
      0.01, static_cast<double>(batch.batch.blob.size()) / static_cast<double>(car.raw_bytes));
  for (GroupRows& group : car.groups) {
    open_rows_ -= group.row_count();
    empty_group(group);
  }
  open_bytes_ -= car.raw_bytes;
  car.raw_bytes = 0;
  sealed_bytes_ += batch.batch.blob.size();
  ++sealed_;
  car.sealed.push_back(std::move(batch));
}

std::vector<NewBatch> BatchBuilder::take() {
  std::vector<NewBatch> taken;
  const bool crowded = wants_commit();
  for (auto it = cars_.begin(); it != cars_.end();) {
    Car& car = it->second;
    seal(it->first, car);
    for (NewBatch& batch : car.sealed) taken.push_back(std::move(batch));
    car.sealed.clear();
    const bool idle = !std::exchange(car.active, false);
    it = crowded && idle ? cars_.erase(it) : std::next(it);
  }
  // Every car had rows, so all of them are new or all are real: forget them all.
  if (cars_.size() >= options_.cars_max) cars_.clear();
  last_car_ = cars_.end();
  sealed_ = 0;
  sealed_bytes_ = 0;
  return taken;
}

void BatchBuilder::clear() {
  cars_.clear();
  last_car_ = cars_.end();
  sealed_ = 0;
  open_rows_ = 0;
  open_bytes_ = 0;
  sealed_bytes_ = 0;
}

}  // namespace pitbox
