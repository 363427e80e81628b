"""Reads datagrams of the F1 games, by offsets (f1_reference_tables.py), and prints what is in them:

    one line for each row: car, group, source time in ns, then name=type:bytes for each channel
    "reject REASON" for a datagram that is refused, "drop" for one that is none of the game's

separated by tabs, with a line "# NUMBER" before each datagram.

    f1_reference.py each FILE...   every file is one datagram, heard by a decoder of its own
    f1_reference.py log FILE...    repeated <u64 ns><u16 length><datagram>, one decoder a file
"""

import re
import struct
import sys

import f1_reference_tables as tables

YEARS = (2022, 2023, 2024, 2025, 2026)
WIDTHS = {"i8": 1, "u8": 1, "i16": 2, "u16": 2, "u32": 4, "u64": 8, "f32": 4, "f64": 8}
TYRES = ("RL", "RR", "FL", "FR")
SIZES = {
    0: (1464, 1349, 1349, 1349, 1325), 1: (632, 644, 753, 753, 926),
    2: (972, 1131, 1285, 1285, 1399), 3: (40, 45, 45, 45, 45),
    4: (1257, 1306, 1350, 1284, 1470), 5: (1102, 1107, 1133, 1133, 1233),
    6: (1347, 1352, 1352, 1352, 1448), 7: (1058, 1239, 1239, 1239, 1445),
    8: (1015, 1020, 1020, 1042, 1134), 9: (1191, 1218, 1306, 954, 1062),
    10: (948, 953, 953, 1041, 1133), 11: (1155, 1460, 1460, 1460, 1460),
    12: (0, 231, 231, 231, 231), 13: (0, 217, 237, 273, 273),
    14: (0, 0, 101, 101, 104), 15: (0, 0, 0, 1131, 1231), 16: (0, 0, 0, 0, 269),
}
RECORD_BYTES = {
    "MOTION": (60, 60, 60, 60, 54), "LAP": (43, 50, 57, 57, 57),
    "TELEMETRY": (60, 60, 60, 60, 59), "STATUS": (47, 55, 55, 55, 59),
    "DAMAGE": (42, 42, 42, 46, 46), "PARTICIPANT": (56, 58, 60, 57, 60),
    "CLASSIFICATION": (45, 45, 45, 46, 46), "LAP_HISTORY": (11, 14, 14, 14, 14),
    "SETUP": (49, 49, 50, 50, 50), "LOBBY": (53, 54, 58, 42, 43),
}
# What every car has a record of: packet id, group, table, bytes before the first record.
CAR_ARRAYS = {
    0: ("f1.motion", "MOTION", 0), 2: ("f1.lap_data", "LAP", 0),
    4: ("f1.participants", "PARTICIPANT", 1), 5: ("f1.car_setups", "SETUP", 0),
    6: ("f1.car_telemetry", "TELEMETRY", 0), 7: ("f1.car_status", "STATUS", 0),
    8: ("f1.final_classification", "CLASSIFICATION", 1), 10: ("f1.car_damage", "DAMAGE", 0),
}
# (name, type) one behind the other; a number behind the name makes an array.
EVENTS = {
    "SSTA": "", "SEND": "", "DRSE": "", "CHQF": "", "LGOT": "", "RDFL": "",
    "FTLP": "vehicleIdx u8 lapTime f32", "TMPT": "vehicleIdx u8", "RCWN": "vehicleIdx u8",
    "DTSV": "vehicleIdx u8", "STLG": "numLights u8", "BUTN": "buttonStatus u32",
    "PENA": "penaltyType u8 infringementType u8 vehicleIdx u8 otherVehicleIdx u8 time u8 "
            "lapNum u8 placesGained u8",
    "SPTP": "vehicleIdx u8 speed f32 isOverallFastestInSession u8 isDriverFastestInSession u8 "
            "fastestVehicleIdxInSession u8 fastestSpeedInSession f32",
    "FLBK": "flashbackFrameIdentifier u32 flashbackSessionTime f32",
    "OVTK": "overtakingVehicleIdx u8 beingOvertakenVehicleIdx u8",
    "SCAR": "safetyCarType u8 eventType u8",
    "RTMT": ("vehicleIdx u8", "vehicleIdx u8 reason u8"),
    "SGSV": ("vehicleIdx u8", "vehicleIdx u8 stopTime f32"), "DRSD": ("", "reason u8"),
    "COLL": "vehicle1Idx u8 vehicle2Idx u8",
}
EVENT_CARS = {"FTLP": 0, "TMPT": 0, "RCWN": 0, "DTSV": 0, "PENA": 2, "SPTP": 0, "OVTK": 0,
              "RTMT": 0, "SGSV": 0, "COLL": 0}
