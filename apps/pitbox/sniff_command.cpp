// `pitbox sniff PORT|FILE`: what is sent to a UDP port, or is in a recording, and the configuration
// that hears it.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "apps/pitbox/command.h"
#include "apps/sim/sender.h"
#include "ingest/recognise.h"
#include "ingest/recorded_datagrams.h"

namespace pitbox {
namespace {

constexpr std::size_t kSniffedBytesMax = std::size_t{64} << 20;  // Of a file.
constexpr std::size_t kSniffedDatagramsMax = 2'000;              // Heard live.
constexpr std::size_t kStreamPiece = 4096;
constexpr std::size_t kDatagramBytesMax = 65'536;
constexpr std::size_t kShownBytes = 16;

struct SniffOptions {
  std::string what;
  std::optional<std::uint16_t> port;
  double seconds = 5;
};

// What was heard, as far as it does not depend on what it means.
struct Heard {
  std::uint16_t port = 0;  // 0: not known.
  bool is_stream = false;
  std::size_t shortest = 0;
  std::size_t longest = 0;
  std::string first;  // Bytes of the first message.

  void note(std::span<const std::byte> bytes) {
    if (first.empty()) {
      first.assign(reinterpret_cast<const char*>(bytes.data()),
                   std::min(bytes.size(), kShownBytes));
      shortest = bytes.size();
    }
    shortest = std::min(shortest, bytes.size());
    longest = std::max(longest, bytes.size());
  }
};

Status system_failure(const std::string& step) {
  return {Code::kFatal, step + ": " + std::strerror(errno)};
}

Status listen_to(const SniffOptions& options, std::uint16_t port, Heard& heard,
                 Recogniser& recogniser) {
  heard.port = port;
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return system_failure("socket");
  const std::unique_ptr<const int, void (*)(const int*)> closer(&socket,
                                                                [](const int* s) { ::close(*s); });
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EADDRINUSE) {
      return {Code::kRejected,
              "somebody hears port " + std::to_string(port) +
                  " already; if it is pitboxd, `pitbox status` says what it hears"};
    }
    return system_failure("bind to port " + std::to_string(port));
  }
  std::string buffer(kDatagramBytesMax, '\0');
  ProgressLine progress("sniff");
  const std::int64_t end = steady_now_ns() + static_cast<std::int64_t>(options.seconds * 1e9);
  while (!was_interrupted() && recogniser.messages() < kSniffedDatagramsMax) {
    const std::int64_t left_ms = (end - steady_now_ns()) / 1'000'000;
    if (left_ms <= 0) break;
    pollfd ready{socket, POLLIN, 0};
    const int found = ::poll(&ready, 1, static_cast<int>(std::min<std::int64_t>(left_ms, 200)));
    progress.show(std::to_string(recogniser.messages()) + " datagrams heard");
    if (found <= 0) continue;
    const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (size < 0) continue;
    const auto bytes = std::as_bytes(std::span(buffer.data(), static_cast<std::size_t>(size)));
    heard.note(bytes);
    recogniser.hear(bytes);
  }
  if (recogniser.messages() > 0) return {};
  return {Code::kRejected, "nothing was sent to UDP port " + std::to_string(port) + " in " +
                               std::to_string(static_cast<int>(options.seconds)) +
                               " s; is the sender on, and does it know this machine's address?"};
}

Result<std::string> read_start(const std::string& file) {
  std::ifstream input(file, std::ios::binary);
  if (!input) return Status(Code::kRejected, "cannot read " + file + ": " + std::strerror(errno));
  std::string content(kSniffedBytesMax, '\0');
  input.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(input.gcount()));
  if (content.empty()) return Status(Code::kRejected, file + " is empty, or cannot be read");
  return content;
}

void hear_datagrams(RecordedDatagrams datagrams, const SniffOptions& options, Heard& heard,
                    Recogniser& recogniser) {
  while (const auto datagram = datagrams.next()) {
    if (options.port && datagram->port != *options.port) continue;
    heard.port = datagram->port;
    heard.note(datagram->bytes);
    recogniser.hear(datagram->bytes);
  }
}

std::string hex_of(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    if (!text.empty()) text += ' ';
    std::array<char, 4> two{};
    std::snprintf(two.data(), two.size(), "%02x",
                  static_cast<unsigned>(static_cast<unsigned char>(c)));
    text += two.data();
  }
  return text;
}

