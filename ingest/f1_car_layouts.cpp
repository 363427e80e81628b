#include "ingest/f1_layout.h"

namespace pitbox {
namespace {

using enum F1Type;

// clang-format off
constexpr F1Field kMotionFields[] = {
    {"worldPositionX", kF32, kF1All, 1, "m"},
    {"worldPositionY", kF32, kF1All, 1, "m"},
    {"worldPositionZ", kF32, kF1All, 1, "m"},
    {"worldVelocityX", kF32, kF1All, 1, "m/s"},
    {"worldVelocityY", kF32, kF1All, 1, "m/s"},
    {"worldVelocityZ", kF32, kF1All, 1, "m/s"},
    {"worldForwardDirX", kI16, kF1All, 1, "", 1.0 / 32767},
    {"worldForwardDirY", kI16, kF1All, 1, "", 1.0 / 32767},
    {"worldForwardDirZ", kI16, kF1All, 1, "", 1.0 / 32767},
    {"worldRightDirX", kI16, kF1All, 1, "", 1.0 / 32767},
    {"worldRightDirY", kI16, kF1All, 1, "", 1.0 / 32767},
    {"worldRightDirZ", kI16, kF1All, 1, "", 1.0 / 32767},
    {"gForceLateral", kF32, kF1To25, 1, "g"},
    {"gForceLateral", kI16, kF1Only26, 1, "g", 1.0 / 1024},
    {"gForceLongitudinal", kF32, kF1To25, 1, "g"},
    {"gForceLongitudinal", kI16, kF1Only26, 1, "g", 1.0 / 1024},
    {"gForceVertical", kF32, kF1To25, 1, "g"},
    {"gForceVertical", kI16, kF1Only26, 1, "g", 1.0 / 1024},
    {"yaw", kF32, kF1All, 1, "rad"},
    {"pitch", kF32, kF1All, 1, "rad"},
    {"roll", kF32, kF1All, 1, "rad"},
};

// The player's car alone.
constexpr F1Field kMotionExFields[] = {
    {"suspensionPosition", kF32, kF1From23, kF1Tyres},
    {"suspensionVelocity", kF32, kF1From23, kF1Tyres},
    {"suspensionAcceleration", kF32, kF1From23, kF1Tyres},
    {"wheelSpeed", kF32, kF1From23, kF1Tyres},
    {"wheelSlipRatio", kF32, kF1From23, kF1Tyres},
    {"wheelSlipAngle", kF32, kF1From23, kF1Tyres},
    {"wheelLatForce", kF32, kF1From23, kF1Tyres},
    {"wheelLongForce", kF32, kF1From23, kF1Tyres},
    {"heightOfCOGAboveGround", kF32, kF1From23},
    {"localVelocityX", kF32, kF1From23, 1, "m/s"},
    {"localVelocityY", kF32, kF1From23, 1, "m/s"},
    {"localVelocityZ", kF32, kF1From23, 1, "m/s"},
    {"angularVelocityX", kF32, kF1From23, 1, "rad/s"},
    {"angularVelocityY", kF32, kF1From23, 1, "rad/s"},
    {"angularVelocityZ", kF32, kF1From23, 1, "rad/s"},
    {"angularAccelerationX", kF32, kF1From23, 1, "rad/s2"},
    {"angularAccelerationY", kF32, kF1From23, 1, "rad/s2"},
    {"angularAccelerationZ", kF32, kF1From23, 1, "rad/s2"},
    {"frontWheelsAngle", kF32, kF1From23, 1, "rad"},
    {"wheelVertForce", kF32, kF1From23, kF1Tyres},
    {"frontAeroHeight", kF32, kF1From24},
    {"rearAeroHeight", kF32, kF1From24},
    {"frontRollAngle", kF32, kF1From24},
    {"rearRollAngle", kF32, kF1From24},
    {"chassisYaw", kF32, kF1From24, 1, "rad"},
    {"chassisPitch", kF32, kF1From25, 1, "rad"},
    {"wheelCamber", kF32, kF1From25, kF1Tyres, "rad"},
    {"wheelCamberGain", kF32, kF1From25, kF1Tyres, "rad"},
};

constexpr F1Field kLapFields[] = {
    {"lastLapTimeInMS", kU32, kF1All, 1, "ms"},
    {"currentLapTimeInMS", kU32, kF1All, 1, "ms"},
    {"sector1TimeMSPart", kU16, kF1All, 1, "ms"},
    {"sector1TimeMinutesPart", kU8, kF1From23, 1, "min"},
    {"sector2TimeMSPart", kU16, kF1All, 1, "ms"},
    {"sector2TimeMinutesPart", kU8, kF1From23, 1, "min"},
    {"deltaToCarInFrontMSPart", kU16, kF1From23, 1, "ms"},
    {"deltaToCarInFrontMinutesPart", kU8, kF1From24, 1, "min"},
    {"deltaToRaceLeaderMSPart", kU16, kF1From23, 1, "ms"},
    {"deltaToRaceLeaderMinutesPart", kU8, kF1From24, 1, "min"},
    {"lapDistance", kF32, kF1All, 1, "m"},
    {"totalDistance", kF32, kF1All, 1, "m"},
    {"safetyCarDelta", kF32, kF1All, 1, "s"},
    {"carPosition", kU8, kF1All},
    {"currentLapNum", kU8, kF1All},
    {"pitStatus", kU8, kF1All},
    {"numPitStops", kU8, kF1All},
    {"sector", kU8, kF1All},
    {"currentLapInvalid", kU8, kF1All},
    {"penalties", kU8, kF1All, 1, "s"},
    {"totalWarnings", kU8, kF1All},
    {"cornerCuttingWarnings", kU8, kF1From23},
    {"numUnservedDriveThroughPens", kU8, kF1All},
    {"numUnservedStopGoPens", kU8, kF1All},
    {"gridPosition", kU8, kF1All},
    {"driverStatus", kU8, kF1All},
    {"resultStatus", kU8, kF1All},
    {"pitLaneTimerActive", kU8, kF1All},
    {"pitLaneTimeInLaneInMS", kU16, kF1All, 1, "ms"},
    {"pitStopTimerInMS", kU16, kF1All, 1, "ms"},
    {"pitStopShouldServePen", kU8, kF1All},
    {"speedTrapFastestSpeed", kF32, kF1From24, 1, "km/h"},
    {"speedTrapFastestLap", kU8, kF1From24},
};

constexpr F1Field kSetupFields[] = {
    {"frontWing", kU8, kF1All},
    {"rearWing", kU8, kF1All},
    {"onThrottle", kU8, kF1All, 1, "%"},
    {"offThrottle", kU8, kF1All, 1, "%"},
    {"frontCamber", kF32, kF1All},
    {"rearCamber", kF32, kF1All},
    {"frontToe", kF32, kF1All},
    {"rearToe", kF32, kF1All},
    {"frontSuspension", kU8, kF1All},
    {"rearSuspension", kU8, kF1All},
    {"frontAntiRollBar", kU8, kF1All},
    {"rearAntiRollBar", kU8, kF1All},
    {"frontSuspensionHeight", kU8, kF1All},
    {"rearSuspensionHeight", kU8, kF1All},
    {"brakePressure", kU8, kF1All, 1, "%"},
    {"brakeBias", kU8, kF1All, 1, "%"},
    {"engineBraking", kU8, kF1From24, 1, "%"},
    {"rearLeftTyrePressure", kF32, kF1All, 1, "psi"},
    {"rearRightTyrePressure", kF32, kF1All, 1, "psi"},
    {"frontLeftTyrePressure", kF32, kF1All, 1, "psi"},
    {"frontRightTyrePressure", kF32, kF1All, 1, "psi"},
    {"ballast", kU8, kF1All},
    {"fuelLoad", kF32, kF1All},
};

constexpr F1Field kTelemetryFields[] = {
    {"speed", kU16, kF1All, 1, "km/h"},
    {"throttle", kF32, kF1All},
    {"steer", kF32, kF1All},
    {"brake", kF32, kF1All},
    {"clutch", kU8, kF1All, 1, "%"},
    {"gear", kI8, kF1All},
    {"engineRPM", kU16, kF1All, 1, "1/min"},
    {"drs", kU8, kF1All},
    {"revLightsPercent", kU8, kF1All, 1, "%"},
    {"revLightsBitValue", kU16, kF1All},
    {"brakesTemperature", kU16, kF1All, kF1Tyres, "degC"},
    {"tyresSurfaceTemperature", kU8, kF1All, kF1Tyres, "degC"},
    {"tyresInnerTemperature", kU8, kF1All, kF1Tyres, "degC"},
    {"engineTemperature", kU16, kF1To25, 1, "degC"},
    {"engineTemperature", kU8, kF1Only26, 1, "degC"},
    {"tyresPressure", kF32, kF1All, kF1Tyres, "psi"},
    {"surfaceType", kU8, kF1All, kF1Tyres},
};

constexpr F1Field kStatusFields[] = {
    {"tractionControl", kU8, kF1All},
    {"antiLockBrakes", kU8, kF1All},
    {"fuelMix", kU8, kF1All},
    {"frontBrakeBias", kU8, kF1All, 1, "%"},
    {"pitLimiterStatus", kU8, kF1All},
    {"fuelInTank", kF32, kF1All},
    {"fuelCapacity", kF32, kF1All},
    {"fuelRemainingLaps", kF32, kF1All},
    {"maxRPM", kU16, kF1All, 1, "1/min"},
    {"idleRPM", kU16, kF1All, 1, "1/min"},
    {"maxGears", kU8, kF1All},
    {"drsAllowed", kU8, kF1All},
    {"drsActivationDistance", kU16, kF1All, 1, "m"},
    {"actualTyreCompound", kU8, kF1All},
    {"visualTyreCompound", kU8, kF1All},
    {"tyresAgeLaps", kU8, kF1All},
    {"vehicleFiaFlags", kI8, kF1All},
    {"enginePowerICE", kF32, kF1From23, 1, "W"},
    {"enginePowerMGUK", kF32, kF1From23, 1, "W"},
    {"ersStoreEnergy", kF32, kF1All, 1, "J"},
    {"ersDeployMode", kU8, kF1All},
    {"ersHarvestedThisLapMGUK", kF32, kF1All, 1, "J"},
    {"ersHarvestedThisLapMGUH", kF32, kF1All, 1, "J"},
    {"ersHarvestLimitPerLap", kF32, kF1Only26, 1, "J"},
    {"ersDeployedThisLap", kF32, kF1All, 1, "J"},
    {"networkPaused", kU8, kF1All},
};

constexpr F1Field kDamageFields[] = {
    {"tyresWear", kF32, kF1All, kF1Tyres, "%"},
    {"tyresDamage", kU8, kF1All, kF1Tyres, "%"},
    {"brakesDamage", kU8, kF1All, kF1Tyres, "%"},
    {"tyreBlisters", kU8, kF1From25, kF1Tyres, "%"},
    {"frontLeftWingDamage", kU8, kF1All, 1, "%"},
    {"frontRightWingDamage", kU8, kF1All, 1, "%"},
    {"rearWingDamage", kU8, kF1All, 1, "%"},
    {"floorDamage", kU8, kF1All, 1, "%"},
    {"diffuserDamage", kU8, kF1All, 1, "%"},
    {"sidepodDamage", kU8, kF1All, 1, "%"},
    {"drsFault", kU8, kF1All},
    {"ersFault", kU8, kF1All},
    {"gearBoxDamage", kU8, kF1All, 1, "%"},
    {"engineDamage", kU8, kF1All, 1, "%"},
    {"engineMGUHWear", kU8, kF1All, 1, "%"},
    {"engineESWear", kU8, kF1All, 1, "%"},
    {"engineCEWear", kU8, kF1All, 1, "%"},
    {"engineICEWear", kU8, kF1All, 1, "%"},
    {"engineMGUKWear", kU8, kF1All, 1, "%"},
    {"engineTCWear", kU8, kF1All, 1, "%"},
    {"engineBlown", kU8, kF1All},
    {"engineSeized", kU8, kF1All},
};

constexpr F1Field kTelemetry2Fields[] = {
    {"activeAeroMode", kU8, kF1Only26},
    {"activeAeroAvailable", kU8, kF1Only26},
    {"activeAeroActivationDistance", kU16, kF1Only26},
    {"overtakeAvailable", kU8, kF1Only26},
    {"overtakeActive", kU8, kF1Only26},
    {"overtakeActivationDistance", kU16, kF1Only26},
    {"regulations2026Applicable", kU8, kF1Only26},
    {"isDrivingWrongWay", kU8, kF1Only26},
};

constexpr F1Records kMotionCars = {"f1.motion", true, {}, kMotionFields};
constexpr F1Records kLapCars = {"f1.lap_data", true, {}, kLapFields};
constexpr F1Records kSetupCars = {"f1.car_setups", true, {}, kSetupFields};
constexpr F1Records kTelemetryCars = {"f1.car_telemetry", true, {}, kTelemetryFields};
constexpr F1Records kStatusCars = {"f1.car_status", true, {}, kStatusFields};
constexpr F1Records kDamageCars = {"f1.car_damage", true, {}, kDamageFields};
constexpr F1Records kTelemetry2Cars = {"f1.car_telemetry_2", true, {}, kTelemetry2Fields};

constexpr F1Field kMotionPacket[] = {
    {"cars", kRecords, kF1All, kF1EachSlot, "", 1, &kMotionCars},
    {"suspensionPosition", kF32, kF1Only22, kF1Tyres},
    {"suspensionVelocity", kF32, kF1Only22, kF1Tyres},
    {"suspensionAcceleration", kF32, kF1Only22, kF1Tyres},
    {"wheelSpeed", kF32, kF1Only22, kF1Tyres},
    {"wheelSlip", kF32, kF1Only22, kF1Tyres},
    {"localVelocityX", kF32, kF1Only22, 1, "m/s"},
    {"localVelocityY", kF32, kF1Only22, 1, "m/s"},
    {"localVelocityZ", kF32, kF1Only22, 1, "m/s"},
    {"angularVelocityX", kF32, kF1Only22, 1, "rad/s"},
    {"angularVelocityY", kF32, kF1Only22, 1, "rad/s"},
    {"angularVelocityZ", kF32, kF1Only22, 1, "rad/s"},
    {"angularAccelerationX", kF32, kF1Only22, 1, "rad/s2"},
    {"angularAccelerationY", kF32, kF1Only22, 1, "rad/s2"},
    {"angularAccelerationZ", kF32, kF1Only22, 1, "rad/s2"},
    {"frontWheelsAngle", kF32, kF1Only22, 1, "rad"},
};
constexpr F1Field kLapPacket[] = {
    {"cars", kRecords, kF1All, kF1EachSlot, "", 1, &kLapCars},
    {"timeTrialPBCarIdx"},
    {"timeTrialRivalCarIdx"},
};
constexpr F1Field kSetupPacket[] = {
    {"cars", kRecords, kF1All, kF1EachSlot, "", 1, &kSetupCars},
    {"nextFrontWingValue", kF32, kF1From24},
};
constexpr F1Field kTelemetryPacket[] = {
    {"cars", kRecords, kF1All, kF1EachSlot, "", 1, &kTelemetryCars},
    {"mfdPanelIndex"},
    {"mfdPanelIndexSecondaryPlayer"},
    {"suggestedGear", kI8},
};
constexpr F1Field kStatusPacket[] = {
    {"cars", kRecords, kF1All, kF1EachSlot, "", 1, &kStatusCars},
};
constexpr F1Field kDamagePacket[] = {
    {"cars", kRecords, kF1All, kF1EachSlot, "", 1, &kDamageCars},
};
constexpr F1Field kTelemetry2Packet[] = {
    {"cars", kRecords, kF1Only26, kF1EachSlot, "", 1, &kTelemetry2Cars},
};

constexpr F1Packet kF1CarPackets[] = {
    {0, "f1.motion_ex", F1Owner::kPlayer, kMotionPacket, {1464, 1349, 1349, 1349, 1325}},
    {2, "f1.lap_data.session", F1Owner::kSession, kLapPacket, {972, 1131, 1285, 1285, 1399}},
    {5, "f1.car_setups.player", F1Owner::kPlayer, kSetupPacket, {1102, 1107, 1133, 1133, 1233}},
    {6, "f1.car_telemetry.player", F1Owner::kPlayer, kTelemetryPacket,
     {1347, 1352, 1352, 1352, 1448}},
    {7, {}, F1Owner::kSession, kStatusPacket, {1058, 1239, 1239, 1239, 1445}},
    {10, {}, F1Owner::kSession, kDamagePacket, {948, 953, 953, 1041, 1133}},
    {13, "f1.motion_ex", F1Owner::kPlayer, kMotionExFields, {0, 217, 237, 273, 273}},
    {16, {}, F1Owner::kSession, kTelemetry2Packet, {0, 0, 0, 0, 269}},
};
// clang-format on

constexpr bool f1_car_packets_add_up() {
  for (const F1Packet& packet : kF1CarPackets) {
    if (!f1_adds_up(packet)) return false;
  }
  return true;
}
static_assert(f1_car_packets_add_up());

}  // namespace

std::span<const F1Packet> f1_car_packets() {
  return kF1CarPackets;
}

}  // namespace pitbox
