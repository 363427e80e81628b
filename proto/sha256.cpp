#include "proto/sha256.h"

#include <openssl/evp.h>

#include "proto/check.h"

namespace pitbox {

std::array<std::uint8_t, 32> sha256(std::string_view bytes) {
  std::array<std::uint8_t, 32> digest{};
  unsigned int size = 0;
  // It can fail only where the library has no SHA-256, and then nothing here has a name.
  CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  CHECK(size == digest.size());
  return digest;
}

}  // namespace pitbox