MOTION_EX_2022 = ("suspensionPosition[4] suspensionVelocity[4] suspensionAcceleration[4] "
                  "wheelSpeed[4] wheelSlip[4] localVelocityX localVelocityY localVelocityZ "
                  "angularVelocityX angularVelocityY angularVelocityZ angularAccelerationX "
                  "angularAccelerationY angularAccelerationZ frontWheelsAngle").split()
MOTION_EX_2023 = (
    "suspensionPosition[4] suspensionVelocity[4] suspensionAcceleration[4] wheelSpeed[4] "
    "wheelSlipRatio[4] wheelSlipAngle[4] wheelLatForce[4] wheelLongForce[4] "
    "heightOfCOGAboveGround localVelocityX localVelocityY localVelocityZ angularVelocityX "
    "angularVelocityY angularVelocityZ angularAccelerationX angularAccelerationY "
    "angularAccelerationZ frontWheelsAngle wheelVertForce[4]").split()
MOTION_EX_2024 = MOTION_EX_2023 + ["frontAeroHeight", "rearAeroHeight", "frontRollAngle",
                                   "rearRollAngle", "chassisYaw"]
MOTION_EX_2025 = MOTION_EX_2024 + ["chassisPitch", "wheelCamber[4]", "wheelCamberGain[4]"]


def channels_of(name, kind, count, at):
    """(name, type, place) of each value of a field."""
    width = WIDTHS[kind]
    if count == 1:
        return [(name, kind, at)]
    return [("%s_%s" % (name, TYRES[i] if count == 4 else i), kind, at + i * width)
            for i in range(count)]


def from_table(table, year):
    """The channels of a table in one format; texts and records within it are none."""
    found = []
    for line in getattr(tables, table).strip().split("\n"):
        name, kind, *places = line.split()
        place = places[YEARS.index(year)]
        if place == "-":
            continue
        if kind == "*":
            place, kind = place.split(":")
        base, count = re.fullmatch(r"(\w+?)(?:\[(\d+)\])?", kind).groups()
        if base != "char":
            found += channels_of(name, base, int(count or 1), int(place))
    return found


def in_a_row(words, at=0):
    """Channels of "name type name[4] type ...", one behind the other."""
    found = []
    for name, kind in zip(words[::2], words[1::2]):
        base, count = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", name).groups()
        found += channels_of(base, kind, int(count or 1), at)
        at += int(count or 1) * WIDTHS[kind]
    return found


def floats(names):
    return in_a_row([word for name in names for word in (name, "f32")])


HEADER = (
    [("packetFormat", "u16", 0), ("gameMajorVersion", "u8", 2), ("gameMinorVersion", "u8", 3),
     ("packetVersion", "u8", 4), ("packetId", "u8", 5), ("sessionUID", "u64", 6),
     ("sessionTime", "f32", 14), ("playerCarIndex", "u8", 22),
     ("secondaryPlayerCarIndex", "u8", 23)],
    [("packetFormat", "u16", 0), ("gameYear", "u8", 2), ("gameMajorVersion", "u8", 3),
     ("gameMinorVersion", "u8", 4), ("packetVersion", "u8", 5), ("packetId", "u8", 6),
     ("sessionUID", "u64", 7), ("sessionTime", "f32", 15), ("overallFrameIdentifier", "u32", 23),
     ("playerCarIndex", "u8", 27), ("secondaryPlayerCarIndex", "u8", 28)])


