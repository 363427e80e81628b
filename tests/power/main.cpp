// pitbox-power: takes the power from a box again and again, on a block device, and checks what is
// there afterwards. Runs as root in a machine of its own: tests/power/run starts one.
//
// Each life: mount, read what is there, compare; a writer opens its journal and records; at a
// random moment, also while it opens, writes stop reaching the device or fail; the writer is
// killed, the file system unmounted, the device works again.
//
// Exit code: 0 everything confirmed was there each time; 1 something was not; 2 the machine did not
// do its part.

#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "apps/command_line.h"
#include "tests/becomes_true.h"
#include "tests/power/flaky_device.h"
#include "tests/power/power_ledger.h"
#include "tests/power/power_writer.h"
#include "tests/power/survey.h"

namespace pitbox {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Count = unsigned long long;

constexpr int kExitFault = 1;
constexpr int kExitNotPlayed = 2;
constexpr int kProgressEvery = 10;

struct Options {
  fs::path device;
  fs::path mount_point;
  fs::path memory = "/run";  // Where rings lie.
  int cuts = 20;
  std::uint64_t seed = 1;
};

// A witness in memory that a forked writer shares.
class SharedWitness {
 public:
  SharedWitness()
      : memory_(mmap(nullptr, sizeof(PowerWitness), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    CHECK(memory_ != MAP_FAILED);
    witness_ = new (memory_) PowerWitness;
  }
  ~SharedWitness() { munmap(memory_, sizeof(PowerWitness)); }
  SharedWitness(const SharedWitness&) = delete;
  SharedWitness& operator=(const SharedWitness&) = delete;
  PowerWitness& operator*() { return *witness_; }
  PowerWitness* operator->() { return witness_; }

 private:
  void* const memory_;
  PowerWitness* witness_ = nullptr;
};

// What the machine did not do, as opposed to what our journal did not hold (kCorrupt).
Status machine_failure(const std::string& step) {
  return {Code::kFatal, step + ": " + std::strerror(errno)};
}

class PowerCuts {
 public:
  PowerCuts(const Options& options, FlakyDevice& device)
      : options_(options), device_(device), random_(options.seed) {}
  // kCorrupt if a promise was broken.
  Status play();
  void print() const;

 private:
  Status live_and_die();
  Status begin_life(PowerWitness& witness);
  Status wait_for_the_moment(const PowerWitness& witness);
  Status cut_power();
  Status end_life();
  bool writer_has_ended() const;
  void kill_writer();
  Status look(const PowerWitness& witness);
  milliseconds up_to(int longest) {
    return milliseconds(random_() % static_cast<std::uint64_t>(longest));
  }
  fs::path state_directory() const { return options_.mount_point / "state"; }

