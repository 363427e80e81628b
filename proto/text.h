// Text that came from outside: names, units, marks, reasons. One rule for all of it, so that what a
// box accepts a room accepts too, and a terminal or a log can print it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pitbox {

// True if `text` is well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF)
// without control characters (U+0000..U+001F, U+007F..U+009F).
bool is_plain_text(std::string_view text);

// `text` for a person, as plain text of at most `bytes_max` bytes: what is_plain_text() refuses
// becomes spaces, and what is too long ends with "...". REQUIRES: bytes_max >= 3.
std::string printable(std::string_view text, std::size_t bytes_max);

// Milliseconds since 1970 as "2023-04-29T17:34:30.010Z".
std::string utc_text(std::int64_t milliseconds);

}  // namespace pitbox
