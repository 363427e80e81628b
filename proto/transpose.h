// From rows to columns: the first step of encoding a batch.
//
// Plain functions; any thread.

#pragma once

#include <cstddef>
#include <span>

#include "proto/definition.h"

namespace pitbox {

// Writes the columns of `rows` (packed rows of `definition`, row-major) one after the other into
// `columns`. REQUIRES: both are as many bytes, a whole number of rows.
void transpose_rows(const Definition& definition, std::span<const std::byte> rows,
                    std::span<std::byte> columns);

}  // namespace pitbox
