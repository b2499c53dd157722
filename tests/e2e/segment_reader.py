"""A second reader of the store's files, written from the drawings at the top of
lib/store/segment_format.h, segment_footer.h and item_fields.h, and from nothing else of the
program: what it reads is what those pages say. It checks every checksum, also those that the
program leaves to `midwatch check`.

    tests/e2e/segment_reader.py DIRECTORY      one JSON line an item

Python's standard library, and through ctypes liblz4, libzstd and libxxhash.
"""
import ctypes
import ctypes.util
import itertools
import json
import os
import re
import struct
import sys

MASK = 2 ** 64 - 1
TRACES, METRICS, LOGS = 1, 2, 3
LOG, MERGED = 0, 1
VERSIONS = (2, 3)
SEGMENT_HEADER = struct.Struct("<8sHHI8Q")
BLOCK_HEADER = struct.Struct("<8sII2Q16s3Q4I2QI4BQQ")
TRAILER = struct.Struct("<8sII8Q")
PIECE = 1 << 20
AS_IS, LZ4, PIECES, PLANES, FIELDS = range(5)

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
    return [b""] + [text[begin:end] for begin, end in zip(begins, ends)]


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
    return columns


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


# ---- blocks --------------------------------------------------------------------------------------


class Item:
    """One span, data point or log record, with all the store knows of it."""

    def __init__(self, block, row, columns, data, contexts):
        self.block = block
        self.signal = block.signal
        self.columns = {name: values[row] for name, values in columns.items()}
        self.commit = self.columns.pop("commit")
        self.position = self.columns.pop("position")
        if self.signal == METRICS:
            self.columns["value"] = as_double(self.columns["value"])
        self.data = data
        self.resource, self.scope, self.head = contexts

    def identity(self):
        """Rows of which this is equal are repeats of one item."""
        names = {TRACES: ("trace_id", "span_id"), METRICS: ("series", "time", "start"),
                 LOGS: ()}[self.signal]
        place = (self.commit, self.position) if self.signal == LOGS else ()
        return (self.signal, *place, *(self.columns[name] for name in names))


class Block:
    """One block: header, and the rest when asked."""

    def __init__(self, segment, offset):
        self.read_header(segment, offset)
        self.check_chunks()

    def read_header(self, segment, offset):
        data = segment.data
        demand(offset + BLOCK_HEADER.size <= len(data), "no room for a block")
        self.segment, self.offset = segment, offset
        self.header = data[offset:offset + BLOCK_HEADER.size]
        (magic, length, self.items, self.commit, self.synced, self.digest, self.time_min,
         self.time_max, self.arrival, self.hot_size, self.hot_raw, self.items_size,
         self.items_raw, self.hot_sum, self.items_sum, self.errors, self.signal, self.hot_codec,
         self.items_codec, rows, zero, own) = BLOCK_HEADER.unpack(self.header)
        demand(magic == b"MWBLOCK\n" and length == 128 and zero == 0, "not a block")
        demand(own == checksum(self.header[:120], segment.seed(offset)), "a block's header")
        demand(self.items >= 1 and self.signal in WIDE and rows in (0, 1), "a block's numbers")
        self.of_many_commits = rows == 1

    def check_chunks(self):
        hot_at = self.offset + len(self.header)
        items_at = hot_at + self.hot_size
        self.end = (items_at + self.items_size + 7) // 8 * 8
        data = self.segment.data
        demand(self.end <= len(data), "a block longer than its file")
        self.hot, self.packed_items = data[hot_at:items_at], data[items_at:self.end]
        demand(checksum(self.hot, 0) == self.hot_sum, "a hot chunk")
        demand(checksum(self.packed_items, 0) == self.items_sum, "an item chunk")
        demand(not any(self.packed_items[self.items_size:]), "padding")
        self.packed_items = self.packed_items[:self.items_size]

    def columns(self):
        unpack = {AS_IS: lambda: self.hot, LZ4: lambda: unpack_lz4(self.hot, self.hot_raw),
                  PLANES: lambda: unpack_planes(self, self.hot)}
        demand(self.hot_codec in unpack, "codec of a hot chunk")
        data = unpack[self.hot_codec]()
        demand(len(data) == self.hot_raw, "length of a hot chunk")
        return read_hot(self, data)

    def contents(self, columns):
        """(contexts, references, items)."""
        unpack = {AS_IS: lambda data, size: data, LZ4: unpack_lz4, PIECES: unpack_pieces,
                  FIELDS: unpack_zstd}
        demand(self.items_codec in unpack, "codec of an item chunk")
        data = unpack[self.items_codec](self.packed_items, self.items_raw)
        demand(len(data) == self.items_raw, "length of an item chunk")
        if self.items_codec == FIELDS:
            return read_fields(self, data, columns)
        return read_items(self, data)

    def __iter__(self):
        columns = self.columns()
        contexts, references, items = self.contents(columns)
        heads = references[2] if self.signal == METRICS else None
        for row, data in enumerate(items):
            of_row = (contexts.resources[references[0][row]], contexts.scopes[references[1][row]],
                      contexts.heads[heads[row]][0] if heads else None)
            yield Item(self, row, columns, data, of_row)


