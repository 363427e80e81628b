// Promise 1 at the ring: what the kernel handed over is published exactly once, in order, wherever
// the process is killed. Four attacks: SIGKILL after each store of the producer, SIGKILL after each
// store of the recovery that follows, an attach to a copy of the file after every single machine
// instruction between recvmmsg and the end of the call, and SIGKILL from outside under load.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <random>
#include <thread>

#include "buffer/ring_layout.h"
#include "buffer/store_point.h"
#include "tests/buffer/ring_test_support.h"

namespace pitbox {
namespace {

using namespace ring_test;  // NOLINT(google-build-using-namespace): the test's language.

constexpr int kNoStop = -1;

int stores_left = kNoStop;

void die_at_the_chosen_store() {
  if (stores_left > 0 && --stores_left == 0) raise(SIGKILL);
}

// Runs `work` in a child that is killed after its `store`th store to the mapping. True if it was;
// false if it finished first.
bool killed_at_store(int store, const std::function<void()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    stores_left = store;
    ring_store_point = die_at_the_chosen_store;
    work();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  if (WIFSIGNALED(status)) {
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
    return true;
  }
  EXPECT_EQ(WEXITSTATUS(status), 0);
  return false;
}

// Two fillings of the area and a bit, of all lengths that matter.
std::vector<std::string> datagrams(std::size_t count) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(std::to_string(i) + std::string(i * 37 % 200, static_cast<char>('a' + i % 26)));
  }
  if (count > 3) {
    all[1].clear();
    all[2] = std::string(256, 't');
  }
  return all;
}

void send_all(const UdpPair& sockets, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) sockets.send(text);
}

TEST(RingKill, AtEachStoreOfAReceiveLosesAndRepeatsNothing) {
  const auto sent = datagrams(19);
  int store = 1;
  for (bool killed = true; killed; ++store) {
    const Folder folder;
    const auto options = small_options(folder / "a");
    const UdpPair sockets;
    opened(options).reset();
    send_all(sockets, sent);
    killed = killed_at_store(store, [&] {
      const auto ring = opened(options);
      receive_all(*ring, sockets.receiver.get(), kSocket);
    });
    const auto ring = opened(options);
    ASSERT_TRUE(ring->was_attached());
    receive_all(*ring, sockets.receiver.get(), kSocket);
    ASSERT_EQ(data_texts(read_all(*ring)), sent) << "killed after store " << store;
  }
  EXPECT_GT(store, 100) << "or the stores are not announced";
}

// The same, when everything was consumed before: the last message must be readable back.
TEST(RingKill, AtEachStoreWithAConsumedRingLosesAndRepeatsNothing) {
  const auto sent = datagrams(11);
  int store = 1;
  for (bool killed = true; killed; ++store) {
    const Folder folder;
    const auto options = small_options(folder / "a");
    const UdpPair sockets;
    {
      const auto ring = opened(options);
      send_all(sockets, {"first", "second"});
      receive_all(*ring, sockets.receiver.get(), kSocket);
      ring->release(ring->head(), 2);
    }
    send_all(sockets, sent);
    killed = killed_at_store(store, [&] {
      const auto ring = opened(options);
      receive_all(*ring, sockets.receiver.get(), kSocket);
    });
    auto ring = opened(options);
    std::vector<std::string> all = data_texts(read_all(*ring), 3);
    ring->release(ring->head(), ring->last_number());
    ring.reset();
    ring = opened(options);
    ASSERT_EQ(ring->recovered(), 0U);
    receive_all(*ring, sockets.receiver.get(), kSocket);
    const auto rest = data_texts(read_all(*ring), 3 + all.size());
    all.insert(all.end(), rest.begin(), rest.end());
    ASSERT_EQ(all, sent) << "killed after store " << store;
  }
}

TEST(RingKill, AtEachStoreOfTheRecoveryLosesAndRepeatsNothing) {
  const auto sent = datagrams(2);
  int store = 1;
  std::size_t deaths = 0;
  for (bool killed = true; killed; ++store) {
    int again = 1;
    for (bool killed_again = true; killed_again; ++again) {
      const Folder folder;
      auto options = small_options(folder / "a");
      options.slot_count = 4;
      const UdpPair sockets;
      opened(options).reset();
      send_all(sockets, sent);
      const auto work = [&] {
        const auto ring = opened(options);
        receive_all(*ring, sockets.receiver.get(), kSocket);
      };
      killed = killed_at_store(store, work);
      killed_again = killed && killed_at_store(again, work);
      deaths += (killed ? 1U : 0U) + (killed_again ? 1U : 0U);
      const auto ring = opened(options);
      receive_all(*ring, sockets.receiver.get(), kSocket);
      ASSERT_EQ(data_texts(read_all(*ring)), sent)
          << "killed after store " << store << ", then after store " << again;
    }
  }
  EXPECT_GT(deaths, 200U);
}

