#!/ usr / bin / env python3
"""An independent decode of a candump log by a DBC file, slow and plain, for can_decoder_test.cpp.

    dbc_reference.py DBC LOG

One line for each signal of each frame that the DBC has:

    <frame, from 0> <message> <signal> <raw integer> <physical as a hexadecimal double>

The rules are those of the format, bit by bit: bit b is bit b % 8 of byte b / 8. Intel: the start
is the least significant bit, and the value goes up from there. Motorola: the start is the most
significant bit, and the value goes down within the byte, then on at bit 7 of the next. A frame
whose length is not the message's is not decoded. Multiplexed signals and floats are not needed
here, and refused.
"""

import re
import sys

SIGNAL = re.compile(
    r"^\s*SG_\s+(\w+)\s*:\s*(\d+)\|(\d+)@([01])([+-])\s*\(\s*([^,\s]+)\s*,\s*([^)\s]+)\s*\)")
MESSAGE = re.compile(r"^BO_\s+(\d+)\s+(\w+)\s*:\s*(\d+)")


def read_dbc(path):
    messages = {}
    current = None
    with open(path, encoding="cp1252") as file:
        for line in file:
            if "SIG_VALTYPE_" in line and ":" in line:
                sys.exit("floats are not decoded here")
            message = MESSAGE.match(line)
            if message:
                current = (message.group(2), int(message.group(3)), [])
                messages[int(message.group(1))] = current
                continue
            if not line.strip().startswith("SG_ "):
                continue
            signal = SIGNAL.match(line)
            if not signal:
                sys.exit("not a signal: " + line)
            name, start, length, order, sign, factor, offset = signal.groups()
            current[2].append((name, int(start), int(length), order, sign,
                               float(factor), float(offset)))
    return messages


def bit_numbers(start, length, order):
    """The bits of a value, the most significant first."""
    if order == "1":
        return [start + i for i in reversed(range(length))]
    numbers = []
    at = start
    for _ in range(length):
        numbers.append(at)
        at = at - 1 if at % 8 else at + 15
    return numbers


def raw_value(data, start, length, order, sign):
    value = 0
    bits = [data[b // 8] >> (b % 8) & 1 for b in bit_numbers(start, length, order)]
    for bit in bits:
        value = value * 2 + bit
    if sign == "-" and bits[0]:
        value -= 2 ** length
    return value


def main():
    messages = read_dbc(sys.argv[1])
    out = []
    with open(sys.argv[2], encoding="ascii") as file:
        for frame, line in enumerate(file):
            identifier, digits = line.split()[2].split("#")
            message = messages.get(int(identifier, 16))
            if message is None:
                continue
            data = bytes.fromhex(digits)
            name, length, signals = message
            if len(data) != length:
                sys.exit("frame %d has another length than its message" % frame)
            for signal, start, bits, order, sign, factor, offset in signals:
                raw = raw_value(data, start, bits, order, sign)
                out.append("%d %s %s %d %s\n" % (frame, name, signal, raw,
                                                 float.hex(float(raw) * factor + offset)))
    sys.stdout.writelines(out)


main()
