// SourceReader: one source as the recorder reads it: its ring from a position on, its decoder, and
// what the ring's own numbers say about what was heard, lost and dropped by the kernel.
//
// Order of a message: peek() shows it, consume() gives it to the decoder and moves the position in
// memory, committed() releases the ring up to that position once it is durable. After a failed
// commit attach() goes back.
//
// Threads: the recorder's.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "buffer/clock.h"
#include "buffer/decoder.h"
#include "buffer/intake.h"
#include "buffer/journal.h"
#include "buffer/ring.h"
#include "buffer/snapshot.h"

namespace pitbox {

struct RecorderSource {
  std::string name;
  MessageRing* ring = nullptr;  // Must outlive the recorder.
  std::function<std::unique_ptr<Decoder>()> make_decoder;
};

class SourceReader {
 public:
  explicit SourceReader(RecorderSource source);

  const std::string& name() const { return source_.name; }
  std::uint64_t ring_id() const { return source_.ring->id(); }
  std::uint64_t ring_tail() const { return source_.ring->tail(); }
  std::uint64_t ring_head() const { return source_.ring->head(); }

  // Where to read on: `stored` (this ring's greatest consumed position that any file knows), but
  // never behind the ring's own tail; the tail if nothing is stored.
  ConsumedPosition starting_point(const std::optional<ConsumedPosition>& stored) const;
  // Reads from `where` on, with a new decoder that knows `state`. `heard_number`: up to where
  // messages were counted as heard. What is before `where` is journaled, and released. kCorrupt if
  // the decoder refused the state; it is then as new.
  Status attach(const ConsumedPosition& where, std::string_view state, std::uint64_t heard_number,
                BootNs last_receive_ns);

  // The next message before `limit`, or null. Bytes are valid until committed().
  const Message* peek(std::uint64_t limit, Intake& intake);
  // REQUIRES: peek() just gave a message.
  void consume(Intake& intake);

  // Counts what the ring published since the last time.
  void count_heard(Intake& intake) { count_heard_to(source_.ring->last_number(), intake); }
  // The session ends here: what was heard beyond the last message read belongs to the next one.
  void stop_counting(Conservation& conservation);
  std::uint64_t heard_number() const { return heard_number_; }
  std::uint64_t in_ring() const { return heard_number_ - at_.number; }

  const ConsumedPosition& position() const { return at_; }
  BootNs last_receive_ns() const { return last_receive_ns_; }
  bool moved() const { return at_.position != committed_position_; }
  // More than half of the ring is read and not committed: it is time, or the source must wait.
  bool is_pressed() const;
  // The decoder's state, if it is not the one that the journal file holds.
  std::optional<std::string> changed_state() const;
  // The next file holds no state of this decoder yet.
  void forget_committed_state() { committed_version_.reset(); }
  // position() and changed_state() are durable.
  void committed();
  // Gives the ring back what held nothing to journal (control messages while no session is open);
  // returns the decoder's state, which exists nowhere else from now on.
  std::string release_unjournaled();

  SourceSnapshot snapshot() const;

 private:
  void count_heard_to(std::uint64_t number, Intake& intake);
  void skip_damage(Intake& intake);
  void consume_data(const Message& message, Intake& intake);

  const RecorderSource source_;
  std::unique_ptr<Decoder> decoder_;
  ConsumedPosition at_;  // As read; ahead of the ring's tail.
  std::uint64_t committed_position_ = 0;
  std::optional<std::uint64_t> committed_version_;
  std::uint64_t heard_number_ = 0;
  bool takes_runs_ = false;  // Then the kernel counts a run that it drops as one.
  BootNs last_receive_ns_ = 0;
  std::optional<Message> next_;
  std::uint64_t next_position_ = 0;  // After next_.
  SourceSnapshot totals_;            // The parts since the process started.
};

}  // namespace pitbox
