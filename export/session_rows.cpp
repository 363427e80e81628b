#include "export/session_rows.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "buffer/journal_reader.h"
#include "proto/event.pb.h"

namespace pitbox {
namespace {

struct HashLess {
  bool operator()(const ContentHash& left, const ContentHash& right) const {
    return left.bytes < right.bytes;
  }
};
// How many batches of an older file have that content.
using Originals = std::map<ContentHash, std::uint64_t, HashLess>;

constexpr std::uint64_t kProgressEvery = 64;

class SessionScan {
 public:
  SessionScan(const SessionReadOptions& options,
              const std::function<Status(const SessionBatch&)>& visit)
      : options_(options), visit_(visit) {}

  Status open(const SessionFiles& session);
  Status run();

 private:
  struct File {
    std::unique_ptr<JournalReader> reader;
    bool is_original = false;  // A later file carries copies of it.
  };
  Status read_file(File& file);
  Status read_entry(File& file, const StoredEntry& entry);
  Status read_event(File& file, const StoredEntry& entry);
  Status damaged(const File& file, std::uint64_t sequence, const Status& reason);
  bool is_copy(const File& file, const ContentHash& hash);
  void report(std::uint64_t sequence);

  const SessionReadOptions& options_;
  const std::function<Status(const SessionBatch&)>& visit_;
  std::vector<File> files_;
  std::map<std::uint64_t, Originals> originals_;  // By incarnation.
  std::optional<std::int64_t> wall_offset_ns_;
  std::uint64_t total_ = 0;
  std::uint64_t before_ = 0;  // Sequences of files that are done.
};

Status SessionScan::open(const SessionFiles& session) {
  for (const std::filesystem::path& path : session.files) {
    auto opened = JournalReader::open(path);
    if (!opened.ok()) {
      if (!options_.damaged) return Status(opened.status()).within("read " + path.string());
      options_.damaged(path, 0, opened.status());
      continue;
    }
    File file{.reader = std::move(opened).take()};
    const auto last = file.reader->last_sequence();
    if (!last.ok()) return Status(last.status()).within("read " + path.string());
    total_ += last.value();
    for (File& older : files_) {
      if (older.reader->incarnation() == file.reader->rekeyed_from()) older.is_original = true;
    }
    files_.push_back(std::move(file));
  }
  return {};
}

Status SessionScan::run() {
  for (File& file : files_) {
    Status status = read_file(file);
    if (!status.ok()) return status;
  }
  return {};
}

Status SessionScan::read_file(File& file) {
  wall_offset_ns_.reset();
  Status stopped;
  std::uint64_t last = 0;
  Status status = file.reader->scan(
      1,
      [&](const StoredEntry& entry) {
        last = entry.last;
        if (stopped.ok()) stopped = read_entry(file, entry);
        if (entry.last % kProgressEvery == 0) report(entry.last);
        return stopped.ok();
      },
      [&](std::uint64_t sequence, const Status& reason) {
        if (stopped.ok()) stopped = damaged(file, sequence, reason);
      });
  if (!stopped.ok()) return stopped;
  if (!status.ok()) return std::move(status).within("read " + file.reader->file().string());
  report(last);
  before_ += last;
  return {};
}

Status SessionScan::read_entry(File& file, const StoredEntry& entry) {
  if (entry.is_event) return read_event(file, entry);
  const DefinitionLookup lookup = [&file](std::uint64_t prefix) {
    auto found = file.reader->definition(prefix);
    return found.ok() ? std::move(found).take() : DefinitionPtr();
  };
  auto decoded = decode_batch(entry.car, entry.bytes, lookup);
  if (!decoded.ok()) return damaged(file, entry.first, decoded.status());
  // A block merged from several sequences has a hash for each, and this one would be of all.
  const bool is_merged = entry.hashes.size() != 1;
  if (!is_merged && entry.hashes[0] != decoded.value().hash) {
    return damaged(file, entry.first, Status(Code::kCorrupt, "content hash differs"));
  }
  SessionBatch batch;
  batch.is_copy = !is_merged && is_copy(file, decoded.value().hash);
  if (batch.is_copy && !options_.keep_copies) return {};
  batch.file = file.reader->file();
  batch.incarnation = file.reader->incarnation();
  batch.first = entry.first;
  batch.last = entry.last;
  batch.car = entry.car;
  batch.decoded = std::move(decoded).take();
  batch.wall_offset_ns = wall_offset_ns_;
  return visit_(batch);
}

Status SessionScan::read_event(File& file, const StoredEntry& entry) {
  if (entry.kind == "clock_anchor") {
    const auto offset = wall_offset_of_anchor(entry.bytes);
    if (offset) wall_offset_ns_ = offset;
  }
  const ContentHash hash = hash_event(entry.bytes);
  if (entry.hashes.size() != 1 || entry.hashes[0] != hash) {
    return damaged(file, entry.first, Status(Code::kCorrupt, "content hash differs"));
  }
  const bool copied = is_copy(file, hash);
  if (!options_.event || (copied && !options_.keep_copies)) return {};
  return options_.event({.incarnation = file.reader->incarnation(),
                         .sequence = entry.first,
                         .kind = entry.kind,
                         .bytes = entry.bytes,
                         .is_copy = copied});
}

bool SessionScan::is_copy(const File& file, const ContentHash& hash) {
  if (file.is_original) ++originals_[file.reader->incarnation()][hash];
  if (file.reader->rekeyed_from() == 0) return false;
  const auto older = originals_.find(file.reader->rekeyed_from());
  if (older == originals_.end()) return false;
  const auto original = older->second.find(hash);
  if (original == older->second.end() || original->second == 0) return false;
  --original->second;
  return true;
}

Status SessionScan::damaged(const File& file, std::uint64_t sequence, const Status& reason) {
  if (!options_.damaged) {
    return Status(reason).within("read " + file.reader->file().string() + ": sequence " +
                                 std::to_string(sequence));
  }
  options_.damaged(file.reader->file(), sequence, reason);
  return {};
}

void SessionScan::report(std::uint64_t sequence) {
  if (options_.progress) {
    options_.progress(before_ + sequence, std::max(total_, before_ + sequence));
  }
}

}  // namespace

Status read_session_batches(const SessionFiles& session, const SessionReadOptions& options,
                            const std::function<Status(const SessionBatch&)>& visit) {
  SessionScan scan(options, visit);
  Status opened = scan.open(session);
  if (!opened.ok()) return opened;
  return scan.run();
}

std::optional<std::int64_t> wall_offset_of_anchor(std::string_view event) {
  words::Event parsed;
  if (!parsed.ParseFromArray(event.data(), static_cast<int>(event.size()))) return std::nullopt;
  if (!parsed.has_clock_anchor()) return std::nullopt;
  return parsed.clock_anchor().wall_time_ns() - parsed.clock_anchor().boot_time_ns();
}

}  // namespace pitbox
