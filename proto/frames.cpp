#include "proto/frames.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <set>

#include "proto/batch.h"
#include "proto/check.h"
#include "proto/event.h"

namespace pitbox {
namespace {

using google::protobuf::RepeatedPtrField;

constexpr std::size_t kHashBytes = 16;
constexpr std::size_t kNameBytes = 32;

Status refuse(std::string why) {
  return {Code::kCorrupt, std::move(why)};
}

Status check_text(const std::string& text, const char* field) {
  if (text.size() <= kMaxTextBytes) return {};
  return refuse(std::string(field) + " is longer than 256 bytes");
}

Status check_size(const std::string& bytes, std::size_t want, const char* field) {
  if (bytes.size() == want) return {};
  return refuse(std::string(field) + " is not " + std::to_string(want) + " bytes long");
}

Status check_sizes(const RepeatedPtrField<std::string>& list, std::size_t want, const char* field) {
  for (const std::string& bytes : list) {
    Status checked = check_size(bytes, want, field);
    if (!checked.ok()) return checked;
  }
  return {};
}

Status check_count(int count, int limit, const char* field) {
  if (count <= limit) return {};
  return refuse(std::string(field) + " has more than " + std::to_string(limit) + " elements");
}

Status check_range(std::uint64_t first, std::uint64_t last, const char* field) {
  if (first >= 1 && first <= last && last <= kMaxSequence) return {};
  return refuse(std::string(field) + " is not a range of sequences");
}

// Sorted, disjoint, not adjacent, beyond `after`.
Status check_ranges(const RepeatedPtrField<words::Range>& ranges, std::uint64_t after, int limit,
                    const char* field) {
  Status counted = check_count(ranges.size(), limit, field);
  if (!counted.ok()) return counted;
  std::uint64_t end = after;
  bool is_start = after == 0;
  for (const words::Range& range : ranges) {
    Status checked = check_range(range.first(), range.last(), field);
    if (!checked.ok()) return checked;
    const bool is_beyond = is_start || range.first() > end + 1;
    if (!is_beyond) return refuse(std::string(field) + " are not sorted, disjoint and apart");
    end = range.last();
    is_start = false;
  }
  return {};
}

// Gives each incarnation of a list once, and never 0.
class Incarnations {
 public:
  Status add(std::uint64_t incarnation) {
    if (incarnation == 0) return refuse("an incarnation is 0");
    if (!seen_.insert(incarnation).second) return refuse("an incarnation is listed twice");
    return {};
  }

