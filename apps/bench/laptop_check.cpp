#include "apps/bench/laptop_check.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "apps/bench/ingest_bench.h"
#include "apps/bench/latency_bench.h"
#include "apps/bench/ramp.h"
#include "apps/bench/synthetic_car.h"
#include "apps/sim/simulator.h"

namespace pitbox {
namespace {

using nlohmann::ordered_json;

constexpr std::array kGt3Steps = {std::size_t{1},  std::size_t{5},  std::size_t{10},
                                  std::size_t{20}, std::size_t{30}, kMaxSimulatedCars};
constexpr std::array kFullSteps = {std::size_t{1},  std::size_t{5},  std::size_t{10},
                                   std::size_t{20}, std::size_t{40}, Load::kCarsMax};
constexpr double kCpuPercentMax = 50;
constexpr double kGt3AgeMsMax = 250;
constexpr double kFullLagMsMax = 1000;
constexpr double kRoomPatienceMaxS = 20;   // More says nothing that the lag has not said.
constexpr double kOfferedShareMin = 0.98;  // Of what was to be sent.

class LaptopCheck {
 public:
  explicit LaptopCheck(const LaptopCheckOptions& options) : options_(options) {}

  Result<LaptopFigures> run() {
    const auto gt3 = most_that_holds(kGt3Steps, [this](std::size_t cars) {
      return try_step(cars, "GT3 cars", figures_.gt3_steps, &LaptopCheck::measure_gt3);
    });
    if (!gt3.ok()) return gt3.status();
    figures_.gt3_cars = gt3.value();
    if (figures_.gt3_cars == 0) return std::move(figures_);
    const auto full = most_that_holds(kFullSteps, [this](std::size_t cars) {
      return try_step(cars, "cars of 300 channels", figures_.full_steps,
                      &LaptopCheck::measure_full);
    });
    if (!full.ok()) return full.status();
    figures_.full_cars = full.value();
    return std::move(figures_);
  }

 private:
  using Measure = Status (LaptopCheck::*)(LaptopStep&);

  // A bench that refuses to give a figure says what did not hold.
  Result<bool> try_step(std::size_t cars, const char* what, std::vector<LaptopStep>& steps,
                        Measure measure) {
    if (options_.progress) options_.progress(std::to_string(cars) + " " + what);
    LaptopStep step;
    step.cars = cars;
    const Status measured = (this->*measure)(step);
    std::error_code ignored;
    std::filesystem::remove_all(folder(), ignored);
    if (!measured.ok() && measured.code() != Code::kRejected) return measured;
    if (!measured.ok()) step.why_not = measured.message();
    steps.push_back(step);
    return step.why_not.empty();
  }

  std::filesystem::path folder() const { return options_.folder / "step"; }

  Status measure_gt3(LaptopStep& step) {
    LatencyBenchOptions bench;
    bench.programs = options_.programs;
    bench.folder = folder();
    bench.flush_ms = {100};
    bench.seconds = options_.seconds;
    bench.cars = step.cars;
    bench.should_stop = options_.should_stop;
    const auto measured = measure_latency(bench);
    if (!measured.ok()) return measured.status();
    const LatencyFigures& figures = measured.value().front();
    figures_.fdatasync_p99_ms = figures.disk.p99_ms;
    step.cpu_percent = figures.cpu_percent;
    step.late_ms = figures.latencies.at_ms(0.99);
    judge(step, kGt3AgeMsMax);
    return {};
  }

