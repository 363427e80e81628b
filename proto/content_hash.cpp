#include "proto/content_hash.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "proto/check.h"

namespace pitbox {
namespace {

static_assert(std::endian::native == std::endian::little, "columns are hashed as they lie");

ContentHash canonical(XXH128_hash_t digest) {
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, digest);
  ContentHash hash;
  std::copy(std::begin(bytes.digest), std::end(bytes.digest), hash.bytes.begin());
  return hash;
}

}  // namespace

Result<ContentHash> ContentHash::from_bytes(std::string_view raw) {
  ContentHash hash;
  if (raw.size() != hash.bytes.size()) {
    return Status(Code::kCorrupt, "a content hash is not 16 bytes long");
  }
  std::copy(raw.begin(), raw.end(), hash.bytes.begin());
  return hash;
}

std::string ContentHash::hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 0x0F]);
  }
  return out;
}

struct ContentHasher::State {
  State() : xxh(XXH3_createState()) {
    CHECK(xxh != nullptr);
    reset();
  }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void reset() { CHECK(XXH3_128bits_reset(xxh) == XXH_OK); }

  XXH3_state_t* xxh;
};

ContentHasher::ContentHasher() : state_(std::make_unique<State>()) {}
ContentHasher::~ContentHasher() = default;

void ContentHasher::add(std::span<const std::byte> bytes) {
  CHECK(XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size()) == XXH_OK);
}

void ContentHasher::add(std::string_view text) {
  add_u64(text.size());
  add(std::as_bytes(std::span(text)));
}

void ContentHasher::add_u64(std::uint64_t value) {
  add(std::as_bytes(std::span(&value, 1)));
}

ContentHash ContentHasher::finish() {
  const ContentHash hash = canonical(XXH3_128bits_digest(state_->xxh));
  state_->reset();
  return hash;
}

ContentHash hash_event(std::string_view bytes) {
  return canonical(XXH3_128bits(bytes.data(), bytes.size()));
}

std::uint64_t hash64(std::span<const std::byte> bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace pitbox
