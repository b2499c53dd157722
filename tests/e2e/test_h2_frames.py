#!/usr/bin/env python3
"""HTTP/2 frame by frame: every case of h2spec's list, and some of our own.

The methods are named as h2spec numbers its cases (generic, http2 = RFC 9113, hpack = RFC 7541), in
its order. Each begins with its own connection, all on one daemon. What is expected is one of

    connection error   GOAWAY with that code, then the end of the connection
    stream error       RST_STREAM with that code; the connection serves on
    tolerated          PING is answered and the next export stored

and the exact code where the RFC names one. Where nghttp2, or we through it, do otherwise:

    case               what happens, and why it does no harm
    http2 3.5/2        a wrong preface is an HTTP/1.1 request line (all ports speak both), so the
                       peer is told so in HTTP/1.1, and the connection is closed
    http2 5.1/11       DATA behind the peer's own END_STREAM, when the stream is closed already, is
    (and 5.1/8)        dropped after it was counted in the connection's window: nghttp2 keeps no
                       record of closed streams, RFC 9113 5.1 lets an endpoint discard. While the
                       answer is still going out it is the connection error (5.1/5). HEADERS in its
                       place always are: lib/net/http2_guard.c
    http2 5.1.2/1      one stream too many, once our SETTINGS are acknowledged, costs the connection
                       and not only the stream: RFC 9113 5.4.2 leaves that to the endpoint
    http2 5.3.1/2      a PRIORITY frame that depends on itself is ignored like all of them: RFC 9113
                       5.3.2 took priorities out (in HEADERS, 5.3.1/1, it is still the error)
    http2 5.3.1/1,     a stream error in the list is the connection error here: RFC 9113 5.4.2 lets
    6.2/4, 6.3/2,      an endpoint treat it so
    6.9/2
"""
import socket
import struct
import unittest

import h2frames as h2
import otlp
from h2case import PROTOBUF, H2Case
from harness import SLOWNESS, TRACES_GRPC
from h2frames import (CANCEL, COMPRESSION_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, NO_ERROR,
                      PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED, WINDOW_MAX, Peer, block,
                      continuation, data, frame, goaway, headers, ping, priority, priority_fields,
                      rst_stream, settings, window_update)

