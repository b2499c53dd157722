#!/usr/bin/env python3
"""Tools as each generation of conventions names them: by the span's name, by an attribute, by both; found
by the filters of lists and shown in trees and turns, in the log, merged, and with traps beside them."""
import hashlib
import unittest
from urllib.parse import quote

import otlp
from harness import DaemonCase, Merged

BASE = 1_700_000_000_000_000_000

# What a call is sent as: the span's name, its attributes, and the tool that it is a call of (None: of
# none that can be told).
CALLS = {
    "semconv": ("execute_tool alpha", {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "alpha"}, "alpha"),
    "semconv before 1.41": ("execute_tool", {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "beta"},
                            "beta"),
    "renamed span": ("lookup step", {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "gamma"}, "gamma"),
    "name alone": ("execute_tool delta", {"gen_ai.operation.name": "execute_tool"}, "delta"),
    "mcp": ("tools/call epsilon", {"mcp.method.name": "tools/call", "gen_ai.tool.name": "epsilon"}, "epsilon"),
    "openinference": ("RunnableStep", {"openinference.span.kind": "TOOL", "tool.name": "zeta"}, "zeta"),
    "vercel": ("ai.toolCall", {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "eta"}, "eta"),
    "claude code": ("claude_code.tool", {"span.type": "tool", "tool_name": "theta"}, "theta"),
    "traceloop": ("iota.tool", {"traceloop.span.kind": "tool", "traceloop.entity.name": "iota"}, "iota"),
    "traceloop, other name": ("step.tool", {"traceloop.span.kind": "tool", "traceloop.entity.name": "kappa"},
                              "kappa"),
    "adk, merged": ("execute_tool (merged tools)", {"gen_ai.operation.name": "execute_tool",
                                                    "gen_ai.tool.name": "(merged tools)"}, None),
    "rank": ("x", {"gen_ai.operation.name": "execute_tool", "tool.name": "lambda-second",
                   "gen_ai.tool.name": "lambda"}, "lambda"),
    "bare name": ("mu", {"gen_ai.operation.name": "execute_tool"}, "mu"),
}
# Name a tool, and are no call of it.
OTHERS = {
    "a task": ("plan", {"traceloop.span.kind": "task", "traceloop.entity.name": "iota"}),
    "a model's call": ("chat", {"gen_ai.operation.name": "chat", "gen_ai.tool.name": "alpha"}),
    "an agent": ("beta", {"gen_ai.operation.name": "invoke_agent", "tool_name": "theta"}),
    "a tool in text": ("invoke_agent x", {"gen_ai.operation.name": "invoke_agent", "note": "zeta"}),
}
TOOLS = sorted({tool for _, _, tool in CALLS.values() if tool})
NOTHING = ["ALPHA", "alph", "lambda-second", "step.tool ", "execute_tool", "lookup", "none"]
FAR = 40  # requests of other spans between, so that filters have blocks to pass over


def trace_of(name):
    return hashlib.md5(name.encode()).digest()


class ToolsTest(DaemonCase):
    @classmethod
    def prepare(cls):
        start, cls.expected = BASE, {}
        for name, (span, attributes, *tool) in {**CALLS, **OTHERS}.items():
            trace, start = trace_of(name), start + 10 ** 9
            pairs = [("session.id", "session of " + name), *attributes.items()]
            spans = [otlp.span(trace, (1).to_bytes(8, "big"), b"", "root", start, pairs[:1], 0, start + 900),
                     otlp.span(trace, (2).to_bytes(8, "big"), (1).to_bytes(8, "big"), span, start + 1, pairs, 0,
                               start + 800)]
            cls.send(otlp.request(spans, "tools"))
            if tool and tool[0]:
                cls.expected.setdefault(tool[0], []).insert(0, name)
        for n in range(FAR):
            cls.send(otlp.request([otlp.span(trace_of(f"{n} {k}"), name="other", start=BASE + n,
                                             attributes=[("session.id", f"other {n}")]) for k in range(3)]))

    @classmethod
    def send(cls, body):
        answer = cls.daemon.post_traces(body)
        assert answer.status == 200, answer.body

    def test_lists(self):
        for tool in TOOLS + NOTHING:
            names = self.expected.get(tool, [])
            query = f"?limit=1000&tool={quote(tool)}"
            with self.subTest(tool=tool):
                traces = [item["trace_id"] for item in self.daemon.api("traces" + query)["items"]]
                # A span whose name is the word is found by it, as its tool is not known to be another.
                by_name = [name for name, (span, _, *_) in CALLS.items() if span == tool and name not in names]
                wanted = [trace_of(name).hex() for name in names]
                self.assertEqual([t for t in traces if t not in {trace_of(n).hex() for n in by_name}], wanted)
                sessions = [item["session_id"] for item in self.daemon.api("sessions" + query)["items"]]
                for name in names:
                    self.assertIn("session of " + name, sessions)
                self.assertEqual(len(sessions), len(traces))
                spans = self.daemon.api("spans" + query)["items"]
                self.assertEqual([span["trace_id"] for span in spans], traces)
                if not by_name and tool != "mu":  # a bare name is no fact of the span
                    self.assertEqual({span["tool"] for span in spans} or {tool}, {tool})

    def test_one_at_a_time(self):
        """Small pages, together with what else can be asked."""
        for tool in TOOLS:
            query = f"?limit=1&tool={quote(tool)}&attribute={quote('session.id=session of ' + self.expected[tool][0])}"
            for noun in ("traces", "sessions", "spans"):
                self.assertEqual(len(self.daemon.api(noun + query)["items"]), 1, (noun, tool))

    def test_trees_and_turns(self):
        for name, (_, _, tool) in CALLS.items():
            rows = self.daemon.api(f"traces/{trace_of(name).hex()}/tree")["rows"]
            self.assertEqual([row["tool"] for row in rows], [None, tool], name)
            (span,) = [s for s in self.daemon.api(f"traces/{trace_of(name).hex()}")["spans"] if s["name"] != "root"]
            self.assertIn(span["tool"], (tool, None), name)
            turn = self.daemon.api(f"sessions/{quote('session of ' + name)}/turns")["items"][0]
            self.assertEqual([t["name"] for t in turn["tools"]], [tool] if tool else [], name)

    def test_zz_folding(self):
        """Spans of one name that call several tools are not alike."""
        trace = trace_of("folded")
        spans = [otlp.span(trace, (1).to_bytes(8, "big"), b"", "root", BASE)]
        spans += [otlp.span(trace, (n + 2).to_bytes(8, "big"), (1).to_bytes(8, "big"), "execute_tool", BASE + n,
                            [("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", f"tool {n % 3}")])
                  for n in range(600)]
        self.send(otlp.request(spans, "tools"))
        rows = self.daemon.api(f"traces/{trace.hex()}/tree")["rows"]
        self.assertEqual([(row["tool"], row["count"]) for row in rows],
                         [(None, 1), ("tool 0", 200), ("tool 1", 200), ("tool 2", 200)])


class MergedToolsTest(Merged, ToolsTest):
    """The same of merged segments."""


if __name__ == "__main__":
    unittest.main()
