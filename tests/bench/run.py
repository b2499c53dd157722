#!/usr/bin/env python3
"""Speed, memory and disk of the real program under the load of otlp_load: medians of three.

    tests/bench/run.py [--build DIR] [--seconds S] [--repeats N] [PART...]

Parts (all of them when none is named):

  receive   the network layer and the validating pass alone, no store; and beside it a public peer,
            the OpenTelemetry Collector with its no-op exporter (decodes and drops), in turns
  traces, logs, metrics
            the whole program: items per CPU second over HTTP and gRPC, 4 and 64 requests in flight
  latency   acknowledgement times at a fixed 50 k spans/s

CPU is user and system time of the server's whole process from the first byte until it is idle
again. Bars are those of docs/DESIGN.md 6 (of the receiver alone: 0.6 and 0.9 us a span); nothing
passes or fails here. The load generator shares the machine: rates on the wall say little, items per
CPU second is the figure to compare, and ratios within one run above all.
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

from servers import Collector, Midwatch, ReceiveOnly, build_collector

HERTZ = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
TRANSPORTS = ("http", "grpc")
ITEMS = {"traces": "spans", "logs": "records", "metrics": "points"}
BARS = {("traces", "http"): "300 k", ("traces", "grpc"): "280 k", ("logs", "http"): "500 k",
        ("logs", "grpc"): "500 k", ("metrics", "http"): "400 k", ("metrics", "grpc"): "400 k"}
RECEIVE_BARS = {"http": "0.6", "grpc": "0.9"}
FIXED_RATE = 50_000


# ---- one run ------------------------------------------------------------------------------------


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
    if not folder:
        return 0
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


def measure(server, load):
    """One run on a fresh server; `load` are otlp_load's arguments behind transport and port."""
    from harness import LOADER
    transport, *arguments = load
    with server:
        settle(server.pid)
        idle_mib, empty_bytes = resident_mib(server.pid), disk_bytes(server.data)
        before = cpu_seconds(server.pid)
        memory = PeakMemory(server.pid)
        memory.start()
        done = subprocess.run([LOADER, "load", "--transport", transport, "--port",
                               str(server.port(transport)), *map(str, arguments)],
                              stdout=subprocess.PIPE, text=True, check=False)
        result = json.loads(done.stdout)
        settle(server.pid)
        cpu = cpu_seconds(server.pid) - before
        peak = memory.stop()
        server.stop()
        stored = disk_bytes(server.data) - empty_bytes
    items = max(result["spans_acknowledged"], 1)
    return {**result, "idle_mib": idle_mib, "peak_mib": peak,
            "per_cpu_s": items / max(cpu, 0.01), "cpu_us": cpu * 1e6 / items,
            "disk_per_item": stored / items}


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def spread(runs, key, scale=1.0, digits=2):
    values = sorted(run[key] * scale for run in runs)
    return f"{values[0]:.{digits}f}-{values[-1]:.{digits}f}"


def report_losses(runs):
    bad = sum(run["refused"] + run["lost"] for run in runs)
    if bad:
        print(f"      {bad} requests were refused or lost", flush=True)


# ---- receive ------------------------------------------------------------------------------------


def bench_receive(options):
    """Our receiver and the peer in turns, so that a noisy minute meets both."""
    collector, why_not = build_collector(options.build)
    if why_not:
        print(why_not, flush=True)
    makers = {"discard": lambda: ReceiveOnly(options.build, "discard"),
              "validate": lambda: ReceiveOnly(options.build, "validate")}
    if collector:
        makers["collector"] = lambda: Collector(collector)
    for transport in TRANSPORTS:
        runs = {name: [] for name in makers}
        for _ in range(options.repeats):
            for name, make in makers.items():
                runs[name].append(measure(make(), [transport, "--in-flight", 4, "--seconds",
                                                   options.seconds]))
        print_receive(transport, runs)


