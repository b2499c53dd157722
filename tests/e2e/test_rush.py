#!/usr/bin/env python3
"""A short rush of alarms beside exports with two kills; tests/soak/test_rush.py has the long one."""
import unittest

from harness import Case, Daemon
from rush import Rush


class RushTest(Case):
    def test_alarms_beside_exports_with_kills(self):
        daemon = Daemon().start()
        try:
            rush = Rush(daemon, count=400, seconds=4, rate=5000, kills=2, seed=1)
            rush.run()
            print(rush.check())
        finally:
            if daemon.process:
                daemon.kill()
            daemon.remove()


if __name__ == "__main__":
    unittest.main()
