// Columns of groups that have so few rows that a choice for each column would cost more than it
// saves (FORMAT.md, "Differences").
//
// Plain functions; any thread.

#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "proto/byte_reader.h"
#include "proto/definition.h"

namespace pitbox {

// Appends the column's values. REQUIRES: a whole number of values, at least one.
void append_few(std::string& stream, StorageType type, std::span<const std::byte> column);

// Fills `column`. False if the bytes are none such. REQUIRES: as above.
bool take_few(ByteReader& stream, StorageType type, std::span<std::byte> column);

}  // namespace pitbox
