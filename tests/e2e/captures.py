"""Real clients' requests, byte for byte over their own transport, and what each client expects.

HTTP goes out with the capture's own headers in their order, in chunks where the client chunked;
gRPC as HEADERS and DATA frames by hand. `sizes` are those of chunks or DATA frames, in turn: where
they fall must not matter.
"""
import http.client
import json
import socket

import h2frames
from h2frames import PATIENCE_S, Peer, block, headers

WHOLE = (1 << 20,)


def load_capture(path):
    """A capture's description with its body under "body"."""
    with open(path, encoding="utf-8") as source:
        capture = json.load(source)
    with open(path[:-len(".json")] + ".bin", "rb") as source:
        capture["body"] = source.read()
    return capture


def is_grpc(capture):
    return capture["transport"].startswith("grpc")


def own_headers(capture, address):
    return [(name, value.replace("PORT", str(address[1]))) for name, value in capture["headers"]]


# ---- HTTP/1.1 ------------------------------------------------------------------------------------


def pieces(body, sizes):
    at, turn = 0, 0
    while at < len(body):
        yield body[at:at + sizes[turn % len(sizes)]]
        at, turn = at + sizes[turn % len(sizes)], turn + 1


def http_text(capture, address, sizes=WHOLE):
    """The request as bytes."""
    names = own_headers(capture, address)
    present = {name.lower(): value for name, value in names}
    if "host" not in present:  # a synthetic body
        names += [("Host", f"localhost:{address[1]}"), ("Content-Length", len(capture["body"]))]
    head = f"{capture['method']} {capture['path']} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in names) + "\r\n"
    if present.get("transfer-encoding") != "chunked":
        return head.encode() + capture["body"]
    chunks = [f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
              for piece in pieces(capture["body"], sizes)]
    return head.encode() + b"".join(chunks) + b"0\r\n\r\n"


def send_http(connection, capture, address, sizes=WHOLE):
    """(status, headers, body) over a socket that stays open, as the clients keep theirs."""
    connection.sendall(http_text(capture, address, sizes))
    response = http.client.HTTPResponse(connection)
    response.begin()
    body = response.read()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, body


def check_http(capture, answer):
    """What an OTLP/HTTP client takes as full success."""
    status, names, body = answer
    content_type, empty = "application/x-protobuf", b""
    if capture["encoding"] == "json":
        content_type, empty = "application/json", b"{}"
    if (status, body, names.get("content-type"), names.get("connection", "keep-alive")) != \
            (200, empty, content_type, "keep-alive"):
        raise AssertionError(f"{capture['case']}: {answer}")


# ---- gRPC ----------------------------------------------------------------------------------------


def send_grpc(peer, capture, address, sizes=(h2frames.FRAME_SIZE_DEFAULT,)):
    stream = peer.stream()
    peer.send(headers(stream, block(own_headers(capture, address))))
    peer.send_body(stream, capture["body"], sizes)
    return peer.finish(stream)


def check_grpc(capture, answer):
    """Status 0 in trailers, behind one empty message: grpc-js takes anything less as an error."""
    if (answer.status, answer.headers.get("content-type"), answer.body, answer.trailers,
            answer.complete, answer.reset) != \
            (200, "application/grpc", bytes(5), {"grpc-status": "0"}, True, None):
        raise AssertionError(f"{capture['case']}: {answer}")


# ---- both ----------------------------------------------------------------------------------------


def send_capture(daemon, capture, patience=PATIENCE_S):
    """On a connection of its own; raises unless it is acknowledged as its client expects."""
    if is_grpc(capture):
        address = daemon.address("grpc")
        with Peer(address, patience=patience) as peer:
            check_grpc(capture, send_grpc(peer.handshake(), capture, address))
        return
    address = daemon.address("http")
    with socket.create_connection(address, timeout=patience) as connection:
        check_http(capture, send_http(connection, capture, address))
