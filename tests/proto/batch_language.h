// The small language of the batch tests: definitions from storage types, groups from columns, and
// columns that are hard on coders.

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <numbers>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "proto/batch.h"
#include "proto/column_words.h"

namespace pitbox::testing {

inline constexpr std::array kAllTypes = {
    StorageType::kI8,  StorageType::kU8,  StorageType::kI16, StorageType::kU16, StorageType::kI32,
    StorageType::kU32, StorageType::kI64, StorageType::kU64, StorageType::kF32, StorageType::kF64};

using Bytes = std::vector<std::byte>;

inline DefinitionPtr define(const std::string& group, const std::vector<StorageType>& types,
                            TimeBase base = TimeBase::kNone) {
  ChannelGroup made{group, base, {}};
  for (const StorageType type : types) {
    made.channels.push_back(
        {"channel " + std::to_string(made.channels.size()), "", type, 1.0, 0.0});
  }
  return Definition::make(std::move(made)).take();
}

// The low bytes of 64-bit patterns, as a column of that width.
inline Bytes column_of(StorageType type, const std::vector<std::uint64_t>& patterns) {
  const std::size_t width = width_of(type);
  Bytes column(patterns.size() * width);
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    std::memcpy(column.data() + i * width, &patterns[i], width);
  }
  return column;
}

template <typename Value>
Bytes column_of(const std::vector<Value>& values) {
  Bytes column(values.size() * sizeof(Value));
  std::memcpy(column.data(), values.data(), column.size());
  return column;
}

// Numbers as the type stores them: floats as floats, integers cut off.
inline Bytes column_of_numbers(StorageType type, const std::vector<double>& numbers) {
  if (type == StorageType::kF64) return column_of(numbers);
  if (type == StorageType::kF32) {
    return column_of(std::vector<float>(numbers.begin(), numbers.end()));
  }
  std::vector<std::uint64_t> patterns;
  patterns.reserve(numbers.size());
  for (const double number : numbers) {
    patterns.push_back(static_cast<std::uint64_t>(static_cast<std::int64_t>(number)));
  }
  return column_of(type, patterns);
}

// A group of one-row time steps of 1 ms with these columns.
inline GroupRows group_of(DefinitionPtr definition, const std::vector<Bytes>& columns) {
  GroupRows group;
  const std::size_t rows = columns[0].size() / width_of(definition->channels()[0].type);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto tick = static_cast<std::int64_t>(r);
    group.receive_ns.push_back(5'000'000'000'123 + tick / 7 * 7'000'013);
    if (definition->has_source_time()) group.source_ns.push_back(1'000'000 * tick);
  }
  group.rows.resize(rows * definition->row_bytes());
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const std::size_t width = width_of(definition->channels()[c].type);
    for (std::size_t r = 0; r < rows; ++r) {
      std::memcpy(group.rows.data() + r * definition->row_bytes() + definition->column_offset(c),
                  columns[c].data() + r * width, width);
    }
  }
  group.definition = std::move(definition);
  return group;
}

inline DefinitionLookup knows(const std::vector<GroupRows>& groups) {
  std::map<std::uint64_t, DefinitionPtr> known;
  for (const GroupRows& group : groups) known[group.definition->prefix()] = group.definition;
  return [known](std::uint64_t prefix) {
    const auto found = known.find(prefix);
    return found == known.end() ? nullptr : found->second;
  };
}

struct NamedPatterns {
  std::string name;
  std::vector<std::uint64_t> patterns;
};

// Bit patterns without regard to what a type makes of them.
inline std::vector<NamedPatterns> hard_patterns(std::size_t rows) {
  std::mt19937_64 random(20240607);
  std::vector<NamedPatterns> all = {
      {"zeros", {}},        {"ones", {}},      {"alternating extremes", {}}, {"random", {}},
      {"random walk", {}},  {"ramp", {}},      {"steep ramp", {}},           {"one spike", {}},
      {"rare changes", {}}, {"sign bits", {}}, {"wrapping walk", {}}};
  std::uint64_t walk = 0;
  std::uint64_t held = 0;
  std::uint64_t wrapping = std::numeric_limits<std::uint64_t>::max() - 3;
  for (std::size_t i = 0; i < rows; ++i) {
    walk += random() % 15 - 7;
    if (random() % 40 == 0) held = random();
    wrapping += 0x0101010101010101ULL * (random() % 3);
    const std::uint64_t extremes = i % 2 == 0 ? 0x7F7FFFFF7FFF7F7FULL : 0x8080000080008080ULL;
    const std::uint64_t values[] = {0,
                                    ~std::uint64_t{0},
                                    extremes,
                                    random(),
                                    walk,
                                    i,
                                    i * 0x1234567890ABCDEFULL,
                                    i == rows / 2 ? 0x8000000000000000ULL : 7,
                                    held,
                                    0x8080808080808080ULL,
                                    wrapping};
    for (std::size_t p = 0; p < all.size(); ++p) all[p].patterns.push_back(values[p]);
  }
  return all;
}

