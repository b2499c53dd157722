#!/usr/bin/env python3
"""Sessions as a reader of DESIGN 4.3 would count them by hand, whatever the order of arrival.

Random traces (parents that never come, two sessions in one trace, sessions on late children, logs
of spans and of traces) are cut into requests at random, sent out of order, with stops, kills and
merges in between. After each of these the program must say of all sessions what the model below
says of the items sent so far."""
import random
import unittest

import otlp
from harness import Case, Daemon, wait_for

BASE = 1_700_000_000_000_000_000
MS = 10 ** 6
SEEDS = (1, 2, 3)
TRACES = 8
COUNTS = ("traces", "spans", "logs", "errors", "model_calls", "tool_calls", "input_tokens",
          "output_tokens")
ERROR = 2


class Span:
    """One span of a trace; parent is another one's number, 0 or one that is never sent."""

    def __init__(self, draw, trace, number, parents):
        self.trace, self.number = trace, number
        self.parent = draw.choice(parents + [0] + ([900 + number] if draw.random() < 0.2 else []))
        self.start = BASE + (number * 10 + draw.randrange(5)) * MS
        self.kind = draw.choice(["chat", "execute_tool", "invoke_agent", None])
        self.session = f"s-{draw.randrange(TRACES)}" if draw.random() < 0.2 else None
        self.tokens = (draw.randrange(1, 99), draw.randrange(1, 99)) if self.kind == "chat" else (0, 0)
        self.error = draw.random() < 0.2

    def encode(self):
        attributes = [("gen_ai.operation.name", self.kind)] if self.kind else []
        attributes += [("session.id", self.session)] if self.session else []
        if self.kind == "chat":
            attributes += [("gen_ai.usage.input_tokens", otlp.varint_field(3, self.tokens[0])),
                           ("gen_ai.usage.output_tokens", otlp.varint_field(3, self.tokens[1]))]
        return otlp.span(trace_id(self.trace), span_id(self.number),
                         span_id(self.parent) if self.parent else b"", f"op {self.number}", self.start,
                         attributes, ERROR if self.error else 0, self.start + 50 * MS)


class Log:
    """A record of a trace, of a span of it or of none, with or without a session of its own."""

    def __init__(self, draw, trace, number, spans):
        self.trace, self.number = trace, number
        self.span = draw.choice([0] + [span.number for span in spans])
        self.session = f"s-{draw.randrange(TRACES)}" if draw.random() < 0.15 else None

    def encode(self):
        attributes = [("session.id", self.session)] if self.session else []
        return otlp.log_record(f"line {self.trace} {self.number}", BASE + self.number * MS, attributes,
                               trace_id(self.trace), span_id(self.span) if self.span else b"")


def trace_id(number):
    return bytes([0xc0 + number]) * 16


def span_id(number):
    return number.to_bytes(8, "big")


def draw_items(draw):
    """Children of a model call are left out: what counts of nested calls has tests of its own."""
    items = []
    for trace in range(TRACES):
        spans = []
        for number in range(1, draw.randrange(2, 9)):
            parents = [span.number for span in spans if span.kind is None or span.kind == "invoke_agent"]
            spans.append(Span(draw, trace, number, parents))
        items += spans
        items += [Log(draw, trace, number, spans) for number in range(draw.randrange(4))]
    draw.shuffle(items)
    return items


# ---- the model ----------------------------------------------------------------------------------


def lineage(span, known):
    """The span and its ancestors that are there, nearest first, and its depth."""
    found = [span]
    while found[-1].parent in known:
        found.append(known[found[-1].parent])
    return found, len(found) - 1 + (1 if found[-1].parent else 0)


def sessions_of_trace(items):
    """(item, session or None) of one trace."""
    known = {item.number: item for item in items if isinstance(item, Span)}
    carriers = sorted((lineage(span, known)[1], span.start, span.number)
                      for span in known.values() if span.session)
    rest = known[carriers[0][2]].session if carriers else None

    def of_span(span):
        return next((one.session for one in lineage(span, known)[0] if one.session), rest)

    for item in items:
        if isinstance(item, Span):
            yield item, of_span(item)
        elif item.session or item.span not in known:
            yield item, item.session or rest
        else:
            yield item, of_span(known[item.span])


def count(items):
    """The model's sessions: name -> counts in the order of COUNTS."""
    sessions, traces = {}, {}
    for item in items:
        traces.setdefault(item.trace, []).append(item)
    for trace, of_trace in traces.items():
        for item, name in sessions_of_trace(of_trace):
            if name is None:
                continue
            total = sessions.setdefault(name, dict.fromkeys(COUNTS, 0) | {"traces": set()})
            if isinstance(item, Log):
                total["logs"] += 1
                continue
            total["traces"].add(trace)
            total["spans"] += 1
            total["errors"] += item.error
            total["model_calls"] += item.kind == "chat"
            total["tool_calls"] += item.kind == "execute_tool"
            total["input_tokens"] += item.tokens[0]
            total["output_tokens"] += item.tokens[1]
    return {name: tuple(len(total[key]) if key == "traces" else total[key] for key in COUNTS)
            for name, total in sessions.items()}


# ---- the program --------------------------------------------------------------------------------


class ResolutionTest(Case):
    def send(self, daemon, items):
        headers = {"content-type": "application/x-protobuf"}
        for kind, path, envelope in ((Span, "/v1/traces", otlp.request),
                                     (Log, "/v1/logs", otlp.logs_request)):
            body = [item.encode() for item in items if isinstance(item, kind)]
            if body:
                answer = daemon.request("POST", path, envelope(body), headers, port="http")
                self.assertEqual((answer.status, otlp.partial_success(answer.body)), (200, (0, "")))

    def compare(self, daemon, sent, when):
        listed = {item["session_id"]: tuple(item[key] for key in COUNTS)
                  for item in daemon.api("sessions?limit=1000")["items"]}
        self.assertEqual(listed, count(sent), when)
        for name in listed:
            shown = daemon.api(f"sessions/{name}")
            self.assertEqual(tuple(shown[key] for key in COUNTS), listed[name], (when, name))

    def disturb(self, daemon, how):
        if how == "merge":
            wait_for("merges", lambda: daemon.api("status")["store"]["unmerged_bytes"] == 0)
        elif how == "stop":
            daemon.restart()
        else:
            daemon.kill()
            daemon.start()

    def run_seed(self, seed):
        draw = random.Random(seed)
        items = draw_items(draw)
        sent = []
        disturbances = ["stop", "kill", "merge", "kill", "merge"]
        draw.shuffle(disturbances)
        with Daemon(arguments=["--merge-after", "1s"]) as daemon:
            for round_number, how in enumerate(disturbances):
                until = len(items) * (round_number + 1) // len(disturbances)
                while len(sent) < until:
                    some = items[len(sent):min(until, len(sent) + draw.randrange(1, 6))]
                    self.send(daemon, some)
                    sent += some
                self.compare(daemon, sent, (seed, round_number, "before", how))
                self.disturb(daemon, how)
                self.compare(daemon, sent, (seed, round_number, "after", how))

    def test_seeds(self):
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.run_seed(seed)


if __name__ == "__main__":
    unittest.main()
