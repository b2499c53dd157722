"""The two chunks of a block, unpacked: columns, and items with what stands around them. From the
drawings in lib/store/format/segment_format.h and item_fields.h; see segment_reader.py."""
import ctypes
import ctypes.util
import itertools
import struct

MASK = 2 ** 64 - 1
TRACES, METRICS, LOGS = 1, 2, 3
PIECE = 1 << 20
AS_IS, LZ4, PIECES, PLANES, FIELDS, LOG_FIELDS = range(6)

# Columns in the order of the hot chunk. Of the wide ones also how the 8 bytes are read, and
# whether the codec "planes" writes steps.
WIDE = {
    TRACES: [("span_id", "id", False), ("parent_id", "id", False), ("start", "Q", True),
             ("duration", "Q", False), ("input_tokens", "q", False),
             ("output_tokens", "q", False)],
    METRICS: [("series", "Q", True), ("time", "Q", True), ("start", "Q", True),
              ("value", "Q", True), ("count", "Q", True)],
    LOGS: [("span_id", "id", False), ("time", "Q", True)],
}
OF_MANY_COMMITS = [("commit", "Q", True), ("position", "Q", True)]
NARROW = {
    TRACES: ["kind", "status", "operation", "flags"],
    METRICS: ["kind", "temporality", "flags"],
    LOGS: ["severity", "flags"],
}
REFERENCES = {
    TRACES: ["trace_id", "name", "service", "peer_service", "session", "agent", "user", "model",
             "status_message", "origin"],
    METRICS: ["name", "service", "session", "unit", "origin"],
    LOGS: ["trace_id", "name", "service", "session", "agent", "origin"],
}
# The fields that the codec "fields" takes from the columns: tag (and length), column.
TOLD = {
    TRACES: [(b"\x0a\x10", "trace_id"), (b"\x12\x08", "span_id"), (b"\x22\x08", "parent_id"),
             (b"\x39", "start"), (b"\x41", "end")],
    METRICS: [(b"\x11", "start"), (b"\x19", "time"), (b"\x21", "value"), (b"\x21", "count"),
              (b"\x29", "value"), (b"\x31", "integer")],
    LOGS: [(b"\x09", "time"), (b"\x4a\x10", "trace_id"), (b"\x52\x08", "span_id"),
           (b"\x59", "time")],
}


class Damage(Exception):
    """The file is not as the drawings say."""


def demand(truth, what):
    if not truth:
        raise Damage(what)


# ---- libraries -----------------------------------------------------------------------------------


def library(name):
    path = ctypes.util.find_library(name)
    demand(path, f"no library {name}")
    return ctypes.CDLL(path)


XXHASH, ZSTD, LZ4_LIBRARY = library("xxhash"), library("zstd"), library("lz4")
XXHASH.XXH3_64bits_withSeed.restype = ctypes.c_uint64
XXHASH.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
ZSTD.ZSTD_decompress.restype = ctypes.c_size_t
ZSTD.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t] * 2
LZ4_LIBRARY.LZ4_decompress_safe.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int,
                                            ctypes.c_int]


def checksum(data, seed):
    return XXHASH.XXH3_64bits_withSeed(bytes(data), len(data), seed)


def unpack_zstd(data, size):
    """Frames, one behind the other."""
    out = ctypes.create_string_buffer(size or 1)
    demand(ZSTD.ZSTD_decompress(out, size, data, len(data)) == size, "zstd")
    return out.raw[:size]


def unpack_lz4(data, size):
    out = ctypes.create_string_buffer(size or 1)
    demand(LZ4_LIBRARY.LZ4_decompress_safe(data, out, len(data), size) == size, "lz4")
    return out.raw[:size]


def unpack_pieces(data, size):
    out, at = [], 0
    for begin in range(0, size, PIECE):
        raw = min(PIECE, size - begin)
        (length,) = struct.unpack_from("<I", data, at)
        piece = data[at + 4:at + 4 + length]
        out.append(piece if length == raw else unpack_lz4(piece, raw))
        at += 4 + length
    demand(at == len(data), "bytes behind the last piece")
    return b"".join(out)


