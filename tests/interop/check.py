#!/usr/bin/env python3
"""Runs every client in its transports against three daemons (clear text, TLS, client certificates)
and compares what the API shows with what the client says it sent.

    tests/interop/check.py --home DIR [--skip CLIENT=REASON]... [-k WORD]
        (MIDWATCH_BUILD set; clients installed below DIR by tests/interop/run.sh)

INTEROP_SIGNALS (default "traces logs metrics") limits what is compared, for looking at one signal.
One line a variant; last line "N passed, N failed, N skipped".
"""
import argparse
import concurrent.futures
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "e2e"), HERE]
import compare  # noqa: E402
from harness import SLOWNESS, Daemon  # noqa: E402
from test_tls import Certificates  # noqa: E402

SIGNALS = os.environ.get("INTEROP_SIGNALS", "traces logs metrics").split()
# How each protocol is taken: clear text plain and packed, TLS packed, client certificates plain.
WAYS = (("none", "plain"), ("gzip", "plain"), ("gzip", "tls"), ("none", "mtls"))


class Client:
    """How to start one client, and what it offers."""

    def __init__(self, name, command, protocols, **more):
        self.name, self.command, self.protocols = name, command, protocols
        self.exponential = more.get("exponential", True)
        self.per_signal = more.get("per_signal", False)
        self.exporter = more.get("exporter", "otlp")
        self.variables = more.get("variables", {})

    def variants(self):
        return [(protocol, *way) for protocol in self.protocols for way in WAYS]


def clients(home):
    def under(*path):
        return os.path.join(home, *path)

    def python(folder):
        return [under(folder, "bin", "opentelemetry-instrument"), under(folder, "bin", "python"),
                os.path.join(HERE, "clients", "python", "agent.py")]
    both = ("http/protobuf", "grpc")
    # The AWS distribution points at AWS unless the endpoints of all signals are named. It must not
    # look for credentials or a region on a network that is not there.
    aws = {"AGENT_OBSERVABILITY_ENABLED": "true", "AWS_REGION": "us-east-1",
           "AWS_EC2_METADATA_DISABLED": "true"}
    return [
        # This version of the JavaScript SDK does not know the variable for exponential histograms.
        Client("javascript", ["node", os.path.join(HERE, "clients", "javascript", "agent.js")],
               (*both, "http/json"), exponential=False,
               variables={"INTEROP_MODULES": under("javascript")}),
        Client("python", python("python"), both),
        Client("python-json", python("python-json"), ("http/json",),
               exporter="otlp_json_http"),
        Client("adot-python", python("adot-python"), both, per_signal=True, variables=aws),
        Client("go", [under("go", "agent")], both),
        Client("java", ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp",
                        under("java", "classes") + ":" + under("java", "lib", "*"), "Agent"], both),
        Client("curl", [sys.executable, os.path.join(HERE, "clients", "curl", "agent.py")],
               ("http/json",), exponential=False),
    ]


# ---- one variant ---------------------------------------------------------------------------------


def endpoints(client, daemon, protocol, security):
    scheme = "http" if security == "plain" else "https"
    port = daemon.port("grpc" if protocol == "grpc" else "http")
    base = f"{scheme}://localhost:{port}"
    if not client.per_signal:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": base}
    return {f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT":
            base if protocol == "grpc" else f"{base}/v1/{signal}"
            for signal in ("traces", "metrics", "logs")}


def secrets(certificates, security):
    if security == "plain":
        return {}
    files = {"OTEL_EXPORTER_OTLP_CERTIFICATE": certificates.path("ca.pem")}
    if security == "mtls":
        certificate, key = certificates.pair("client")
        files |= {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": certificate,
                  "OTEL_EXPORTER_OTLP_CLIENT_KEY": key}
    return files


def environment(client, variant, daemon, certificates, name):
    protocol, compression, security = variant
    # Neither a proxy nor this machine's own list of CAs may come between.
    clean = {key: value for key, value in os.environ.items()
             if not key.startswith(("OTEL_", "AWS_", "SSL_CERT")) and "proxy" not in key.lower() and
             not key.endswith(("CA_BUNDLE", "CA_CERTS"))}
    # "none" is said by leaving the variable out: not every client knows the word.
    packed = {"OTEL_EXPORTER_OTLP_COMPRESSION": compression} if compression != "none" else {}
    # Said both ways, since the AWS distribution has another default than the SDKs.
    shape = "base2_exponential_bucket" if exponential(client, variant) else "explicit_bucket"
    return {**clean, **packed, "INTEROP_SESSION": name, "OTEL_SERVICE_NAME": name,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": shape + "_histogram",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=interop,team=night",
            **endpoints(client, daemon, protocol, security), **secrets(certificates, security),
            **{f"OTEL_{signal.upper()}_EXPORTER": client.exporter if signal in SIGNALS else "none"
               for signal in ("traces", "metrics", "logs")}, **client.variables}


