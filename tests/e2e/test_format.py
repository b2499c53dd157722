#!/usr/bin/env python3
"""Is the drawing of the store's files enough for a stranger? segment_reader.py was written from it
alone. Here it reads what a daemon wrote, logs and merged segments of all three signals, and must
find what was sent: every item byte for byte in its place, the columns, the directories, and the
rules about which blocks count.

Requests in protobuf alone: of those the stored bytes are known beforehand."""
import collections
import contextlib
import glob
import gzip
import math
import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest

import otlp
import segment_reader
import signals
from captures import is_grpc
from harness import BINARY, LOADER, Case, Daemon, wait_for
from segment_reader import (FIELDS, LOG_FIELDS, LOGS, LZ4, MERGED, METRICS, PIECES, PLANES, TRACES,
                            Damage)

NUMBERS = {"traces": TRACES, "metrics": METRICS, "logs": LOGS}
START = otlp.START
TRACE = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
ROOT_SPAN, CALL_SPAN = bytes.fromhex("0102030405060708"), bytes.fromhex("1112131415161718")
NO_TRACE, NO_SPAN = bytes(16), bytes(8)
KNOWN = "format-known"


# ---- what a request holds ------------------------------------------------------------------------


Sent = collections.namedtuple("Sent", "signal data resource scope head service")


def first(found, field, default=b""):
    return found.get(field, [default])[-1]


def number_of(found, field):
    """A fixed64 field as a number; 0 when absent."""
    return int.from_bytes(first(found, field), "little")


def service_of(resource):
    for pair in map(otlp.fields, otlp.fields(resource).get(1, [])):
        if pair[1][0] == b"service.name":
            return first(otlp.fields(pair[2][0]), 1)
    return b"unknown"


def points_of(metric):
    return otlp.fields(first(metric, kind_of(metric))).get(1, [])


def split(signal, body):
    """The items of an export request in their order."""
    rows = []
    for around in map(otlp.fields, otlp.fields(body).get(1, [])):
        resource = (first(around, 1), first(around, 3))
        for inside in map(otlp.fields, around.get(2, [])):
            scope = (first(inside, 1), first(inside, 3))
            known = (resource, scope)
            for item in inside.get(2, []):
                metric = otlp.fields(item) if signal == METRICS else None
                rows += [Sent(signal, data, *known, metric, service_of(resource[0]))
                         for data in (points_of(metric) if metric else [item])]
    return rows


# ---- columns, from the items' own bytes ----------------------------------------------------------


def text_of(found, field):
    """What a column holds of a text: 256 bytes, or less where a character would be cut."""
    return first(found, field)[:256].decode(errors="ignore").encode()


def span_columns(found, _sent):
    return {"trace_id": first(found, 1), "span_id": first(found, 2),
            "parent_id": first(found, 4, NO_SPAN) or NO_SPAN, "name": text_of(found, 5),
            "kind": first(found, 6, 0), "start": number_of(found, 7), "end": number_of(found, 8),
            "status": first(otlp.fields(first(found, 15)), 3, 0),
            "status_message": text_of(otlp.fields(first(found, 15)), 2)}


def log_columns(found, _sent):
    time, severity = number_of(found, 1) or number_of(found, 11), first(found, 2, 0)
    return {**({"time": time} if time else {}), "severity": severity if severity <= 24 else 255,
            "trace_id": first(found, 9, NO_TRACE) or NO_TRACE,
            "span_id": first(found, 10, NO_SPAN) or NO_SPAN, "name": text_of(found, 12)}


POINT_KINDS = [otlp.GAUGE, otlp.SUM, otlp.HISTOGRAM, otlp.EXPONENTIAL_HISTOGRAM, otlp.SUMMARY]
NUMBER_KINDS = (otlp.GAUGE, otlp.SUM)
VALUES = {otlp.GAUGE: (4, 6), otlp.SUM: (4, 6)}
ATTRIBUTES = {otlp.HISTOGRAM: 9, otlp.EXPONENTIAL_HISTOGRAM: 1}
POINT_FLAGS = {otlp.HISTOGRAM: 10, otlp.EXPONENTIAL_HISTOGRAM: 10}


