#include "room/room_core.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "proto/batch.h"
#include "proto/event.h"
#include "proto/frames.h"
#include "proto/mutant.h"

namespace pitbox {
namespace {

constexpr std::uint32_t kReplacedRetryMs = 30'000;
constexpr std::uint32_t kRefusedRetryMs = 5'000;
constexpr std::size_t kDecodedKept = std::size_t{8} << 20;  // From batch to batch; more is freed.

std::string key_of(std::uint64_t incarnation, std::uint64_t first) {
  return hex_id(incarnation) + "/" + std::to_string(first);
}

}  // namespace

RoomCore::RoomCore(std::unique_ptr<RoomStore> store, Outbound& outbound, const Options& options)
    : options_(options),
      store_(std::move(store)),
      outbound_(outbound),
      viewers_(*store_, outbound, options.stall_limit) {}

void RoomCore::send(ConnectionId id, const words::Frame& frame) {
  outbound_.send(id, std::make_shared<const std::string>(serialise(frame)));
}

void RoomCore::say_goodbye(ConnectionId id, std::string_view reason, std::uint32_t retry_after_ms) {
  const std::string text(reason.substr(0, kMaxTextBytes));
  if (viewers_.is_page(id)) {
    outbound_.send(id, std::make_shared<const std::string>(goodbye_view(text, retry_after_ms)));
    return;
  }
  words::Frame frame;
  frame.mutable_goodbye()->set_reason(text);
  frame.mutable_goodbye()->set_retry_after_ms(retry_after_ms);
  send(id, frame);
}

void RoomCore::refuse(ConnectionId id, CloseCode code, const std::string& reason,
                      std::uint32_t retry_after_ms) {
  if (const auto others = refusals_.pass(std::chrono::steady_clock::now().time_since_epoch())) {
    spdlog::warn("room {}: connection {} refused: {}: {} ({} more since the last such line)",
                 store_->session().text(), id, to_string(code), reason, *others);
  }
  say_goodbye(id, reason, retry_after_ms);
  outbound_.close(id, code, to_string(code));
}

void RoomCore::hello(ConnectionId id, const words::Hello& hello, Clock::time_point now) {
  if (has_failed_) return;
  const auto refuse_hello = [&](const std::string& why) {
    ++counters_.refused;
    refuse(id, CloseCode::kHelloRefused, why, kRefusedRetryMs);
  };
  if (hello.version() != kRoomProtocolVersion) {
    return refuse_hello("this room speaks version 1, not " + std::to_string(hello.version()));
  }
  const auto box = Uuid::from_bytes(hello.box_id());
  if (!box.ok() || box.value().is_nil()) return refuse_hello("the box has no id");
  if (hello.session_id() != store_->session().raw()) {
    return refuse_hello("the session is not the one in the URL");
  }
  replace_box();
  // So that Welcome, which speaks of the disk, is also all that was received.
  commit();
  Status named = store_->set_session(hello.session_name(), hello.session_type());
  if (!named.ok()) return fail(named);
  note_waiting(now);
  if (has_failed_) return;
  box_.emplace(id, box.value());
  Known known;
  for (const words::IncarnationState& state : hello.incarnations()) {
    // What it knows of another store says nothing of this one.
    if (state.known_store() != options_.store_id) continue;
    known[state.incarnation()] = to_range_set(state.known());
  }
  welcome(id, &box_->id, known);
  if (has_failed_) return;
  tell_pages(now);
  spdlog::info("room {}: box {} ({}) is connected", store_->session().text(), box.value().text(),
               hello.software());
}

void RoomCore::replace_box() {
  if (!box_.has_value()) return;
  ++counters_.replaced;
  say_goodbye(box_->connection, "replaced", kReplacedRetryMs);
  outbound_.close(box_->connection, CloseCode::kReplaced, "another connection took over");
  box_.reset();
}

// The contents of what the box did not know to be held, newest first, as many as there is room for.
Status RoomCore::add_contents(const RoomFile& file, const RangeSet& known, int& hashes_left,
                              int& runs_left, words::Held& held) {
  std::vector<RoomStore::Content> shown;  // Falling.
  bool is_all = true;
  const auto& ranges = file.held.ranges();
  for (auto range = ranges.rbegin(); range != ranges.rend(); ++range) {
    const std::vector<Range> unknown = known.missing(*range);
    for (auto part = unknown.rbegin(); part != unknown.rend() && is_all; ++part) {
      const auto room = static_cast<std::size_t>(hashes_left) - shown.size();
      auto contents = store_->contents(file.id, *part, room + 1);
      if (!contents.ok()) return contents.status();
      for (const RoomStore::Content& content : contents.value()) {
        const bool begins_run = shown.empty() || shown.back().sequence != content.sequence + 1;
        is_all = is_all && shown.size() < static_cast<std::size_t>(hashes_left) &&
                 (!begins_run || runs_left > 0);
        if (!is_all) break;
        runs_left -= begins_run ? 1 : 0;
        shown.push_back(content);
      }
    }
  }
  hashes_left -= static_cast<int>(shown.size());
  if (!is_all) {
    held.set_shown_from(shown.empty() ? ranges.back().last + 1 : shown.back().sequence);
  }
  words::HeldContent* run = nullptr;
  std::uint64_t next = 0;
  for (auto content = shown.rbegin(); content != shown.rend(); ++content) {
    if (run == nullptr || content->sequence != next) {
      run = held.add_contents();
      run->set_first(content->sequence);
    }
    run->add_hashes(content->hash);
    next = content->sequence + 1;
  }
  return {};
}

void RoomCore::welcome(ConnectionId id, const Uuid* box, const Known& known) {
  words::Frame frame;
  words::Welcome* welcome = frame.mutable_welcome();
  welcome->set_version(kRoomProtocolVersion);
  welcome->set_software("pitbox-room " PITBOX_VERSION);
  welcome->set_connection(id);
  welcome->set_store(options_.store_id);
  int ranges_left = kMaxWelcomeRanges;
  int hashes_left = kMaxHeldHashes;
  int runs_left = kMaxHeldContents;
  // Newest files first: what does not fit is what a box is least likely to have waiting.
  const auto& files = store_->files();
  for (auto it = files.rbegin(); it != files.rend(); ++it) {
    const RoomFile& file = it->second;
    if (box != nullptr && file.box != *box) continue;
    if (welcome->held_size() >= kMaxIncarnations || ranges_left == 0) break;
    // Two boxes never share an incarnation, but a viewer's Welcome must not list one twice.
    const auto is_same = [&](const words::Held& h) { return h.incarnation() == file.incarnation; };
    if (std::any_of(welcome->held().begin(), welcome->held().end(), is_same)) continue;
    words::Held* held = welcome->add_held();
    held->set_incarnation(file.incarnation);
    add_ranges(file.held, std::min(kMaxRanges, ranges_left), held->mutable_ranges());
    ranges_left -= held->ranges_size();
    if (box == nullptr) continue;
    const auto its = known.find(file.incarnation);
    const Status added = add_contents(file, its == known.end() ? RangeSet{} : its->second,
                                      hashes_left, runs_left, *held);
    if (!added.ok()) return fail(added);
  }
  for (const auto& [prefix, definition] : store_->definitions()) {
    if (welcome->definitions_size() >= kMaxWelcomeDefinitions) break;
    const DefinitionName& name = definition->name();
    welcome->add_definitions(std::string(name.begin(), name.end()));
  }
  send(id, frame);
}

void RoomCore::subscribe(ConnectionId id, const words::Subscribe& subscribe,
                         Clock::time_point now) {
  if (has_failed_) return;
  if (subscribe.version() != kRoomProtocolVersion ||
      subscribe.session_id() != store_->session().raw()) {
    ++counters_.refused;
    return refuse(id, CloseCode::kHelloRefused, "version or session is not this room's",
                  kRefusedRetryMs);
  }
  if (viewers_.size() >= options_.viewers_max) {
    return refuse(id, CloseCode::kTooManyConnections, "the room is full", kRefusedRetryMs);
  }
  commit();
  if (has_failed_) return;
  welcome(id, nullptr, {});
  viewers_.subscribe(id, subscribe, now);
}

void RoomCore::add_page(ConnectionId id, Clock::time_point now) {
  if (has_failed_) return;
  if (viewers_.size() >= options_.viewers_max) {
    return outbound_.close(id, CloseCode::kTooManyConnections, "the room is full");
  }
  commit();
  if (has_failed_) return;
  Status added = viewers_.add_page(id, state(), now);
  if (!added.ok()) fail(added);
}

void RoomCore::receive(ConnectionId id, const words::Frame& frame, std::string_view bytes,
                       Clock::time_point now) {
  if (has_failed_) return;
  if (frame.has_goodbye()) return;  // The close follows.
  if (!box_.has_value() || box_->connection != id) {
    if (!viewers_.has(id)) return;  // Replaced or refused; its close is on the way.
    ++counters_.refused;
    refuse(id, CloseCode::kProtocolError, "a viewer sends nothing after Subscribe", 0);
    viewers_.remove(id);
    return;
  }
  if (frame.has_part()) {
    receive_part(frame.part());
  } else if (frame.has_definition()) {
    receive_definition(frame.definition());
  } else if (frame.has_live_view()) {
    viewers_.live(frame.live_view(), std::make_shared<const std::string>(bytes));
  } else if (frame.has_session_finished()) {
    receive_finished(frame.session_finished());
  } else {
    refuse_box(CloseCode::kProtocolError, "a box does not send such a frame here");
  }
  note_waiting(now);
  if (waiting_bytes_ >= kCommitBytes) commit();
}

bool RoomCore::has_waiting() const {
  return store_->has_waiting() || !found_again_.empty();
}

void RoomCore::note_waiting(Clock::time_point now) {
  if (has_waiting() && !waiting_since_.has_value()) waiting_since_ = now;
}

void RoomCore::refuse_box(CloseCode code, const std::string& reason) {
  // What came before it is good, and is acknowledged before the Goodbye.
  commit();
  if (!box_.has_value()) return;
  ++counters_.refused;
  refuse(box_->connection, code, reason, kRefusedRetryMs);
  box_.reset();
}

void RoomCore::receive_definition(const words::Definition& received) {
  auto definition = Definition::parse(received.content());
  if (!definition.ok()) {
    return refuse_box(CloseCode::kProtocolError, definition.status().message());
  }
  const DefinitionName& name = definition.value()->name();
  if (!std::equal(name.begin(), name.end(), received.name().begin(), received.name().end(),
                  [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); })) {
    return refuse_box(CloseCode::kProtocolError, "a definition is not what its name says");
  }
  Status put = store_->put_definition(definition.value());
  if (put.ok()) return;
  if (put.code() == Code::kRejected) return refuse_box(CloseCode::kStorageFull, put.message());
  fail(put);
}

