#!/usr/bin/env python3
"""Seeds of fuzz_item_fields and fuzz_hot_planes: small chunks, written from their drawings in
item_fields.h and segment_format.h.

    make_packed_corpus.py DIRECTORY     (tests/fuzz/corpus)
"""

import pathlib
import struct
import sys


def u32(*numbers):
    return struct.pack("<%dI" % len(numbers), *numbers)


def fields_chunk(tokens, dictionary, rows, metrics=False):
    """One resource "r", one scope "s", for metrics one head "m"."""
    heads = 1 if metrics else 0
    contexts = [(b"r", b""), (b"s", b"u")] + ([(b"m", b"")] if metrics else [])
    out = u32(1, 1, heads, len(tokens), 1)
    out += b"".join(u32(len(message), len(url)) for message, url in contexts)
    out += bytes(rows * (3 if metrics else 2))
    out += b"".join(message + url for message, url in contexts)
    return out + bytes(tokens) + dictionary


NAME, FLAG = b"\x2a\x02ab", b"\x30\x01"


def field_seeds():
    # items: as the columns say, two new fields; the same again; the first new field alone
    first = [4, 5, 6, 7, 8, 1, 1, 3]
    yield "spans", bytes([0, 2]) + fields_chunk(first + [0] * 8 + [9, 3], NAME + FLAG, 3)
    yield "points", bytes([1, 0]) + fields_chunk([4, 5, 6, 7, 8, 9, 3], b"", 1, True)
    yield "logs", bytes([2, 0]) + fields_chunk([4, 5, 6, 7, 2, 3, 3], b"\xff\xff\xff", 1)
    yield "empty", bytes([0, 1]) + fields_chunk([0, 0], b"", 2)
    # the same spans in the log: their lengths come first
    lengths = u32(18 + 10 + 10 + 9 + 9 + 6, 18 + 10 + 10 + 9 + 9 + 6, 4)
    yield "log-spans", bytes([0x40, 2]) + lengths + fields_chunk(first + [0] * 8 + [9, 3],
                                                                NAME + FLAG, 3)
    item = NAME + FLAG + b"\x0a\x05\x08"
    yield "items", bytes([0x80, 2]) + (bytes([len(item)]) + item) * 3


WIDE = {0: 6, 1: 5, 2: 2}
NARROW = {0: 4, 1: 3, 2: 2}
REFS = {0: 10, 1: 5, 2: 6}


def hot_chunk(signal, rows, many, ids):
    traces = 0 if signal == 1 else 1
    wide = WIDE[signal] + (2 if many else 0)
    out = u32(traces, 1, 3, 2) + bytes(16 * traces)
    out += b"".join(struct.pack("<%dQ" % rows, *(ids(c, r) % 2**64 for r in range(rows)))
                    for c in range(wide))
    return out + bytes(rows * (NARROW[signal] + 2 * REFS[signal])) + u32(3) + b"abc"


def plane_seeds():
    def numbers(column, row):
        return (column + 1) * 0x0123456789 + row * 1000

    def tree(column, row):
        return (0x1111111111111111 * (row - column)) if column < 2 else row

    for signal in range(3):
        for many in (0, 0x40):
            yield "chunk-%d-%d" % (signal, many), bytes([signal | many, 8, 0]) + hot_chunk(
                signal, 9, many, numbers)
    yield "parents", bytes([0x40, 9, 0]) + hot_chunk(0, 10, True, tree)
    yield "planes", bytes([0xc0, 9, 1]) + hot_chunk(0, 10, True, lambda c, r: r * (c == 1))


def main():
    for name, seeds in (("item_fields", field_seeds()), ("hot_planes", plane_seeds())):
        directory = pathlib.Path(sys.argv[1]) / name
        directory.mkdir(parents=True, exist_ok=True)
        for seed, content in seeds:
            (directory / seed).write_bytes(content)


if __name__ == "__main__":
    main()
