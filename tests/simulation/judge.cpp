#include "tests/simulation/judge.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "proto/batch.h"
#include "proto/check.h"
#include "proto/event.h"
#include "room/room_store.h"
#include "tests/simulation/box_journals.h"

namespace pitbox::simulation {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kFaultsMax = 20;
constexpr std::uint64_t kFirstSequence = 1;  // ingest/NATIVE.md

class Inspection {
 public:
  Inspection(const std::vector<Party>& parties, bool room_went_back)
      : parties_(parties),
        room_went_back_(room_went_back),
        has_unknown_tombstones_(room_went_back && parties.size() > 1 &&
                                std::any_of(parties.begin(), parties.end(),
                                            [](const Party& one) { return one.was_disk_small; })) {}

  void read_room(const fs::path& file) {
    const auto session = Uuid::parse(file.stem().string());
    if (!session.ok()) return;
    RoomStore::Options options;
    options.file = file;
    options.session = session.value();
    auto store = RoomStore::open(options);
    if (!store.ok()) return fault(store.status().message());
    ++findings_.sessions;
    RoomStore::PageRequest request;
    request.through = store.value()->last_committed();
    while (request.after < request.through) {
      const auto page = store.value()->page(request);
      if (!page.ok()) return fault(page.status().message());
      for (const RoomEntry& entry : page.value().entries) read_entry(*store.value(), entry);
      request.after = page.value().cursor;
    }
  }

  Findings finish() {
    for (std::size_t i = 0; i < parties_.size(); ++i) finish_party(i);
    for (const auto& [session, what] : twice_) {
      const bool is_excused = has_branches() && rekeyed_twice_.contains(session);
      if (!is_excused) fault(what);
    }
    std::uint64_t lost_before = 0;  // Before the first of each stream that is there.
    for (const auto& [stream, held] : streams_) {
      findings_.lost_packets += *held.rbegin() - *held.begin() + 1 - held.size();
      lost_before += *held.begin() - kFirstSequence;
    }
    findings_.rows = held_.size();
    if (findings_.given_up_rows > answered_rows_ && !has_unknown_tombstones_) {
      fault(std::to_string(findings_.given_up_rows) + " rows are missing, tombstones and gaps " +
            "answer for " + std::to_string(answered_rows_));
    }
    // Of these some may have been decoded, and given up later.
    const std::uint64_t perhaps_known =
        has_unknown_tombstones_ ? findings_.unknown_rows : answered_rows_;
    if (rejected_rows_ + perhaps_known < findings_.unknown_rows ||
        rejected_rows_ > findings_.unknown_rows + findings_.lost_rows) {
      fault(std::to_string(findings_.unknown_rows) + " rows without a definition are missing, " +
            std::to_string(rejected_rows_) + " are counted as rejected");
    }
    check_told(lost_before);
    return std::move(findings_);
  }

 private:
  static std::string ms(std::int64_t ns) { return std::to_string(ns / 1'000'000) + " ms"; }

  void fault(std::string text) {
    if (findings_.faults.size() < kFaultsMax) findings_.faults.push_back(std::move(text));
  }

  // Two that know of the same entries, and not of each other: twins, or a laptop before and after
  // it went back in time a second time.
  bool a_copy_came_back() const {
    return std::any_of(parties_.begin(), parties_.end(), [](const Party& one) {
      return std::any_of(one.windows.begin(), one.windows.end(),
                         [](const LossWindow& window) { return window.is_older_copy; });
    });
  }

  bool has_branches() const { return parties_.size() > 1 || restores_ > 1; }

