// Judge: compares what the rings took with what the rooms hold, at the end of a simulated run. It
// reads the rooms' files as anybody could and takes nobody's word.
//
// A row that was heard must be in the rooms exactly once, with its content. The only rows that may
// be missing are those heard in a window of loss, between the last moment at which everything heard
// was durable and a power cut, and those that the box counted as rejected because a power cut had
// taken the definition of their group and it was not announced again yet. What is missing must be
// told: the `sequence` gaps are at least the datagrams of each stream that are missing between the
// first and the last that are there, and at most those and all before the first (of which the box
// knows if it had their announcement).
//
// Where an older copy of a journal, or of all of them, was put back, what was journaled since the
// copy was made may be missing as far as no room had it; the datagrams are told by gaps, or counted
// as journal_lost. What the rooms had of them may be told as lost too: the box cannot know.
//
// Two laptops with one identity (or one that went back in time twice) that both have to journal the
// same entries again, under incarnations of their own, bring their rows twice: nobody but they
// could know. That alone is excused, where tombstones of both say so.
//
// Where a laptop with a twin deleted what the room had, the room then went back in time, and the
// twin was faster under the same keys, nobody can know that they are missing: the content that
// would show it is gone everywhere. Then any number of rows may be missing.
//
// Where the disk was too small, rows may also be missing because they were given up: at most as
// many as tombstones in the rooms and `no_space` gaps say. (What a room lost that the box had given
// up meanwhile has no count, nor has what a tombstone answered for that went with an older copy of
// a journal: then any number.)
//
// Every batch that is still in a box's journals, merged into a block or not, must decode to the
// content it was journaled under.
//
// A cut that came while nothing else was wrong may cost what a flush and a commit take, no more.

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/simulation/sim_cars.h"

namespace pitbox::simulation {

struct LossWindow {
  std::size_t from = 0;     // Index into SimCars::packets(): the first that was not yet durable...
  std::size_t until = 0;    // ...and how many there were when power was cut.
  std::int64_t cut_ns = 0;  // World time...
  std::int64_t slept_ns = 0;  // ...of which the box was suspended so long since `from`.
  // Nothing else was wrong: no full or failing disk, no recorder that stood still, no new start.
  bool is_plain = false;
  // No power cut: what was journaled since `from` went with an older copy that was put back, as far
  // as the room did not have it.
  bool is_older_copy = false;
};

// A laptop and its cars.
struct Party {
  std::filesystem::path state;
  const SimCars* cars = nullptr;
  std::vector<LossWindow> windows;
  std::uint64_t rejected_before = 0;  // rejected_rows() (box_journals.h) of another laptop.
  std::int64_t plain_loss_ns = 0;     // The most that a plain cut may cost.
  bool was_disk_small = false;        // At some time: batches that the room had may be deleted.
};

struct Findings {
  std::vector<std::string> faults;  // Empty: every promise was kept. At most kFaultsMax.
  std::uint64_t rows = 0;           // In the rooms.
  std::uint64_t lost_rows = 0;      // Missing, within a window.
  std::uint64_t unknown_rows = 0;   // Missing, of a definition that went with the power.
  std::uint64_t lost_packets = 0;   // In a window, or in the kernel's buffer at a cut.
  std::uint64_t told_packets = 0;   // By gaps.
  std::uint64_t sessions = 0;
  std::uint64_t given_up_rows = 0;      // Missing, and tombstones or `no_space` gaps say so.
  std::uint64_t journaled_batches = 0;  // That the boxes still have...
  std::uint64_t merged_batches = 0;     // ...and of them, those in blocks.
  // By window: from the oldest missing row to the cut. With nothing else wrong, and with.
  std::vector<std::int64_t> plain_losses_ns;
  std::vector<std::int64_t> other_losses_ns;
};

// `room_went_back`: the room was restored from an older copy, and may not know what it once had.
Findings judge(const std::filesystem::path& rooms, const std::vector<Party>& parties,
               bool room_went_back);

}  // namespace pitbox::simulation