struct NamedNumbers {
  std::string name;
  std::vector<double> numbers;
};

inline std::vector<NamedNumbers> telemetry(std::size_t rows) {
  std::mt19937_64 random(7);
  std::vector<NamedNumbers> all = {{"sine", {}},       {"decimal 0.01", {}},   {"adc 5/4095", {}},
                                   {"adc noise", {}},  {"flags", {}},          {"full noise", {}},
                                   {"float step", {}}, {"multiples of 24", {}}};
  for (std::size_t i = 0; i < rows; ++i) {
    const double phase = static_cast<double>(i) * 0.01;
    const double sine = 100.0 * std::sin(phase);
    const double noise = static_cast<double>(random() % 5) - 2.0;
    const double steps = std::round(sine * 10) + noise;
    const double values[] = {sine,
                             std::round(sine * 100) / 100,
                             (steps + 2048) * (5.0 / 4095),
                             20 + noise,
                             i / 20 % 2 == 0 ? 0.0 : 1.0,
                             std::ldexp(static_cast<double>(random()), -60),
                             static_cast<double>(0.1F) * steps,
                             24 * steps + 5};
    for (std::size_t p = 0; p < all.size(); ++p) all[p].numbers.push_back(values[p]);
  }
  return all;
}

// Floats that a grid must not swallow, as bits.
template <typename Float>
std::vector<Float> odd_floats() {
  using Limits = std::numeric_limits<Float>;
  using Bits = std::conditional_t<sizeof(Float) == 4, std::uint32_t, std::uint64_t>;
  const auto payload = std::bit_cast<Bits>(Limits::quiet_NaN()) | 0x123;
  const auto negative_nan = payload | Bits{1} << (sizeof(Bits) * 8 - 1);
  return {Float{0},
          -Float{0},
          Limits::infinity(),
          -Limits::infinity(),
          Limits::quiet_NaN(),
          std::bit_cast<Float>(payload),
          std::bit_cast<Float>(negative_nan),
          std::bit_cast<Float>(std::bit_cast<Bits>(Limits::signaling_NaN())),
          Limits::denorm_min(),
          -Limits::denorm_min(),
          Limits::min(),
          Limits::max(),
          Limits::lowest(),
          Limits::epsilon()};
}

inline void expect_same(const GroupRows& sent, const GroupColumns& kept) {
  ASSERT_EQ(sent.definition->name(), kept.definition->name());
  EXPECT_EQ(sent.source_ns, kept.source_ns);
  EXPECT_EQ(sent.receive_ns, kept.receive_ns);
  ASSERT_EQ(kept.columns.size(), sent.definition->channels().size());
  for (std::size_t c = 0; c < kept.columns.size(); ++c) {
    const std::size_t width = width_of(sent.definition->channels()[c].type);
    ASSERT_EQ(kept.columns[c].size(), sent.row_count() * width);
    for (std::size_t r = 0; r < sent.row_count(); ++r) {
      const std::byte* value =
          sent.rows.data() + r * sent.definition->row_bytes() + sent.definition->column_offset(c);
      ASSERT_EQ(std::memcmp(value, kept.columns[c].data() + r * width, width), 0)
          << sent.definition->channels()[c].name << " row " << r;
    }
  }
}

// Encodes and decodes them, and expects every bit back.
inline EncodedBatch round_trip(const std::vector<GroupRows>& groups,
                               BatchMemory* memory = nullptr) {
  EncodedBatch encoded = encode_batch("7", groups, memory);
  auto decoded = decode_batch("7", encoded.blob, knows(groups));
  EXPECT_TRUE(decoded.ok()) << decoded.status().message();
  if (!decoded.ok()) return encoded;
  EXPECT_EQ(decoded.value().hash, encoded.hash);
  EXPECT_EQ(decoded.value().rows, encoded.rows);
  EXPECT_EQ(decoded.value().samples, encoded.samples);
  EXPECT_EQ(decoded.value().groups.size(), encoded.definitions.size());
  for (const GroupColumns& kept : decoded.value().groups) {
    const auto sent = std::find_if(groups.begin(), groups.end(), [&](const GroupRows& group) {
      return group.definition == kept.definition && group.row_count() > 0;
    });
    if (sent != groups.end()) expect_same(*sent, kept);
  }
  return encoded;
}

}  // namespace pitbox::testing
