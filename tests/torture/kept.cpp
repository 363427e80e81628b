#include "tests/torture/kept.h"

#include <string>
#include <utility>
#include <vector>

#include "apps/ledger/room_side.h"
#include "buffer/session_store.h"
#include "export/session_rows.h"
#include "tests/becomes_true.h"
#include "tests/torture/numbered_records.h"

namespace pitbox {
namespace {

constexpr std::chrono::seconds kSettlePatience{180};

Status wait_until_journaled(const Stage& stage, std::uint64_t sent) {
  std::uint64_t journaled = 0;
  const bool is_journaled = becomes_true(
      [&] {
        const auto view = status_of(stage);
        journaled = view.ok() ? view.value().records : journaled;
        return journaled >= sent;
      },
      kSettlePatience);
  if (is_journaled) return {};
  return {Code::kFatal, std::to_string(journaled) + " records are journaled of " +
                            std::to_string(sent) + " that were sent"};
}

Status end_session(const Stage& stage, const Uuid& session) {
  const auto ended = stage.ask(R"({"command":"session_end"})");
  if (!ended.ok()) return ended.status();
  const bool is_complete = becomes_true(
      [&] {
        const auto found = find_session(stage.state_directory(), session.text());
        return found.ok() && found.value().complete;
      },
      kSettlePatience);
  if (is_complete) return {};
  const auto view = status_of(stage);
  return {Code::kFatal, "the room did not become complete: " +
                            (view.ok() ? std::to_string(view.value().pending) +
                                             " entries pending, " + view.value().reason
                                       : view.status().message())};
}

Result<std::vector<RowIdentity>> journaled_rows(const SessionFiles& session) {
  std::vector<RowIdentity> rows;
  SessionReadOptions reading;
  reading.keep_copies = true;  // What was journaled twice would have to show.
  const Status read =
      read_session_batches(session, reading, [&](const SessionBatch& batch) -> Status {
        for (const GroupColumns& group : batch.decoded.groups) {
          identify_rows(batch.car, group, rows);
        }
        return {};
      });
  if (!read.ok()) return read;
  return rows;
}

Status compare(const Stage& stage, const Uuid& session, Kept& kept) {
  std::vector<RowIdentity> sent = numbered_rows(1, kept.sent);
  const auto files = find_session(stage.state_directory(), session.text());
  if (!files.ok()) return files.status();
  kept.journal_files = files.value().files.size();
  auto journaled = journaled_rows(files.value());
  if (!journaled.ok()) return Status(journaled.status()).within("read the journal");
  kept.journal = compare_rows(sent, journaled.value());
  RoomReaderOptions reading;
  reading.url = stage.room_url();
  reading.session = session;
  auto room = read_room_side(reading, {.with_rows = true, .cars = {}, .progress = {}});
  if (!room.ok()) return room.status();
  kept.room = compare_rows(sent, room.value().rows);
  kept.room.different += room.value().damaged.size();
  return {};
}

Status verify(const Stage& stage, const Uuid& session, Kept& kept) {
  auto command = stage.start_command({"--state", stage.state_directory().string(), "verify",
                                      session.text(), "--room", stage.room_url()},
                                     "verify.log");
  if (!command.ok()) return command.status();
  kept.is_verified = command.value().wait(kSettlePatience) == 0;
  return {};
}

}  // namespace

Result<StatusView> status_of(const Stage& stage) {
  const auto answer = stage.ask(R"({"command":"status"})");
  if (!answer.ok()) return answer.status();
  return StatusView::parse(answer.value());
}

Result<Kept> settle(Stage& stage, const Uuid& session, NumberedSender& sender) {
  const auto sent = sender.stop();
  if (!sent.ok()) return sent.status();
  Kept kept;
  kept.sent = sent.value();
  if (Status waited = wait_until_journaled(stage, kept.sent); !waited.ok()) return waited;
  if (Status ended = end_session(stage, session); !ended.ok()) return ended;
  const auto drops = stage.source().kernel_drops();
  if (!drops.ok()) return drops.status();
  kept.kernel_drops = drops.value();
  // What is read below is what a store has that nobody closed.
  stage.kill_room();
  if (Status started = stage.start_room(); !started.ok()) return started;
  if (Status compared = compare(stage, session, kept); !compared.ok()) return compared;
  if (Status verified = verify(stage, session, kept); !verified.ok()) return verified;
  return kept;
}

}  // namespace pitbox
