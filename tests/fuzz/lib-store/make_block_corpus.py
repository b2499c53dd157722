#!/usr/bin/env python3
"""Writes the seed corpus of fuzz_block: small blocks of every signal, plain and packed.

Made from the drawing in lib/store/format/segment_format.h and not with the program's own encoder, so that
the two are held against each other: test_corpus in tests/unit/lib-store/test_block.c wants every
file of the corpus to be accepted. Run from the repository root; writes tests/fuzz/corpus/block/*,
the same files every time.
"""
import os
import random
import struct
import sys

CORPUS = "tests/fuzz/corpus/block"
TRACES, METRICS, LOGS = 1, 2, 3
PIECE = 1 << 20
# wide, narrow and string references of each signal, and whether it has traces
SHAPES = {TRACES: (6, 4, 9, True), METRICS: (5, 3, 5, False), LOGS: (2, 2, 5, True)}
NAMES = {TRACES: "traces", METRICS: "metrics", LOGS: "logs"}


def lz4_block(raw):
    """A plain greedy packer: enough to make matches; an lz4 block ends with 5 literals or more."""
    out, at, anchor, seen = bytearray(), 0, 0, {}

    def put_length(value):
        while value >= 255:
            out.append(255)
            value -= 255
        out.append(value)

    def put_sequence(literals, match_len=0, offset=0):
        high, low = min(len(literals), 15), min(max(match_len - 4, 0), 15)
        out.append(high << 4 | low)
        if high == 15:
            put_length(len(literals) - 15)
        out.extend(literals)
        if match_len:
            out.extend(struct.pack("<H", offset))
            if low == 15:
                put_length(match_len - 4 - 15)

    limit = len(raw) - 12  # no match begins in the last 12 bytes
    while at < limit:
        key = raw[at:at + 4]
        before = seen.get(key)
        seen[key] = at
        if before is None or at - before > 65535:
            at += 1
            continue
        length = 4
        while at + length < len(raw) - 5 and raw[before + length] == raw[at + length]:
            length += 1
        put_sequence(raw[anchor:at], length, at - before)
        at += length
        anchor = at
    put_sequence(raw[anchor:])
    return bytes(out)


def hot_chunk(rng, signal, count, width):
    wides, narrows, texts, has_traces = SHAPES[signal]
    strings = [b"checkout", b"session-1", b"", "größer".encode(), b"x-aws-log-group=/aws/x"]
    ids = sorted({rng.randbytes(16) for _ in range(1 + count // 3)})
    if signal == LOGS:
        ids[0] = bytes(16)
    if not has_traces:
        ids = []
    joined = b"".join(strings)
    out = struct.pack("<IIII", len(ids), len(strings), len(joined), width) + b"".join(ids)
    for column in range(wides):
        for _ in range(count):
            small = column in (2, 3, 4, 5) if signal == TRACES else column == 1
            out += struct.pack("<Q", rng.randrange(1000) if small else rng.getrandbits(64))
    out += bytes(rng.randrange(6) for _ in range(narrows * count))
    form = "<H" if width == 2 else "<I"
    if has_traces:
        out += b"".join(struct.pack(form, rng.randrange(len(ids))) for _ in range(count))
    for _ in range(texts * count):
        out += struct.pack(form, rng.randrange(len(strings) + 1))
    end = 0
    for text in strings:
        end += len(text)
        out += struct.pack("<I", end)
    return out + joined


def item_chunk(rng, signal, count, long_item):
    resources = [(b"resource one", b"https://example.com/1"), (b"", b"")]
    scopes = [(b"scope", b"")]
    heads = [(b"head of a gauge", b""), (b"head of a sum", b"")] if signal == METRICS else []
    items = [b"item %d " % i * rng.randrange(6) for i in range(count)]
    items[0] = long_item or items[0]
    out = struct.pack("<III", len(resources), len(scopes), len(heads))
    for message, schema in resources + scopes + heads:
        out += struct.pack("<II", len(message), len(schema))
    tables = [[len(item) for item in items], [i % 2 for i in range(count)], [0] * count]
    if heads:
        tables.append([i // 2 % 2 for i in range(count)])
    for table in tables:
        out += struct.pack("<%dI" % count, *table)
    for message, schema in resources + scopes + heads:
        out += message + schema
    return out + b"".join(items)


def pieces(raw):
    out = b""
    for at in range(0, len(raw), PIECE):
        piece = raw[at:at + PIECE]
        short = lz4_block(piece)
        stored = short if len(short) < len(piece) else piece
        out += struct.pack("<I", len(stored)) + stored
    return out


def block(rng, signal, count, packed, width, long_item=b""):
    chunks, codecs = [], []
    for raw in (hot_chunk(rng, signal, count, width), item_chunk(rng, signal, count, long_item)):
        short = pieces(raw) if len(raw) > PIECE else lz4_block(raw)
        use = packed and len(short) < len(raw)
        chunks.append((short if use else raw, len(raw)))
        codecs.append(0 if not use else 2 if len(raw) > PIECE else 1)
    (hot, hot_raw), (items, items_raw) = chunks
    header = b"MWBLOCK\n" + struct.pack("<IIQQ", 128, count, 7, 80) + rng.randbytes(16)
    header += struct.pack("<QQQ", 1700000000000000000, 1700000000000001000, 1700000000000002000)
    header += struct.pack("<IIIIQQI", len(hot), hot_raw, len(items), items_raw, 0, 0, 1)
    header += bytes([signal, codecs[0], codecs[1]]) + bytes(9)
    assert len(header) == 120
    return header + hot + items


def main():
    os.makedirs(CORPUS, exist_ok=True)
    rng = random.Random(1)
    for signal in (TRACES, METRICS, LOGS):
        for count in (1, 3, 40):
            for packed in (False, True):
                name = "%s_%s_%d" % (NAMES[signal], "packed" if packed else "plain", count)
                with open(os.path.join(CORPUS, name), "wb") as file:
                    file.write(block(rng, signal, count, packed, 2))
        with open(os.path.join(CORPUS, NAMES[signal] + "_wide"), "wb") as file:
            file.write(block(rng, signal, 6, False, 4))
    with open(os.path.join(CORPUS, "logs_pieces"), "wb") as file:
        file.write(block(rng, LOGS, 2, True, 2, b"what repeats " * 90000))
    return 0


if __name__ == "__main__":
    sys.exit(main())
