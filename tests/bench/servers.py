"""What the bench measures: the program, its network layer alone, and peers; one interface.

A server has `name`, `pid`, `port(transport)` and `data` (a folder, or None), and is a context
manager: entered, it takes exports on loopback; left, it has ended cleanly.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

# Exit code of tests/peers/build.sh when a peer cannot be had here; its last line says why.
CANNOT_BUILD = 3


class Midwatch:
    """The daemon on a fresh data directory, which outlives the process until left."""

    name = "midwatch"

    def __init__(self, arguments=()):
        from harness import Daemon
        self.daemon = Daemon(arguments=arguments)
        self.data = self.daemon.data

    def __enter__(self):
        self.daemon.start()
        self.pid = self.daemon.process.pid
        return self

    def port(self, transport):
        return self.daemon.port("grpc" if transport == "grpc" else "http")

    def stop(self):
        """Ends the process; the data directory stays for looking at."""
        if self.daemon.process:
            self.daemon.stop()

    def __exit__(self, *failure):
        self.stop()
        self.daemon.remove()


class Process:
    """A server that is one child process and keeps nothing."""

    data = None

    def __init__(self, name, ports):
        self.name, self.ports, self.process = name, ports, None

    def port(self, transport):
        return self.ports[transport]

    def __enter__(self):
        self.start()
        self.pid = self.process.pid
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def __exit__(self, *failure):
        self.stop()


class ReceiveOnly(Process):
    """tests/bench/receive_only.c: lib/net, with or without the validating pass."""

    def __init__(self, build, mode):
        super().__init__(f"receive, {mode}", {})
        self.command = [os.path.join(build, "tests", "bench", "receive_only"), mode]

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.process.stdout.readline())

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(30)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


COLLECTOR_CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}", max_recv_msg_size_mib: 64}}
      http: {{endpoint: "127.0.0.1:{http}"}}
exporters:
  nop: {{}}
service:
  telemetry:
    metrics: {{level: none}}
    logs: {{level: error}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [nop]}}
    metrics: {{receivers: [otlp], exporters: [nop]}}
    logs: {{receivers: [otlp], exporters: [nop]}}
"""


class Collector(Process):
    """The OpenTelemetry Collector, OTLP receiver to the no-op exporter: decoded and dropped."""

    def __init__(self, binary):
        super().__init__("Collector, nop", {"grpc": free_port(), "http": free_port()})
        self.binary = binary
        self.folder = tempfile.mkdtemp(prefix="midwatch-bench-")

    def start(self):
        path = os.path.join(self.folder, "collector.yaml")
        with open(path, "w", encoding="utf-8") as config:
            config.write(COLLECTOR_CONFIG.format(**self.ports))
        self.process = subprocess.Popen([self.binary, "--config", path], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for port in self.ports.values():
            self.wait_for(port)

    def wait_for(self, port, seconds=20):
        until = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def __exit__(self, *failure):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def build_collector(build):
    """(path, None), or (None, why it cannot be had)."""
    done = subprocess.run([os.path.join(ROOT, "tests", "peers", "build.sh"), build],
                          stdout=subprocess.PIPE, text=True, check=False)
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if done.returncode == CANNOT_BUILD:
        return None, last
    if done.returncode != 0:
        return None, f"skipped: collector: its build failed with exit {done.returncode}"
    return os.path.join(build, "peers", "collector"), None