  const Options options_;
  FlakyDevice& device_;
  std::mt19937_64 random_;
  PowerLedger ledger_;
  PowerCut cut_;
  fs::path ring_file_;
  pid_t writer_ = -1;
  std::uint32_t lives_ = 0;
  int cuts_ = 0;
  int failing_cuts_ = 0;
  std::size_t files_ = 0;
};

Status PowerCuts::begin_life(PowerWitness& witness) {
  PowerWriterOptions writer;
  writer.state_directory = state_directory();
  writer.life = ++lives_;
  writer.first_number = ledger_.next_number();
  writer.ring_file = options_.memory / ("ring-" + std::to_string(lives_));
  writer.ends_sessions = random_() % 4 == 0;
  writer.checkpoints_early = random_() % 2 == 0;
  ring_file_ = writer.ring_file;
  std::fflush(stdout);
  writer_ = fork();
  if (writer_ < 0) return machine_failure("fork");
  if (writer_ == 0) _exit(write_until_killed(writer, witness));
  return {};
}

Status PowerCuts::wait_for_the_moment(const PowerWitness& witness) {
  // One in eight lives may be over before the journal is open.
  if (random_() % 8 != 0) {
    const bool lives = becomes_true([&] { return witness.confirmed > 0 || writer_has_ended(); });
    if (!lives || witness.confirmed == 0) {
      return Status::corrupt("the writer did not open what the last cut left, or confirms nothing");
    }
  }
  // The moment is what is random, so this waits on the clock, not for a state.
  std::this_thread::sleep_for(up_to(800));
  return {};
}

bool PowerCuts::writer_has_ended() const {
  siginfo_t ended{};
  return waitid(P_PID, static_cast<id_t>(writer_), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
         ended.si_pid != 0;
}

void PowerCuts::kill_writer() {
  if (writer_ <= 0) return;  // kill() would take -1 for everybody.
  kill(writer_, SIGKILL);
  waitpid(writer_, nullptr, 0);
  writer_ = -1;
}

Status PowerCuts::cut_power() {
  cut_.fault = random_() % 2 == 0 ? PowerFault::kDropWrites : PowerFault::kFailWrites;
  if (Status prepared = device_.prepare(cut_.fault); !prepared.ok()) return prepared;
  cut_.begun_ns = system_clock().boot_now();
  Status cut = device_.cut();
  cut_.done_ns = system_clock().boot_now();
  ++cuts_;
  failing_cuts_ += cut_.fault == PowerFault::kFailWrites ? 1 : 0;
  // Long enough to see commits fail, or succeed into nothing.
  std::this_thread::sleep_for(up_to(200));
  return cut;
}

Status PowerCuts::end_life() {
  kill_writer();
  std::error_code ignored;
  fs::remove(ring_file_, ignored);
  const bool is_unmounted =
      becomes_true([&] { return umount(options_.mount_point.c_str()) == 0 || errno != EBUSY; });
  if (!is_unmounted) return machine_failure("unmount");
  return device_.restore();
}

Status PowerCuts::look(const PowerWitness& witness) {
  const fs::path& device = device_.path();
  if (mount(device.c_str(), options_.mount_point.c_str(), "ext4", 0, nullptr) != 0) {
    return machine_failure("mount " + device.string());
  }
  auto found = survey(state_directory());
  if (!found.ok()) return found.status();
  files_ = found.value().files;
  return ledger_.settle(cut_, witness, found.value());
}

Status PowerCuts::live_and_die() {
  SharedWitness witness;
  if (Status begun = begin_life(*witness); !begun.ok()) return begun;
  if (Status waited = wait_for_the_moment(*witness); !waited.ok()) return waited;
  if (Status cut = cut_power(); !cut.ok()) return cut;
  if (Status ended = end_life(); !ended.ok()) return ended;
  return look(*witness);
}

Status PowerCuts::play() {
  if (Status looked = look(*SharedWitness()); !looked.ok()) return looked;
  for (int i = 1; i <= options_.cuts; ++i) {
    if (Status lived = live_and_die(); !lived.ok()) {
      kill_writer();
      return std::move(lived).within("cut " + std::to_string(i));
    }
    if (i % kProgressEvery == 0) print();
  }
  return {};
}

void PowerCuts::print() const {
  std::printf("%d cuts (%d of them as failing writes) in %zu journal files\n", cuts_, failing_cuts_,
              files_);
  std::printf("  records: %llu heard before a cut, %llu confirmed in %zu lives, %llu there\n",
              static_cast<Count>(ledger_.heard()), static_cast<Count>(ledger_.confirmed()),
              ledger_.lives_confirmed(), static_cast<Count>(ledger_.survived()));
  if (ledger_.lost_ns().empty()) return;
  const auto at = [](auto values, std::size_t percent) {
    std::sort(values.begin(), values.end());
    return static_cast<Count>(values[(values.size() - 1) * percent / 100]);
  };
  std::printf(
      "  lost of what was heard: p50 %llu, p90 %llu, p99 %llu, most %llu records; "
      "p50 %llu, p90 %llu, p99 %llu, most %llu ms\n",
      at(ledger_.lost_records(), 50), at(ledger_.lost_records(), 90),
      at(ledger_.lost_records(), 99), at(ledger_.lost_records(), 100),
      at(ledger_.lost_ns(), 50) / kNsPerMs, at(ledger_.lost_ns(), 90) / kNsPerMs,
      at(ledger_.lost_ns(), 99) / kNsPerMs, at(ledger_.lost_ns(), 100) / kNsPerMs);
  std::fflush(stdout);
}

int run_cuts(const Options& options) {
  auto device = FlakyDevice::make(options.device);
  if (!device.ok()) {
    std::printf("pitbox-power: %s\n", device.status().message().c_str());
    return kExitNotPlayed;
  }
  const std::string format = "mkfs.ext4 -q -F " + device.value()->path().string();
  if (std::system(format.c_str()) != 0) {
    std::printf("pitbox-power: %s failed\n", format.c_str());
    return kExitNotPlayed;
  }
  PowerCuts cuts(options, *device.value());
  const Status played = cuts.play();
  cuts.print();
  if (played.ok()) return 0;
  std::printf("pitbox-power: %s\n", played.message().c_str());
  return played.code() == Code::kCorrupt ? kExitFault : kExitNotPlayed;
}

int run_program(int argc, char** argv) {
  CLI::App app{"Takes the power from a box again and again, and checks what is there afterwards."};
  Options options;
  bool is_loud = false;
  app.add_option("--device", options.device, "Block device to use; what it holds is lost")
      ->required();
  app.add_option("--mount", options.mount_point, "Directory to mount it on")->required();
  app.add_option("--memory", options.memory, "Directory in memory for the rings")
      ->capture_default_str();
  app.add_option("--cuts", options.cuts, "How many")->check(CLI::PositiveNumber);
  app.add_option("--seed", options.seed, "Of the moments")->capture_default_str();
  app.add_flag("--log", is_loud, "Print what the recorder logs meanwhile");
  if (const auto code = end_after_parsing(app, argc, argv)) return *code;
  spdlog::set_level(is_loud ? spdlog::level::info : spdlog::level::off);
  std::printf("seed %llu\n", static_cast<Count>(options.seed));
  return run_cuts(options);
}

}  // namespace
}  // namespace pitbox

int main(int argc, char** argv) {
  try {
    return pitbox::run_program(argc, argv);
  } catch (const std::exception& error) {
    std::printf("pitbox-power: %s\n", error.what());
    return pitbox::kExitNotPlayed;
  }
}
