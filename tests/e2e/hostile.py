"""Peers that want memory: what test_memory.py lets loose on a daemon.

    hostile.py HTTP_PORT GRPC_PORT SECONDS KIND=COUNT...

One process, one event loop, lowest priority, so that the load measures the daemon and not itself.
Loopback only, bounded in time. Prints one JSON object: answers by kind and status. The kinds are
the coroutines at the end; COUNT is how many of each run at the same time. HTTP/2 is written by
hand (no Huffman, no dynamic table): a well-behaved library would not send most of this.
"""
import asyncio
import collections
import gzip
import json
import logging
import os
import random
import struct
import sys
import time

import otlp

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
HOST = "127.0.0.1"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
MIB = 1 << 20

answers = collections.Counter()
ports = {}
until = 0.0


# ---- HTTP/1.1 ------------------------------------------------------------------------------------


def http_head(length, extra=""):
    return (f"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/x-protobuf\r\n{length}{extra}\r\n").encode()


async def connect(port):
    return await asyncio.wait_for(asyncio.open_connection(HOST, ports[port]), 5)


async def status_of(reader):
    line = await asyncio.wait_for(reader.readline(), 15)
    return line.split()[1].decode() if line.startswith(b"HTTP/") else "closed"


async def post(kind, body, encoding=""):
    """Sends while it listens: an early answer counts, whatever becomes of the rest."""
    reader, writer = await connect("http")
    try:
        writer.write(http_head(f"Content-Length: {len(body)}\r\n", encoding))
        for at in range(0, len(body), 256 << 10):
            writer.write(body[at:at + (256 << 10)])
            try:
                await asyncio.wait_for(writer.drain(), 10)
            except (OSError, asyncio.TimeoutError):
                break
        answers[f"{kind} {await status_of(reader)}"] += 1
    finally:
        writer.close()


# ---- HTTP/2 --------------------------------------------------------------------------------------


def frame(kind, flags, stream, payload=b""):
    return (struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) +
            struct.pack(">I", stream) + payload)


def integer(number, bits, first=0):
    """An HPACK integer behind the flags in `first`."""
    most = (1 << bits) - 1
    if number < most:
        return bytes([first | number])
    out, number = bytearray([first | most]), number - most
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def literal(name, value, first=0):
    name, value = name.encode(), value.encode()
    return bytes([first]) + integer(len(name), 7) + name + integer(len(value), 7) + value


def grpc_head(extra=(), path=TRACES):
    fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
              ("content-type", "application/grpc"), ("te", "trailers"), *extra]
    return b"".join(literal(name, value) for name, value in fields)


def message(body, flag=0, length=None):
    return struct.pack(">BI", flag, len(body) if length is None else length) + body


async def open_h2(settings=b""):
    reader, writer = await connect("grpc")
    writer.write(PREFACE + frame(SETTINGS, 0, 0, settings))
    return reader, writer


def send_call(writer, stream, body, extra=()):
    writer.write(frame(HEADERS, END_HEADERS, stream, grpc_head(extra)))
    for at in range(0, len(body), 16384):
        piece = body[at:at + 16384]
        writer.write(frame(DATA, END_STREAM if at + 16384 >= len(body) else 0, stream, piece))


async def watch_h2(kind, reader, seconds):
    """Counts what comes, until GOAWAY, the end or the time."""
    end = min(until, time.monotonic() + seconds)
    try:
        while time.monotonic() < end:
            head = await asyncio.wait_for(reader.readexactly(9), max(0.1, end - time.monotonic()))
            size = int.from_bytes(head[:3], "big")
            payload = await reader.readexactly(size)
            if head[3] == HEADERS and b"grpc-status" in payload:
                at = payload.index(b"grpc-status") + len(b"grpc-status")
                answers[f"{kind} grpc {payload[at + 1:at + 1 + (payload[at] & 127)].decode()}"] += 1
                if head[4] & END_STREAM:
                    return
            elif head[3] == GOAWAY:
                answers[f"{kind} goaway {int.from_bytes(payload[4:8], 'big')}"] += 1
                return
    except (asyncio.TimeoutError, asyncio.IncompleteReadError, OSError):
        answers[f"{kind} closed"] += 1


# ---- kinds ---------------------------------------------------------------------------------------

BOMB = gzip.compress(b"\0" * (96 * MIB), 1)
MILLION = gzip.compress(otlp.request([b""] * 1_000_000), 1)


async def bomb_http():
    await post("bomb_http", BOMB, "Content-Encoding: gzip\r\n")
    await asyncio.sleep(0.5)


async def bomb_grpc():
    reader, writer = await open_h2()
    send_call(writer, 1, message(BOMB, 1), [("grpc-encoding", "gzip")])
    await watch_h2("bomb_grpc", reader, 10)
    writer.close()
    await asyncio.sleep(0.5)


async def million():
    await post("million", MILLION, "Content-Encoding: gzip\r\n")
    await asyncio.sleep(0.5)


