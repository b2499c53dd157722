"""HTTP/2 by hand: frames written as the test wants them, frames read back as they came.

Standard library only. Requests are encoded as literals without Huffman coding and without tables;
the decoder knows all that RFC 7541 has, but for Huffman codes of bytes that no header of ours
holds (control characters and bytes above 126). Nothing here checks what a test sends: being wrong
on purpose is what it is for.
"""
import os
import socket
import ssl
import struct
import time
import urllib.parse

# As long as harness.py waits: only a failure takes so long.
PATIENCE_S = 30 * float(os.environ.get("MIDWATCH_TEST_SLOWNESS", "1"))
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
TYPES = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY",
         "WINDOW_UPDATE", "CONTINUATION"]
ACK, END_STREAM, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, \
    FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, \
    ENHANCE_YOUR_CALM = range(12)

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, \
    MAX_HEADER_LIST_SIZE = range(1, 7)
WINDOW_MAX = 2 ** 31 - 1
FRAME_SIZE_DEFAULT = 16384


# ---- writing -------------------------------------------------------------------------------------


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """length: what the header says when it is not the truth."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def ping(data=b"midwatch", flags=0):
    return frame(PING, flags, 0, data)


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def rst_stream(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def goaway(last=0, code=NO_ERROR, debug=b""):
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + debug)


def priority_fields(depends_on=0, weight=15, exclusive=False):
    return struct.pack(">IB", depends_on | (0x80000000 if exclusive else 0), weight)


def priority(stream, **fields):
    return frame(PRIORITY, 0, stream, priority_fields(**fields))


def data(stream, content=b"", end=False, padding=None):
    flags = END_STREAM if end else 0
    if padding is not None:
        flags, content = flags | PADDED, bytes([padding]) + content + bytes(padding)
    return frame(DATA, flags, stream, content)


def headers(stream, block, end=False, end_headers=True, flags=0):
    """block: an encoded header block."""
    flags |= (END_STREAM if end else 0) | (END_HEADERS if end_headers else 0)
    return frame(HEADERS, flags, stream, block)


def continuation(stream, block=b"", end_headers=True):
    return frame(CONTINUATION, END_HEADERS if end_headers else 0, stream, block)


# ---- HPACK: writing ------------------------------------------------------------------------------


def integer(number, prefix, first=0):
    """RFC 7541 5.1; `first` holds the bits above the prefix."""
    limit = (1 << prefix) - 1
    if number < limit:
        return bytes([first | number])
    out, number = bytearray([first | limit]), number - limit
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def text(value):
    if isinstance(value, str):
        value = value.encode()
    return integer(len(value), 7) + value


def literal(name, value, first=0x00):
    """A new name: 0x00 without indexing, 0x10 never indexed, 0x40 with incremental indexing."""
    return bytes([first]) + text(name) + text(value)


def block(fields):
    return b"".join(literal(name, value) for name, value in fields)


def table_size(size):
    return integer(size, 5, 0x20)


# ---- HPACK: reading ------------------------------------------------------------------------------

# RFC 7541 Appendix A, from index 1.
STATIC = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"),
    (":path", "/index.html"), (":scheme", "http"), (":scheme", "https"), (":status", "200"),
    (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
    (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate")] + [(name, "") for name in (
        "accept-language accept-ranges accept access-control-allow-origin age allow authorization "
        "cache-control content-disposition content-encoding content-language content-length "
        "content-location content-range content-type cookie date etag expect expires from host "
        "if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link "
        "location max-forwards proxy-authenticate proxy-authorization range referer refresh "
        "retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary "
        "via www-authenticate").split()]

# RFC 7541 Appendix B is a canonical code: the lengths say all. Printable characters only.
HUFFMAN_LENGTHS = [(5, "012aceiost"), (6, " %-./3456789=A_bdfghlmnpru"),
                   (7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"), (8, "&*,;XZ"), (10, "!\"()?"),
                   (11, "'+|"), (12, "#>"), (13, "\0$@[]~"), (14, "^}"), (15, "<`{"), (19, "\\")]


def make_huffman():
    codes, code, before = {}, 0, 0
    for length, characters in HUFFMAN_LENGTHS:
        code <<= length - before
        for character in characters:
            codes[length, code] = character
            code += 1
        before = length
    return codes


HUFFMAN = make_huffman()


def huffman_decode(raw):
    out, code, length = [], 0, 0
    for byte in raw:
        for bit in range(7, -1, -1):
            code, length = code << 1 | byte >> bit & 1, length + 1
            if (length, code) in HUFFMAN:
                out.append(HUFFMAN[length, code])
                code = length = 0
            elif length > 30:
                raise ValueError("a Huffman code that no header of ours holds")
    return "".join(out)


class Decoder:
    """One direction's header blocks; keeps the dynamic table."""

    def __init__(self):
        self.table = []
        self.raw, self.at = b"", 0

    def read_integer(self, prefix):
        limit = (1 << prefix) - 1
        number = self.raw[self.at] & limit
        self.at += 1
        shift = 0
        while number >= limit:
            byte = self.raw[self.at]
            self.at += 1
            number += (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        return number

    def read_text(self):
        coded = self.raw[self.at] & 128
        length = self.read_integer(7)
        value = self.raw[self.at:self.at + length]
        self.at += length
        return huffman_decode(value) if coded else value.decode()

    def entry(self, index):
        return STATIC[index - 1] if index <= len(STATIC) else self.table[index - len(STATIC) - 1]

    def read_literal(self, prefix):
        index = self.read_integer(prefix)
        name = self.entry(index)[0] if index else self.read_text()
        return name, self.read_text()

    def decode(self, raw):
        """[(name, value)]"""
        self.raw, self.at = raw, 0
        found = []
        while self.at < len(raw):
            byte = raw[self.at]
            if byte & 0x80:
                found.append(self.entry(self.read_integer(7)))
            elif byte & 0x40:
                found.append(self.read_literal(6))
                self.table.insert(0, found[-1])
            elif byte & 0x20:
                if self.read_integer(5) == 0:
                    self.table.clear()
            else:
                found.append(self.read_literal(4))
        return found


# ---- one connection ------------------------------------------------------------------------------


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload

    @property
    def ends(self):
        return self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)

    @property
    def code(self):
        """Of RST_STREAM and GOAWAY."""
        return int.from_bytes(self.payload[4:8] if self.kind == GOAWAY else self.payload[:4], "big")

    def __repr__(self):
        name = TYPES[self.kind] if self.kind < len(TYPES) else str(self.kind)
        shown = self.code if self.kind in (GOAWAY, RST_STREAM) else len(self.payload)
        return f"{name}(flags={self.flags:#x}, stream={self.stream}, {shown})"