void RoomCore::receive_part(const words::Part& part) {
  auto added = box_->assembler.add(part);
  if (!added.ok()) return refuse_box(CloseCode::kProtocolError, added.status().message());
  if (added.value().has_value()) take(*std::move(added.value()));
}

void RoomCore::take(AssembledEntry entry) {
  if (entry.range.first != entry.range.last) {
    return refuse_box(CloseCode::kProtocolError,
                      "blocks of several sequences are not in version 1");
  }
  const auto file = store_->file(box_->id, entry.incarnation);
  if (!file.ok() && file.status().code() == Code::kRejected) {
    return refuse_box(CloseCode::kStorageFull, file.status().message());
  }
  if (!file.ok()) return fail(file.status());
  const auto match = store_->match(file.value(), entry.range, entry.hashes);
  if (!match.ok()) return fail(match.status());
  // The mutant compares with the latest of the file only.
  constexpr std::uint64_t kWindow = 64;
  const bool is_forgotten =
      has_mutant(Mutant::kDedupeByWindow) &&
      store_->files().at(file.value()).held.through() > entry.range.last + kWindow;
  if (match.value().kind == RoomStore::Match::Kind::kDuplicate && !is_forgotten) {
    ++counters_.duplicates;
    found_again_[file.value()].add(entry.range);
    return;
  }
  if (match.value().kind == RoomStore::Match::Kind::kConflict) {
    ++counters_.conflicts;
    spdlog::error("room {}: box {} sent {} again with other content", store_->session().text(),
                  box_->id.text(), key_of(entry.incarnation, entry.range.first));
    words::Frame frame;
    frame.mutable_conflict()->set_incarnation(entry.incarnation);
    frame.mutable_conflict()->set_first(entry.range.first);
    frame.mutable_conflict()->set_last(entry.range.last);
    frame.mutable_conflict()->set_held_hash(match.value().held_hash);
    send(box_->connection, frame);
    Status counted = store_->count_conflict();
    if (!counted.ok()) fail(counted);
    return;
  }
  const auto checked = check(entry);
  if (!checked.ok()) {
    return refuse_box(CloseCode::kProtocolError, "content_mismatch " +
                                                     key_of(entry.incarnation, entry.range.first) +
                                                     ": " + checked.status().message());
  }
  RoomEntry row;
  row.file = file.value();
  row.first = entry.range.first;
  row.last = entry.range.last;
  row.car = std::move(entry.car);
  row.hashes = std::move(entry.hashes);
  row.bytes = std::move(entry.bytes);
  store_entry(std::move(row), checked.value());
}