def kind_of(metric):
    (kind,) = set(metric) & set(POINT_KINDS)
    return kind


def value_of(found, kind):
    """(value, whether it was sent as an integer). Whoever sends both sends the last one last."""
    *_, field = [None] + [field for field in found if field in VALUES.get(kind, (5,))]
    if field is None:
        return math.nan, False
    return float(struct.unpack("<q" if field == 6 else "<d", found[field][-1])[0]), field == 6


def point_columns(found, sent):
    kind = kind_of(sent.head)
    data = otlp.fields(first(sent.head, kind))
    value, whole = value_of(found, kind)
    no_value = first(found, POINT_FLAGS.get(kind, 8), 0) & 1
    monotonic = kind == otlp.SUM and first(data, 3, 0)
    return {"time": number_of(found, 3), "start": number_of(found, 2),
            "name": first(sent.head, 1), "unit": first(sent.head, 3),
            "kind": 1 + POINT_KINDS.index(kind),
            "temporality": 0 if kind == otlp.GAUGE else first(data, 2, 0),
            "value": math.nan if no_value else value,
            "count": 0 if kind in NUMBER_KINDS else number_of(found, 4),
            "flags": 2 * (whole and not no_value) + 4 * monotonic + 8 * no_value}


COLUMNS = {TRACES: span_columns, METRICS: point_columns, LOGS: log_columns}


def known_columns(sent):
    columns = COLUMNS[sent.signal](otlp.fields(sent.data), sent)
    return {**columns, "service": sent.service}


def series_of(sent):
    columns = known_columns(sent)
    pairs = otlp.fields(sent.data).get(ATTRIBUTES.get(kind_of(sent.head), 7), [])
    return (sent.resource, sent.scope, tuple(sorted(pairs)), columns["flags"] & 4,
            *(columns[name] for name in ("name", "unit", "kind", "temporality")))


def identity_of(sent, place):
    """What two copies of one item have in common."""
    columns = known_columns(sent)
    if sent.signal == TRACES:
        return columns["trace_id"], columns["span_id"]
    if sent.signal == METRICS:
        return series_of(sent), columns["time"], columns["start"]
    return place


def comparable(columns):
    """NaN equals nothing, itself included."""
    return {name: "NaN" if value != value else value for name, value in columns.items()}


# ---- requests ------------------------------------------------------------------------------------


def integer(number):
    return otlp.varint_field(3, number)


def known_request():
    """Spans of which every column is known."""
    call = otlp.span(TRACE, CALL_SPAN, ROOT_SPAN, name="chat m-1", status=2, attributes=[
        ("gen_ai.operation.name", "chat"), ("gen_ai.usage.input_tokens", integer(1200)),
        ("gen_ai.usage.output_tokens", integer(34)), ("gen_ai.request.model", "m-1"),
        ("gen_ai.agent.name", "planner"), ("user.id", "u-7"), ("session.id", "s-known"),
        ("peer.service", "model-host")])
    return otlp.request([otlp.span(TRACE, ROOT_SPAN, name="root"), call], service=KNOWN)


def odd_span():
    """Valid, and as no library writes it: fields backwards, numbers longer than needed, one field
    twice, one that nobody knows."""
    return (otlp.fixed64_field(8, START + 9) + b"\x30\x83\x80\x00" + otlp.length_field(5, "first") +
            otlp.fixed64_field(7, START) + otlp.length_field(900, "unknown") +
            otlp.length_field(2, b"\xaa" * 8) + otlp.length_field(5, "odd") +
            otlp.length_field(1, TRACE))