class Decoder:
    def __init__(self):
        self.session = None
        self.forget()

    def forget(self):
        self.numbers = [0] * 24
        self.listed = None     # numActiveCars
        self.standing = None   # resultStatus by slot

    def is_active(self, slot):
        if self.standing is not None:
            return slot < len(self.standing) and self.standing[slot] > 1
        return self.listed is None or slot < self.listed

    def car(self, slot):
        if slot >= self.cars:
            return "session"
        entered = [s for s in range(24) if s < (self.listed or 0) or
                   (self.standing is not None and self.is_active(s))]
        number = self.numbers[slot]
        if slot in entered and number and [self.numbers[s] for s in entered].count(number) == 1:
            return str(number)
        return "slot-%d" % slot

    def row(self, car, group, channels, at, index=None):
        line = [car, group, str(self.ns)]
        for name, kind, place in channels:
            value = self.data[at + place:at + place + WIDTHS[kind]]
            assert len(value) == WIDTHS[kind]
            line.append("%s=%s:%s" % (name, kind, value.hex()))
        if index is not None:
            line.append("index=u8:%02x" % index)
        line.append("frameIdentifier=u32:" + self.frame.hex())
        self.out.append("\t".join(line))

    def rows(self, car, group, channels, at, stride, count):
        for index in range(count):
            self.row(car, group, channels, at + index * stride, index)

    def decode(self, data):
        """The lines for one datagram."""
        self.out = []
        self.data = data
        if len(data) < 24:
            return ["drop"]
        self.year = struct.unpack_from("<H", data)[0]
        if self.year not in YEARS:
            return ["reject unsupported"] if 2018 <= self.year <= 2099 else ["drop"]
        old = self.year == 2022
        self.header = 24 if old else 29
        if len(data) < self.header:
            return ["drop"]
        self.cars = 24 if self.year == 2026 else 22
        packet = data[5 if old else 6]
        uid, seconds = struct.unpack_from("<Qf", data, 6 if old else 7)
        self.frame = data[18:22] if old else data[19:23]
        self.player = data[22 if old else 27]
        size = SIZES.get(packet, (0,) * 5)[YEARS.index(self.year)]
        if size == 0:
            return ["reject unsupported"]
        if len(data) != size or not abs(seconds) <= 5e7:
            return ["reject malformed"]
        code = data[self.header:self.header + 4].split(b"\0")[0].decode("latin-1")
        if packet == 3 and code not in EVENTS:
            return ["reject unsupported"]
        self.ns = round(seconds * 1e9)
        if uid != self.session:
            self.session = uid
            self.forget()
            self.row("session", "f1.header", HEADER[0 if old else 1], 0)
        if packet == 3:
            self.event(code)
        else:
            self.packet(packet)
        return self.out

    def event(self, code):
        fields = EVENTS[code]
        if isinstance(fields, tuple):
            fields = fields[self.year >= 2025]
        if code == "COLL" and self.year == 2026:
            fields += " severity u8"
        at = self.header + 4
        car = self.car(self.data[at + EVENT_CARS[code]]) if code in EVENT_CARS else "session"
        self.row(car, "f1.event." + code, in_a_row(fields.split()), at)

    def packet(self, packet):
        h, d = self.header, self.data
        year = YEARS.index(self.year)
        if packet == 2:
            at = dict((n, p) for n, _, p in from_table("LAP", self.year))["resultStatus"]
            stride = RECORD_BYTES["LAP"][year]
            self.standing = [d[h + s * stride + at] for s in range(self.cars)]
        if packet == 4:
            at = dict((n, p) for n, _, p in from_table("PARTICIPANT", self.year))["raceNumber"]
            stride = RECORD_BYTES["PARTICIPANT"][year]
            self.listed = d[h]
            for slot in range(self.cars):
                self.numbers[slot] = d[h + 1 + slot * stride + at]
        if packet in CAR_ARRAYS:
            self.car_array(*CAR_ARRAYS[packet], stated=d[h] if packet in (4, 8) else 0)
        getattr(self, "packet_%d" % packet, lambda: None)()

    def car_array(self, group, table, before, stated):
        stride = RECORD_BYTES[table][YEARS.index(self.year)]
        channels = from_table(table, self.year)
        for slot in range(self.cars):
            at = self.header + before + slot * stride
            in_use = self.is_active(slot)
            if table == "CLASSIFICATION":
                in_use = self.data[at + 5] > 1  # resultStatus
            if slot < stated or in_use:
                self.row(self.car(slot), group, channels, at)
        self.trailer = self.header + before + self.cars * stride

    def packet_0(self):
        if self.year == 2022:
            self.row(self.car(self.player), "f1.motion_ex", floats(MOTION_EX_2022), self.trailer)

    def packet_1(self):
        h, d = self.header, self.data
        channels = from_table("SESSION", self.year)
        if self.year == 2026:
            channels += in_a_row(["activeAeroTrackStatus", "u8"], 724)
            channels += in_a_row(["numActiveAeroZonesFull", "u8"], 725)
            channels += in_a_row(["numActiveAeroZonesPartial", "u8"], 790)
            channels += in_a_row(["numDrsZones", "u8"], 855)
            channels += in_a_row(
                ("startReactionTime f32 antiLockBrakesAssist u8 tractionControlAssist u8 "
                 "dynamicRacingLineHiVis u8 dynamicRacingLineColourBlind u8 "
                 "recurringRewindPrompt u8").split(), 888)
            zone = in_a_row("zoneStart f32 zoneEnd f32".split())
            for group, at, most in (("active_aero_zones_full", 725, 8),
                                    ("active_aero_zones_partial", 790, 8), ("drs_zones", 855, 4)):
                self.rows("session", "f1.session." + group, zone, h + at + 1, 8,
                          min(d[h + at], most))
        self.row("session", "f1.session", channels, h)
        self.rows("session", "f1.session.marshal_zones",
                  in_a_row("zoneStart f32 zoneFlag i8".split()), h + 19, 5, min(d[h + 18], 21))
        sample = in_a_row("sessionType u8 timeOffset u8 weather u8 trackTemperature i8 "
                          "trackTemperatureChange i8 airTemperature i8 airTemperatureChange i8 "
                          "rainPercentage u8".split())
        self.rows("session", "f1.session.weather_forecast", sample, h + 127, 8,
                  min(d[h + 126], 64 if self.year >= 2024 else 56))

    def packet_2(self):
        self.row("session", "f1.lap_data.session",
                 in_a_row("timeTrialPBCarIdx u8 timeTrialRivalCarIdx u8".split()), self.trailer)

    def packet_4(self):
        self.row("session", "f1.participants.session", in_a_row(["numActiveCars", "u8"]),
                 self.header)

    def packet_5(self):
        if self.year >= 2024:
            self.row(self.car(self.player), "f1.car_setups.player",
                     floats(["nextFrontWingValue"]), self.trailer)

    def packet_6(self):
        fields = "mfdPanelIndex u8 mfdPanelIndexSecondaryPlayer u8 suggestedGear i8"
        self.row(self.car(self.player), "f1.car_telemetry.player", in_a_row(fields.split()),
                 self.trailer)

    def packet_8(self):
        self.row("session", "f1.final_classification.session", in_a_row(["numCars", "u8"]),
                 self.header)

    def packet_9(self):
        self.row("session", "f1.lobby_info", in_a_row(["numPlayers", "u8"]), self.header)
        self.rows("session", "f1.lobby_info.players", from_table("LOBBY", self.year),
                  self.header + 1, RECORD_BYTES["LOBBY"][YEARS.index(self.year)],
                  min(self.data[self.header], self.cars))

    def named_car(self):
        """The car of a packet that is about one; None if nobody is in its slot."""
        slot = self.data[self.header]
        return None if slot < self.cars and not self.is_active(slot) else self.car(slot)

    def packet_11(self):
        h, d, car = self.header, self.data, self.named_car()
        if car is None:
            return
        names = ("carIdx numLaps numTyreStints bestLapTimeLapNum bestSector1LapNum "
                 "bestSector2LapNum bestSector3LapNum").split()
        self.row(car, "f1.session_history",
                 in_a_row([word for name in names for word in (name, "u8")]), h)
        stride = RECORD_BYTES["LAP_HISTORY"][YEARS.index(self.year)]
        self.rows(car, "f1.session_history.laps", from_table("LAP_HISTORY", self.year), h + 7,
                  stride, min(d[h + 1], 100))
        self.rows(car, "f1.session_history.tyre_stints",
                  in_a_row("endLap u8 tyreActualCompound u8 tyreVisualCompound u8".split()),
                  h + 7 + 100 * stride, 3, min(d[h + 2], 8))

    def packet_12(self):
        car = self.named_car()
        if car is None:
            return
        self.row(car, "f1.tyre_sets", [("carIdx", "u8", 0), ("fittedIdx", "u8", 201)], self.header)
        self.rows(car, "f1.tyre_sets.sets",
                  in_a_row("actualTyreCompound u8 visualTyreCompound u8 wear u8 available u8 "
                           "recommendedSession u8 lifeSpan u8 usableLife u8 lapDeltaTime i16 "
                           "fitted u8".split()), self.header + 1, 10, 20)

    def packet_13(self):
        names = {2023: MOTION_EX_2023, 2024: MOTION_EX_2024}.get(self.year, MOTION_EX_2025)
        self.row(self.car(self.player), "f1.motion_ex", floats(names), self.header)

    def packet_14(self):
        fields = ("carIdx u8 teamId %s lapTimeInMS u32 sector1TimeInMS u32 sector2TimeInMS u32 "
                  "sector3TimeInMS u32 tractionControl u8 gearboxAssist u8 antiLockBrakes u8 "
                  "equalCarPerformance u8 customSetup u8 valid u8")
        fields %= "u16" if self.year == 2026 else "u8"
        self.rows("session", "f1.time_trial", in_a_row(fields.split()), self.header,
                  25 if self.year == 2026 else 24, 3)

    def packet_15(self):
        self.row("session", "f1.lap_positions", in_a_row("numLaps u8 lapStart u8".split()),
                 self.header)
        self.rows("session", "f1.lap_positions.laps",
                  in_a_row(["positionForVehicleIdx[%d]" % self.cars, "u8"]), self.header + 2,
                  self.cars, min(self.data[self.header], 50))

    def packet_16(self):
        fields = ("activeAeroMode u8 activeAeroAvailable u8 activeAeroActivationDistance u16 "
                  "overtakeAvailable u8 overtakeActive u8 overtakeActivationDistance u16 "
                  "regulations2026Applicable u8 isDrivingWrongWay u8").split()
        for slot in range(self.cars):
            if self.is_active(slot):
                self.row(self.car(slot), "f1.car_telemetry_2", in_a_row(fields),
                         self.header + slot * 10)


def datagrams_of(data):
    at = 0
    while at < len(data):
        size = struct.unpack_from("<H", data, at + 8)[0]
        yield data[at + 10:at + 10 + size]
        at += 10 + size


def main(how, files):
    number = 0
    for name in files:
        with open(name, "rb") as file:
            data = file.read()
        decoder = Decoder()
        for datagram in [data] if how == "each" else datagrams_of(data):
            print("# %d" % number)
            number += 1
            print("\n".join(sorted(decoder.decode(datagram))))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
