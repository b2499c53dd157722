"""A client of server-sent events for the end-to-end tests: a thread that follows a list."""
import http.client
import json
import os
import socket
import threading
import time

from harness import SLOWNESS, UnixConnection, wait_for


class EventParser:
    """Fields to events, as the HTML standard has it; an event without its end is none."""

    def __init__(self):
        self.last_id = ""
        self.retry = None
        self.begin()

    def begin(self):
        self.name, self.data, self.id = "", [], self.last_id

    def line(self, line):
        """An event (id, name, data) when the line ends one."""
        if line:
            name, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if name == "event":
                self.name = value
            elif name == "data":
                self.data.append(value)
            elif name == "id":
                self.id = value
            elif name == "retry":
                self.retry = int(value)
            return None
        self.last_id = self.id
        event = (self.id, self.name, "\n".join(self.data)) if self.data else None
        self.begin()
        return event


class Follower(threading.Thread):
    """Follows until it is closed or the server ends it. `pause`: seconds between lines."""

    def __init__(self, daemon, query="", port="web", last_id=None, path="logs?follow=true",
                 receive_buffer=None):
        super().__init__(daemon=True)
        timeout = 60 * SLOWNESS
        if port == "socket":
            self.connection = UnixConnection(os.path.join(daemon.data, "midwatch.sock"), timeout)
        else:
            self.connection = http.client.HTTPConnection(*daemon.address(port), timeout=timeout)
        self.parser = EventParser()
        self.events = []
        self.clean = None  # at the end: did the server end the answer in order?
        self.go = threading.Event()
        self.go.set()
        if receive_buffer:
            self.connect_slowly(receive_buffer)
        headers = {"Last-Event-ID": last_id} if last_id else {}
        self.connection.request("GET", f"/api/v1/{path}{query}", headers=headers)
        self.socket = self.connection.sock
        self.response = self.connection.getresponse()
        self.status = self.response.status
        if self.status == 200:
            self.start()

    def connect_slowly(self, receive_buffer):
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(self.connection.timeout)
        plain.connect((self.connection.host, self.connection.port))
        self.connection.sock = plain

    def chunks(self):
        """By hand: http.client takes a connection that breaks off for an end in order."""
        source = self.response.fp
        while True:
            head = source.readline()
            size = int(head, 16)
            body = source.read(size)
            if len(body) < size or source.read(2) != b"\r\n":
                raise OSError("broken off")
            if size == 0:
                return
            yield body

    def run(self):
        rest = b""
        try:
            for chunk in self.chunks():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = self.parser.line(line.decode())
                    if event:
                        self.events.append(event)
                self.go.wait()
            self.clean = True
        except (OSError, ValueError):
            self.clean = False

    def begun(self):
        """Waits for the first place that the server tells."""
        wait_for("a place", lambda: self.parser.last_id)
        return self

    def wait(self, count):
        """Waits for that many events; all there are."""
        try:
            wait_for(f"{count} events", lambda: len(self.events) >= count, 30)
        except AssertionError as error:
            raise AssertionError(f"{error}: {len(self.events)} came") from None
        return self.events

    def records(self):
        return [json.loads(data) for _, name, data in self.events if name == "log"]

    def bodies(self):
        return [record["body"] for record in self.records()]

    def ids(self):
        return [id for id, _, _ in self.events]

    def ended(self):
        self.join(60 * SLOWNESS)
        return not self.is_alive()

    def close(self):
        """Goes away."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.go.set()
        if self.is_alive():
            self.join(30)
        self.response.close()
        self.connection.close()


def follow_on(daemon, before, query="", port="web"):
    """One that goes on where another one ended; tries for as long as a restart takes."""
    until = time.monotonic() + 20 * SLOWNESS
    while True:
        try:
            return Follower(daemon, query, port, before.parser.last_id)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
