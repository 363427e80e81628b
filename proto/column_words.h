// A column's raw values as words and back (FORMAT.md, "Words").

#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "proto/check.h"
#include "proto/definition.h"

namespace pitbox {

static_assert(std::endian::native == std::endian::little, "values are loaded as they lie");

constexpr bool is_float(StorageType type) {
  return type == StorageType::kF32 || type == StorageType::kF64;
}

// Puts the bits of floats, read as signed numbers, into the order of the floats, and back.
template <typename Word>
constexpr Word order_float_bits(Word bits) {
  using Signed = std::make_signed_t<Word>;
  constexpr int kSignBit = static_cast<int>(sizeof(Word) * 8 - 1);
  const auto sign = static_cast<Word>(static_cast<Signed>(bits) >> kSignBit);
  return bits ^ (sign >> 1);
}

template <typename Value, typename Word>
void widen(std::span<const std::byte> column, std::span<Word> words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    Value value;
    std::memcpy(&value, column.data() + i * sizeof value, sizeof value);
    words[i] = static_cast<Word>(std::int32_t{value});
  }
}

template <typename Value, typename Word>
void narrow(std::span<const Word> words, std::span<std::byte> column) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto value = static_cast<Value>(words[i]);
    std::memcpy(column.data() + i * sizeof value, &value, sizeof value);
  }
}

// REQUIRES: column.size() == words.size() * width_of(type); Word has 64 bits if the width is 8,
// else 32.
template <typename Word>
void load_words(StorageType type, std::span<const std::byte> column, std::span<Word> words) {
  CHECK(column.size() == words.size() * width_of(type));
  if (type == StorageType::kI8) return widen<std::int8_t>(column, words);
  if (type == StorageType::kU8) return widen<std::uint8_t>(column, words);
  if (type == StorageType::kI16) return widen<std::int16_t>(column, words);
  if (type == StorageType::kU16) return widen<std::uint16_t>(column, words);
  CHECK(sizeof(Word) == width_of(type));
  std::memcpy(words.data(), column.data(), column.size());
  if (!is_float(type)) return;
  for (Word& word : words) word = order_float_bits(word);
}

// The reverse. Takes the low bytes of each word; changes `words`.
template <typename Word>
void store_words(StorageType type, std::span<Word> words, std::span<std::byte> column) {
  CHECK(column.size() == words.size() * width_of(type));
  const std::span<const Word> read(words);
  if (width_of(type) == 1) return narrow<std::uint8_t>(read, column);
  if (width_of(type) == 2) return narrow<std::uint16_t>(read, column);
  CHECK(sizeof(Word) == width_of(type));
  if (is_float(type)) {
    for (Word& word : words) word = order_float_bits(word);
  }
  std::memcpy(column.data(), words.data(), column.size());
}

}  // namespace pitbox
