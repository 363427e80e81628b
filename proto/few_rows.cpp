#include "proto/few_rows.h"

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "proto/bit_shuffle.h"
#include "proto/column_words.h"

namespace pitbox {
namespace {

template <typename Value>
using WordOf = std::conditional_t<sizeof(Value) == 8, std::uint64_t, std::uint32_t>;

template <typename Value>
WordOf<Value> word_of(Value value) {
  if constexpr (sizeof(Value) < 4) return static_cast<std::uint32_t>(std::int32_t{value});
  return static_cast<WordOf<Value>>(value);
}

// Calls `act` with a value of that type. REQUIRES: it is no float.
template <typename Act>
auto with_integer(StorageType type, const Act& act) {
  switch (type) {
    case StorageType::kI8:
      return act(std::int8_t{});
    case StorageType::kU8:
      return act(std::uint8_t{});
    case StorageType::kI16:
      return act(std::int16_t{});
    case StorageType::kU16:
      return act(std::uint16_t{});
    case StorageType::kI32:
      return act(std::int32_t{});
    case StorageType::kU32:
      return act(std::uint32_t{});
    case StorageType::kI64:
      return act(std::int64_t{});
    case StorageType::kU64:
    case StorageType::kF32:
    case StorageType::kF64:
      break;
  }
  return act(std::uint64_t{});
}

}  // namespace

void append_few(std::string& stream, StorageType type, std::span<const std::byte> column) {
  if (is_float(type)) return append_byte_planes(stream, column, width_of(type));
  with_integer(type, [&](auto value) {
    using Word = WordOf<decltype(value)>;
    Word before = 0;
    for (std::size_t at = 0; at < column.size(); at += sizeof value) {
      std::memcpy(&value, column.data() + at, sizeof value);
      const Word word = word_of(value);
      append_varint(stream, zigzag<Word>(static_cast<std::make_signed_t<Word>>(word - before)));
      before = word;
    }
  });
}

bool take_few(ByteReader& stream, StorageType type, std::span<std::byte> column) {
  if (is_float(type)) {
    const auto planes = stream.take(column.size());
    if (planes.empty()) return false;
    restore_byte_planes(planes, width_of(type), column);
    return true;
  }
  return with_integer(type, [&](auto value) {
    using Word = WordOf<decltype(value)>;
    Word word = 0;
    for (std::size_t at = 0; at < column.size() && stream.ok(); at += sizeof value) {
      const std::uint64_t difference = stream.take_varint();
      if (static_cast<Word>(difference) != difference) return false;
      word += unzigzag(static_cast<Word>(difference));
      value = static_cast<decltype(value)>(word);
      std::memcpy(column.data() + at, &value, sizeof value);
    }
    return stream.ok();
  });
}

}  // namespace pitbox
