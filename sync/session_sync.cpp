#include "sync/session_sync.h"

#include <algorithm>
#include <utility>

#include "proto/check.h"
#include "proto/event.h"
#include "proto/frames.h"

namespace pitbox {
namespace {

// Entries that turn out to be unreadable are skipped this many at a time, then the loop goes round.
constexpr int kTriesPerFrame = 16;

// To what a frame may carry, without cutting a character of UTF-8 in two.
std::string shortened(const std::string& text) {
  if (text.size() <= kMaxTextBytes) return text;
  std::size_t end = kMaxTextBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end);
}

// The room refuses greater ones (ROOM.md, "Limits").
bool fits_a_room(const StoredEntry& entry) {
  return entry.bytes.size() <= (entry.is_event ? kMaxEventBytes : kMaxBatchBytes) &&
         entry.car.size() <= kMaxTextBytes && entry.definitions.size() <= kMaxBatchGroups;
}

}  // namespace

SessionSync::SessionSync(const Options& options, EntrySource& source, SyncReports reports,
                         const SessionHeads& heads)
    : options_(options), source_(source), reports_(std::move(reports)) {
  update(0, heads);
}

SessionSync::~SessionSync() = default;

void SessionSync::update(BootNs now, const SessionHeads& heads) {
  info_ = heads.info;
  ended_ = heads.ended;
  order_.clear();
  for (const FileHead& head : heads.files) {
    order_.push_back(head.incarnation);
    auto it = files_.find(head.incarnation);
    if (it == files_.end()) {
      File file{.head = head,
                .lanes = FileLanes(options_.lanes, head.first, head.last),
                .known = head.acknowledged,
                .known_store = head.acknowledged_by};
      it = files_.emplace(head.incarnation, std::move(file)).first;
    } else {
      it->second.head = head;
      it->second.lanes.advance(now, head.first, head.last);
      it->second.awaits_seal = it->second.awaits_seal && !head.sealed;
    }
    it->second.lanes.set_gone(gone_of(it->second));
  }
  std::erase_if(files_, [&](const auto& item) {
    if (std::find(order_.begin(), order_.end(), item.first) != order_.end()) return false;
    forget_in_flight(item.first);
    return true;
  });
}

void SessionSync::opened(BootNs now) {
  closed(now);
  open_ = true;
  opened_at_ = now;
  last_ack_ = now;
  last_part_ = now;
  pacing_.reset(now);
  say_hello();
}

void SessionSync::closed(BootNs /*now*/) {
  open_ = false;
  welcomed_ = false;
  finished_sent_ = false;
  control_.clear();
  known_definitions_.clear();
  open_entries_ = {};
  in_flight_.clear();
  completed_.clear();
  slow_ = TokenBucket();
  slow_until_ = 0;
  live_view_.clear();
  farewell_.reset();
  for (auto& [incarnation, file] : files_) {
    file.announced = false;
    file.welcomed = false;
    file.awaits_seal = false;
    file.refusal.clear();
    file.conflicts.clear();
    file.beyond = 0;
    file.doubtful.clear();
  }
}

void SessionSync::say_hello() {
  words::Frame frame;
  words::Hello& hello = *frame.mutable_hello();
  hello.set_version(kRoomProtocolVersion);
  hello.set_box_id(options_.box_id.raw());
  hello.set_session_id(info_.id.raw());
  hello.set_software(options_.software);
  hello.set_session_name(shortened(info_.name));
  hello.set_session_type(info_.type);
  int ranges_left = kMaxHelloRanges;
  for (const std::uint64_t incarnation : order_) {
    File& file = files_.at(incarnation);
    const FileHead& head = file.head;
    file.announced = true;
    words::IncarnationState& state = *hello.add_incarnations();
    state.set_incarnation(incarnation);
    state.set_first(head.first);
    state.set_last(head.last);
    state.set_rekeyed_from(head.rekeyed_from);
    // What is gone here could not be compared.
    RangeSet known = file.known;
    known.add_all(gone_of(file));
    add_ranges(known, std::min(kMaxKnownRanges, ranges_left), state.mutable_known());
    state.set_known_store(file.known_store);
    ranges_left -= state.known_size();
  }
  control_.push_back(serialise(frame));
}