class Answer:
    """What came back on one stream."""

    def __init__(self):
        self.headers, self.trailers, self.interim = {}, {}, []
        self.body = b""
        self.complete = False  # END_STREAM was seen
        self.reset = None      # the code of RST_STREAM

    @property
    def status(self):
        return int(self.headers.get(":status", 0))

    @property
    def grpc_status(self):
        value = self.trailers.get("grpc-status", self.headers.get("grpc-status"))
        return None if value is None else int(value)

    @property
    def grpc_message(self):
        value = self.trailers.get("grpc-message", self.headers.get("grpc-message", ""))
        return urllib.parse.unquote(value)

    def __repr__(self):
        return (f"Answer({self.headers}, {len(self.body)} bytes, {self.trailers}, "
                f"complete={self.complete}, reset={self.reset})")


class Peer:
    """A client that says what it is told to. Answers are put together in self.answers by stream,
    every frame is kept in self.frames."""

    def __init__(self, address, tls=False, patience=PATIENCE_S, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(patience)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.patience = patience
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket)
        self.authority = f"{address[0]}:{address[1]}"
        self.decoder = Decoder()
        self.buffer = b""
        self.closed = False
        self.frames, self.answers, self.settings = [], {}, {}
        self.goaway = None  # the last one's code
        self.last_stream = None
        self.pings = []
        self.acknowledged = 0  # our SETTINGS
        self.next_stream = 1
        self.open_block = None
        self.window = 65535  # of the connection, for send_body alone
        self.stream_windows = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # ---- sending

    def send(self, *frames):
        """False once the server has closed; what it said before can still be read."""
        try:
            self.socket.sendall(b"".join(frames))
            return True
        except OSError:
            return False

    def handshake(self, *pairs):
        """Preface and SETTINGS; returns when both sides' SETTINGS are acknowledged."""
        self.send(PREFACE, settings(*pairs))
        self.read_until(lambda: self.acknowledged and self.settings)
        if self.closed:
            raise AssertionError(f"closed in the handshake: {self.frames}")
        return self

    def fields(self, method="GET", path="/healthz", *more):
        """Plain tuples, in an order that tests may disturb."""
        return [(":method", method), (":scheme", "http"), (":path", path),
                (":authority", self.authority), *more]

    def stream(self):
        self.next_stream += 2
        return self.next_stream - 2

    def request(self, method, path, more=(), body=None):
        """Sends a whole request and returns its complete Answer."""
        stream = self.stream()
        self.send(headers(stream, block(self.fields(method, path, *more)), end=body is None))
        if body is not None:
            self.send_body(stream, body)
        return self.finish(stream)

    def send_body(self, stream, body, sizes=(FRAME_SIZE_DEFAULT,), end=True):
        """In DATA frames of the sizes, in turn, within the server's windows. False when the answer
        came before the end."""
        answer, at, turn = self.answer(stream), 0, 0
        while at < len(body) or (turn == 0 and end):
            part = body[at:at + sizes[turn % len(sizes)]]
            self.read_until(lambda: answer.headers or answer.reset is not None or
                            min(self.window, self.stream_window(stream)) >= len(part))
            if answer.headers or answer.reset is not None or self.closed:
                return False
            at, turn = at + len(part), turn + 1
            self.window -= len(part)
            self.stream_windows[stream] -= len(part)
            self.send(data(stream, part, end=end and at >= len(body)))
        return True

    def stream_window(self, stream):
        return self.stream_windows.setdefault(stream, self.settings.get(INITIAL_WINDOW_SIZE, 65535))

    # ---- receiving

    def fill(self):
        try:
            chunk = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError) as error:
            if isinstance(error, TimeoutError):
                raise
            chunk = b""
        if not chunk:
            self.closed = True
        self.buffer += chunk
        return bool(chunk)

    def read_frame(self):
        """The next frame, None at the end; TimeoutError when nothing comes."""
        while len(self.buffer) < 9 or \
                len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            if self.closed or not self.fill():
                return None
        size = int.from_bytes(self.buffer[:3], "big")
        kind, flags = self.buffer[3], self.buffer[4]
        stream = int.from_bytes(self.buffer[5:9], "big") & WINDOW_MAX
        got = Frame(kind, flags, stream, self.buffer[9:9 + size])
        self.buffer = self.buffer[9 + size:]
        self.note(got)
        return got

    def note(self, got):
        self.frames.append(got)
        if got.kind == SETTINGS and got.flags & ACK:
            self.acknowledged += 1
        elif got.kind == SETTINGS:
            self.settings.update(struct.iter_unpack(">HI", got.payload))
            self.send(frame(SETTINGS, ACK))
        elif got.kind == PING:
            self.pings.append((got.flags & ACK, got.payload))
        elif got.kind == WINDOW_UPDATE and got.stream == 0:
            self.window += int.from_bytes(got.payload, "big")
        elif got.kind == WINDOW_UPDATE:
            self.stream_windows[got.stream] = self.stream_window(got.stream) + \
                int.from_bytes(got.payload, "big")
        elif got.kind == GOAWAY:
            self.goaway, self.last_stream = got.code, int.from_bytes(got.payload[:4], "big")
        elif got.stream:
            self.note_answer(got, self.answers.setdefault(got.stream, Answer()))

    def note_answer(self, got, answer):
        if got.kind == HEADERS:
            self.open_block = b""
        if got.kind in (HEADERS, CONTINUATION):
            self.open_block += got.payload
            if got.flags & END_HEADERS:
                self.note_block(dict(self.decoder.decode(self.open_block)), answer)
        elif got.kind == DATA:
            answer.body += got.payload
        elif got.kind == RST_STREAM and answer.reset is None:
            answer.reset = got.code
        answer.complete = answer.complete or got.ends

    @staticmethod
    def note_block(found, answer):
        if found.get(":status", "")[:1] == "1":
            answer.interim.append(found)
        elif answer.headers:
            answer.trailers = found
        else:
            answer.headers = found

    def read_until(self, question):
        """Reads frames until question() is true or the server has closed. TimeoutError after
        the patience, however much else comes meanwhile."""
        until = time.monotonic() + self.patience
        while not question():
            if time.monotonic() > until:
                raise TimeoutError(f"{self.frames[-20:]}")
            if self.read_frame() is None:
                break
        return self

    def answer(self, stream):
        return self.answers.setdefault(stream, Answer())

    def finish(self, stream):
        """The answer of a stream once it is complete, reset, or the connection over."""
        answer = self.answer(stream)
        self.read_until(lambda: answer.complete or answer.reset is not None)
        return answer

    def read_to_close(self):
        """Everything until the server closes; the code of its GOAWAY, None without one."""
        self.read_until(lambda: False)
        return self.goaway

    def lives(self):
        """True when a PING sent now is answered."""
        before = len(self.pings)
        mark = struct.pack(">Q", before + 1)
        self.send(ping(mark))
        self.read_until(lambda: (ACK, mark) in self.pings[before:])
        return (ACK, mark) in self.pings[before:]
