#!/usr/bin/env python3
"""Runs the checks of one build directory in parallel and says what passed.

    tests/run.py --build DIR [--label L] [--jobs N] KIND...

Kinds: unit (DIR/tests/unit/*/test_*), replay (DIR/tests/fuzz/*/fuzz_*_replay over its corpus),
e2e (tests/e2e/test_*.py and test_*.sh), interop (tests/interop/run.sh). Every program runs with
the repository root as working directory. One line a program; the output of what failed and the
command that repeats it; the last line is "N passed, N failed" (", N skipped" when any), counted
in single test cases where the program says how many it ran. Exit 1 when anything failed or
nothing ran. --label tsan leaves some programs out (LEFT_OUT).
"""
import argparse
import concurrent.futures
import glob
import os
import re
import shlex
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KINDS = ("unit", "replay", "e2e", "interop")
# For what hangs, not for what is slow.
LIMITS_S = {"unit": 300, "replay": 300, "e2e": 600, "interop": 600}
# Instrumented programs are several times slower.
SLOWNESS = {"asan": 3, "tsan": 5}
# What does not run under ThreadSanitizer, where it takes minutes each and finds nothing: these ask
# from one thread alone, and compare with a model. The store's own threads, beneath some of them, are
# what test_store, test_keeper, test_merge, test_merged, test_spaces and test_query_threads are for,
# those of the state what test_writer and test_state are for. A program that starts a thread, or whose
# subject is one, does not belong here; check_left_out holds that against the sources.
LEFT_OUT = {"tsan": """
    lib-store/test_block lib-store/test_block_filter lib-store/test_block_pack
    lib-store/test_item_fields lib-store/test_list_bounds lib-store/test_log_pattern lib-store/test_log_queries
    lib-store/test_log_search lib-store/test_merge_plan lib-store/test_merge_policy
    lib-store/test_metric_queries lib-store/test_power_loss lib-store/test_queries
    lib-store/test_rollup lib-store/test_segment_footer lib-store/test_span_list
    lib-store/test_torture lib-state/test_power_loss
    proto/test_scan proto/test_scan_logs proto/test_scan_metrics
    """.split()}
# What is shown of a failed program's output: its end, where the failure is.
OUTPUT_SHOWN = 20000


class Check:
    """One program to run: what, how, and for how long at most."""

    def __init__(self, kind, name, argv, limit_s, env=None):
        self.kind = kind
        self.name = name
        self.argv = argv
        self.limit_s = limit_s
        self.env = env or {}

    def command(self):
        words = [f"{key}={shlex.quote(value)}" for key, value in sorted(self.env.items())]
        return " ".join(words + [shlex.quote(word) for word in self.argv])


class Result:
    def __init__(self, check, code, output, seconds, timed_out):
        self.check = check
        self.code = code
        self.output = output
        self.seconds = seconds
        self.passed, self.failed, self.skipped = count_cases(output)
        self.reason = ""
        if timed_out:
            self.reason = f"no end after {check.limit_s} s"
        elif code < 0:
            self.reason = f"killed by {signal.Signals(-code).name}"
        elif code != 0:
            self.reason = f"exit {code}"
        # A program that failed as a whole is at least one failure, whatever it printed.
        if self.reason and self.failed == 0:
            self.failed = 1
        if not self.reason and self.passed + self.failed + self.skipped == 0:
            self.passed = 1
        if not self.reason and self.failed:
            self.reason = "reported a failure but exited 0"


def count_cases(output):
    """(passed, failed, skipped) as cmocka, unittest or a summary line say; zeros when none does."""
    passed = sum(int(n) for n in re.findall(r"^\[  PASSED  \] (\d+) test", output, re.M))
    failed = sum(int(n) for n in re.findall(r"^\[  FAILED  \] (\d+) test", output, re.M))
    skipped = sum(int(n) for n in re.findall(r"^\[  SKIPPED \] (\d+) test", output, re.M))
    if passed + failed + skipped:
        return passed, failed, skipped
    summary = re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", output, re.M)
    if summary:
        return tuple(int(n or 0) for n in summary[-1])
    ran = re.search(r"^Ran (\d+) tests? in", output, re.M)
    if not ran:
        return 0, 0, 0
    verdict = output[ran.end():]
    bad = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", verdict))
    skipped = sum(int(n) for n in re.findall(r"skipped=(\d+)", verdict))
    # Sub-tests may fail more often than there are tests.
    return max(int(ran.group(1)) - bad - skipped, 0), bad, skipped


