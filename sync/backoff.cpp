#include "sync/backoff.h"

#include <algorithm>

namespace pitbox {

void DialBackoff::failed(BootNs now, DialFailure failure, std::chrono::nanoseconds retry_after) {
  if (failures_ == 0) first_failure_ = now;
  ++failures_;
  refused_ = failure == DialFailure::kAnsweredAndRefused;
  std::chrono::nanoseconds cap = options_.refused_max;
  if (!refused_) {
    const bool is_later = now - first_failure_ >= to_ns(options_.later);
    cap = is_later ? options_.silent_max_later : options_.silent_max;
  }
  // 250 ms << 20 is three days; more doublings only overflow.
  const int doublings = std::min(failures_ - 1, 20);
  const BootNs bound = std::min(to_ns(options_.first) << doublings, to_ns(cap));
  std::uniform_int_distribution<BootNs> wait(0, bound);
  due_at_ = now + std::max(wait(random_), to_ns(retry_after));
}

void DialBackoff::hurry(BootNs now) {
  if (!refused_) due_at_ = std::min(due_at_, now);
}

void DialBackoff::useful() {
  failures_ = 0;
  refused_ = false;
}

}  // namespace pitbox
