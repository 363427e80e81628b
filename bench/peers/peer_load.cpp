// Offers the synthetic cars' datagrams to Pitbox or a peer, as fast as it takes them or at a rate,
// and writes what was sent and what was acknowledged. `run` starts it.

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "apps/bench/load_sender.h"
#include "apps/command_line.h"
#include "bench/peers/peer_offer.h"
#include "bench/peers/udp_room.h"
#include "proto/check.h"
#include "proto/uuid.h"

namespace pitbox {
namespace {

using nlohmann::ordered_json;

volatile std::sig_atomic_t is_stopping = 0;

bool should_stop() {
  return is_stopping != 0;
}

struct LoadArguments {
  std::string protocol;
  std::string to;
  std::size_t cars = 20;
  double rate = 0;
  double seconds = 10;
  std::size_t queue_bytes = std::size_t{16} << 20;
  std::string json;
  std::string progress;
};

// The book of what was sent of a load: everything before what it would send next. A loop of it has
// each group at least once. Quick, since the receiver is still at work on the same cores.
Status note_sent(Load& load, DatagramBook& book) {
  std::map<std::uint32_t, std::uint64_t> next;  // By group.
  for (std::size_t i = 0; i < load.size(); ++i) {
    const auto datagram = load.next();
    const auto number = number_of({datagram.data(), datagram.size()});
    CHECK(number.has_value());
    next.try_emplace(number->group, number->sequence);
  }
  for (const auto& [group, end] : next) {
    for (std::uint64_t sequence = 1; sequence < end; ++sequence) {
      Status taken = book.take({.group = group, .sequence = sequence});
      if (!taken.ok()) return taken;
    }
  }
  return {};
}

// Every datagram that was handed to the kernel counts: it is the receiver's to take, unless the
// kernel says that it dropped it.
Result<Offered> offer_udp(const LoadArguments& arguments, Load& load, SharedCount& sent) {
  const auto port = static_cast<std::uint16_t>(
      std::strtoul(arguments.to.c_str() + arguments.to.rfind(':') + 1, nullptr, 10));
  constexpr std::size_t kAtOnce = 44;  // What one send of UDP GSO holds.
  UdpRoom room(port, arguments.queue_bytes);
  LoadPace pace{.samples_per_second = arguments.rate * SyntheticCar::kSamplesPerDatagram,
                .seconds = arguments.seconds,
                .with_gso = true};
  pace.room = [&] { return room.take(kAtOnce); };
  pace.on_sent = [&](std::uint64_t datagrams) { sent.set(datagrams); };
  const auto done = send_load("udp://" + arguments.to, load, pace, should_stop);
  if (!done.ok()) return done.status();
  Offered offered{.datagrams = done.value().datagrams,
                  .first_ns = done.value().first_ns,
                  .seconds = done.value().seconds,
                  .broken = {},
                  .acknowledged = {}};
  if (Status noted = note_sent(load, offered.acknowledged); !noted.ok()) return noted;
  CHECK(offered.acknowledged.distinct() == offered.datagrams);
  return offered;
}

Result<Offered> offer_to(const LoadArguments& arguments, Load& load, SharedCount& sent) {
  if (arguments.protocol == "udp") return offer_udp(arguments, load, sent);
  const auto peer = arguments.protocol == "nats"   ? make_nats_sender()
                    : arguments.protocol == "mqtt" ? make_mqtt_sender()
                                                   : make_relp_sender();
  return offer(arguments.to, *peer, load,
               {.datagrams_per_second = arguments.rate, .seconds = arguments.seconds}, sent,
               should_stop);
}

Status run_load(const LoadArguments& arguments) {
  auto load = Load::make(arguments.cars, static_cast<std::uint32_t>(random_id() >> 32U));
  if (!load.ok()) return load.status();
  auto sent = SharedCount::make(arguments.progress);
  if (!sent.ok()) return sent.status();
  auto offered = offer_to(arguments, load.value(), sent.value());
  if (!offered.ok()) return offered.status();
  sent.value().set(offered.value().datagrams);
  ordered_json json = {{"datagrams", offered.value().datagrams},
                       {"first_ns", offered.value().first_ns},
                       {"seconds", offered.value().seconds},
                       {"broken", offered.value().broken}};
  json["acknowledged"] = ordered_json::parse(offered.value().acknowledged.to_json());
  std::ofstream file(arguments.json);
  file << json.dump() << "\n";
  file.close();
  return file ? Status() : Status(Code::kFatal, "cannot write " + arguments.json);
}

int run(int argc, char** argv) {
  CLI::App app{"Offers the synthetic cars' datagrams and keeps the book of what was acknowledged."};
  LoadArguments arguments;
  app.add_option("--protocol", arguments.protocol, "udp (Pitbox), nats, mqtt or relp")
      ->required()
      ->check(CLI::IsMember({"udp", "nats", "mqtt", "relp"}));
  app.add_option("--to", arguments.to, "Where: IPV4:PORT")->required();
  app.add_option("--cars", arguments.cars, "Synthetic cars")->capture_default_str();
  app.add_option("--rate", arguments.rate, "Datagrams/s; 0: as fast as they are taken")
      ->check(CLI::Range(0.0, 1e7))
      ->capture_default_str();
  app.add_option("--seconds", arguments.seconds, "How long to send")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  app.add_option("--queue-bytes", arguments.queue_bytes,
                 "udp: how much may wait in the receiver's kernel buffer, as the kernel counts")
      ->capture_default_str();
  app.add_option("--json", arguments.json, "Where the book is written")->required();
  app.add_option("--progress", arguments.progress, "A file of 8 bytes: how many were sent so far");
  if (const auto code = end_after_parsing(app, argc, argv)) return *code;
  std::signal(SIGTERM, [](int) { is_stopping = 1; });
  const Status done = run_load(arguments);
  if (done.ok()) return 0;
  std::fprintf(stderr, "peer_load: %s\n", done.message().c_str());
  return 1;
}

}  // namespace
}  // namespace pitbox

int main(int argc, char** argv) {
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  std::fprintf(stderr, "peer_load: not a release build: no figure\n");
  return 1;
#endif
  return pitbox::run(argc, argv);
}
