#!/usr/bin/env python3
"""Peers that only take up room: idle connections, handshakes, descriptors. The daemon goes on
serving, and is as before once they are gone."""
import os
import resource
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import otlp
from harness import BINARY, SLOWNESS, Case, Daemon, wait_for
from test_memory import INSTRUMENTED, LIMIT_MIB, SLACK_MIB, Sampler, metric

MIB = 1 << 20


def export(daemon):
    return daemon.post_traces(otlp.request([otlp.span()])).status


def dial(daemon, port, count):
    sockets = []
    for _ in range(count):
        try:
            sockets.append(socket.create_connection(daemon.address(port), timeout=30 * SLOWNESS))
        except OSError:
            break
    return sockets


def close(sockets):
    for one in sockets:
        one.close()


class IdleTest(Case):
    def test_idle_connections(self):
        """Security row 34: closed after the time-out of a head; the accept loop goes on."""
        with Daemon() as daemon:
            idle = dial(daemon, "grpc", 60) + dial(daemon, "http", 60)
            self.assertEqual(len(idle), 120)
            self.assertEqual(export(daemon), 200)
            wait_for("the idle connections' end",
                     lambda: metric(daemon, "midwatch_connections") <= 1)
            for one in idle:  # a 408 at most, then the end
                while one.recv(4096):
                    pass
            close(idle)
            self.assertEqual(export(daemon), 200)


class DescriptorTest(Case):
    """Security row 60: RLIMIT_NOFILE 64."""

    def limited(self):
        daemon = Daemon()
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 4096), before[1]))
        try:
            daemon.start()
            resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (64, 64))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        return daemon

    def test_descriptors_run_out(self):
        daemon = self.limited()
        try:
            self.assertEqual(export(daemon), 200)
            keep = socket.create_connection(daemon.address("http"), timeout=10 * SLOWNESS)
            many = dial(daemon, "http", 100)
            wait_for("the last descriptor",
                     lambda: "connections cannot be accepted" in daemon.log())
            # One that was let in is served all the same.
            body = otlp.request([otlp.span()])
            keep.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                         b"application/x-protobuf\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.assertEqual(keep.recv(4096).split()[1], b"200")
            close(many)
            keep.close()
            wait_for("recovery without a restart", lambda: self.serves(daemon))
            daemon.stop()
        finally:
            if daemon.process:
                daemon.kill()
            daemon.remove()

    @staticmethod
    def serves(daemon):
        try:
            return export(daemon) == 200
        except OSError:
            return False