TEST(RingKill, AtEachStoreOfAStreamLosesAndRepeatsNoByte) {
  std::string sent;
  for (int i = 0; sent.size() < 150'000; ++i) sent += std::to_string(i) + ",";
  int store = 1;
  for (bool killed = true; killed; ++store) {
    const Folder folder;
    auto options = small_options(folder / "a");
    options.is_stream = true;
    TcpPair sockets;
    opened(options).reset();
    sockets.send(sent);
    sockets.sender = Descriptor();
    killed = killed_at_store(store, [&] {
      const auto ring = opened(options);
      while (!receive_all(*ring, sockets.receiver.get(), kSocket).closed) {
      }
    });
    const auto ring = opened(options);
    while (!receive_all(*ring, sockets.receiver.get(), kSocket).closed) {
    }
    std::string heard;
    for (const std::string& piece : data_texts(read_all(*ring))) heard += piece;
    ASSERT_EQ(heard.size(), sent.size()) << "killed after store " << store;
    ASSERT_TRUE(heard == sent) << "killed after store " << store;
  }
  EXPECT_GT(store, 20);
}

TEST(RingKill, AtEachStoreOfTheCreationLeavesNothingThatLooksLikeARing) {
  int store = 1;
  for (bool killed = true; killed; ++store) {
    const Folder folder;
    const auto options = small_options(folder / "a");
    killed = killed_at_store(store, [&] { opened(options).reset(); });
    const auto ring = opened(options);
    ASSERT_TRUE(ring->publish(kSocket, 0, bytes_of("x")).ok());
    ASSERT_EQ(data_texts(read_all(*ring)).size(), 1U) << "killed after store " << store;
  }
  EXPECT_GT(store, 10);
}

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

std::string contents(const std::filesystem::path& file, std::size_t bytes) {
  std::string text(bytes, '\0');
  const Descriptor descriptor(open(file.c_str(), O_RDONLY));
  EXPECT_EQ(pread(descriptor.get(), text.data(), bytes, 0), static_cast<ssize_t>(bytes));
  return text;
}

// True if the child stopped by a trap; false if it ended.
bool stopped(pid_t child) {
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFSTOPPED(status);
}

// What a kill at this instruction leaves is the file as it is now: a copy of it is attached to.
TEST(RingKill, AfterEveryInstructionBetweenRecvmmsgAndTheEndOfTheCall) {
  const auto sent = datagrams(3);
  const Folder folder;
  auto options = small_options(folder / "a");
  options.slot_count = 4;
  const UdpPair sockets;
  opened(options).reset();
  send_all(sockets, sent);

  const pid_t child = fork();
  if (child == 0) {
    const auto ring = opened(options);
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(77);
    raise(SIGSTOP);
    const auto received = ring->receive(sockets.receiver.get(), kSocket);
    raise(SIGSTOP);
    _exit(received.ok() && received.value().messages == 3 ? 0 : 1);
  }
  if (!stopped(child)) GTEST_SKIP() << "this machine does not allow ptrace";

  const auto in_recvmmsg = [&] {
    user_regs_struct registers{};
    EXPECT_EQ(ptrace(PTRACE_GETREGS, child, nullptr, &registers), 0);
    return registers.orig_rax == SYS_recvmmsg;
  };
  do {  // To the entry of recvmmsg, then to its return.
    ASSERT_EQ(ptrace(PTRACE_SYSCALL, child, nullptr, nullptr), 0);
    ASSERT_TRUE(stopped(child));
  } while (!in_recvmmsg());
  ASSERT_EQ(ptrace(PTRACE_SYSCALL, child, nullptr, nullptr), 0);
  ASSERT_TRUE(stopped(child));

  const RingGeometry geometry = geometry_of(options);
  // All that can change: the header page, the area, and the first pages of the ring.
  const std::size_t changing = geometry.ring_offset() + 64 * 1024;
  auto copy_options = options;
  copy_options.file = folder / "copy";
  std::string before;
  std::size_t instructions = 0;
  std::size_t states = 0;
  for (;; ++instructions) {
    std::string now = contents(options.file, changing);
    if (now != before) {
      ++states;
      {
        const Descriptor copy(
            open(copy_options.file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        ASSERT_EQ(pwrite(copy.get(), now.data(), now.size(), 0), static_cast<ssize_t>(now.size()));
        ASSERT_EQ(ftruncate(copy.get(), static_cast<off_t>(geometry.file_bytes())), 0);
      }
      const auto ring = opened(copy_options);
      ASSERT_TRUE(ring->was_attached()) << "after instruction " << instructions;
      ASSERT_EQ(data_texts(read_all(*ring)), sent) << "after instruction " << instructions;
      before = std::move(now);
    }
    // An instruction that ends in SIGSTOP is the child's own raise(): the call is over.
    if (ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) break;
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) == SIGSTOP) break;
  }
  ASSERT_EQ(ptrace(PTRACE_CONT, child, nullptr, nullptr), 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_GT(instructions, 300U);
  EXPECT_GT(states, 20U);
  RecordProperty("instructions", static_cast<int>(instructions));
  RecordProperty("states", static_cast<int>(states));
}

#endif

// What the sender and the receiver of the load test tell the test.
struct Progress {
  std::atomic<std::uint64_t> received = 0;  // Told by the test, from the ring.
  std::atomic<std::uint64_t> sent = 0;
  std::atomic<bool> stop = false;
};

// Numbered datagrams as fast as they are taken, never more than `ahead` in flight.
[[noreturn]] void send_numbers(const UdpPair& sockets, Progress& progress, std::uint64_t ahead) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // A test that gives up does not stop it.
  while (!progress.stop.load()) {
    const std::uint64_t next = progress.sent.load() + 1;
    if (next > progress.received.load() + ahead) continue;
    const std::string text = std::to_string(next) + std::string(next % 150, '.');
    if (send(sockets.sender.get(), text.data(), text.size(), 0) < 0) _exit(1);
    progress.sent.store(next);
  }
  _exit(0);
}

[[noreturn]] void receive_until_killed(const MessageRing::Options& options, int socket,
                                       Progress& progress) {
  const auto ring = opened(options);
  for (;;) {
    (void)ring->receive(socket, kSocket);
    progress.received.store(ring->last_number());
  }
}

TEST(RingKill, FromOutsideUnderLoadLosesAndRepeatsNothing) {
  constexpr int kKills = 50;
  constexpr std::uint64_t kDatagramsOfALife = 64;
  const Folder folder;
  auto options = small_options(folder / "a");
  options.slot_count = 64;
  options.ring_bytes = std::size_t{4} << 20;
  const UdpPair sockets;
  void* shared =
      mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto& progress = *new (shared) Progress();
  const pid_t sender = fork();
  if (sender == 0) send_numbers(sockets, progress, 500);

  std::minstd_rand random(1);  // Which kills are made does not matter; that they can be repeated.
  std::uint64_t expected = 1;
  std::uint64_t recovered = 0;
  const auto take_everything = [&](MessageRing& ring) {
    recovered += ring.recovered();
    std::uint64_t position = ring.tail();
    for (const Heard& heard : read_from(ring, position)) {
      if (heard.kind != MessageKind::kData) continue;
      ASSERT_EQ(heard.number, expected);
      ASSERT_EQ(std::stoull(heard.text), expected);
      ++expected;
    }
    ring.release(position, expected - 1);
  };
  for (int kill_number = 0; kill_number < kKills; ++kill_number) {
    const pid_t receiver = fork();
    if (receiver == 0) receive_until_killed(options, sockets.receiver.get(), progress);
    // Every second one has a life before the kill, however slow the machine; the others may die
    // while they attach.
    if (kill_number % 2 == 1) {
      const std::uint64_t lived = expected - 1 + kDatagramsOfALife;
      while (progress.received.load() < lived) {
        ASSERT_EQ(waitpid(receiver, nullptr, WNOHANG), 0) << "the receiver died by itself";
        std::this_thread::yield();
      }
    }
    usleep(static_cast<useconds_t>(3000 + random() % 4000));  // The moment, not a wait.
    ASSERT_EQ(kill(receiver, SIGKILL), 0);
    ASSERT_EQ(waitpid(receiver, nullptr, 0), receiver);
    const auto ring = opened(options);
    take_everything(*ring);
    if (HasFatalFailure()) break;
  }
  progress.stop = true;
  EXPECT_EQ(waitpid(sender, nullptr, 0), sender);
  const auto ring = opened(options);
  EXPECT_EQ(receive_all(*ring, sockets.receiver.get(), kSocket).kernel_drops, 0U);
  take_everything(*ring);
  EXPECT_EQ(expected - 1, progress.sent.load());
  EXPECT_GT(expected, kKills / 2 * kDatagramsOfALife);
  RecordProperty("datagrams", std::to_string(expected - 1));
  RecordProperty("recovered", std::to_string(recovered));
  std::printf("%llu datagrams, %llu of them recovered\n",
              static_cast<unsigned long long>(expected - 1),
              static_cast<unsigned long long>(recovered));
  munmap(shared, sizeof(Progress));
}

}  // namespace
}  // namespace pitbox
