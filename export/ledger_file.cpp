#include "export/ledger_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

namespace pitbox {
namespace {

constexpr std::string_view kMagic = "PITLEDG1";
constexpr std::uint32_t kRowsBlock = 1;
constexpr std::uint32_t kTotalsBlock = 2;
constexpr std::size_t kHeadBytes = 8;
constexpr std::size_t kIdentityBytes = 16;
constexpr std::size_t kRowsPerBlock = 64 * 1024;
constexpr std::uint32_t kMaxBlockBytes = 16U << 20U;  // Totals of 250 cars take 100 KiB.

void append_u32(std::string& to, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) to.push_back(static_cast<char>(value >> shift));
}

void append_u64(std::string& to, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) to.push_back(static_cast<char>(value >> shift));
}

std::uint64_t read_number(const char* from, int bytes) {
  std::uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i) {
    value = (value << 8U) | static_cast<unsigned char>(from[i]);
  }
  return value;
}

std::string hex(std::uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

Result<LedgerTotals> parse_totals(const std::string& text) {
  const Status bad(Code::kCorrupt, "a totals block is not what a ledger holds");
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return bad;
  LedgerTotals totals;
  try {
    totals.rows = json.at("rows").get<std::uint64_t>();
    totals.samples = json.at("samples").get<std::uint64_t>();
    totals.datagrams = json.at("datagrams").get<std::uint64_t>();
    totals.bytes = json.at("bytes").get<std::uint64_t>();
    totals.content_hash = std::stoull(json.at("content_hash").get<std::string>(), nullptr, 16);
    for (const auto& [car, groups] : json.at("cars").items()) {
      for (const auto& [group, counts] : groups.items()) {
        totals.cars[car][group] = {.rows = counts.at("rows").get<std::uint64_t>(),
                                   .samples = counts.at("samples").get<std::uint64_t>()};
      }
    }
  } catch (const std::exception&) {
    return bad;
  }
  return totals;
}

}  // namespace

void LedgerTotals::add_rows(std::string_view car, std::string_view group, const Group& counts,
                            std::uint64_t contents) {
  rows += counts.rows;
  samples += counts.samples;
  content_hash += contents;
  Group& sum = cars[std::string(car)][std::string(group)];
  sum.rows += counts.rows;
  sum.samples += counts.samples;
}

std::string LedgerTotals::json() const {
  nlohmann::ordered_json json{{"rows", rows},
                              {"samples", samples},
                              {"datagrams", datagrams},
                              {"bytes", bytes},
                              {"content_hash", hex(content_hash)},
                              {"cars", nlohmann::ordered_json::object()}};
  for (const auto& [car, groups] : cars) {
    for (const auto& [group, counts] : groups) {
      json["cars"][car][group] = {{"rows", counts.rows}, {"samples", counts.samples}};
    }
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<std::unique_ptr<LedgerWriter>> LedgerWriter::create(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    return Status(Code::kRejected, "cannot write the ledger " + file.string() + ": " +
                                       std::generic_category().message(errno));
  }
  std::unique_ptr<LedgerWriter> writer(new LedgerWriter(descriptor, file.string()));
  if (::write(descriptor, kMagic.data(), kMagic.size()) != static_cast<ssize_t>(kMagic.size())) {
    return Status(Code::kFatal, "cannot write the ledger " + file.string());
  }
  return writer;
}

LedgerWriter::~LedgerWriter() {
  ::close(descriptor_);
}

// One write per block. A write that is cut short (disk full) is completed or taken back, so that a
// later block never follows half of one.
Status LedgerWriter::write_block(std::uint32_t kind, std::string_view payload) {
  std::string block;
  block.reserve(kHeadBytes + payload.size());
  append_u32(block, kind);
  append_u32(block, static_cast<std::uint32_t>(payload.size()));
  block.append(payload);
  const off_t start = ::lseek(descriptor_, 0, SEEK_CUR);
  std::string_view left = block;
  while (!left.empty()) {
    const ssize_t written = ::write(descriptor_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const std::string reason = std::generic_category().message(errno);
      if (start >= 0 && ::ftruncate(descriptor_, start) == 0) ::lseek(descriptor_, start, SEEK_SET);
      return {Code::kFatal, "cannot write the ledger " + name_ + ": " + reason};
    }
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Status LedgerWriter::flush(const LedgerTotals& totals) {
  std::size_t done = 0;
  Status result;
  while (done < pending_.size() && result.ok()) {
    const std::size_t count = std::min(kRowsPerBlock, pending_.size() - done);
    std::string payload;
    payload.reserve(count * kIdentityBytes);
    for (std::size_t i = done; i < done + count; ++i) {
      append_u64(payload, pending_[i].key);
      append_u64(payload, pending_[i].content);
    }
    result = write_block(kRowsBlock, payload);
    if (result.ok()) done += count;
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
  if (!result.ok()) return result;
  return write_block(kTotalsBlock, totals.json());
}

Result<Ledger> read_ledger(const std::filesystem::path& file) {
  std::ifstream input(file, std::ios::binary);
  if (!input) return Status(Code::kRejected, "cannot open the ledger " + file.string());
  std::array<char, 8> head{};
  input.read(head.data(), head.size());
  if (input.gcount() != static_cast<std::streamsize>(head.size()) ||
      std::string_view(head.data(), head.size()) != kMagic) {
    return Status(Code::kRejected, file.string() + " is not a ledger (it does not begin with " +
                                       std::string(kMagic) + ")");
  }
  Ledger ledger;
  std::string payload;
  while (input.read(head.data(), head.size())) {
    const auto kind = static_cast<std::uint32_t>(read_number(head.data(), 4));
    const auto length = static_cast<std::uint32_t>(read_number(head.data() + 4, 4));
    const bool known = kind == kTotalsBlock || (kind == kRowsBlock && length % kIdentityBytes == 0);
    if (!known || length > kMaxBlockBytes) {
      return Status(Code::kCorrupt, file.string() + ": a block that no ledger has");
    }
    payload.resize(length);
    if (!input.read(payload.data(), length)) {
      ledger.was_cut_off = true;
      return ledger;
    }
    if (kind == kTotalsBlock) {
      Result<LedgerTotals> totals = parse_totals(payload);
      if (!totals.ok()) return Status(totals.status()).within(file.string());
      ledger.totals = std::move(totals).take();
      continue;
    }
    for (std::size_t at = 0; at < length; at += kIdentityBytes) {
      ledger.rows.push_back({.key = read_number(payload.data() + at, 8),
                             .content = read_number(payload.data() + at + 8, 8)});
    }
  }
  ledger.was_cut_off = input.gcount() != 0 || ledger.totals.rows != ledger.rows.size();
  return ledger;
}

}  // namespace pitbox
