#!/usr/bin/env python3
"""200 storms of alarms with known truth over the pure decision, 20 through the real ports, each with a kill -9.

    tests/soak/test_storms.py [SEEDS [REAL]]

Prints what tests/unit/triage/test_storm.c and tests/e2e/test_storm.py print.
"""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    seeds, real = (sys.argv[1:] + ["200", "20"][len(sys.argv) - 1:])[:2]
    build = os.environ.get("MIDWATCH_BUILD", os.path.join(ROOT, "build"))
    failed = 0
    for command in ([os.path.join(build, "tests/unit/triage/test_storm"), seeds],
                    [sys.executable, os.path.join(ROOT, "tests/e2e/test_storm.py"), real]):
        failed += subprocess.run(command, cwd=ROOT, check=False).returncode != 0
    print(f"{2 - failed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
