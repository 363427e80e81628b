// A journal in memory: what the link reads, and the heads that a recorder would publish.

#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "buffer/handover.h"
#include "proto/definition.h"
#include "sync/entry_source.h"

namespace pitbox::testing {

inline DefinitionPtr make_definition(const std::string& group) {
  ChannelGroup made;
  made.group = group;
  made.channels.push_back(Channel{"speed", "km/h", StorageType::kF32, 1.0, 0.0});
  auto definition = Definition::make(made);
  CHECK(definition.ok());
  return std::move(definition).take();
}

class FakeJournal final : public EntrySource {
 public:
  struct File {
    std::vector<StoredEntry> entries;  // entries[n] has sequence n + 1.
    std::uint64_t first = 1;
    std::uint64_t rekeyed_from = 0;
    std::vector<std::uint64_t> laps;
  };

  // A batch of `bytes` random-looking bytes, its content hash made of file and sequence.
  std::uint64_t add(std::uint64_t incarnation, std::size_t bytes,
                    const DefinitionPtr& definition = {}) {
    File& file = files_[incarnation];
    if (std::find(order_.begin(), order_.end(), incarnation) == order_.end()) {
      order_.push_back(incarnation);
    }
    StoredEntry entry;
    entry.first = file.entries.size() + 1;
    entry.last = entry.first;
    entry.is_event = definition == nullptr;
    if (definition) {
      entry.car = "7";
      entry.definitions.push_back(definition->prefix());
      definitions_[definition->prefix()] = definition;
    }
    entry.bytes.resize(std::max<std::size_t>(bytes, 1));
    for (std::size_t i = 0; i < entry.bytes.size(); ++i) {
      entry.bytes[i] = static_cast<char>(i * 31 + entry.first * 7 + incarnation);
    }
    entry.hashes.push_back(hash_event(entry.bytes));
    file.entries.push_back(std::move(entry));
    return file.entries.size();
  }
  void add_lap(std::uint64_t incarnation) {
    files_[incarnation].laps.push_back(add(incarnation, 40));
  }
  File& file(std::uint64_t incarnation) { return files_[incarnation]; }

  SessionHeads heads() const {
    SessionHeads session;
    session.info = info;
    session.is_live = !ended;
    session.ended = ended;
    for (const std::uint64_t incarnation : order_) {
      const File& known = files_.at(incarnation);
      FileHead head;
      head.incarnation = incarnation;
      head.first = known.first;
      head.last = known.entries.size();
      head.rekeyed_from = known.rekeyed_from;
      head.sealed = sealed;
      session.files.push_back(head);
    }
    return session;
  }

  // EntrySource
  void update(const JournalHeads&) override {}
  Result<StoredEntry> entry(std::uint64_t incarnation, std::uint64_t sequence) override {
    ++reads;
    if (busy) return Status(Code::kTryAgain, "locked");
    const auto it = files_.find(incarnation);
    if (it == files_.end() || sequence < it->second.first || sequence > it->second.entries.size() ||
        unreadable.contains(sequence)) {
      return Status(Code::kRejected, "not there");
    }
    return it->second.entries[sequence - 1];
  }
  Result<DefinitionPtr> definition(std::uint64_t, std::uint64_t prefix) override {
    const auto it = definitions_.find(prefix);
    return it == definitions_.end() ? DefinitionPtr() : it->second;
  }
  Result<std::vector<std::uint64_t>> laps(std::uint64_t incarnation) override {
    return files_[incarnation].laps;
  }

  SessionInfo info{Uuid::mint(), "FP1", "practice", {}, 0};
  bool ended = false;
  bool sealed = false;  // Every file.
  bool busy = false;
  std::set<std::uint64_t> unreadable;
  int reads = 0;

 private:
  std::map<std::uint64_t, File> files_;
  std::vector<std::uint64_t> order_;
  std::map<std::uint64_t, DefinitionPtr> definitions_;
};

}  // namespace pitbox::testing
