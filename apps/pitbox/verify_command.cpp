// `pitbox verify SESSION --room URL`: does the room hold what the journal holds? Every hash is
// recomputed from the bytes on both sides.

#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "apps/ledger/room_side.h"
#include "apps/pitbox/command.h"
#include "apps/pitbox/room_options.h"
#include "buffer/journal_reader.h"
#include "export/entry_ledger.h"
#include "export/session_rows.h"

namespace pitbox {
namespace {

struct VerifyOptions {
  std::string session = "latest";
  RoomArguments room;
  bool json = false;
};

struct JournalSide {
  std::uint64_t batches = 0;
  std::uint64_t events = 0;
  std::uint64_t records = 0;
  std::uint64_t samples = 0;
  std::vector<EntryIdentity> entries;
  std::map<std::uint64_t, JournalExtent> extents;  // By incarnation.
  std::vector<std::string> damaged;
};

// How far each file goes, taken before it is read: the room may be ahead of what is read here, but
// never of this.
Status note_ends(const SessionFiles& session, JournalSide& side) {
  for (const std::filesystem::path& path : session.files) {
    auto reader = JournalReader::open(path);
    if (!reader.ok()) return Status(reader.status()).within("read " + path.string());
    const auto last = reader.value()->last_sequence();
    if (!last.ok()) return Status(last.status()).within("read " + path.string());
    const auto removed = reader.value()->removed();
    if (!removed.ok()) return Status(removed.status()).within("read " + path.string());
    const auto evicted = reader.value()->evicted();
    if (!evicted.ok()) return Status(evicted.status()).within("read " + path.string());
    JournalExtent& extent = side.extents[reader.value()->incarnation()];
    extent.last = last.value();
    extent.removed.add_all(removed.value());
    // What a tombstone answers for may still lie here, and is not sent any more.
    for (const auto& [incarnation, ranges] : evicted.value()) {
      side.extents[incarnation].removed.add_all(ranges);
    }
  }
  return {};
}

// Room is made while this reads: what was deleted before it was read is no difference.
Status note_deleted_meanwhile(const SessionFiles& session, JournalSide& side) {
  std::map<std::uint64_t, RangeSet> read;
  for (const EntryIdentity& entry : side.entries) {
    read[entry.incarnation].add({entry.first, entry.last});
  }
  for (const std::filesystem::path& path : session.files) {
    auto reader = JournalReader::open(path);
    if (!reader.ok()) return Status(reader.status()).within("read " + path.string());
    auto removed = reader.value()->removed();
    if (!removed.ok()) return Status(removed.status()).within("read " + path.string());
    removed.value().remove_all(read[reader.value()->incarnation()]);
    side.extents[reader.value()->incarnation()].removed.add_all(removed.value());
  }
  return {};
}

Result<JournalSide> read_journal_side(const SessionFiles& session) {
  JournalSide side;
  Status noted = note_ends(session, side);
  if (!noted.ok()) return noted;
  ProgressLine progress("read the journal");
  SessionReadOptions reading;
  reading.keep_copies = true;
  reading.progress = [&](std::uint64_t done, std::uint64_t total) {
    progress.show_part(done, total);
  };
  reading.damaged = [&](const std::filesystem::path& file, std::uint64_t sequence,
                        const Status& reason) {
    side.damaged.push_back(file.string() + ", sequence " + std::to_string(sequence) + ": " +
                           reason.message());
  };
  reading.event = [&](const SessionEvent& event) {
    if (event.sequence > side.extents[event.incarnation].last) return Status();
    side.events += event.is_copy ? 0 : 1;
    side.entries.push_back({.incarnation = event.incarnation,
                            .first = event.sequence,
                            .last = event.sequence,
                            .hash = hash_event(event.bytes),
                            .is_copy = event.is_copy});
    return Status();
  };
  Status status = read_session_batches(session, reading, [&](const SessionBatch& batch) {
    const JournalExtent& extent = side.extents[batch.incarnation];
    const bool is_given_up = extent.removed.contains({batch.first, batch.last});
    if (batch.last > extent.last || is_given_up) return Status();
    if (!batch.is_copy) {
      ++side.batches;
      side.records += batch.decoded.rows;
      side.samples += batch.decoded.samples;
    }
    side.entries.push_back({.incarnation = batch.incarnation,
                            .first = batch.first,
                            .last = batch.last,
                            .hash = batch.decoded.hash,
                            .is_copy = batch.is_copy});
    return Status();
  });
  if (status.ok()) status = note_deleted_meanwhile(session, side);
  if (!status.ok()) return status;
  return side;
}

template <typename Side>
nlohmann::ordered_json side_json(const Side& side) {
  return {{"batches", side.batches},
          {"records", side.records},
          {"samples", side.samples},
          {"events", side.events}};
}

template <typename Side>
void print_side(const char* name, const Side& side) {
  std::printf(
      "%-8s %12llu batches %14llu records %16llu samples %8llu events\n", name,
      static_cast<unsigned long long>(side.batches), static_cast<unsigned long long>(side.records),
      static_cast<unsigned long long>(side.samples), static_cast<unsigned long long>(side.events));
}

void print_verdict(const JournalSide& journal, const RoomSide& room, const EntryComparison& result,
                   bool as_json) {
  if (as_json) {
    const nlohmann::ordered_json verdict{
        {"journal", side_json(journal)}, {"room", side_json(room)},
        {"missing", result.missing},     {"duplicated", result.duplicated},
        {"different", result.different}, {"removed", result.removed}};
    std::printf("%s\n", verdict.dump(2).c_str());
    return;
  }
  print_side("journal", journal);
  print_side("room", room);
  std::printf("missing %llu, duplicated %llu, different %llu\n",
              static_cast<unsigned long long>(result.missing),
              static_cast<unsigned long long>(result.duplicated),
              static_cast<unsigned long long>(result.different));
  if (result.removed == 0) return;
  std::printf("%llu batches are only in the room: they were deleted here to make room\n",
              static_cast<unsigned long long>(result.removed));
}

void run_verify(const VerifyOptions& options, CommandContext& context) {
  const auto session = session_of(context, options.session);
  if (!session.ok()) {
    context.exit_code = fail(session.status());
    return;
  }
  const auto journal = read_journal_side(session.value());
  if (!journal.ok()) {
    context.exit_code = fail(journal.status());
    return;
  }
  ProgressLine progress("read the room");
  const RoomReaderOptions reading = options.room.reader_options(session.value().info.id);
  const auto room = read_room_side(
      reading, {.with_rows = false, .cars = {}, .progress = [&](std::uint64_t entries) {
                  progress.show(std::to_string(entries) + " entries");
                }});
  if (!room.ok()) {
    context.exit_code = fail(room.status());
    return;
  }
  EntryComparison result =
      compare_entries(journal.value().entries, room.value().entries, journal.value().extents);
  for (const std::string& text : journal.value().damaged) {
    std::fprintf(stderr, "pitbox: damaged in the journal: %s\n", text.c_str());
  }
  for (const std::string& text : room.value().damaged) {
    std::fprintf(stderr, "pitbox: damaged in the room: %s\n", text.c_str());
  }
  // What the journal itself no longer knows cannot be said to be the same.
  result.different += journal.value().damaged.size();
  print_verdict(journal.value(), room.value(), result, options.json);
  const bool is_same = result.missing == 0 && result.duplicated == 0 && result.different == 0;
  if (!is_same) context.exit_code = kExitNo;
}

}  // namespace

void add_verify_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command =
      app.add_subcommand("verify", "Compare a session's journal with what its room holds");
  command->footer(
      "Exit codes: 0 the same; 1 something is missing, duplicated or different;\n"
      "2 wrong usage, or journal or room could not be read.");
  add_session_option(command, options->session);
  options->room.add_to(command)->required();
  command->add_flag("--json", options->json, "As a JSON object");
  command->callback([options, &context] { run_verify(*options, context); });
}

}  // namespace pitbox