class Cursor:
    """Takes numbers and bytes from the front."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        demand(self.at + size <= len(self.data), "behind the end")
        self.at += size
        return self.data[self.at - size:self.at]

    def numbers(self, count, width=4):
        letter = {1: "B", 2: "H", 4: "I", 8: "Q"}[width]
        return struct.unpack(f"<{count}{letter}", self.take(count * width))

    def number(self, width=4):
        return int.from_bytes(self.take(width), "little")

    def end(self):
        demand(self.at == len(self.data), "bytes that nothing takes")


# ---- hot chunk -----------------------------------------------------------------------------------


def wide_columns(block):
    return WIDE[block.signal] + (OF_MANY_COMMITS if block.of_many_commits else [])


def signed_step(number):
    return number >> 1 if number % 2 == 0 else -(number >> 1) - 1


def from_planes(data, width):
    rows = len(data) // width
    out = bytearray(len(data))
    for byte in range(width):
        out[byte::width] = data[byte * rows:(byte + 1) * rows]
    return out


def from_steps(data):
    steps = map(signed_step, struct.unpack(f"<{len(data) // 8}Q", data))
    numbers = [number & MASK for number in itertools.accumulate(steps)]
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def from_rows(parents, span_ids):
    """Parents of the block, written as the distance to their row, as ids."""
    out = bytearray(parents)
    for row, (number,) in enumerate(struct.iter_unpack("<Q", parents)):
        if 1 <= number < 2 ** 32:
            other = row - signed_step(number - 1)
            demand(0 <= other < len(parents) // 8, "a parent outside the block")
            out[8 * row:8 * row + 8] = span_ids[8 * other:8 * other + 8]
    return out


def unpack_planes(block, data):
    """The hot chunk as it was: every column back in its place."""
    demand(data[0] in (0, 1), "planes of an unknown kind")
    out = bytearray(unpack_zstd(data[1:], block.hot_raw))
    ids, _, _, width = struct.unpack_from("<4I", out)
    at, n, place = 16 + 16 * ids, block.items, {}
    for name, _, steps in wide_columns(block):
        place[name] = slice(at, at + 8 * n)
        if name != "span_id":
            column = from_planes(out[place[name]], 8)
            out[place[name]] = from_steps(column) if steps else column
        at += 8 * n
    if data[0] == 1 and "parent_id" in place:
        out[place["parent_id"]] = from_rows(out[place["parent_id"]], out[place["span_id"]])
    at += n * len(NARROW[block.signal])
    for _ in REFERENCES[block.signal]:
        out[at:at + width * n] = from_planes(out[at:at + width * n], width)
        at += width * n
    return bytes(out)


def read_wide(data, form):
    if form == "id":
        return [data[at:at + 8] for at in range(0, len(data), 8)]
    return list(struct.unpack(f"<{len(data) // 8}{form}", data))


def read_strings(cursor, count, size):
    ends = cursor.numbers(count)
    text = cursor.take(size)
    begins = (0,) + ends[:-1]
    demand(list(ends) == sorted(ends) and (not ends or ends[-1] == size), "ends of strings")
    strings = [b""] + [text[begin:end] for begin, end in zip(begins, ends)]
    demand(len(set(strings)) == len(strings), "distinct strings, none of them empty")
    return strings


def read_hot(block, data):
    """{column: values of all rows}; times absolute, texts as bytes."""
    cursor, n = Cursor(data), block.items
    ids, count, size, width = cursor.numbers(4)
    demand(width in (2, 4), "width of references")
    trace_ids = [cursor.take(16) for _ in range(ids)]
    demand(trace_ids == sorted(set(trace_ids)), "trace ids in order")
    columns = {name: read_wide(cursor.take(8 * n), form) for name, form, _ in wide_columns(block)}
    columns.update((name, cursor.numbers(n, 1)) for name in NARROW[block.signal])
    references = {name: cursor.numbers(n, width) for name in REFERENCES[block.signal]}
    strings = read_strings(cursor, count, size)
    cursor.end()
    for name, numbers in references.items():
        texts = trace_ids if name == "trace_id" else strings
        demand(max(numbers) < len(texts), "a reference to nothing")
        columns[name] = [texts[number] for number in numbers]
    finish_columns(block, columns)
    check_header(block, columns)
    return columns


def check_header(block, columns):
    """What a block's header says of its items."""
    begins = columns["start" if block.signal == TRACES else "time"]
    demand((min(begins), max(begins + columns.get("end", []))) == (block.time_min, block.time_max),
           "event times")
    bad = {TRACES: lambda: columns["status"].count(2), METRICS: lambda: 0,
           LOGS: lambda: sum(17 <= severity for severity in columns["severity"])}
    demand(block.errors == bad[block.signal](), "count of errors")
    demand(block.commit == min(columns["commit"]), "lowest commit")