async def silent():
    reader, writer = await connect(random.choice(["http", "grpc"]))
    while time.monotonic() < until and await reader.read(4096):
        pass
    answers["silent closed"] += 1
    writer.close()
    await asyncio.sleep(1)


async def slow_head():
    reader, writer = await connect("http")
    for byte in http_head("Content-Length: 10\r\n"):
        writer.write(bytes([byte]))
        await asyncio.sleep(0.5)
        if time.monotonic() > until or reader.at_eof():
            break
    writer.close()


async def slow_body():
    """Announces much, brings a little, then a byte now and then."""
    reader, writer = await connect("http")
    writer.write(http_head(f"Content-Length: {30 * MIB}\r\n") + b"\n" * 60000)
    while time.monotonic() < until and not reader.at_eof():
        writer.write(b"\n" * 300)
        await asyncio.sleep(1)
        if reader._buffer:  # an early answer
            break
    answers[f"slow_body {await status_of(reader) if reader._buffer else 'open'}"] += 1
    writer.close()
    await asyncio.sleep(0.5)


async def zero_window():
    """Many streams whose answers may not be sent."""
    reader, writer = await open_h2(struct.pack(">HI", 4, 0))
    empty = message(b"")
    for stream in range(1, 201, 2):
        send_call(writer, stream, empty)
    await writer.drain()
    await watch_h2("zero_window", reader, 60)
    writer.close()
    await asyncio.sleep(0.5)


async def partial_streams():
    """A hundred bodies of one connection, all of them begun and none finished."""
    reader, writer = await open_h2()
    for stream in range(1, 201, 2):
        writer.write(frame(HEADERS, END_HEADERS, stream, grpc_head()))
        piece = message(b"\n" * 16000, 0, 20 * MIB)
        writer.write(frame(DATA, 0, stream, piece))
    await watch_h2("partial_streams", reader, 8)
    writer.close()
    await asyncio.sleep(0.5)


async def continuation():
    reader, writer = await open_h2()
    writer.write(frame(HEADERS, 0, 1, grpc_head()))
    try:
        for _ in range(2000):
            writer.write(frame(CONTINUATION, 0, 1, literal("x-more", "y" * 1000)))
        await asyncio.wait_for(writer.drain(), 5)
    except (OSError, asyncio.TimeoutError):
        pass
    await watch_h2("continuation", reader, 10)
    writer.close()
    await asyncio.sleep(0.5)


async def hpack():
    """Entries of the dynamic table, referred to over and over: little in, much out."""
    reader, writer = await open_h2()
    big = literal("x-big", "z" * 3900, 0x40)
    writer.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, grpc_head() + big))
    for stream in range(3, 103, 2):
        writer.write(frame(HEADERS, END_HEADERS | END_STREAM, stream, grpc_head() + b"\xbe" * 4000))
    await watch_h2("hpack", reader, 10)
    writer.close()
    await asyncio.sleep(0.5)


async def resets():
    reader, writer = await open_h2()
    try:
        for stream in range(1, 6001, 2):
            writer.write(frame(HEADERS, END_HEADERS, stream, grpc_head()) +
                         frame(RST, 0, stream, struct.pack(">I", 8)))
        await asyncio.wait_for(writer.drain(), 5)
    except (OSError, asyncio.TimeoutError):
        pass
    await watch_h2("resets", reader, 10)
    writer.close()
    await asyncio.sleep(0.5)


async def announced_http():
    reader, writer = await connect("http")
    writer.write(http_head(f"Content-Length: {1 << 40}\r\n") + b"x" * 1000)
    answers[f"announced_http {await status_of(reader)}"] += 1
    writer.close()
    await asyncio.sleep(0.3)


async def announced_grpc():
    reader, writer = await open_h2()
    writer.write(frame(HEADERS, END_HEADERS, 1, grpc_head()) +
                 frame(DATA, 0, 1, message(b"x", 0, 0xFFFFFFFF)))
    await watch_h2("announced_grpc", reader, 10)
    writer.close()
    await asyncio.sleep(0.3)


KINDS = {function.__name__: function for function in (
    bomb_http, bomb_grpc, million, silent, slow_head, slow_body, zero_window, partial_streams,
    continuation, hpack, resets, announced_http, announced_grpc)}


async def repeat(function, delay):
    await asyncio.sleep(delay)
    while time.monotonic() < until:
        try:
            await function()
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
            answers[f"{function.__name__} {type(error).__name__}"] += 1
            await asyncio.sleep(0.5)


async def run(seconds, wanted):
    global until
    until = time.monotonic() + seconds
    tasks = []
    for word in wanted:
        kind, _, count = word.partition("=")
        for _ in range(int(count)):
            tasks.append(asyncio.create_task(repeat(KINDS[kind], random.random())))
    await asyncio.wait(tasks, timeout=seconds + 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    os.nice(19)
    logging.disable()  # asyncio warns of each write to a connection that was closed
    ports.update(http=int(sys.argv[1]), grpc=int(sys.argv[2]))
    asyncio.run(run(float(sys.argv[3]), sys.argv[4:]))
    print(json.dumps(answers))