# ---- footers -------------------------------------------------------------------------------------


def trace_key(trace_id):
    return int.from_bytes(trace_id[:8], "big")


def text_seed(digest_key):
    return checksum(digest_key, checksum(b"text keys\0", 0))


def text_key(seed, text):
    return checksum(text, seed) or 1


PAIRS_A_PAGE = 512
SECTIONS = ["replaced", "traces", "sessions", "texts", "filters", "rollups", "replaced_again",
            "requests", "blocks", "trace_fences", "session_fences", "text_fences"]


class BlockRecord:
    """What the footer says of a block."""

    def __init__(self, cursor):
        self.offset = cursor.number(8)
        self.header = cursor.take(128)
        services, names, self.traces, self.sessions = cursor.numbers(4)
        self.filter_offset, self.filter_size, self.filter_sum = cursor.numbers(3, 8)
        self.services = cursor.numbers(services, 8)
        self.names = cursor.numbers(names, 8)


class Footer:
    """The footer of a merged segment, all of it read and checked."""

    def __init__(self, segment):
        self.segment = segment
        self.read_trailer()
        self.replaced, self.ends = self.read_replaced("replaced")
        demand((self.replaced, self.ends) == self.read_replaced("replaced_again"), "two copies")
        cursor = self.section("requests")
        self.requests = [(cursor.take(16), cursor.number(8)) for _ in range(len(cursor.data) // 24)]
        cursor.end()
        arrivals = [arrival for _, arrival in self.requests]
        demand(arrivals == sorted(arrivals), "requests in order")
        cursor = self.section("blocks")
        self.blocks = [BlockRecord(cursor) for _ in range(self.block_count)]
        cursor.end()
        self.traces = self.read_directory("traces", "trace_fences", self.trace_pairs)
        self.sessions = self.read_directory("sessions", "session_fences", self.session_pairs)
        self.texts = self.read_texts()
        self.check_filters()

    def read_trailer(self):
        data, at = self.segment.data, len(self.segment.data) - 384
        demand(at >= self.segment.durable_end, "no room for a footer")
        trailer = data[at:]
        (magic, version, sections, segment_id, self.begin, self.latest_arrival,
         self.highest_commit, self.block_count, self.trace_pairs, self.session_pairs,
         self.text_pages) = TRAILER.unpack_from(trailer)
        demand(magic == b"MWFOOTR\n" and (version, sections) == (1, 12), "not a footer")
        demand(segment_id == self.segment.id and self.begin == self.segment.durable_end,
               "another's footer")
        demand(checksum(trailer[:376], self.segment.seed(at)) ==
               int.from_bytes(trailer[376:], "little"), "a trailer")
        self.places, end = {}, self.begin
        for name, place in zip(SECTIONS, struct.iter_unpack("<3Q", trailer[80:368])):
            demand(place[0] == end, f"a gap before {name}")
            end += place[1]
            self.places[name] = place
        demand(end == at, "a gap before the trailer")

    def section(self, name):
        offset, length, own = self.places[name]
        data = self.segment.data[offset:offset + length]
        demand(checksum(data, self.segment.seed(offset)) == own, f"section {name}")
        return Cursor(data)

    def read_replaced(self, name):
        cursor = self.section(name)
        demand(cursor.take(8) == b"MWREPLD\n", "not a list of the replaced")
        ids, ends = cursor.numbers(2, 8)
        out = cursor.numbers(ids, 8), dict(struct.iter_unpack("<2Q", cursor.take(16 * ends)))
        own = checksum(cursor.data[:cursor.at], self.segment.id)
        demand(cursor.number(8) == own, "a list of the replaced")
        cursor.end()
        return out

    def read_directory(self, name, fences_name, count):
        """[(key, number of the block)], the pages checked against their fences."""
        cursor, fences = self.section(name), self.section(fences_name)
        offset, pairs = self.places[name][0], []
        while cursor.at < len(cursor.data):
            seed = self.segment.seed(offset + cursor.at)
            page = cursor.take(min(12 * PAIRS_A_PAGE, len(cursor.data) - cursor.at))
            fence = fences.numbers(2, 8)
            pairs += struct.iter_unpack("<QI", page)
            demand(fence == (int.from_bytes(page[:8], "little"), checksum(page, seed)), "a fence")
        fences.end()
        demand(len(pairs) == count and pairs == sorted(set(pairs)), f"pairs of {name}")
        return pairs

    def read_texts(self):
        pages, fences, texts = self.section("texts"), self.section("text_fences"), []
        for _ in range(self.text_pages):
            packed, raw = fences.numbers(2)
            own, codec, length = fences.number(8), fences.number(1), fences.number(1)
            seed = self.segment.seed(self.places["texts"][0] + pages.at)
            page = pages.take(packed)
            demand(checksum(page, seed) == own, "a page of texts")
            page = Cursor(unpack_lz4(page, raw) if codec == LZ4 else page)
            first = len(texts)
            while page.at < len(page.data):
                texts.append(page.take(page.number(2)))
            demand(texts[first][:64] == fences.take(length), "a fence of texts")
        pages.end()
        fences.end()
        demand(texts == sorted(set(texts)), "texts in order")
        return texts

    def check_filters(self):
        cursor = self.section("filters")
        for record in self.blocks:
            data = cursor.data[record.filter_offset:][:record.filter_size]
            seed = self.segment.seed(self.places["filters"][0] + record.filter_offset)
            demand(not data or checksum(data, seed) == record.filter_sum, "a filter")
        self.section("rollups")

    def blocks_of(self, pairs, key):
        """Offsets of the blocks that a directory names for the key."""
        return [self.blocks[block].offset for found, block in pairs if found == key]

    def check_blocks(self, blocks, seed):
        """Is what the footer says of the blocks what is in them?"""
        demand(len(blocks) == len(self.blocks), "blocks of a footer")
        traces, sessions, texts = set(), set(), set()
        for number, (block, record) in enumerate(zip(blocks, self.blocks)):
            demand((record.offset, record.header) == (block.offset, block.header), "a record")
            columns = block.columns()
            own = set(columns["session"]) - {b""}
            keys = {
                "traces": {trace_key(trace_id) for trace_id in columns.get("trace_id", [])},
                "sessions": {text_key(seed, text) for text in own},
                "services": {text_key(seed, text) for text in set(columns["service"]) - {b""}},
                "names": {text_key(seed, text) for text in set(columns["name"]) - {b""}
                          if block.signal == METRICS},
            }
            demand((record.traces, record.sessions) ==
                   (len(keys["traces"]), len(keys["sessions"])), "pairs of a block")
            demand(list(record.services) == sorted(keys["services"]) and
                   list(record.names) == sorted(keys["names"]), "keys of a block")
            traces.update((key, number) for key in keys["traces"])
            sessions.update((key, number) for key in keys["sessions"])
            texts.update(text for text in own if block.signal != METRICS and len(text) <= 4096)
            demand(max(columns["commit"]) <= self.highest_commit and
                   block.arrival <= self.latest_arrival, "highest and latest")
        demand((self.traces, self.sessions, self.texts) ==
               (sorted(traces), sorted(sessions), sorted(texts)), "directories")


# ---- segments ------------------------------------------------------------------------------------


class Segment:
    """One file. `end` is where its blocks stop to count; None = before the torn tail."""

    def __init__(self, path, name_id):
        with open(path, "rb") as file:
            self.data = file.read()
        demand(len(self.data) >= SEGMENT_HEADER.size, "no room for a header")
        (magic, self.version, self.kind, length, self.id, self.created, self.predecessor,
         self.predecessor_end, self.durable_end, self.first_commit, self.salt, own) = \
            SEGMENT_HEADER.unpack_from(self.data)
        demand(magic == b"MWSEGMT\n" and self.version in VERSIONS and length == 80,
               "not a segment")
        demand(self.id == name_id != 0 and self.kind in (LOG, MERGED), "a segment's numbers")
        demand(own == checksum(self.data[:72], self.id), "a segment's header")
        self.end = self.durable_end
        self.footer = Footer(self) if self.kind == MERGED else None

    def seed(self, offset):
        return checksum(struct.pack("<2Q", self.id, offset), self.salt)

    def proven(self, offset):
        """Were the bytes at `offset` durable once? So says the file's header, or a later block."""
        if offset < self.durable_end:
            return True
        later = Block.__new__(Block)
        for at in range(offset + 8, len(self.data), 8):
            if self.data[at:at + 8] == b"MWBLOCK\n":
                try:
                    later.read_header(self, at)
                except Damage:
                    continue
                if later.synced > offset:
                    return True
        return False

    def blocks(self):
        at = SEGMENT_HEADER.size
        while at < len(self.data) if self.end is None else at != self.end:
            try:
                block = Block(self, at)
            except Damage:
                if self.end is None and not self.proven(at):
                    return
                raise
            demand(self.end is None or block.end <= self.end, "a block across the end")
            yield block
            at = block.end


class Store:
    """All segments of a directory that count, in the order of their ids."""

    def __init__(self, directory):
        with open(os.path.join(directory, "digest.key"), "rb") as file:
            self.text_seed = text_seed(file.read())
        found = {}
        for name in sorted(os.listdir(directory)):
            if re.fullmatch("[0-9a-f]{16}[.]seg", name):
                segment = Segment(os.path.join(directory, name), int(name[:16], 16))
                found[segment.id] = segment
        footers = [segment.footer for segment in found.values() if segment.footer]
        replaced = set(itertools.chain.from_iterable(footer.replaced for footer in footers))
        self.segments = [segment for segment in found.values() if segment.id not in replaced]
        logs = [segment for segment in found.values() if segment.kind == LOG]
        ends = {log.predecessor: log.predecessor_end for log in logs}
        for footer in footers:
            ends.update(footer.ends)
        newest = max((log.id for log in logs if log.id not in replaced), default=None)
        for log in logs:
            log.end = ends.get(log.id, None if log.id == newest else log.durable_end)

    def blocks(self):
        for segment in self.segments:
            yield from segment.blocks()

    def rows(self):
        """All that is stored, repeats of spans and points included."""
        return [item for block in self.blocks() for item in block]

    def __iter__(self):
        """Every item once, in the order of the commits."""
        seen = set()
        for item in sorted(self.rows(), key=lambda item: (item.commit, item.position)):
            identity = item.identity()
            if identity not in seen:
                seen.add(identity)
                yield item

    def check(self):
        """Compares the footers with the blocks."""
        for segment in self.segments:
            if segment.footer:
                segment.footer.check_blocks(list(segment.blocks()), self.text_seed)


# ---- by hand -------------------------------------------------------------------------------------


def readable(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [readable(part) for part in value]
    return value


def main():
    store = Store(sys.argv[1])
    store.check()
    for item in store:
        line = {"segment": item.block.segment.id, "offset": item.block.offset,
                "signal": item.signal, "commit": item.commit, "position": item.position,
                **item.columns, "resource": item.resource, "scope": item.scope,
                "head": item.head, "item": item.data}
        print(json.dumps({name: readable(value) for name, value in line.items()}))


if __name__ == "__main__":
    main()
