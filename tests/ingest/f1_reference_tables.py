"""Where the fields of the F1 games' records lie: name, type, and the byte at which the field begins
in the formats 2022, 2023, 2024, 2025 and 2026 ("-": not there). Where the type differs by format,
"*" stands for it and each place says its own.

For f1_reference.py. The decoder under test has no such offsets: it adds up widths.
"""

MOTION = """
worldPositionX f32 0 0 0 0 0
worldPositionY f32 4 4 4 4 4
worldPositionZ f32 8 8 8 8 8
worldVelocityX f32 12 12 12 12 12
worldVelocityY f32 16 16 16 16 16
worldVelocityZ f32 20 20 20 20 20
worldForwardDirX i16 24 24 24 24 24
worldForwardDirY i16 26 26 26 26 26
worldForwardDirZ i16 28 28 28 28 28
worldRightDirX i16 30 30 30 30 30
worldRightDirY i16 32 32 32 32 32
worldRightDirZ i16 34 34 34 34 34
gForceLateral * 36:f32 36:f32 36:f32 36:f32 36:i16
gForceLongitudinal * 40:f32 40:f32 40:f32 40:f32 38:i16
gForceVertical * 44:f32 44:f32 44:f32 44:f32 40:i16
yaw f32 48 48 48 48 42
pitch f32 52 52 52 52 46
roll f32 56 56 56 56 50
"""

LAP = """
lastLapTimeInMS u32 0 0 0 0 0
currentLapTimeInMS u32 4 4 4 4 4
sector1TimeMSPart u16 8 8 8 8 8
sector1TimeMinutesPart u8 - 10 10 10 10
sector2TimeMSPart u16 10 11 11 11 11
sector2TimeMinutesPart u8 - 13 13 13 13
deltaToCarInFrontMSPart u16 - 14 14 14 14
deltaToCarInFrontMinutesPart u8 - - 16 16 16
deltaToRaceLeaderMSPart u16 - 16 17 17 17
deltaToRaceLeaderMinutesPart u8 - - 19 19 19
lapDistance f32 12 18 20 20 20
totalDistance f32 16 22 24 24 24
safetyCarDelta f32 20 26 28 28 28
carPosition u8 24 30 32 32 32
currentLapNum u8 25 31 33 33 33
pitStatus u8 26 32 34 34 34
numPitStops u8 27 33 35 35 35
sector u8 28 34 36 36 36
currentLapInvalid u8 29 35 37 37 37
penalties u8 30 36 38 38 38
totalWarnings u8 31 37 39 39 39
cornerCuttingWarnings u8 - 38 40 40 40
numUnservedDriveThroughPens u8 32 39 41 41 41
numUnservedStopGoPens u8 33 40 42 42 42
gridPosition u8 34 41 43 43 43
driverStatus u8 35 42 44 44 44
resultStatus u8 36 43 45 45 45
pitLaneTimerActive u8 37 44 46 46 46
pitLaneTimeInLaneInMS u16 38 45 47 47 47
pitStopTimerInMS u16 40 47 49 49 49
pitStopShouldServePen u8 42 49 51 51 51
speedTrapFastestSpeed f32 - - 52 52 52
speedTrapFastestLap u8 - - 56 56 56
"""

TELEMETRY = """
speed u16 0 0 0 0 0
throttle f32 2 2 2 2 2
steer f32 6 6 6 6 6
brake f32 10 10 10 10 10
clutch u8 14 14 14 14 14
gear i8 15 15 15 15 15
engineRPM u16 16 16 16 16 16
drs u8 18 18 18 18 18
revLightsPercent u8 19 19 19 19 19
revLightsBitValue u16 20 20 20 20 20
brakesTemperature u16[4] 22 22 22 22 22
tyresSurfaceTemperature u8[4] 30 30 30 30 30
tyresInnerTemperature u8[4] 34 34 34 34 34
engineTemperature * 38:u16 38:u16 38:u16 38:u16 38:u8
tyresPressure f32[4] 40 40 40 40 39
surfaceType u8[4] 56 56 56 56 55
"""

STATUS = """
tractionControl u8 0 0 0 0 0
antiLockBrakes u8 1 1 1 1 1
fuelMix u8 2 2 2 2 2
frontBrakeBias u8 3 3 3 3 3
pitLimiterStatus u8 4 4 4 4 4
fuelInTank f32 5 5 5 5 5
fuelCapacity f32 9 9 9 9 9
fuelRemainingLaps f32 13 13 13 13 13
maxRPM u16 17 17 17 17 17
idleRPM u16 19 19 19 19 19
maxGears u8 21 21 21 21 21
drsAllowed u8 22 22 22 22 22
drsActivationDistance u16 23 23 23 23 23
actualTyreCompound u8 25 25 25 25 25
visualTyreCompound u8 26 26 26 26 26
tyresAgeLaps u8 27 27 27 27 27
vehicleFiaFlags i8 28 28 28 28 28
enginePowerICE f32 - 29 29 29 29
enginePowerMGUK f32 - 33 33 33 33
ersStoreEnergy f32 29 37 37 37 37
ersDeployMode u8 33 41 41 41 41
ersHarvestedThisLapMGUK f32 34 42 42 42 42
ersHarvestedThisLapMGUH f32 38 46 46 46 46
ersHarvestLimitPerLap f32 - - - - 50
ersDeployedThisLap f32 42 50 50 50 54
networkPaused u8 46 54 54 54 58
"""

