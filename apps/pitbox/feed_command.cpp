// `pitbox feed FILE --to URL`: plays a recording into a source, in its own time.

#include <array>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "apps/pitbox/command.h"
#include "apps/sim/datagram_player.h"
#include "apps/sim/nmea_player.h"
#include "apps/sim/sender.h"
#include "buffer/clock.h"

namespace pitbox {
namespace {

constexpr std::uintmax_t kMaxRecordingBytes = std::uintmax_t{2} << 30;  // It is read into memory.

struct FeedOptions {
  std::filesystem::path file;
  std::string to;
  std::string speed = "1";
  std::size_t chunk = 0;
  std::optional<std::uint16_t> port;
  bool json = false;
};

struct Played {
  std::uint64_t sentences = 0;  // 0: a recording of datagrams.
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::int64_t recorded_ms = 0;
  double seconds = 0;
};

Result<std::string> read_file(const std::filesystem::path& file) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  if (error) {
    return Status(Code::kRejected, "cannot read " + file.string() + ": " + error.message());
  }
  if (size > kMaxRecordingBytes) {
    return Status(Code::kRejected, file.string() + " is larger than 2 GiB; split it");
  }
  std::ifstream input(file, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(input), {}};
  if (!input && !input.eof()) return Status(Code::kRejected, "cannot read " + file.string());
  return content;
}

Result<double> parse_speed(const std::string& text) {
  if (text == "max") return 0.0;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value > 0 && value <= 1e6) {
    return value;
  }
  return Status(Code::kRejected, "--speed must be a number above 0, or 'max'; not '" + text + "'");
}

// UDP: `chunk` sentences in a datagram (one if 0). TCP: writes of `chunk` bytes (a sentence if 0),
// which then have nothing to do with where sentences end.
class Feed {
 public:
  Feed(Sender& sender, std::size_t chunk) : sender_(sender), chunk_(chunk) {}

  Status add(std::string_view sentence) {
    ++played.sentences;
    held_ += sentence;
    ++held_sentences_;
    if (!sender_.is_stream()) return held_sentences_ < chunk_ ? Status() : flush();
    while (chunk_ > 0 && held_.size() >= chunk_) {
      Status status = send(std::string_view(held_).substr(0, chunk_));
      if (!status.ok()) return status;
      held_.erase(0, chunk_);
    }
    return chunk_ > 0 ? Status() : flush();
  }
  Status flush() {
    if (held_.empty()) return {};
    Status status = send(held_);
    held_.clear();
    held_sentences_ = 0;
    return status;
  }

  Played played;

 private:
  Status send(std::string_view bytes) {
    Status status = sender_.send(bytes);
    if (!status.ok()) return status;
    ++played.messages;
    played.bytes += bytes.size();
    return {};
  }

  Sender& sender_;
  const std::size_t chunk_;
  std::string held_;
  std::size_t held_sentences_ = 0;
};

Status play(NmeaPlayer player, std::size_t size, double speed, Feed& feed) {
  const std::int64_t start = steady_now_ns();
  ProgressLine progress("feed");
  Status status;
  while (status.ok() && !was_interrupted()) {
    const auto piece = player.next();
    if (!piece) break;
    if (speed > 0) {
      const auto due = static_cast<double>(piece->at_ms * kNsPerMs) / speed;
      if (!sleep_until_ns(start + static_cast<std::int64_t>(due), was_interrupted)) break;
    }
    status = feed.add(piece->bytes);
    feed.played.recorded_ms = piece->at_ms;
    std::array<char, 96> text{};
    std::snprintf(text.data(), text.size(), "%.1f s of the recording, %zu %% of the file",
                  static_cast<double>(piece->at_ms) / 1000, player.position() * 100 / size);
    progress.show(text.data());
  }
  if (status.ok()) status = feed.flush();
  feed.played.seconds = static_cast<double>(steady_now_ns() - start) / 1e9;
  return status;
}

// A recording of datagrams: each as it was, at its time.
Status play(DatagramPlayer& player, std::size_t size, double speed, Sender& sender,
            Played& played) {
  const std::int64_t start = steady_now_ns();
  ProgressLine progress("feed");
  Status status;
  while (status.ok() && !was_interrupted()) {
    const auto piece = player.next();
    if (!piece) break;
    if (speed > 0) {
      const auto due = static_cast<double>(piece->at_ns) / speed;
      if (!sleep_until_ns(start + static_cast<std::int64_t>(due), was_interrupted)) break;
    }
    const auto* bytes = reinterpret_cast<const char*>(piece->bytes.data());
    status = sender.send(std::string_view(bytes, piece->bytes.size()));
    if (!status.ok()) break;
    ++played.messages;
    played.bytes += piece->bytes.size();
    played.recorded_ms = piece->at_ns / kNsPerMs;
    std::array<char, 96> text{};
    std::snprintf(text.data(), text.size(), "%.1f s of the recording, %zu %% of the file",
                  static_cast<double>(played.recorded_ms) / 1000, player.position() * 100 / size);
    progress.show(text.data());
  }
  played.seconds = static_cast<double>(steady_now_ns() - start) / 1e9;
  return status;
}

