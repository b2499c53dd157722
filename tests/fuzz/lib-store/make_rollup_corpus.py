#!/usr/bin/env python3
"""Writes the seed corpus of fuzz_rollup: small tables of every kind of cell.

Made from the drawing in lib/store/rollup/rollup_format.c and not with the program's own writer. Run from the
repository root; writes tests/fuzz/corpus/rollup/*, the same files every time.
"""
import os

CORPUS = "tests/fuzz/corpus/rollup"
INSIDE, ENTRY, CALL = 0, 1, 2
WIRE = 160


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def signed(number):
    return varint(2 * number if number >= 0 else -2 * number - 1)


def cell(kind, left, right, places, errors=0, total_us=0, wire_us=0):
    out = varint(kind) + varint(left) + varint(right) + signed(errors) + signed(total_us)
    if kind == CALL:
        out += signed(wire_us)
    out += varint(len(places))
    before = 0
    for place in sorted(places):
        out += varint(place - before) + signed(places[place])
        before = place
    return out


def table(texts, minutes, left_out=0):
    out = b"\x01" + varint(left_out) + varint(len(texts))
    for text in texts:
        out += varint(len(text)) + text
    out += varint(len(minutes))
    before = 0
    for minute in sorted(minutes):
        cells = b"".join(minutes[minute])
        out += varint(minute - before) + varint(len(cells)) + cells
        before = minute
    return out


SEEDS = {
    "left_out": table([], {}, 7),
    "one_span": table([b"GET /", b"shop"], {29000000: [cell(ENTRY, 2, 1, {20: 1}, 1, 31)]}),
    "calls": table([b"cart", b"shop"],
                   {28333333: [cell(CALL, 2, 1, {3: -1, 40: -2}, -1, -900)],
                    28333334: [cell(INSIDE, 1, 0, {0: 4}), cell(ENTRY, 2, 2, {129: 300}),
                               cell(CALL, 2, 1, {40: 5, 41: 1, WIRE: 2, WIRE + 33: 4}, 2, 9000,
                                    1234)]}),
    "ends": table([bytes([0xff]) * 256],
                  {0: [cell(INSIDE, 0, 0, {0: 1})],
                   (2**64 - 1) // (60 * 10**9): [
                       cell(CALL, 1, 1, {0: 2**62, WIRE + 129: -2**62}, 2**63 - 1, -2**63, 2**62)]}),
    "damaged": table([b"b", b"a"], {5: [cell(ENTRY, 2, 1, {20: 1})]}),
}

os.makedirs(CORPUS, exist_ok=True)
for name, content in SEEDS.items():
    with open(os.path.join(CORPUS, name), "wb") as seed:
        seed.write(content)
