#!/usr/bin/env python3
"""How often is the cause among the first? Real faults through the real program.

    tests/accuracy/run.py DATA [--build DIR] [--only WORD] [--json FILE] [--verbose] [--grid]

DATA holds one folder per data set, and one per case in it: spans, logs and metrics as OTLP/JSON
lines, alarm.json, label.json, topology.json where a call graph is known. Each case gets a daemon of
its own on a fresh data directory; telemetry goes through the OTLP/HTTP port, the alarm through a
signed webhook, the answer is read from the API. The label is opened by the scorer alone, after the
answer. `--grid` asks once more at each point of a grid around the thresholds
(tests/bench/triage/grid.c), so that they can be chosen anew without one group of cases and tried on
that group alone. `--at-least nezha=0.55` ends with 1 when AC@1 of a data set is below that (petshop: AC@3).
"""
import argparse
import collections
import gzip
import http.client
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

SIGNALS = (("spans", "/v1/traces"), ("logs", "/v1/logs"), ("metrics", "/v1/metrics"))
RANKS = 5
ABSENT = 10 ** 6


def send_lines(daemon, path, route):
    """Every line a request, on one connection, as an exporter would."""
    connection = http.client.HTTPConnection(*daemon.address("http"), timeout=60)
    with gzip.open(path) as lines:
        for line in lines:
            if not line.strip():
                continue
            connection.request("POST", route, line, {"content-type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise AssertionError(f"{path}: {answer.status} {body[:300]!r}")
    connection.close()


def signed_alarm(daemon, body):
    """Through a webhook made for it; the time of the signature is now, that of the alarm its own."""
    import base64
    import hashlib
    import hmac
    from urllib.parse import urlsplit
    hook = daemon.cli_json("webhook", "create", "--name", "accuracy", "--source", "devops-agent")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    digest = hmac.new(hook["secret"].encode(), f"{stamp}:{body}".encode(), hashlib.sha256).digest()
    answer = daemon.request("POST", urlsplit(hook["url"]).path, body.encode(),
                            {"content-type": "application/json", "x-amzn-event-timestamp": stamp,
                             "x-amzn-event-signature": base64.b64encode(digest).decode()})
    if answer.status != 200:
        raise AssertionError(f"alarm: {answer.status} {answer.body!r}")


def ended(daemon):
    for item in daemon.api("investigations")["items"]:
        if item["status"] in ("COMPLETED", "FAILED", "TIMED_OUT"):
            return item
    return None


def ask_grid(case, daemon):
    """[(point, services in order)] of the store that the daemon has left; the default's is first."""
    import calendar
    with open(os.path.join(case, "alarm.json"), encoding="utf-8") as source:
        alarm = json.load(source)
    seconds = calendar.timegm(time.strptime(alarm["timestamp"][:19], "%Y-%m-%dT%H:%M:%S"))
    at_ns = seconds * 10 ** 9 + int(alarm["timestamp"][20:23] or 0) * 10 ** 6
    topology, edges = os.path.join(case, "topology.json"), []
    if os.path.exists(topology):
        with open(topology, encoding="utf-8") as source:
            edges = [name for edge in json.load(source)["edges"] for name in edge]
    program = os.path.join(os.environ["MIDWATCH_BUILD"], "tests/bench/triage/grid")
    answer = subprocess.run([program, os.path.join(daemon.data, "store"), alarm["service"],
                             str(at_ns), alarm["title"], *edges], check=True, capture_output=True)
    lines = [json.loads(line) for line in answer.stdout.decode().splitlines()]
    return [(tuple(line["point"]), line["services"]) for line in lines]


def ask(case, grid=False):
    """(investigation, seconds from the alarm to the answer, answers of the grid) of a case folder."""
    from harness import Daemon, wait_for
    with Daemon() as daemon:
        topology = os.path.join(case, "topology.json")
        if os.path.exists(topology):
            daemon.cli("topology", "import", topology)
        for signal, route in SIGNALS:
            path = os.path.join(case, f"{signal}.jsonl.gz")
            if os.path.exists(path):
                send_lines(daemon, path, route)
        with open(os.path.join(case, "alarm.json"), encoding="utf-8") as source:
            body = source.read()
        begun = time.monotonic()
        signed_alarm(daemon, body)
        found = wait_for("the investigation to end", lambda: ended(daemon), 120)
        seconds = time.monotonic() - begun
        if not grid:
            return found, seconds, []
        daemon.stop()
        return found, seconds, ask_grid(case, daemon)


# ---- the scorer ----------------------------------------------------------------------------------


def rank_of(ranked, label):
    wanted = label["root_cause_service"]
    return ranked.index(wanted) + 1 if wanted in ranked else ABSENT


class Tally:
    """AC@1, AC@3 and Avg@5 of some ranks."""

    def __init__(self):
        self.ranks = []

    def share(self, k):
        return sum(rank <= k for rank in self.ranks) / len(self.ranks)

    def count(self, k):
        return sum(rank <= k for rank in self.ranks)

    def line(self):
        average = sum(self.share(k) for k in range(1, RANKS + 1)) / RANKS
        return (f"{len(self.ranks):4}  {self.share(1):.2f} ({self.count(1):2})  "
                f"{self.share(3):.2f} ({self.count(3):2})  {average:.2f}")


def constants(results):
    """What always naming the most frequent answers would reach: of all cases, and of those that do
    not share (service, fault type) with the case that is asked."""
    names = collections.Counter(r["label"]["root_cause_service"] for r in results)
    always = [name for name, _ in names.most_common()]
    blind = Tally()
    for one in results:
        rest = collections.Counter(r["label"]["root_cause_service"] for r in results
                                   if group(r) != group(one))
        blind.ranks.append(rank_of([name for name, _ in rest.most_common()], one["label"]))
    whole = Tally()
    whole.ranks = [rank_of(always, r["label"]) for r in results]
    return whole, blind


def group(result):
    return result["label"]["root_cause_service"], result["label"]["fault_type"]


def score(results, number):
    """Causes that a point of the grid names first, and among three."""
    ranks = [rank_of(r["grid"][number][1], r["label"]) for r in results]
    return sum(rank == 1 for rank in ranks), sum(rank <= 3 for rank in ranks)


def choose(results):
    """The best point for these cases; of equal ones the first, and the default is the first of
    all."""
    return max(range(len(results[0]["grid"])), key=lambda number: (score(results, number), -number))


def print_left_out(results, groups):
    """What the thresholds would reach that were chosen without the group they are tried on."""
    blind, kept, means = Tally(), 0, {1: [], 3: []}
    for left in groups:
        number = choose([r for r in results if group(r) != left])
        kept += number == 0
        ranks = [rank_of(r["grid"][number][1], r["label"]) for r in results if group(r) == left]
        blind.ranks += ranks
        for k, mean in means.items():
            mean.append(sum(rank <= k for rank in ranks) / len(ranks))
    default = Tally()
    default.ranks = [rank_of(r["grid"][0][1], r["label"]) for r in results]
    points = len(results[0]["grid"])
    best, worst = Tally(), Tally()
    best.ranks = [rank_of(r["grid"][choose(results)][1], r["label"]) for r in results]
    least = min(range(points), key=lambda number: score(results, number))
    worst.ranks = [rank_of(r["grid"][least][1], r["label"]) for r in results]
    print(f"  thresholds as they are    {default.line()}")
    print(f"  best of {points} on all cases   {best.line()}")
    print(f"  worst of {points} on all cases  {worst.line()}")
    print(f"  chosen without the group  {blind.line()}")
    print(f"    (each group: the best of {points} points on all other groups, tried on this one alone; "
          f"mean over groups AC@1 "
          f"{sum(means[1]) / len(groups):.2f}, AC@3 {sum(means[3]) / len(groups):.2f}; the default "
          f"was chosen {kept} of {len(groups)} times)")


def print_table(dataset, results):
    parts = {"all": Tally()}
    for result in results:
        label = result["label"]
        for name in ("all", f"system {label['system']}", f"fault {label['fault_type']}"):
            parts.setdefault(name, Tally()).ranks.append(result["rank"])
    groups = collections.defaultdict(list)
    for result in results:
        groups[group(result)].append(result["rank"])
    print(f"\n{dataset}\n  {'':28} n   AC@1       AC@3       Avg@5")
    for name in sorted(parts, key=lambda n: (n != "all", n)):
        print(f"  {name:26}{parts[name].line()}")
    whole, blind = constants(results)
    print(f"  {'a constant answer':26}{whole.line()}")
    print(f"  {'the same, group left out':26}{blind.line()}")
    # What the many cases of one group would hide.
    mean = [sum(sum(r <= k for r in ranks) / len(ranks) for ranks in groups.values()) / len(groups)
            for k in (1, 3)]
    print(f"  mean over (service, fault) groups: AC@1 {mean[0]:.2f}, AC@3 {mean[1]:.2f} over "
          f"{len(groups)} groups")
    if len(groups) > 1 and all(r["grid"] for r in results):
        print_left_out(results, groups)
    seconds = sorted(result["seconds"] for result in results)
    print(f"  seconds a case, from alarm to answer: median {seconds[len(seconds) // 2]:.2f}, "
          f"most {seconds[-1]:.2f}")
    return parts["all"]


def cases_of(data, only):
    """(data set, folders of its cases) of all that have some."""
    for dataset in sorted(os.listdir(data)):
        base = os.path.join(data, dataset)
        if not os.path.isdir(base):
            continue
        folders = [os.path.join(base, name) for name in sorted(os.listdir(base))
                   if os.path.exists(os.path.join(base, name, "alarm.json")) and only in name]
        if folders:
            yield dataset, folders


def run_case(folder, verbose, grid=False):
    found, seconds, answers = ask(folder, grid)
    ranked = [c["service"] for c in found["root_cause"]["candidates"]]
    with open(os.path.join(folder, "label.json"), encoding="utf-8") as source:
        label = json.load(source)
    result = {"case": os.path.basename(folder), "label": label, "ranked": ranked[:10],
              "rank": rank_of(ranked, label), "seconds": seconds,
              "kind": found["root_cause"]["candidates"][0]["kind"] if ranked else None,
              "verdict": found["root_cause"]["verdict"],
              "confidence": found["root_cause"]["confidence"], "grid": answers}
    if answers and answers[0][1] != ranked[:10]:
        raise AssertionError(f"{folder}: the grid's default answers {answers[0][1]}, not {ranked}")
    rank = result["rank"] if result["rank"] < ABSENT else "-"
    print(f"  {result['case']:26} {label['fault_type']:15} {rank!s:>3}  {seconds:5.2f} s  "
          f"{result['kind']}, {result['confidence']:.2f}", flush=True)
    if verbose:
        print("      " + found["root_cause"]["summary"])
        for cause in found["root_cause"]["candidates"][:3]:
            print(f"      {cause['score']:.3f} {cause['service']} {cause['kind']}")
            for reason in cause["reasons"][:3]:
                print("          " + reason["text"])
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", default="")
    parser.add_argument("--json")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--grid", action="store_true")
    parser.add_argument("--at-least", action="append", default=[])
    options = parser.parse_args()
    os.environ["MIDWATCH_BUILD"] = options.build
    bars = dict(text.split("=") for text in options.at_least)
    everything, failed = {}, False
    for dataset, folders in cases_of(options.data, options.only):
        print(dataset, flush=True)
        everything[dataset] = [run_case(folder, options.verbose, options.grid) for folder in folders]
    for dataset, results in everything.items():
        tally = print_table(dataset, results)
        reached = tally.share(3 if dataset == "petshop" else 1)
        failed |= reached < float(bars.get(dataset, 0))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(everything, out, indent=1)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
