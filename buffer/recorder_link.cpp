// What the link reports (acknowledgements, completions), and what it is told (heads).

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "buffer/recorder.h"

namespace pitbox {
namespace {

// What `of` holds and `without` does not.
std::vector<Range> difference(const RangeSet& of, const RangeSet& without) {
  std::vector<Range> result;
  for (const Range& range : of.ranges()) {
    const std::vector<Range> missing = without.missing(range);
    result.insert(result.end(), missing.begin(), missing.end());
  }
  return result;
}

RangeSet up_to(const RangeSet& ranges, std::uint64_t last) {
  RangeSet result;
  for (const Range& range : ranges.ranges()) {
    if (range.first <= last) result.add({range.first, std::min(range.last, last)});
  }
  return result;
}

}  // namespace

// In the order in which the link must be understood: what the room holds before what it refuses,
// which store it is before what that completed.
std::size_t Recorder::take_reports(BootNs now) {
  std::size_t work = 0;
  for (; work < options_.reports_per_step; ++work) {
    const auto report = link_reports_.acknowledged.try_pop();
    if (!report) break;
    const bool is_live = journal_ != nullptr && report->session == journal_->session().id &&
                         report->incarnation == journal_->incarnation();
    is_live ? acknowledge_live(*report, now) : acknowledge_sealed(*report, now);
  }
  work += take_completions(now);
  // One rekeying at a time; the next refusal waits in its queue.
  if (rekeying_ == nullptr && ended_rekeying_ == nullptr && work == 0) {
    if (const auto refused = link_reports_.refused.try_pop()) {
      refuse(*refused, now);
      ++work;
    }
  }
  return work;
}

// What the room completed, into box.db. Where that fails (a full disk) it is tried again: nobody
// would ever say it a second time.
std::size_t Recorder::take_completions(BootNs now) {
  if (now < completions_at_) return 0;
  const auto failed = [&](const std::string& what, const Status& status) {
    note_error(what, status, now);
    completions_at_ = now + to_ns(options_.retry_interval);
  };
  std::size_t work = 0;
  for (;;) {
    if (!completed_due_) completed_due_ = link_reports_.completed.try_pop();
    // Taken after the completion, for it was put before it.
    if (auto latest = link_reports_.seen.take()) seen_due_ = std::move(latest);
    if (seen_due_) {
      const auto reopened = store_->see_room(seen_due_->room);
      if (!reopened.ok()) return failed("ask the room again", reopened.status()), work;
      if (reopened.value() > 0) {
        spdlog::info("the room was opened anew: {} complete sessions are asked about again",
                     reopened.value());
        publish_heads(now);
      }
      seen_due_.reset();
      ++work;
    }
    if (!completed_due_) return work;
    const Status status = store_->set_complete(completed_due_->session, completed_due_->room);
    if (!status.ok() && status.code() != Code::kRejected) {
      return failed("mark session complete", status), work;
    }
    completed_due_.reset();
    publish_heads(now);
    ++work;
  }
}

// Stored with the next commit, which it asks for as a record would: no sooner than the flush.
void Recorder::acknowledge_live(const Acknowledged& report, BootNs now) {
  RangeSet before = acknowledged_replaces_ ? RangeSet{} : journal_->acknowledged();
  before.add_all(acknowledged_);
  const RangeSet told = up_to(report.ranges, journal_->last_sequence());
  RangeSet after = told;
  if (!report.replaces) after.add_all(before);
  if (report.replaces && report.store != acknowledged_by_) {
    acknowledged_by_ = report.store;
    note_due(now + to_ns(options_.flush_interval));
  }
  if (after == before) return;
  if (report.replaces && !difference(before, after).empty()) {
    spdlog::warn("the room holds less than it acknowledged: what is missing is pending again");
    acknowledged_replaces_ = true;
    acknowledged_ = after;
  } else {
    acknowledged_.add_all(told);
  }
  acknowledged_bytes_ +=
      bytes_change({journal_->incarnation(), journal_->file()}, before, after, live_evicted());
  note_due(now + to_ns(options_.flush_interval));
}

void Recorder::acknowledge_sealed(const Acknowledged& report, BootNs now) {
  const std::optional<FileHead> head = find_head(report.incarnation);
  look_for_lost_ = look_for_lost_ || report.replaces;
  const Status status = store_->acknowledge(report);
  if (!status.ok()) {
    // An incarnation that is not there (any more): nothing depends on it.
    if (status.code() != Code::kRejected) note_error("acknowledge", status, now);
    return;
  }
  const bool of_session = journal_ != nullptr && report.session == journal_->session().id;
  if (head && of_session) {
    RangeSet after = up_to(report.ranges, head->last);
    if (!report.replaces) after.add_all(head->acknowledged);
    intake_.conservation().bytes_acknowledged += static_cast<std::uint64_t>(
        bytes_change({head->incarnation, head->file}, head->acknowledged, after, head->evicted));
    note_due(now + to_ns(options_.flush_interval));
  }
  publish_heads(now);
}

// By how many bytes of entries `after` holds more than `before`, what was evicted apart. Sizes only
// serve to tell people how much waits; where they cannot be read, nothing is counted.
std::int64_t Recorder::bytes_change(const EntryFile& file, RangeSet before, RangeSet after,
                                    const RangeSet& evicted) {
  for (const Range& range : evicted.ranges()) {
    before.remove(range);
    after.remove(range);
  }
  const auto sum = [&](const std::vector<Range>& ranges) {
    std::int64_t bytes = 0;
    for (const Range& range : ranges) {
      bytes += static_cast<std::int64_t>(bytes_in(file, range));
    }
    return bytes;
  };
  return sum(difference(after, before)) - sum(difference(before, after));
}

// 0 where it cannot be read.
std::uint64_t Recorder::bytes_in(const EntryFile& file, const Range& range) {
  if (const auto recent = recent_.bytes_in(file.incarnation, range)) return *recent;
  if (sizes_ == nullptr || sizes_->file() != file.path) {
    auto reader = JournalReader::open(file.path);
    if (!reader.ok()) return 0;
    sizes_ = std::move(reader).take();
  }
  const auto size = sizes_->bytes_in(range);
  return size.ok() ? size.value() : 0;
}

std::optional<FileHead> Recorder::find_head(std::uint64_t incarnation) const {
  const auto heads = heads_.get();
  if (heads == nullptr) return std::nullopt;
  for (const SessionHeads& session : heads->sessions) {
    for (const FileHead& file : session.files) {
      if (file.incarnation == incarnation) return file;
    }
  }
  return std::nullopt;
}

void Recorder::publish_heads(BootNs now) {
  auto result = store_->heads(journal_.get());
  if (!result.ok()) {
    note_error("journal heads", result.status(), now);
    return;
  }
  JournalHeads heads = std::move(result).take();
  sealed_ = {};
  if (journal_ != nullptr) {
    const SessionInfo& info = journal_->session();
    auto live =
        std::find_if(heads.sessions.begin(), heads.sessions.end(),
                     [&](const SessionHeads& session) { return session.info.id == info.id; });
    if (live == heads.sessions.end()) {
      live = heads.sessions.insert(live, SessionHeads{});
      live->info = info;
    }
    live->is_live = true;
    for (const FileHead& file : live->files) {
      const EntryTerms terms =
          entry_terms({file.first, file.last}, file.acknowledged, file.evicted);
      sealed_.acknowledged += terms.acknowledged;
      sealed_.pending += terms.pending;
    }
    live->files.push_back(
        FileHead{.incarnation = journal_->incarnation(),
                 .file = journal_->file(),
                 .first = 1,
                 .last = journal_->last_sequence(),
                 .rekeyed_from = journal_->rekeyed_from(),
                 .sealed = false,
                 .acknowledged = journal_->acknowledged(),
                 .acknowledged_by = value_or(journal_->counters(), kAcknowledgedBy, 0),
                 .removed = journal_->removed(),
                 .evicted = live_evicted()});
  }
  heads_.put(std::move(heads));
  changed_ = true;
  if (on_published_) on_published_();
}

}  // namespace pitbox
