#!/usr/bin/env python3
"""What only shows with tens of millions of spans or after minutes: growth, look-ups, a steady state.

    tests/bench/run_long.py [--build DIR] [--millions N] [--minutes M] [PART...]

Parts (all of them when none is named):

  lookups   10 M spans stored and merged: disk, questions, start (cold where caches may be dropped)
  filters   10 M spans of many kinds (--millions when fewer), and log records: each list under each of
            its filters, where many, few and none fit
  growth    50 M spans (--millions): CPU a span of the last two million against the second one
  window    50 M spans (--millions) and a tenth as many log records in half an hour, with faults that
            are known: seconds and memory from an alarm to the ranked cause, and whether it was right
            (quick: --millions 5 window)
  steady    M minutes (10) at full speed, 4 requests in flight: memory, files and the unmerged log
            stay bounded; then M minutes at 50 k spans/s beside merging, retention and questions

Needs up to 30 GiB of disk below the temporary directory and says so when they are not there.
Nothing passes or fails; bars are those of docs/DESIGN.md 6.
"""
import os
import random
import shutil
import sys
import tempfile
import threading

import measure
import parts
import store
import window
from servers import Midwatch

SEED = 11
GIB = 1 << 30


def requests_of(millions):
    return int(millions * 1_000_000 / store.SPANS)


# ---- look-ups -----------------------------------------------------------------------------------


def bench_lookups(options):
    requests = requests_of(10)
    with Midwatch(["--merge-after", "2s"]) as server:
        result = store.fill(server, requests, SEED)
        store.print_fill("http", result)
        store.print_lookups(server, requests, SEED)
        store.print_disk(server, result["spans_acknowledged"])
        store.print_start(server, requests, SEED)


def bench_filters(options):
    requests = requests_of(min(options.millions, 10))
    with Midwatch(["--merge-after", "2s"]) as server:
        moments = store.fill_mixed(server, requests, SEED)
        stored = store.Asker(server).status()["stored"]
        print(f"{int(stored['spans']) / 1e6:.2f} M spans, {int(stored['logs']) / 1e6:.2f} M log "
              f"records", flush=True)
        store.print_filters(server, moments)


# ---- growth -------------------------------------------------------------------------------------


def bench_growth(options):
    """Steps of a fiftieth; the first one warms up, so the second is what the last is held against."""
    step = requests_of(options.millions / 50)
    costs = []
    with Midwatch(["--merge-after", "2s"]) as server:
        for number in range(50):
            result = store.fill(server, step, SEED + number)
            costs.append(result["cpu_us"])
            if number in (0, 1, 2, 4, 9, 19, 29, 39, 48, 49):
                print(f"{(number + 1) * options.millions / 50:5.0f} M: {result['cpu_us']:.2f} us a "
                      f"span, off the path {result['off_us']:.2f}; "
                      f"{measure.disk_bytes(server.data) / 2 ** 30:.2f} GiB; resident "
                      f"{measure.resident_mib(server.pid):.0f} MiB, peak {result['peak_mib']:.0f}",
                      flush=True)
        print(f"cost of a span, last two steps against the second and third: "
              f"{sum(costs[-2:]) / sum(costs[1:3]):.2f} x (bar 1.3)", flush=True)
        store.print_lookups(server, step, SEED, rounds=100)
        store.print_disk(server, step * 50 * store.SPANS)
        store.print_start(server, step, SEED)


# ---- window ---------------------------------------------------------------------------------


def bench_window(options):
    with Midwatch(["--merge-after", "2s"]) as server:
        window.bench(server, options.build, options.millions, options.millions / 10)


# ---- steady -------------------------------------------------------------------------------------


