#!/usr/bin/env python3
"""Writes the seed corpora of fuzz_block_filter and fuzz_log_pattern: DIRECTORY/block_filter/* and
DIRECTORY/log_pattern/*."""
import os
import struct
import sys


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    if isinstance(content, str):
        content = content.encode()
    return varint(number << 3 | 2) + varint(len(content)) + content


def attribute(key, value):
    return field(1, key) + field(2, value)


VALUES = {
    "text": field(1, "value"), "bool": b"\x10\x01", "int": b"\x18" + varint(5),
    "minus": b"\x18" + varint(2 ** 64 - 1), "double": b"\x21" + struct.pack("<d", 5.0),
    "nan": b"\x21" + struct.pack("<d", float("nan")), "array": field(5, field(1, field(1, "x"))),
    "list": field(6, field(1, attribute("k", field(1, "v")))), "bytes": field(7, b"\x00\xff"),
    "none": b"",
}


def filter_bytes(attributes, trigrams):
    return bytes([1, 0, 0, 0]) + struct.pack("<IIIQ", attributes, trigrams, 0, 7) + \
        b"\xa5" * 64 * (attributes + trigrams)


def block_filters():
    for signal, number in ((0, 9), (2, 6)):
        message = b"".join(field(number, attribute(name, value)) for name, value in VALUES.items())
        message += field(number, attribute("text", VALUES["int"]))
        message += field(number, field(2, VALUES["text"]) + field(1, "behind"))
        message += field(5, VALUES["text"]) + field(5, VALUES["list"])
        for name, tail in (("empty", b""), ("some", filter_bytes(2, 1)), ("short", filter_bytes(1, 1)[:-1])):
            yield f"{signal}_{name}.bin", bytes([signal]) + struct.pack("<H", len(message)) + message + tail
    message = field(1, attribute("exponential", VALUES["double"])) + field(7, b"\x0a\x01a\x12\x7f")
    yield "points.bin", b"\x01" + struct.pack("<H", len(message)) + message


PATTERNS = ["error", "(?i)timeout|refused", r"^\d+ ms$", "(a+)+[BD]", "(a(?1)b|c)", "[", r"\p{L}+(?=:)",
            "(*NO_JIT)(a|b)*c", r"(?<=x{3})y", r"(?m)^second", "a{1,100}b", "(?=[a-z]*+1)|z", ""]


def log_patterns():
    bodies = [field(1, "error: timeout after 12 ms\nsecond line"), field(1, "a" * 60 + "c"),
              VALUES["list"], field(1, b"\xff\xfe\xc3\xa4 xxxy"), field(1, "a" * 5000)]
    for number, pattern in enumerate(PATTERNS):
        record = field(3, "INFO") + field(5, bodies[number % len(bodies)])
        yield f"{number:02}.bin", struct.pack("<H", len(pattern)) + pattern.encode() + record


def main():
    for name, files in (("block_filter", block_filters()), ("log_pattern", log_patterns())):
        folder = os.path.join(sys.argv[1], name)
        os.makedirs(folder, exist_ok=True)
        for file, content in files:
            with open(os.path.join(folder, file), "wb") as out:
                out.write(content)


if __name__ == "__main__":
    main()
