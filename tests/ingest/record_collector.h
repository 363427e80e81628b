// RecordCollector: a sink that keeps what a decoder gave, for comparison; and messages to give it.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "buffer/decoder.h"
#include "proto/check.h"

namespace pitbox {

struct CollectedRows {
  DefinitionPtr definition;
  std::vector<std::int64_t> source_ns;
  std::string bytes;
  std::size_t count = 0;

  double value(std::size_t row, std::size_t channel) const {
    const auto* at = reinterpret_cast<const std::byte*>(bytes.data()) +
                     row * definition->row_bytes() + definition->column_offset(channel);
    return physical(definition->channels()[channel], at);
  }
  bool operator==(const CollectedRows& other) const {
    return source_ns == other.source_ns && bytes == other.bytes && count == other.count &&
           definition->name() == other.definition->name();
  }
};

class RecordCollector final : public RecordSink {
 public:
  using Gap = std::tuple<std::string, std::string, std::uint64_t, std::string>;

  void rows(const RowBlock& block) override {
    CHECK(block.count > 0 && block.rows.size() == block.count * (*block.definition)->row_bytes());
    CHECK(block.source_ns.size() == ((*block.definition)->has_source_time() ? block.count : 0));
    const auto key = std::pair(std::string(block.car), (*block.definition)->group().group);
    CollectedRows& into = groups[key];
    if (into.definition == nullptr) into.definition = *block.definition;
    into.source_ns.insert(into.source_ns.end(), block.source_ns.begin(), block.source_ns.end());
    into.bytes.append(reinterpret_cast<const char*>(block.rows.data()), block.rows.size());
    into.count += block.count;
    delivered += block.count;
    ++blocks;
    last_rows = block.rows.data();
  }
  void reject(RejectReason reason, std::uint64_t records) override {
    CHECK(records > 0);
    rejected[reason] += records;
  }
  void gap(std::string_view car, std::string_view reason, std::uint64_t count,
           std::string_view unit) override {
    gaps.emplace_back(car, reason, count, unit);
  }

  bool same_as(const RecordCollector& other) const {
    return groups == other.groups && rejected == other.rejected && gaps == other.gaps;
  }

  std::map<std::pair<std::string, std::string>, CollectedRows> groups;
  std::map<RejectReason, std::uint64_t> rejected;
  std::vector<Gap> gaps;
  std::uint64_t delivered = 0;
  std::uint64_t blocks = 0;
  const std::byte* last_rows = nullptr;
};

// `bytes` must outlive the message.
inline Message data_message(std::string_view bytes, std::uint64_t connection = 1,
                            std::int64_t receive_ns = 1'000) {
  Message message;
  message.connection = connection;
  message.receive_ns = receive_ns;
  message.bytes = std::as_bytes(std::span(bytes));
  return message;
}
inline Message control_message(MessageKind kind, std::uint64_t connection = 0) {
  Message message;
  message.kind = kind;
  message.connection = connection;
  return message;
}

}  // namespace pitbox