class Watcher(threading.Thread):
    """Samples memory, files and the unmerged log until stop()."""

    def __init__(self, server, every=5):
        super().__init__(daemon=True)
        self.server, self.every, self.ended = server, every, threading.Event()
        self.asker, self.samples = store.Asker(server), []

    def sample(self):
        folder = self.server.data
        return {"mib": measure.resident_mib(self.server.pid),
                "descriptors": len(os.listdir(f"/proc/{self.server.pid}/fd")),
                "files": sum(len(names) for _, _, names in os.walk(folder)),
                "disk": measure.disk_bytes(folder),
                "unmerged": int(self.asker.status()["store"]["unmerged_bytes"])}

    def run(self):
        while not self.ended.wait(self.every):
            try:
                self.samples.append(self.sample())
            except (OSError, RuntimeError) as problem:
                print(f"      no sample: {problem}", flush=True)

    def stop(self):
        self.ended.set()
        self.join()
        return self.samples

    def report(self):
        """The second half against the first, so that what only fills up at first does not count."""
        half = len(self.samples) // 2
        for key, scale, unit in (("mib", 1, "MiB resident"), ("descriptors", 1, "descriptors"),
                                 ("files", 1, "files"), ("disk", GIB, "GiB on disk"),
                                 ("unmerged", GIB, "GiB not merged yet")):
            first = max(sample[key] for sample in self.samples[:half]) / scale
            second = max(sample[key] for sample in self.samples[half:]) / scale
            print(f"      {unit}: at most {first:.2f} in the first half, {second:.2f} in the "
                  f"second", flush=True)


class Questioner(threading.Thread):
    """Asks one question after the other, five a second, until stop()."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.asker, self.seed, self.ended = store.Asker(server), seed, threading.Event()
        self.times, self.problems = [], 0

    def run(self):
        chance = random.Random(2)
        paths = ["/api/v1/sessions?limit=100", "/api/v1/traces?limit=100", "/api/v1/topology",
                 "/api/v1/services", "/api/v1/spans?limit=50&attribute=app.customer.tier=gold"]
        while not self.ended.wait(0.2):
            try:
                self.times.append(self.asker.ask(chance.choice(paths))[0] * 1000)
            except (OSError, RuntimeError):
                self.problems += 1

    def stop(self):
        self.ended.set()
        self.join()
        self.times.sort()


def bench_steady(options):
    seconds = options.minutes * 60
    with Midwatch(["--merge-after", "10s", "--retention-bytes", "6GiB"]) as server:
        for name, load in (("full speed, 4 in flight", ["--in-flight", 4]),
                           ("50 k spans/s", ["--in-flight", 16, "--rate", 50_000])):
            watcher, questions = Watcher(server), Questioner(server, SEED)
            before = measure.cpu_seconds(server.pid)
            off = measure.thread_cpu_seconds(server.pid)
            watcher.start()
            if "--rate" in load:
                questions.start()
            result = measure.load(server, "grpc", "--seconds", seconds, *load)
            items = max(result["spans_acknowledged"], 1)
            cpu = measure.cpu_seconds(server.pid) - before
            off = measure.thread_cpu_seconds(server.pid) - off
            watcher.stop()
            print(f"{name}, {options.minutes:g} minutes: {items / 1e6:.1f} M spans, "
                  f"{cpu * 1e6 / items:.2f} us a span, off the path {off * 1e6 / items:.2f}; "
                  f"acknowledged within {result['p50_ms']:.2f} ms (p50), {result['p99_ms']:.2f} ms "
                  f"(p99; bar 20), at most {result['max_ms']:.0f} ms", flush=True)
            measure.report_losses([result])
            watcher.report()
            if "--rate" in load:
                questions.stop()
                print(f"      {len(questions.times)} questions meanwhile: "
                      f"{store.figures(questions.times)}, {questions.problems} without an answer",
                      flush=True)


PARTS = {"lookups": (bench_lookups, 4), "filters": (bench_filters, 4),
         "growth": (bench_growth, 14), "window": (bench_window, 3),
         "steady": (bench_steady, 12)}


def main():
    options = parts.read_options(__doc__, PARTS, (("--millions", 50.0), ("--minutes", 10.0)))
    for name in options.parts:
        bench, gib = PARTS[name]
        free = shutil.disk_usage(tempfile.gettempdir()).free / GIB
        print(f"-- {name}", flush=True)
        if free < gib:
            print(f"skipped: needs {gib} GiB of disk, {free:.0f} are free", flush=True)
            continue
        bench(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