// What of the file was no whole datagram, for a person.
void tell_skipped(const std::filesystem::path& file, const RecordedDatagrams& recording) {
  const RecordedDatagrams::Skipped& skipped = recording.skipped();
  const std::uint64_t all = skipped.other + skipped.fragments + skipped.cut + skipped.untimed;
  if (all > 0) {
    std::fprintf(stderr,
                 "pitbox: %s: %llu packets passed over: %llu no UDP, %llu fragments, %llu captured "
                 "in part, %llu without a time\n",
                 file.c_str(), static_cast<unsigned long long>(all),
                 static_cast<unsigned long long>(skipped.other),
                 static_cast<unsigned long long>(skipped.fragments),
                 static_cast<unsigned long long>(skipped.cut),
                 static_cast<unsigned long long>(skipped.untimed));
  }
  if (!recording.broken().empty()) {
    std::fprintf(stderr, "pitbox: %s breaks off at %s\n", file.c_str(), recording.broken().c_str());
  }
}

void print_played(const Played& played, bool as_json) {
  if (as_json) {
    const nlohmann::ordered_json json{{"sentences", played.sentences},
                                      {"messages", played.messages},
                                      {"bytes", played.bytes},
                                      {"recordedMs", played.recorded_ms},
                                      {"seconds", played.seconds}};
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  if (played.sentences > 0) {
    std::printf("sent %llu sentences in ", static_cast<unsigned long long>(played.sentences));
  } else {
    std::printf("sent ");
  }
  std::printf("%llu messages, %llu bytes; %.3f s of recording in %.3f s\n",
              static_cast<unsigned long long>(played.messages),
              static_cast<unsigned long long>(played.bytes),
              static_cast<double>(played.recorded_ms) / 1000, played.seconds);
}

int run_feed(const FeedOptions& options) {
  const auto speed = parse_speed(options.speed);
  if (!speed.ok()) return fail(speed.status());
  const auto content = read_file(options.file);
  if (!content.ok()) return fail(content.status());
  const std::size_t size = content.value().size();
  const auto bytes = std::as_bytes(std::span(content.value()));
  std::optional<NmeaPlayer> sentences;
  std::optional<DatagramPlayer> datagrams;
  const Status is_datagrams = RecordedDatagrams::open(bytes).status();
  if (is_datagrams.ok()) {
    auto made = DatagramPlayer::make(bytes, options.port);
    if (!made.ok()) return fail(Status(made.status()).within(options.file.string()));
    datagrams = std::move(made).take();
  } else {
    auto made = NmeaPlayer::make(content.value());
    if (!made.ok()) {
      return fail(
          Status(Code::kRejected, made.status().message() + "; and " + is_datagrams.message())
              .within(options.file.string()));
    }
    sentences = std::move(made).take();
  }
  catch_interrupts();
  auto sender = Sender::open(options.to, was_interrupted);
  if (!sender.ok()) return fail(sender.status());
  if (datagrams && sender.value()->is_stream()) {
    return fail(Status(Code::kRejected, "a recording of datagrams goes to udp://HOST:PORT only"));
  }
  Feed feed(*sender.value(), options.chunk);
  const Status status = datagrams
                            ? play(*datagrams, size, speed.value(), *sender.value(), feed.played)
                            : play(*sentences, size, speed.value(), feed);
  print_played(feed.played, options.json);
  if (datagrams) tell_skipped(options.file, datagrams->recording());
  if (sender.value()->refused() > 0) {
    std::fprintf(stderr, "pitbox: nobody was listening at %s for %llu datagrams or more\n",
                 options.to.c_str(), static_cast<unsigned long long>(sender.value()->refused()));
  }
  if (!status.ok() && !was_interrupted()) return fail(status);
  return kExitDone;
}

}  // namespace

void add_feed_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<FeedOptions>();
  CLI::App* command =
      app.add_subcommand("feed", "Play a recording (NMEA, pcap, pcapng, .cap) into a source");
  command->add_option("FILE", options->file, "The recording")->required();
  command->add_option("--to", options->to, "udp://HOST:PORT or tcp://HOST:PORT")->required();
  command->add_option("--speed", options->speed, "Times the recording's own pace, or 'max'")
      ->capture_default_str();
  command
      ->add_option("--chunk", options->chunk,
                   "UDP: sentences per datagram; TCP: bytes per write. 0: one sentence each")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  command->add_option("--port", options->port,
                      "Of a capture: only the datagrams that went to this port");
  command->add_flag("--json", options->json, "Print a summary as JSON");
  command->callback([options, &context] { context.exit_code = run_feed(*options); });
}

}  // namespace pitbox
