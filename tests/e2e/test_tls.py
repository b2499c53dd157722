#!/usr/bin/env python3
"""TLS from outside: curl and the command line as clients, openssl as the maker of certificates."""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import unittest

from captures import load_capture
from harness import (BINARY, CAPTURES, SLOWNESS, TRACES_GRPC, Case, Daemon, trace_captures,
                     wait_for)

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"openssl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


class Certificates:
    """A directory with CAs, and certificates that they signed."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="midwatch-test-")
        self.make_ca("ca")
        self.make_ca("other")
        for name in ("server", "renewed", "client"):
            self.make(name, "ca")
        self.make("stranger", "other")
        self.make("expired", "ca", days=-1)

    def path(self, name):
        return os.path.join(self.directory, name)

    def pair(self, name):
        return self.path(name + ".pem"), self.path(name + ".key")

    def make_ca(self, name):
        certificate, key = self.pair(name)
        openssl("req", "-x509", *CURVE, "-keyout", key, "-out", certificate, "-subj",
                f"/CN=test {name}", "-days", "30", "-addext", "keyUsage=critical,keyCertSign")

    def make(self, name, issuer, days=30):
        certificate, key = self.pair(name)
        ca, ca_key = self.pair(issuer)
        request, extensions = self.path(name + ".csr"), self.path(name + ".ext")
        openssl("req", "-new", *CURVE, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        with open(extensions, "w", encoding="ascii") as out:
            out.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
                "-out", certificate, "-days", str(days), "-extfile", extensions)
        os.chmod(key, 0o600)

    def install(self, name):
        """Copies the pair to where the daemon looks for it: live.pem and live.key."""
        for source, target in zip(self.pair(name), self.pair("live")):
            shutil.copy(source, target)

    def options(self, *more):
        certificate, key = self.pair("live")
        return ["--tls-cert", certificate, "--tls-key", key, *more]

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class TlsTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.certificates = Certificates()

    @classmethod
    def tearDownClass(cls):
        cls.certificates.remove()

    def setUp(self):
        self.certificates.install("server")

    def test_doctor_names_https(self):
        with Daemon(arguments=self.certificates.options()) as daemon:
            self.assertIn(f"OTEL_EXPORTER_OTLP_ENDPOINT=https://{daemon.endpoints['http']}",
                          daemon.cli("doctor"))

    def curl(self, url, *arguments, ca="ca"):
        """(exit code, status, HTTP version, body, error)"""
        done = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "--max-time", str(int(30 * SLOWNESS)), "--cacert",
             self.certificates.path(ca + ".pem"), "-w", "\n%{http_code} %{http_version}",
             *arguments, url], capture_output=True, check=False)
        body, _, tail = done.stdout.rpartition(b"\n")
        status, version = tail.decode().split()
        return done.returncode, int(status), version, body, done.stderr.decode()

    def url(self, daemon, port, path):
        return f"https://127.0.0.1:{daemon.port(port)}{path}"

    def export(self, daemon, capture, *arguments, **more):
        headers = ["-H", "content-type: application/x-protobuf"]
        if capture["compression"] == "gzip":
            headers += ["-H", "content-encoding: gzip"]
        body = os.path.join(CAPTURES, capture["case"] + ".bin")
        return self.curl(self.url(daemon, "http", "/v1/traces"), *headers, "--data-binary",
                         "@" + body, *arguments, **more)

    def captures(self):
        found = [c for c in trace_captures() if c["transport"] == "http/1.1" and
                 c["encoding"] == "protobuf" and
                 os.path.exists(os.path.join(CAPTURES, c["case"] + ".bin"))]
        self.assertGreaterEqual(len(found), 2)
        return found

    def serial(self, daemon):
        pem = ssl.get_server_certificate(daemon.address("web"))
        with tempfile.NamedTemporaryFile("w", prefix="midwatch-test-") as file:
            file.write(pem)
            file.flush()
            return openssl("x509", "-in", file.name, "-noout", "-serial")

    def serial_of(self, name):
        return openssl("x509", "-in", self.certificates.pair(name)[0], "-noout", "-serial")

    # ---- exports -----------------------------------------------------------------------------

    def test_exports(self):
        with Daemon(arguments=self.certificates.options()) as daemon:
            first, second = self.captures()[:2]
            for capture, flag, version in ((first, "--http1.1", "1.1"), (second, "--http2", "2")):
                code, status, spoken, body, error = self.export(daemon, capture, flag)
                self.assertEqual((code, status, spoken, body), (0, 200, version, b""), error)
                trace_id = capture["expected"]["span_list"][0]["trace_id"]
                shown = daemon.cli_json("trace", "show", trace_id)
                self.assertEqual(shown["trace_id"], trace_id)
            for version in ("--tlsv1.2", "--tlsv1.3"):
                code, status, *_ = self.curl(self.url(daemon, "web", "/healthz"), version,
                                             "--tls-max", version[-3:])
                self.assertEqual((code, status), (0, 200))
            # Clear text from this machine still goes, and the links that are given out are https.
            self.assertEqual(daemon.get("/healthz").status, 200)
            hook = daemon.cli_json("webhook", "create", "--name", "n", "--source", "devops-agent")
            self.assertTrue(hook["url"].startswith("https://"), hook["url"])
            wait_for("the announcement", lambda: re.search(
                r"(?m)^TLS is on: OTEL_EXPORTER_OTLP_CERTIFICATE ", daemon.log()))
            self.assertIn("OTEL_EXPORTER_OTLP_ENDPOINT=https://", daemon.log())

    def test_grpc(self):
        capture = load_capture(os.path.join(CAPTURES, self.grpc_case()))
        with Daemon(arguments=self.certificates.options()) as daemon:
            body = os.path.join(CAPTURES, capture["case"] + ".bin")
            code, status, version, answer, error = self.curl(
                self.url(daemon, "grpc", TRACES_GRPC), "--http2", "-D", "-", "-H",
                "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@" + body)
            self.assertEqual((code, status, version), (0, 200, "2"), error)
            self.assertRegex(answer, rb"(?mi)grpc-status: 0\r?$")

    def grpc_case(self):
        return next(c["case"] for c in trace_captures() if c["transport"].startswith("grpc") and
                    c["compression"] != "gzip") + ".json"

    def test_wrong_ca(self):
        with Daemon(arguments=self.certificates.options()) as daemon:
            code, status, *_ = self.export(daemon, self.captures()[0], ca="other")
            self.assertEqual((code, status), (60, 0))
            wait_for("the log", lambda: "TLS handshake failed" in daemon.log())
            metrics = daemon.get("/metrics").body.decode()
            self.assertRegex(metrics,
                             r'(?m)^midwatch_net_refused_total\{reason="tls_handshake"\} 1$')

    def test_client_certificates(self):
        ca = self.certificates.path("ca.pem")
        with Daemon(arguments=self.certificates.options("--tls-client-ca", ca)) as daemon:
            capture = self.captures()[0]
            for name, good in (("client", True), (None, False), ("stranger", False)):
                arguments = []
                if name:
                    certificate, key = self.certificates.pair(name)
                    arguments = ["--cert", certificate, "--key", key]
                for version in ("1.2", "1.3"):
                    with self.subTest(name=name, version=version):
                        code, status, _, _, error = self.export(daemon, capture, "--tls-max",
                                                                version, *arguments)
                        self.assertEqual(status, 200 if good else 0, error)
                        self.assertEqual(code == 0, good, error)
                        if not good:
                            self.assertIn("alert", error)

    # ---- reload ------------------------------------------------------------------------------

    def hang_up(self, daemon, word):
        """SIGHUP, until the log has one more line with that word."""
        before = daemon.log().count(word)
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(word, lambda: daemon.log().count(word) > before)

    def test_reload(self):
        with Daemon(arguments=self.certificates.options()) as daemon:
            context = ssl.create_default_context(cafile=self.certificates.path("ca.pem"))
            with self.open(daemon, context) as old:
                self.assertEqual(self.serial(daemon), self.serial_of("server"))
                self.certificates.install("renewed")
                self.hang_up(daemon, "TLS reloaded")
                self.assertEqual(self.serial(daemon), self.serial_of("renewed"))
                self.assert_alive(old)
                # Files that cannot be used change nothing and are named.
                shutil.copy(self.certificates.pair("server")[1], self.certificates.pair("live")[1])
                self.hang_up(daemon, "TLS is unchanged")
                self.assertIn("does not match", daemon.log())
                self.certificates.install("expired")
                self.hang_up(daemon, "TLS is unchanged")
                self.assertIn("expired", daemon.log())
                self.assertEqual(self.serial(daemon), self.serial_of("renewed"))
                self.assert_alive(old)

    def open(self, daemon, context):
        connection = socket.create_connection(daemon.address("web"), 10 * SLOWNESS)
        return context.wrap_socket(connection, server_hostname="localhost")

    def assert_alive(self, connection):
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        self.assertTrue(connection.recv(4096).startswith(b"HTTP/1.1 200 "))

    # ---- start -------------------------------------------------------------------------------

    def refused_start(self, code, *arguments):
        with tempfile.TemporaryDirectory(prefix="midwatch-test-") as data:
            done = subprocess.run(
                [BINARY, "serve", "--data", data, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0",
                 "--web", "127.0.0.1:0", *arguments], capture_output=True, text=True, check=False,
                timeout=30 * SLOWNESS)
            self.assertEqual(done.returncode, code, done.stderr)
            checked = subprocess.run([BINARY, "check", "--data", data, *arguments],
                                     capture_output=True, text=True, check=False,
                                     timeout=30 * SLOWNESS)
            self.assertEqual(checked.returncode, 2, checked.stderr)
        return done.stderr

    def test_bad_files(self):
        certificate, key = self.certificates.pair("live")
        options = self.certificates.options()
        os.chmod(key, 0o640)
        error = self.refused_start(1, *options)
        self.assertRegex(error, re.escape("tls_key") + ".*" + re.escape(key) + ".*chmod 600")
        shutil.copy(self.certificates.pair("renewed")[1], key)
        os.chmod(key, 0o600)
        error = self.refused_start(1, *options)
        self.assertRegex(error, "tls_key.*does not match.*" + re.escape(key))
        self.certificates.install("expired")
        error = self.refused_start(1, *options)
        self.assertRegex(error, "tls_cert.*expired.*" + re.escape(certificate))
        self.assertIn("tls_key", self.refused_start(2, "--tls-cert", certificate))
        self.certificates.install("server")

    def test_check(self):
        with tempfile.TemporaryDirectory(prefix="midwatch-test-") as data:
            done = subprocess.run([BINARY, "check", "--data", data, *self.certificates.options()],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"(?m)^tls  .*can be used$")

    # ---- command line ------------------------------------------------------------------------

    def test_command_line(self):
        with Daemon(arguments=self.certificates.options()) as daemon:
            server = self.url(daemon, "web", "")
            known = {"MIDWATCH_CA_FILE": self.certificates.path("ca.pem")}
            done = daemon.cli_raw("status", "--json", "--server", server, env=known)
            self.assertEqual(done.returncode, 0, done.stderr)
            done = daemon.cli_raw("status", "--server", server)
            self.assertEqual(done.returncode, 7, done.stderr)
            self.assertIn("MIDWATCH_CA_FILE", done.stderr)


if __name__ == "__main__":
    unittest.main()
