#include "ingest/f1_layout.h"

namespace pitbox {
namespace {

using enum F1Type;

// clang-format off
constexpr F1Field kCarOnlyFields[] = {{"vehicleIdx"}};
constexpr F1Field kFastestLapFields[] = {
    {"vehicleIdx"},
    {"lapTime", kF32, kF1All, 1, "s"},
};
constexpr F1Field kRetirementFields[] = {
    {"vehicleIdx"},
    {"reason", kU8, kF1From25},
};
constexpr F1Field kDrsDisabledFields[] = {{"reason", kU8, kF1From25}};
constexpr F1Field kStopGoFields[] = {
    {"vehicleIdx"},
    {"stopTime", kF32, kF1From25, 1, "s"},
};
constexpr F1Field kPenaltyFields[] = {
    {"penaltyType"},
    {"infringementType"},
    {"vehicleIdx"},
    {"otherVehicleIdx"},
    {"time", kU8, kF1All, 1, "s"},
    {"lapNum"},
    {"placesGained"},
};
constexpr F1Field kSpeedTrapFields[] = {
    {"vehicleIdx"},
    {"speed", kF32, kF1All, 1, "km/h"},
    {"isOverallFastestInSession"},
    {"isDriverFastestInSession"},
    {"fastestVehicleIdxInSession"},
    {"fastestSpeedInSession", kF32, kF1All, 1, "km/h"},
};
constexpr F1Field kStartLightsFields[] = {{"numLights"}};
constexpr F1Field kFlashbackFields[] = {
    {"flashbackFrameIdentifier", kU32},
    {"flashbackSessionTime", kF32, kF1All, 1, "s"},
};
constexpr F1Field kButtonsFields[] = {{"buttonStatus", kU32}};
constexpr F1Field kOvertakeFields[] = {
    {"overtakingVehicleIdx"},
    {"beingOvertakenVehicleIdx"},
};
constexpr F1Field kSafetyCarFields[] = {
    {"safetyCarType"},
    {"eventType"},
};
constexpr F1Field kCollisionFields[] = {
    {"vehicle1Idx"},
    {"vehicle2Idx"},
    {"severity", kU8, kF1Only26},
};

constexpr F1Event kF1Events[] = {
    {"SSTA", {}, {}},
    {"SEND", {}, {}},
    {"FTLP", "vehicleIdx", kFastestLapFields},
    {"RTMT", "vehicleIdx", kRetirementFields},
    {"DRSE", {}, {}},
    {"DRSD", {}, kDrsDisabledFields},
    {"TMPT", "vehicleIdx", kCarOnlyFields},
    {"CHQF", {}, {}},
    {"RCWN", "vehicleIdx", kCarOnlyFields},
    {"PENA", "vehicleIdx", kPenaltyFields},
    {"SPTP", "vehicleIdx", kSpeedTrapFields},
    {"STLG", {}, kStartLightsFields},
    {"LGOT", {}, {}},
    {"DTSV", "vehicleIdx", kCarOnlyFields},
    {"SGSV", "vehicleIdx", kStopGoFields},
    {"FLBK", {}, kFlashbackFields},
    {"BUTN", {}, kButtonsFields},
    {"RDFL", {}, {}},
    {"OVTK", "overtakingVehicleIdx", kOvertakeFields},
    {"SCAR", {}, kSafetyCarFields},
    {"COLL", "vehicle1Idx", kCollisionFields},
};
// clang-format on

constexpr bool f1_events_fit() {
  for (const F1Event& event : kF1Events) {
    for (std::size_t f = 0; f < kF1Formats; ++f) {
      const auto format = static_cast<F1Format>(f);
      if (event.code.size() != kF1EventCodeBytes ||
          f1_header_bytes(format) + kF1EventCodeBytes + f1_bytes(event.fields, format) >
              f1_event_bytes(format)) {
        return false;
      }
    }
  }
  return true;
}
static_assert(f1_events_fit());

}  // namespace

std::span<const F1Event> f1_events() {
  return kF1Events;
}

}  // namespace pitbox
