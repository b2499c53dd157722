"""What the benches read of a running server: CPU by thread, memory, disk and device bytes.

A run is one load on one server, measured from its first byte until the server is idle again, so
that work off the acknowledgement path is in it.
"""
import json
import os
import statistics
import subprocess
import threading
import time

HERTZ = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# Threads whose work no answer waits for, by name.
OFF_PATH = ("mw-keeper",)


# ---- processes ----------------------------------------------------------------------------------


def stat_cpu(path):
    with open(path, encoding="ascii", errors="replace") as stat:
        name, _, rest = stat.read().rpartition(")")
        fields = rest.split()
    return name.partition("(")[2], (int(fields[11]) + int(fields[12])) / HERTZ


def cpu_seconds(pid):
    return stat_cpu(f"/proc/{pid}/stat")[1]


def thread_cpu_seconds(pid, names=OFF_PATH):
    total = 0.0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            name, seconds = stat_cpu(f"/proc/{pid}/task/{task}/stat")
        except OSError:
            continue
        total += seconds if name in names else 0
    return total


def resident_mib(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * PAGE / 2 ** 20


def device_bytes(pid):
    """Bytes that the process made the kernel send to the disk."""
    with open(f"/proc/{pid}/io", encoding="ascii") as io:
        return int(dict(line.split(": ") for line in io.read().splitlines())["write_bytes"])


def settle(pid, quiet=1.0, patience=30):
    """Waits until the process has used no CPU for a second."""
    last, quiet_since = cpu_seconds(pid), time.monotonic()
    until = time.monotonic() + patience
    while time.monotonic() < until and time.monotonic() - quiet_since < quiet:
        time.sleep(0.1)
        now = cpu_seconds(pid)
        if now - last > 0.021:
            quiet_since = time.monotonic()
        last = now


def disk_bytes(folder):
    """Allocated, as du counts."""
    if not folder:
        return 0
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(where, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


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


# ---- one run ------------------------------------------------------------------------------------


def start_load(server, transport, *arguments):
    from harness import LOADER
    return subprocess.Popen([LOADER, "load", "--transport", transport, "--port",
                             str(server.port(transport)), *map(str, arguments)],
                            stdout=subprocess.PIPE, text=True)


def load(server, transport, *arguments):
    """otlp_load to its end; what it printed."""
    return json.loads(start_load(server, transport, *arguments).communicate()[0])


def measure(server, arguments):
    """One run on a fresh server; `arguments` are a transport and otlp_load's."""
    with server:
        settle(server.pid)
        idle_mib, empty_bytes = resident_mib(server.pid), disk_bytes(server.data)
        before = cpu_seconds(server.pid)
        memory = PeakMemory(server.pid)
        memory.start()
        result = load(server, *arguments)
        settle(server.pid)
        cpu = cpu_seconds(server.pid) - before
        peak = memory.stop()
        server.stop()
        stored = disk_bytes(server.data) - empty_bytes
    items = max(result["spans_acknowledged"], 1)
    return {**result, "idle_mib": idle_mib, "peak_mib": peak,
            "per_cpu_s": items / max(cpu, 0.01), "cpu_us": cpu * 1e6 / items,
            "disk_per_item": stored / items}


# ---- several ------------------------------------------------------------------------------------


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def spread(runs, key, scale=1.0, digits=2):
    values = sorted(run[key] * scale for run in runs)
    return f"{values[0]:.{digits}f}-{values[-1]:.{digits}f}"


def report_losses(runs):
    bad = sum(run["refused"] + run["lost"] for run in runs)
    if bad:
        print(f"      {bad} requests were refused or lost", flush=True)