RangeSet SessionSync::gone_of(const File& file) {
  RangeSet gone = file.head.removed;
  gone.add_all(file.head.evicted);
  return gone;
}

// Conflicts that wait for the recorder: once journaled again they are gone.
RangeSet SessionSync::unresolved_of(const File& file) {
  RangeSet unresolved = file.conflicts;
  unresolved.remove_all(gone_of(file));
  return unresolved;
}

bool SessionSync::may_send_bulk(BootNs now) {
  if (!welcomed_) return false;
  if (slow_.bytes_per_second() != 0 && now >= slow_until_) slow_.limit(now, 0);
  return slow_.may_send(now);
}

bool SessionSync::has_room(Lane lane) const {
  // An entry greater than the window can only be acknowledged once it is all there: while nothing
  // complete is in flight there is no acknowledgement to wait for.
  const bool awaits_ack = std::any_of(completed_.begin(), completed_.end(), [&](const auto& sent) {
    return in_flight_.contains(sent.key);
  });
  if (!awaits_ack) return true;
  if (lane == kLive) return pacing_.in_flight() < pacing_.live_window();
  return pacing_.in_flight() + pacing_.backfill_part_bytes() <= pacing_.backfill_window();
}

std::optional<std::uint64_t> SessionSync::next_sequence(File& file, Lane lane, BootNs now) const {
  if (!file.welcomed || file.awaits_seal || now < file.readable_at) return std::nullopt;
  return lane == kLive ? file.lanes.next_live(now) : file.lanes.next_backfill();
}

bool SessionSync::has_entry(Lane lane, BootNs now) {
  if (open_entries_.at(lane)) return true;
  return std::any_of(files_.begin(), files_.end(),
                     [&](auto& item) { return next_sequence(item.second, lane, now).has_value(); });
}

SessionSync::Choice SessionSync::choose(BootNs now) {
  if (!control_.empty()) return Choice::kControl;
  if (!open_ || !may_send_bulk(now)) return Choice::kNone;
  if (has_entry(kLive, now)) {
    // While live parts wait for the window nothing else may take its place.
    return has_room(kLive) ? Choice::kLive : Choice::kNone;
  }
  if (!live_view_.empty() && pacing_.in_flight() < pacing_.live_window() / 2) {
    return Choice::kLiveView;
  }
  if (has_room(kBackfill) && has_entry(kBackfill, now)) return Choice::kBackfill;
  return Choice::kNone;
}

bool SessionSync::wants_to_send(BootNs now) {
  return choose(now) != Choice::kNone;
}

bool SessionSync::is_idle(BootNs now) {
  if (!open_) return true;
  return control_.empty() && !has_entry(kLive, now) && !has_entry(kBackfill, now);
}

bool SessionSync::next_frame(BootNs now, std::string& out) {
  for (int tries = 0; tries < kTriesPerFrame; ++tries) {
    const Choice choice = choose(now);
    if (choice == Choice::kNone) return false;
    if (choice == Choice::kLiveView) {
      write_live_view(out);
      return true;
    }
    if (choice != Choice::kControl) {
      const Lane lane = choice == Choice::kLive ? kLive : kBackfill;
      if (!open_entries_.at(lane) && !open_entry(lane, now)) continue;
      if (control_.empty()) {
        write_part(lane, now, out);
        return true;
      }
    }
    out += control_.front();
    control_.pop_front();
    return true;
  }
  return false;
}