std::string joined(const std::set<std::string>& names) {
  constexpr std::size_t kShown = 12;
  std::string text;
  std::size_t shown = 0;
  for (const std::string& name : names) {
    if (shown++ == kShown) return text + ", ...";
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

// The block of a configuration that hears it.
void print_source(const Recogniser::Tried& found, const Heard& heard) {
  constexpr unsigned kGamePort = 20777;  // What the F1 games send to unless told otherwise.
  constexpr unsigned kOwnPort = 9600;
  const unsigned usual = found.decoder == "f1" ? kGamePort : kOwnPort;
  const unsigned port = heard.port != 0 ? heard.port : usual;
  std::printf(
      "\n[[source]]\nname = \"%s\"\nkind = \"%s\"\nlisten = \"0.0.0.0:%u\"\ndecoder = \"%s\"\n",
      std::string(found.decoder).c_str(), heard.is_stream ? "tcp" : "udp", port,
      std::string(found.decoder).c_str());
  if (found.decoder == "nmea") std::printf("car = \"1\"  # The car that carries the receiver.\n");
  constexpr std::size_t kSlotBytes = 2048;
  if (heard.longest > kSlotBytes && !heard.is_stream) std::printf("slot_bytes = 65536\n");
}

int tell(const Recogniser& recogniser, const Heard& heard) {
  const auto messages = static_cast<unsigned long long>(recogniser.messages());
  if (heard.is_stream) {
    std::printf("a stream of bytes, looked at in %llu pieces\n", messages);
  } else {
    std::printf("%llu datagrams of %zu to %zu bytes\n", messages, heard.shortest, heard.longest);
  }
  const Recogniser::Tried* const found = recogniser.best();
  if (found == nullptr) {
    const bool is_text = std::all_of(heard.first.begin(), heard.first.end(),
                                     [](char c) { return c >= ' ' && c <= '~'; });
    std::printf("nothing that Pitbox understands; it begins with %s\n",
                is_text ? ('"' + heard.first + '"').c_str() : hex_of(heard.first).c_str());
    return kExitNo;
  }
  std::printf("%s: %llu understood, %llu records, %llu refused\ncars: %s\ngroups: %s\n",
              std::string(found->decoder).c_str(),
              static_cast<unsigned long long>(found->understood),
              static_cast<unsigned long long>(found->records),
              static_cast<unsigned long long>(found->refused), joined(found->cars).c_str(),
              joined(found->groups).c_str());
  print_source(*found, heard);
  return kExitDone;
}

int run_sniff(const SniffOptions& options) {
  Heard heard;
  std::uint16_t port = 0;
  const char* const end = options.what.data() + options.what.size();
  const auto [parsed, error] = std::from_chars(options.what.data(), end, port);
  if (error == std::errc() && parsed == end && port > 0) {
    catch_interrupts();
    Recogniser recogniser(false);
    const Status listened = listen_to(options, port, heard, recogniser);
    return listened.ok() ? tell(recogniser, heard) : fail(listened);
  }
  const auto content = read_start(options.what);
  if (!content.ok()) return fail(content.status());
  const auto bytes = std::as_bytes(std::span(content.value()));
  const auto recording = RecordedDatagrams::open(bytes);
  heard.is_stream = !recording.ok();
  Recogniser recogniser(heard.is_stream);
  if (recording.ok()) {
    hear_datagrams(recording.value(), options, heard, recogniser);
    if (recogniser.messages() > 0) return tell(recogniser, heard);
    return fail(Status(Code::kRejected, options.what + " holds no such datagram"));
  }
  for (std::size_t at = 0; at < bytes.size(); at += kStreamPiece) {
    const auto piece = bytes.subspan(at, std::min(kStreamPiece, bytes.size() - at));
    heard.note(piece);
    recogniser.hear(piece);
  }
  return tell(recogniser, heard);
}

}  // namespace

void add_sniff_command(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<SniffOptions>();
  CLI::App* command = app.add_subcommand(
      "sniff", "Say what is sent to a UDP port, or is in a recording, and how to hear it");
  command->add_option("PORT|FILE", options->what, "A UDP port of this machine, or a recording")
      ->required();
  command->add_option("--seconds", options->seconds, "How long to listen at most")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command->add_option("--port", options->port,
                      "Of a capture: only the datagrams that went to this port");
  command->callback([options, &context] { context.exit_code = run_sniff(*options); });
}

}  // namespace pitbox
