#!/usr/bin/env python3
"""Writes the seeds of fuzz_scan, fuzz_scan_logs and fuzz_scan_metrics.

    python3 tests/fuzz/proto/make_scan_corpus.py tests/fuzz/corpus

Handmade ones, and for logs and metrics the uncompressed captures of tests/data/otlp-captures with
the gRPC prefix taken off. (The trace captures in corpus/scan were copied by hand.)
"""
import glob
import os
import struct
import sys

CAPTURES = os.path.join(os.path.dirname(__file__), "../../data/otlp-captures")


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


# ---- log records ----------------------------------------------------------------------------------


def fixed64(number, value):
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def double(number, value):
    return varint(number << 3 | 1) + struct.pack("<d", value)


def number(number_, value):
    return varint(number_ << 3) + varint(value)


def log(*parts):
    return fixed64(1, 1) + fixed64(11, 2) + b"".join(parts)


TEXT = field(5, field(1, b"text"))

LOG_SEEDS = {
    "empty_record": request([b""]),
    "ids": request([log(field(9, b"\1" * 16), field(10, b"\2" * 8)), log(field(9, b"\1" * 15)),
                    log(field(10, b"\0" * 8))]),
    "body_types": request([log(field(5, v)) for v in
                           (b"", field(1, b"s"), number(2, 1), number(3, 5), double(4, 0.5),
                            field(5, field(1, field(1, b"x"))), nested(2), field(7, b"\0\xff"),
                            number(8, 1), field(1, b"x") + number(3, 5))]),
    "body_parts": request([log(field(5, number(3, 5)), field(5, b"")),
                           log(field(5, number(2, 1)), field(5, number(3, 5)))]),
    "two_empty_bodies": request([log(field(5, b""), field(5, b""))]),
    "depth_64": request([log(field(5, nested(64)))]),
    "depth_65": request([log(field(5, nested(65))), log(field(6, attribute(b"n", nested(65)))),
                         log(TEXT)]),
    "bad_utf8": request([log(field(3, b"\xff"), field(12, b"\xc0\x80"), field(5, field(1, b"\xed\xa0\x80")))]),
    "all_fields": request([log(number(2, 17), field(3, b"ERROR"), TEXT,
                               field(6, attribute(b"session.id", field(1, b"s"))), number(7, 3),
                               b"\x45\1\0\0\0", field(12, b"event.name"))]),
    "wrong_type": request([field(1, b"12345678")]),
}

# ---- metrics --------------------------------------------------------------------------------------

TIME = fixed64(3, 1700000060000000000)


def packed(number_, pattern, *values):
    return field(number_, b"".join(struct.pack(pattern, v) for v in values))


def metric(data, points, extra=b"", name=b"m"):
    return field(1, name) + field(data, b"".join(field(1, p) for p in points) + extra)


def histogram(count, counts, bounds):
    return TIME + fixed64(4, count) + packed(6, "<Q", *counts) + packed(7, "<d", *bounds)


def exponential(count, zero, scale, positive, negative=b""):
    return TIME + fixed64(4, count) + fixed64(7, zero) + number(6, scale) + field(8, positive) + field(9, negative)


DELTA = number(2, 1)
NUMBER = TIME + fixed64(6, 7)
EXEMPLAR = fixed64(2, 1) + double(3, 0.5) + field(4, b"\2" * 8) + field(5, b"\1" * 16) + field(7, attribute(b"k", b""))

