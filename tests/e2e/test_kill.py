#!/usr/bin/env python3
"""Ten kill -9 in the middle of load over both transports, all signals and alarms: everything that was
acknowledged is found afterwards, and none twice, also what clients sent again. `make soak` runs
hundreds (tests/soak/test_kill_cycles.py)."""
import unittest

from harness import Case, Daemon
from kills import Killer

CYCLES = 10


class KillTest(Case):
    def test_ten_kills(self):
        with Daemon() as daemon:
            killer = Killer(self, daemon)
            for _ in range(CYCLES):
                killer.cycle()
            killer.check_all()
            self.assertEqual(killer.totals.found, killer.totals.items)
            print(f"{CYCLES} cycles, {sum(killer.totals.items.values())} items, "
                  f"{len(killer.totals.incidents)} alarms, {killer.totals.repeated} sent again")


if __name__ == "__main__":
    unittest.main()
