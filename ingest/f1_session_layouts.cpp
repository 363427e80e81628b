#include "ingest/f1_layout.h"

namespace pitbox {
namespace {

using enum F1Type;

// clang-format off
constexpr F1Field kHeaderFields[] = {
    {"packetFormat", kU16},
    {"gameYear", kU8, kF1From23},
    {"gameMajorVersion"},
    {"gameMinorVersion"},
    {"packetVersion"},
    {"packetId"},
    {"sessionUID", kU64},
    {"sessionTime", kF32, kF1All, 1, "s"},
    {"frameIdentifier", kText, kF1All, 4},  // It is a channel of every row.
    {"overallFrameIdentifier", kU32, kF1From23},
    {"playerCarIndex"},
    {"secondaryPlayerCarIndex"},
};
static_assert(f1_bytes(kHeaderFields, F1Format::k2022) == f1_header_bytes(F1Format::k2022));
static_assert(f1_bytes(kHeaderFields, F1Format::k2023) == f1_header_bytes(F1Format::k2023));

constexpr F1Field kMarshalZoneFields[] = {
    {"zoneStart", kF32},
    {"zoneFlag", kI8},
};
constexpr F1Field kWeatherFields[] = {
    {"sessionType"},
    {"timeOffset", kU8, kF1All, 1, "min"},
    {"weather"},
    {"trackTemperature", kI8, kF1All, 1, "degC"},
    {"trackTemperatureChange", kI8},
    {"airTemperature", kI8, kF1All, 1, "degC"},
    {"airTemperatureChange", kI8},
    {"rainPercentage", kU8, kF1All, 1, "%"},
};
constexpr F1Field kZoneFields[] = {
    {"zoneStart", kF32, kF1Only26},
    {"zoneEnd", kF32, kF1Only26},
};
constexpr F1Records kMarshalZones = {"f1.session.marshal_zones", false, "numMarshalZones",
                                     kMarshalZoneFields};
constexpr F1Records kWeatherSamples = {"f1.session.weather_forecast", false,
                                       "numWeatherForecastSamples", kWeatherFields};
constexpr F1Records kFullAeroZones = {"f1.session.active_aero_zones_full", false,
                                      "numActiveAeroZonesFull", kZoneFields};
constexpr F1Records kPartialAeroZones = {"f1.session.active_aero_zones_partial", false,
                                         "numActiveAeroZonesPartial", kZoneFields};
constexpr F1Records kDrsZones = {"f1.session.drs_zones", false, "numDrsZones", kZoneFields};

constexpr F1Field kSessionPacket[] = {
    {"weather", kU8, kF1All},
    {"trackTemperature", kI8, kF1All, 1, "degC"},
    {"airTemperature", kI8, kF1All, 1, "degC"},
    {"totalLaps", kU8, kF1All},
    {"trackLength", kU16, kF1All, 1, "m"},
    {"sessionType", kU8, kF1All},
    {"trackId", kI8, kF1All},
    {"formula", kU8, kF1All},
    {"sessionTimeLeft", kU16, kF1All, 1, "s"},
    {"sessionDuration", kU16, kF1All, 1, "s"},
    {"pitSpeedLimit", kU8, kF1All, 1, "km/h"},
    {"gamePaused", kU8, kF1All},
    {"isSpectating", kU8, kF1All},
    {"spectatorCarIndex", kU8, kF1All},
    {"sliProNativeSupport", kU8, kF1All},
    {"numMarshalZones", kU8, kF1All},
    {"marshalZones", kRecords, kF1All, 21, "", 1, &kMarshalZones},
    {"safetyCarStatus", kU8, kF1All},
    {"networkGame", kU8, kF1All},
    {"numWeatherForecastSamples", kU8, kF1All},
    {"weatherForecastSamples", kRecords, kF1To23, 56, "", 1, &kWeatherSamples},
    {"weatherForecastSamples", kRecords, kF1From24, 64, "", 1, &kWeatherSamples},
    {"forecastAccuracy", kU8, kF1All},
    {"aiDifficulty", kU8, kF1All},
    {"seasonLinkIdentifier", kU32, kF1All},
    {"weekendLinkIdentifier", kU32, kF1All},
    {"sessionLinkIdentifier", kU32, kF1All},
    {"pitStopWindowIdealLap", kU8, kF1All},
    {"pitStopWindowLatestLap", kU8, kF1All},
    {"pitStopRejoinPosition", kU8, kF1All},
    {"steeringAssist", kU8, kF1All},
    {"brakingAssist", kU8, kF1All},
    {"gearboxAssist", kU8, kF1All},
    {"pitAssist", kU8, kF1All},
    {"pitReleaseAssist", kU8, kF1All},
    {"ERSAssist", kU8, kF1All},
    {"DRSAssist", kU8, kF1All},
    {"dynamicRacingLine", kU8, kF1All},
    {"dynamicRacingLineType", kU8, kF1All},
    {"gameMode", kU8, kF1All},
    {"ruleSet", kU8, kF1All},
    {"timeOfDay", kU32, kF1All, 1, "min"},
    {"sessionLength", kU8, kF1All},
    {"speedUnitsLeadPlayer", kU8, kF1From23},
    {"temperatureUnitsLeadPlayer", kU8, kF1From23},
    {"speedUnitsSecondaryPlayer", kU8, kF1From23},
    {"temperatureUnitsSecondaryPlayer", kU8, kF1From23},
    {"numSafetyCarPeriods", kU8, kF1From23},
    {"numVirtualSafetyCarPeriods", kU8, kF1From23},
    {"numRedFlagPeriods", kU8, kF1From23},
    {"equalCarPerformance", kU8, kF1From24},
    {"recoveryMode", kU8, kF1From24},
    {"flashbackLimit", kU8, kF1From24},
    {"surfaceType", kU8, kF1From24},
    {"lowFuelMode", kU8, kF1From24},
    {"raceStarts", kU8, kF1From24},
    {"tyreTemperature", kU8, kF1From24},
    {"pitLaneTyreSim", kU8, kF1From24},
    {"carDamage", kU8, kF1From24},
    {"carDamageRate", kU8, kF1From24},
    {"collisions", kU8, kF1From24},
    {"collisionsOffForFirstLapOnly", kU8, kF1From24},
    {"mpUnsafePitRelease", kU8, kF1From24},
    {"mpOffForGriefing", kU8, kF1From24},
    {"cornerCuttingStringency", kU8, kF1From24},
    {"parcFermeRules", kU8, kF1From24},
    {"pitStopExperience", kU8, kF1From24},
    {"safetyCar", kU8, kF1From24},
    {"safetyCarExperience", kU8, kF1From24},
    {"formationLap", kU8, kF1From24},
    {"formationLapExperience", kU8, kF1From24},
    {"redFlags", kU8, kF1From24},
    {"affectsLicenceLevelSolo", kU8, kF1From24},
    {"affectsLicenceLevelMP", kU8, kF1From24},
    {"numSessionsInWeekend", kU8, kF1From24},
    {"weekendStructure", kU8, kF1From24, 12},
    {"sector2LapDistanceStart", kF32, kF1From24, 1, "m"},
    {"sector3LapDistanceStart", kF32, kF1From24, 1, "m"},
    {"activeAeroTrackStatus", kU8, kF1Only26},
    {"numActiveAeroZonesFull", kU8, kF1Only26},
    {"activeAeroZonesFull", kRecords, kF1Only26, 8, "", 1, &kFullAeroZones},
    {"numActiveAeroZonesPartial", kU8, kF1Only26},
    {"activeAeroZonesPartial", kRecords, kF1Only26, 8, "", 1, &kPartialAeroZones},
    {"numDrsZones", kU8, kF1Only26},
    {"drsZones", kRecords, kF1Only26, 4, "", 1, &kDrsZones},
    {"startReactionTime", kF32, kF1Only26},
    {"antiLockBrakesAssist", kU8, kF1Only26},
    {"tractionControlAssist", kU8, kF1Only26},
    {"dynamicRacingLineHiVis", kU8, kF1Only26},
    {"dynamicRacingLineColourBlind", kU8, kF1Only26},
    {"recurringRewindPrompt", kU8, kF1Only26},
};

constexpr F1Field kParticipantFields[] = {
    {"aiControlled", kU8, kF1All},
    {"driverId", kU8, kF1To25},
    {"driverId", kU16, kF1Only26},
    {"networkId", kU8, kF1To25},
    {"networkId", kU16, kF1Only26},
    {"teamId", kU8, kF1To25},
    {"teamId", kU16, kF1Only26},
    {"myTeam", kU8, kF1All},
    {"raceNumber", kU8, kF1All},
    {"nationality", kU8, kF1All},
    {"name", kText, kF1To24, 48},
    {"name", kText, kF1From25, 32},
    {"yourTelemetry", kU8, kF1All},
    {"showOnlineNames", kU8, kF1From23},
    {"techLevel", kU16, kF1From24},
    {"platform", kU8, kF1From23},
    {"numColours", kU8, kF1From25},
    {"liveryColours_rgb", kU8, kF1From25, 12},
};

constexpr F1Field kClassificationFields[] = {
    {"position", kU8, kF1All},
    {"numLaps", kU8, kF1All},
    {"gridPosition", kU8, kF1All},
    {"points", kU8, kF1All},
    {"numPitStops", kU8, kF1All},
    {"resultStatus", kU8, kF1All},
    {"resultReason", kU8, kF1From25},
    {"bestLapTimeInMS", kU32, kF1All, 1, "ms"},
    {"totalRaceTime", kF64, kF1All, 1, "s"},
    {"penaltiesTime", kU8, kF1All, 1, "s"},
    {"numPenalties", kU8, kF1All},
    {"numTyreStints", kU8, kF1All},
    {"tyreStintsActual", kU8, kF1All, 8},
    {"tyreStintsVisual", kU8, kF1All, 8},
    {"tyreStintsEndLaps", kU8, kF1All, 8},
};

constexpr F1Field kLobbyFields[] = {
    {"aiControlled", kU8, kF1All},
    {"teamId", kU8, kF1To25},
    {"teamId", kU16, kF1Only26},
    {"nationality", kU8, kF1All},
    {"platform", kU8, kF1From23},
    {"name", kText, kF1To24, 48},
    {"name", kText, kF1From25, 32},
    {"carNumber", kU8, kF1All},
    {"yourTelemetry", kU8, kF1From24},
    {"showOnlineNames", kU8, kF1From24},
    {"techLevel", kU16, kF1From24},
    {"readyStatus", kU8, kF1All},
};

constexpr F1Field kLapHistoryFields[] = {
    {"lapTimeInMS", kU32, kF1All, 1, "ms"},
    {"sector1TimeMSPart", kU16, kF1All, 1, "ms"},
    {"sector1TimeMinutesPart", kU8, kF1From23, 1, "min"},
    {"sector2TimeMSPart", kU16, kF1All, 1, "ms"},
    {"sector2TimeMinutesPart", kU8, kF1From23, 1, "min"},
    {"sector3TimeMSPart", kU16, kF1All, 1, "ms"},
    {"sector3TimeMinutesPart", kU8, kF1From23, 1, "min"},
    {"lapValidBitFlags", kU8, kF1All},
};

constexpr F1Field kStintFields[] = {
    {"endLap"},
    {"tyreActualCompound"},
    {"tyreVisualCompound"},
};
constexpr F1Field kTyreSetFields[] = {
    {"actualTyreCompound"},
    {"visualTyreCompound"},
    {"wear", kU8, kF1All, 1, "%"},
    {"available"},
    {"recommendedSession"},
    {"lifeSpan"},
    {"usableLife"},
    {"lapDeltaTime", kI16, kF1All, 1, "ms"},
    {"fitted"},
};
constexpr F1Field kTimeTrialFields[] = {
    {"carIdx"},
    {"teamId", kU8, kF1To25},
    {"teamId", kU16, kF1Only26},
    {"lapTimeInMS", kU32, kF1All, 1, "ms"},
    {"sector1TimeInMS", kU32, kF1All, 1, "ms"},
    {"sector2TimeInMS", kU32, kF1All, 1, "ms"},
    {"sector3TimeInMS", kU32, kF1All, 1, "ms"},
    {"tractionControl"},
    {"gearboxAssist"},
    {"antiLockBrakes"},
    {"equalCarPerformance"},
    {"customSetup"},
    {"valid"},
};
constexpr F1Field kLapPositionFields[] = {
    {"positionForVehicleIdx", kU8, kF1From25, kF1EachSlot},
};

constexpr F1Records kParticipants = {"f1.participants", true, {}, kParticipantFields};
constexpr F1Records kClassifications = {"f1.final_classification", true, {}, kClassificationFields};
constexpr F1Records kLobbyPlayers = {"f1.lobby_info.players", false, "numPlayers", kLobbyFields};
constexpr F1Records kLapHistory = {"f1.session_history.laps", false, "numLaps", kLapHistoryFields};
constexpr F1Records kStintHistory = {"f1.session_history.tyre_stints", false, "numTyreStints",
                                     kStintFields};
constexpr F1Records kTyreSets = {"f1.tyre_sets.sets", false, {}, kTyreSetFields};
constexpr F1Records kTimeTrialSets = {"f1.time_trial", false, {}, kTimeTrialFields};
constexpr F1Records kLapPositions = {"f1.lap_positions.laps", false, "numLaps",
                                     kLapPositionFields};

constexpr F1Field kParticipantsPacket[] = {
    {"numActiveCars"},
    {"participants", kRecords, kF1All, kF1EachSlot, "", 1, &kParticipants},
};
constexpr F1Field kClassificationPacket[] = {
    {"numCars"},
    {"cars", kRecords, kF1All, kF1EachSlot, "", 1, &kClassifications},
};
constexpr F1Field kLobbyPacket[] = {
    {"numPlayers"},
    {"players", kRecords, kF1All, kF1EachSlot, "", 1, &kLobbyPlayers},
};
constexpr F1Field kSessionHistoryPacket[] = {
    {"carIdx"},
    {"numLaps"},
    {"numTyreStints"},
    {"bestLapTimeLapNum"},
    {"bestSector1LapNum"},
    {"bestSector2LapNum"},
    {"bestSector3LapNum"},
    {"laps", kRecords, kF1All, 100, "", 1, &kLapHistory},
    {"stints", kRecords, kF1All, 8, "", 1, &kStintHistory},
};
constexpr F1Field kTyreSetsPacket[] = {
    {"carIdx"},
    {"sets", kRecords, kF1All, 20, "", 1, &kTyreSets},
    {"fittedIdx"},
};
constexpr F1Field kTimeTrialPacket[] = {
    {"sets", kRecords, kF1All, 3, "", 1, &kTimeTrialSets},
};
constexpr F1Field kLapPositionsPacket[] = {
    {"numLaps"},
    {"lapStart"},
    {"laps", kRecords, kF1From25, 50, "", 1, &kLapPositions},
};

constexpr F1Packet kF1SessionPackets[] = {
    {1, "f1.session", F1Owner::kSession, kSessionPacket, {632, 644, 753, 753, 926}},
    {4, "f1.participants.session", F1Owner::kSession, kParticipantsPacket,
     {1257, 1306, 1350, 1284, 1470}},
    {8, "f1.final_classification.session", F1Owner::kSession, kClassificationPacket,
     {1015, 1020, 1020, 1042, 1134}},
    {9, "f1.lobby_info", F1Owner::kSession, kLobbyPacket, {1191, 1218, 1306, 954, 1062}},
    {11, "f1.session_history", F1Owner::kNamed, kSessionHistoryPacket,
     {1155, 1460, 1460, 1460, 1460}},
    {12, "f1.tyre_sets", F1Owner::kNamed, kTyreSetsPacket, {0, 231, 231, 231, 231}},
    {14, {}, F1Owner::kSession, kTimeTrialPacket, {0, 0, 101, 101, 104}},
    {15, "f1.lap_positions", F1Owner::kSession, kLapPositionsPacket, {0, 0, 0, 1131, 1231}},
};
// clang-format on

constexpr bool f1_session_packets_add_up() {
  for (const F1Packet& packet : kF1SessionPackets) {
    if (!f1_adds_up(packet)) return false;
  }
  return true;
}
static_assert(f1_session_packets_add_up());

}  // namespace

std::span<const F1Field> f1_header_fields() {
  return kHeaderFields;
}

std::span<const F1Packet> f1_session_packets() {
  return kF1SessionPackets;
}

}  // namespace pitbox
