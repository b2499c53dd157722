#!/usr/bin/env python3
"""Ten kill -9 in the middle of load over both transports: every span of every acknowledged
request is found afterwards, and none twice."""
import collections
import json
import os
import random
import tempfile
import time
import unittest

from harness import SLOWNESS, Case, Daemon, wait_for
from test_memory import metric

CYCLES = 10
SPANS = 64  # small requests: many acknowledgements in a short time
ENOUGH = 100 * SPANS  # more than both loads have in flight: some are acknowledged


def read_acknowledged(path):
    """{trace id: {span ids}} of one loader's file."""
    traces = collections.defaultdict(set)
    with open(path, encoding="utf-8") as source:
        for line in source:
            trace_id, _, span_id = line.strip().partition(" ")
            traces[trace_id].add(span_id)
    return traces


class KillTest(Case):
    def check_trace(self, daemon, trace_id, span_ids):
        trace = daemon.api("traces/" + trace_id)
        found = [span["span_id"] for span in trace["spans"]]
        self.assertEqual(len(found), len(set(found)), f"{trace_id}: a span is there twice")
        self.assertEqual(set(found), span_ids, trace_id)
        self.assertEqual(trace["span_count"], len(span_ids))

    def one_cycle(self, daemon, folder, cycle):
        """Load over both transports, killed in the middle; what was acknowledged."""
        loads = []
        for transport in ("http", "grpc"):
            acked = os.path.join(folder, f"{cycle}-{transport}")
            loads.append((acked, daemon.start_load(
                transport, "--in-flight", "4", "--spans", str(SPANS), "--seconds", "20",
                "--rate", "6400", "--acked", acked)))
        wait_for("the load", lambda: metric(
            daemon, 'midwatch_items_accepted_total{signal="traces"}') >= ENOUGH)
        time.sleep(random.random() * 0.3)
        daemon.kill()
        traces, sent = {}, 0
        for acked, load in loads:
            output, _ = load.communicate(timeout=60 * SLOWNESS)
            result = json.loads(output)
            self.assertEqual(result["refused"], 0)
            sent += result["spans_sent"]
            traces.update(read_acknowledged(acked))
        daemon.start()
        return traces, sent

    def test_ten_kills(self):
        with Daemon() as daemon, tempfile.TemporaryDirectory(prefix="midwatch-test-") as folder:
            everything, sent = {}, 0
            for cycle in range(CYCLES):
                traces, cycle_sent = self.one_cycle(daemon, folder, cycle)
                self.assertGreater(len(traces), 0, "nothing was acknowledged before the kill")
                sent += cycle_sent
                everything.update(traces)
                for trace_id, span_ids in traces.items():
                    self.check_trace(daemon, trace_id, span_ids)
            # Nothing of an earlier cycle was lost by a later one.
            sample = random.sample(sorted(everything), min(len(everything), 400))
            for trace_id in sample:
                self.check_trace(daemon, trace_id, everything[trace_id])
            acknowledged = sum(len(spans) for spans in everything.values())
            stored = daemon.api("status")["stored"]["spans"]
            self.assertGreaterEqual(stored, acknowledged)
            self.assertLessEqual(stored, sent)


if __name__ == "__main__":
    unittest.main()