class GenericTest(H2Case):
    def test_generic_1_1_client_preface(self):
        self.assertEqual(self.peer.frames[0].kind, h2.SETTINGS)
        self.assertEqual(self.peer.acknowledged, 1)
        self.assert_served()

    def test_generic_2_1_priority_on_idle_stream(self):
        self.assert_tolerated(priority(1))

    def test_generic_2_2_window_update_on_half_closed_remote(self):
        stream = self.hold()
        self.peer.send(window_update(stream, 1))
        answer = self.peer.answer(stream)
        self.peer.read_until(lambda: answer.body)
        self.assertEqual(len(answer.body), 1)

    def test_generic_2_3_priority_on_half_closed_remote(self):
        stream = self.hold()
        self.peer.send(priority(stream), window_update(stream, 1))
        answer = self.peer.answer(stream)
        self.peer.read_until(lambda: answer.body)
        self.assertEqual(len(answer.body), 1)

    def test_generic_2_4_rst_stream_on_half_closed_remote(self):
        stream = self.hold()
        self.assert_tolerated(rst_stream(stream), window_update(stream, 9999))
        self.assertEqual(self.peer.answer(stream).body, b"")

    def test_generic_2_5_priority_on_closed_stream(self):
        self.assert_tolerated(priority(self.ended()))

    def export(self, *sizes, padding=None):
        body = otlp.request([otlp.span()])
        stream = self.open()
        size = sizes[0] if sizes else len(body)
        parts = [body[at:at + size] for at in range(0, len(body), size)]
        frames = [data(stream, part, padding=padding) for part in parts]
        self.assert_answered(stream, *frames, data(stream, b"", end=True), status=200)

    def test_generic_3_1_1_data(self):
        self.export()

    def test_generic_3_1_2_multiple_data(self):
        self.export(1)

    def test_generic_3_1_3_data_with_padding(self):
        self.export(7, padding=200)
        self.export(7, padding=0)
        self.export(padding=255)

    def test_generic_3_2_1_headers(self):
        self.assert_block_answered(b"")

    def test_generic_3_2_2_headers_with_padding(self):
        stream = self.peer.stream()
        padded = b"\x08" + self.get() + bytes(8)
        self.assert_answered(stream, headers(stream, padded, end=True, flags=h2.PADDED))

    def test_generic_3_2_3_headers_with_priority(self):
        stream = self.peer.stream()
        payload = priority_fields(weight=200, exclusive=True) + self.get()
        self.assert_answered(stream, headers(stream, payload, end=True, flags=h2.PRIORITY_FLAG))

    def test_generic_3_3_1_priority_weight_1(self):
        self.assert_tolerated(priority(1, weight=0))

    def test_generic_3_3_2_priority_weight_256(self):
        self.assert_tolerated(priority(1, weight=255))

    def test_generic_3_3_3_priority_with_dependency(self):
        self.assert_tolerated(priority(1, weight=255), priority(3, depends_on=1))

    def test_generic_3_3_4_priority_exclusive(self):
        self.assert_tolerated(priority(3, depends_on=1, exclusive=True))

    def test_generic_3_3_5_priority_on_idle_then_headers_on_a_lower_stream(self):
        self.assert_tolerated(priority(9))

    def test_generic_3_4_1_rst_stream(self):
        self.assert_tolerated(rst_stream(self.open()))

    def test_generic_3_5_1_settings(self):
        before = self.peer.acknowledged
        self.peer.send(settings((h2.HEADER_TABLE_SIZE, 100), (h2.ENABLE_PUSH, 0),
                                (h2.MAX_CONCURRENT_STREAMS, 0), (h2.MAX_FRAME_SIZE, 2 ** 24 - 1),
                                (h2.MAX_HEADER_LIST_SIZE, 100000)))
        self.peer.read_until(lambda: self.peer.acknowledged > before)
        self.assert_served()

    def test_generic_3_7_1_ping(self):
        self.peer.send(ping(b"12345678"))
        self.peer.read_until(lambda: self.peer.pings)
        self.assertEqual(self.peer.pings, [(h2.ACK, b"12345678")])

    def test_generic_3_8_1_goaway(self):
        """The client ends: what it began is still answered, then the server closes."""
        stream = self.open()
        self.peer.send(goaway(0, NO_ERROR), data(stream, otlp.request([otlp.span()]), end=True))
        self.assertEqual(self.peer.finish(stream).status, 200)

    def test_generic_3_9_1_window_update_of_the_connection(self):
        self.assert_tolerated(window_update(0, 1))

    def test_generic_3_9_2_window_update_of_a_stream(self):
        self.assert_tolerated(window_update(self.hold(), 1))

    def test_generic_3_10_1_continuation(self):
        stream, raw = self.peer.stream(), self.get()
        self.assert_answered(stream, headers(stream, raw[:5], end=True, end_headers=False),
                             continuation(stream, raw[5:]))

    def test_generic_3_10_2_multiple_continuation(self):
        stream, raw = self.peer.stream(), self.get()
        self.assert_answered(stream, headers(stream, raw[:5], end=True, end_headers=False),
                             continuation(stream, raw[5:10], end_headers=False),
                             continuation(stream, b"", end_headers=False),
                             continuation(stream, raw[10:]))

    def test_generic_4_1_get(self):
        self.peer = self.connect("web")
        answer = self.peer.request("GET", "/healthz")
        self.assertEqual((answer.status, answer.headers["content-length"]),
                         (200, str(len(answer.body))))

    def test_generic_4_2_head(self):
        self.peer = self.connect("web")
        length = self.peer.request("GET", "/healthz").headers["content-length"]
        answer = self.peer.request("HEAD", "/healthz")
        self.assertEqual((answer.status, answer.body, answer.headers["content-length"]),
                         (200, b"", length))

    def test_generic_4_3_post(self):
        self.assert_served()

    def test_generic_4_4_post_with_trailers(self):
        stream = self.open()
        self.assert_answered(stream, data(stream, otlp.request([otlp.span()])),
                             headers(stream, block([("x-checksum", "1")]), end=True), status=200)

    # "h2spec" as user-agent in each representation; Huffman forms are h2spec's own bytes.
    AGENT, AGENT_HUFFMAN = b"\x06h2spec", b"\x84\x9c\x48\xac\xa4"
    NAME, NAME_HUFFMAN = b"\x06x-test", b"\x85\xf2\xb2\x4a\x84\xff"

    def test_generic_5_1_indexed(self):
        self.assert_block_answered(b"\x90")  # accept-encoding: gzip, deflate

    def test_generic_5_2_incremental_indexed_name(self):
        # 58 is user-agent; the second request takes it from the dynamic table.
        self.assert_block_answered(b"\x7a" + self.AGENT)
        self.assert_block_answered(b"\xbe")

    def test_generic_5_3_incremental_indexed_name_huffman(self):
        self.assert_block_answered(b"\x7a" + self.AGENT_HUFFMAN)

    def test_generic_5_4_incremental_new_name(self):
        self.assert_block_answered(b"\x40" + self.NAME + self.AGENT)
        self.assert_block_answered(b"\xbe")

    def test_generic_5_5_incremental_new_name_huffman(self):
        self.assert_block_answered(b"\x40" + self.NAME_HUFFMAN + self.AGENT_HUFFMAN)

    def test_generic_5_6_without_indexing_indexed_name(self):
        self.assert_block_answered(b"\x0f\x2b" + self.AGENT)

    def test_generic_5_7_without_indexing_indexed_name_huffman(self):
        self.assert_block_answered(b"\x0f\x2b" + self.AGENT_HUFFMAN)

    def test_generic_5_8_without_indexing_new_name(self):
        self.assert_block_answered(b"\x00" + self.NAME + self.AGENT)

    def test_generic_5_9_without_indexing_new_name_huffman(self):
        self.assert_block_answered(b"\x00" + self.NAME_HUFFMAN + self.AGENT_HUFFMAN)

    def test_generic_5_10_never_indexed_indexed_name(self):
        self.assert_block_answered(b"\x1f\x2b" + self.AGENT)

    def test_generic_5_11_never_indexed_indexed_name_huffman(self):
        self.assert_block_answered(b"\x1f\x2b" + self.AGENT_HUFFMAN)

    def test_generic_5_12_never_indexed_new_name(self):
        self.assert_block_answered(b"\x10" + self.NAME + self.AGENT)

    def test_generic_5_13_never_indexed_new_name_huffman(self):
        self.assert_block_answered(b"\x10" + self.NAME_HUFFMAN + self.AGENT_HUFFMAN)

    def test_generic_5_14_table_size_update(self):
        self.assert_block_answered(b"", before=h2.table_size(128))

    def test_generic_5_15_multiple_table_size_updates(self):
        self.assert_block_answered(b"", before=h2.table_size(128) + h2.table_size(4096))