void RoomCore::store_entry(RoomEntry row, const Checked& checked) {
  row.kind = checked.kind;
  row.definitions = checked.definitions;
  Status put = store_->put(row);
  if (put.ok() && checked.event.has_value()) put = apply(*checked.event);
  if (!put.ok()) return fail(put);
  ++counters_.entries_stored;
  if (has_mutant(Mutant::kAcknowledgeBeforeCommit)) {
    words::Frame frame;
    frame.mutable_ack()->set_incarnation(store_->files().at(row.file).incarnation);
    words::Range* const range = frame.mutable_ack()->add_ranges();
    range->set_first(row.first);
    range->set_last(row.last);
    send(box_->connection, frame);
  }
  waiting_bytes_ += row.bytes.size();
  waiting_.push_back(std::move(row));
}

Result<RoomCore::Checked> RoomCore::check(const AssembledEntry& entry) {
  if (entry.is_event) return check_event_entry(entry);
  if (memory_of(decoded_) > kDecodedKept) decoded_ = {};
  const auto lookup = [this](std::uint64_t prefix) { return store_->definition(prefix); };
  Status decoded = decode_batch(entry.car, entry.bytes, lookup, decoded_);
  if (!decoded.ok()) return decoded;
  if (decoded_.hash.raw() != entry.hashes) {
    return Status(Code::kCorrupt, "the batch's content has another hash");
  }
  Checked checked{"batch", {}, {}};
  for (const GroupColumns& group : decoded_.groups) {
    checked.definitions.push_back(group.definition->prefix());
  }
  return checked;
}

