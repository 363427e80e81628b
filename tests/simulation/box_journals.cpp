#include "tests/simulation/box_journals.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>

#include "buffer/journal_reader.h"
#include "proto/batch.h"

namespace pitbox::simulation {

namespace fs = std::filesystem;

namespace {

std::vector<std::vector<fs::path>> journals_by_session(const fs::path& state) {
  std::vector<std::vector<fs::path>> sessions;
  if (!fs::exists(state / "sessions")) return sessions;
  for (const auto& session : fs::directory_iterator(state / "sessions")) {
    if (!session.is_directory()) continue;
    auto& files = sessions.emplace_back();
    for (const auto& entry : fs::directory_iterator(session.path())) {
      if (entry.path().extension() == ".db") files.push_back(entry.path());
    }
  }
  return sessions;
}

Status check_batch(JournalReader& reader, const StoredEntry& entry) {
  const auto batch = decode_batch(entry.car, entry.bytes, [&](std::uint64_t prefix) {
    auto definition = reader.definition(prefix);
    return definition.ok() ? std::move(definition).take() : DefinitionPtr();
  });
  if (!batch.ok()) return batch.status();
  if (entry.hashes.size() == 1 && batch.value().hash == entry.hashes.front()) return {};
  return Status::corrupt("its content is not what its hash says");
}

// Batches of `reader` that are in no block.
Result<std::uint64_t> count_unmerged(JournalReader& reader) {
  std::uint64_t count = 0;
  Range rest{1, std::numeric_limits<std::int64_t>::max()};
  for (;;) {
    const auto some = reader.unmerged(rest);
    if (!some.ok()) return some.status();
    if (some.value().empty()) return count;
    count += some.value().size();
    rest.first = some.value().back() + 1;
  }
}

Status check_journal(const fs::path& file, JournaledBatches& found) {
  const auto opened = JournalReader::open(file);
  if (!opened.ok()) return opened.status();
  JournalReader& reader = *opened.value();
  std::uint64_t batches = 0;
  const auto bad = [&](std::uint64_t sequence, const Status& why) {
    found.faults.push_back(file.filename().string() + " entry " + std::to_string(sequence) + ": " +
                           why.message());
  };
  const Status scanned = reader.scan(
      1,
      [&](const StoredEntry& entry) {
        if (entry.is_event) return true;
        ++batches;
        if (const Status checked = check_batch(reader, entry); !checked.ok()) {
          bad(entry.first, checked);
        }
        return true;
      },
      bad);
  if (!scanned.ok()) return scanned;
  const auto unmerged = count_unmerged(reader);
  if (!unmerged.ok()) return unmerged.status();
  found.batches += batches;
  found.merged += batches - std::min(batches, unmerged.value());
  return {};
}

}  // namespace

// Each of a session's files goes on counting where the one before ended.
Result<std::uint64_t> rejected_rows(const fs::path& state) {
  std::uint64_t sum = 0;
  for (const auto& files : journals_by_session(state)) {
    std::uint64_t rejected = 0;
    for (const fs::path& file : files) {
      const auto reader = JournalReader::open(file);
      if (!reader.ok()) return reader.status();
      const auto counters = reader.value()->counters();
      if (!counters.ok()) return counters.status();
      const auto found = counters.value().find("records.rejected.unknown_group");
      if (found != counters.value().end()) rejected = std::max(rejected, found->second);
    }
    sum += rejected;
  }
  return sum;
}

JournaledBatches check_journals(const fs::path& state) {
  JournaledBatches found;
  for (const auto& files : journals_by_session(state)) {
    for (const fs::path& file : files) {
      const Status checked = check_journal(file, found);
      if (!checked.ok()) found.faults.push_back(checked.message());
    }
  }
  return found;
}

}  // namespace pitbox::simulation