def finish_columns(block, columns):
    """What the file tells relative to something, absolute."""
    clock = "start" if block.signal == TRACES else "time"
    columns[clock] = [(block.time_min + time) & MASK for time in columns[clock]]
    if block.signal == TRACES:
        columns["end"] = [(start + length) & MASK for start, length
                          in zip(columns["start"], columns.pop("duration"))]
    if block.of_many_commits:
        columns["commit"] = [(block.commit + step) & MASK for step in columns["commit"]]
    else:
        columns["commit"] = [block.commit] * block.items
        columns["position"] = list(range(block.items))


# ---- item chunk ----------------------------------------------------------------------------------


class Contexts:
    """The messages of resources, scopes and metric heads, each with its schema URL."""

    def __init__(self, counts, lengths, cursor):
        messages = iter([(cursor.take(message), cursor.take(url)) for message, url
                         in zip(lengths[::2], lengths[1::2])])
        self.resources, self.scopes, self.heads = (
            [next(messages) for _ in range(count)] for count in counts)


def read_items(block, data):
    """(contexts, references of the rows, items) of a plain item chunk."""
    cursor, n = Cursor(data), block.items
    counts = cursor.numbers(3)
    lengths = cursor.numbers(2 * sum(counts))
    sizes = cursor.numbers(n)
    references = [cursor.numbers(n) for _ in range(3 if block.signal == METRICS else 2)]
    contexts = Contexts(counts, lengths, cursor)
    items = [cursor.take(size) for size in sizes]
    cursor.end()
    return contexts, references, items


def read_varint(cursor):
    number = shift = 0
    while True:
        byte = cursor.number(1)
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number


def take_field(cursor):
    """One protobuf field with its tag."""
    begin = cursor.at
    wire = read_varint(cursor) & 7
    if wire == 0:
        read_varint(cursor)
    else:
        demand(wire in (1, 2, 5), f"a field of wire type {wire}")
        cursor.take({1: 8, 5: 4}.get(wire) or read_varint(cursor))
    return cursor.data[begin:cursor.at]


def as_double(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def told_field(tag, column, columns, row):
    if column == "integer":
        value = as_double(columns["value"][row])
        return tag + struct.pack("<q", int(value) if -2.0 ** 63 <= value < 2.0 ** 63 else 0)
    value = columns[column][row]
    return tag + (value if isinstance(value, bytes) else struct.pack("<Q", value))


class FieldTokens:
    """The items of a chunk with the codec "fields", one by one."""

    def __init__(self, block, columns, tokens, dictionary):
        self.told = TOLD[block.signal]
        self.columns = columns
        self.tokens = Cursor(tokens)
        self.dictionary = Cursor(dictionary)
        self.known = []
        self.following = [0] * (1 + len(self.told))

    def field(self, guess):
        """(number, whether it is named for the first time)."""
        token = read_varint(self.tokens)
        if token == 0:
            return guess, False
        if token >= 3:
            return token - 3, False
        self.known.append(take_field(self.dictionary) if token == 1 else
                          self.dictionary.take(read_varint(self.tokens)))
        self.following.append(0)
        return len(self.following) - 1, True

    def content(self, number, row):
        if number <= len(self.told):
            return told_field(*self.told[number - 1], self.columns, row)
        demand(number < len(self.following), "a field that was never named")
        return self.known[number - 1 - len(self.told)]

    def item(self, row):
        out, before = [], 0
        while True:
            guess = self.following[before]
            number, new = self.field(guess)
            if new:
                self.following[number] = self.following[guess]
            self.following[before] = before = number
            if number == 0:
                return b"".join(out)
            out.append(self.content(number, row))


def read_fields(block, data, columns):
    cursor, n = Cursor(data), block.items
    counts = cursor.numbers(3)
    size, width = cursor.numbers(2)
    lengths = cursor.numbers(2 * sum(counts))
    references = [cursor.numbers(n, width) for _ in range(3 if block.signal == METRICS else 2)]
    contexts = Contexts(counts, lengths, cursor)
    reader = FieldTokens(block, columns, cursor.take(size), cursor.take(len(data) - cursor.at))
    items = [reader.item(row) for row in range(n)]
    reader.tokens.end()
    reader.dictionary.end()
    return contexts, references, items


def read_log_fields(block, data, columns):
    """The same behind the length of each item."""
    lengths = Cursor(data).numbers(block.items)
    contexts, references, items = read_fields(block, data[4 * block.items:], columns)
    demand([len(item) for item in items] == list(lengths), "lengths of items")
    return contexts, references, items