bool SessionSync::open_entry(Lane lane, BootNs now) {
  for (auto it = order_.rbegin(); it != order_.rend(); ++it) {
    File& file = files_.at(*it);
    const auto sequence = next_sequence(file, lane, now);
    if (!sequence) continue;
    auto read = source_.entry(*it, *sequence);
    if (!read.ok()) {
      set_aside(file, *sequence, read.status(), now);
      return false;
    }
    OpenEntry open{*it, std::move(read).take(), {}, 0};
    const StoredEntry& entry = open.entry;
    const bool sound = entry.first <= *sequence && *sequence <= entry.last &&
                       entry.last <= file.lanes.last() && !entry.bytes.empty() &&
                       fits_a_room(entry) && entry.hashes.size() == entry.last - entry.first + 1;
    if (!sound || !announce_definitions(open)) {
      const Status why(Code::kCorrupt, "the entry does not hold together");
      set_aside(file, *sequence, why, now);
      return false;
    }
    file.lanes.sent(Range{entry.first, entry.last});
    // The wait for an acknowledgement begins here. The part itself may come later, after its
    // definitions, and what was last sent before that may be a long silence ago.
    if (in_flight_.empty()) last_part_ = now;
    InFlight& in_flight = in_flight_[{*it, entry.first}];
    pacing_.forget(in_flight.bytes);  // Pulled again while in flight: counted once.
    in_flight = InFlight{entry.last, 0, false, pacing_.mark(now)};
    open_entries_.at(lane) = std::move(open);
    return true;
  }
  return false;
}

void SessionSync::set_aside(File& file, std::uint64_t sequence, const Status& why, BootNs now) {
  if (why.code() == Code::kRejected || why.code() == Code::kCorrupt) {
    ++counters_.unreadable;
    file.lanes.give_up(Range{sequence, sequence});
    return;
  }
  file.readable_at = now + to_ns(options_.read_again_after);
}

bool SessionSync::announce_definitions(OpenEntry& open) {
  for (const std::uint64_t prefix : open.entry.definitions) {
    const auto found = source_.definition(open.incarnation, prefix);
    if (!found.ok() || !found.value()) return false;
    const Definition& definition = *found.value();
    std::string name(definition.name().begin(), definition.name().end());
    if (known_definitions_.insert(name).second) {
      words::Frame frame;
      frame.mutable_definition()->set_name(name);
      frame.mutable_definition()->set_content(std::string(definition.bytes()));
      control_.push_back(serialise(frame));
    }
    open.definitions.push_back(std::move(name));
  }
  return true;
}

void SessionSync::write_part(Lane lane, BootNs now, std::string& out) {
  OpenEntry& open = *open_entries_.at(lane);
  const StoredEntry& entry = open.entry;
  const std::size_t most =
      lane == kLive ? pacing_.live_part_bytes() : pacing_.backfill_part_bytes();
  const std::size_t bytes = std::min<std::size_t>(most, entry.bytes.size() - open.offset);
  words::Frame frame;
  words::Part& part = *frame.mutable_part();
  part.set_incarnation(open.incarnation);
  part.set_first(entry.first);
  part.set_last(entry.last);
  part.set_kind(entry.is_event ? words::EVENT : words::BATCH);
  part.set_lane(lane == kLive ? words::LIVE : words::BACKFILL);
  part.set_offset(open.offset);
  part.set_total(entry.bytes.size());
  part.set_bytes(entry.bytes.data() + open.offset, bytes);
  if (open.offset == 0) {
    for (const ContentHash& hash : entry.hashes) part.add_hashes(hash.raw());
    part.set_car(entry.car);
    for (const std::string& name : open.definitions) part.add_definitions(name);
  }
  frame.AppendToString(&out);

  open.offset += bytes;
  (lane == kLive ? counters_.live_bytes : counters_.backfill_bytes) += bytes;
  pacing_.sent(now, bytes);
  slow_.sent(bytes);
  last_part_ = now;
  const EntryKey key{open.incarnation, entry.first};
  InFlight& in_flight = in_flight_[key];
  in_flight.bytes += bytes;
  if (open.offset < entry.bytes.size()) return;
  in_flight.complete = true;
  in_flight.mark.sent_at = now;
  ++counters_.entries;
  completed_.push_back({key, now});
  File& file = files_.at(open.incarnation);
  for (const Range& range : file.answered.within({entry.first, entry.last})) {
    file.resent.add(range);
  }
  open_entries_.at(lane).reset();
  in_flight.mark.nothing_waiting = is_idle(now);
}

