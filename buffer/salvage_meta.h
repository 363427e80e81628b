// What a damaged journal is: the rows of `meta` that are left, and what else says the same things:
// the file's and its folder's name, the events that begin and end a session.
//
// Threads: plain functions.

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "buffer/journal_reader.h"
#include "buffer/journal_schema.h"
#include "buffer/salvage_pages.h"

namespace pitbox {

using FoundMeta = std::map<std::string, std::string, std::less<>>;

// Whether two ids, as text, are one id of which a digit or two was damaged: ids are random.
bool is_nearly(std::string_view a, std::string_view b);

// Adds what an event of the session says to what the rows did not say.
void add_meta_of(const StoredEntry& event, FoundMeta& rows);

// The meta of a salvaged journal: sealed, without a token. `unknown` gets the keys of its identity
// that nothing says: those are nil or, of the incarnation, random.
JournalMeta meta_of_rows(const FoundMeta& rows, const std::filesystem::path& file,
                         std::vector<std::string>& unknown);

// What page 1 says of the whole file; zeros where it is no such page.
struct DatabaseHeader {
  std::uint32_t pages = 0;
  std::uint32_t free_pages = 0;
};
DatabaseHeader read_database_header(const SalvagePages& pages);

}  // namespace pitbox