def odd_traces():
    """Also a span that ends before it began, and one whose parent is not in the store."""
    return otlp.request([odd_span(), otlp.span(TRACE, b"\xcc" * 8, NO_SPAN, end=START - 5,
                                               name="x" + "\u00e9" * 200),
                         otlp.span(TRACE, b"\xdd" * 8, b"\xde" * 8, start=1, end=2 ** 64 - 1)],
                        service=KNOWN)


def odd_points():
    """Values that the column holds exactly, or not, or only as one of the two kinds of number."""
    values = [-3, 2 ** 62 + 1, -2 ** 63, 2 ** 63 - 1, 0, 1.5, -0.0, math.inf, 1e300, -7.0, None]
    points = [otlp.number_point(value, START + number) for number, value in enumerate(values)]
    points.append(otlp.number_point(1.5, START + 20) + otlp.fixed64_field(6, 1))
    points.append(otlp.number_point(1, START + 21) + otlp.double_field(4, 1.5))
    points.append(otlp.fixed64_field(3, START + 22) + b"\x21\x01\0\0\0\0\0\xf0\x7f")
    points[values.index(None)] += otlp.varint_field(8, 1)
    return otlp.metrics_request([otlp.metric(points), otlp.metric(
        [otlp.histogram_point(5, [2, 3], [1.0]), otlp.fixed64_field(3, START)],
        otlp.HISTOGRAM)], service=KNOWN)


def odd_logs():
    """An empty record in an empty scope of an empty resource; severities out of the ordinary."""
    empty = otlp.length_field(1, otlp.length_field(2, otlp.length_field(2, b"")))
    return empty + otlp.logs_request([otlp.log_record(severity=number) for number in (99, 17, 0)])


def many_traces():
    """More than a page of the directories, and of the sessions' texts."""
    return otlp.logs_request([otlp.log_record(trace_id=os.urandom(16), attributes=[
        ("session.id", os.urandom(32).hex())]) for _ in range(700)], service=KNOWN)


def repeat_of_root(number):
    """A span for the second time, with other content: the first copy stays."""
    return otlp.request([otlp.span(TRACE, ROOT_SPAN, name=f"root again {number}"),
                         otlp.span(TRACE, bytes([number]) * 8, ROOT_SPAN)], service=KNOWN)


def gauge_request(value):
    return signals.request([signals.gauge("depth", [(START, value, [("queue", "q")])])],
                           service=KNOWN)


def large_log(number):
    text = os.urandom(800_000).hex()
    return signals.request([signals.log(START + 1, "beside", 9), signals.log(START, text, 9, [
        ("session.id", f"large-{number}")], TRACE, ROOT_SPAN)], service="format-large")


def plain_body(capture):
    body = capture["body"]
    if is_grpc(capture):
        return gzip.decompress(body[5:]) if body[0] else body[5:]
    return gzip.decompress(body) if capture["compression"] == "gzip" else body


def generated(signal, count, seed):
    return subprocess.run([LOADER, "body", "--signal", signal, "--spans", str(count), "--seed",
                           str(seed)], check=True, capture_output=True).stdout


