#include "apps/bench/limits.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "apps/bench/load_sender.h"
#include "apps/bench/stopwatch.h"
#include "apps/bench/websocket_limit.h"
#include "apps/launch/udp_holder.h"
#include "buffer/file_sync.h"

namespace pitbox {
namespace {

constexpr double kSinkSeconds = 1.5;
constexpr double kWebSocketSeconds = 1.5;

// Takes datagrams until one of another length comes; says how many there were.
std::uint64_t swallow(int socket) {
  constexpr std::size_t kSlots = 64;
  constexpr std::size_t kSlotBytes = 2048;
  std::vector<char> bytes(kSlots * kSlotBytes);
  std::array<iovec, kSlots> vectors{};
  std::array<mmsghdr, kSlots> messages{};
  for (std::size_t i = 0; i < kSlots; ++i) {
    vectors.at(i) = {.iov_base = bytes.data() + i * kSlotBytes, .iov_len = kSlotBytes};
    messages.at(i).msg_hdr.msg_iov = &vectors.at(i);
    messages.at(i).msg_hdr.msg_iovlen = 1;
  }
  std::uint64_t taken = 0;
  for (;;) {
    const int got = ::recvmmsg(socket, messages.data(), kSlots, MSG_WAITFORONE, nullptr);
    for (int i = 0; i < got; ++i) {
      const unsigned length = messages.at(static_cast<std::size_t>(i)).msg_len;
      if (length == 1) return taken;
      if (length == Load::kDatagramBytes) ++taken;
    }
  }
}

}  // namespace

Result<double> measure_null_sink(bool with_gso) {
  auto bound = UdpHolder::bind(0, std::size_t{64} << 20);
  if (!bound.ok()) return bound.status();
  auto load = Load::make(1, 1);
  if (!load.ok()) return load.status();
  std::uint64_t taken = 0;
  const Stopwatch watch;
  std::thread sink([&] { taken = swallow(bound.value().descriptor()); });
  const auto sent =
      send_load(bound.value().address(), load.value(),
                {.samples_per_second = 0, .seconds = kSinkSeconds, .with_gso = with_gso},
                [] { return false; });
  // What ends it must not be dropped either: it is sent until it arrived.
  std::atomic<bool> is_over{false};
  std::thread stopper([&] {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_storage to{};
    socklen_t length = sizeof to;
    ::getsockname(bound.value().descriptor(), reinterpret_cast<sockaddr*>(&to), &length);
    while (!is_over) {
      ::sendto(socket, "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), length);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ::close(socket);
  });
  sink.join();
  const double seconds = watch.seconds();
  is_over = true;
  stopper.join();
  if (!sent.ok()) return sent.status();
  return static_cast<double>(taken) / seconds;
}

Result<double> measure_append(const std::filesystem::path& folder) {
  constexpr std::size_t kPieceBytes = std::size_t{16} << 20;
  constexpr int kPieces = 16;
  const std::string name = (folder / ("append-probe-" + std::to_string(getpid()))).string();
  const int file = ::open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return system_error("open " + name);
  ::unlink(name.c_str());
  const std::vector<char> piece(kPieceBytes, 'x');
  const Stopwatch watch;
  bool is_written = true;
  for (int i = 0; i < kPieces && is_written; ++i) {
    is_written =
        ::write(file, piece.data(), piece.size()) == std::ssize(piece) && ::fdatasync(file) == 0;
  }
  const double seconds = watch.seconds();
  const Status failed = system_error("append to " + name);
  ::close(file);
  if (!is_written) return failed;
  return static_cast<double>(kPieceBytes) * kPieces / 1e6 / seconds;
}

Result<ZstdLimit> measure_zstd(LoadCar kind) {
  constexpr std::size_t kPieceBytes = std::size_t{256} << 10;
  const auto load = Load::make(1, 1, kind);
  if (!load.ok()) return load.status();
  const std::string samples = load.value().values();
  std::vector<char> out(ZSTD_compressBound(kPieceBytes));
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  std::size_t bytes = 0;
  int rounds = 0;
  const Stopwatch watch;
  for (; watch.seconds() < 1; ++rounds) {
    for (std::size_t at = 0; at < samples.size(); at += kPieceBytes) {
      const std::size_t length = std::min(kPieceBytes, samples.size() - at);
      bytes += ZSTD_compressCCtx(context, out.data(), out.size(), samples.data() + at, length, 1);
    }
  }
  const double seconds = watch.seconds();
  ZSTD_freeCCtx(context);
  const std::uint64_t in_a_round = load.value().samples(load.value().size());
  const double count = static_cast<double>(in_a_round) * rounds;
  return ZstdLimit{.samples_per_second = count / seconds,
                   .bytes_per_sample = static_cast<double>(bytes) / count};
}

Result<Limits> measure_limits(const std::filesystem::path& folder, bool with_gso) {
  Limits limits;
  const auto sink = measure_null_sink(with_gso);
  if (!sink.ok()) return sink.status();
  limits.null_sink = sink.value();
  const auto probe = DiskProbe::measure(folder);
  if (!probe.ok()) return probe.status();
  limits.fdatasync = probe.value();
  const auto append = measure_append(folder);
  if (!append.ok()) return append.status();
  limits.append_mb_per_second = append.value();
  const auto websocket = measure_websocket(kWebSocketSeconds);
  if (!websocket.ok()) return websocket.status();
  limits.websocket_mb_per_second = websocket.value();
  return limits;
}

}  // namespace pitbox
