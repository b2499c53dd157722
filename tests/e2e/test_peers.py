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
from harness import SLOWNESS, Case, Daemon, wait_for
from test_memory import INSTRUMENTED, LIMIT_MIB, SLACK_MIB, Sampler, metric

MIB = 1 << 20


def export(daemon):
    return daemon.post_traces(otlp.request([otlp.span()])).status


def dial(daemon, port, count):
    sockets = []
    for _ in range(count):
        try:
            sockets.append(socket.create_connection(daemon.address(port), timeout=5))
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
                     lambda: metric(daemon, "midwatch_connections") <= 1, 15)
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
            time.sleep(1)
            # One that was let in is served all the same.
            body = otlp.request([otlp.span()])
            keep.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                         b"application/x-protobuf\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.assertEqual(keep.recv(4096).split()[1], b"200")
            self.assertIn("connections cannot be accepted", daemon.log())
            close(many)
            keep.close()
            wait_for("recovery without a restart", lambda: self.serves(daemon), 10)
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
        sockets = []
        for _ in range(1000):
            raw = socket.create_connection(self.daemon.address("http"), timeout=10 * SLOWNESS)
            try:
                sockets.append(context.wrap_socket(raw))
            except OSError:
                raw.close()
            if len(sockets) == 200 and _ == 199:
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
            self.daemon, 'midwatch_memory_bytes{component="tls"}') < before + 2 * MIB, 15)
        again = context.wrap_socket(socket.create_connection(self.daemon.address("http"),
                                                             timeout=10 * SLOWNESS))
        again.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
