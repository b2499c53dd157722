#!/usr/bin/env python3
"""10,000 signed alarms in one minute beside 50 k spans/s, with kill -9 in between: none lost, none
decided twice, every acknowledged span found, every decision taken again by `triage replay`.

    tests/soak/test_rush.py [ALARMS [KILLS [SEED]]]       10,000 alarms, 5 kills
"""
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from harness import Daemon  # noqa: E402
from rush import Rush  # noqa: E402


def main():
    alarms, kills, seed = ([int(word) for word in sys.argv[1:]] +
                           [10_000, 5, random.randrange(2 ** 32)][len(sys.argv) - 1:])[:3]
    print(f"seed {seed}", flush=True)
    daemon, failed, begun = Daemon(arguments=["--merge-after", "2s"]).start(), 0, time.monotonic()
    try:
        rush = Rush(daemon, alarms, seconds=alarms * 60 / 10_000, rate=50_000, kills=kills,
                    seed=seed)
        rush.run()
        print(f"ok     {rush.check()} ({time.monotonic() - begun:.0f} s)", flush=True)
    except (AssertionError, OSError, LookupError, ValueError) as error:
        failed = 1
        print(f"FAILED {type(error).__name__}: {error}\n{daemon.log()[-2000:]}", flush=True)
    finally:
        if daemon.process:
            daemon.kill()
        daemon.remove()
    print(f"{1 - failed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
