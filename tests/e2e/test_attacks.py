#!/usr/bin/env python3
"""The attack table's rows on OTLP ingest, against the real ports: floods, bombs, stalls, confusion.

Each row is run by under_attack: before, while and after it another client is served, the daemon is
the same process, and its memory (RssAnon, sampled beside it) is flat. Rows that are rows
of the forty bad inputs as well are tested there: 35 (depth) is row 7, 36 (empty spans) row 9, 37
(gzip) rows 10 to 12, 38 (encodings) rows 14 and 15; here they come many times, and side by side.

MIDWATCH_SOAK=1 runs the full counts (10^7 distinct ids).
"""
import contextlib
import gzip
import os
import resource
import socket
import threading
import time
import unittest

import h2frames as h2
import otlp
from exports import (INTERNAL, INVALID_ARGUMENT, UNIMPLEMENTED, ExportCase, Raw, json_request,
                     json_span, one_of)
from h2frames import (COMPRESSION_ERROR, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, PROTOCOL_ERROR,
                      WINDOW_MAX, Peer, block, continuation, data, frame, headers, literal, ping,
                      priority, rst_stream, settings, window_update)
from harness import SLOWNESS, wait_for

SOAK = os.environ.get("MIDWATCH_SOAK") == "1"
MIB = 1 << 20
HEAD = (b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n"
        b"content-type: application/x-protobuf\r\n")
# Instrumented builds keep freed memory and shadow what is used: their memory says nothing.
MEMORY_COUNTS = SLOWNESS == 1
# What an attack may cost and leave behind: buffers that grew once.
FLAT = 8 * MIB


class AttackCase(ExportCase):
    def rss_anon(self):
        with open(f"/proc/{self.daemon.process.pid}/status", encoding="ascii") as source:
            (line,) = [line for line in source if line.startswith("RssAnon")]
        return int(line.split()[1]) << 10

    def serve_others(self, over, seconds):
        """An honest client, until the attack is over: how long each export took, infinity for a
        failure."""
        while not over.is_set():
            begin = time.monotonic()
            try:
                good = self.post(one_of("traces")).status == 200
                seconds.append(time.monotonic() - begin if good else float("inf"))
            except OSError:
                seconds.append(float("inf"))
            over.wait(0.01)

    def watch_memory(self, over, memory):
        while not over.wait(0.005):
            memory.append(self.rss_anon())

    @contextlib.contextmanager
    def under_attack(self, peak=FLAT, patience=5, rest=FLAT):
        """peak: bytes that RssAnon may grow by for a moment. patience: seconds that an honest export
        may take meanwhile."""
        self.assertEqual(self.post(one_of("traces")).status, 200)
        process, before, over = self.daemon.process, self.rss_anon(), threading.Event()
        seconds, memory = [], [before]
        beside = [threading.Thread(target=self.serve_others, args=(over, seconds)),
                  threading.Thread(target=self.watch_memory, args=(over, memory))]
        for thread in beside:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in beside:
                thread.join()
        self.assertTrue(self.daemon.alive())
        self.assertIs(self.daemon.process, process)
        self.assertEqual(self.post(one_of("traces")).status, 200)
        self.assertLess(max(seconds), patience * SLOWNESS)
        if MEMORY_COUNTS:
            self.assertLess(max(memory) - before, peak)
            wait_for("the memory back", lambda: self.rss_anon() - before < rest)

    def connect(self, *pairs, **options):
        peer = Peer(self.daemon.address("http"), patience=20 * SLOWNESS, **options)
        self.addCleanup(peer.close)
        return peer.handshake(*pairs)

    def flood(self, peer, piece, times, *codes):
        """Sends it all, then reads the server's last words: a GOAWAY with one of the codes. What
        comes behind that is dropped unread for a moment, so that the words are not lost."""
        for _ in range(times):
            if not peer.send(piece):
                break
        self.assertIn(peer.read_to_close(), codes)
        self.assertTrue(peer.closed)

    def post_block(self, peer, *more):
        return block(peer.fields("POST", "/v1/traces",
                                 ("content-type", "application/x-protobuf"), *more))


