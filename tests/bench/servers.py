"""What the bench measures: the program, its network layer alone, and peers; one interface.

A server has `name`, `pid`, `port(transport)` and `data` (a folder, or None), and is a context
manager: entered, it takes exports on loopback; left, it has ended cleanly.
"""
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

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
  {exporter}: {settings}
service:
  telemetry:
    metrics: {{level: none}}
    logs: {{level: error}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [{exporter}]}}
    metrics: {{receivers: [otlp], exporters: [{exporter}]}}
    logs: {{receivers: [otlp], exporters: [{exporter}]}}
"""


class Collector(Process):
    """The OpenTelemetry Collector, OTLP receiver to the no-op exporter (decoded and dropped), or to
    its file exporter (protobuf under zstd, written behind the answer)."""

    def __init__(self, binary, to_file=False):
        name = "file" if to_file else "nop"
        super().__init__(f"Collector, {name}", {"grpc": free_port(), "http": free_port()})
        self.binary = binary
        self.folder = tempfile.mkdtemp(prefix="midwatch-bench-")
        self.data = os.path.join(self.folder, "data") if to_file else None
        self.config = {"exporter": name, "settings": "{}"}
        if to_file:
            os.mkdir(self.data)
            self.config["settings"] = (f'{{path: "{self.data}/traces", format: proto, '
                                       f"compression: zstd}}")

    def start(self):
        path = os.path.join(self.folder, "collector.yaml")
        with open(path, "w", encoding="utf-8") as config:
            config.write(COLLECTOR_CONFIG.format(**self.ports, **self.config))
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


CLICKHOUSE_CONFIG = """<yandex>
  <logger><level>error</level><log>{folder}/log</log><errorlog>{folder}/errors</errorlog></logger>
  <http_port>{http}</http_port><tcp_port>{tcp}</tcp_port><listen_host>127.0.0.1</listen_host>
  <path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path>
  <users_config>{folder}/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <mark_cache_size>268435456</mark_cache_size>
</yandex>
"""
CLICKHOUSE_USERS = """<yandex><profiles><default/></profiles><quotas><default/></quotas><users>
  <default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>
  <quota>default</quota></default></users></yandex>
"""


class ClickHouse(Process):
    """clickhouse-server of Debian's package, on loopback with a folder of its own."""

    binary = shutil.which("clickhouse-server", path=os.environ["PATH"] + ":/usr/sbin")

    def __init__(self):
        super().__init__("ClickHouse", {"http": free_port(), "tcp": free_port()})
        self.folder = tempfile.mkdtemp(prefix="midwatch-bench-")
        self.data = os.path.join(self.folder, "data")

    def start(self):
        os.mkdir(self.data)
        for name, text in (("config.xml", CLICKHOUSE_CONFIG), ("users.xml", CLICKHOUSE_USERS)):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as out:
                out.write(text.format(folder=self.folder, **self.ports))
        self.process = subprocess.Popen(
            [self.binary, f"--config-file={self.folder}/config.xml"], cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while True:
            try:
                return self.query("SELECT 1")
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise
                time.sleep(0.2)

    def query(self, text, body=b""):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["http"], timeout=600)
        connection.request("POST", "/?" + urllib.parse.urlencode({"query": text}), body)
        response = connection.getresponse()
        answer = response.read().decode("utf-8", "replace")
        if response.status != 200:
            raise RuntimeError(answer[:500])
        return answer.strip()

    def __exit__(self, *failure):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