  void finish_party(std::size_t number) {
    const Party& party = parties_[number];
    std::vector<std::int64_t> losses(party.windows.size());
    for (const auto& [key, row] : party.cars->heard()) {
      if (held_.contains(key)) {
        const SimCars::Packet& packet = party.cars->packets().at(row.packet);
        streams_[{number, packet.stream}].insert(packet.sequence);
      } else {
        miss(number, row, losses);
      }
    }
    for (std::size_t i = 0; i < losses.size(); ++i) {
      const LossWindow& window = party.windows[i];
      // What a cut took from one may be in a copy of its disk.
      if (parties_.size() > 1) perhaps_copied_packets_ += window.until - window.from;
      if (window.is_older_copy) {
        restored_packets_ += window.until - window.from;
        ++restores_;
        continue;
      }
      (window.is_plain ? findings_.plain_losses_ns : findings_.other_losses_ns)
          .push_back(losses[i]);
      if (!window.is_plain || losses[i] <= party.plain_loss_ns) continue;
      fault("a power cut at " + ms(window.cut_ns) + " took what was heard " + ms(losses[i]) +
            " before");
    }
    const auto rejected = rejected_rows(party.state);
    if (!rejected.ok()) return fault(rejected.status().message());
    rejected_rows_ += rejected.value() - party.rejected_before;
    const JournaledBatches journaled = check_journals(party.state);
    for (const std::string& one : journaled.faults) fault("journal " + one);
    findings_.journaled_batches += journaled.batches;
    findings_.merged_batches += journaled.merged;
  }

  void check_told(std::uint64_t lost_before) {
    if (journal_lost_packets_ != 0 && restored_packets_ == 0) {
      fault(std::to_string(journal_lost_packets_) + " messages are told as journal_lost, and no " +
            "older copy was put back");
    }
    // A datagram lost in a cut may have been durable, and given up later: then no gap tells of it.
    // Of a ring that went with a cut after an older copy was put back nobody knows the number.
    std::uint64_t untold = answered_rows_ + journal_lost_packets_;
    if (has_unknown_tombstones_ ||
        (restored_packets_ != 0 && (is_ring_lost_ || has_lost_tombstones_))) {
      untold = findings_.lost_packets;
    }
    // A box that went back tells again of what it told since; two that rekey the same, both.
    std::uint64_t tellings = 1 + restores_;
    if (has_branches() && !rekeyed_twice_.empty()) ++tellings;
    const std::uint64_t most =
        findings_.lost_packets + lost_before + restored_packets_ + perhaps_copied_packets_;
    if (findings_.told_packets + untold < findings_.lost_packets ||
        findings_.told_packets > most * tellings) {
      fault(std::to_string(findings_.lost_packets) + " datagrams are lost, and " +
            std::to_string(lost_before) + " before the first, gaps tell of " +
            std::to_string(findings_.told_packets) + ", and of " +
            std::to_string(journal_lost_packets_) + " that went with an older copy of " +
            std::to_string(restored_packets_));
    }
  }

  void miss(std::size_t number, const SimCars::Row& row, std::vector<std::int64_t>& losses) {
    const Party& party = parties_[number];
    const SimCars::Packet& packet = party.cars->packets().at(row.packet);
    const auto covers = [&](const LossWindow& one) {
      return row.packet >= one.from && row.packet < one.until;
    };
    // What was durable at a cut may have gone with an older copy right afterwards.
    auto window =
        std::find_if(party.windows.begin(), party.windows.end(),
                     [&](const LossWindow& one) { return one.is_older_copy && covers(one); });
    if (window == party.windows.end()) {
      window = std::find_if(party.windows.begin(), party.windows.end(), covers);
    }
    const bool is_outside = window == party.windows.end();
    if (is_outside && packet.may_be_unknown) {
      ++findings_.unknown_rows;
      return;
    }
    if (is_outside && (answered_rows_ != 0 || has_unknown_tombstones_)) {
      ++findings_.given_up_rows;
      // Heard and given up: no gap in its stream.
      streams_[{number, packet.stream}].insert(packet.sequence);
      return;
    }
    if (is_outside) {
      return fault("a row heard at " + ms(row.heard_ns) + " is missing (datagram " +
                   std::to_string(row.packet) + ")");
    }
    ++findings_.lost_rows;
    std::int64_t& loss = losses.at(static_cast<std::size_t>(window - party.windows.begin()));
    loss = std::max(loss, window->cut_ns - row.heard_ns - window->slept_ns);
  }