def check_left_out(label):
    """The names to leave out; refuses one that has no source, or whose source starts a thread."""
    names = LEFT_OUT.get(label, [])
    for name in names:
        with open(f"{ROOT}/tests/unit/{name}.c", encoding="utf-8") as source:
            if re.search(r"\b(?:pthread_create|mw_pool_\w+)\s*\(", source.read()):
                sys.exit(f"tests/run.py leaves {name} out under {label}, but it starts threads")
    return names


def find_unit(build, limit_s, left_out):
    for path in sorted(glob.glob(f"{build}/tests/unit/*/test_*")):
        name = os.path.relpath(path, f"{build}/tests/unit")
        if os.access(path, os.X_OK) and not path.endswith(".d") and name not in left_out:
            yield Check("unit", name, [path], limit_s)


def find_replay(build, limit_s):
    for path in sorted(glob.glob(f"{build}/tests/fuzz/*/fuzz_*_replay")):
        base = os.path.basename(path)[len("fuzz_"):-len("_replay")]
        corpus = f"tests/fuzz/corpus/{base}"
        yield Check("replay", os.path.relpath(path, f"{build}/tests/fuzz"), [path, corpus],
                    limit_s)


def find_e2e(build, limit_s, slowness):
    env = {"MIDWATCH_BUILD": build, "MIDWATCH_TEST_SLOWNESS": str(slowness)}
    for path in sorted(glob.glob(f"{ROOT}/tests/e2e/test_*.py")):
        name = os.path.basename(path)
        yield Check("e2e", name, [sys.executable, f"tests/e2e/{name}"], limit_s, env)
    for path in sorted(glob.glob(f"{ROOT}/tests/e2e/test_*.sh")):
        name = os.path.basename(path)
        yield Check("e2e", name, ["bash", f"tests/e2e/{name}"], limit_s, env)


def find_checks(build, kinds, label):
    slowness = SLOWNESS.get(label, 1)
    checks = []
    for kind in kinds:
        limit_s = LIMITS_S[kind] * slowness
        if kind == "unit":
            checks += find_unit(build, limit_s, check_left_out(label))
        elif kind == "replay":
            checks += find_replay(build, limit_s)
        elif kind == "e2e":
            checks += find_e2e(build, limit_s, slowness)
        else:
            checks.append(Check(kind, "interop", ["tests/interop/run.sh", build], limit_s))
    return checks


def run_check(check):
    """Runs it in a process group of its own, so that a time-out leaves nothing behind."""
    started = time.monotonic()
    process = subprocess.Popen(check.argv, cwd=ROOT, env={**os.environ, **check.env},
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    timed_out = False
    try:
        output, _ = process.communicate(timeout=check.limit_s)
    except subprocess.TimeoutExpired:
        timed_out = True
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    return Result(check, process.returncode, output.decode("utf-8", "replace"),
                  time.monotonic() - started, timed_out)


def report(result, label):
    state = "FAILED" if result.failed else "ok"
    prefix = f"{label} " if label else ""
    print(f"{state:6} {prefix}{result.check.kind} {result.check.name}: {result.passed} passed, "
          f"{result.failed} failed, {result.skipped} skipped, {result.seconds:.1f} s", flush=True)
    if not result.failed:
        return
    print(f"---- {result.reason}; output:")
    if len(result.output) > OUTPUT_SHOWN:
        print(f"[{len(result.output) - OUTPUT_SHOWN} characters before this are left out]")
    print(result.output[-OUTPUT_SHOWN:].rstrip("\n"))
    print(f"---- to repeat: {result.check.command()}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--label", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("kinds", nargs="+", choices=KINDS, metavar="KIND")
    options = parser.parse_args()
    # Paths in the repeat command work from the repository root.
    build = os.path.relpath(os.path.abspath(options.build), ROOT)
    checks = find_checks(build, options.kinds, options.label)
    # The longest first: the last one to end is then a short one.
    checks.sort(key=lambda check: ("e2e", "interop", "replay", "unit").index(check.kind))
    results = []
    with concurrent.futures.ThreadPoolExecutor(max(options.jobs, 1)) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run_check, c) for c in checks]):
            results.append(done.result())
            report(results[-1], options.label)
    passed, failed, skipped = (sum(getattr(r, key) for r in results)
                               for key in ("passed", "failed", "skipped"))
    if not results:
        print(f"nothing to run in {build} for: {' '.join(options.kinds)}", file=sys.stderr)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