 private:
  std::set<std::uint64_t> seen_;
};

Status check_incarnation(std::uint64_t incarnation) {
  return incarnation != 0 ? Status() : refuse("the incarnation is 0");
}

// Returns the first of several checks that failed. The braces of a call evaluate left to right,
// and all of them are cheap.
Status first_failure(std::initializer_list<Status> checks) {
  for (const Status& check : checks) {
    if (!check.ok()) return check;
  }
  return {};
}

bool is_session_type(const std::string& type) {
  static const std::set<std::string> kTypes = {"",     "practice", "qualifying",
                                               "race", "warmup",   "test"};
  return kTypes.contains(type);
}

Status check(const words::Hello& hello) {
  Status checked = first_failure(
      {check_size(hello.box_id(), 16, "box_id"), check_size(hello.session_id(), 16, "session_id"),
       check_text(hello.software(), "software"), check_text(hello.session_name(), "session_name"),
       check_count(hello.incarnations_size(), kMaxIncarnations, "incarnations")});
  if (!checked.ok()) return checked;
  if (!is_session_type(hello.session_type())) return refuse("session_type is none we know");
  Incarnations incarnations;
  int known = 0;
  for (const words::IncarnationState& state : hello.incarnations()) {
    Status added = first_failure({incarnations.add(state.incarnation()),
                                  check_ranges(state.known(), 0, kMaxKnownRanges, "known")});
    if (!added.ok()) return added;
    known += state.known_size();
    const bool is_empty = state.last() == 0 && state.first() <= 1;
    // All of it evicted: first is one past last.
    const bool is_evicted = state.first() == state.last() + 1 && state.last() < kMaxSequence;
    if (is_empty || is_evicted) continue;
    Status range = check_range(state.first(), state.last(), "an incarnation's extent");
    if (!range.ok()) return range;
  }
  return check_count(known, kMaxHelloRanges, "all known ranges together");
}

// Sorted, disjoint and apart, like ranges.
Status check_contents(const RepeatedPtrField<words::HeldContent>& contents) {
  std::uint64_t end = 0;
  for (const words::HeldContent& content : contents) {
    const auto count = static_cast<std::uint64_t>(content.hashes_size());
    if (count == 0) return refuse("a held content is empty");
    Status checked = check_range(content.first(), content.first() + count - 1, "a held content");
    if (!checked.ok()) return checked;
    if (end != 0 && content.first() <= end + 1) {
      return refuse("held contents are not sorted, disjoint and apart");
    }
    end = content.first() + count - 1;
  }
  return {};
}

Status check(const words::Welcome& welcome) {
  Status checked =
      first_failure({check_text(welcome.software(), "software"),
                     check_count(welcome.held_size(), kMaxIncarnations, "held"),
                     check_count(welcome.definitions_size(), kMaxWelcomeDefinitions, "definitions"),
                     check_sizes(welcome.definitions(), kNameBytes, "a definition's name")});
  if (!checked.ok()) return checked;
  Incarnations incarnations;
  int ranges = 0;
  int contents = 0;
  int hashes = 0;
  for (const words::Held& held : welcome.held()) {
    Status added = first_failure({incarnations.add(held.incarnation()),
                                  check_ranges(held.ranges(), 0, kMaxRanges, "held ranges"),
                                  check_contents(held.contents())});
    if (!added.ok()) return added;
    ranges += held.ranges_size();
    contents += held.contents_size();
    for (const words::HeldContent& content : held.contents()) hashes += content.hashes_size();
  }
  return first_failure({check_count(ranges, kMaxWelcomeRanges, "all held ranges together"),
                        check_count(contents, kMaxHeldContents, "all held contents together"),
                        check_count(hashes, kMaxHeldHashes, "all held hashes together")});
}

Status check(const words::Definition& definition) {
  Status checked = check_size(definition.name(), kNameBytes, "a definition's name");
  if (!checked.ok()) return checked;
  if (definition.content().empty()) return refuse("a definition is empty");
  if (definition.content().size() <= kMaxDefinitionFrameBytes) return {};
  return refuse("a definition is too long for a frame");
}

Status check_first_part(const words::Part& part) {
  const std::uint64_t sequences = part.last() - part.first() + 1;
  if (static_cast<std::uint64_t>(part.hashes_size()) != sequences) {
    return refuse("a part's hashes are not one per sequence");
  }
  if (part.kind() == words::EVENT && (sequences != 1 || part.definitions_size() != 0)) {
    return refuse("an event has one sequence and no definitions");
  }
  return first_failure(
      {check_sizes(part.hashes(), kHashBytes, "a content hash"), check_text(part.car(), "car"),
       check_count(part.definitions_size(), static_cast<int>(kMaxBatchGroups), "definitions"),
       check_sizes(part.definitions(), kNameBytes, "a definition's name")});
}

Status check(const words::Part& part) {
  Status checked = first_failure({check_incarnation(part.incarnation()),
                                  check_range(part.first(), part.last(), "a part's key")});
  if (!checked.ok()) return checked;
  if (part.last() - part.first() >= kMaxSequencesPerEntry) {
    return refuse("an entry has more than 4096 sequences");
  }
  if (part.kind() != words::BATCH && part.kind() != words::EVENT) {
    return refuse("an entry is neither batch nor event");
  }
  if (part.lane() != words::LIVE && part.lane() != words::BACKFILL) {
    return refuse("a part is on no lane");
  }
  const std::size_t limit = part.kind() == words::EVENT ? kMaxEventBytes : kMaxBatchBytes;
  if (part.total() > limit) return refuse("an entry is too big");
  if (part.bytes().empty()) return refuse("a part is empty");
  if (part.offset() > part.total() || part.bytes().size() > part.total() - part.offset()) {
    return refuse("a part reaches beyond its entry");
  }
  if (!part.box_id().empty() && part.box_id().size() != 16) return refuse("box_id is not 16 bytes");
  if (part.offset() == 0) return check_first_part(part);
  const bool is_bare = part.hashes_size() == 0 && part.definitions_size() == 0 &&
                       part.car().empty() && part.box_id().empty();
  return is_bare ? Status() : refuse("only an entry's first part describes it");
}

Status check(const words::Ack& ack) {
  if (ack.through() > kMaxSequence) return refuse("through is no sequence");
  return first_failure({check_incarnation(ack.incarnation()),
                        check_ranges(ack.ranges(), ack.through(), kMaxAckRanges, "ranges")});
}

Status check(const words::Conflict& conflict) {
  Status checked = first_failure({check_incarnation(conflict.incarnation()),
                                  check_range(conflict.first(), conflict.last(), "a conflict")});
  if (!checked.ok() || conflict.held_hash().empty()) return checked;
  return check_size(conflict.held_hash(), kHashBytes, "held_hash");
}

Status check(const words::SessionFinished& finished) {
  Status counted = check_count(finished.finals_size(), kMaxIncarnations, "finals");
  if (!counted.ok()) return counted;
  Incarnations incarnations;
  for (const words::FinalSequence& final_sequence : finished.finals()) {
    Status added = incarnations.add(final_sequence.incarnation());
    if (!added.ok()) return added;
    if (final_sequence.last() > kMaxSequence) return refuse("a final sequence is too great");
  }
  return {};
}

Status check(const words::Pull& pull) {
  if (pull.ranges().empty()) return refuse("a pull asks for nothing");
  return first_failure({check_incarnation(pull.incarnation()),
                        check_ranges(pull.ranges(), 0, kMaxRanges, "ranges")});
}

Status check(const words::LiveView& view) {
  Status checked = first_failure(
      {check_text(view.car(), "car"), check_count(view.values_size(), kMaxLiveValues, "values")});
  if (!checked.ok()) return checked;
  for (const words::LiveValue& value : view.values()) {
    Status texts =
        first_failure({check_text(value.channel(), "channel"), check_text(value.unit(), "unit")});
    if (!texts.ok()) return texts;
    if (!std::isfinite(value.value())) return refuse("a live value is not finite");
  }
  return {};
}

Status check(const words::Subscribe& subscribe) {
  return first_failure(
      {check_size(subscribe.session_id(), 16, "session_id"), check_text(subscribe.car(), "car")});
}

Status check(const words::Frame& frame) {
  switch (frame.body_case()) {
    case words::Frame::kHello:
      return check(frame.hello());
    case words::Frame::kWelcome:
      return check(frame.welcome());
    case words::Frame::kDefinition:
      return check(frame.definition());
    case words::Frame::kPart:
      return check(frame.part());
    case words::Frame::kAck:
      return check(frame.ack());
    case words::Frame::kConflict:
      return check(frame.conflict());
    case words::Frame::kSessionFinished:
      return check(frame.session_finished());
    case words::Frame::kPull:
      return check(frame.pull());
    case words::Frame::kGoodbye:
      return check_text(frame.goodbye().reason(), "reason");
    case words::Frame::kLiveView:
      return check(frame.live_view());
    case words::Frame::kSubscribe:
      return check(frame.subscribe());
    case words::Frame::kSessionComplete:
    case words::Frame::kSlow:
    case words::Frame::kHistoryEnd:
      return {};
    case words::Frame::BODY_NOT_SET:
      return refuse("a frame of a kind that this version does not have");
  }
  return refuse("a frame of no kind");
}

}  // namespace

std::string_view to_string(CloseCode code) {
  switch (code) {
    case CloseCode::kDone:
      return "done";
    case CloseCode::kGoingAway:
      return "going_away";
    case CloseCode::kFrameTooBig:
      return "frame_too_big";
    case CloseCode::kInternal:
      return "internal";
    case CloseCode::kCredentialExpired:
      return "credential_expired";
    case CloseCode::kCredentialRejected:
      return "credential_rejected";
    case CloseCode::kUnknownSession:
      return "unknown_session";
    case CloseCode::kReplaced:
      return "replaced";
    case CloseCode::kConflict:
      return "conflict";
    case CloseCode::kProtocolError:
      return "protocol_error";
    case CloseCode::kHelloRefused:
      return "hello_refused";
    case CloseCode::kStorageFull:
      return "storage_full";
    case CloseCode::kTooSlow:
      return "too_slow";
    case CloseCode::kNoHello:
      return "no_hello";
    case CloseCode::kTooManyConnections:
      return "too_many_connections";
  }
  return "unknown";
}

Result<words::Frame> parse_frame(std::string_view bytes) {
  if (bytes.size() > kMaxFrameBytes) return refuse("a frame is longer than 1 MiB");
  words::Frame frame;
  if (!frame.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return refuse("a frame does not parse");
  }
  Status checked = check(frame);
  if (!checked.ok()) return checked;
  return frame;
}

std::string serialise(const words::Frame& frame) {
  std::string bytes;
  CHECK(frame.SerializeToString(&bytes));
  return bytes;
}

std::uint64_t short_hash(std::string_view raw) {
  CHECK(raw.size() == kHashBytes);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    value = value << 8U | static_cast<std::uint8_t>(raw[i]);
  }
  return value;
}

void add_ranges(const RangeSet& set, int limit, RepeatedPtrField<words::Range>* out) {
  const auto& ranges = set.ranges();
  const std::size_t keep = std::min(ranges.size(), static_cast<std::size_t>(limit));
  for (std::size_t i = ranges.size() - keep; i < ranges.size(); ++i) {
    words::Range* range = out->Add();
    range->set_first(ranges[i].first);
    range->set_last(ranges[i].last);
  }
}

RangeSet to_range_set(const RepeatedPtrField<words::Range>& ranges) {
  RangeSet set;
  for (const words::Range& range : ranges) set.add(Range{range.first(), range.last()});
  return set;
}

}  // namespace pitbox