  void read_entry(const RoomStore& store, const RoomEntry& entry) {
    const std::string place =
        "room " + store.session().text().substr(0, 8) + " entry " + std::to_string(entry.id);
    if (!entry.is_batch()) return read_event(store, entry, place);
    const auto batch = decode_batch(entry.car, entry.bytes,
                                    [&](std::uint64_t prefix) { return store.definition(prefix); });
    if (!batch.ok()) return fault(place + ": " + batch.status().message());
    if (batch.value().hash.raw() != entry.hashes) fault(place + ": its hash is another");
    std::vector<RowIdentity> rows;
    for (const GroupColumns& group : batch.value().groups) identify_rows(entry.car, group, rows);
    for (const RowIdentity& row : rows) read_row(store.session(), row, place);
  }

  void read_row(const Uuid& session, const RowIdentity& row, const std::string& place) {
    const SimCars::Row* sent = nullptr;
    for (const Party& party : parties_) {
      const auto found = party.cars->heard().find(row.key);
      if (found != party.cars->heard().end()) sent = &found->second;
    }
    if (sent == nullptr) return fault(place + ": a row that was never heard");
    if (sent->content != row.content) fault(place + ": a row with another content");
    const auto [held, is_new] = held_.emplace(row.key, place);
    if (!is_new) {
      twice_.emplace_back(session, place + ": a row that is in " + held->second + " too");
    }
  }

  void read_event(const RoomStore& store, const RoomEntry& entry, const std::string& place) {
    const auto event = parse_event(entry.bytes);
    if (!event.ok()) return fault(place + ": " + event.status().message());
    if (event.value().has_tombstone()) {
      const words::Tombstone& tombstone = event.value().tombstone();
      answered_rows_ += tombstone.records();
      const Range range{tombstone.first(), tombstone.last()};
      if (tombstone.reason() == "room_lost") {
        has_lost_tombstones_ = true;
        has_unknown_tombstones_ = has_unknown_tombstones_ || room_went_back_ || a_copy_came_back();
      }
      if (tombstone.reason() == "rekeyed") {
        RangeSet& rekeyed = rekeyed_[tombstone.incarnation()];
        if (rekeyed.overlaps(range)) rekeyed_twice_.insert(store.session());
        rekeyed.add(range);
      }
    }
    if (!event.value().has_gap()) return;
    const words::Gap& gap = event.value().gap();
    if (gap.reason() == "sequence") findings_.told_packets += gap.count();
    if (gap.reason() == "no_space") answered_rows_ += gap.count();
    if (gap.reason() == "journal_lost") journal_lost_packets_ += gap.count();
    if (gap.reason() == "ring_lost") is_ring_lost_ = true;
  }

  const std::vector<Party>& parties_;
  const bool room_went_back_;
  bool has_unknown_tombstones_;                          // Or what ought to have been one.
  std::unordered_map<std::uint64_t, std::string> held_;  // Key of a row -> where it is.
  // By party and stream: sequences that are there.
  std::map<std::pair<std::size_t, std::size_t>, std::set<std::uint64_t>> streams_;
  std::uint64_t rejected_rows_ = 0;
  std::uint64_t answered_rows_ = 0;     // By tombstones, and by `no_space` gaps.
  std::uint64_t restores_ = 0;          // Windows of older copies...
  std::uint64_t restored_packets_ = 0;  // ...what was journaled in them...
  std::uint64_t perhaps_copied_packets_ = 0;
  std::uint64_t journal_lost_packets_ = 0;  // ...and what gaps say of them.
  bool is_ring_lost_ = false;
  bool has_lost_tombstones_ = false;
  std::map<std::uint64_t, RangeSet> rekeyed_;  // By incarnation: what tombstones say so of...
  std::set<Uuid> rekeyed_twice_;               // ...and sessions where two say it of the same.
  std::vector<std::pair<Uuid, std::string>> twice_;  // Rows, by session.
  Findings findings_;
};

}  // namespace

Findings judge(const fs::path& rooms, const std::vector<Party>& parties, bool room_went_back) {
  Inspection inspection(parties, room_went_back);
  if (fs::exists(rooms)) {
    for (const auto& entry : fs::directory_iterator(rooms)) {
      if (entry.path().extension() == ".db") inspection.read_room(entry.path());
    }
  }
  return inspection.finish();
}

}  // namespace pitbox::simulation
