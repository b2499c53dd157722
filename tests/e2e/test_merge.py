#!/usr/bin/env python3
"""Merging in the real program: what was acknowledged is found while segments are merged and after,
repeats are removed and counted, and kill -9 in the middle of a merge loses nothing and doubles
nothing."""
import collections
import os
import time
import unittest

import otlp
from harness import SLOWNESS, Case, Daemon, wait_for
from kills import Connection, Killer, Sender

KILLS = 5
LOAD_SECONDS = 6


def store(daemon):
    return daemon.api("status")["store"]


def at_rest(daemon):
    """Waits until nothing is left to be merged; the store's numbers then."""
    def rest():
        numbers = store(daemon)
        return numbers if numbers["unmerged_bytes"] == 0 else None
    return wait_for("merges", rest, 30)


class MergeTest(Case):
    def test_load(self):
        with Daemon(arguments=["--merge-after", "1s"]) as daemon:
            killer = Killer(self, daemon)
            threads = [Sender(daemon, transport, 0, 2 * n + k)
                       for n in range(2) for k, transport in enumerate(("http", "grpc"))]
            for thread in threads:
                thread.start()
            wait_for("acknowledgements", lambda: all(self.sent(threads).values()))
            until = time.monotonic() + LOAD_SECONDS
            while time.monotonic() < until:
                # What is acknowledged before the question is in the answer.
                sent = self.sent(threads)
                killer.check_found(0, sent, exact=False)
            for thread in threads:
                thread.stopping.set()
                thread.join(60)
                if thread.error:
                    raise thread.error
            sent = self.sent(threads)
            killer.check_found(0, sent, exact=True)
            numbers = at_rest(daemon)
            self.assertGreater(numbers["merges"], 1)
            self.assertGreater(numbers["merged_bytes"], 0)
            self.assertEqual(numbers["merge_failures"], 0)
            self.assertEqual(numbers["repeats"], 0)
            killer.check_found(0, sent, exact=True)
            self.check_retried(daemon, threads)
            daemon.restart()
            killer.check_found(0, sent, exact=True)
            self.check_retried(daemon, threads)
            killer.check_found(0, sent, exact=True)
            killer.check_offline()

    def test_check_beside_load(self):
        """Segments of a few MiB are left, merged, retired and their files used again while `midwatch
        check` reads them: it never calls any of that damage."""
        with Daemon(arguments=["--merge-after", "1s", "--retention-bytes", "33554432"]) as daemon:
            loads = [daemon.start_load(transport, "--in-flight", "4", "--spans", "256", "--seconds",
                                       str(2 * LOAD_SECONDS)) for transport in ("grpc", "http")]
            checks = 0
            while any(load.poll() is None for load in loads):
                done = daemon.cli_raw("check")
                checks += 1
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
                self.assertNotIn("note ", done.stdout)
            for load in loads:
                load.communicate(timeout=60 * SLOWNESS)
            self.assertGreater(checks, 3)
            numbers = at_rest(daemon)
            self.assertGreater(numbers["merges"], 2)
            self.assertEqual(numbers["losses"], 0)

    @staticmethod
    def sent(threads):
        all_sent = {signal: collections.Counter() for signal in ("traces", "logs", "metrics")}
        for thread in threads:
            for request in list(thread.acknowledged):
                all_sent[request.signal].update(request.holds)
        return all_sent

    def check_retried(self, daemon, threads):
        """Bytes that were merged meanwhile are still known when they are sent again."""
        before = daemon.api("status")["retried"]
        again = [thread.acknowledged[0] for thread in threads]
        for thread, request in zip(threads, again):
            port = "grpc" if thread.transport == "grpc" else "http"
            with Connection(thread.transport, daemon.address(port)) as connection:
                self.assertIs(connection.send(request), True)
        self.assertEqual(daemon.api("status")["retried"] - before, len(again))

    def test_repeats(self):
        with Daemon(arguments=["--merge-after", "1s"]) as daemon:
            trace = os.urandom(16)
            spans = [otlp.span(trace_id=trace, span_id=bytes([n + 1] * 8), name=f"work {n}")
                     for n in range(6)]

            def send(*items):
                answer = daemon.post_traces(otlp.request(items, "again"))
                self.assertEqual((answer.status, answer.body), (200, b""))
            send(*spans)
            send(spans[0], spans[1])
            send(spans[2])
            numbers = at_rest(daemon)
            self.assertEqual((numbers["repeats"], numbers["conflicting"]), (3, 0))
            self.check_spans(daemon, trace)
            # Others of the same id, when the first are merged.
            send(spans[3], otlp.span(trace_id=trace, span_id=bytes([5] * 8), name="other work"))
            send(otlp.span(trace_id=os.urandom(16), name="elsewhere"))
            self.check_spans(daemon, trace)
            numbers = wait_for("the second merge", lambda: (
                lambda now: now if now["merges"] >= 2 and now["unmerged_bytes"] == 0 else None)(
                    store(daemon)), 30)
            self.assertEqual((numbers["repeats"], numbers["conflicting"]), (5, 1))
            self.assertEqual(daemon.api("status")["stored"]["spans"], 7)
            self.check_spans(daemon, trace)
            text = daemon.cli("status")
            self.assertIn("5 repeats removed (1 conflicting)", text)
            metrics = daemon.get("/metrics").body.decode()
            self.assertIn("midwatch_items_repeated_total 5\n", metrics)
            self.assertIn("midwatch_items_conflicting_total 1\n", metrics)

    def test_repeated_points(self):
        """A point that came twice counts twice in `stored` until both are merged together, as status and
        README say; questions tell it once, whatever was merged."""
        with Daemon(arguments=["--merge-after", "1s"]) as daemon:
            def send(*values):
                """The same points, in a request that is another one."""
                points = [otlp.number_point(value, otlp.START + value) for value in values]
                body = otlp.metrics_request([otlp.metric(points, name="load")])
                answer = daemon.request("POST", "/v1/metrics", body + otlp.metrics_request(
                    [otlp.metric([otlp.number_point(1)], name="m" + os.urandom(4).hex())]),
                    {"content-type": "application/x-protobuf"}, port="http")
                self.assertEqual((answer.status, answer.body), (200, b""))

            def counts():
                metrics = daemon.cli_json("metric", "list")["items"]
                (listed,) = [item["points"] for item in metrics if item["name"] == "load"]
                shown = sum(len(series["points"])
                            for series in daemon.cli_json("metric", "show", "load")["series"])
                others = sum(item["points"] for item in metrics) - listed
                return listed, shown, daemon.api("status")["stored"]["points"] - others

            def rest(merges):
                wait_for("merges", lambda: (store(daemon)["merges"] >= merges
                                            and not store(daemon)["unmerged_bytes"]), 30)
            send(1, 2, 3)
            send(2, 3)
            at_rest(daemon)
            self.assertEqual(counts(), (3, 3, 3))
            self.assertEqual(store(daemon)["repeats"], 2)
            merges = store(daemon)["merges"]
            send(3)
            self.assertEqual(counts(), (3, 3, 4))
            rest(merges + 1)
            self.assertEqual(counts(), (3, 3, 4))
            self.assertRegex(daemon.cli("status"), r"\(repeats count until merged together\)")
            metrics = daemon.get("/metrics").body.decode()
            self.assertIn("midwatch_stored_points 7\n", metrics)
            self.assertIn("midwatch_items_repeated_total 2\n", metrics)

    def check_spans(self, daemon, trace):
        shown = daemon.api("traces/" + trace.hex())
        self.assertEqual(sorted(span["name"] for span in shown["spans"]),
                         [f"work {n}" for n in range(6)])

    def test_retention(self):
        with Daemon(arguments=["--merge-after", "1s", "--retention", "4s"]) as daemon:
            trace = os.urandom(16)
            daemon.post_traces(otlp.request([otlp.span(trace_id=trace)], "brief"))
            self.assertEqual(daemon.get("/api/v1/traces/" + trace.hex()).status, 200)
            wait_for("retention", lambda: store(daemon)["retired_items"] == 1, 30)
            self.assertEqual(daemon.get("/api/v1/traces/" + trace.hex()).status, 404)
            numbers = store(daemon)
            self.assertEqual((numbers["merged_segments"], numbers["oldest_arrival"]), (0, None))
            before = numbers["commit_seq"]
            daemon.restart()
            daemon.post_traces(otlp.request([otlp.span()], "brief"))
            self.assertEqual(store(daemon)["commit_seq"], before + 1)

    def test_kills(self):
        with Daemon(arguments=["--merge-after", "1s"]) as daemon:
            killer = Killer(self, daemon)
            for _ in range(KILLS):
                killer.cycle(aim=True)
            at_rest(daemon)
            killer.check_all()
            self.assertEqual(killer.totals.found, killer.totals.items)
            self.assertGreater(killer.totals.aimed, 0)
            print(f"{KILLS} kills, {killer.totals.aimed} of them in the middle of a merge, "
                  f"{sum(killer.totals.items.values())} items")


if __name__ == "__main__":
    unittest.main()
