#!/usr/bin/env python3
"""Traces and sessions by what their spans have: every filter against a model, in pages, in the log
and merged, while more comes in."""
import glob
import hashlib
import os
import random
import struct
import unittest
from urllib.parse import quote

import otlp
from harness import DaemonCase, Merged
from segment_reader import MERGED

BASE = 1_700_000_000_000_000_000
MS = 10 ** 6
# More blocks than the stretches that are gone through before rare spans are looked for.
REQUESTS, TRACES_EACH = 150, 3
# Of what is merged: more rows than four blocks hold (lib/store/merge/block_pack.h).
BULK, BULK_TRACES, BULK_SPANS = 40, 30, 32


def number(value):
    return otlp.varint_field(3, value)


def span_id(n):
    return n.to_bytes(8, "big")


class Model:
    """What was sent: by trace its spans, each as a dictionary."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.traces = {}

    def attributes(self, n, own, session):
        pick = self.random.choice
        out = {"gen_ai.operation.name": "invoke_agent" if own == 1 else pick(["chat", "execute_tool"])}
        if own == 1 and self.random.random() < 0.8:
            out["session.id"] = session
        if self.random.random() < 0.3:
            out["gen_ai.agent.name"] = pick(["clerk", "Clerk", "triage"])
        if self.random.random() < 0.3:
            out["user.id"] = pick(["ann", "bob"])
        if out["gen_ai.operation.name"] == "chat":
            out["gen_ai.response.model"] = pick(["model-a", "model-b"])
            out["gen_ai.usage.input_tokens"] = self.random.randrange(100)
        if n % 97 == 5:
            out["rare"] = f"r{n}"
        if n % 97 == 7 and own == 1:
            out["user.id"], out["gen_ai.agent.name"] = f"user {n}", f"agent {n}"
        out["tier"] = pick(["gold", "iron"])
        return out

    def name(self, attributes, n):
        if n % 97 == 9:
            return f"tools/call rare{n}"
        if attributes["gen_ai.operation.name"] == "execute_tool":
            return self.random.choice(["execute_tool search", "search", "fetch.tool", "search more"])
        return self.random.choice(["Chat with A", "chat", "invoke_agent"])

    def request(self, at):
        service, encoded = self.random.choice(["shop", "shop", "bank"]), []
        for n in range(at * TRACES_EACH, (at + 1) * TRACES_EACH):
            trace = hashlib.md5(b"where %d" % n).digest()
            start = BASE + self.random.randrange(10 ** 6) * MS
            spans = self.traces.setdefault(trace.hex(), [])
            for own in range(1, self.random.randrange(2, 7)):
                attributes = self.attributes(n, own, f"session {n % 40}")
                item = {"name": self.name(attributes, n), "attributes": attributes, "service": service,
                        "start": start + own * MS, "end": start + own * MS + self.random.randrange(1, 900) * MS,
                        "failed": self.random.random() < 0.03}
                spans.append(item)
                encoded.append(otlp.span(
                    trace, span_id(own), span_id(1) if own > 1 else b"", item["name"], item["start"],
                    [(k, number(v) if isinstance(v, int) else v) for k, v in attributes.items()],
                    2 if item["failed"] else 0, item["end"]))
        return otlp.request(encoded, service)

    def bulk(self, at):
        """Spans that no filter but time chooses: blocks to pass over between the others."""
        encoded, session = [], f"bulk {at}"
        for n in range(BULK_TRACES):
            trace = hashlib.md5(b"bulk %d %d" % (at, n)).digest()
            start = BASE + self.random.randrange(10 ** 6) * MS
            for own in range(1, BULK_SPANS + 1):
                item = {"name": "bulk", "attributes": {"gen_ai.operation.name": "none", "session.id": session},
                        "service": "bulk", "start": start + own, "end": start + own + 500 * MS, "failed": False}
                self.traces.setdefault(trace.hex(), []).append(item)
                encoded.append(otlp.span(trace, span_id(own), span_id(1) if own > 1 else b"", "bulk", item["start"],
                                         [("session.id", session)], 0, item["end"]))
        return otlp.request(encoded, "bulk")

    def session_of(self, spans):
        return spans[0]["attributes"].get("session.id")

    def fits(self, spans, query):
        def tool(span, wanted):
            return (span["attributes"]["gen_ai.operation.name"] == "execute_tool" and
                    span["name"] in (wanted, "execute_tool " + wanted, wanted + ".tool", "tools/call " + wanted))
        duration = max(s["end"] for s in spans) - min(s["start"] for s in spans)
        tokens = sum(s["attributes"].get("gen_ai.usage.input_tokens", 0) for s in spans)
        tests = {"service": lambda s, v: s["service"] == v,
                 "agent": lambda s, v: s["attributes"].get("gen_ai.agent.name") == v,
                 "user": lambda s, v: s["attributes"].get("user.id") == v,
                 "model": lambda s, v: s["attributes"].get("gen_ai.response.model") == v,
                 "tool": tool, "errors": lambda s, v: s["failed"],
                 "text": lambda s, v: v.lower() in s["name"].lower(),
                 "attribute": lambda s, v: s["attributes"].get(v.split("=")[0]) == v.split("=")[1]}
        for key, wanted in query:
            if key == "duration_min_ms":
                fits = duration >= float(wanted) * MS
            elif key == "duration_max_ms":
                fits = duration <= float(wanted) * MS
            elif key == "tokens_min":
                fits = tokens >= int(wanted)
            else:
                fits = any(tests[key](span, wanted) for span in spans)
            if not fits:
                return False
        return True

    def trace_ids(self, query):
        found = [(-min(s["start"] for s in spans), trace) for trace, spans in self.traces.items()
                 if self.fits(spans, query)]
        return [trace for _, trace in sorted(found)]

    def session_ids(self, query):
        sessions = {}
        for spans in self.traces.values():
            if self.session_of(spans):
                sessions.setdefault(self.session_of(spans), []).extend(spans)
        found = [(-max(s["end"] for s in spans), name) for name, spans in sessions.items()
                 if self.fits(spans, query)]
        return [name for _, name in sorted(found)]


QUERIES = [
    [], [("service", "bank")], [("agent", "clerk")], [("agent", "clerk"), ("model", "model-b")],
    [("tool", "search")], [("tool", "fetch")], [("user", "ann"), ("errors", "true")],
    [("errors", "true")], [("text", "CHAT with")], [("text", "nowhere")], [("service", "none")],
    [("attribute", "rare=r102")], [("attribute", "rare=r102"), ("attribute", "tier=gold")],
    [("attribute", "rare=gone")], [("attribute", "tier=iron"), ("tool", "search")],
    [("duration_min_ms", "880")], [("duration_max_ms", "60.5")], [("duration_max_ms", "0")],
    [("duration_min_ms", "300"), ("duration_max_ms", "400"), ("agent", "triage")],
    [("tokens_min", "220")], [("tokens_min", "150"), ("service", "bank"), ("user", "bob")],
    [("model", "model-a"), ("model", "model-a")][:1], [("agent", "nobody")],
    [("user", "user 104")], [("agent", "agent 201")], [("agent", "agent 7"), ("user", "user 104")],
    [("tool", "rare106")], [("text", "RARE203")], [("text", "re")], [("user", "nobody")],
    [("model", "nobody")], [("tool", "nobody")], [("tool", "tools/call rare106")],
    [("user", "u" * 200)], [("tokens_min", "1000000")], [("duration_min_ms", "8000000")],
    [("tokens_min", "300")], [("duration_min_ms", "895"), ("tokens_min", "250")],
    [("tokens_min", "220"), ("duration_max_ms", "700")],
]


class WhereTest(DaemonCase):
    BULK = 0

    @classmethod
    def prepare(cls):
        cls.model = Model(4711)
        requests = [cls.model.request(at) for at in range(REQUESTS)]
        requests += [cls.model.bulk(at) for at in range(cls.BULK)]
        cls.model.random.shuffle(requests)
        for body in requests:
            answer = cls.daemon.post_traces(body)
            assert answer.status == 200, answer.body

    def pages(self, path, query, key, limit):
        parameters = "&".join(f"{name}={quote(value)}" for name, value in query)
        seen, cursor = [], ""
        for _ in range(1000):
            page = self.daemon.api(f"{path}?limit={limit}&{parameters}{cursor}".rstrip("&"))
            seen += [item[key] for item in page["items"]]
            if not page["next_cursor"]:
                return seen
            cursor = "&cursor=" + page["next_cursor"]
        raise AssertionError("no last page")

    def test_traces(self):
        for query in QUERIES:
            for limit in (1000, 23 if query else 200):
                with self.subTest(query=query, limit=limit):
                    self.assertEqual(self.pages("traces", query, "trace_id", limit),
                                     self.model.trace_ids(query))

    def test_sessions(self):
        for query in QUERIES:
            for limit in (1000, 3):
                with self.subTest(query=query, limit=limit):
                    self.assertEqual(self.pages("sessions", query, "session_id", limit),
                                     self.model.session_ids(query))

    def test_bounds_of_time(self):
        since, until = BASE + 2 * 10 ** 5 * MS, BASE + 6 * 10 ** 5 * MS
        for query in ([("agent", "clerk")], [("attribute", "rare=r102")], [("errors", "true")]):
            bounds = query + [("since", str(since)), ("until", str(until))]
            wanted = [trace for trace in self.model.trace_ids(query)
                      if since <= min(s["start"] for s in self.model.traces[trace]) < until]
            self.assertEqual(self.pages("traces", bounds, "trace_id", 7), wanted)

    def test_what_is_listed_is_what_is_stored(self):
        """A filter chooses; it changes nothing of what it lets pass."""
        every = {t["trace_id"]: t for t in self.daemon.api("traces?limit=1000&service=shop")["items"]}
        every.update({t["trace_id"]: t for t in self.daemon.api("traces?limit=1000&service=bank")["items"]})
        for item in self.daemon.api("traces?errors=true&limit=1000")["items"]:
            self.assert_json(item, every[item["trace_id"]])
            self.assertGreater(item["errors"], 0)

    def test_zz_cursors_stay_while_more_comes(self):
        query = [("tool", "search")]
        before = self.model.trace_ids(query)
        page = self.daemon.api("traces?tool=search&limit=10")
        newer = [otlp.span(name="execute_tool search", start=BASE + 2 * 10 ** 6 * MS,
                           attributes=[("gen_ai.operation.name", "execute_tool")])]
        self.assertEqual(self.daemon.post_traces(otlp.request(newer, "late")).status, 200)
        rest = self.daemon.api("traces?tool=search&limit=1000&cursor=" + page["next_cursor"])
        seen = [item["trace_id"] for item in page["items"] + rest["items"]]
        self.assertEqual([trace for trace in seen if trace in self.model.traces], before)
        self.assertEqual(self.daemon.api("traces?service=late&limit=2")["items"][0]["root_name"],
                         "execute_tool search")

    def test_refusals(self):
        rows = {"?nope=1": "nope", "?agent=": "agent", "?errors=yes": "errors", "?tokens_min=-1": "tokens_min",
                "?duration_max_ms=x": "duration_max_ms", "?attribute=a": "attribute",
                "?duration_min_ms=5&duration_max_ms=4": "duration_max_ms", "?agent=a&agent=b": "agent"}
        for path in ("traces", "sessions"):
            for query, field in rows.items():
                answer = self.daemon.get(f"/api/v1/{path}{query}")
                self.assertEqual((answer.status, answer.json()["error"]["field"]), (400, field))

    def test_command(self):
        items = self.daemon.cli_json("trace", "list", "--agent", "triage", "--duration-min-ms", "300",
                                     "--duration-max-ms", "400", "--limit", "1000")["items"]
        self.assertEqual([item["trace_id"] for item in items], self.model.trace_ids(QUERIES[18]))
        items = self.daemon.cli_json("session", "list", "--user", "ann", "--errors", "--limit", "1000")["items"]
        self.assertEqual([item["session_id"] for item in items], self.model.session_ids(QUERIES[6]))
        for noun in ("trace", "session"):
            listed = self.daemon.cli_raw(noun, "list", "--tool", "none", "--model", "m", "--service", "s", "--text",
                                         "t", "--tokens-min", "5", "--attribute", "a=b")
            self.assertEqual((listed.returncode, listed.stdout), (0, ""))
            self.assertIn("within these bounds", listed.stderr)
            self.daemon.cli(noun, "list", "--severity", "ERROR", code=2)


class MergedWhereTest(Merged, WhereTest):
    """The same of merged segments, in several blocks of which most have nothing to tell."""

    BULK = BULK

    @classmethod
    def prepare(cls):
        super().prepare()
        assert not cls.BULK or cls.daemon.api("spaces")["items"][0]["blocks"] > 4


class RestartedWhereTest(MergedWhereTest):
    """And after a start whose footer was damaged and made again."""

    BULK = 0

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.daemon.stop()
        for name in sorted(glob.glob(os.path.join(cls.daemon.data, "store", "*.seg"))):
            with open(name, "r+b") as file:
                if struct.unpack_from("<H", file.read(12), 10)[0] != MERGED:
                    continue
                file.seek(-20, os.SEEK_END)
                file.write(bytes(4))
        cls.daemon.cli("check", "--rebuild")
        cls.daemon.start()


if __name__ == "__main__":
    unittest.main()
