// The receiving half of SessionSync: what the room says, and what is told to the recorder.

#include <algorithm>
#include <charconv>
#include <utility>

#include "proto/frames.h"
#include "proto/mutant.h"
#include "sync/session_sync.h"

namespace pitbox {
namespace {

// More damaged entries than this and the session waits for somebody to look.
constexpr std::size_t kMaxFoundDamaged = 1024;

// Of both sets, up to `last`.
RangeSet common(const RangeSet& a, const RangeSet& b, std::uint64_t last) {
  RangeSet result;
  for (const Range& range : b.ranges()) {
    for (const Range& part : a.within({range.first, std::min(range.last, last)})) result.add(part);
  }
  return result;
}

Status broken_frame(const std::string& what) {
  return {Code::kCorrupt, "the room broke the protocol: " + what};
}

// "content_mismatch INCARNATION/FIRST: why" (ROOM.md, "Part").
std::optional<std::pair<std::uint64_t, std::uint64_t>> damaged_entry(std::string_view reason) {
  constexpr std::string_view kWord = "content_mismatch ";
  constexpr std::size_t kIdDigits = 16;
  if (!reason.starts_with(kWord)) return std::nullopt;
  reason.remove_prefix(kWord.size());
  if (reason.size() < kIdDigits + 2 || reason[kIdDigits] != '/') return std::nullopt;
  const auto incarnation = parse_hex_id(reason.substr(0, kIdDigits));
  std::uint64_t first = 0;
  const char* const end = reason.data() + reason.size();
  const auto parsed = std::from_chars(reason.data() + kIdDigits + 1, end, first);
  if (!incarnation.ok() || parsed.ec != std::errc()) return std::nullopt;
  return std::pair{incarnation.value(), first};
}

}  // namespace

Status SessionSync::received(BootNs now, std::string_view bytes) {
  const auto parsed = parse_frame(bytes);
  if (!parsed.ok()) return broken_frame(parsed.status().message());
  const words::Frame& frame = parsed.value();
  if (!welcomed_ && !frame.has_welcome() && !frame.has_goodbye()) {
    return broken_frame("something else before Welcome");
  }
  switch (frame.body_case()) {
    case words::Frame::kWelcome:
      return on_welcome(now, frame.welcome());
    case words::Frame::kAck:
      return on_ack(now, frame.ack());
    case words::Frame::kConflict:
      return on_conflict(frame.conflict());
    case words::Frame::kPull:
      return on_pull(frame.pull());
    case words::Frame::kSlow:
      slow_.limit(now, std::max<std::uint64_t>(frame.slow().bytes_per_second(), 1));
      slow_until_ = now + BootNs{frame.slow().for_ms()} * 1'000'000;
      return {};
    case words::Frame::kGoodbye:
      on_goodbye(frame.goodbye());
      return {};
    case words::Frame::kSessionComplete:
      // Of an earlier connection's list, perhaps; ours follows and is answered again. Once ours is
      // out everything is acknowledged, so it does not matter which of the two this answers.
      complete_ = complete_ || finished_sent_;
      return {};
    case words::Frame::kHello:
    case words::Frame::kDefinition:
    case words::Frame::kPart:
    case words::Frame::kSessionFinished:
    case words::Frame::kLiveView:
    case words::Frame::kSubscribe:
    case words::Frame::kHistoryEnd:
      return broken_frame("a frame that only a box or a viewer gets");
    case words::Frame::BODY_NOT_SET:
      // A newer room may say what we do not know; it must not depend on our hearing it.
      return {};
  }
  return {};
}

Status SessionSync::on_welcome(BootNs now, const words::Welcome& welcome) {
  if (welcomed_) return broken_frame("a second Welcome");
  if (welcome.version() != kRoomProtocolVersion) return broken_frame("Welcome of another version");
  std::map<std::uint64_t, const words::Held*> held;
  for (const words::Held& incarnation : welcome.held()) {
    held[incarnation.incarnation()] = &incarnation;
  }
  for (const std::string& name : welcome.definitions()) known_definitions_.insert(name);
  for (auto& [incarnation, file] : files_) {
    if (!file.announced) continue;
    const auto its = held.find(incarnation);
    begin_file(file, its == held.end() ? words::Held() : *its->second, welcome.store());
  }
  room_store_ = welcome.store();
  // At once: of two connections the later Welcome has the last word.
  reports_.seen.put({{options_.room_url, room_store_}});
  room_unreported_ = true;
  welcomed_ = true;
  last_ack_ = now;
  return {};
}

// Adds to `proven` what is of our content; conflicts and what cannot be read now are noted.
void SessionSync::compare(File& file, const words::HeldContent& content, RangeSet& proven) {
  const std::uint64_t end = std::min(
      content.first() + static_cast<std::uint64_t>(content.hashes_size()) - 1, file.head.last);
  for (std::uint64_t at = content.first(); at <= end; ++at) {
    if (proven.contains(at)) continue;  // Gone here: whose it is does not matter any more.
    const auto read = source_.entry(file.head.incarnation, at);
    if (!read.ok() && read.status().code() != Code::kRejected) file.doubtful.add(at);
    if (!read.ok()) continue;
    const StoredEntry& entry = read.value();
    const bool is_whole = entry.first <= at && at <= entry.last &&
                          entry.hashes.size() == entry.last - entry.first + 1;
    if (!is_whole) continue;
    const std::uint64_t theirs = content.hashes(static_cast<int>(at - content.first()));
    if (short_hash(entry.hashes[at - entry.first].raw()) == theirs) {
      proven.add(at);
    } else {
      find_conflict(file, {at, at});
    }
  }
}

void SessionSync::begin_file(File& file, const words::Held& told, std::uint64_t store) {
  const RangeSet held = to_range_set(told.ranges());
  const std::uint64_t greatest = held.empty() ? 0 : held.ranges().back().last;
  if (greatest > file.head.last) {
    file.beyond = greatest;
    if (!file.head.sealed) {
      refuse(file, "the room holds sequence " + std::to_string(greatest) +
                       ", this file has issued " + std::to_string(file.head.last));
    }
  }
  RangeSet trusted = gone_of(file);
  if (store == file.known_store) trusted.add_all(file.known);
  RangeSet proven = common(held, trusted, file.head.last);
  for (const words::HeldContent& content : told.contents()) compare(file, content, proven);
  if (told.shown_from() > 1) {
    for (const Range& range : held.within({1, std::min(told.shown_from() - 1, file.head.last)})) {
      for (const Range& unknown : proven.missing(range)) file.doubtful.add(unknown);
    }
  }
  file.answered.clear();
  for (const Range& range : held.within({1, file.head.last})) file.answered.add(range);
  file.answered.remove_all(proven);
  file.answered.remove_all(file.doubtful);
  file.answered.remove_all(file.conflicts);
  file.resent.clear();
  // What an earlier store of the room held counts until it is compared.
  RangeSet before = file.known;
  before.add_all(file.lanes.held());
  RangeSet begun = proven;
  begun.add_all(common(file.doubtful, before, file.head.last));
  if (has_mutant(Mutant::kKeepAcknowledged)) begun.add_all(file.head.acknowledged);
  if (has_mutant(Mutant::kTrustWelcome)) begun.add_all(held);
  file.lanes.begin(begun);
  file.welcomed = true;
  file.held_unreported = true;
  file.unreported.clear();
  for (const auto& [key, times] : found_damaged_) {
    if (key.first != file.head.incarnation || times < 2 || begun.contains(key.second)) continue;
    ++counters_.unreadable;
    file.lanes.give_up(Range{key.second, key.second});
  }
  file.known = proven;
  file.known_store = store;
  for (const Range& range : file.doubtful.ranges()) file.lanes.give_up(range);
  for (const Range& range : file.conflicts.ranges()) file.lanes.give_up(range);
  if (file.lanes.drained()) return;
  // Only the order of backfill hangs on it: without laps it is newest first all the same.
  const auto laps = source_.laps(file.head.incarnation);
  if (laps.ok()) file.lanes.add_laps(laps.value());
}

Status SessionSync::on_ack(BootNs now, const words::Ack& ack) {
  const auto it = files_.find(ack.incarnation());
  if (it == files_.end()) return {};
  File& file = it->second;
  if (!file.welcomed) return broken_frame("Ack of an incarnation it was not told of");
  const std::uint64_t most = std::max(file.head.last, file.beyond);
  if (ack.through() > most) return broken_frame("Ack of what was never sent");
  for (const words::Range& range : ack.ranges()) {
    if (range.last() > most) return broken_frame("Ack of what was never sent");
  }
  const std::uint64_t before = progress_;
  if (ack.through() > 0) on_held(now, file, Range{1, ack.through()});
  for (const words::Range& range : ack.ranges()) {
    on_held(now, file, Range{range.first(), range.last()});
  }
  if (progress_ != before) last_ack_ = now;
  return {};
}

void SessionSync::on_held(BootNs now, File& file, Range range) {
  // Of what we did not send on this connection an Ack says nothing about whose it is.
  RangeSet news;
  for (const Range& part : file.lanes.held().missing(range)) {
    for (const Range& ours : file.lanes.settled().within(part)) news.add(ours);
  }
  news.remove_all(file.conflicts);
  news.remove_all(file.doubtful);
  news.remove_all(file.answered);
  for (const Range& part : news.ranges()) {
    file.lanes.held(part);
    ++progress_;
  }
  file.unreported.add_all(news);
  file.known.add_all(news);
  // Also when nothing is new: what was pulled is acknowledged a second time.
  const std::uint64_t incarnation = file.head.incarnation;
  auto it = in_flight_.lower_bound({incarnation, range.first});
  while (it != in_flight_.end() && it->first.first == incarnation &&
         it->second.last <= range.last) {
    if (!it->second.complete) {
      ++it;
      continue;
    }
    pacing_.acknowledged(now, it->second.bytes, it->second.mark);
    it = in_flight_.erase(it);
    last_ack_ = now;
  }
}

Status SessionSync::on_pull(const words::Pull& pull) {
  const auto it = files_.find(pull.incarnation());
  if (it == files_.end()) return {};
  for (const words::Range& range : pull.ranges()) {
    it->second.lanes.pull(Range{range.first(), range.last()});
  }
  finished_sent_ = false;
  return {};
}

Status SessionSync::on_conflict(const words::Conflict& conflict) {
  const auto it = files_.find(conflict.incarnation());
  if (it == files_.end()) return {};
  ++counters_.conflicts;
  const Range range{conflict.first(), conflict.last()};
  std::erase_if(in_flight_, [&](const auto& item) {
    const bool is_answered = item.first.first == conflict.incarnation() &&
                             range.first <= item.first.second && item.second.last <= range.last;
    if (is_answered) pacing_.forget(item.second.bytes);
    return is_answered;
  });
  find_conflict(it->second, range);
  return {};
}

void SessionSync::on_goodbye(const words::Goodbye& goodbye) {
  farewell_ = Farewell{goodbye.reason(), std::chrono::milliseconds(goodbye.retry_after_ms())};
  const auto damaged = damaged_entry(goodbye.reason());
  if (damaged && found_damaged_.size() < kMaxFoundDamaged) ++found_damaged_[*damaged];
}

void SessionSync::find_conflict(File& file, Range range) {
  file.conflicts.add(range);
  const Range& last = file.conflicts.ranges().back();
  refuse(file, "the room holds another content of " + std::to_string(file.conflicts.count()) +
                   " sequences up to " + std::to_string(last.last));
}

void SessionSync::refuse(File& file, std::string reason) {
  file.awaits_seal = !file.head.sealed;
  if (file.refusal.empty()) ++counters_.refused_files;
  file.refusal = std::move(reason);
  file.report_refusal_at = 0;
  refusal_ = "journal file " + hex_id(file.head.incarnation) + ": " + file.refusal;
}

void SessionSync::forget_in_flight(std::uint64_t incarnation) {
  for (auto& open : open_entries_) {
    if (open && open->incarnation == incarnation) open.reset();
  }
  std::erase_if(in_flight_, [&](const auto& item) {
    if (item.first.first != incarnation) return false;
    pacing_.forget(item.second.bytes);
    return true;
  });
}

bool SessionSync::report_refusal(BootNs now, File& file) {
  if (file.refusal.empty() || now < file.report_refusal_at) return false;
  RangeSet conflicts = unresolved_of(file);
  if (conflicts.empty() && !file.awaits_seal) return false;
  if (!reports_.refused.try_push(
          {info_.id, file.head.incarnation, file.refusal, std::move(conflicts)})) {
    return false;
  }
  file.report_refusal_at = now + to_ns(options_.refuse_again_after);
  return true;
}

void SessionSync::report(BootNs now) {
  bool reported = std::exchange(room_unreported_, false);
  bool is_all_told = true;
  for (auto& [incarnation, file] : files_) {
    if (file.held_unreported) {
      const std::uint64_t store = file.doubtful.empty() ? file.known_store : 0;
      if (!reports_.acknowledged.try_push(
              {info_.id, incarnation, true, file.lanes.held(), store})) {
        is_all_told = false;
        continue;
      }
      file.held_unreported = false;
      file.unreported.clear();
      reported = true;
    }
    if (!file.unreported.empty()) {
      if (!reports_.acknowledged.try_push({info_.id, incarnation, false, file.unreported, 0})) {
        is_all_told = false;
        continue;
      }
      file.unreported.clear();
      reported = true;
    }
    // After all that is held of it.
    reported |= report_refusal(now, file);
  }
  // Last: there is no connection for a complete session on which the rest could be told.
  if (complete_ && !completion_reported_ && is_all_told) {
    completion_reported_ =
        reports_.completed.try_push({info_.id, {options_.room_url, room_store_}});
    reported |= completion_reported_;
  }
  if (reported && reports_.on_report) reports_.on_report();
}

}  // namespace pitbox
