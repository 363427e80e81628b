// Attacks the promise that a definition has one spelling: what parses is, made again from its
// values, the same bytes under the same name.

#include <cstdint>
#include <string_view>

#include "proto/check.h"
#include "proto/definition.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto parsed = pitbox::Definition::parse(bytes);
  if (!parsed.ok()) {
    CHECK(parsed.status().code() == pitbox::Code::kCorrupt);
    return 0;
  }
  CHECK(parsed.value()->bytes() == bytes);
  const auto made = pitbox::Definition::make(parsed.value()->group());
  CHECK(made.ok() && made.value()->bytes() == bytes);
  CHECK(made.value()->name() == parsed.value()->name());
  return 0;
}
