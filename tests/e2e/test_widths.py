#!/usr/bin/env python3
"""Every list and every page of the command line fits the terminal, whatever the texts are: long,
hostile, of wide characters. What was cut says so."""
import json
import re
import subprocess
import unicodedata
import unittest
from urllib.parse import urlsplit

import otlp
import signals
from harness import BINARY, DaemonCase, wait_for
from test_webhook import alarm, sign, utc

BASE = 1_700_000_000_000_000_000
WIDTHS = (60, 80, 200)
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
LONG = ("a name of many words that goes on and on " * 4).rstrip()
WIDE = "\u5408\u8a08\u306e\u8a3c\u62e0\u3092\u8abf\u3079\u308b\u2705" * 8
HOSTILE = "evil\x1b[2J\x07\r\n\u202e" * 11 + "end"
NAMES = {"long": LONG, "wide": WIDE, "hostile": HOSTILE, "plain": "plain"}


def columns(line):
    """As a terminal counts them."""
    return sum(0 if unicodedata.combining(c) else
               2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def trace_id(n):
    return bytes.fromhex("abcd%02x" % n) + n.to_bytes(13, "big")


class WidthsTest(DaemonCase):
    @classmethod
    def prepare(cls):
        for n, name in enumerate(NAMES.values(), 1):
            cls.fill(n, name)
        cls.alarms()

    @classmethod
    def post(cls, path, body):
        answer = signals.post(cls.daemon, path, body)
        assert answer.status == 200, answer.body

    @classmethod
    def fill(cls, n, name):
        root, child, tool = (bytes([n] * 7 + [k]) for k in (1, 2, 3))
        whose = [("session.id", name), ("user.id", name)]
        agent = [*whose, ("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", name)]
        model = [*whose, ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", name)]
        spans = [otlp.span(trace_id(n), root, name=name, start=BASE, attributes=agent),
                 otlp.span(trace_id(n), child, root, name="chat " + name, start=BASE + 10,
                           attributes=model),
                 otlp.span(trace_id(n), tool, root, name="execute_tool " + name, start=BASE + 20,
                           attributes=[("gen_ai.operation.name", "execute_tool"),
                                       ("service.peer.name", "peer " + name)], status=2) +
                 otlp.varint_field(6, 3)]
        cls.post("/v1/traces", otlp.request(spans, service=name))
        cls.post("/v1/logs", signals.request(
            [signals.log(BASE + n, name, 17, attributes=whose, trace_id=trace_id(n), span_id=root,
                         event=name)], service=name))
        gauge = signals.gauge(name, [(BASE, 1234567, [(name, name), ("k", "v")])], "{" + name + "}")
        cls.post("/v1/metrics", signals.request([gauge], service=name))
        point = otlp.histogram_point(6, [1, 2, 3], [0.1, 12345678.9])
        cls.post("/v1/metrics", otlp.metrics_request(
            [otlp.metric([point], otlp.HISTOGRAM, "spread " + name)], service=name))

    @classmethod
    def alarms(cls):
        hook = cls.daemon.cli_json("webhook", "create", "--name", "night", "--source",
                                   "devops-agent")
        for name, text in NAMES.items():
            body = json.dumps(alarm("incident " + name, title=text, description=text, service=text))
            stamp = utc()
            answer = cls.daemon.request(
                "POST", urlsplit(hook["url"]).path, body.encode(),
                {"content-type": "application/json", "x-amzn-event-timestamp": stamp,
                 "x-amzn-event-signature": sign(hook["secret"], stamp, body)})
            assert answer.status == 200, answer.body

        def done():
            found = cls.daemon.cli_json("investigation", "list")["items"]
            return found and all(i["status"] == "COMPLETED" for i in found)
        wait_for("the investigations", done)

    def check(self, *arguments, cut=False):
        """All lines fit; those that can be copied, a command, are left as they are."""
        for width in WIDTHS:
            with self.subTest(arguments=arguments[:2], width=width):
                text = self.daemon.cli(*arguments, env={"COLUMNS": str(width)})
                self.assertIsNone(CONTROL.search(text))
                for line in text.splitlines():
                    if not re.match(r" *(\$|midwatch) ", line):
                        self.assertLessEqual(columns(line), width, line)
                if cut:
                    self.assertIn("\u2026", text)
        whole = self.daemon.cli(*arguments)
        self.assertGreater(max(map(columns, whole.splitlines())), 60, "nothing to cut")

    def test_lists(self):
        for noun in ("session", "trace", "span", "log", "metric", "alarm"):
            self.check(noun, "list", cut=True)
        since = ("--since", "2023-11-14", "--until", "2023-11-15")
        for noun in ("agent", "service"):
            self.check(noun, "list", *since, cut=True)
        self.check("topology", "show", *since, cut=True)
        for noun in ("investigation", "webhook", "audit", "space"):
            for width in WIDTHS:
                text = self.daemon.cli(noun, "list", env={"COLUMNS": str(width)})
                self.assertLessEqual(max(map(columns, text.splitlines())), width)

    def test_pages(self):
        since = ("--since", "2023-11-14", "--until", "2023-11-15")
        for n, (kind, name) in enumerate(NAMES.items(), 1):
            if kind == "plain":
                continue
            self.check("trace", "show", trace_id(n).hex(), cut=True)
            self.check("session", "show", name)
            self.check("metric", "show", name, cut=True)
            self.check("metric", "show", "spread " + name)
        # Names of columns are cut at 256 bytes.
        for item in self.daemon.cli_json("agent", "list", *since)["items"]:
            if item["agent"] != "plain":
                self.check("agent", "show", item["agent"], *since)
                self.check("service", "show", item["agent"], *since)

    def test_alarms_and_what_followed(self):
        for item in self.daemon.cli_json("alarm", "list")["items"]:
            if item["title"] != "plain":
                self.check("alarm", "show", item["alarm_id"])
        for item in self.daemon.cli_json("investigation", "list")["items"]:
            self.check("investigation", "show", item["investigation_id"])

    def test_the_daemon(self):
        self.check("status")
        self.check("doctor", cut=True)

    def test_followed(self):
        for width in WIDTHS:
            with subprocess.Popen(
                    [BINARY, "log", "list", "--follow", "--since", "2023-11-01", "--data",
                     self.daemon.data], stdout=subprocess.PIPE, text=True,
                    env={**self.daemon.environment(), "COLUMNS": str(width)}) as following:
                lines = [following.stdout.readline().rstrip("\n") for _ in NAMES]
                following.terminate()
            self.assertLessEqual(max(map(columns, lines)), width)
            self.assertEqual(sum("\u2026" in line for line in lines), 3)

    def test_a_cut_id_is_an_id(self):
        text = self.daemon.cli("trace", "list", env={"COLUMNS": "60"})
        cut = re.search(r"(?m)abcd04[0-9a-f]*\u2026", text).group()
        self.assertGreaterEqual(len(cut), 13)
        self.assertEqual(self.daemon.cli_json("trace", "show", cut)["trace_id"],
                         trace_id(4).hex())

    def test_names_stay_whole_as_long_as_they_can(self):
        """A long name of one row does not take the numbers of all."""
        text = self.daemon.cli("metric", "list", env={"COLUMNS": "80"})
        self.assertRegex(text, r"(?m)^METRIC +SERIES +POINTS")
        text = self.daemon.cli("session", "list", env={"COLUMNS": "80"})
        self.assertRegex(text, r"(?m)^LAST SEEN +SESSION .*SPANS +ERRORS")


if __name__ == "__main__":
    unittest.main(verbosity=2)
