#include "buffer/salvage_meta.h"

#include <string_view>

#include "buffer/salvage.h"
#include "proto/event.h"
#include "proto/uuid.h"

namespace pitbox {
namespace {

constexpr const char* kIdentityKeys[] = {"box_id", "session_id", "incarnation", "number"};

FoundMeta said_by_name(const std::filesystem::path& file) {
  FoundMeta rows;
  const auto name = parse_journal_file_name(salvaged_name(file));
  if (name.ok()) {
    rows["incarnation"] = hex_id(name.value().incarnation);
    rows["number"] = std::to_string(name.value().number);
  }
  const std::string folder = std::filesystem::absolute(file).parent_path().filename().string();
  if (Uuid::parse(folder).ok()) rows["session_id"] = folder;
  return rows;
}

std::uint32_t number_at(std::string_view page, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = at; i < at + 4; ++i) value = value << 8 | static_cast<std::uint8_t>(page[i]);
  return value;
}

}  // namespace

bool is_nearly(std::string_view a, std::string_view b) {
  constexpr int kDigitsDamaged = 4;
  if (a.size() != b.size()) return false;
  int digits = 0;
  for (std::size_t i = 0; i < a.size(); ++i) digits += a[i] == b[i] ? 0 : 1;
  return digits <= kDigitsDamaged;
}

void add_meta_of(const StoredEntry& event, FoundMeta& rows) {
  if (event.kind == "session_end") rows.emplace("session_ended", "1");
  if (event.kind != "session_start" && event.kind != "session_bound") return;
  const auto parsed = parse_event(event.bytes);
  if (!parsed.ok()) return;
  if (parsed.value().has_session_bound()) {
    rows.emplace("platform_id", parsed.value().session_bound().platform_id());
    return;
  }
  const words::SessionStart& start = parsed.value().session_start();
  const auto id = Uuid::from_bytes(start.session_id());
  if (id.ok()) rows.emplace("session_id", id.value().text());
  rows.emplace("session_name", start.name());
  rows.emplace("session_type", start.type());
  rows.emplace("started_at_ms", std::to_string(start.wall_time_ms()));
}

JournalMeta meta_of_rows(const FoundMeta& rows, const std::filesystem::path& file,
                         std::vector<std::string>& unknown) {
  FoundMeta believed{{"box_id", Uuid().text()},
                     {"session_id", Uuid().text()},
                     {"incarnation", hex_id(random_id())}};
  std::map<std::string, bool, std::less<>> is_said;
  // One at a time: a damaged one does not spoil the others. Rows come last, so they win, but for
  // an id of which a digit or two was damaged.
  const FoundMeta named = said_by_name(file);
  for (const FoundMeta* source : {&named, &rows}) {
    for (const auto& [key, value] : *source) {
      const auto name = named.find(key);
      const bool is_id = source == &rows && key != "number" && name != named.end();
      if (is_id && is_nearly(name->second, value)) continue;
      FoundMeta tried = believed;
      tried[key] = value;
      if (!parse_journal_meta(tried).ok()) continue;
      believed = std::move(tried);
      is_said[key] = true;
    }
  }
  for (const char* key : kIdentityKeys) {
    if (!is_said.contains(key)) unknown.emplace_back(key);
  }
  JournalMeta meta = parse_journal_meta(believed).take();
  meta.token = 0;
  meta.sealed = true;
  return meta;
}

DatabaseHeader read_database_header(const SalvagePages& pages) {
  DatabaseHeader header;
  std::string page;
  if (!pages.read(1, pages.version(1, pages.newest()), page)) return header;
  if (!page.starts_with(kSqliteMagic)) return header;
  header.pages = number_at(page, 28);
  header.free_pages = number_at(page, 36);
  return header;
}

}  // namespace pitbox
