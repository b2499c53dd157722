#!/usr/bin/env python3
"""Hundreds of kill -9 under load over both transports, all three signals and alarms, with clients that
try again: acknowledged is found, nothing is there twice, `midwatch check` finds nothing.

    tests/soak/test_kill_cycles.py [CYCLES [SEED]]        300 cycles; a new daemon every 50

Segments are merged all the while, and every fifth kill waits for a merge to be in the middle of its
writing. Prints what each batch of cycles did.
"""
import os
import random
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from harness import Daemon  # noqa: E402
from kills import Killer  # noqa: E402

CYCLES_A_DAEMON = 50
# Merging does not wait for long, and its inputs are small.
OPTIONS = ["--merge-after", "1s"]


def run_batch(cycles):
    """Cycles of one daemon, and what they did in words."""
    case = unittest.TestCase()
    with Daemon(arguments=OPTIONS) as daemon:
        killer = Killer(case, daemon)
        for cycle in range(cycles):
            killer.cycle(aim=cycle % 5 == 4)
        killer.check_all()
        totals = killer.totals
        merged = daemon.api("status")["store"].get("merged_segments", 0)
    sent = sum(totals.items.values())
    found = sum(totals.found.values())
    return sent, found, len(totals.incidents), (
        f"{cycles} cycles, {totals.aimed} of them in the middle of a merge: {sent} items "
        f"acknowledged, {found} found, {len(totals.incidents)} alarms, {totals.repeated} requests "
        f"sent again, {merged} merged segments at the end")


def main():
    cycles = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2 ** 32)
    random.seed(seed)
    print(f"seed {seed}", flush=True)
    passed = failed = 0
    done = sent = found = alarms = 0
    while done < cycles:
        batch = min(CYCLES_A_DAEMON, cycles - done)
        started = time.monotonic()
        try:
            more_sent, more_found, more_alarms, text = run_batch(batch)
            sent, found, alarms = sent + more_sent, found + more_found, alarms + more_alarms
            mark, passed = "ok    ", passed + 1
        except (AssertionError, OSError, LookupError, ValueError) as error:
            mark, text, failed = "FAILED", f"{type(error).__name__}: {error}", failed + 1
        done += batch
        print(f"{mark} cycles to {done} ({time.monotonic() - started:.0f} s): {text}", flush=True)
    print(f"{done} cycles, {sent} items acknowledged, {found} found, {alarms} alarms")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
