// Attacks the promise that an accepted event is within the limits and comes back from its own
// bytes: serialised once, it parses and serialises to the same bytes for ever.

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/check.h"
#include "proto/event.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto parsed = pitbox::parse_event(bytes);
  if (!parsed.ok()) {
    CHECK(parsed.status().code() == pitbox::Code::kCorrupt);
    return 0;
  }
  CHECK(!pitbox::event_kind(parsed.value()).empty());
  CHECK(pitbox::check_event(parsed.value()).ok());
  const std::string once = pitbox::serialise_event(parsed.value());
  const auto again = pitbox::parse_event(once);
  CHECK(again.ok());
  CHECK(pitbox::serialise_event(again.value()) == once);
  return 0;
}