DAMAGE = """
tyresWear f32[4] 0 0 0 0 0
tyresDamage u8[4] 16 16 16 16 16
brakesDamage u8[4] 20 20 20 20 20
tyreBlisters u8[4] - - - 24 24
frontLeftWingDamage u8 24 24 24 28 28
frontRightWingDamage u8 25 25 25 29 29
rearWingDamage u8 26 26 26 30 30
floorDamage u8 27 27 27 31 31
diffuserDamage u8 28 28 28 32 32
sidepodDamage u8 29 29 29 33 33
drsFault u8 30 30 30 34 34
ersFault u8 31 31 31 35 35
gearBoxDamage u8 32 32 32 36 36
engineDamage u8 33 33 33 37 37
engineMGUHWear u8 34 34 34 38 38
engineESWear u8 35 35 35 39 39
engineCEWear u8 36 36 36 40 40
engineICEWear u8 37 37 37 41 41
engineMGUKWear u8 38 38 38 42 42
engineTCWear u8 39 39 39 43 43
engineBlown u8 40 40 40 44 44
engineSeized u8 41 41 41 45 45
"""

PARTICIPANT = """
aiControlled u8 0 0 0 0 0
driverId * 1:u8 1:u8 1:u8 1:u8 1:u16
networkId * 2:u8 2:u8 2:u8 2:u8 3:u16
teamId * 3:u8 3:u8 3:u8 3:u8 5:u16
myTeam u8 4 4 4 4 7
raceNumber u8 5 5 5 5 8
nationality u8 6 6 6 6 9
name * 7:char[48] 7:char[48] 7:char[48] 7:char[32] 10:char[32]
yourTelemetry u8 55 55 55 39 42
showOnlineNames u8 - 56 56 40 43
techLevel u16 - - 57 41 44
platform u8 - 57 59 43 46
numColours u8 - - - 44 47
liveryColours_rgb u8[12] - - - 45 48
"""

SESSION = """
weather u8 0 0 0 0 0
trackTemperature i8 1 1 1 1 1
airTemperature i8 2 2 2 2 2
totalLaps u8 3 3 3 3 3
trackLength u16 4 4 4 4 4
sessionType u8 6 6 6 6 6
trackId i8 7 7 7 7 7
formula u8 8 8 8 8 8
sessionTimeLeft u16 9 9 9 9 9
sessionDuration u16 11 11 11 11 11
pitSpeedLimit u8 13 13 13 13 13
gamePaused u8 14 14 14 14 14
isSpectating u8 15 15 15 15 15
spectatorCarIndex u8 16 16 16 16 16
sliProNativeSupport u8 17 17 17 17 17
numMarshalZones u8 18 18 18 18 18
marshalZones_21x{f32_zoneStart,i8_zoneFlag} char[105] 19 19 19 19 19
safetyCarStatus u8 124 124 124 124 124
networkGame u8 125 125 125 125 125
numWeatherForecastSamples u8 126 126 126 126 126
weatherForecast_56x8 char[448] 127 127 - - -
weatherForecast_64x8 char[512] - - 127 127 127
forecastAccuracy u8 575 575 639 639 639
aiDifficulty u8 576 576 640 640 640
seasonLinkIdentifier u32 577 577 641 641 641
weekendLinkIdentifier u32 581 581 645 645 645
sessionLinkIdentifier u32 585 585 649 649 649
pitStopWindowIdealLap u8 589 589 653 653 653
pitStopWindowLatestLap u8 590 590 654 654 654
pitStopRejoinPosition u8 591 591 655 655 655
steeringAssist u8 592 592 656 656 656
brakingAssist u8 593 593 657 657 657
gearboxAssist u8 594 594 658 658 658
pitAssist u8 595 595 659 659 659
pitReleaseAssist u8 596 596 660 660 660
ERSAssist u8 597 597 661 661 661
DRSAssist u8 598 598 662 662 662
dynamicRacingLine u8 599 599 663 663 663
dynamicRacingLineType u8 600 600 664 664 664
gameMode u8 601 601 665 665 665
ruleSet u8 602 602 666 666 666
timeOfDay u32 603 603 667 667 667
sessionLength u8 607 607 671 671 671
speedUnitsLeadPlayer u8 - 608 672 672 672
temperatureUnitsLeadPlayer u8 - 609 673 673 673
speedUnitsSecondaryPlayer u8 - 610 674 674 674
temperatureUnitsSecondaryPlayer u8 - 611 675 675 675
numSafetyCarPeriods u8 - 612 676 676 676
numVirtualSafetyCarPeriods u8 - 613 677 677 677
numRedFlagPeriods u8 - 614 678 678 678
equalCarPerformance u8 - - 679 679 679
recoveryMode u8 - - 680 680 680
flashbackLimit u8 - - 681 681 681
surfaceType u8 - - 682 682 682
lowFuelMode u8 - - 683 683 683
raceStarts u8 - - 684 684 684
tyreTemperature u8 - - 685 685 685
pitLaneTyreSim u8 - - 686 686 686
carDamage u8 - - 687 687 687
carDamageRate u8 - - 688 688 688
collisions u8 - - 689 689 689
collisionsOffForFirstLapOnly u8 - - 690 690 690
mpUnsafePitRelease u8 - - 691 691 691
mpOffForGriefing u8 - - 692 692 692
cornerCuttingStringency u8 - - 693 693 693
parcFermeRules u8 - - 694 694 694
pitStopExperience u8 - - 695 695 695
safetyCar u8 - - 696 696 696
safetyCarExperience u8 - - 697 697 697
formationLap u8 - - 698 698 698
formationLapExperience u8 - - 699 699 699
redFlags u8 - - 700 700 700
affectsLicenceLevelSolo u8 - - 701 701 701
affectsLicenceLevelMP u8 - - 702 702 702
numSessionsInWeekend u8 - - 703 703 703
weekendStructure u8[12] - - 704 704 704
sector2LapDistanceStart f32 - - 716 716 716
sector3LapDistanceStart f32 - - 720 720 720
activeAeroAndDrsZones_tail_2026 char[173] - - - - 724
"""