class Http2Test(H2Case):
    # ---- 3, 4: starting, frames

    def test_http2_3_5_1_client_preface(self):
        self.assertEqual(self.peer.frames[0].kind, h2.SETTINGS)

    def test_http2_3_5_2_invalid_preface(self):
        for wrong in (b"INVALID CONNECTION PREFACE\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r"):
            with socket.create_connection(self.daemon.address("http"), 10 * SLOWNESS) as raw:
                raw.sendall(wrong)
                got = b""
                while chunk := raw.recv(4096):
                    got += chunk
            self.assertRegex(got[:20], rb"^HTTP/1\.1 (400|505) ")

    def test_http2_4_1_1_unknown_type(self):
        self.assert_tolerated(frame(22, 0, 0, bytes(8)))

    def test_http2_4_1_2_undefined_flag(self):
        self.assert_tolerated(ping(flags=0x16 & ~h2.ACK))

    def test_http2_4_1_3_reserved_bit(self):
        self.assert_tolerated(frame(h2.PING, 0, 0x80000000, bytes(8)))

    def large(self, size):
        """An export of that many bytes."""
        empty = len(otlp.request([otlp.span(attributes=[("k", "x" * (size - 500))])]))
        return otlp.request([otlp.span(attributes=[("k", "x" * (size - 500 + size - empty))])])

    def test_http2_4_2_1_largest_data_frame(self):
        stream, body = self.open(), self.large(h2.FRAME_SIZE_DEFAULT)
        self.assertEqual(len(body), h2.FRAME_SIZE_DEFAULT)
        self.assert_answered(stream, data(stream, body, end=True), status=200)

    def test_http2_4_2_2_data_frame_too_large(self):
        stream = self.open()
        self.assert_connection_error(FRAME_SIZE_ERROR, data(stream, bytes(16385), end=True))

    def test_http2_4_2_3_headers_frame_too_large(self):
        raw = self.get(("x-filler", "x" * 17000))
        self.assert_connection_error(FRAME_SIZE_ERROR, headers(1, raw, end=True))

    def test_http2_4_3_1_invalid_block(self):
        self.assert_connection_error(COMPRESSION_ERROR, headers(1, b"\x40", end=True))

    def test_http2_4_3_2_priority_within_a_block(self):
        self.assert_connection_error(PROTOCOL_ERROR, headers(1, self.get(), end_headers=False),
                                     priority(1), continuation(1))

    def test_http2_4_3_3_headers_of_another_stream_within_a_block(self):
        self.assert_connection_error(PROTOCOL_ERROR, headers(1, self.get(), end_headers=False),
                                     headers(3, self.get(), end=True), continuation(1))

    # ---- 5: streams

    def test_http2_5_1_1_idle_data(self):
        self.assert_connection_error(PROTOCOL_ERROR, data(1, b"test", end=True))

    def test_http2_5_1_2_idle_rst_stream(self):
        self.assert_connection_error(PROTOCOL_ERROR, rst_stream(1))

    def test_http2_5_1_3_idle_window_update(self):
        self.assert_connection_error(PROTOCOL_ERROR, window_update(1, 100))

    def test_http2_5_1_4_idle_continuation(self):
        self.assert_connection_error(PROTOCOL_ERROR, continuation(1, self.get()))

    def test_http2_5_1_5_half_closed_remote_data(self):
        self.assert_connection_error(STREAM_CLOSED, data(self.hold(), b"test", end=True))

    def test_http2_5_1_6_half_closed_remote_headers(self):
        self.assert_connection_error(STREAM_CLOSED, headers(self.hold(), self.get(), end=True))

    def test_http2_5_1_7_half_closed_remote_continuation(self):
        self.assert_connection_error(PROTOCOL_ERROR, continuation(self.hold(), self.get()))

    def test_http2_5_1_8_closed_by_rst_data(self):
        stream = self.open()
        self.assert_tolerated(rst_stream(stream), data(stream, b"test", end=True))
        self.assertEqual(self.peer.answer(stream).headers, {})

    def test_http2_5_1_9_closed_by_rst_headers(self):
        stream = self.open()
        self.assert_connection_error(STREAM_CLOSED, rst_stream(stream),
                                     headers(stream, self.post(), end=True))

    def test_http2_5_1_10_closed_by_rst_continuation(self):
        stream = self.open()
        self.assert_connection_error(PROTOCOL_ERROR, rst_stream(stream),
                                     continuation(stream, self.post()))

    def test_http2_5_1_11_closed_data(self):
        self.assert_tolerated(data(self.ended(), b"test", end=True))

    def test_http2_5_1_12_closed_headers(self):
        self.assert_connection_error(STREAM_CLOSED, headers(self.ended(), self.get(), end=True))

    def test_http2_5_1_13_closed_continuation(self):
        self.assert_connection_error(PROTOCOL_ERROR, continuation(self.ended(), self.get()))

    def test_http2_5_1_1_1_even_stream(self):
        self.assert_connection_error(PROTOCOL_ERROR, headers(2, self.get(), end=True))

    def test_http2_5_1_1_2_lower_stream(self):
        self.assert_connection_error(PROTOCOL_ERROR, headers(5, self.get(), end=True),
                                     headers(3, self.get(), end=True))

    def test_http2_5_1_2_1_too_many_streams(self):
        limit = self.peer.settings[h2.MAX_CONCURRENT_STREAMS]
        self.assertLessEqual(limit, 1000)
        for _ in range(limit):
            self.open()
        self.assertTrue(self.peer.lives())
        self.open()
        self.assert_connection_error(PROTOCOL_ERROR)

    def test_http2_5_3_1_1_headers_that_depend_on_themselves(self):
        stream = self.peer.stream()
        payload = priority_fields(depends_on=stream) + self.get()
        self.assert_connection_error(PROTOCOL_ERROR, headers(stream, payload, end=True,
                                                             flags=h2.PRIORITY_FLAG))

    def test_http2_5_3_1_2_priority_that_depends_on_itself(self):
        self.assert_tolerated(priority(1, depends_on=1))

    def test_http2_5_4_1_1_invalid_ping_closes(self):
        self.assert_connection_error(FRAME_SIZE_ERROR, ping(bytes(7)))

    def test_http2_5_4_1_2_goaway_names_the_last_stream(self):
        self.assert_served()
        self.assert_connection_error(FRAME_SIZE_ERROR, ping(bytes(9)))
        self.assertEqual(self.peer.last_stream, 1)

    def test_http2_5_5_1_unknown_extension_frame(self):
        self.assert_tolerated(frame(22, 0xff, 7, bytes(8)))

    def test_http2_5_5_2_unknown_extension_frame_within_a_block(self):
        self.assert_connection_error(PROTOCOL_ERROR, headers(1, self.get(), end_headers=False),
                                     frame(22, 0, 0, bytes(8)), continuation(1))

    # ---- 6: frame definitions

    def test_http2_6_1_1_data_on_stream_0(self):
        self.assert_connection_error(PROTOCOL_ERROR, data(0, b"test", end=True))

    def test_http2_6_1_2_data_on_a_stream_that_is_not_open(self):
        self.assert_connection_error(STREAM_CLOSED, data(self.hold(), b"test"))

    def test_http2_6_1_3_data_with_invalid_padding(self):
        bad = frame(h2.DATA, h2.PADDED | h2.END_STREAM, self.open(), b"\x06test")
        self.assert_connection_error(PROTOCOL_ERROR, bad)

    def test_http2_6_2_1_headers_then_priority(self):
        self.assert_connection_error(PROTOCOL_ERROR,
                                     headers(1, self.get(), end=True, end_headers=False),
                                     priority(1), continuation(1))

    def test_http2_6_2_2_headers_then_headers_of_another_stream(self):
        self.assert_connection_error(PROTOCOL_ERROR,
                                     headers(1, self.get(), end=True, end_headers=False),
                                     headers(3, self.get(), end=True))

    def test_http2_6_2_3_headers_on_stream_0(self):
        self.assert_connection_error(PROTOCOL_ERROR, headers(0, self.get(), end=True))

    def test_http2_6_2_4_headers_with_invalid_padding(self):
        raw = self.get()
        payload = bytes([min(len(raw) + 2, 255)]) + raw
        self.assert_connection_error(PROTOCOL_ERROR,
                                     headers(1, payload, end=True, flags=h2.PADDED))

    def test_http2_6_3_1_priority_on_stream_0(self):
        self.assert_connection_error(PROTOCOL_ERROR, priority(0))

    def test_http2_6_3_2_priority_of_another_length(self):
        self.peer.send(frame(h2.PRIORITY, 0, 1, bytes(4)))
        self.peer.read_until(lambda: self.peer.goaway is not None)
        self.assertEqual(self.peer.goaway, FRAME_SIZE_ERROR)

    def test_http2_6_4_1_rst_stream_on_stream_0(self):
        self.assert_connection_error(PROTOCOL_ERROR, rst_stream(0))

    def test_http2_6_4_2_rst_stream_on_idle_stream(self):
        self.assert_connection_error(PROTOCOL_ERROR, rst_stream(1))

    def test_http2_6_4_3_rst_stream_of_another_length(self):
        self.assert_connection_error(FRAME_SIZE_ERROR,
                                     frame(h2.RST_STREAM, 0, self.open(), bytes(3)))

    def test_http2_6_5_1_settings_ack_with_payload(self):
        self.assert_connection_error(FRAME_SIZE_ERROR, frame(h2.SETTINGS, h2.ACK, 0, bytes(6)))

    def test_http2_6_5_2_settings_on_a_stream(self):
        self.assert_connection_error(PROTOCOL_ERROR, frame(h2.SETTINGS, 0, 1, bytes(6)))

    def test_http2_6_5_3_settings_of_another_length(self):
        self.assert_connection_error(FRAME_SIZE_ERROR, frame(h2.SETTINGS, 0, 0, bytes(3)))

    def test_http2_6_5_2_1_enable_push_2(self):
        self.assert_connection_error(PROTOCOL_ERROR, settings((h2.ENABLE_PUSH, 2)))

    def test_http2_6_5_2_2_initial_window_too_large(self):
        self.assert_connection_error(FLOW_CONTROL_ERROR,
                                     settings((h2.INITIAL_WINDOW_SIZE, 2 ** 31)))

    def test_http2_6_5_2_3_max_frame_size_too_small(self):
        self.assert_connection_error(PROTOCOL_ERROR, settings((h2.MAX_FRAME_SIZE, 16383)))

    def test_http2_6_5_2_4_max_frame_size_too_large(self):
        self.assert_connection_error(PROTOCOL_ERROR, settings((h2.MAX_FRAME_SIZE, 2 ** 24)))

    def test_http2_6_5_2_5_unknown_setting(self):
        self.assert_tolerated(settings((0xff, 1)))

    def test_http2_6_5_3_1_the_last_of_equal_settings_counts(self):
        self.peer.send(settings((h2.INITIAL_WINDOW_SIZE, 100), (h2.INITIAL_WINDOW_SIZE, 1)))
        stream = self.peer.stream()
        self.peer.send(headers(stream, self.get(), end=True))
        answer = self.peer.answer(stream)
        self.peer.read_until(lambda: answer.body)
        self.assertEqual(len(answer.body), 1)

    def test_http2_6_5_3_2_settings_are_acknowledged(self):
        before = self.peer.acknowledged
        self.peer.send(settings(), settings((h2.ENABLE_PUSH, 0)))
        self.peer.read_until(lambda: self.peer.acknowledged == before + 2)

    def test_http2_6_7_1_ping(self):
        self.assertTrue(self.peer.lives())

    def test_http2_6_7_2_ping_ack_is_not_answered(self):
        self.peer.send(ping(b"unasked.", flags=h2.ACK), ping(b"a asked."))
        self.peer.read_until(lambda: self.peer.pings)
        self.assertEqual(self.peer.pings, [(h2.ACK, b"a asked.")])

    def test_http2_6_7_3_ping_on_a_stream(self):
        self.assert_connection_error(PROTOCOL_ERROR, frame(h2.PING, 0, 1, bytes(8)))

    def test_http2_6_7_4_ping_of_another_length(self):
        self.assert_connection_error(FRAME_SIZE_ERROR, ping(bytes(6)))

    def test_http2_6_8_1_goaway_on_a_stream(self):
        self.assert_connection_error(PROTOCOL_ERROR, frame(h2.GOAWAY, 0, 1, bytes(8)))

    def test_http2_6_9_1_window_update_of_0(self):
        self.assert_connection_error(PROTOCOL_ERROR, window_update(0, 0))

    def test_http2_6_9_2_window_update_of_0_on_a_stream(self):
        self.assert_connection_error(PROTOCOL_ERROR, window_update(self.open(), 0))

    def test_http2_6_9_3_window_update_of_another_length(self):
        self.assert_connection_error(FRAME_SIZE_ERROR, frame(h2.WINDOW_UPDATE, 0, 0, bytes(3)))

    def test_http2_6_9_1_1_a_window_of_1(self):
        self.peer.send(settings((h2.INITIAL_WINDOW_SIZE, 1)))
        stream = self.peer.stream()
        self.peer.send(headers(stream, self.get(), end=True))
        answer = self.peer.answer(stream)
        self.peer.read_until(lambda: answer.body)
        self.assertTrue(self.peer.lives())
        self.assertEqual((len(answer.body), answer.complete), (1, False))

    def test_http2_6_9_1_2_connection_window_overflow(self):
        self.assert_connection_error(FLOW_CONTROL_ERROR, window_update(0, WINDOW_MAX),
                                     window_update(0, WINDOW_MAX))

    def test_http2_6_9_1_3_stream_window_overflow(self):
        stream = self.open()
        self.assert_stream_error(stream, FLOW_CONTROL_ERROR, window_update(stream, WINDOW_MAX),
                                 window_update(stream, WINDOW_MAX))

    def test_http2_6_9_2_1_a_later_window_counts_for_open_streams(self):
        stream = self.hold()
        answer = self.peer.answer(stream)
        self.peer.send(settings((h2.INITIAL_WINDOW_SIZE, 1)))
        self.peer.read_until(lambda: answer.body)
        self.assertEqual(len(answer.body), 1)

    def test_http2_6_9_2_2_a_window_below_0(self):
        self.peer.send(settings((h2.INITIAL_WINDOW_SIZE, 3)))
        stream = self.peer.stream()
        self.peer.send(headers(stream, self.get(), end=True))
        answer = self.peer.answer(stream)
        self.peer.read_until(lambda: len(answer.body) == 3)
        self.peer.send(settings((h2.INITIAL_WINDOW_SIZE, 2)), window_update(stream, 1))
        self.assertTrue(self.peer.lives())
        self.assertEqual(len(answer.body), 3)
        self.peer.send(window_update(stream, 1))
        self.peer.read_until(lambda: len(answer.body) > 3)
        self.assertEqual(len(answer.body), 4)

    def test_http2_6_9_2_3_initial_window_above_the_maximum(self):
        stream = self.hold()
        self.peer.send(window_update(stream, 10))
        self.assert_connection_error(FLOW_CONTROL_ERROR,
                                     settings((h2.INITIAL_WINDOW_SIZE, 2 ** 31)))

    def test_http2_6_10_1_multiple_continuation(self):
        stream = self.peer.stream()
        filler = block([("x-filler", "x" * 4000)])
        self.assert_answered(stream, headers(stream, self.get(), end=True, end_headers=False),
                             continuation(stream, filler, end_headers=False),
                             continuation(stream, filler))

    def test_http2_6_10_2_continuation_then_data(self):
        self.assert_connection_error(PROTOCOL_ERROR, headers(1, self.post(), end_headers=False),
                                     continuation(1, b"", end_headers=False),
                                     data(1, b"test", end=True))

    def test_http2_6_10_3_continuation_on_stream_0(self):
        self.assert_connection_error(PROTOCOL_ERROR, headers(1, self.post(), end_headers=False),
                                     continuation(0))

    def test_http2_6_10_4_continuation_after_end_headers(self):
        self.assert_connection_error(PROTOCOL_ERROR, continuation(self.open(), self.post()))

    def test_http2_6_10_5_continuation_after_the_last_continuation(self):
        self.assert_connection_error(PROTOCOL_ERROR, headers(1, self.post(), end_headers=False),
                                     continuation(1), continuation(1))

    def test_http2_6_10_6_continuation_after_data(self):
        stream = self.open()
        self.assert_connection_error(PROTOCOL_ERROR, data(stream, b"\x0a"),
                                     continuation(stream, self.post()))

    # ---- 7, 8: error codes, messages

    def test_http2_7_1_goaway_with_unknown_code(self):
        stream = self.open()
        self.peer.send(goaway(0, 0xff), data(stream, otlp.request([otlp.span()]), end=True))
        self.assertEqual(self.peer.finish(stream).status, 200)

    def test_http2_7_2_rst_stream_with_unknown_code(self):
        self.assert_tolerated(rst_stream(self.open(), 0xff))

    def test_http2_8_1_1_second_headers_without_end_stream(self):
        stream = self.open()
        self.assert_stream_error(stream, PROTOCOL_ERROR, data(stream, b"\x0a"),
                                 headers(stream, block([("x-test", "ok")])))

    def test_http2_8_1_2_1_upper_case_name(self):
        self.assert_malformed(self.peer.fields() + [("X-TEST", "ok")])

    def test_http2_8_1_2_1_1_unknown_pseudo_header(self):
        self.assert_malformed(self.peer.fields() + [(":test", "ok")])

    def test_http2_8_1_2_1_2_pseudo_header_of_answers(self):
        self.assert_malformed(self.peer.fields() + [(":status", "200")])

    def test_http2_8_1_2_1_3_pseudo_header_in_trailers(self):
        stream = self.open()
        self.assert_stream_error(stream, PROTOCOL_ERROR, data(stream, b"\x0a"),
                                 headers(stream, block([(":method", "POST")]), end=True))

    def test_http2_8_1_2_1_4_pseudo_header_after_others(self):
        self.assert_malformed([("x-test", "ok")] + self.peer.fields())

    def test_http2_8_1_2_2_1_connection_header(self):
        for name in ("connection", "keep-alive", "proxy-connection", "transfer-encoding",
                     "upgrade"):
            with self.subTest(name=name):
                self.assert_malformed(self.peer.fields() + [(name, "x")])

    def test_http2_8_1_2_2_2_te_other_than_trailers(self):
        self.assert_malformed(self.peer.fields() + [("te", "trailers, deflate")])

    def test_http2_8_1_2_3_1_empty_path(self):
        self.assert_malformed(self.peer.fields(path=""))

    def without(self, name):
        return [field for field in self.peer.fields() if field[0] != name]

    def test_http2_8_1_2_3_2_no_method(self):
        self.assert_malformed(self.without(":method"))

    def test_http2_8_1_2_3_3_no_scheme(self):
        self.assert_malformed(self.without(":scheme"))

    def test_http2_8_1_2_3_4_no_path(self):
        self.assert_malformed(self.without(":path"))

    def test_http2_8_1_2_3_5_two_methods(self):
        self.assert_malformed(self.peer.fields() + [(":method", "GET")])

    def test_http2_8_1_2_3_6_two_schemes(self):
        self.assert_malformed(self.peer.fields() + [(":scheme", "http")])

    def test_http2_8_1_2_3_7_two_paths(self):
        self.assert_malformed(self.peer.fields() + [(":path", "/healthz")])

    def test_http2_8_1_2_6_1_content_length_is_not_the_body(self):
        for length in ("1", "3", "5", "99999"):
            with self.subTest(length=length):
                stream = self.open(("content-length", length))
                self.assert_stream_error(stream, PROTOCOL_ERROR, data(stream, b"\0" * 4, end=True))

    def test_http2_8_1_2_6_2_content_length_is_not_the_sum(self):
        stream = self.open(("content-length", "5"))
        self.assert_stream_error(stream, PROTOCOL_ERROR, data(stream, b"\0\0"),
                                 data(stream, b"\0\0", end=True))

    def test_http2_8_2_1_push_promise(self):
        promise = frame(h2.PUSH_PROMISE, h2.END_HEADERS, 1, struct.pack(">I", 3) + self.get())
        self.assert_connection_error(PROTOCOL_ERROR, promise)