class ContentAttacksTest(AttackCase):
    def test_row_35_depth_again_and_again(self):
        body = otlp.request([otlp.span(attributes=[("k", otlp.nested_value(5000))])])
        text = '{"resourceSpans":' + "[{" * 50000
        with self.under_attack():
            for _ in range(50):
                self.assertEqual(self.post(body).status, 400)
                self.assertEqual(self.post_json(text)[0], 400)
            self.assert_grpc(self.call(body), INVALID_ARGUMENT)

    def test_row_36_empty_spans_in_gzip(self):
        many = otlp.length_field(1, otlp.length_field(2, b"\x12\x00" * 2000000))
        packed = gzip.compress(many)
        self.assertLess(len(packed), 8192)
        # The allocator keeps room for one such body, which is 7.6 MiB long.
        with self.under_attack(peak=48 * MIB, rest=2 * FLAT):
            for _ in range(5):
                self.assert_too_large(packed, encoding="gzip")

    def test_row_37_bombs_side_by_side(self):
        bomb = gzip.compress(bytes(MIB), 9) * 1024
        wrong_crc = bytearray(gzip.compress(one_of("traces")))
        wrong_crc[-8] ^= 1
        found = []
        with self.under_attack(peak=544 * MIB, patience=10):
            threads = [threading.Thread(target=lambda: found.append(
                self.post(bomb, encoding="gzip").status)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            # 503: memory was short, and a smaller batch may pass.
            self.assertLessEqual(set(found), {413, 503})
            self.assertIn(413, found)
            twice = gzip.compress(gzip.compress(one_of("traces")))
            for bad in (twice, bytes(wrong_crc), bytes(wrong_crc[:-12])):
                self.assertEqual(self.post(bad, encoding="gzip").status, 400)
        self.assert_grpc(self.call(bytes(wrong_crc), encoding="gzip"), INTERNAL)

    def test_row_38_unknown_encodings(self):
        with self.under_attack():
            for _ in range(50):
                self.assertEqual(self.post(one_of("traces"), encoding="zstd").status, 415)
            answer = self.call(one_of("traces"), encoding="zstd")
            self.assert_grpc(answer, UNIMPLEMENTED)
            self.assertIn("gzip", answer.headers["grpc-accept-encoding"])

    def test_row_39_broken_wire_format(self):
        span = otlp.span()
        cases = {"varint of 11 bytes": b"\x80" * 10 + b"\x01",
                 "varint tag of 11 bytes": span + b"\xf8" + b"\xff" * 9 + b"\x7f\x00",
                 "length past the end": span + b"\x4a\x7f",
                 "group never closed": span + b"\xa3\x1f",
                 "group closed and not opened": span + b"\xa4\x1f",
                 "group closed by another": span + b"\xa3\x1f\xac\x1f",
                 "field 0": span + b"\x02\x00", "wire type 6": span + b"\x0e",
                 "wire type 7": span + b"\x0f"}
        with self.under_attack():
            for name, bad in cases.items():
                with self.subTest(case=name):
                    self.assert_refused(otlp.request([bad]))
                    self.assert_refused(bad)
            deep = b"\xa3\x1f" * 100000 + b"\xa4\x1f" * 100000
            self.assertIn(self.post(otlp.request([span + deep])).status, (200, 400))
        self.assert_partial(lambda: otlp.request([otlp.span(name=b"\xff\xfe")]), 0, "UTF-8")

    def test_row_44_distinct_ids(self):
        """All kept; what stays in memory is one small record a block, not one an id, and what the
        roll-ups know of spans that are not merged, up to half a million."""
        requests, spans = (10000, 1000) if SOAK else (60 if SLOWNESS == 1 else 10, 1000)
        before = self.stored("spans")

        def body():
            return otlp.request([otlp.span(attributes=[("session.id", os.urandom(8).hex())])
                                 for _ in range(spans)])
        for _ in range(20):  # buffers and arenas reach their size
            self.assertEqual(self.post(body()).status, 200)
        # A table of the roll-ups that doubles lies beside its successor for a moment.
        with self.under_attack(peak=(6 if SOAK else 4) * FLAT, rest=(4 if SOAK else 2) * FLAT):
            for _ in range(requests):
                self.assertEqual(self.post(body()).status, 200)
        self.assertGreaterEqual(self.stored("spans") - before, (20 + requests) * spans)
        self.assertEqual(len(self.daemon.cli_json("session", "list", "--limit", "1000")["items"]),
                         1000)

    def test_row_45_times_at_the_edges(self):
        edges = [0, 1, 999, 10 ** 9, 2 ** 62, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1]
        session = [("session.id", "edge of time")]
        for _ in range(4):  # threads and their buffers come with the first questions
            self.list_traces()
            self.daemon.cli("session", "list")
        with self.under_attack(peak=4 * FLAT):  # questions have a share of memory_limit
            for start in edges:
                spans = [otlp.span(start=start, end=end, attributes=session) for end in edges]
                self.assertEqual(self.post(otlp.request(spans)).status, 200)
            status, _ = self.post_json(json_request("traces", json_span(
                45, startTimeUnixNano=str(2 ** 64 - 1), endTimeUnixNano="0")))
            self.assertEqual(status, 200)
            found = self.daemon.cli_json("session", "show", "edge of time")
            self.assertEqual(found["spans"], len(edges) ** 2)
            for arguments in (["--since", "1970-01-01T00:00:00Z"],
                              ["--until", "2262-04-11T23:47:16Z"], ["--since", "2500-01-01"]):
                self.daemon.cli_raw("trace", "list", *arguments)
            self.list_traces()

    def list_traces(self):
        """All that the other attacks have left: an instrumented daemon may run out of time there."""
        done = self.daemon.cli_raw("trace", "list", "--limit", "1000")
        if not (SLOWNESS > 1 and "timed out" in done.stderr):
            self.assertEqual(done.returncode, 0, done.stderr)


class ConnectionAttacksTest(AttackCase):
    def test_row_34_connections_that_say_nothing(self):
        """120 of each kind: closed by the time-outs, and nobody waits for them meanwhile."""
        preface = h2.PREFACE[:10]
        starts = (b"", preface, h2.PREFACE, HEAD)
        connections = []
        with self.under_attack():
            for number in range(120):
                connection = socket.create_connection(self.daemon.address("http"), 30 * SLOWNESS)
                self.addCleanup(connection.close)
                connection.sendall(starts[number % len(starts)])
                connections.append(connection)
            begin = time.monotonic()
            for number, connection in enumerate(connections):
                if starts[number % len(starts)] == h2.PREFACE:
                    continue  # a whole preface is an idle connection: it may stay
                while connection.recv(4096):
                    pass
            self.assertLess(time.monotonic() - begin, 30 * SLOWNESS)

    def test_row_40_rapid_reset(self):
        """10^5 requests, each reset at once."""
        with self.under_attack():
            peer = self.connect()
            raw = self.post_block(peer)
            for first in range(1, 200001, 1000):
                if not peer.send(*[headers(stream, raw) + rst_stream(stream)
                                   for stream in range(first, first + 1000, 2)]):
                    break
            self.assertEqual(peer.read_to_close(), ENHANCE_YOUR_CALM)
            # What was worked on is a burst and no more.
            self.assertLess(peer.last_stream, 2 * 1100)

    def test_row_40_resets_that_we_send(self):
        """Streams that break a rule make us reset them: as cheap for the peer, bounded as well."""
        with self.under_attack():
            peer = self.connect()
            bad = block([("x", "1"), (":method", "GET")])
            for first in range(1, 4000, 200):
                streams = range(first, first + 200, 2)
                peer.send(*[headers(stream, bad, end=True) for stream in streams])
                peer.read_until(lambda: peer.answer(streams[-1]).reset is not None or
                                peer.goaway is not None)
                if peer.goaway is not None:
                    break
            self.assertEqual(peer.read_to_close(), ENHANCE_YOUR_CALM)

    def test_row_41_continuation_flood(self):
        with self.under_attack():
            peer = self.connect()
            peer.send(headers(1, self.post_block(peer), end_headers=False))
            piece = continuation(1, literal("x", "y" * 16000), end_headers=False)
            self.flood(peer, piece, 2000, ENHANCE_YOUR_CALM)
            peer = self.connect()
            raw = self.post_block(peer)
            peer.send(headers(1, raw, end_headers=False),
                      *[continuation(1, b"", end_headers=False)] * 9)
            self.assertEqual(peer.read_to_close(), ENHANCE_YOUR_CALM)
            # Eight are allowed.
            peer = self.connect()
            peer.send(headers(1, raw, end=True, end_headers=False),
                      *[continuation(1, b"", end_headers=False)] * 7, continuation(1))
            self.assertEqual(peer.finish(1).status, 200)

    def test_row_41_header_block_of_1_mb(self):
        with self.under_attack():
            peer = self.connect()
            raw = self.post_block(peer) + b"".join(
                literal(f"x-{n}", "v" * 1000) for n in range(1000))
            parts = [raw[at:at + 16384] for at in range(0, len(raw), 16384)]
            peer.send(headers(1, parts[0], end=True, end_headers=False),
                      *[continuation(1, p, end_headers=False) for p in parts[1:]])
            self.assertEqual(peer.read_to_close(), ENHANCE_YOUR_CALM)
            with Raw(self.daemon.address("http")) as raw_http:
                raw_http.send(HEAD + b"".join(b"x-%d: %s\r\n" % (n, b"v" * 1000)
                                              for n in range(1000)) + b"\r\n")
                self.assertEqual(raw_http.answer().status, 431)

    def test_row_41_hpack_abuse(self):
        with self.under_attack():
            # One entry of 4 KB, then thousands of one-byte references: 20 MB of headers in 5 KB.
            peer = self.connect()
            bomb = self.post_block(peer) + literal("x-bomb", "v" * 4000, first=0x40) + b"\xbe" * 5000
            peer.send(headers(1, bomb, end=True))
            self.assertEqual(peer.finish(1).status, 431)
            self.assertTrue(peer.lives())
            # The table filled and emptied over and over within the bound of a head.
            churn = b"".join(literal(f"x-{n}", "v" * 100, first=0x40) for n in range(100))
            for stream in range(3, 400, 2):
                peer.send(headers(stream, h2.table_size(0) + h2.table_size(4096) +
                                  self.post_block(peer) + churn, end=True))
                peer.finish(stream)
            self.assertTrue(peer.lives())
            for bad in (b"\xff" * 20, b"\x7f" + b"\xff" * 12, b"\x00\x7f\xff\xff\xff\xff\x0f",
                        b"\x3f\xe2\x1f", literal("x", "y")[:-1]):
                peer = self.connect()
                peer.send(headers(1, bad, end=True))
                self.assertIn(peer.read_to_close(), (COMPRESSION_ERROR, PROTOCOL_ERROR))

    def test_row_42_floods_of_control_frames(self):
        floods = {"settings": settings((h2.INITIAL_WINDOW_SIZE, 1000)), "ping": ping(),
                  "empty settings": settings(), "priority": priority(7),
                  "settings of many entries": settings(*[(0x99, 1)] * 33)}
        for name, piece in floods.items():
            with self.subTest(flood=name), self.under_attack():
                self.flood(self.connect(), piece * 100, 1000, ENHANCE_YOUR_CALM)

    def test_row_42_floods_that_are_not_read(self):
        """Acknowledgements pile up where the peer takes none: they are bounded."""
        with self.under_attack():
            peer = self.connect(receive_buffer=4096)
            self.flood(peer, ping() * 100, 2000, ENHANCE_YOUR_CALM)

    def test_row_42_empty_data_frames(self):
        with self.under_attack():
            peer = self.connect()
            peer.send(headers(1, self.post_block(peer)))
            self.flood(peer, data(1) * 100, 1000, ENHANCE_YOUR_CALM)

    def test_row_42_unknown_frames_and_window_updates_cost_nothing(self):
        """They are no flood by number: bytes are bounded by the reader, nothing is kept."""
        with self.under_attack():
            peer = self.connect()
            for _ in range(50):
                peer.send((frame(0xfa, 0, 0, bytes(64)) + window_update(0, 1)) * 100)
            self.assertTrue(peer.lives())

    def test_row_42_windows(self):
        with self.under_attack():
            for bad, code in ((window_update(0, 0), PROTOCOL_ERROR),
                              (window_update(0, WINDOW_MAX), FLOW_CONTROL_ERROR),
                              (settings((h2.INITIAL_WINDOW_SIZE, 2 ** 31)), FLOW_CONTROL_ERROR)):
                peer = self.connect()
                peer.send(bad)
                self.assertEqual(peer.read_to_close(), code)
            peer = self.connect()
            peer.send(headers(1, self.post_block(peer)), window_update(1, WINDOW_MAX))
            self.assertEqual(peer.finish(1).reset, FLOW_CONTROL_ERROR)
            self.assertTrue(peer.lives())

    def test_row_42_zero_window_stall(self):
        """100 answers that the peer does not let out; dropped after the write time-out (30 s)."""
        with self.under_attack():
            peer = Peer(self.daemon.address("http"), patience=75 * SLOWNESS)
            self.addCleanup(peer.close)
            peer.handshake((h2.INITIAL_WINDOW_SIZE, 0))
            raw = block(peer.fields("GET", "/nothing"))
            streams = [peer.stream() for _ in range(100)]
            peer.send(*[headers(stream, raw, end=True) for stream in streams])
            answers = [peer.answer(stream) for stream in streams]
            peer.read_until(lambda: all(a.headers for a in answers))
            begin = time.monotonic()
            peer.read_until(lambda: all(a.reset is not None for a in answers))
            self.assertEqual({a.reset for a in answers}, {h2.CANCEL})
            self.assertLess(time.monotonic() - begin, 60 * SLOWNESS)
            # The connection is not punished: a window and a new request are served.
            peer.send(settings((h2.INITIAL_WINDOW_SIZE, 65535)))
            self.assertEqual(peer.request("GET", "/nothing").status, 404)

    def test_row_43_smuggling(self):
        """What two parsers may read differently is refused, and the connection closed. The lengths
        are in row 20 of the bad inputs."""
        empty = b"content-length: 0\r\n"
        cases = {"CL and TE": b"content-length: 3\r\ntransfer-encoding: chunked\r\n",
                 "unknown coding": b"transfer-encoding: xchunked\r\n",
                 "two codings": b"transfer-encoding: chunked, chunked\r\n",
                 "chunked and more": b"transfer-encoding: chunked, identity\r\n",
                 "gzip, chunked": b"transfer-encoding: gzip, chunked\r\n",
                 "TE twice": b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
                 "TE with tab": b"transfer-encoding:\tchunked\x0b\r\n",
                 "bare LF": empty + b"x: a\nb: c\r\n", "bare CR": empty + b"x: a\rb: c\r\n",
                 "fold": empty + b"x: a\r\n b\r\n", "blank before colon": b"content-length : 0\r\n",
                 "no colon": empty + b"rubbish\r\n", "empty name": empty + b": x\r\n",
                 "NUL": empty + b"x: a\0b\r\n", "host twice": empty + b"host: evil\r\n",
                 "name of other bytes": empty + b"x\xff: a\r\n"}
        with self.under_attack():
            for name, more in cases.items():
                with self.subTest(case=name), Raw(self.daemon.address("http")) as raw:
                    raw.send(HEAD + more + b"\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n")
                    self.assertEqual(raw.answer().status, 400)
                    self.assertEqual(raw.rest(), b"")
            for line in (b"POST  /v1/traces HTTP/1.1", b"POST /v1/traces  HTTP/1.1",
                         b"POST /v1/traces HTTP/1.1 ", b" POST /v1/traces HTTP/1.1",
                         b"POST /v1/traces HTTP/9", b"POST /v1/tra\0ces HTTP/1.1", b"POST"):
                with self.subTest(line=line), Raw(self.daemon.address("http")) as raw:
                    raw.send(line + b"\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
                    self.assertIn(raw.answer().status, (400, 505))
                    self.assertEqual(raw.rest(), b"")

    def test_row_43_smuggling_through_http2(self):
        """Headers that would be framing in HTTP/1.1 are malformed in HTTP/2."""
        with self.under_attack():
            peer = self.connect()
            for name, value in (("transfer-encoding", "chunked"), ("connection", "close"),
                                ("x\r\ny", "1"), ("x", "a\r\nhost: evil"), ("x", "a\0b"),
                                ("content-length", "-1"), ("content-length", "1, 1")):
                stream = peer.stream()
                peer.send(headers(stream, self.post_block(peer, (name, value))))
                self.assertEqual(peer.finish(stream).reset, PROTOCOL_ERROR, (name, value))
            stream = peer.stream()
            fields = peer.fields("POST", "/v1/traces HTTP/1.1\r\nhost: evil\r\n\r\n")
            peer.send(headers(stream, block(fields), end=True))
            answer = peer.finish(stream)
            self.assertTrue(answer.reset == PROTOCOL_ERROR or answer.status in (400, 404), answer)
            self.assertTrue(peer.lives())


class DescriptorsTest(AttackCase):
    def test_row_60_descriptors_run_out(self):
        """RLIMIT_NOFILE 64: new connections wait or are shed, and it recovers without restart."""
        pid = self.daemon.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        self.assertEqual(self.post(one_of("traces")).status, 200)  # the segment is open
        kept = Raw(self.daemon.address("http"))
        self.addCleanup(kept.socket.close)
        request = HEAD + b"content-length: 0\r\n\r\n"
        kept.send(request)
        self.assertEqual(kept.answer().status, 200)
        memory = self.rss_anon()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, before[1]))
        connections = []
        try:
            for _ in range(300):
                connections.append(socket.create_connection(self.daemon.address("http"),
                                                            30 * SLOWNESS))
            open_files = len(os.listdir(f"/proc/{pid}/fd"))
            wait_for("all descriptors taken",
                     lambda: len(os.listdir(f"/proc/{pid}/fd")) >= 64 or open_files >= 64)
            # Who is connected is served all the time.
            for _ in range(100):
                kept.send(request)
                self.assertEqual(kept.answer().status, 200)
            good = one_of("traces")
            kept.send(HEAD + f"content-length: {len(good)}\r\n\r\n".encode() + good)
            self.assertEqual(kept.answer().status, 200)
            busy = self.busy_for(2)
        finally:
            for connection in connections:
                connection.close()
        # A listener that cannot accept must not turn the loop: 2 s of it cost little CPU.
        self.assertLess(busy, 0.5 * SLOWNESS)
        wait_for("new clients", self.daemon.ready)
        self.assertEqual(self.post(one_of("traces")).status, 200)
        self.daemon.cli("status")
        self.assertIn("connections cannot be accepted", self.daemon.log())
        if MEMORY_COUNTS:
            wait_for("the memory back", lambda: self.rss_anon() - memory < 8 * MIB)

    def busy_for(self, seconds):
        """CPU seconds of the daemon in that time."""
        def spent():
            with open(f"/proc/{self.daemon.process.pid}/stat", encoding="ascii") as source:
                fields = source.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        begin = spent()
        time.sleep(seconds)
        return spent() - begin


if __name__ == "__main__":
    unittest.main()
