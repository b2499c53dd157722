#!/usr/bin/env python3
"""Runs an agent of each framework, unmodified and set up by OTEL_* variables alone, against one daemon
and compares what the command line says of it with what the agent did: it asked a model twice, and a
tool in between. docs/FRAMEWORKS.md is the table for people.

    tests/interop/frameworks.py --home DIR [--skip FOLDER=REASON]... [-k WORD]
        (MIDWATCH_BUILD set; frameworks installed below DIR by tests/interop/run.sh)

One line a framework; last line "N passed, N failed, N skipped".
"""
import argparse
import concurrent.futures
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = os.path.join(HERE, "clients", "frameworks")
sys.path[:0] = [os.path.join(HERE, "..", "e2e")]
from harness import SLOWNESS, Daemon, same_json  # noqa: E402

# Both distributions are installed in one place. What only that of AWS brings is left out of the plain
# one.
PLAIN = {"OTEL_PYTHON_DISTRO": "distro", "OTEL_PYTHON_CONFIGURATOR": "configurator",
         "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "aws_langchain,aws_mcp,botocore,system_metrics"}
AWS = {"OTEL_PYTHON_DISTRO": "aws_distro", "OTEL_PYTHON_CONFIGURATOR": "aws_configurator",
       "AGENT_OBSERVABILITY_ENABLED": "true", "AWS_REGION": "us-east-1",
       "AWS_EC2_METADATA_DISABLED": "true"}
BEDROCK = "anthropic.claude-stub-v1:0"
SERVED = "stub-model-2026-01-01"


def both(first, second, **common):
    """The two model calls of an agent."""
    return [{"operation_kind": "model", **common, "input_tokens": tokens[0],
             "output_tokens": tokens[1], **more}
            for tokens, more in (((100, 20), first), ((210, 30), second))]


def tool(**more):
    return {"operation_kind": "tool", "tool": "search", "tool_call_id": "call-1", **more}


class Framework:
    """How to start one agent, and what must be said of it."""

    def __init__(self, name, folder, program, **more):
        self.name, self.folder, self.program = name, folder, program
        self.variables = more.get("variables", {})
        self.overlay = more.get("overlay")  # what is put before the packages of the folder
        self.node = more.get("node", 0)  # the oldest Node it runs with
        # Members of `session show`; then, of the trace's spans, those of these kinds in the order
        # of their start. The members in `common` hold for all of them.
        self.session = {"agent": "clerk", "errors": 0, "traces": 1, **more.get("session", {})}
        self.spans = more["spans"]
        self.common = {"agent": "clerk", **more.get("common", {})}
        self.checks = more.get("checks", lambda daemon, name: ())

    def command(self, home):
        program = os.path.join(PROGRAMS, self.program)
        if not self.folder:
            return [sys.executable, program]
        if program.endswith(".mjs"):
            return ["node", program]
        tools = os.path.join(home, self.folder, "bin")
        return [os.path.join(tools, "opentelemetry-instrument"), os.path.join(tools, "python"),
                program]


# ---- what each one says --------------------------------------------------------------------------


def claude_code_signals(daemon, name):
    """Its tokens are told three times, in three signals; they are not added up."""
    logs = daemon.cli_json("log", "list", "--session", name)["items"]
    events = sorted(str(log["event_name"]) for log in logs)
    if events != ["api_request", "tool_decision", "tool_result", "user_prompt"]:
        yield f"events {events}"
    found = daemon.cli_json("log", "list", "--session", name, "--event", "api_request")["items"]
    if [log["attributes"]["model"] for log in found] != ["claude-stub-1"]:
        yield f"{len(found)} events api_request"
    shown = daemon.cli_json("metric", "show", "claude_code.token.usage")
    found = {series["attributes"]["type"]: [point["value"] for point in series["points"]]
             for series in shown["series"] if series["session_id"] == name}
    if not same_json(found, {"input": [100.0], "output": [20.0], "cacheRead": [60.0],
                             "cacheCreation": [5.0]}):
        yield f"claude_code.token.usage {found}"


STRANDS = {"session": {"user": "user-1", "tool_calls": 1, "output_tokens": 50},
           "common": {"user": "user-1"}}
LANGCHAIN = {"session": {"model_calls": 2, "tool_calls": 1, "input_tokens": 310,
                         "output_tokens": 50}}
ASKED = {"request_model": "stub-model", "model": SERVED}
FRAMEWORKS = [
    # Strands calls itself the provider; nobody else is named.
    Framework("strands", "agents", "strands_agent.py",
              variables=PLAIN,
              session={**STRANDS["session"], "model_calls": 2, "input_tokens": 310},
              common=STRANDS["common"],
              spans=[{"operation_kind": "agent", "input_tokens": 310}] +
              both({"cache_read_tokens": None}, {"cache_read_tokens": 60}, model=BEDROCK,
                   provider=None) + [tool()]),
    # Under the AWS distribution botocore speaks of each call as well, below Strands. Its spans are
    # the leaves, and leave out what came from the cache; Strands above knows.
    Framework("strands-adot", "agents", "strands_agent.py", variables=AWS,
              session={**STRANDS["session"], "model_calls": 2, "input_tokens": 310},
              spans=[{"operation_kind": "agent", "input_tokens": 310}] +
              both({"kind": "INTERNAL"}, {"kind": "INTERNAL"}, model=BEDROCK, provider=None) +
              [{**span, "provider": "aws.bedrock", "kind": "CLIENT", "input_tokens": tokens}
               for span, tokens in zip(both({}, {}, model=BEDROCK), (100, 150))] + [tool()]),
    Framework("langchain-openinference", "agents", "langchain_agent.py",
              variables=PLAIN, overlay="openinference", **LANGCHAIN,
              spans=both({"reasoning_tokens": None},
                         {"cache_read_tokens": 60, "reasoning_tokens": 10}, model=SERVED,
                         provider="openai") + [tool(tool_call_id=None)]),
    Framework("langchain-openllmetry", "agents", "langchain_agent.py", variables=PLAIN,
              overlay="openllmetry", **LANGCHAIN,
              spans=[{"operation_kind": "agent", "provider": None}] * 2 +
              both({}, {"cache_read_tokens": 60}, **ASKED, provider="openai") +
              [tool(tool_call_id=None)]),
    # The session is in the baggage, as AgentCore's runtime puts it there.
    Framework("langchain-adot", "agents", "langchain_agent.py",
              variables={**AWS, "INTEROP_BAGGAGE": "yes"}, **LANGCHAIN,
              spans=[{"operation_kind": "agent"}] + [{"operation_kind": "workflow"}] * 3 +
              both({}, {"cache_read_tokens": 60, "reasoning_tokens": 10}, **ASKED,
                   provider="openai") + [tool(tool_call_id=None)]),
    Framework("vercel-6", "vercel", "vercel_agent.mjs", variables={"INTEROP_VERSION": "6"},
              session={**LANGCHAIN["session"], "user": "user-1"},
              spans=both({}, {"cache_read_tokens": 60, "reasoning_tokens": 10}, **ASKED,
                         provider="stub") + [tool()]),
    Framework("vercel-7", "vercel", "vercel_agent.mjs", variables={"INTEROP_VERSION": "7"},
              node=20,
              session={**LANGCHAIN["session"], "user": "user-1"},
              spans=[{"operation_kind": "agent"}] * 3 +
              both({}, {"cache_read_tokens": 60}, **ASKED, provider="stub") + [tool()]),
    # Four spans of two calls: each end speaks of each. Only the server knows that one failed.
    Framework("mcp", "agents", "mcp_client.py", variables=PLAIN,
              session={"errors": 1, "tool_calls": 2},
              spans=[{"operation_kind": "agent"}] +
              [{"operation_kind": "tool", "tool": "search", "kind": kind, "error_class": wrong}
               for wrongs in ((None, None), (None, "user"))
               for kind, wrong in zip(("CLIENT", "SERVER"), wrongs)]),
    Framework("mcp-adot", "agents", "mcp_client.py", variables=AWS,
              session={"errors": 1, "tool_calls": 2},
              spans=[{"operation_kind": "agent"}] +
              [{"operation_kind": "tool", "tool": "search", "kind": kind, "error_class": wrong}
               for wrongs in ((None, None), (None, "user"))
               for kind, wrong in zip(("CLIENT", "SERVER"), wrongs)]),
    Framework("claude-code", "", "claude_code.py",
              session={"agent": "claude-code", "user": "user-1", "model_calls": 1, "logs": 4,
                       "tool_calls": 1, "input_tokens": 165, "output_tokens": 20},
              common={"agent": "claude-code", "user": "user-1"},
              variables={"OTEL_SERVICE_NAME": "claude-code"},
              spans=[{"operation_kind": "agent"},
                     {"operation_kind": "model", "model": "claude-stub-1", "provider": "anthropic",
                      "input_tokens": 165, "output_tokens": 20, "cache_read_tokens": 60,
                      "cache_write_tokens": 5},
                     {"operation_kind": "tool", "tool": "Bash", "tool_call_id": "call-1",
                      "error_class": "user"}],
              checks=claude_code_signals),
]


# ---- one run -------------------------------------------------------------------------------------


def environment(framework, home, daemon, session):
    """Nothing of this machine's own telemetry, proxies or certificates may come between."""
    clean = {key: value for key, value in os.environ.items()
             if not key.startswith(("OTEL_", "AWS_", "SSL_CERT", "OPENAI_", "LANG")) and
             "proxy" not in key.lower() and not key.endswith(("CA_BUNDLE", "CA_CERTS"))}
    base = f"http://127.0.0.1:{daemon.port('http')}"
    told = {**clean, "INTEROP_SESSION": session, "OTEL_SERVICE_NAME": session,
            "INTEROP_MODULES": os.path.join(home, framework.folder),
            "OTEL_EXPORTER_OTLP_ENDPOINT": base, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    for signal in ("traces", "metrics", "logs"):
        told[f"OTEL_{signal.upper()}_EXPORTER"] = "otlp"
        # The AWS distribution points at AWS unless all three are named.
        told[f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"] = f"{base}/v1/{signal}"
    if framework.overlay:
        told["PYTHONPATH"] = os.path.join(home, framework.folder, framework.overlay)
    return {**told, **framework.variables}


def members(what, got, expected):
    for name, value in expected.items():
        if name not in got:
            yield f"{what}: {name} is not shown"
        elif not same_json(got[name], value):
            yield f"{what}: {name} is {got[name]!r}, expected {value!r}"


def spans_of(framework, shown):
    """The expected spans of each kind and SpanKind, in the order of their start."""
    kinds = {span["operation_kind"] for span in framework.spans}
    got = [span for span in shown["spans"] if span["operation_kind"] in kinds]
    if len(got) != len(framework.spans):
        yield (f"{len(framework.spans)} spans of {sorted(kinds)} expected, shown "
               f"{[(span['name'], span['operation_kind']) for span in got]}")
        return
    for expected in framework.spans:
        index = next((i for i, span in enumerate(got)
                      if span["operation_kind"] == expected["operation_kind"] and
                      expected.get("kind", span["kind"]) == span["kind"]), None)
        if index is None:
            yield f"no span left for {expected}"
            continue
        span = got.pop(index)
        yield from members(f"{span['name']} ({span['span_id']})", span,
                           {**framework.common, **expected})


def differences(framework, daemon, name):
    shown = daemon.cli_json("session", "show", name)
    yield from members("session", shown, {"session_id": name, **framework.session})
    for trace in shown["trace_list"]:
        whole = daemon.cli_json("trace", "show", trace["trace_id"])
        yield from spans_of(framework, whole)
        for span in whole["spans"]:
            yield from members(span["name"], span, {"session_id": name})
    yield from framework.checks(daemon, name)


def run(framework, home, daemon):
    """What is wrong, as a list of sentences."""
    name = f"framework-{framework.name}"
    try:
        done = subprocess.run(framework.command(home), capture_output=True, text=True, check=False,
                              timeout=120 * SLOWNESS,
                              env=environment(framework, home, daemon, name))
    except subprocess.TimeoutExpired:
        return ["the program did not end"]
    if done.returncode != 0:
        return [f"the program ended with {done.returncode}: {done.stderr[-2000:]}"]
    try:
        wrong = list(differences(framework, daemon, name))
    except (AssertionError, LookupError, TypeError, ValueError) as error:
        wrong = [f"{type(error).__name__}: {error}"]
    return wrong + ([f"the program said: {done.stderr[-1500:]}"] if wrong and done.stderr else [])


def too_old(framework):
    """Why this machine's Node cannot run it; None when it can."""
    if not framework.node:
        return None
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    major = int(version.stdout.lstrip("v").split(".")[0])
    return None if major >= framework.node else f"it takes Node {framework.node}, here is {major}"


def run_all(chosen, home):
    """Two at a time: starting an interpreter costs more than what it sends."""
    passed = failed = 0
    with Daemon() as daemon, concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = [(framework, pool.submit(timed, framework, home, daemon)) for framework in chosen]
        for framework, running in runs:
            wrong, took = running.result()
            passed, failed = passed + (not wrong), failed + bool(wrong)
            print(f"{'FAILED' if wrong else 'ok':6} {framework.name} ({took:.1f} s)", flush=True)
            for sentence in wrong:
                print(f"       {sentence}")
    return passed, failed


def timed(framework, home, daemon):
    started = time.monotonic()
    return run(framework, home, daemon), time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", required=True)
    parser.add_argument("--skip", action="append", default=[])
    parser.add_argument("-k", dest="word", default="")
    options = parser.parse_args()
    reasons = dict(text.split("=", 1) for text in options.skip)
    chosen, skipped = [], 0
    for framework in FRAMEWORKS:
        if options.word not in framework.name:
            continue
        reason = reasons.get(framework.folder) or too_old(framework)
        if reason:
            print(f"skipped: {framework.name}: {reason}")
            skipped += 1
        else:
            chosen.append(framework)
    passed, failed = run_all(chosen, os.path.abspath(options.home))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
