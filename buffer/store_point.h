// A place to stop after each store that the ring's producer makes to its mapping. Tests set
// `ring_store_point` to kill the process there (tests/buffer/ring_kill_test.cpp); in production it
// is null and costs one predicted branch. Set it before threads start.

#pragma once

#include <atomic>

namespace pitbox {

inline void (*ring_store_point)() = nullptr;

// Keeps the stores before it before the stores after it, as seen by whoever maps the file after
// this process died. The hardware needs no fence for that: a kill falls between two instructions.
inline void after_store() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (ring_store_point != nullptr) [[unlikely]] {
    ring_store_point();
  }
}

// A store to the mapping that nothing around it may be moved across.
template <typename T>
void store_in_order(T& place, T value) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::atomic_ref<T>(place).store(value, std::memory_order_relaxed);
  after_store();
}

}  // namespace pitbox
