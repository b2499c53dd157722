#!/usr/bin/env python3
"""How much of the accuracy is left when a case is told otherwise, or in part?

    tests/accuracy/variants.py DATA [--build DIR] [--only WORD] [--variant NAME]... [--json FILE]

Each variant rewrites a case's files before they are sent (run.py says how): what the answer must not
depend on (names, the time of the year, the order of arrival), and what a sender may not have.
"""
import argparse
import collections
import gzip
import hashlib
import json
import os
import random
import re
import shutil
import sys
import tempfile

import run

# 400 days and some: another year, another hour.
SHIFT_NS = (400 * 86400 + 5 * 3600 + 13 * 60 + 7) * 10 ** 9
FILES = ("spans", "logs", "metrics")
TIME = re.compile(r'(imeUnixNano": ?")(\d+)(")')


class Case:
    """A case's files as text: {name: [lines]}, and the two JSON documents that are told."""

    def __init__(self, folder):
        self.lines = {}
        for name in FILES:
            path = os.path.join(folder, f"{name}.jsonl.gz")
            if os.path.exists(path):
                with gzip.open(path, "rt", encoding="utf-8") as source:
                    self.lines[name] = [line for line in source if line.strip()]
        self.documents = {}
        for name in ("alarm", "label", "topology"):
            path = os.path.join(folder, f"{name}.json")
            if os.path.exists(path):
                with open(path, encoding="utf-8") as source:
                    self.documents[name] = source.read()

    def write(self, folder):
        for name, lines in self.lines.items():
            with gzip.open(os.path.join(folder, f"{name}.jsonl.gz"), "wt", compresslevel=1,
                           encoding="utf-8") as out:
                out.writelines(lines)
        for name, text in self.documents.items():
            with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as out:
                out.write(text)

    def culprit(self):
        return json.loads(self.documents["label"])["root_cause_service"]

    def services(self):
        found = set()
        for lines in self.lines.values():
            for line in lines:
                found.update(re.findall(r'"service.name","value":\{"stringValue":"([^"]+)"', line))
        if "topology" in self.documents:
            for edge in json.loads(self.documents["topology"])["edges"]:
                found.update(edge)
        return sorted(found)


# ---- what must not matter ------------------------------------------------------------------------


def permuted(case):
    """Every service has another's name, in all texts."""
    names = case.services()
    others = names[1:] + names[:1]
    random.Random(7).shuffle(others)
    table = dict(zip(names, others))
    pattern = re.compile(r"(?<![\w-])(" + "|".join(
        re.escape(name) for name in sorted(names, key=len, reverse=True)) + r")(?![\w])")

    def rename(text):
        return pattern.sub(lambda found: table[found.group(1)], text)
    case.lines = {name: [rename(line) for line in lines] for name, lines in case.lines.items()}
    case.documents = {name: rename(text) for name, text in case.documents.items()}


def shifted(case):
    def move(text):
        return TIME.sub(lambda m: m.group(1) + str(int(m.group(2)) + SHIFT_NS) + m.group(3), text)
    case.lines = {name: [move(line) for line in lines] for name, lines in case.lines.items()}
    alarm = json.loads(case.documents["alarm"])
    import datetime
    at = datetime.datetime.fromisoformat(alarm["timestamp"].replace("Z", "+00:00"))
    at += datetime.timedelta(seconds=SHIFT_NS // 10 ** 9)
    alarm["timestamp"] = at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    case.documents["alarm"] = json.dumps(alarm)


def shuffled(case):
    for lines in case.lines.values():
        random.Random(3).shuffle(lines)


# ---- what may be missing -------------------------------------------------------------------------


def keep_items(case, name, keeps):
    """Drops the spans (or records) that `keeps` refuses; keeps(service, item)."""
    kinds = {"spans": ("resourceSpans", "scopeSpans", "spans"),
             "logs": ("resourceLogs", "scopeLogs", "logRecords")}
    resources, scopes, items = kinds[name]
    out = []
    for line in case.lines.get(name, []):
        request = json.loads(line)
        for resource in request[resources]:
            service = next((a["value"]["stringValue"] for a in resource["resource"]["attributes"]
                            if a["key"] == "service.name"), "")
            for scope in resource[scopes]:
                scope[items] = [item for item in scope[items] if keeps(service, item)]
        out.append(json.dumps(request) + "\n")
    if name in case.lines:
        case.lines[name] = out


def sampler(share):
    def sample(case):
        def keeps(_, item):
            digest = hashlib.sha256(item.get("traceId", "").encode()).digest()
            return not item.get("traceId") or digest[0] < 256 * share
        for name in ("spans", "logs"):
            keep_items(case, name, keeps)
    return sample


def without(name):
    return lambda case: case.lines.pop(name, None)


def culprit_silent(case):
    """No spans of the culprit: it is not instrumented."""
    culprit = case.culprit()
    keep_items(case, "spans", lambda service, _: service != culprit)


def culprit_quiet(case):
    """Nor metrics and log records."""
    culprit = case.culprit()
    culprit_silent(case)
    keep_items(case, "logs", lambda service, _: service != culprit)


VARIANTS = collections.OrderedDict((
    ("as it is", lambda case: None), ("names permuted", permuted), ("400 days later", shifted),
    ("arrival shuffled", shuffled), ("half of the traces", sampler(0.5)),
    ("a quarter of the traces", sampler(0.25)), ("no logs", without("logs")),
    ("no metrics", without("metrics")), ("no spans", without("spans")),
    ("no spans of the culprit", culprit_silent),
    ("nor its log records", culprit_quiet)))


def run_variant(change, folder):
    work = tempfile.mkdtemp(prefix="midwatch-variant-")
    try:
        case = Case(folder)
        change(case)
        case.write(work)
        found, seconds, _ = run.ask(work)
        label = json.loads(case.documents["label"])
        ranked = [c["service"] for c in found["root_cause"]["candidates"]]
        return {"case": os.path.basename(folder), "label": label, "ranked": ranked[:10],
                "rank": run.rank_of(ranked, label), "seconds": seconds,
                "verdict": found["root_cause"]["verdict"],
                "confidence": found["root_cause"]["confidence"]}
    finally:
        shutil.rmtree(work)


def line_of(name, results):
    tally, sure = run.Tally(), [r for r in results if r["verdict"] == "PROBABLE"]
    tally.ranks = [r["rank"] for r in results]
    right = sum(r["rank"] == 1 for r in sure)
    return f"  {name:26}{tally.line()}   {right:3} of {len(sure):3} that are called PROBABLE"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", default="")
    parser.add_argument("--variant", action="append", choices=list(VARIANTS))
    parser.add_argument("--json")
    options = parser.parse_args()
    os.environ["MIDWATCH_BUILD"] = options.build
    everything = {}
    for dataset, folders in run.cases_of(options.data, options.only):
        print(f"{dataset}\n  {'':28} n   AC@1       AC@3       Avg@5", flush=True)
        for name in options.variant or VARIANTS:
            results = [run_variant(VARIANTS[name], folder) for folder in folders]
            everything.setdefault(dataset, {})[name] = results
            print(line_of(name, results), flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(everything, out, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
