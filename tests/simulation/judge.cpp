#include "tests/simulation/judge.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "buffer/journal_reader.h"
#include "proto/batch.h"
#include "proto/event.h"
#include "room/room_store.h"

namespace pitbox::simulation {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kFaultsMax = 20;
constexpr std::uint64_t kFirstSequence = 1;  // ingest/NATIVE.md

class Inspection {
 public:
  Inspection(const SimCars& cars, const std::vector<LossWindow>& windows)
      : cars_(cars), windows_(windows) {}

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

  // A session's files: each goes on counting where the one before ended.
  void read_journals(const fs::path& session) {
    std::uint64_t rejected = 0;
    for (const auto& entry : fs::directory_iterator(session)) {
      if (entry.path().extension() != ".db") continue;
      const auto reader = JournalReader::open(entry.path());
      if (!reader.ok()) {
        fault(reader.status().message());
        continue;
      }
      const auto counters = reader.value()->counters();
      if (!counters.ok()) {
        fault(counters.status().message());
        continue;
      }
      const auto found = counters.value().find("records.rejected.unknown_group");
      if (found != counters.value().end()) rejected = std::max(rejected, found->second);
    }
    rejected_rows_ += rejected;
  }

  Findings finish(std::int64_t plain_loss_ns) {
    findings_.losses_ns.resize(windows_.size());
    for (const auto& [key, row] : cars_.heard()) {
      if (held_.contains(key)) {
        const SimCars::Packet& packet = cars_.packets().at(row.packet);
        streams_[packet.stream].insert(packet.sequence);
      } else {
        miss(row);
      }
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
    for (std::size_t i = 0; i < windows_.size(); ++i) {
      if (!windows_[i].is_plain || findings_.losses_ns[i] <= plain_loss_ns) continue;
      fault("a power cut at " + ms(windows_[i].cut_ns) + " took what was heard " +
            ms(findings_.losses_ns[i]) + " before");
    }
    // Of these some may have been decoded, and given up later.
    const std::uint64_t perhaps_known =
        has_unknown_tombstones_ ? findings_.unknown_rows : answered_rows_;
    if (rejected_rows_ + perhaps_known < findings_.unknown_rows ||
        rejected_rows_ > findings_.unknown_rows + findings_.lost_rows) {
      fault(std::to_string(findings_.unknown_rows) + " rows without a definition are missing, " +
            std::to_string(rejected_rows_) + " are counted as rejected");
    }
    // A datagram lost in a cut may have been durable, and given up later: then no gap tells of it.
    const std::uint64_t untold = has_unknown_tombstones_ ? findings_.lost_packets : answered_rows_;
    if (findings_.told_packets + untold < findings_.lost_packets ||
        findings_.told_packets > findings_.lost_packets + lost_before) {
      fault(std::to_string(findings_.lost_packets) + " datagrams are lost, and " +
            std::to_string(lost_before) + " before the first, gaps tell of " +
            std::to_string(findings_.told_packets));
    }
    return std::move(findings_);
  }

 private:
  static std::string ms(std::int64_t ns) { return std::to_string(ns / 1'000'000) + " ms"; }

  void fault(std::string text) {
    if (findings_.faults.size() < kFaultsMax) findings_.faults.push_back(std::move(text));
  }

  void miss(const SimCars::Row& row) {
    const auto window = std::find_if(windows_.begin(), windows_.end(), [&](const auto& one) {
      return row.packet >= one.from && row.packet < one.until;
    });
    if (window == windows_.end() && cars_.packets().at(row.packet).may_be_unknown) {
      ++findings_.unknown_rows;
      return;
    }
    if (window == windows_.end() && (answered_rows_ != 0 || has_unknown_tombstones_)) {
      ++findings_.given_up_rows;
      // Heard and given up: no gap in its stream.
      const SimCars::Packet& packet = cars_.packets().at(row.packet);
      streams_[packet.stream].insert(packet.sequence);
      return;
    }
    if (window == windows_.end()) {
      return fault("a row heard at " + ms(row.heard_ns) + " is missing (datagram " +
                   std::to_string(row.packet) + ")");
    }
    ++findings_.lost_rows;
    std::int64_t& loss =
        findings_.losses_ns.at(static_cast<std::size_t>(window - windows_.begin()));
    loss = std::max(loss, window->cut_ns - row.heard_ns - window->slept_ns);
  }

  void read_entry(const RoomStore& store, const RoomEntry& entry) {
    const std::string place =
        "room " + store.session().text().substr(0, 8) + " entry " + std::to_string(entry.id);
    if (!entry.is_batch()) return read_event(entry, place);
    const auto batch = decode_batch(entry.car, entry.bytes,
                                    [&](std::uint64_t prefix) { return store.definition(prefix); });
    if (!batch.ok()) return fault(place + ": " + batch.status().message());
    if (batch.value().hash.raw() != entry.hashes) fault(place + ": its hash is another");
    std::vector<RowIdentity> rows;
    for (const GroupColumns& group : batch.value().groups) identify_rows(entry.car, group, rows);
    for (const RowIdentity& row : rows) read_row(row, place);
  }

  void read_row(const RowIdentity& row, const std::string& place) {
    const auto sent = cars_.heard().find(row.key);
    if (sent == cars_.heard().end()) return fault(place + ": a row that was never heard");
    if (sent->second.content != row.content) fault(place + ": a row with another content");
    const auto [held, is_new] = held_.emplace(row.key, place);
    if (!is_new) fault(place + ": a row that is in " + held->second + " too");
  }

  void read_event(const RoomEntry& entry, const std::string& place) {
    const auto event = parse_event(entry.bytes);
    if (!event.ok()) return fault(place + ": " + event.status().message());
    if (event.value().has_tombstone()) {
      const words::Tombstone& tombstone = event.value().tombstone();
      answered_rows_ += tombstone.records();
      if (tombstone.reason() == "room_lost") has_unknown_tombstones_ = true;
    }
    if (!event.value().has_gap()) return;
    const words::Gap& gap = event.value().gap();
    if (gap.reason() == "sequence") findings_.told_packets += gap.count();
    if (gap.reason() == "no_space") answered_rows_ += gap.count();
  }

  const SimCars& cars_;
  const std::vector<LossWindow>& windows_;
  std::unordered_map<std::uint64_t, std::string> held_;     // Key of a row -> where it is.
  std::map<std::size_t, std::set<std::uint64_t>> streams_;  // Sequences that are there.
  std::uint64_t rejected_rows_ = 0;
  std::uint64_t answered_rows_ = 0;  // By tombstones, and by `no_space` gaps.
  bool has_unknown_tombstones_ = false;
  Findings findings_;
};

}  // namespace

Findings judge(const fs::path& rooms, const fs::path& state, const SimCars& cars,
               const std::vector<LossWindow>& windows, std::int64_t plain_loss_ns) {
  Inspection inspection(cars, windows);
  if (fs::exists(rooms)) {
    for (const auto& entry : fs::directory_iterator(rooms)) {
      if (entry.path().extension() == ".db") inspection.read_room(entry.path());
    }
  }
  if (fs::exists(state / "sessions")) {
    for (const auto& session : fs::directory_iterator(state / "sessions")) {
      if (session.is_directory()) inspection.read_journals(session.path());
    }
  }
  return inspection.finish(plain_loss_ns);
}

}  // namespace pitbox::simulation