def print_receive(transport, runs):
    ours = median(runs["validate"], "cpu_us")
    print(f"{transport:5} receive alone: {median(runs['discard'], 'cpu_us'):.2f} us a span "
          f"({spread(runs['discard'], 'cpu_us')}); receive + validate: {ours:.2f} us "
          f"({spread(runs['validate'], 'cpu_us')}; bar {RECEIVE_BARS[transport]})", flush=True)
    if "collector" in runs:
        theirs = median(runs["collector"], "cpu_us")
        print(f"      Collector, no-op exporter: {theirs:.2f} us a span "
              f"({spread(runs['collector'], 'cpu_us')}), {theirs / ours:.1f} x ours; peak "
              f"{median(runs['collector'], 'peak_mib'):.0f} MiB against "
              f"{median(runs['validate'], 'peak_mib'):.0f}", flush=True)
    for name in runs:
        report_losses(runs[name])


# ---- the whole program --------------------------------------------------------------------------


def bench_signal(signal, options):
    runs = []
    for transport in TRANSPORTS:
        for in_flight in (4, 64):
            these = [measure(Midwatch(), [transport, "--signal", signal, "--in-flight", in_flight,
                                          "--seconds", options.seconds])
                     for _ in range(options.repeats)]
            print_throughput(signal, transport, in_flight, these)
            runs += these
    print(f"{signal}: resident memory idle {median(runs, 'idle_mib'):.1f} MiB (bar 20); "
          f"{median(runs, 'disk_per_item'):.0f} bytes on disk an item after a clean stop"
          f"{against_zstd(signal, median(runs, 'disk_per_item'))}", flush=True)


def print_throughput(signal, transport, in_flight, runs):
    print(f"{transport:5} {in_flight:3} in flight: {median(runs, 'per_cpu_s') / 1000:6.0f} k "
          f"{ITEMS[signal]}/CPU s ({spread(runs, 'per_cpu_s', 1e-3, 0)}; bar "
          f"{BARS[signal, transport]})   {median(runs, 'spans_per_s') / 1000:.0f} k/s on the wall   "
          f"p50/p99 {median(runs, 'p50_ms'):.1f}/{median(runs, 'p99_ms'):.1f} ms   "
          f"peak {median(runs, 'peak_mib'):.0f} MiB (bar 300)", flush=True)
    report_losses(runs)


def against_zstd(signal, disk, bodies=16):
    """Beside the same requests under zstd 3, one frame a request; empty without zstd."""
    from harness import LOADER
    if not shutil.which("zstd"):
        return ""
    total = 0
    for seed in range(bodies):
        body = subprocess.run([LOADER, "body", "--signal", signal, "--seed", str(seed)],
                              capture_output=True, check=True).stdout
        total += len(subprocess.run(["zstd", "-3", "-c"], input=body, capture_output=True,
                                    check=True).stdout)
    zstd = total / (bodies * 512)
    return f", {disk / zstd:.2f} x of zstd 3 ({zstd:.0f}; bar, after merging: 1.0 x)"


def bench_latency(options):
    for transport in TRANSPORTS:
        runs = [measure(Midwatch(), [transport, "--in-flight", 16, "--seconds", options.seconds,
                                     "--rate", FIXED_RATE])
                for _ in range(options.repeats)]
        print(f"{transport:5} at {FIXED_RATE // 1000} k spans/s: acknowledged within "
              f"{median(runs, 'p50_ms'):.2f} ms (p50), {median(runs, 'p99_ms'):.2f} ms (p99; bar "
              f"20); {median(runs, 'cpu_us'):.2f} us of CPU a span", flush=True)
        report_losses(runs)


PARTS = {"receive": bench_receive,
         "traces": lambda options: bench_signal("traces", options),
         "logs": lambda options: bench_signal("logs", options),
         "metrics": lambda options: bench_signal("metrics", options),
         "latency": bench_latency}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", type=os.path.abspath)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]}; parts are {', '.join(PARTS)}")
    os.environ["MIDWATCH_BUILD"] = options.build
    print(f"load: 512 items a request, {options.repeats} runs of {options.seconds:g} s each, "
          f"medians (lowest-highest)", flush=True)
    for part in options.parts or PARTS:
        print(f"-- {part}", flush=True)
        PARTS[part](options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