CLASSIFICATION = """
position u8 0 0 0 0 0
numLaps u8 1 1 1 1 1
gridPosition u8 2 2 2 2 2
points u8 3 3 3 3 3
numPitStops u8 4 4 4 4 4
resultStatus u8 5 5 5 5 5
resultReason u8 - - - 6 6
bestLapTimeInMS u32 6 6 6 7 7
totalRaceTime f64 10 10 10 11 11
penaltiesTime u8 18 18 18 19 19
numPenalties u8 19 19 19 20 20
numTyreStints u8 20 20 20 21 21
tyreStintsActual u8[8] 21 21 21 22 22
tyreStintsVisual u8[8] 29 29 29 30 30
tyreStintsEndLaps u8[8] 37 37 37 38 38
"""

LAP_HISTORY = """
lapTimeInMS u32 0 0 0 0 0
sector1TimeMSPart u16 4 4 4 4 4
sector1TimeMinutesPart u8 - 6 6 6 6
sector2TimeMSPart u16 6 7 7 7 7
sector2TimeMinutesPart u8 - 9 9 9 9
sector3TimeMSPart u16 8 10 10 10 10
sector3TimeMinutesPart u8 - 12 12 12 12
lapValidBitFlags u8 10 13 13 13 13
"""

SETUP = """
frontWing u8 0 0 0 0 0
rearWing u8 1 1 1 1 1
onThrottle u8 2 2 2 2 2
offThrottle u8 3 3 3 3 3
frontCamber f32 4 4 4 4 4
rearCamber f32 8 8 8 8 8
frontToe f32 12 12 12 12 12
rearToe f32 16 16 16 16 16
frontSuspension u8 20 20 20 20 20
rearSuspension u8 21 21 21 21 21
frontAntiRollBar u8 22 22 22 22 22
rearAntiRollBar u8 23 23 23 23 23
frontSuspensionHeight u8 24 24 24 24 24
rearSuspensionHeight u8 25 25 25 25 25
brakePressure u8 26 26 26 26 26
brakeBias u8 27 27 27 27 27
engineBraking u8 - - 28 28 28
rearLeftTyrePressure f32 28 28 29 29 29
rearRightTyrePressure f32 32 32 33 33 33
frontLeftTyrePressure f32 36 36 37 37 37
frontRightTyrePressure f32 40 40 41 41 41
ballast u8 44 44 45 45 45
fuelLoad f32 45 45 46 46 46
"""

LOBBY = """
aiControlled u8 0 0 0 0 0
teamId * 1:u8 1:u8 1:u8 1:u8 1:u16
nationality u8 2 2 2 2 3
platform u8 - 3 3 3 4
name * 3:char[48] 4:char[48] 4:char[48] 4:char[32] 5:char[32]
carNumber u8 51 52 52 36 37
yourTelemetry u8 - - 53 37 38
showOnlineNames u8 - - 54 38 39
techLevel u16 - - 55 39 40
readyStatus u8 52 53 57 41 42
"""
