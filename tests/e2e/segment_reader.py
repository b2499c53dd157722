"""A second reader of the store's files, written from the drawings at the top of
lib/store/format/segment_format.h, segment_footer.h and item_fields.h, and from nothing else of the
program: what it reads is what those pages say. It checks every checksum, also those that the
program leaves to `midwatch check`. segment_chunks.py is the part of it that unpacks.

    tests/e2e/segment_reader.py DIRECTORY      one JSON line an item

Python's standard library, and through ctypes liblz4, libzstd and libxxhash.
"""
import contextlib
import itertools
import json
import os
import re
import struct
import sys

from segment_chunks import (AS_IS, FIELDS, LOG_FIELDS, LOGS, LZ4, METRICS, PIECES, PLANES, TRACES,
                            WIDE, Cursor, Damage, as_double, checksum, demand, read_fields, read_hot,
                            read_items, read_log_fields, unpack_lz4, unpack_pieces, unpack_planes,
                            unpack_zstd)

LOG, MERGED = 0, 1
VERSIONS = (2, 3, 4)
SEGMENT_HEADER = struct.Struct("<8sHHI8Q")
BLOCK_HEADER = struct.Struct("<8sII2Q16s3Q4I2QI4BQQ")
TRAILER = struct.Struct("<8sII8Q")
TEXT_MAX = 4096


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

        items_at = offset + len(self.header) + self.hot_size
        self.end = (items_at + self.items_size + 7) // 8 * 8
        demand(self.end <= min(len(data), segment.limit()), "a block across the end")
        self.hot, self.packed_items = data[items_at - self.hot_size:items_at], data[items_at:self.end]

    def check_chunks(self):
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
                  FIELDS: unpack_zstd, LOG_FIELDS: unpack_lz4}
        demand(self.items_codec in unpack, "codec of an item chunk")
        data = unpack[self.items_codec](self.packed_items, self.items_raw)
        demand(len(data) == self.items_raw, "length of an item chunk")
        if self.items_codec == FIELDS:
            return read_fields(self, data, columns)
        if self.items_codec == LOG_FIELDS:
            return read_log_fields(self, data, columns)
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
        self.key_check = int.from_bytes(trailer[368:376], "little")
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
            own, packed_so, length = fences.number(8), fences.number(1), fences.number(1)
            seed = self.segment.seed(self.places["texts"][0] + pages.at)
            page = pages.take(packed)
            demand(checksum(page, seed) == own, "a page of texts")
            demand(packed_so in (0, 1), "a page of texts")
            page = Cursor(unpack_zstd(page, raw) if packed_so else page)
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
            texts.update(text for text in own if block.signal != METRICS and len(text) <= TEXT_MAX)
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

    def limit(self):
        return len(self.data) if self.end is None else self.end

    def header_behind(self, offset, synced):
        """Where the next block begins that was written when `synced` bytes were durable."""
        for at in range(offset + 8, self.limit(), 8):
            if self.data[at:at + 8] == b"MWBLOCK\n":
                with contextlib.suppress(Damage):
                    if Block(self, at).synced >= synced:
                        return at
        return None

    def proven(self, offset):
        """Were the bytes at `offset` durable once? So says the file's header, or a later block."""
        return offset < self.durable_end or self.header_behind(offset, offset + 1) is not None

    def leftover(self):
        """Bytes behind the mark of the end, of a segment whose file this was before; None when the
        blocks do not end in order. Of the newest of the log."""
        end = max((block.end for block in self.blocks()), default=SEGMENT_HEADER.size)
        rest = self.data[end:]
        return None if any(rest[:8]) else len(rest[8:])

    def blocks(self, damaged=None):
        """Those that count. Where there is damage it ends with it, or leaves that out and appends
        the offset to the list `damaged`."""
        at = SEGMENT_HEADER.size
        while at < self.limit():
            block = fault = None
            try:
                block = Block(self, at)
                block.check_chunks()
            except Damage as damage:
                fault = damage
            if not fault:
                yield block
            elif self.end is None and not self.proven(at):
                return
            elif damaged is None:
                raise fault
            else:
                damaged.append(at)
            at = block.end if block else self.header_behind(at, 0) or self.limit()


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
            later = [other for other in logs if other.id > log.id]
            lost = later and min(later, key=lambda other: other.id).predecessor > log.id
            log.end = ends.get(log.id, None if lost or log.id == newest else log.durable_end)

    def blocks(self, damaged=None):
        for segment in self.segments:
            yield from segment.blocks(damaged)

    def rows(self, damaged=None):
        """All that is stored, repeats of spans and points included."""
        return [item for block in self.blocks(damaged) for item in block]

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
                demand(segment.footer.key_check == checksum(b"key check\0", self.text_seed),
                       "another digest.key")
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
