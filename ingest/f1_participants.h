// F1Participants: who drives in which car slot of the session at hand, which slots are in use, and
// so what the car in a slot is called. What an F1 decoder remembers.
//
// A car's text is its race number, once the participants of the session were told, if it is not 0
// and no other car has it; else `slot-N`, N from 0 as in the game. A slot is active if the last
// result status told of it is neither invalid nor inactive; before any was told, if it is among the
// first `numActiveCars`; and before these were told too, always: rather a row too many than a car
// lost.
//
// Limits: kF1CarsMax slots; names of 48 bytes; saved 1,215 bytes at most.
//
// Threads: the decoder's.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ingest/f1_layout.h"
#include "ingest/state_bytes.h"
#include "proto/status.h"

namespace pitbox {

inline constexpr std::size_t kF1NameBytesMax = 48;

struct F1Participant {
  std::string car;           // What its rows are under.
  std::uint8_t number = 0;   // 0: not told, or none.
  std::string name;          // The driver's, as plain text; empty if it was not told.
  std::string name_as_sent;  // Compared with what is sent next.
};

class F1Participants {
 public:
  F1Participants();

  // A packet of session `uid` is at hand. True if it is another one than before, whose participants
  // are then forgotten.
  bool enter(std::uint64_t uid);
  // All of a Participants packet is given: begin, each of its slots, end.
  void begin_list(std::size_t active_cars);
  void list(std::size_t slot, std::uint8_t number, std::string_view name);
  void end_list();
  // Bit n: the car in slot n has a result status that is neither invalid nor inactive.
  void note_standings(std::uint32_t active);

  // REQUIRES of both: slot < kF1CarsMax.
  bool is_active(std::size_t slot) const;
  std::string_view car(std::size_t slot) const { return slots_[slot].car; }
  // By slot.
  std::span<const F1Participant> all() const { return slots_; }

  std::string save() const;
  // REQUIRES: as new. kCorrupt, and no change, if the bytes are not from save().
  Status load(std::string_view state);
  // Changes whenever save() would give other bytes.
  std::uint64_t version() const { return version_; }

 private:
  bool is_entered(std::size_t slot) const;
  void name_cars();

  bool has_session_ = false;
  std::uint64_t uid_ = 0;
  bool has_list_ = false;
  std::uint8_t active_cars_ = 0;
  bool has_standings_ = false;
  std::uint32_t standings_ = 0;
  std::array<F1Participant, kF1CarsMax> slots_;
  std::uint64_t version_ = 0;
};

}  // namespace pitbox