def exponential(client, variant):
    return client.exponential and variant[1] == "gzip"


def differences(client, variant, daemon, name, sent):
    if "traces" in SIGNALS:
        yield from compare.spans(sent, daemon.cli_json("trace", "show", sent["trace_id"]))
        yield from compare.session(name, daemon.cli_json("session", "show", name),
                                   "logs" in SIGNALS)
    if "logs" in SIGNALS:
        query = urllib.parse.urlencode({"service": name, "limit": 1000})
        yield from compare.logs(sent, name, name, daemon.api("logs?" + query)["items"])
    if "metrics" in SIGNALS:
        yield from compare.metrics(daemon, name, exponential(client, variant))


def run_variant(client, variant, daemon, certificates):
    """What is wrong, as a list of sentences, and the seconds it took."""
    name = "-".join(["interop", client.name, *variant]).replace("/", "-")
    started = time.monotonic()
    try:
        done = subprocess.run(client.command, capture_output=True, text=True, check=False,
                              timeout=60 * SLOWNESS,
                              env=environment(client, variant, daemon, certificates, name))
    except subprocess.TimeoutExpired:
        return ["the client did not end"], time.monotonic() - started
    took = time.monotonic() - started
    if done.returncode != 0:
        return [f"the client ended with {done.returncode}: {done.stderr[-2000:]}"], took
    try:
        sent = json.loads(done.stdout.strip().splitlines()[-1])
        wrong = list(differences(client, variant, daemon, name, sent))
    except (AssertionError, LookupError, TypeError, ValueError) as error:
        wrong = [f"{type(error).__name__}: {error}"]
    if wrong and done.stderr:
        wrong.append(f"the client said: {done.stderr[-2000:]}")
    return wrong, took


# ---- all -----------------------------------------------------------------------------------------


def start_daemons(stack, certificates):
    certificates.install("server")
    arguments = {"plain": [], "tls": certificates.options(),
                 "mtls": certificates.options("--tls-client-ca", certificates.path("ca.pem"))}
    return {security: stack.enter_context(Daemon(arguments=options))
            for security, options in arguments.items()}


def run_all(chosen, daemons, certificates):
    """Two at a time: starting an interpreter costs more than what it sends."""
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = [(client, variant, pool.submit(run_variant, client, variant, daemons[variant[2]],
                                              certificates))
                for client in chosen for variant in client.variants()]
        for client, variant, run in runs:
            wrong, took = run.result()
            passed, failed = passed + (not wrong), failed + bool(wrong)
            print(f"{'FAILED' if wrong else 'ok':6} {client.name} {' '.join(variant)} "
                  f"({took:.1f} s)", flush=True)
            for sentence in wrong:
                print(f"       {sentence}")
    return passed, failed


def stored_once(chosen, daemons):
    """Each daemon holds three spans of every variant that was sent to it, and no other."""
    for security, daemon in daemons.items():
        variants = sum(variant[2] == security for client in chosen
                       for variant in client.variants())
        stored = daemon.api("status")["stored"]["spans"]
        if stored != 3 * variants:
            yield f"{security}: {stored} spans stored, {3 * variants} sent"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", required=True)
    parser.add_argument("--skip", action="append", default=[])
    parser.add_argument("-k", dest="word", default="")
    options = parser.parse_args()
    reasons = dict(text.split("=", 1) for text in options.skip)
    home = os.path.abspath(options.home)
    known = [client for client in clients(home) if options.word in client.name]
    skipped = 0
    for client in known:
        if client.name in reasons:
            print(f"skipped: {client.name}: {reasons[client.name]}")
            skipped += len(client.variants())
    certificates = Certificates()
    try:
        with contextlib.ExitStack() as stack:
            daemons = start_daemons(stack, certificates)
            chosen = [client for client in known if client.name not in reasons]
            passed, failed = run_all(chosen, daemons, certificates)
            if not failed and "traces" in SIGNALS:
                wrong = list(stored_once(chosen, daemons))
                passed, failed = passed + (not wrong), failed + bool(wrong)
                print(f"{'FAILED' if wrong else 'ok':6} stored once", *wrong, sep="\n       ")
    finally:
        certificates.remove()
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
