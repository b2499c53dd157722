"""What the HTTP/2 suites share: a connection by hand a test, and what may become of a frame."""
import h2frames as h2
import otlp
from h2frames import COMPRESSION_ERROR, PROTOCOL_ERROR, Peer, block, headers, settings
from harness import SLOWNESS, DaemonCase

PROTOBUF = ("content-type", "application/x-protobuf")


class H2Case(DaemonCase):
    def setUp(self):
        self.peer = self.connect()

    def connect(self, port="http", *pairs):
        peer = Peer(self.daemon.address(port), patience=30 * SLOWNESS)
        self.addCleanup(peer.close)
        return peer.handshake(*pairs)

    # ---- what is sent

    def post(self, *more):
        """The header block of an export."""
        return block(self.peer.fields("POST", "/v1/traces", PROTOBUF, *more))

    def get(self, *more):
        """That of a request without body, whose answer has one."""
        return block(self.peer.fields("GET", "/nothing", *more))

    def open(self, *more):
        """Begins an export; its stream is open until a body has come."""
        stream = self.peer.stream()
        self.peer.send(headers(stream, self.post(*more)))
        return stream

    def hold(self):
        """A stream that is half-closed (remote): the answer waits for the peer's window."""
        self.peer.send(settings((h2.INITIAL_WINDOW_SIZE, 0)))
        stream = self.peer.stream()
        self.peer.send(headers(stream, self.get(), end=True))
        answer = self.peer.answer(stream)
        self.peer.read_until(lambda: answer.headers)
        self.assertEqual((answer.status, answer.complete), (404, False))
        return stream

    def ended(self):
        """A stream that both sides have closed."""
        stream = self.peer.stream()
        self.peer.send(headers(stream, self.get(), end=True))
        self.assertTrue(self.peer.finish(stream).complete)
        return stream

    # ---- what is expected

    def assert_served(self):
        body = otlp.request([otlp.span()])
        answer = self.peer.request("POST", "/v1/traces", [PROTOBUF], body)
        self.assertEqual((answer.status, answer.body, answer.complete), (200, b"", True))

    def assert_tolerated(self, *frames):
        self.peer.send(*frames)
        self.assertTrue(self.peer.lives())
        self.peer.send(settings((h2.INITIAL_WINDOW_SIZE, 65535)))
        self.assert_served()

    def assert_connection_error(self, code, *frames):
        self.peer.send(*frames)
        self.assertEqual(self.peer.read_to_close(), code)
        self.assertTrue(self.peer.closed)

    def assert_stream_error(self, stream, code, *frames):
        self.peer.send(*frames)
        answer = self.peer.finish(stream)
        self.assertEqual((answer.reset, answer.headers), (code, {}))
        self.assert_served()

    def assert_malformed(self, fields):
        """A request that RFC 9113 8.1.1 calls malformed."""
        stream = self.peer.stream()
        self.assert_stream_error(stream, PROTOCOL_ERROR, headers(stream, block(fields), end=True))

    def assert_answered(self, stream, *frames, status=404):
        self.peer.send(*frames)
        answer = self.peer.finish(stream)
        self.assertEqual((answer.status, answer.complete), (status, True))

    def assert_block_answered(self, extra, before=b""):
        stream = self.peer.stream()
        self.assert_answered(stream, headers(stream, before + self.get() + extra, end=True))
        self.assert_served()

    def assert_block_refused(self, extra, before=b""):
        stream = self.peer.stream()
        self.assert_connection_error(COMPRESSION_ERROR,
                                     headers(stream, before + self.get() + extra, end=True))
