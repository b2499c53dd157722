#!/usr/bin/env python3
"""Writes the handmade seeds of fuzz_scan: python3 tests/fuzz/proto/make_scan_corpus.py DIR.

The other seeds are uncompressed trace captures of tests/data/otlp-captures, copied.
"""
import struct
import sys


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def attribute(key, value):
    return field(1, key) + field(2, value)


def span(name=b"s", extra=b""):
    times = varint(7 << 3 | 1) + struct.pack("<Q", 1) + varint(8 << 3 | 1) + struct.pack("<Q", 2)
    return field(1, b"\1" * 16) + field(2, b"\2" * 8) + field(5, name) + times + extra


def request(spans, resource=field(1, attribute(b"service.name", field(1, b"shop")))):
    scope_spans = field(1, field(1, b"scope")) + b"".join(field(2, s) for s in spans)
    return field(1, field(1, resource) + field(2, scope_spans))


def nested(levels):
    value = field(1, b"leaf")
    for level in range(levels):
        value = field(6, field(1, attribute(b"k", value))) if level % 2 else field(5, field(1, value))
    return value


SEEDS = {
    "empty": b"",
    "no_spans": field(1, field(2, b"")),
    "depth_64": request([span(extra=field(9, attribute(b"n", nested(64))))]),
    "depth_65": request([span(extra=field(9, attribute(b"n", nested(65)))), span()]),
    "deep_resource": request([span()], field(1, attribute(b"n", nested(70)))),
    "bad_utf8": request([span(b"\xff\xc0\x80", field(3, b"\xed\xa0\x80"))]),
    "bad_ids": request([field(1, b"\1" * 15), field(1, b"\0" * 16), span(), b""]),
    "split": field(1, field(2, field(2, span(extra=field(15, field(2, b"a")) + field(15, b"\x18\2"))) + field(1, b""))
                   + field(1, field(1, attribute(b"a", b""))) + field(1, b"\x10\1")),
    "values": request([span(extra=b"".join(
        field(9, attribute(b"n", v)) for v in
        (b"", b"\x10\1", b"\x18\x7f", b"\x21" + struct.pack("<d", 0.5), field(7, b"\0"), b"\x40\1",
         field(1, b"x") + b"\x18\5")))]),
    "event_link": request([span(extra=field(11, field(2, b"exception") + field(3, attribute(b"k", b"")))
                                + field(13, field(1, b"\1" * 16) + field(3, b"ts") + b"\x35\0\0\0\0"))]),
    "entities": request([span()], field(3, field(1, b"u") + field(2, b"t") + field(3, b"k") * 3)),
    "wrong_type": request([b"\x0d\0\0\0\0"]),
    "long_tag": b"\x8a\x80\x80\x80\x00" + varint(0),
}

for name, content in SEEDS.items():
    with open(f"{sys.argv[1]}/{name}.bin", "wb") as out:
        out.write(content)