Result<RoomCore::Checked> RoomCore::check_event_entry(const AssembledEntry& entry) const {
  if (hash_event(entry.bytes).raw() != entry.hashes) {
    return Status(Code::kCorrupt, "the event has another hash");
  }
  // An event of a newer kind is kept and handed on, though nothing follows from it here.
  auto event = parse_event(entry.bytes);
  if (!event.ok()) return Checked{"unknown", {}, {}};
  return Checked{std::string(event_kind(event.value())), {}, std::move(event).take()};
}

Status RoomCore::apply(const words::Event& event) {
  if (event.has_lap()) return store_->put_lap(event.lap());
  if (!event.has_tombstone()) return {};
  const words::Tombstone& tombstone = event.tombstone();
  for (const words::Lap& lap : tombstone.laps()) {
    Status put = store_->put_lap(lap);
    if (!put.ok()) return put;
  }
  const bool is_range = tombstone.incarnation() != 0 && tombstone.first() >= 1 &&
                        tombstone.first() <= tombstone.last() && tombstone.last() <= kMaxSequence;
  if (!is_range) return {};
  const auto file = store_->file(box_->id, tombstone.incarnation());
  // A room that has too many incarnations has no use for an answer about one more.
  if (!file.ok()) return file.status().code() == Code::kRejected ? Status() : file.status();
  return store_->answer(file.value(), Range{tombstone.first(), tombstone.last()});
}

void RoomCore::receive_finished(const words::SessionFinished& finished) {
  std::map<std::uint64_t, std::uint64_t> finals;
  for (const words::FinalSequence& item : finished.finals()) {
    finals[item.incarnation()] = item.last();
  }
  if (store_->files().size() + finals.size() > kMaxRoomFiles) {
    return refuse_box(CloseCode::kStorageFull, "the room has too many incarnations");
  }
  Status set = store_->set_finals(box_->id, finals);
  if (!set.ok()) return fail(set);
  box_->awaits_complete = true;
}

}  // namespace pitbox
