// Goal: a DBC file is read as its grammar says or told line by line what of it is not; method:
// small files of every statement and every fault, and the shared files with exactly the warnings
// they deserve.

#include "ingest/dbc.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "proto/text.h"
#include "tests/ingest/shared_data.h"

namespace pitbox {
namespace {

Dbc dbc_of(const std::string& text) {
  auto read = parse_dbc(text, "car.dbc");
  EXPECT_TRUE(read.ok()) << read.status().message();
  return read.ok() ? std::move(read).take() : Dbc{};
}

std::string dbc_refusal_of(const std::string& text) {
  const auto read = parse_dbc(text, "car.dbc");
  return read.ok() ? "" : read.status().message();
}

std::vector<std::string> dbc_warning_lines(const Dbc& dbc) {
  std::vector<std::string> lines;
  for (const DbcWarning& each : dbc.warnings) {
    lines.push_back(std::to_string(each.line) + ": " + each.text);
  }
  return lines;
}

std::vector<std::string> dbc_signal_names(const Dbc& dbc, std::size_t message = 0) {
  std::vector<std::string> names;
  for (const DbcSignal& each : dbc.messages.at(message).signals) names.push_back(each.name);
  return names;
}

const std::string kDbcMessage = "BO_ 1 A: 8 X\n";
const std::string kDbcPlain = " : 0|8@1+ (1,0) [0|0] \"\" X\n";

// The warnings of a message with this line in it, without the line number.
std::string warning_of_signal(const std::string& line) {
  const Dbc dbc = dbc_of(kDbcMessage + line + "\n");
  EXPECT_TRUE(dbc.messages.at(0).signals.empty()) << line;
  EXPECT_EQ(dbc.messages.at(0).left_out.size(), 1U) << line;
  EXPECT_EQ(dbc.warnings.size(), 1U) << line;
  if (dbc.warnings.empty()) return "";
  EXPECT_EQ(dbc.warnings[0].line, 2U);
  return dbc.warnings[0].text;
}

using WarningLines = std::vector<std::string>;

TEST(Dbc, ReadsMessagesAndSignalsHoweverTheyAreSpaced) {
  const Dbc dbc = dbc_of(
      "VERSION \"1\"\r\n\r\nNS_ :\r\n\tBO_TX_BU_\r\n\tCM_\r\n\r\nBS_:\r\nBU_: A B\r\n"
      "BO_ 208 ID_D0: 8 Vector__XXX\r\n"
      "  SG_ YAW: 16|9@1- (0.1, 0) [-1.5|+2e1] \"rad/s\" A,B\r\n"
      "SG_ W:7|16@0+(1E-3,-40)[0|0]\"\"A\r\n"
      " SG_ M : 48 | 1 @ 1 + ( 2 , .5 ) [ 0 | 0 ] \"\"  A // Named as a multiplexer is marked.\r\n"
      "BO_ 2147558192 Long : 64 A\r\n");
  EXPECT_EQ(dbc_warning_lines(dbc), WarningLines{});
  ASSERT_EQ(dbc.messages.size(), 2U);
  const DbcMessage& first = dbc.messages[0];
  EXPECT_EQ(first.id, 208U);
  EXPECT_EQ(first.name, "ID_D0");
  EXPECT_EQ(first.bytes, 8U);
  EXPECT_EQ(first.line, 9U);
  ASSERT_EQ(first.signals.size(), 3U);
  const DbcSignal& yaw = first.signals[0];
  EXPECT_EQ(yaw.name, "YAW");
  EXPECT_EQ(yaw.start, 16);
  EXPECT_EQ(yaw.length, 9);
  EXPECT_FALSE(yaw.is_motorola);
  EXPECT_TRUE(yaw.is_signed);
  EXPECT_EQ(yaw.factor, 0.1);
  EXPECT_EQ(yaw.minimum, -1.5);
  EXPECT_EQ(yaw.maximum, 20);
  EXPECT_EQ(yaw.unit, "rad/s");
  EXPECT_EQ(yaw.line, 10U);
  EXPECT_TRUE(first.signals[1].is_motorola);
  EXPECT_FALSE(first.signals[1].is_signed);
  EXPECT_EQ(first.signals[1].factor, 1e-3);
  EXPECT_EQ(first.signals[1].offset, -40);
  EXPECT_EQ(first.signals[2].name, "M");
  EXPECT_FALSE(first.signals[2].is_multiplexer);
  EXPECT_EQ(first.signals[2].offset, 0.5);
  EXPECT_EQ(dbc.messages[1].id, 0x80012330U);
  EXPECT_EQ(dbc.messages[1].bytes, 64U);
}

TEST(Dbc, ReadsWhatIsSaidOfSignalsLater) {
  const Dbc dbc = dbc_of(kDbcMessage + " SG_ F : 0|32@1- (1,0) [0|0] \"\" X\n" +
                         " SG_ E : 32|8@1- (1,0) [0|0] \"\" X\n" +
                         "BO_ 2 B: 8 X\n SG_ D : 0|64@1- (1,0) [0|0] \"\" X\n"
                         "SIG_VALTYPE_ 1 F : 1;\nSIG_VALTYPE_ 2 D: 2 ;\nSIG_VALTYPE_ 1 E : 0;\n"
                         "VAL_ 1 E -1 \"less\" 0 \"no; \\\"yes\\\"\" 1 \"two\nlines\" ;\n"
                         "VAL_ Env 0 \"of an environment variable\";\n"
                         "BA_ \"GenMsgCycleTime\" BO_ 1 20;\nBA_ \"Other\" BO_ 9 20;\n");
  EXPECT_EQ(dbc_warning_lines(dbc), WarningLines{});
  EXPECT_EQ(dbc.messages[0].signals[0].type, DbcValueType::kFloat32);
  EXPECT_EQ(dbc.messages[1].signals[0].type, DbcValueType::kFloat64);
  const DbcSignal& names = dbc.messages[0].signals[1];
  EXPECT_EQ(names.type, DbcValueType::kInteger);
  ASSERT_EQ(names.value_names.size(), 3U);
  EXPECT_EQ(names.value_names[0].value, -1);
  EXPECT_EQ(names.value_names[1].name, "no; \"yes\"");
  EXPECT_EQ(names.value_names[2].name, "two lines");
  EXPECT_EQ(dbc.messages[0].cycle_ms, 20);
  EXPECT_EQ(dbc.messages[1].cycle_ms, 0);
}

TEST(Dbc, SkipsEveryOtherStatementToItsSemicolon) {
  const Dbc dbc =
      dbc_of("VAL_TABLE_ T 1 \"a\" 0 \"b\" ;\n" + kDbcMessage + " SG_ S" + kDbcPlain +
             "CM_ SG_ 1 S \"BO_ 5 No: 8 X\nBO_ 6 No: 8 X; \";\n"
             "CM_ \"a \\\"quoted\\\" ; BO_ 7\"; BA_DEF_ BO_ \"V\" ENUM \"a;\",\n\"b\";\n"
             "BO_TX_BU_ 1 : X,Y; // BO_ 8 No: 8 X\nSIG_GROUP_ 1 G 1 : S;;\n"
             "EV_ E: 0 [0|1] \"\" 0 1 DUMMY X;\n"
             "BO_ 2 B: 8 X\n");
  EXPECT_EQ(dbc_warning_lines(dbc), WarningLines{});
  ASSERT_EQ(dbc.messages.size(), 2U);
  EXPECT_EQ(dbc.messages[1].name, "B");
}

TEST(Dbc, GoesOnAtTheNextStatementBehindOneThatDoesNotEnd) {
  const Dbc dbc = dbc_of("CM_ \"no semicolon\"\n" + kDbcMessage + " SG_ S" + kDbcPlain +
                         "BA_ \"x\" 5\nBO_ 2 B: 8 X\nBO_ three C: 8 X\n SG_ ofC" + kDbcPlain +
                         "hello world\n%%\nBO_ 4 D: 8 X\n");
  EXPECT_EQ(dbc_warning_lines(dbc),
            (WarningLines{"1: CM_: it does not end with a semicolon",
                          "4: BA_: it does not end with a semicolon",
                          "6: BO_: not as BO_ ID NAME: BYTES SENDER",
                          "8: not understood; skipped to the end of the line",
                          "9: not understood; skipped to the end of the line"}));
  EXPECT_EQ(dbc.messages.size(), 3U);
}

TEST(Dbc, LeavesOutMessagesThatCannotBe) {
  const Dbc dbc = dbc_of("BO_ 3221225472 VECTOR__INDEPENDENT_SIG_MSG: 0 X\n SG_ Lost" + kDbcPlain +
                         "BO_ 2047 Last: 8 X\nBO_ 2048 Beyond: 8 X\n SG_ S" + kDbcPlain +
                         "BO_ 2684354559 Last29: 8 X\nBO_ 2684354560 Beyond29: 8 X\n"
                         "BO_ 5 Long: 65 X\nBO_ 2047 Again: 8 X\n SG_ S" +
                         kDbcPlain + "BO_ 6 Last: 8 X\nBO_ 7 " + std::string(129, 'n') + ": 8 X\n");
  EXPECT_EQ(dbc_warning_lines(dbc),
            (WarningLines{"4: BO_: message Beyond left out: 2048 is no identifier",
                          "7: BO_: message Beyond29 left out: 2684354560 is no identifier",
                          "8: BO_: message Long left out: no frame has 65 bytes",
                          "9: BO_: message Again left out: its identifier is that of line 3",
                          "11: message Last: its name is that of line 3, too",
                          "12: BO_: message left out: its name is too long"}));
  ASSERT_EQ(dbc.messages.size(), 3U);
  EXPECT_EQ(dbc.messages[1].id, 0x9FFFFFFFU);
  for (const DbcMessage& each : dbc.messages) EXPECT_TRUE(each.signals.empty());
}

TEST(Dbc, LeavesOutSignalsThatAreNotWritten) {
  const std::string form = "not as START|LENGTH@ORDER SIGN (FACTOR,OFFSET) [MIN|MAX] \"UNIT\"";
  for (const char* line :
       {"SG_ S : 0@1+ (1,0) [0|0] \"\" X", "SG_ S : 0|8@2+ (1,0) [0|0] \"\" X",
        "SG_ S : 0|8@1 (1,0) [0|0] \"\" X", "SG_ S : 0|8@1+ (1) [0|0] \"\" X",
        "SG_ S : 0|8@1+ (1,0) [0] \"\" X", "SG_ S : 0|8@1+ (1,0) \"\" X",
        "SG_ S : 0|8@1+ (1,0) [0|0] X", "SG_ S : -1|8@1+ (1,0) [0|0] \"\" X",
        "SG_ S : 0|8@1+ (nan,0) [0|0] \"\" X", "SG_ S : 0|8@1+ (1e999,0) [0|0] \"\" X",
        "SG_ S : 0|8@1+ (1,+-2) [0|0] \"\" X", "SG_ S : 0|8@1+ (1,0) [0|0] \"open", "SG_ S",
        "SG_ S : 99999999999999999999|8@1+ (1,0) [0|0] \"\" X"}) {
    EXPECT_EQ(warning_of_signal(line), "SG_: message A: signal S left out: " + form) << line;
  }
  const auto left_out = [](const std::string& line) {
    return warning_of_signal(line).substr(sizeof "SG_: message A: signal S left out: " - 1);
  };
  EXPECT_EQ(left_out("SG_ S : 0|0@1+ (1,0) [0|0] \"\" X"), "it is 0 bits long");
  EXPECT_EQ(left_out("SG_ S : 0|65@1+ (1,0) [0|0] \"\" X"), "it is 65 bits long");
  EXPECT_EQ(left_out("SG_ S : 512|1@1+ (1,0) [0|0] \"\" X"), "no frame has a bit 512");
  EXPECT_EQ(left_out("SG_ S x1 : 0|8@1+ (1,0) [0|0] \"\" X"), "x1 is none of M, m1, m1M");
  EXPECT_EQ(left_out("SG_ S m : 0|8@1+ (1,0) [0|0] \"\" X"), "m is none of M, m1, m1M");
  EXPECT_EQ(left_out("SG_ S m1x : 0|8@1+ (1,0) [0|0] \"\" X"), "m1x is none of M, m1, m1M");
  const Dbc twice = dbc_of(kDbcMessage + " SG_ S" + kDbcPlain + " SG_ S" + kDbcPlain);
  EXPECT_EQ(dbc_warning_lines(twice),
            WarningLines{"3: SG_: message A: signal S left out: line 2 has one of this name"});
  EXPECT_EQ(dbc_signal_names(twice), WarningLines{"S"});
  EXPECT_EQ(dbc_warning_lines(dbc_of(kDbcMessage + "BU_: X\n SG_ S" + kDbcPlain)),
            WarningLines{"3: SG_: a signal outside of a message"});
}

TEST(Dbc, LeavesOutSignalsThatCannotBeDecoded) {
  const auto left_out = [](const std::string& line) {
    return warning_of_signal(line).substr(sizeof "message A: signal S left out: " - 1);
  };
  const std::string rest = " (1,0) [0|0] \"\" X";
  EXPECT_EQ(left_out("SG_ S : 57|8@1+" + rest),
            "it ends in byte 8, behind the message's end (8 bytes)");
  EXPECT_EQ(left_out("SG_ S : 56|16@0+" + rest),
            "it ends in byte 9, behind the message's end (8 bytes); a Motorola start bit is the "
            "most significant one");
  EXPECT_EQ(left_out("SG_ S : 0|8@1+ (0,1) [0|0] \"\" X"), "its factor is 0");
  EXPECT_EQ(left_out("SG_ S : 0|31@1-" + rest + "\nSIG_VALTYPE_ 1 S : 1;"),
            "a float of 32 bits is 31 bits long");
  EXPECT_EQ(left_out("SG_ S : 0|32@1-" + rest + "\nSIG_VALTYPE_ 1 S : 2;"),
            "a float of 64 bits is 32 bits long");
  EXPECT_EQ(dbc_of(kDbcMessage + " SG_ S : 63|8@0+" + rest).warnings.size(), 0U);
  EXPECT_EQ(dbc_of(kDbcMessage + " SG_ S : 56|8@1+" + rest).warnings.size(), 0U);
}

TEST(Dbc, WarnsOfWhatIsOddAndDecodesItAsWritten) {
  const Dbc dbc = dbc_of(kDbcMessage + " SG_ S : 32|16@0+ (1,0) [5|4] \"\" X\n");
  EXPECT_EQ(
      dbc_warning_lines(dbc),
      (WarningLines{"2: message A: signal S: the minimum is the greater one",
                    "2: message A: signal S: an odd Motorola start: whole bytes would start at a "
                    "bit 7, as 39 is; decoded as it is written"}));
  EXPECT_EQ(dbc_signal_names(dbc), WarningLines{"S"});
}

TEST(Dbc, RefusesWhatIsSaidOfUnknownSignals) {
  const Dbc dbc =
      dbc_of(kDbcMessage + " SG_ S" + kDbcPlain + " SG_ Bad : 0\n" +
             "SIG_VALTYPE_ 2 S : 1;\nSIG_VALTYPE_ 1 T : 1;\nSIG_VALTYPE_ 1 S 9;\n"
             "SIG_VALTYPE_ 1 Bad : 1;\nSIG_VALTYPE_ x;\nSIG_VALTYPE_ 3221225472 S : 1;\n"
             "VAL_ 1 S 1;\nVAL_ 5;\nVAL_ 3 S 1 \"\";\n"
             "BA_ \"GenMsgCycleTime\" BO_ 4 1;\nBA_ \"GenMsgCycleTime\" BO_ 1 -1;\n"
             "SG_MUL_VAL_ 1 S Q 1-2;\nSG_MUL_VAL_ 1 T Q 2-1;\n");
  EXPECT_EQ(
      dbc_warning_lines(dbc),
      (WarningLines{
          "3: SG_: message A: signal Bad left out: not as START|LENGTH@ORDER SIGN "
          "(FACTOR,OFFSET) [MIN|MAX] \"UNIT\"",
          "4: SIG_VALTYPE_: there is no message 2", "5: SIG_VALTYPE_: message A has no signal T",
          "6: SIG_VALTYPE_: message A: signal S left out: no type is 9",
          "8: SIG_VALTYPE_: not as ID SIGNAL : TYPE",
          "11: VAL_: not as ID SIGNAL { VALUE \"NAME\" }", "12: VAL_: there is no message 3",
          "13: BA_: there is no message 4", "14: BA_: GenMsgCycleTime: not as BO_ ID MILLISECONDS",
          "16: SG_MUL_VAL_: not as ID SIGNAL MULTIPLEXER FIRST-LAST, ..."}));
  EXPECT_EQ(dbc.messages[0].left_out, (WarningLines{"Bad", "S"}));
}

TEST(Dbc, FindsTheMultiplexerOfEachSignal) {
  const Dbc dbc = dbc_of(kDbcMessage + " SG_ Mux M" + kDbcPlain + " SG_ S m1" + kDbcPlain +
                         " SG_ N m2M" + kDbcPlain + " SG_ D m3" + kDbcPlain +
                         "SG_MUL_VAL_ 1 D N 3-3, 5-9,\n 7-12;\nSG_MUL_VAL_ 1 S Mux 1-1;\n");
  EXPECT_EQ(dbc_warning_lines(dbc), WarningLines{});
  const auto& signals = dbc.messages[0].signals;
  EXPECT_TRUE(signals[0].is_multiplexer);
  EXPECT_TRUE(signals[0].multiplexer.empty());
  EXPECT_EQ(signals[1].multiplexer, "Mux");
  EXPECT_EQ(signals[1].when, (std::vector<DbcRange>{{1, 1}}));
  EXPECT_EQ(signals[2].multiplexer, "Mux");
  EXPECT_TRUE(signals[2].is_multiplexer);
  EXPECT_EQ(signals[3].multiplexer, "N");
  EXPECT_EQ(signals[3].when, (std::vector<DbcRange>{{3, 3}, {5, 12}}));
}

TEST(Dbc, LeavesOutSignalsWhoseMultiplexerIsNotToBeTold) {
  const std::string label = "message A: signal ";
  const auto warnings = [&](const std::string& text) {
    return dbc_warning_lines(dbc_of(kDbcMessage + text));
  };
  EXPECT_EQ(warnings(" SG_ S m1" + kDbcPlain),
            WarningLines{"2: " + label +
                         "S left out: it is multiplexed, and the message has no "
                         "multiplexer"});
  EXPECT_EQ(warnings(" SG_ P M" + kDbcPlain + " SG_ Q M" + kDbcPlain + " SG_ S m1" + kDbcPlain),
            WarningLines{"4: " + label +
                         "S left out: it is multiplexed, and no SG_MUL_VAL_ says by "
                         "which of 2 multiplexers"});
  // Though Q is left out, S is not taken for one of P's.
  EXPECT_EQ(warnings(" SG_ P M" + kDbcPlain + " SG_ Q M : 60|8@1+ (1,0) [0|0] \"\" X\n SG_ S m1" +
                     kDbcPlain)
                .size(),
            2U);
  EXPECT_EQ(warnings(" SG_ P M" + kDbcPlain + " SG_ S m1" + kDbcPlain + "SG_MUL_VAL_ 1 S Z 1-1;\n"),
            WarningLines{"3: " + label + "S left out: its multiplexer Z is not there, or is none"});
  EXPECT_EQ(warnings(" SG_ P M : 0|32@1+ (1,0) [0|0] \"\" X\n SG_ S m1" + kDbcPlain +
                     "SIG_VALTYPE_ 1 P : 1;\n"),
            WarningLines{"3: " + label + "S left out: its multiplexer P is a float"});
  EXPECT_EQ(warnings(" SG_ P m1M" + kDbcPlain + " SG_ Q m1M" + kDbcPlain +
                     "SG_MUL_VAL_ 1 P Q 1-1;\nSG_MUL_VAL_ 1 Q P 1-1;\n")
                .size(),
            2U);
  EXPECT_EQ(warnings(" SG_ P M : 60|8@1+ (1,0) [0|0] \"\" X\n SG_ S m1" + kDbcPlain),
            (WarningLines{"2: " + label +
                              "P left out: it ends in byte 8, behind the message's end "
                              "(8 bytes)",
                          "3: " + label +
                              "S left out: its multiplexer P is left out, or depends on "
                              "itself"}));
  EXPECT_EQ(
      warnings(" SG_ P M" + kDbcPlain + " SG_ S m4" + kDbcPlain + "SG_MUL_VAL_ 1 S P 1-3;\n"),
      WarningLines{"4: SG_MUL_VAL_: S is marked m4, which these ranges do not have; the ranges "
                   "count"});
  EXPECT_EQ(warnings(" SG_ P M" + kDbcPlain + " SG_ S" + kDbcPlain + "SG_MUL_VAL_ 1 S P 1-3;\n"),
            WarningLines{"4: SG_MUL_VAL_: S is not marked as multiplexed (m<k>)"});
}

TEST(Dbc, ReadsTextsOfBothEncodings) {
  const auto unit = [](const std::string& text) {
    return dbc_of(kDbcMessage + " SG_ S : 0|8@1+ (1,0) [0|0] \"" + text + "\" X\n")
        .messages[0]
        .signals[0]
        .unit;
  };
  EXPECT_EQ(unit("\xB0"
                 "C"),
            "\xC2\xB0"
            "C");
  EXPECT_EQ(unit("\xC2\xB0"
                 "C"),
            "\xC2\xB0"
            "C");
  EXPECT_EQ(unit("\x80"), "\xE2\x82\xAC");
  EXPECT_EQ(unit("\x81"), "\xEF\xBF\xBD");
  EXPECT_EQ(unit("a\x01"
                 "b"),
            "a b");
  EXPECT_EQ(unit(std::string(200, 'u')).size(), 128U);
  EXPECT_EQ(dbc_of("\xEF\xBB\xBF" + kDbcMessage).messages.size(), 1U);
}

TEST(Dbc, RefusesFilesThatAreNone) {
  EXPECT_EQ(dbc_refusal_of(""), "car.dbc:1: no message (BO_) up to the end: not a DBC");
  EXPECT_EQ(dbc_refusal_of("\n\nhello"), "car.dbc:3: no message (BO_) up to the end: not a DBC");
  EXPECT_EQ(dbc_refusal_of(kDbcMessage + "CM_ \"open\n\n"),
            "car.dbc:2: a quoted text that begins here does not end");
  EXPECT_EQ(dbc_refusal_of(kDbcMessage + "\nVAL_ 1 S 1 \"open\n\n"),
            "car.dbc:3: a quoted text that begins here does not end");
  EXPECT_EQ(dbc_refusal_of("VERSION \"open\n"),
            "car.dbc:1: a quoted text that begins here does not end");
  EXPECT_EQ(dbc_refusal_of(std::string(kDbcFileBytesMax + 1, ' ')),
            "car.dbc: larger than 16 MiB, not a DBC");
}

TEST(Dbc, KeepsItsLimits) {
  std::string text;
  for (std::size_t i = 0; i < kDbcMessagesMax; ++i) {
    text += "BO_ " + std::to_string(0x80000000U + i) + " A" + std::to_string(i) + ": 8 X\n";
  }
  EXPECT_EQ(dbc_of(text).messages.size(), kDbcMessagesMax);
  EXPECT_EQ(dbc_refusal_of(text + "BO_ 1 One: 8 X\n"),
            "car.dbc:8194: more than " + std::to_string(kDbcMessagesMax) + " messages");
  text = kDbcMessage;
  for (std::size_t i = 0; i <= kDbcMessageSignalsMax; ++i) {
    text += " SG_ S" + std::to_string(i) + kDbcPlain;
  }
  const Dbc wide = dbc_of(text);
  EXPECT_EQ(wide.messages[0].signals.size(), kDbcMessageSignalsMax);
  EXPECT_EQ(wide.messages[0].left_out, WarningLines{"S" + std::to_string(kDbcMessageSignalsMax)});
  text = kDbcMessage;
  for (std::size_t i = 0; i < kDbcWarningsMax + 5; ++i) text += "?\n";
  EXPECT_EQ(dbc_of(text).warnings.size(), kDbcWarningsMax);
  EXPECT_EQ(dbc_of(text).further_warnings, 5U);
}

TEST(Dbc, NamesTheFileThatItCannotRead) {
  const std::filesystem::path folder = ::testing::TempDir();
  const std::filesystem::path file = folder / "pitbox-dbc-test.dbc";
  std::filesystem::remove(file);
  EXPECT_EQ(load_dbc(file).status().message(),
            file.string() + ": cannot be read (No such file or directory)");
  EXPECT_EQ(load_dbc(folder).status().message(),
            folder.string() + ": cannot be read (it is a directory)");
  std::ofstream(file) << kDbcMessage;
  EXPECT_TRUE(load_dbc(file).ok());
  std::filesystem::remove(file);
}

TEST(Dbc, LoadsEverySharedFileWithExactlyTheseWarnings) {
  SKIP_WITHOUT(shared_data("can/dbc"));
  const std::string odd = ": an odd Motorola start: whole bytes would start at a bit 7, as ";
  const std::map<std::string, WarningLines> expected = {
      {"abs.dbc", {}},
      {"floating_point.dbc", {}},
      {"foobar.dbc", {"44: message Foo: signal Bar" + odd + "31 is; decoded as it is written"}},
      {"issue_184_extended_mux_cascaded.dbc", {}},
      {"issue_184_extended_mux_independent_multiplexors.dbc", {}},
      {"multiplex.dbc", {}},
      {"multiplex_2.dbc", {}},
      {"padding_bit_order.dbc", {}},
      {"signed.dbc",
       {"43: message Message378910: signal s8big" + odd + "7 is; decoded as it is written"}},
      {"socialledge.dbc", {}}};
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(shared_data("can/dbc"))) {
    const auto dbc = load_dbc(entry.path());
    ASSERT_TRUE(dbc.ok()) << dbc.status().message();
    const std::string name = entry.path().filename().string();
    ASSERT_TRUE(expected.contains(name)) << name;
    EXPECT_EQ(dbc_warning_lines(dbc.value()), expected.at(name)) << name;
    for (const DbcMessage& each : dbc.value().messages) EXPECT_TRUE(each.left_out.empty()) << name;
    ++files;
  }
  EXPECT_EQ(files, expected.size());
  EXPECT_EQ(dbc_warning_lines(load_dbc(shared_data("can/sample_can_spec.dbc")).take()),
            WarningLines{});
}

}  // namespace
}  // namespace pitbox