class Sender:
    """Sends one request after the other, so that the commits have their order."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.commits = []

    def acknowledged(self, signal, body):
        self.commits.append(split(NUMBERS[signal], body))

    def send(self, signal, body, headers=None):
        answer = signals.post(self.daemon, signals.PATHS[signal], body, headers=headers)
        if answer.status != 200 or otlp.partial_success(answer.body)[0]:
            raise AssertionError(f"{signal}: {answer.status} {answer.body!r}")
        self.acknowledged(signal, body)

    def send_captures(self):
        for kind, signal in (("trace", "traces"), ("metrics", "metrics"), ("logs", "logs")):
            for capture in signals.captures(kind):
                if capture["encoding"] == "protobuf" and "unknown_group" not in capture["case"]:
                    signals.send(self.daemon, capture)
                    self.acknowledged(signal, plain_body(capture))

    def send_generated(self, count, seed):
        for signal in ("traces", "metrics", "logs"):
            self.send(signal, generated(signal, count, seed))

    def rows(self):
        """{(commit, position): what was sent there}, repeats included."""
        return {(commit, position): sent for commit, rows in enumerate(self.commits, 1)
                for position, sent in enumerate(rows)}


def without_repeats(rows):
    """The first of each span and point stays."""
    kept = {}
    for place, sent in sorted(rows.items()):
        kept.setdefault((sent.signal, identity_of(sent, place)), (place, sent))
    return dict(kept.values())


# ---- tests ---------------------------------------------------------------------------------------


class FormatTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="midwatch-test-")
        cls.daemon = Daemon(arguments=["--merge-after", "1s"])
        cls.sender = Sender(cls.daemon)
        try:
            cls.fill()
            cls.store = segment_reader.Store(cls.path("store"))
            cls.found = {(item.commit, item.position): item for item in cls.store}
            cls.sent = without_repeats(cls.sender.rows())
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        if cls.daemon.process:
            cls.daemon.stop(check=False)
        cls.daemon.remove()
        shutil.rmtree(cls.folder)

    @classmethod
    def path(cls, *names):
        return os.path.join(cls.daemon.data, *names)

    @classmethod
    def fill(cls):
        """Merged segments; then a log that was killed, one that a stop ended."""
        cls.daemon.start()
        cls.fill_what_merges()
        cls.daemon.arguments = []
        cls.daemon.restart()
        sender = cls.sender
        sender.send("traces", repeat_of_root(2))
        sender.send("logs", large_log(2))
        cls.daemon.kill()
        cls.daemon.start()
        sender.send_generated(96, 11)
        sender.send("logs", signals.request([signals.log(START, "the last", 9)]))
        cls.status = cls.daemon.api("status")
        cls.daemon.stop()

    @classmethod
    def fill_what_merges(cls):
        sender = cls.sender
        sender.send("traces", known_request())
        sender.send("traces", known_request())
        sender.commits.pop()  # the same request once more: acknowledged, and nothing is stored
        sender.send("traces", odd_traces())
        sender.send("metrics", odd_points())
        sender.send("logs", odd_logs())
        sender.send("logs", many_traces())
        sender.send("logs", signals.request([signals.log(START, "from aws", 9)]),
                    {"x-aws-log-group": "/group"})
        sender.send("logs", large_log(1))
        cls.hold_segments()
        sender.send_captures()
        cls.hold_segments()
        sender.send_generated(512, 5)
        sender.send("traces", repeat_of_root(1))
        sender.send("metrics", gauge_request(7))
        sender.send("metrics", gauge_request(8))
        cls.hold_segments()
        wait_for("the merge", lambda: cls.daemon.api("status")["store"]["unmerged_bytes"] == 0, 20)

    @classmethod
    def hold_segments(cls):
        """Keeps those that are there now by a second name; a merge may be removing one."""
        for name in glob.glob(cls.path("store", "*.seg")):
            held = os.path.join(cls.folder, os.path.basename(name))
            if not os.path.exists(held):
                with contextlib.suppress(FileNotFoundError):
                    os.link(name, held)

    def copy(self):
        """A copy of the store, in a data directory of its own."""
        data = tempfile.mkdtemp(dir=self.folder)
        shutil.copytree(self.path("store"), os.path.join(data, "store"))
        return os.path.join(data, "store")

    # ---- what was sent ---------------------------------------------------------------------------

    def test_every_item_is_there_once(self):
        """Byte for byte, with its resource and scope, at its commit and position."""
        self.assertEqual(self.found.keys(), self.sent.keys())
        for place, item in self.found.items():
            sent = self.sent[place]
            self.assertEqual(item.signal, sent.signal, place)
            self.assertTrue(item.data == sent.data, (place, item.data[:200], sent.data[:200]))
            self.assertEqual((item.resource, item.scope), (sent.resource, sent.scope), place)

    def test_metric_heads(self):
        """Name, description, unit, metadata and what the data says beside its points."""
        for place, item in self.found.items():
            if item.signal == METRICS:
                metric, head = self.sent[place].head, otlp.fields(item.head)
                for field in (1, 2, 3, 12):
                    self.assertEqual(head.get(field), metric.get(field), place)
                kind = kind_of(metric)
                self.assertEqual(kind_of(head), kind)
                stored, sent = (otlp.fields(first(message, kind)) for message in (head, metric))
                self.assertEqual({**stored, 1: None}, {**sent, 1: None}, place)

    def test_columns(self):
        for place, item in self.found.items():
            columns = known_columns(self.sent[place])
            found = {name: item.columns[name] for name in columns}
            self.assertEqual(comparable(found), comparable(columns), place)

    def test_columns_of_a_model_call(self):
        (call,) = [item.columns for item in self.found.values()
                   if item.columns.get("span_id") == CALL_SPAN and item.signal == TRACES]
        self.assertEqual(call, {
            "trace_id": TRACE, "span_id": CALL_SPAN, "parent_id": ROOT_SPAN, "start": START,
            "end": START + 1_500_000, "input_tokens": 1200, "output_tokens": 34, "kind": 1,
            "status": 2, "operation": 3, "flags": 0, "name": b"chat m-1",
            "service": KNOWN.encode(), "peer_service": b"model-host", "session": b"s-known",
            "agent": b"planner", "user": b"u-7", "model": b"m-1", "status_message": b"",
            "origin": b""})
        origins = {item.columns["origin"] for item in self.found.values()}
        self.assertEqual(origins, {b"", b"x-aws-log-group=/group"})

    def test_series_are_told_apart(self):
        series = {(series_of(self.sent[place]), item.columns["series"])
                  for place, item in self.found.items() if item.signal == METRICS}
        for side in zip(*series):
            self.assertEqual(len(set(side)), len(series))

    # ---- footers ---------------------------------------------------------------------------------

    def merged(self):
        return [segment for segment in self.store.segments if segment.kind == MERGED]

    def test_directories_find_each_trace(self):
        looked_up = 0
        for segment in self.merged():
            places = collections.defaultdict(set)
            for block in segment.blocks():
                for item in block:
                    sent = self.sent[item.commit, item.position]
                    places[known_columns(sent).get("trace_id")].add(block.offset)
            for trace_id in places.keys() - {None}:
                key = segment_reader.trace_key(trace_id)
                found = segment.footer.blocks_of(segment.footer.traces, key)
                self.assertEqual(set(found), places[trace_id])
                looked_up += 1
        self.assertGreater(looked_up, 50)

    def test_footers_agree_with_the_blocks(self):
        self.store.check()
        texts = {text for segment in self.merged() for text in segment.footer.texts}
        self.assertLess({b"s-known", b"large-1"}, texts)

    def test_requests(self):
        """Each commit can be recognised, by a footer or by its block of the log."""
        digests = [digest for segment in self.merged() for digest, _ in segment.footer.requests]
        digests += [block.digest for block in self.store.blocks() if not block.of_many_commits]
        self.assertEqual(len(set(digests)), len(self.sender.commits))
        self.assertEqual(len(digests), len(self.sender.commits))
        self.assertEqual(self.status["store"]["retry_window"], len(digests))

    # ---- the daemon's own count ------------------------------------------------------------------

    def counts(self, store, damaged=None):
        signal = collections.Counter(item.signal for item in store.rows(damaged))
        return [len(list(store.blocks([] if damaged else None))), signal[TRACES], signal[LOGS],
                signal[METRICS]]

    def test_counts_are_those_of_the_status(self):
        blocks, spans, logs, points = self.counts(self.store)
        self.assertEqual(self.status["stored"], {"spans": spans, "logs": logs, "points": points})
        store = self.status["store"]
        self.assertEqual(store["blocks"], blocks)
        self.assertEqual(store["segments"], len(self.store.segments))
        self.assertEqual(store["commit_seq"], len(self.sender.commits))
        self.assertEqual(store["merged_segments"], len(self.merged()))
        self.assertEqual(store["merged_bytes"], sum(len(one.data) for one in self.merged()))

    def check(self, directory):
        """(counts of `midwatch check`, how many things it calls damaged, its remarks)."""
        done = subprocess.run([BINARY, "check", "--data", os.path.dirname(directory)],
                              capture_output=True, text=True, check=False,
                              env=self.daemon.environment())
        line = re.search(r"(\d+) blocks, (\d+) spans, (\d+) logs, (\d+) points, (\d+) damaged",
                         done.stdout)
        self.assertTrue(line, done.stdout + done.stderr)
        *counts, damaged = map(int, line.groups())
        self.assertEqual(done.returncode, 1 if damaged else 0)
        return counts, damaged, done.stderr

    # ---- which blocks count ----------------------------------------------------------------------

    def test_everything_was_used(self):
        """A page of which nothing was read would not be proven."""
        blocks = list(self.store.blocks())
        self.assertLessEqual({LZ4, PLANES}, {block.hot_codec for block in blocks})
        self.assertLessEqual({LZ4, PIECES, FIELDS, LOG_FIELDS}, {block.items_codec for block in blocks})
        self.assertEqual({block.of_many_commits for block in blocks}, {False, True})
        self.assertEqual({(block.signal, block.hot[0]) for block in blocks
                          if block.hot_codec == PLANES} & {(TRACES, 1), (METRICS, 0), (LOGS, 0)},
                         {(TRACES, 1), (METRICS, 0), (LOGS, 0)})
        footers = [segment.footer for segment in self.merged()]
        self.assertGreater(max(len(footer.traces) for footer in footers), 512)
        self.assertGreater(max(len(footer.sessions) for footer in footers), 512)
        self.assertGreater(max(footer.text_pages for footer in footers), 1)
        self.assertTrue(all(record.filter_size for footer in footers for record in footer.blocks))
        logs = [segment for segment in self.store.segments if segment.kind != MERGED]
        self.assertGreaterEqual(len(logs), 2)
        self.assertEqual(logs[-1].predecessor, logs[-2].id)

    def test_torn_tail(self):
        """A last block of which a byte is missing was never acknowledged."""
        directory = self.copy()
        newest = self.store.segments[-1]
        last = list(newest.blocks())[-1]
        path = os.path.join(directory, f"{newest.id:016x}.seg")
        with open(path, "r+b") as file:
            file.truncate(last.end - 1)
        store = segment_reader.Store(directory)
        self.assertEqual({(item.commit, item.position) for item in store},
                         {place for place in self.found if place[0] != last.commit})
        counts, damaged, remarks = self.check(directory)
        # Nor would the catalogue know of it; here it does, since it was somebody who cut it off.
        self.assertEqual((counts, damaged), (self.counts(store), 2))
        self.assertIn(f"at byte {last.offset}: a stretch with no readable block", remarks)
        self.assertIn(f"bytes that were acknowledged: commits up to {last.commit} were", remarks)

    def test_damage_is_left_out_alone(self):
        """A header of the log and a chunk of a merged segment; what is around them is read."""
        directory = self.copy()
        newest, merged = self.store.segments[-1], self.merged()[0]
        hurt = [(newest, list(newest.blocks())[1], 16), (merged, list(merged.blocks())[0], 200)]
        for segment, block, offset in hurt:
            with open(os.path.join(directory, f"{segment.id:016x}.seg"), "r+b") as file:
                file.seek(block.offset + offset)
                file.write(bytes([segment.data[block.offset + offset] ^ 1]))
        store, damaged = segment_reader.Store(directory), []
        counts = self.counts(store, damaged)
        self.assertEqual(sorted(damaged), sorted(block.offset for _, block, _ in hurt))
        self.assertEqual(counts[0], len(list(self.store.blocks())) - 2)
        counted, count_of_damage, remarks = self.check(directory)
        self.assertEqual((counted, count_of_damage), (counts, 2), remarks)

    def test_replaced_segments_count_no_more(self):
        """As when the power went between a merge and the removal of what it replaced."""
        directory = self.copy()
        put_back = 0
        for held in glob.glob(os.path.join(self.folder, "*.seg")):
            if not os.path.exists(os.path.join(directory, os.path.basename(held))):
                shutil.copy(held, directory)
                put_back += 1
        self.assertGreater(put_back, 0)
        store = segment_reader.Store(directory)
        self.assertEqual({(item.commit, item.position) for item in store}, self.found.keys())
        self.assertEqual(self.check(directory)[0], self.counts(store))

    def test_no_byte_is_without_a_checksum(self):
        directory = self.copy()
        for segment in self.store.segments:
            path = os.path.join(directory, f"{segment.id:016x}.seg")
            ends = [80] + [block.end for block in segment.blocks()]
            end = len(segment.data) if segment.kind == MERGED else ends[-1]
            for offset in range(0, end, max(1, end // 24)):
                with self.subTest(kind=segment.kind, offset=offset), self.assertRaises(Damage):
                    self.read_with_a_flip(path, segment, offset, ends[-1])

    def read_with_a_flip(self, path, segment, offset, end):
        changed = bytearray(segment.data)
        changed[offset] ^= 1
        with open(path, "wb") as file:
            file.write(changed)
        again = segment_reader.Segment(path, segment.id)
        again.end = end
        return list(again.blocks())


class UsedAgainTest(Case):
    """A file of the log that was merged becomes the next segment's, with what it held behind the end."""

    def setUp(self):
        self.daemon = Daemon(arguments=["--merge-after", "1s"]).start()
        self.addCleanup(self.daemon.remove)
        self.addCleanup(lambda: self.daemon.process and self.daemon.stop())
        self.sent = []

    def files(self, ending):
        return glob.glob(os.path.join(self.daemon.data, "store", "*" + ending))

    def send(self, size):
        body = os.urandom(size // 2).hex()
        answer = signals.post(self.daemon, "/v1/logs",
                              signals.request([signals.log(START + len(self.sent), body, 9)]))
        self.assertEqual(answer.status, 200)
        self.sent.append(body)

    def newest(self):
        return max(self.files(".seg"), key=lambda path: (is_log(path), path))

    def use_again(self):
        """True when the newest segment has a file that was another's."""
        if not self.files(".old") and os.path.getsize(self.newest()) > 1_000_000:
            return True
        self.send(1000)
        return False

    def kill_in_use(self):
        """Kills the daemon; what the newest segment holds of another one. It is left after a second,
        which may be too soon for us."""
        for _ in range(8):
            self.send(500_000)
        wait_for("a spare file", lambda: self.files(".old"))
        wait_for("its use", self.use_again)
        self.send(1000)
        self.daemon.kill()
        store = segment_reader.Store(os.path.join(self.daemon.data, "store"))
        self.assertEqual(len(list(store)), len(self.sent))
        newest = max((s for s in store.segments if s.kind == segment_reader.LOG),
                     key=lambda segment: segment.id)
        return newest.leftover()

    def test_killed(self):
        for _ in range(5):
            leftover = self.kill_in_use()
            if leftover > 500_000:
                break
            self.daemon.start()
        self.assertGreater(leftover, 500_000)
        done = self.daemon.cli_raw("check")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.daemon.start()
        self.assertNotIn("torn tail", self.daemon.log())
        items = self.daemon.api("logs?limit=1000")["items"]
        self.assertEqual(sorted(item["body"] for item in items), sorted(self.sent))


def is_log(path):
    with open(path, "rb") as file:
        return file.read(11)[10] == segment_reader.LOG


if __name__ == "__main__":
    unittest.main(verbosity=2)