METRIC_SEEDS = {
    "number": request([metric(5, [NUMBER, TIME, fixed64(6, 1), TIME + number(8, 1),
                                  TIME + double(4, float("nan")) + fixed64(6, 1)]),
                       metric(7, [NUMBER + field(5, EXEMPLAR)], DELTA + number(3, 1))]),
    "data_first": request([field(7, field(1, NUMBER) + DELTA) + field(3, b"By") + field(1, b"late")]),
    "names": request([metric(5, [NUMBER], name=b""), field(1, b"nothing"), b"",
                      metric(5, [NUMBER]) + field(12, attribute(b"k", field(1, b"v")))]),
    "temporality": request([metric(7, [NUMBER]), metric(9, [TIME]), metric(10, [TIME]),
                            metric(7, [NUMBER], number(2, 99))]),
    "two_kinds": request([metric(5, [NUMBER]) + field(7, field(1, NUMBER) + DELTA),
                          metric(7, [NUMBER], DELTA) + field(7, field(1, NUMBER)),
                          metric(7, [NUMBER], DELTA) + field(5, b"") + field(7, field(1, NUMBER))]),
    "histogram": request([metric(9, [
        histogram(4, [1, 2, 1], [0.5, 1]), histogram(4, [1, 2, 1], [1, 0.5]),
        histogram(4, [1, 2, 1], [0.5, float("nan")]), histogram(4, [1, 3], [float("nan")]),
        histogram(4, [1, 2, 1], [0.5]), histogram(5, [1, 2, 1], [0.5, 1]), histogram(5, [], []),
        histogram(4, [2**64 - 1, 5], [0]), histogram(0, [], [1]), TIME + fixed64(6, 0),
        TIME + double(5, 1) + double(11, 0) + double(12, 2) + field(8, EXEMPLAR)], DELTA)]),
    "unpacked": request([metric(9, [TIME + fixed64(4, 3) + fixed64(6, 1) + packed(6, "<Q", 1, 1)
                                    + double(7, 1) + double(7, 2)], DELTA)]),
    "exponential": request([metric(10, [
        exponential(7, 2, 5, number(1, 13) + field(2, b"\1\0\2"), number(1, 6) + number(2, 2)),
        exponential(6, 2, 5, field(2, b"\1\0\2")), exponential(0, 0, 2**32 - 2, b""),
        exponential(1, 0, 0, number(1, 2**32 - 2) + field(2, b"\1")),
        exponential(1, 0, 2**32 - 1, number(1, 2**32 - 1) + field(2, b"\1")),
        exponential(1, 0, 0, number(1, 2044) + field(2, b"\0\1\0")),
        exponential(1, 2**64 - 1, 0, field(2, b"\2")),
        exponential(2, 0, 0, number(1, 4) + field(2, b"\1")) + field(8, number(2, 1))], DELTA)]),
    "summary": request([metric(11, [
        TIME + fixed64(4, 10) + double(5, 55.5) + field(6, double(1, 0.5) + double(2, 5)) + field(6, b""),
        TIME + field(6, double(1, 1.5)), TIME + field(6, double(1, float("nan")))])]),
    "depth_65": request([metric(5, [NUMBER + field(7, attribute(b"n", nested(65))), NUMBER,
                                    NUMBER + field(5, field(7, attribute(b"n", nested(65))))]),
                         metric(5, [NUMBER]) + field(12, attribute(b"n", nested(65)))]),
    "depth_64": request([metric(5, [NUMBER + field(7, attribute(b"n", nested(64)))])
                         + field(12, attribute(b"n", nested(64)))]),
    "bad_utf8": request([metric(5, [NUMBER], name=b"\xff") + field(2, b"\xc0\x80") + field(3, b"\x80")]),
    "broken_packed": request([metric(9, [TIME + field(6, b"1234567")], DELTA)]),
    "broken_varints": request([metric(10, [TIME + field(8, field(2, b"\xff"))], DELTA)]),
    "wrong_type": request([metric(5, [b"\x1d\0\0\0\0"])]),
}


def captures(signal):
    for path in sorted(glob.glob(f"{CAPTURES}/{signal}-*-none.bin") + glob.glob(f"{CAPTURES}/synthetic/{signal}-*-protobuf.bin")):
        name = os.path.basename(path)[:-4].replace("-http-protobuf-none", "")
        if "-json-" in name or "-grpc-" in name and glob.glob(path.replace("-grpc-", "-http-protobuf-")):
            continue
        with open(path, "rb") as capture:
            yield name, capture.read()[5 if "-grpc-" in name else 0:]


def write(folder, seeds):
    os.makedirs(f"{sys.argv[1]}/{folder}", exist_ok=True)
    for name, content in seeds:
        with open(f"{sys.argv[1]}/{folder}/{name}.bin", "wb") as out:
            out.write(content)


write("scan", SEEDS.items())
write("scan_logs", [*LOG_SEEDS.items(), *captures("logs")])
write("scan_metrics", [*METRIC_SEEDS.items(), *captures("metrics")])
