#!/usr/bin/env python3
"""Agents over a window: who did what, by inheritance, and the command line."""
import hashlib
import unittest
from urllib.parse import quote

import otlp
from harness import DaemonCase, Merged

BASE = 1_700_000_000_000_000_000
MINUTE = 60 * 10 ** 9
HOSTILE = "evil\x1b[31m\u202e"


def number(value):
    return otlp.varint_field(3, value)


def span_id(n):
    return n.to_bytes(8, "big")


def span(trace, own, parent, operation, agent=None, session=None, status=0, minute=0, tokens=None):
    pairs = [("gen_ai.operation.name", operation)]
    pairs += [("gen_ai.agent.name", agent)] if agent else []
    pairs += [("session.id", session)] if session else []
    pairs += [("gen_ai.usage.input_tokens", number(tokens)),
              ("gen_ai.usage.output_tokens", number(1))] if tokens else []
    start = BASE + minute * MINUTE + own * 10 ** 6
    return otlp.span(hashlib.md5(trace.encode()).digest(), span_id(own), span_id(parent) if parent else b"",
                     operation, start, pairs, status, start + 10 ** 9)


class AgentsTest(DaemonCase):
    @classmethod
    def prepare(cls):
        nested = [span("nested", 1, 0, "invoke_agent", "clerk", "s1"), span("nested", 2, 1, "chat", tokens=10),
                  span("nested", 3, 1, "invoke_agent", "helper"), span("nested", 4, 3, "chat", tokens=5),
                  span("nested", 5, 3, "execute_tool", status=2), span("nested", 6, 0, "chat", tokens=99)]
        alone = [span(f"alone {n}", 1, 0, "invoke_agent", "clerk", f"s{n}", minute=n) for n in (1, 2)]
        earlier = [span("earlier", 1, 0, "invoke_agent", HOSTILE, "old", 2, minute=-600),
                   span("earlier", 2, 1, "chat", minute=-600, tokens=7)]
        for spans, service in ((nested, "shop"), (alone, "bank"), (earlier, "attic")):
            for part in (spans[:1], spans[1:], spans[:1]):
                answer = cls.daemon.post_traces(otlp.request(part, service))
                assert answer.status == 200, answer.body

    def agents(self, query=""):
        return self.daemon.api("agents" + query)

    def test_newest_window(self):
        answer = self.agents()
        self.assertEqual(sorted(answer), ["items", "left_out", "next_cursor", "total", "window"])
        self.assertEqual((answer["total"], answer["left_out"], answer["next_cursor"]), (2, 0, None))
        keys = ("agent", "services", "sessions", "traces", "spans", "errors", "model_calls", "tool_calls",
                "input_tokens", "output_tokens")
        rows = [[sorted(item[key]) if key == "services" else item[key] for key in keys]
                for item in answer["items"]]
        self.assertEqual(rows, [["clerk", ["bank", "shop"], 2, 3, 4, 0, 1, 0, 10, 1],
                                ["helper", ["shop"], 1, 1, 3, 1, 1, 1, 5, 1]])
        clerk = answer["items"][0]
        self.assertEqual(clerk["first_seen_unix_nano"], str(BASE + 10 ** 6))
        self.assertEqual(clerk["last_seen_unix_nano"], str(BASE + 2 * MINUTE + 10 ** 6 + 10 ** 9))

    def test_windows(self):
        def names(query):
            return [item["agent"] for item in self.agents(query)["items"]]
        self.assertEqual(names(f"?since={BASE - 700 * MINUTE}"), ["clerk", "helper", HOSTILE])
        self.assertEqual(names(f"?since={BASE - 700 * MINUTE}&until={BASE - 500 * MINUTE}"), [HOSTILE])
        self.assertEqual(names(f"?since={BASE + MINUTE}"), ["clerk"])
        self.assertEqual(names("?since=1h"), [])

    def test_show(self):
        shown = self.daemon.api("agents/helper")
        listed = self.agents()["items"][1]
        self.assert_json({key: shown[key] for key in listed}, listed)
        answer = self.daemon.get("/api/v1/agents/nobody")
        self.assertEqual((answer.status, answer.json()["error"]["field"]), (404, "name"))
        self.assertEqual(self.daemon.get("/api/v1/agents?limit=1").status, 400)

    def test_agrees_with_sessions(self):
        """Model calls of a session are those of its agents."""
        agents = {a["agent"]: a for a in self.agents()["items"]}
        session = self.daemon.api("sessions/s1")
        # s1 holds one span beside the agents' own, and of clerk's traces one more.
        self.assertEqual(agents["clerk"]["spans"] + agents["helper"]["spans"],
                         sum(self.daemon.api("sessions/" + s)["spans"] for s in ("s1", "s2")) - 1)
        self.assertEqual(session["errors"], agents["helper"]["errors"])

    def test_agrees_with_the_list_of_spans(self):
        """To the unit: what a list of spans finds under a name is own_spans and own_errors."""
        for query in ("", f"?since={BASE - 700 * MINUTE}", f"?since={BASE + MINUTE}",
                      f"?since={BASE}&until={BASE + 2 * MINUTE}"):
            answer = self.agents(query)
            window = answer["window"]
            bounds = f"since={window['start']}&until={window['end']}&limit=1000"
            for agent in answer["items"]:
                name = quote(agent["agent"])
                for errors, own, total in (("", "own_spans", "spans"),
                                           ("&errors=true", "own_errors", "errors")):
                    found = self.daemon.api(f"spans?agent={name}&{bounds}{errors}")["items"]
                    self.assertEqual(len(found), agent[own], (query, agent))
                    self.assertLessEqual(agent[own], agent[total])
            # And the errors of all agents are those of the spans below them, seen trace by trace.
            shown = {trace["trace_id"]: self.daemon.api("traces/" + trace["trace_id"])
                     for trace in self.daemon.api("traces?" + bounds)["items"]}
            start, end = (int(window[key + "_unix_nano"]) for key in ("start", "end"))
            spans = [span for trace in shown.values() for span in trace["spans"]
                     if span["agent"] and start <= int(span["start_unix_nano"]) < end]
            for agent in answer["items"]:
                mine = [span for span in spans if span["agent"] == agent["agent"]]
                self.assertEqual((len(mine), sum(s["status"] == "ERROR" for s in mine)),
                                 (agent["spans"], agent["errors"]), (query, agent))
        own = {a["agent"]: (a["own_spans"], a["own_errors"])
               for a in self.agents(f"?since={BASE - 700 * MINUTE}")["items"]}
        self.assertEqual(own, {"clerk": (3, 0), "helper": (1, 0), HOSTILE: (1, 1)})

    def test_the_way_to_the_spans_is_shown(self):
        since = str(BASE - 700 * MINUTE)
        text = self.daemon.cli("agent", "show", HOSTILE, "--since", since)
        self.assertNotIn("\x1b", text)
        self.assertIn("  by name       1 spans, 1 errors; the others are below such spans", text)
        self.assertRegex(text, r"\$ midwatch span list --errors --agent 'evil\\x1b.*' --since 2")
        text = self.daemon.cli("agent", "show", "helper")
        command, = [line.split()[2:] for line in text.splitlines() if "$ midwatch" in line]
        self.assertEqual(command[:2], ["trace", "list"])
        self.assertEqual(len(self.daemon.cli_json(*command)["items"]), 1)
        self.assertNotIn("$ midwatch", self.daemon.cli("agent", "show", "clerk"))

    def test_command(self):
        text = self.daemon.cli("agent", "list", "--since", str(BASE - 700 * MINUTE))
        self.assertEqual(len(text.splitlines()), 4)
        self.assertIn("evil\\x1b[31m", text)
        self.assertNotIn("\x1b", text)
        text = self.daemon.cli("agents", "show", "clerk")
        self.assertRegex(text, r"(?m)^  holds +2 sessions, 3 traces, 4 spans, 0 errors$")
        self.daemon.cli("agent", "show", "nobody", code=5)
        done = self.daemon.cli_raw("agent", "list", "--since", "1h")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("no agents", done.stderr)


class MergedAgentsTest(Merged, AgentsTest):
    """The same of merged segments."""


if __name__ == "__main__":
    unittest.main()
