#include "ingest/recognise.h"

#include <algorithm>
#include <utility>

#include "ingest/decoders.h"

namespace pitbox {

struct Recogniser::Candidate {
  std::unique_ptr<Decoder> decoder;
  Tried tried;
};

// Counts what one decoder gives of one message.
class Recogniser::Sink final : public RecordSink {
 public:
  explicit Sink(Tried& tried) : tried_(tried) {}

  void rows(const RowBlock& block) override {
    tried_.records += block.count;
    keep(tried_.cars, block.car);
    keep(tried_.groups, (*block.definition)->group().group);
  }
  void reject(RejectReason reason, std::uint64_t records) override {
    tried_.refused += records;
    is_foreign =
        is_foreign || reason == RejectReason::kMalformed || reason == RejectReason::kChecksum;
  }
  void gap(std::string_view, std::string_view, std::uint64_t, std::string_view) override {}

  bool is_foreign = false;

 private:
  static void keep(std::set<std::string>& names, std::string_view name) {
    if (names.size() < kNamesMax) names.emplace(name);
  }
  Tried& tried_;
};

Recogniser::Recogniser(bool is_stream) {
  for (const std::string_view name : decoder_names()) {
    auto made = make_decoder(name, {.is_stream = is_stream, .car = "1"});
    if (!made.ok()) continue;  // Not of streams.
    Tried tried;
    tried.decoder = name;
    candidates_.push_back({std::move(made).take(), std::move(tried)});
  }
}

Recogniser::~Recogniser() = default;

void Recogniser::hear(std::span<const std::byte> bytes) {
  Message message;
  message.number = ++messages_;
  message.connection = 1;
  message.bytes = bytes;
  for (Candidate& candidate : candidates_) {
    Sink sink(candidate.tried);
    const DecodeOutcome outcome = candidate.decoder->decode(message, sink);
    if (outcome == DecodeOutcome::kDecoded && !sink.is_foreign) ++candidate.tried.understood;
  }
}

const Recogniser::Tried* Recogniser::best() const {
  const Tried* best = nullptr;
  for (const Candidate& candidate : candidates_) {
    const Tried& tried = candidate.tried;
    if (tried.records == 0 || tried.understood * 2 <= messages_) continue;
    if (best == nullptr || tried.understood > best->understood) best = &tried;
  }
  return best;
}

}  // namespace pitbox
