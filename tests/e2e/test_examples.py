#!/usr/bin/env python3
"""What README.md, docs/decision.md and docs/investigation.md show of the demo's incident is what the
program says today. Ids, times, and counts that depend on where a minute begins may differ."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import unittest

from harness import BINARY, ROOT, Case, Daemon, wait_for
from senders import Door, utc

PAGES = {"README.md": "## When an alarm comes in", "docs/decision.md": "## An example",
         "docs/investigation.md": "## A worked example"}
COLUMNS = 125
COMMAND = re.compile(r"^(?: {4})?\$ midwatch (alarm (?:list|explain)|investigation show|plan show)"
                     r"(?: ([0-9a-f]{8,12}))?$", re.M)
SKIPPED = "..."


def normal(text):
    """Without what differs from run to run."""
    for pattern, word in ((r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
                          (r"demo-[0-9a-f]{6}", "demo-TAG"),
                          (r"\b[0-9a-f]{64}\b", "HASH"), (r"\b[0-9a-f]{32}\b", "ID"),
                          (r"\b(?=[0-9a-f]*\d)[0-9a-f]{12}\b", "ID"),
                          (r"\b[0-9a-f]{6,}…", "ID…"),
                          (r"\b\d+[smh] ago\b", "AGO"),
                          (r"\d+ of \d+ calls failed, [\d.]+ % \(usual [\d.]+ %\)", "CALLS FAILED"),
                          (r"as of commit \d+", "as of commit N")):
        text = re.sub(pattern, word, text)
    # Columns are as wide as what stands in them.
    return [re.sub(r" {2,}", "  ", line.strip()) for line in text.splitlines() if line.strip()]


def on_terminal(daemon, *arguments):
    """What a person sees of a command."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    process = subprocess.Popen([BINARY, *arguments, "--data", daemon.data], stdout=slave,
                               stderr=slave, stdin=slave,
                               env={**daemon.environment(), "NO_COLOR": "1", "TERM": "xterm"})
    os.close(slave)
    got = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        got += piece
    os.close(master)
    assert process.wait() == 0, got
    return got.decode().replace("\r\n", "\n")


def blocks(page, section=None):
    """(command, text) of each example of a page's section, in order."""
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        text = file.read().split((section or PAGES[page]) + "\n")[1].split("\n## ")[0]
    found = []
    for match in COMMAND.finditer(text):
        indent = "    " if match.group(0).startswith(" ") else ""
        end = match.end() + 1
        while end < len(text):
            line = text[end:].split("\n", 1)[0]
            if line.startswith("```") or line.startswith("$ ") or line.startswith("    $ midwatch") \
                    or (indent and line and not line.startswith(indent)):
                break
            end += len(line) + 1
        found.append((match.group(1), text[match.end() + 1:end]))
    return found


def assert_shown(case, page, command, shown, said):
    """Each line of the page is said, in this order, and nothing between but for a line of dots; the
    end may be missing."""
    lines, at, skips = normal(said), 0, False
    for line in normal(shown):
        if line == SKIPPED:
            skips = True
            continue
        if skips:
            case.assertIn(line, lines[at:], f"{page}: {command}")
            at = lines.index(line, at)
            skips = False
        case.assertLess(at, len(lines), f"{page}: {command} says no more, not: {line}")
        case.assertEqual(line, lines[at], f"{page}: {command}")
        at += 1


class ExamplesTest(Case):
    def setUp(self):
        self.daemon = Daemon().start()
        self.demo = self.daemon.cli_json("demo", "--incident")
        id_of = self.demo["investigation_id"]
        wait_for("the last run to end", lambda: self.is_done(id_of))

    def is_done(self, id_of):
        shown = self.daemon.cli_json("investigation", "show", id_of)
        return shown["status"] == "COMPLETED" and "alarms: 3," in str(shown["journal"])

    def tearDown(self):
        self.daemon.stop()
        self.daemon.remove()

    def output(self, command):
        ids = {"alarm list": [], "alarm explain": [self.demo["alarm_ids"][-1][:12]]}
        return on_terminal(self.daemon, *command.split(),
                           *ids.get(command, [self.demo["investigation_id"][:12]]))

    def test_pages(self):
        seen = set()
        for page in PAGES:
            examples = blocks(page)
            self.assertTrue(examples, page)
            for command, text in examples:
                seen.add(command)
                with self.subTest(page=page, command=command):
                    assert_shown(self, page, command, text, self.output(command))
        self.assertEqual(seen, {"alarm list", "alarm explain", "investigation show", "plan show"})

    def test_figures_of_the_worked_example(self):
        """The prose about an investigation names the figures that it shows."""
        with open(os.path.join(ROOT, "docs/investigation.md"), encoding="utf-8") as file:
            prose = file.read().split("## A worked example")[1].split("\n## ")[0]
        said = self.output("investigation show")
        for figure in ("48", "160", "440", "491 ms", "6.6 ms", "2.4.0"):
            self.assertIn(figure, prose)
            self.assertIn(figure, said)


class RaisedTest(Case):
    """The README's own alarm, with the telemetry of the other demo."""

    def test_an_alarm_of_ones_own(self):
        daemon = Daemon().start()
        try:
            daemon.cli("demo")
            door = Door(daemon)
            answer = door.send({"eventType": "incident", "incidentId": "inc-1", "action": "created",
                                "priority": "HIGH", "title": "tool errors above 5 %",
                                "service": "support-desk", "timestamp": utc()})
            self.assertEqual(answer.status, 200)

            def completed():
                items = daemon.cli_json("investigation", "list")["items"]
                return items and items[0]["status"] == "COMPLETED" and items[0]
            found = wait_for("the run to end", completed)
            for command, text in blocks("README.md", "## Raise an alarm"):
                ids = [found["investigation_id"][:8]] if "show" in command else []
                said = on_terminal(daemon, *command.split(), *ids)
                with self.subTest(command=command):
                    assert_shown(self, "README.md", command, text, said)
        finally:
            daemon.stop()
            daemon.remove()


if __name__ == "__main__":
    unittest.main()
