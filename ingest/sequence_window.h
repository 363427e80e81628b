// SequenceWindow: which packet numbers of one group were seen, as far as it matters: the highest
// one and the 63 before it (NATIVE.md, "Sequences"). A plain value; saved field by field.

#pragma once

#include <cstdint>

namespace pitbox {

struct SequenceWindow {
  static constexpr std::uint64_t kWidth = 64;
  // So many packets in a row from below the window are a sender that started again.
  static constexpr std::uint8_t kRestartRun = 16;

  struct Verdict {
    bool is_taken = false;
    bool has_gap = false;
    std::uint64_t lost = 0;  // With has_gap: how many; 0 if there is no telling.
  };

  Verdict note(std::uint64_t sequence) {
    if (sequence == 0) return {.is_taken = true};
    if (sequence > highest) {
      const std::uint64_t ahead = sequence - highest;
      seen = ahead < kWidth ? seen << ahead | 1 : 1;
      highest = sequence;
      run = 0;
      return {.is_taken = true, .has_gap = ahead > 1, .lost = ahead - 1};
    }
    const std::uint64_t behind = highest - sequence;
    if (behind >= kWidth) return note_old(sequence);
    const std::uint64_t bit = std::uint64_t{1} << behind;
    run = 0;
    if ((seen & bit) != 0) return {};
    seen |= bit;
    return {.is_taken = true};
  }

  std::uint64_t highest = 0;
  std::uint64_t seen = 0;  // Bit b: highest - b.
  std::uint64_t run_next = 0;
  std::uint8_t run = 0;  // Length of the run of old packets that run_next would continue.

 private:
  Verdict note_old(std::uint64_t sequence) {
    run = run > 0 && sequence == run_next ? static_cast<std::uint8_t>(run + 1) : std::uint8_t{1};
    run_next = sequence + 1;
    if (run < kRestartRun) return {};
    *this = {.highest = sequence, .seen = 1};
    return {.is_taken = true, .has_gap = true, .lost = 0};
  }
};

}  // namespace pitbox