void SessionSync::write_live_view(std::string& out) {
  const auto first = live_view_.begin();
  words::Frame frame;
  words::LiveView& view = *frame.mutable_live_view();
  view.set_car(first->second.car);
  view.set_wall_time_ms(first->second.wall_time_ms);
  for (const LiveViewValue& value : first->second.values) {
    words::LiveValue& added = *view.add_values();
    added.set_channel(value.channel);
    added.set_unit(value.unit);
    added.set_value(value.value);
  }
  frame.AppendToString(&out);
  live_view_.erase(first);
  ++counters_.live_views;
}

void SessionSync::offer_live_view(std::vector<LiveViewCar> cars) {
  if (!welcomed_) return;
  for (LiveViewCar& car : cars) {
    const auto it = live_view_.find(car.car);
    if (it != live_view_.end()) {
      ++counters_.live_views_shed;
      merge_live_view(it->second, std::move(car));
    } else if (live_view_.size() < kMaxLiveViewCars) {
      std::string key = car.car;
      live_view_.emplace(std::move(key), std::move(car));
    }
  }
}

bool SessionSync::everything_sent() const {
  if (!in_flight_.empty() || open_entries_[kLive] || open_entries_[kBackfill]) return false;
  return std::all_of(files_.begin(), files_.end(), [](const auto& item) {
    const File& file = item.second;
    return file.welcomed && unresolved_of(file).empty() && file.doubtful.empty() &&
           file.resent.empty() && file.lanes.drained();
  });
}

// The next Welcome shows what this one had no room for, or what we could not read, or what it had
// only a tombstone for.
bool SessionSync::wants_to_compare(BootNs now) {
  const bool is_any = std::any_of(files_.begin(), files_.end(), [](const auto& item) {
    return !item.second.doubtful.empty() || !item.second.resent.empty();
  });
  return is_any && welcomed_ && now - opened_at_ >= to_ns(options_.compare_again_after) &&
         in_flight_.empty() && is_idle(now);
}

void SessionSync::finish_if_done() {
  if (!ended_ || !welcomed_ || finished_sent_ || !everything_sent()) return;
  words::Frame frame;
  for (const std::uint64_t incarnation : order_) {
    const File& file = files_.at(incarnation);
    words::FinalSequence& final = *frame.mutable_session_finished()->add_finals();
    final.set_incarnation(incarnation);
    final.set_last(file.head.last);
  }
  frame.mutable_session_finished();
  control_.push_back(serialise(frame));
  finished_sent_ = true;
}

std::optional<SessionSync::Verdict> SessionSync::step(BootNs now) {
  if (!open_) {
    report(now);
    return std::nullopt;
  }
  const bool all_announced = std::all_of(files_.begin(), files_.end(),
                                         [](const auto& item) { return item.second.announced; });
  if (!all_announced) return Verdict{LinkReason::kNone, "a journal file was added"};
  finish_if_done();
  report(now);
  if (wants_to_compare(now)) {
    return Verdict{LinkReason::kNone, "more of what the room holds is to be compared"};
  }
  if (!welcomed_) {
    if (now - opened_at_ < to_ns(options_.welcome_within)) return std::nullopt;
    return Verdict{LinkReason::kNoAck, "the room did not answer Hello"};
  }
  while (!completed_.empty() && !in_flight_.contains(completed_.front().key)) {
    completed_.pop_front();
  }
  if (in_flight_.empty()) return std::nullopt;
  const BootNs since = completed_.empty() ? last_part_ : completed_.front().at;
  if (now - std::max(since, last_ack_) < to_ns(options_.no_ack_after)) return std::nullopt;
  return Verdict{LinkReason::kNoAck,
                 std::to_string(pacing_.in_flight()) + " bytes sent and nothing acknowledged"};
}

std::uint64_t SessionSync::pending() const {
  std::uint64_t sum = 0;
  for (const auto& [incarnation, file] : files_) sum += file.lanes.pending();
  return sum;
}

}  // namespace pitbox
