#include "export/csv_writer.h"

#include <map>
#include <set>
#include <utility>

#include "export/csv_file.h"

namespace pitbox {
namespace {

constexpr std::size_t kMaxPartBytes = 100;  // A file name has 255; car and group each get this.

class CsvExport {
 public:
  explicit CsvExport(const CsvExportOptions& options) : options_(options) {}

  Status add(const SessionBatch& batch);
  Result<CsvExportResult> finish();

 private:
  struct Target {
    std::unique_ptr<CsvFile> file;
    std::string car;
    std::string group;
  };
  Result<CsvFile*> file_for(const std::string& car, const Definition& definition);
  std::filesystem::path free_path(const std::string& car, const std::string& group);

  const CsvExportOptions& options_;
  std::map<std::pair<std::string, DefinitionName>, Target> targets_;
  std::set<std::string> names_;
};

std::string bounded_part(std::string_view name) {
  std::string part = csv_file_part(name);
  if (part.size() <= kMaxPartBytes) return part;
  const std::uint64_t hash = hash64(std::as_bytes(std::span(name)), 0);
  part.resize(kMaxPartBytes - 17);
  constexpr char kHex[] = "0123456789abcdef";
  part.push_back('~');
  for (int shift = 60; shift >= 0; shift -= 4) part.push_back(kHex[(hash >> shift) & 15U]);
  return part;
}

// A group whose definition changed during the session gets a second file, `..._2.csv`.
std::filesystem::path CsvExport::free_path(const std::string& car, const std::string& group) {
  const std::string stem = bounded_part(car) + "_" + bounded_part(group);
  std::string name = stem + ".csv";
  for (int number = 2; !names_.insert(name).second; ++number) {
    name = stem + "_" + std::to_string(number) + ".csv";
  }
  return options_.directory / name;
}

Result<CsvFile*> CsvExport::file_for(const std::string& car, const Definition& definition) {
  Target& target = targets_[{car, definition.name()}];
  if (target.file) return target.file.get();
  target.car = car;
  target.group = definition.group().group;
  const std::filesystem::path path = free_path(car, target.group);
  std::error_code error;
  if (!options_.overwrite && std::filesystem::exists(path, error)) {
    return Status(Code::kRejected, path.string() + " is there already");
  }
  target.file = std::make_unique<CsvFile>(path, definition);
  return target.file.get();
}

// The source's own time; where there is none, the time of receiving as UTC, or on the boot clock if
// no anchor says what that is.
std::int64_t row_time(const SessionBatch& batch, const GroupColumns& group, std::size_t row) {
  if (!group.source_ns.empty()) return group.source_ns[row];
  return group.receive_ns[row] + batch.wall_offset_ns.value_or(0);
}

Status CsvExport::add(const SessionBatch& batch) {
  for (const GroupColumns& group : batch.decoded.groups) {
    auto file = file_for(batch.car, *group.definition);
    if (!file.ok()) return file.status();
    const auto& channels = group.definition->channels();
    for (std::size_t row = 0; row < group.row_count(); ++row) {
      std::string line;
      line.reserve(channels.size() * 8);
      for (std::size_t i = 0; i < channels.size(); ++i) {
        line.push_back(',');
        const std::byte* raw = group.columns[i].data() + row * width_of(channels[i].type);
        append_csv_value(channels[i], raw, line);
      }
      Status status = file.value()->add(row_time(batch, group, row), std::move(line));
      if (!status.ok()) return status;
    }
  }
  return {};
}

Result<CsvExportResult> CsvExport::finish() {
  CsvExportResult result;
  for (auto& [key, target] : targets_) {
    Status status = target.file->finish();
    if (!status.ok()) return status;
    result.files.push_back({target.file->path(), target.car, target.group, target.file->rows()});
    result.rows += target.file->rows();
  }
  return result;
}

}  // namespace

Result<CsvExportResult> export_csv(const SessionFiles& session, const CsvExportOptions& options) {
  std::error_code error;
  std::filesystem::create_directories(options.directory, error);
  if (error) {
    return Status(Code::kFatal,
                  "cannot make the folder " + options.directory.string() + ": " + error.message());
  }
  CsvExport writer(options);
  Status status = read_session_batches(
      session, options.reading, [&](const SessionBatch& batch) { return writer.add(batch); });
  if (!status.ok()) return status;
  return writer.finish();
}

}  // namespace pitbox
