#!/usr/bin/env python3
"""Speed, memory and disk of the real program under the load of otlp_load: medians of three.

    tests/bench/run.py [--build DIR] [--seconds S] [--repeats N]

HTTP and gRPC with 4 and 64 requests in flight: spans per CPU second of the server (user and
system time of the whole process from the first byte until it is idle again), the acknowledgement
p99 at a fixed 50 k spans/s, bytes on disk per span, resident memory idle and under load. Each
number stands beside the bar of the design; nothing passes or fails here. The load generator
shares the machine: rates on the wall say little, spans per CPU second is the figure to compare.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
HERTZ = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
BARS = {"http": "300 k", "grpc": "280 k"}
FIXED_RATE = 50_000


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / HERTZ


def resident_mib(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * PAGE / 2 ** 20


def settle(pid):
    """Waits until the process has used no CPU for a second, at most 30 s."""
    last, quiet_since = cpu_seconds(pid), time.monotonic()
    until = time.monotonic() + 30
    while time.monotonic() < until and time.monotonic() - quiet_since < 1:
        time.sleep(0.1)
        now = cpu_seconds(pid)
        if now - last > 0.011:
            quiet_since = time.monotonic()
        last = now


def disk_bytes(folder):
    """Allocated, as du counts."""
    return sum(os.stat(os.path.join(where, name)).st_blocks * 512
               for where, _, names in os.walk(folder) for name in names)


class PeakMemory(threading.Thread):
    """Samples the resident size until stop()."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.ended = pid, 0.0, threading.Event()

    def run(self):
        while not self.ended.wait(0.05):
            self.peak = max(self.peak, resident_mib(self.pid))

    def stop(self):
        self.ended.set()
        self.join()
        return self.peak


def measure(Daemon, transport, in_flight, seconds, rate=None):
    """One run on a fresh daemon."""
    with Daemon() as daemon:
        pid = daemon.process.pid
        settle(pid)
        idle_mib, empty_bytes, before = resident_mib(pid), disk_bytes(daemon.data), cpu_seconds(pid)
        memory = PeakMemory(pid)
        memory.start()
        more = ["--rate", str(rate)] if rate else []
        load = daemon.start_load(transport, "--in-flight", str(in_flight), "--seconds",
                                 str(seconds), *more)
        output, _ = load.communicate()
        result = json.loads(output)
        settle(pid)
        cpu = cpu_seconds(pid) - before
        result["peak_mib"] = memory.stop()
        daemon.stop()
        stored = disk_bytes(daemon.data) - empty_bytes
    spans = max(result["spans_acknowledged"], 1)
    return {**result, "idle_mib": idle_mib, "spans_per_cpu_s": spans / max(cpu, 0.01),
            "cpu_us_per_span": cpu * 1e6 / spans, "disk_per_span": stored / spans}


def zstd_per_span(loader, bodies=16):
    """Bytes a span of the same requests under zstd 3, one frame a request; None without zstd."""
    if not shutil.which("zstd"):
        return None
    total = 0
    for seed in range(bodies):
        body = subprocess.run([loader, "body", "--seed", str(seed)], capture_output=True,
                              check=True).stdout
        total += len(subprocess.run(["zstd", "-3", "-c"], input=body, capture_output=True,
                                    check=True).stdout)
    return total / (bodies * 512)


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def print_throughput(transport, in_flight, runs):
    values = sorted(run["spans_per_cpu_s"] / 1000 for run in runs)
    print(f"{transport:5} {in_flight:3} in flight: {statistics.median(values):6.0f} k spans/CPU s "
          f"({values[0]:.0f}-{values[-1]:.0f}; bar {BARS[transport]})   "
          f"{median(runs, 'spans_per_s') / 1000:.0f} k spans/s on the wall   "
          f"p50/p99 {median(runs, 'p50_ms'):.1f}/{median(runs, 'p99_ms'):.1f} ms   "
          f"{median(runs, 'disk_per_span'):.0f} B/span on disk   "
          f"peak {median(runs, 'peak_mib'):.0f} MiB (bar 300)", flush=True)
    bad = sum(run["refused"] + run["lost"] for run in runs)
    if bad:
        print(f"      {bad} requests were refused or lost")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    os.environ["MIDWATCH_BUILD"] = os.path.abspath(options.build)
    from harness import Daemon, LOADER
    body = subprocess.run([LOADER, "body"], capture_output=True, check=True).stdout
    print(f"load: 512 spans a request, {len(body) / 512:.0f} bytes a span, {options.repeats} runs of "
          f"{options.seconds:g} s each, medians (lowest-highest)")
    throughput = []
    for transport in ("http", "grpc"):
        for in_flight in (4, 64):
            runs = [measure(Daemon, transport, in_flight, options.seconds)
                    for _ in range(options.repeats)]
            throughput += runs
            print_throughput(transport, in_flight, runs)
    for transport in ("http", "grpc"):
        runs = [measure(Daemon, transport, 16, options.seconds, FIXED_RATE)
                for _ in range(options.repeats)]
        print(f"{transport:5} at {FIXED_RATE // 1000} k spans/s: acknowledged within "
              f"{median(runs, 'p50_ms'):.2f} ms (p50), {median(runs, 'p99_ms'):.2f} ms (p99; bar "
              f"20); {median(runs, 'cpu_us_per_span'):.2f} us of CPU a span", flush=True)
    idle, disk = median(throughput, "idle_mib"), median(throughput, "disk_per_span")
    print(f"resident memory idle: {idle:.1f} MiB (bar 20)")
    zstd = zstd_per_span(LOADER)
    against = f", {disk / zstd:.2f} x of zstd 3 ({zstd:.0f})" if zstd else ""
    print(f"bytes on disk per span after a clean stop: {disk:.0f}{against} (bar, after merging: "
          f"1.0 x of zstd 3 over the same requests)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
