#!/usr/bin/env python3
"""Runs h2spec against the three ports in clear text and against one through TLS.

    tests/interop/h2spec.py TOOL

Cases are named as h2spec numbers them. Those of the tables below may fail, for the reason beside
them; any other failure counts. tests/e2e/test_h2_frames.py holds every case, these included, to
one exact answer, at a time when it is certain. Last line: "N passed, N failed".
"""
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))
from harness import TRACES_GRPC, Daemon  # noqa: E402
from test_tls import Certificates  # noqa: E402

DROPPED = "DATA on a stream that is closed is counted and dropped, as RFC 9113 5.1 allows"
ANSWERED = "the path's answer was complete before the frame came: the stream was closed"
DEVIATIONS = {
    "http2/3.5/2": "another preface is HTTP/1.1 to us, and answered as that, then closed",
    "http2/5.1/5": DROPPED, "http2/5.1/8": DROPPED, "http2/5.1/11": DROPPED,
    "http2/6.1/2": DROPPED,
    "http2/5.3.1/2": "RFC 9113 5.3.2: what PRIORITY says is ignored",
    "http2/6.1/3": ANSWERED, "http2/6.9/2": ANSWERED, "http2/6.9.1/3": ANSWERED,
    "http2/8.1/1": ANSWERED, "http2/8.1.2.1/3": ANSWERED, "http2/8.1.2.6/1": ANSWERED,
    "http2/8.1.2.6/2": ANSWERED}
PATHS = {"grpc": TRACES_GRPC, "http": "/v1/traces", "web": "/api/v1/status"}
CASES = 145


def read_report(path):
    """[(case, title, what failed or None)]"""
    found, numbers = [], {}
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        package = case.get("package")
        numbers[package] = numbers.get(package, 0) + 1
        failure = next((child for child in case if child.tag in ("failure", "error")), None)
        said = None if failure is None else " ".join("".join(failure.itertext()).split())
        found.append((f"{package}/{numbers[package]}", case.get("classname"), said))
    return found


def run(tool, daemon, port, more=()):
    host, number = daemon.address(port)
    with tempfile.NamedTemporaryFile(prefix="midwatch-test-", suffix=".xml") as report:
        done = subprocess.run([tool, "-h", host, "-p", str(number), "-P", PATHS[port], "-o", "1",
                               "-j", report.name, *more], capture_output=True, text=True,
                              timeout=300, check=False)
        try:
            return read_report(report.name)
        except xml.etree.ElementTree.ParseError:
            print(done.stdout[-2000:], done.stderr[-2000:])
            return []


def judge(name, found):
    """(passed, failed) of one run, with a line for each case that is not as it should be."""
    passed, failed, deviating = 0, 0, 0
    for case, title, said in found:
        if said is None:
            passed += 1
        elif case in DEVIATIONS:
            deviating += 1
            print(f"{name}: deviates: {case} {title}: {DEVIATIONS[case]}")
        else:
            failed += 1
            print(f"{name}: FAILED: {case} {title}: {said}")
    if len(found) != CASES:
        failed += 1
        print(f"{name}: FAILED: {len(found)} cases ran, not {CASES}")
    print(f"{name}: {passed} passed, {failed} failed, {deviating} known deviations")
    return passed, failed


def main():
    tool, certificates, counts = sys.argv[1], Certificates(), []
    try:
        with Daemon() as daemon:
            for port in PATHS:
                counts.append(judge(port, run(tool, daemon, port)))
        certificates.install("server")
        with Daemon(arguments=certificates.options()) as daemon:
            counts.append(judge("http with TLS", run(tool, daemon, "http", ["-t", "-k"])))
    finally:
        certificates.remove()
    passed, failed = (sum(column) for column in zip(*counts))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