class HpackTest(H2Case):
    def test_hpack_2_3_3_1_invalid_index(self):
        self.assert_block_refused(b"\xc6")

    def test_hpack_4_2_1_table_size_update_at_the_end(self):
        self.assert_block_refused(b"\x21")

    def test_hpack_5_2_1_huffman_padding_too_long(self):
        self.assert_block_refused(b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff")

    def test_hpack_5_2_2_huffman_padding_of_zeros(self):
        self.assert_block_refused(b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90")

    def test_hpack_5_2_3_huffman_end_of_string(self):
        self.assert_block_refused(b"\x00\x85\xf2\xb2\x4a\x87\xff\xff\xff\xfd\x25\x42\x7f")

    def test_hpack_6_1_1_index_0(self):
        self.assert_block_refused(b"\x80")

    def test_hpack_6_3_1_table_size_above_the_setting(self):
        self.assert_block_refused(b"", before=h2.table_size(4097))


class OwnTest(H2Case):
    """What h2spec does not ask."""

    def test_frames_split_at_every_byte(self):
        """The session does not care how the bytes come."""
        body = otlp.request([otlp.span()])
        whole = h2.PREFACE + settings() + headers(1, self.post()) + data(1, body, end=True)
        peer = Peer(self.daemon.address("http"), patience=10 * SLOWNESS)
        self.addCleanup(peer.close)
        for at in range(len(whole)):
            peer.send(whole[at:at + 1])
        self.assertEqual(peer.finish(1).status, 200)

    def test_early_answer_then_rst_no_error(self):
        """An answer may come before the body has: then the peer is told to stop, not punished."""
        stream = self.peer.stream()
        fields = self.peer.fields("POST", "/nothing", PROTOBUF)
        self.peer.send(headers(stream, block(fields)))
        answer = self.peer.answer(stream)
        self.peer.read_until(lambda: answer.reset is not None)
        self.assertEqual((answer.status, answer.complete, answer.reset), (404, True, NO_ERROR))
        # What was on its way: a body, and trailers.
        self.assert_tolerated(data(stream, bytes(1000)),
                              headers(stream, block([("x-late", "1")]), end=True))

    def test_window_of_dropped_data_comes_back(self):
        """DATA on closed streams counts in the connection's window and must be given back."""
        stream = self.peer.stream()
        self.peer.send(headers(stream, block(self.peer.fields("POST", "/nothing"))))
        self.peer.read_until(lambda: self.peer.answer(stream).reset is not None)
        sent, announced = 0, 65535
        while sent < 20 << 20:
            self.peer.send(*[data(stream, bytes(16384))] * 8)
            sent += 8 * 16384
            # Not a PING: those behind dropped data would be too many.
            self.assertEqual(self.peer.request("GET", "/nothing").status, 404)
        announced += sum(int.from_bytes(f.payload, "big") for f in self.peer.frames
                         if f.kind == h2.WINDOW_UPDATE and f.stream == 0)
        self.assertGreater(announced, sent)
        self.assert_served()

    def test_stream_window_is_enforced(self):
        stream = self.open()
        window = self.peer.settings[h2.INITIAL_WINDOW_SIZE]
        self.assertGreaterEqual(window, 65535)
        # Without END_STREAM the handler has nothing yet, but windows open as bytes are taken.
        self.peer.send(*[data(stream, bytes(16384))] * (window // 16384 // 2))
        self.assertTrue(self.peer.lives())
        self.peer.send(rst_stream(stream))
        self.assert_served()

    def test_answers_in_any_order(self):
        first, second = self.open(), self.open()
        body = otlp.request([otlp.span()])
        self.assert_answered(second, data(second, body, end=True), status=200)
        self.assertFalse(self.peer.answer(first).complete)
        self.assert_answered(first, data(first, otlp.request([otlp.span()]), end=True), status=200)

    def test_expect_100_continue(self):
        stream = self.open(("expect", "100-continue"))
        answer = self.peer.answer(stream)
        self.peer.read_until(lambda: answer.interim)
        self.assertEqual(answer.interim, [{":status": "100"}])
        self.assert_answered(stream, data(stream, otlp.request([otlp.span()]), end=True),
                             status=200)

    def test_host_and_authority_differ(self):
        stream = self.peer.stream()
        fields = self.peer.fields("GET", "/nothing", ("host", "localhost:1"))
        self.assert_answered(stream, headers(stream, block(fields), end=True), status=400)

    def test_refused_stream_costs_nothing_else(self):
        """A cancelled stream does not disturb the others in flight."""
        streams = [self.open() for _ in range(20)]
        self.peer.send(*[rst_stream(stream, CANCEL) for stream in streams[::2]])
        for stream in streams[1::2]:
            self.assert_answered(stream, data(stream, otlp.request([otlp.span()]), end=True),
                                 status=200)
        self.assertNotIn(REFUSED_STREAM, [self.peer.answer(s).reset for s in streams])

    def test_grpc_trailers(self):
        self.peer = self.connect("grpc")
        answer = self.peer.request("POST", TRACES_GRPC, [("content-type", "application/grpc")],
                                   bytes(5))
        self.assertEqual((answer.headers[":status"], answer.body, answer.trailers),
                         ("200", bytes(5), {"grpc-status": "0"}))


if __name__ == "__main__":
    unittest.main()