  Status measure_full(LaptopStep& step) {
    IngestBenchOptions bench;
    bench.programs = options_.programs;
    bench.folder = folder();
    bench.cars = step.cars;
    bench.samples_per_second = static_cast<double>(step.cars) * SyntheticCar::kSamplesPerSecond;
    bench.seconds = options_.seconds;
    bench.with_limits = false;
    bench.room_patience_s = kRoomPatienceMaxS;
    bench.should_stop = options_.should_stop;
    const auto measured = measure_ingest(bench);
    if (!measured.ok()) return measured.status();
    const IngestFigures& figures = measured.value();
    step.cpu_percent = 100 * figures.processor_s / figures.seconds;
    step.late_ms = 1e3 * figures.lag_s;
    judge(step, kFullLagMsMax);
    if (figures.offered_per_second < kOfferedShareMin * bench.samples_per_second) {
      step.why_not = "the generator could not send so much beside the daemon";
    }
    return {};
  }

  static void judge(LaptopStep& step, double late_ms_max) {
    std::array<char, 96> why{};
    if (step.cpu_percent > kCpuPercentMax) {
      std::snprintf(why.data(), why.size(), "the daemon takes %.0f %% of a core", step.cpu_percent);
    } else if (step.late_ms > late_ms_max) {
      std::snprintf(why.data(), why.size(), "rows are %.0f ms late", step.late_ms);
    }
    step.why_not = why.data();
  }

  const LaptopCheckOptions& options_;
  LaptopFigures figures_;
};

ordered_json steps_json(const std::vector<LaptopStep>& steps) {
  ordered_json all = ordered_json::array();
  for (const LaptopStep& step : steps) {
    all.push_back({{"cars", step.cars},
                   {"holds", step.why_not.empty()},
                   {"why_not", step.why_not},
                   {"cpu_percent", step.cpu_percent},
                   {"late_ms", step.late_ms}});
  }
  return all;
}

std::string steps_text(const char* name, const std::vector<LaptopStep>& steps) {
  std::string text;
  for (const LaptopStep& step : steps) {
    std::array<char, 160> line{};
    if (step.why_not.empty()) {
      std::snprintf(line.data(), line.size(), "%-22s %3zu hold: %.1f %% of a core, %.0f ms late\n",
                    name, step.cars, step.cpu_percent, step.late_ms);
    } else {
      std::snprintf(line.data(), line.size(), "%-22s %3zu do not: %s\n", name, step.cars,
                    step.why_not.c_str());
    }
    text += line.data();
    name = "";
  }
  return text;
}

std::string verdict(const LaptopFigures& figures) {
  if (figures.gt3_cars == 0) return "this machine cannot take even one GT3 car";
  const auto count = [](std::size_t cars, std::size_t most) {
    return std::to_string(cars) + (cars == most ? " (as many as were tried)" : "");
  };
  return "this machine can take " + count(figures.gt3_cars, kGt3Steps.back()) + " GT3 cars, or " +
         count(figures.full_cars, kFullSteps.back()) + " cars of 300 channels";
}

}  // namespace

Result<LaptopFigures> check_laptop(const LaptopCheckOptions& options) {
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static_cast<void>(options);
  return Status(Code::kRejected, "this is not a release build: no figure");
#else
  return LaptopCheck(options).run();
#endif
}

std::string to_json(const LaptopFigures& figures) {
  return ordered_json{{"gt3_cars", figures.gt3_cars},
                      {"full_cars", figures.full_cars},
                      {"fdatasync_p99_ms", figures.fdatasync_p99_ms},
                      {"gt3_steps", steps_json(figures.gt3_steps)},
                      {"full_steps", steps_json(figures.full_steps)},
                      {"verdict", verdict(figures)}}
      .dump(2);
}

std::string to_table(const LaptopFigures& figures) {
  std::array<char, 64> disk{};
  if (figures.fdatasync_p99_ms > 0) {
    std::snprintf(disk.data(), disk.size(), "%-22s fdatasync p99 %.1f ms\n", "disk",
                  figures.fdatasync_p99_ms);
  }
  return disk.data() + steps_text("GT3 cars", figures.gt3_steps) +
         steps_text("cars of 300 channels", figures.full_steps) + "verdict                " +
         verdict(figures) + "\n";
}

}  // namespace pitbox
