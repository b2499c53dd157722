#!/usr/bin/env python3
"""Speed, memory and disk of the real program under the load of otlp_load: medians of three.

    tests/bench/run.py [--build DIR] [--seconds S] [--repeats N] [PART...]

Parts (all of them when none is named):

  receive   the network layer and the validating pass alone, no store; and beside it a public peer,
            the OpenTelemetry Collector with its no-op exporter (decodes and drops), in turns
  traces, logs, metrics
            the whole program: items per CPU second over HTTP and gRPC, 4 and 64 requests in flight
  latency   acknowledgement times at a fixed 50 k spans/s
  store     2 M spans until all is merged: work off the path, disk and device bytes, look-ups, start
  peers     ClickHouse (Debian's package, where installed) and the Collector's file exporter
  alarms    decisions per CPU second, pure and through the port; verdicts beside 50 k spans/s
  graph     calls whose two sides come in different requests, near and far: every edge counted once

CPU is user and system time of the server's whole process from the first byte until it is idle
again. Bars are those of docs/DESIGN.md 6 (of the receiver alone: 0.6 and 0.9 us a span); nothing
passes or fails here. The load generator shares the machine: rates on the wall say little, items per
CPU second is the figure to compare, and ratios within one run above all.
"""
import sys

import alarms
import parts
import peers
import store
from measure import measure, median, report_losses, spread
from servers import Collector, Midwatch, ReceiveOnly, build_collector

TRANSPORTS = ("http", "grpc")
ITEMS = {"traces": "spans", "logs": "records", "metrics": "points"}
BARS = {("traces", "http"): "300 k", ("traces", "grpc"): "280 k", ("logs", "http"): "500 k",
        ("logs", "grpc"): "500 k", ("metrics", "http"): "400 k", ("metrics", "grpc"): "400 k"}
RECEIVE_BARS = {"http": "0.6", "grpc": "0.9"}
FIXED_RATE = 50_000


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


def against_zstd(signal, disk):
    """Beside the same requests under zstd 3, one frame a request; empty without zstd."""
    zstd = store.zstd_bytes(signal=signal)
    if not zstd:
        return ""
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


# ---- the store ----------------------------------------------------------------------------------

STORE_REQUESTS, STORE_SEED = 4000, 7


def bench_store(options):
    for transport in TRANSPORTS:
        with Midwatch(["--merge-after", "2s"]) as server:
            result = store.fill(server, STORE_REQUESTS, STORE_SEED, transport)
            store.print_fill(transport, result)
            if transport == "http":
                store.print_lookups(server, STORE_REQUESTS, STORE_SEED)
            store.print_disk(server, result["spans_acknowledged"])
            if transport == "http":
                store.print_start(server, STORE_REQUESTS, STORE_SEED)


def bench_graph(options):
    for transport in TRANSPORTS:
        for distance, pairs in ((1, 200), (50, 300), (1000, 2000), (3000, 3000)):
            with Midwatch(["--merge-after", "2s"]) as server:
                store.print_graph(server, STORE_SEED, distance, pairs, transport)


PARTS = {"receive": bench_receive,
         "traces": lambda options: bench_signal("traces", options),
         "logs": lambda options: bench_signal("logs", options),
         "metrics": lambda options: bench_signal("metrics", options),
         "latency": bench_latency,
         "store": bench_store,
         "graph": bench_graph,
         "alarms": alarms.bench_alarms,
         "peers": peers.bench_peers}


def main():
    options = parts.read_options(__doc__, PARTS, (("--seconds", 4.0), ("--repeats", 3)))
    print(f"load: 512 items a request, {options.repeats} runs of {options.seconds:g} s each, "
          f"medians (lowest-highest)", flush=True)
    for name in options.parts:
        print(f"-- {name}", flush=True)
        PARTS[name](options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
