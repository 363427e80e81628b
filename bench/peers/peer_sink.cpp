// Reads a far end and writes the book of the datagrams that are there: a NATS stream, a broker's
// subscription, a file of lines, or a Pitbox room. `run` starts it.

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "apps/bench/synthetic_car.h"
#include "apps/command_line.h"
#include "bench/peers/base64.h"
#include "bench/peers/datagram_book.h"
#include "bench/peers/peer_protocol.h"
#include "bench/peers/shared_count.h"
#include "bench/peers/tcp_line.h"
#include "proto/batch.h"
#include "sync/room_reader.h"

namespace pitbox {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto kDialEvery = milliseconds(20);
constexpr auto kReadPatience = std::chrono::seconds(30);

volatile std::sig_atomic_t is_stopping = 0;

struct SinkArguments {
  std::string from;
  std::string to;
  std::string stream = "factory";
  std::uint64_t expected = 0;
  std::string session;
  bool live = false;
  std::string json;
  std::string progress;
};

struct Sink {
  const SinkArguments& arguments;
  DatagramBook book;
  SharedCount arrived;
};

Status take_datagram(Sink& sink, std::string_view datagram) {
  Status taken = sink.book.take(datagram);
  sink.arrived.set(sink.book.distinct());
  return taken;
}

// One connection; ends well when `is_done` says so.
Status read_connection(Sink& sink, PeerReceiver& peer, const std::function<bool()>& is_done) {
  auto line = TcpLine::connect(sink.arguments.to);
  if (!line.ok()) return line.status();
  peer.greet(line.value().outgoing());
  auto last = steady_clock::now();
  while (!is_done()) {
    if (Status moved = line.value().move(milliseconds(10)); !moved.ok()) return moved;
    const auto taken =
        peer.take(line.value().incoming(), line.value().outgoing(),
                  [&](std::string_view bytes) { return take_datagram(sink, bytes); });
    if (!taken.ok()) return taken.status();
    line.value().take_off(taken.value());
    const auto now = steady_clock::now();
    if (taken.value() > 0 || sink.arguments.expected == 0) last = now;
    if (now - last > kReadPatience) return {Code::kFatal, "nothing came for 30 s"};
  }
  return {};
}

Status read_nats(Sink& sink) {
  const std::uint64_t expected = sink.arguments.expected;
  const auto peer = make_nats_receiver(sink.arguments.stream, expected);
  return read_connection(sink, *peer, [&] {
    return is_stopping != 0 || sink.book.distinct() + sink.book.repeated() >= expected;
  });
}

// Dials again for as long as it runs: the far end is stopped and started on purpose.
Status follow_mqtt(Sink& sink) {
  while (is_stopping == 0) {
    const auto peer = make_mqtt_receiver();
    const Status ended = read_connection(sink, *peer, [] { return is_stopping != 0; });
    if (!ended.ok() && ended.code() != Code::kTryAgain) return ended;
    if (is_stopping == 0) std::this_thread::sleep_for(kDialEvery);
  }
  return {};
}

Status read_lines(Sink& sink) {
  std::ifstream file(sink.arguments.to, std::ios::binary);
  if (!file) return {Code::kFatal, "cannot read " + sink.arguments.to};
  for (std::string line; std::getline(file, line);) {
    std::string_view text = line;
    if (text.starts_with(' ')) text.remove_prefix(1);
    // What a kill tore off is nobody's datagram.
    if (text.size() != base64_bytes(Load::kDatagramBytes)) continue;
    const auto datagram = from_base64(text);
    if (!datagram.ok()) return datagram.status();
    if (Status taken = take_datagram(sink, datagram.value()); !taken.ok()) return taken;
  }
  return {};
}

Status take_group(std::uint32_t car, const GroupColumns& columns, DatagramBook& book) {
  const auto& groups = SyntheticCar::groups();
  for (std::uint32_t i = 0; i < groups.size(); ++i) {
    const SyntheticCar::Group& group = groups[i];
    if (columns.definition->group().group != group.definition->group().group) continue;
    const auto rows = static_cast<std::int64_t>(group.rows_per_datagram);
    for (const std::int64_t at : columns.source_ns) {
      const std::int64_t row = at / group.period_ns;
      if (at < 0 || at % group.period_ns != 0) return Status::corrupt("a row between two moments");
      const DatagramNumber number{.group = car * static_cast<std::uint32_t>(groups.size()) + i,
                                  .sequence = static_cast<std::uint64_t>(row / rows) + 1};
      Status taken =
          book.take_row(number, static_cast<std::size_t>(row % rows), group.rows_per_datagram);
      if (!taken.ok()) return taken;
    }
    return {};
  }
  return Status::corrupt("a group that no load has");
}

Status take_entry(Sink& sink, const DownloadedEntry& entry) {
  if (entry.is_event) return {};
  const auto lookup = [&](std::uint64_t prefix) -> DefinitionPtr {
    for (const DefinitionPtr& definition : entry.definitions) {
      if (definition->prefix() == prefix) return definition;
    }
    return nullptr;
  };
  const auto batch = decode_batch(entry.car, entry.bytes, lookup);
  if (!batch.ok()) return batch.status();
  const unsigned long car = std::strtoul(entry.car.c_str(), nullptr, 10);
  if (car < 1 || car > Load::kCarsMax) return Status::corrupt("a car that no load has");
  for (const GroupColumns& group : batch.value().groups) {
    Status taken = take_group(static_cast<std::uint32_t>(car - 1), group, sink.book);
    if (!taken.ok()) return taken;
  }
  sink.arrived.set(sink.book.distinct());
  return {};
}

// Once, what it holds; or, live, again with each connection and then what arrives, so that
// `repeated` says nothing.
Status read_room_rows(Sink& sink) {
  RoomReaderOptions reading;
  reading.url = sink.arguments.to;
  const auto session = Uuid::parse(sink.arguments.session);
  if (!session.ok()) return session.status();
  reading.session = session.value();
  reading.live = sink.arguments.live;
  if (reading.live) reading.idle_timeout = milliseconds(2000);
  for (;;) {
    const Status ended = read_room(reading, [&](const DownloadedEntry& entry) {
      if (is_stopping != 0) return Status(Code::kRejected, "stopped");
      return take_entry(sink, entry);
    });
    if (is_stopping != 0) return {};
    if (!reading.live) return ended;
    if (ended.code() == Code::kCorrupt) return ended;
    std::this_thread::sleep_for(kDialEvery);
  }
}

Status run_sink(const SinkArguments& arguments) {
  auto arrived = SharedCount::make(arguments.progress);
  if (!arrived.ok()) return arrived.status();
  Sink sink{.arguments = arguments, .book = {}, .arrived = std::move(arrived).take()};
  Status done = arguments.from == "nats"    ? read_nats(sink)
                : arguments.from == "mqtt"  ? follow_mqtt(sink)
                : arguments.from == "lines" ? read_lines(sink)
                                            : read_room_rows(sink);
  if (!done.ok()) return std::move(done).within(arguments.to);
  if (arguments.json.empty()) return {};
  std::ofstream file(arguments.json);
  file << sink.book.to_json() << "\n";
  file.close();
  return file ? Status() : Status(Code::kFatal, "cannot write " + arguments.json);
}

int run(int argc, char** argv) {
  CLI::App app{"Reads a far end and keeps the book of the datagrams that are there."};
  SinkArguments arguments;
  app.add_option("--from", arguments.from, "nats, mqtt, lines (a file) or room")
      ->required()
      ->check(CLI::IsMember({"nats", "mqtt", "lines", "room"}));
  app.add_option("--to", arguments.to, "IPV4:PORT, FILE, or ws://IPV4:PORT")->required();
  app.add_option("--stream", arguments.stream, "nats: which")->capture_default_str();
  app.add_option("--expected", arguments.expected, "nats: how many messages are read");
  app.add_option("--session", arguments.session, "room: which");
  app.add_flag("--live", arguments.live, "room: and what arrives, until SIGTERM; mqtt always does");
  app.add_option("--json", arguments.json, "Where the book is written");
  app.add_option("--progress", arguments.progress,
                 "A file of 8 bytes: how many datagrams are there so far");
  if (const auto code = end_after_parsing(app, argc, argv)) return *code;
  std::signal(SIGTERM, [](int) { is_stopping = 1; });
  const Status done = run_sink(arguments);
  if (done.ok()) return 0;
  std::fprintf(stderr, "peer_sink: %s\n", done.message().c_str());
  return 1;
}

}  // namespace
}  // namespace pitbox

int main(int argc, char** argv) {
  return pitbox::run(argc, argv);
}