class HandshakeTest(Case):
    """A thousand TLS connections that shake hands and rest."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="midwatch-test-")
        certificate, key = (os.path.join(self.directory, name) for name in ("cert.pem", "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                        "/CN=localhost", "-keyout", key, "-out", certificate], check=True,
                       capture_output=True)
        os.chmod(key, 0o600)
        self.daemon = Daemon(arguments=["--memory-limit", f"{LIMIT_MIB}MiB", "--tls-cert",
                                        certificate, "--tls-key", key]).start()

    def tearDown(self):
        try:
            self.daemon.stop()
        finally:
            self.daemon.remove()
            shutil.rmtree(self.directory)

    def test_idle_handshakes(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        sampler = Sampler(self.daemon.process.pid)
        before = metric(self.daemon, 'midwatch_memory_bytes{component="tls"}')
        sockets, held = [], 0
        for _ in range(1000):
            raw = socket.create_connection(self.daemon.address("http"), timeout=10 * SLOWNESS)
            try:
                sockets.append(context.wrap_socket(raw))
            except OSError:
                raw.close()
            if len(sockets) == 200 and not held:
                held = metric(self.daemon, 'midwatch_memory_bytes{component="tls"}') - before
        self.assertEqual(export(self.daemon), 200)  # in clear text, from this machine
        peak = sampler.stop()
        print(f"{len(sockets)} of 1000 handshakes at once, {held / 200 / 1024:.1f} KiB of OpenSSL "
              f"each, peak anonymous memory {peak:.1f} MiB")
        self.assertGreaterEqual(len(sockets), 200)
        if not INSTRUMENTED:
            self.assertLessEqual(peak, LIMIT_MIB + SLACK_MIB)
        close(sockets)
        wait_for("memory given back", lambda: metric(
            self.daemon, 'midwatch_memory_bytes{component="tls"}') < before + 2 * MIB)
        again = context.wrap_socket(socket.create_connection(self.daemon.address("http"),
                                                             timeout=10 * SLOWNESS))
        again.close()


class SlowReaderTest(Case):
    """Answers that nobody reads have a share of memory of their own: telemetry flows beside them."""

    READERS, LOGS = 200, 10

    def ask_and_rest(self, daemon, path):
        """A question whose answer waits: the socket takes a few KiB and nobody reads them."""
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.settimeout(30 * SLOWNESS)
        reader.connect(daemon.address("web"))
        reader.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
        return reader

    def test_answers_that_wait(self):
        with Daemon(arguments=["--memory-limit", f"{LIMIT_MIB}MiB", "--max-request", "4MiB"]) as daemon:
            for _ in range(self.LOGS):
                record = otlp.log_record(body=os.urandom(MIB // 2).hex())
                answer = daemon.request("POST", "/v1/logs", otlp.logs_request([record]),
                                        {"content-type": "application/x-protobuf"}, port="http")
                self.assertEqual(answer.status, 200)
            # Large ones first, then small ones that fill what is left to the last byte.
            readers = [self.ask_and_rest(daemon, f"/api/v1/logs?limit={10 if at < 100 else 1}")
                       for at in range(self.READERS)]
            statuses, held = set(), []
            begin = time.monotonic()
            # Long enough to see what they hold; longer where the answers take their time.
            while (time.monotonic() < begin + 6 or
                   held[-1]["query"] <= 16 * MIB and time.monotonic() < begin + 20 * SLOWNESS):
                statuses.add(export(daemon))
                self.assertEqual(daemon.get("/readyz").status, 200)
                held.append({name: metric(daemon, f'midwatch_memory_bytes{{component="{name}"}}')
                             for name in ("net", "query")})
            most = {name: max(one[name] for one in held) / MIB for name in ("net", "query")}
            print(f"{self.READERS} slow readers: answers hold {most['query']:.1f} MiB, net "
                  f"{most['net']:.1f} MiB of {LIMIT_MIB}")
            self.assertEqual(statuses, {200})
            self.assertGreater(most["query"], 16)  # they did wait
            self.assertLess(most["query"], LIMIT_MIB / 2 + 1)
            self.assertLess(most["net"], 16)
            # Who found the share used was told to come back, with words.
            begun = [reader.recv(2048) for reader in readers]
            refused = [text for text in begun if text.startswith(b"HTTP/1.1 503")]
            self.assertGreater(len(refused), 0)
            self.assertLess(len(refused), self.READERS)
            for text in refused:
                self.assertIn(b"retry-after: 1", text)
                self.assertIn(b'"code":"out_of_memory"', text)
            close(readers)
            wait_for("room for questions",
                     lambda: daemon.get("/api/v1/logs").status == 200)


class ConnectionLimitTest(Case):
    """Exporters' connections leave room for those who ask, and for the socket."""

    def assert_open(self, daemon, *ports):
        for port in ports:
            self.assertEqual(daemon.get("/healthz", port=port).status, 200, port)

    @staticmethod
    def is_full(daemon, silent):
        """Takes what is left of the web port's connections: what earlier ones leave comes later."""
        silent += dial(daemon, "web", 40)
        try:
            daemon.get("/healthz")
        except OSError:
            return True
        return False

    def test_silent_exporters(self):
        with Daemon(arguments=["--max-connections", "128"]) as daemon:
            silent = dial(daemon, "http", 100) + dial(daemon, "grpc", 60)
            for one in silent[:50]:
                one.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: lo")
            refused = lambda: metric(daemon, 'midwatch_net_refused_total{reason="memory"}')
            wait_for("refusals", lambda: refused() >= 160 - 112)
            self.assert_open(daemon, "web", "socket")
            # The end of an earlier question's connection may still be on its way.
            wait_for("no more than the exporters' share and this question",
                     lambda: metric(daemon, "midwatch_connections") <= 112 + 1)
            self.assertIn("too many connections", daemon.log())
            # All of TCP is taken now: the socket is still there.
            wait_for("the end of the web port's room", lambda: self.is_full(daemon, silent))
            self.assert_open(daemon, "socket")
            close(silent)
            wait_for("room", lambda: DescriptorTest.serves(daemon))

    def test_few_files(self):
        """Never more connections than files may be open, and the log says so."""
        data = tempfile.mkdtemp(prefix="midwatch-test-")
        self.addCleanup(shutil.rmtree, data)
        ports = [word for name in ("grpc", "http", "web") for word in (f"--{name}", "127.0.0.1:0")]
        limited = subprocess.Popen(
            ["sh", "-c", 'ulimit -n 600; exec "$@"', "sh", BINARY, "serve", "--data", data,
             "--max-connections", "5000", *ports], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        try:
            wait_for("endpoints.json",
                     lambda: os.path.exists(os.path.join(data, "endpoints.json")))
        finally:
            limited.terminate()
            log = limited.communicate(timeout=40 * SLOWNESS)[1]
        self.assertEqual(limited.returncode, 0, log)
        line = next(line for line in log.splitlines() if "max_connections is lowered" in line)
        self.assertIn("5000", line)
        self.assertIn("344", line)  # 600 less 256 for everything else


class FullDiskTest(Case):
    """A start on a full disk says what to do about it."""

    def test_start(self):
        for left in (0, 24):  # KiB: before the segment's head, before the state's pages
            # A file system of its own, gone with the namespace.
            script = (f"mount -t tmpfs -o size=256k,mode=700 none /mnt && dd if=/dev/zero "
                      f"of=/mnt/full bs=1k count={256 - 8 - left} status=none && "
                      'mkdir /mnt/data && exec "$0" serve --data /mnt/data')
            done = subprocess.run(["unshare", "-rm", "sh", "-c", script, BINARY],
                                  capture_output=True, text=True, check=False,
                                  timeout=30 * SLOWNESS)
            if "unshare" in done.stderr or "mount" in done.stderr:
                self.skipTest("no namespaces here")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr, "no space left|disk is full")
            self.assertIn("free 64 MiB there", done.stderr)
            self.assertIn("--data DIR", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
