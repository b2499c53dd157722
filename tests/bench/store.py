"""The store under the bench: what merging costs and leaves, and how fast questions are answered.

Parts of run.py (a few million spans, minutes) and of run_long.py (tens of millions). Each function
takes a running server that measure.py can look into and prints its figures with the bars of
docs/DESIGN.md 6.
"""
import http.client
import json
import os
import random
import subprocess
import time

import measure

SPANS = 512
TRACES = SPANS // 16
MASK = (1 << 64) - 1


# ---- the load, as tests/bench/load_body.h makes it ---------------------------------------------


def mix(x):
    x = x + 0x9e3779b97f4a7c15 & MASK
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9 & MASK
    x = (x ^ x >> 27) * 0x94d049bb133111eb & MASK
    return x ^ x >> 31


def trace_id(seed, request, trace):
    """load_trace_id: as it stands in the API's paths."""
    high = mix(seed ^ mix(request * 4096 + trace & MASK))
    low = mix(high ^ seed)
    return (high.to_bytes(8, "little") + low.to_bytes(8, "little")).hex()


def session_id(seed, request, trace):
    return f"sess-{mix(seed + request * 4096 + trace // 4 & MASK):016x}"


# ---- questions ----------------------------------------------------------------------------------


class Asker:
    """One connection to the API that is kept."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.daemon.port("web"),
                                                     timeout=120)

    def ask(self, path):
        """Seconds until the whole answer was there, and the answer."""
        begin = time.perf_counter()
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        body = response.read()
        seconds = time.perf_counter() - begin
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {body[:300]!r}")
        return seconds, json.loads(body)

    def status(self):
        return self.ask("/api/v1/status")[1]

    def times(self, paths):
        return sorted(self.ask(path)[0] * 1000 for path in paths)


def quantile(times, q):
    return times[min(len(times) - 1, int(q * len(times)))]


def figures(times):
    return f"p50 {quantile(times, 0.5):.1f} ms, p99 {quantile(times, 0.99):.1f} ms"


def wait_until_merged(asker, patience=600):
    """Until nothing of the log waits to be merged; seconds that it took."""
    begin = time.monotonic()
    while time.monotonic() - begin < patience:
        if asker.status()["store"]["unmerged_bytes"] == 0:
            return time.monotonic() - begin
        time.sleep(0.2)
    raise RuntimeError("the log was not merged in time")


def zstd_bytes(bodies=16, signal="traces"):
    """Bytes an item of such requests under zstd 3, one frame a request; None without zstd."""
    from harness import LOADER
    total = 0
    for seed in range(bodies):
        body = subprocess.run([LOADER, "body", "--signal", signal, "--seed", str(seed * 1000)],
                              capture_output=True, check=True).stdout
        try:
            total += len(subprocess.run(["zstd", "-3", "-c"], input=body, capture_output=True,
                                        check=True).stdout)
        except FileNotFoundError:
            return None
    return total / (bodies * SPANS)


# ---- filling ------------------------------------------------------------------------------------


def fill(server, requests, seed, transport="http", in_flight=4, extra=()):
    """Loads and waits until all is merged; figures of the whole."""
    asker = Asker(server)
    measure.settle(server.pid)
    before = {"cpu": measure.cpu_seconds(server.pid),
              "off": measure.thread_cpu_seconds(server.pid),
              "device": measure.device_bytes(server.pid)}
    memory = measure.PeakMemory(server.pid)
    memory.start()
    result = measure.load(server, transport, "--requests", requests, "--seconds", 3600,
                          "--in-flight", in_flight, "--seed", seed, *extra)
    result["merge_s"] = wait_until_merged(asker)
    measure.settle(server.pid)
    items = max(result["spans_acknowledged"], 1)
    result["peak_mib"] = memory.stop()
    result["cpu_us"] = (measure.cpu_seconds(server.pid) - before["cpu"]) * 1e6 / items
    result["off_us"] = (measure.thread_cpu_seconds(server.pid) - before["off"]) * 1e6 / items
    result["device"] = (measure.device_bytes(server.pid) - before["device"]) / items
    result["spans_per_cpu_s"] = 1e6 / max(result["cpu_us"], 1e-9)
    return result


def print_fill(name, result):
    bar = 280 if name == "grpc" else 300
    print(f"{name}: {result['spans_acknowledged'] / 1e6:.2f} M spans, "
          f"{result['spans_per_cpu_s'] / 1000:.0f} k/CPU s with all that follows (bar {bar} k); "
          f"off the path {result['off_us']:.2f} us a span (bar 1.5)", flush=True)
    print(f"      {result['device']:.0f} device bytes a span (bar 400); peak "
          f"{result['peak_mib']:.0f} MiB (bar 300); merged {result['merge_s']:.1f} s after the last "
          f"answer", flush=True)
    measure.report_losses([result])


def print_disk(server, spans):
    """What lies on disk while the server runs, and after it was stopped."""
    running = measure.disk_bytes(server.data) / spans
    server.stop()
    stopped, zstd = measure.disk_bytes(server.data) / spans, zstd_bytes()
    against = f", {stopped / zstd:.2f} x of zstd 3 ({zstd:.0f}; bar 1.0 x)" if zstd else ""
    print(f"      {stopped:.0f} bytes on disk a span after merging and a clean stop{against}; "
          f"{running:.0f} before the stop, with files of the log that are used again", flush=True)


# ---- look-ups -----------------------------------------------------------------------------------


def print_lookups(server, requests, seed, rounds=300):
    asker, chance = Asker(server), random.Random(1)

    def anywhere():
        return chance.randrange(requests), chance.randrange(TRACES)

    traces = [f"/api/v1/traces/{trace_id(seed, *anywhere())}" for _ in range(rounds)]
    asker.times(traces[:20])
    print(f"trace by id: {figures(asker.times(traces))} (bar 20)", flush=True)
    sessions = [f"/api/v1/sessions/{session_id(seed, *anywhere())}" for _ in range(rounds // 3)]
    print(f"session by id: {figures(asker.times(sessions))}", flush=True)
    for noun, bar in (("sessions", "50"), ("traces", "50")):
        times = asker.times([f"/api/v1/{noun}?limit=100"] * 30)
        print(f"newest 100 {noun}: {figures(times)} (bar {bar})", flush=True)
    rare = [f"/api/v1/spans?limit=50&attribute=session.id={session_id(seed, *anywhere())}"
            for _ in range(10)]
    print(f"attribute equality, first 50, a value of 64 spans: {figures(asker.times(rare))} "
          f"(bar 1000)", flush=True)
    common = ["/api/v1/spans?limit=50&attribute=app.customer.tier=gold"] * 10
    print(f"      a value of every third span: {figures(asker.times(common))}", flush=True)
    absent = [f"/api/v1/spans?limit=50&attribute=app.customer.tier=none{i}" for i in range(5)]
    print(f"      a value that no span has: {figures(asker.times(absent))}", flush=True)
    graph = asker.times(["/api/v1/topology"] * 20)
    red = asker.times(["/api/v1/services?operations=true"] * 20)
    print(f"newest 30 minutes: service graph {figures(graph)}, RED {figures(red)} (bar 50)",
          flush=True)


# ---- filters ------------------------------------------------------------------------------------

RARE = 10  # traces that have what hardly any has


def rare_request(number):
    """A trace with rare names and sums, its own session, and one that ends at once."""
    import otlp
    start = time.time_ns()

    def span(at, name, operation, longest_ns, attributes, n):
        return otlp.span(bytes.fromhex(trace_id(77, number, n)), (at + 1).to_bytes(8, "big"),
                         b"" if at == 0 else (1).to_bytes(8, "big"), name, start,
                         [("gen_ai.operation.name", operation), ("session.id", f"rare-{n}-{number}"),
                          *attributes], 0, start + longest_ns)

    tokens = otlp.varint_field(3, 3_000_000)
    rare = [("app.rare", "yes"), ("user.id", "user-rare"), ("gen_ai.agent.name", "agent-rare")]
    spans = [span(0, "invoke needle", "invoke_agent", 500 * 10 ** 9, rare, 0),
             span(1, "chat", "chat", 10 ** 9, [("gen_ai.request.model", "model-rare"),
                                               ("gen_ai.usage.input_tokens", tokens)], 0),
             span(2, "run tool", "execute_tool", 10 ** 9, [("gen_ai.tool.name", "tool-rare")], 0),
             span(0, "short", "invoke_agent", 1000, [], 1)]
    return otlp.request(spans, "service-rare")


def rare_logs(number):
    import signals
    attributes = [("app.rare", "yes"), ("gen_ai.agent.name", "agent-rare"),
                  ("session.id", f"rare-0-{number}")]
    record = signals.log(time.time_ns(), "a needle in it", 21, attributes=attributes, event="rare")
    return signals.request([record], "service-rare")


def fill_mixed(server, requests, seed):
    """Mixed spans, and log records of every eighth request's traces; rare ones between them."""
    import signals
    asker, part = Asker(server), requests // RARE
    moments = []
    for number in range(RARE):
        moments.append(time.time_ns())
        for path, body in (("/v1/traces", rare_request(number)), ("/v1/logs", rare_logs(number))):
            answer = signals.post(server.daemon, path, body)
            assert answer.status == 200, answer.body
        for extra, count in ((("--mixed",), part), (("--signal", "logs"), part // 8)):
            measure.load(server, "http", "--requests", count, "--seconds", 3600, "--in-flight", 4,
                         "--seed", seed + (number << 40), *extra)
    wait_until_merged(asker)
    return moments


def filter_rows(noun, moments):
    """Of each filter: its name, and a query that many fit, one that few do, one that none does."""
    middle = moments[len(moments) // 2]
    names = {"agent": "agent-3", "model": "model-5", "tool": "tool-7", "user": "user-77"}
    rows = [("service", "service=support-agent", "service=service-rare", "service=nobody")]
    rows += [(key, f"{key}={common}", f"{key}={key}-rare", f"{key}={key}-none")
             for key, common in names.items() if noun != "logs" or key == "agent"]
    rows.append(("attribute", "attribute=app.customer.tier=gold", "attribute=app.rare=yes",
                 "attribute=app.rare=no"))
    rows.append(("time", f"until={middle}", f"since={middle}&until={middle + 10 ** 7}",
                 "until=2001-01-01"))
    if noun == "logs":
        rows[1] = ("agent", "agent=support", "agent=agent-rare", "agent=agent-none")
        rows.append(("severity", "severity=ERROR", "severity=FATAL", "severity=24"))
        rows.append(("text", "text=refund", "text=needle", "text=nowhere"))
        rows.append(("event", None, "event=rare", "event=none"))
        return rows
    rows.append(("errors", "errors=true", "errors=true&agent=agent-rare", "errors=true&user=none"))
    rows.append(("duration", "duration_min_ms=900", "duration_min_ms=400000",
                 "duration_min_ms=5000000"))
    rows.append(("shortest", "duration_max_ms=50000", "duration_max_ms=0.5", "duration_max_ms=0"))
    if noun == "spans":
        rows.append(("name", "name=invoke_agent%20support", "name=invoke%20needle", "name=nobody"))
        return rows
    rows.append(("tokens", "tokens_min=1000", "tokens_min=2000000", "tokens_min=1000000000"))
    rows.append(("text", "text=chat", "text=needle", "text=nowhere"))
    rows.append(("both", "agent=agent-3&tokens_min=1000", "agent=agent-3&tokens_min=60000",
                 "tool=tool-7&tokens_min=1000000000"))
    return rows


def print_filters(server, moments, rounds=9):
    """Times of the first page of each list under each filter; the first question of each is told by
    itself, since sums over traces are made by it."""
    asker, worst = Asker(server), []
    for noun in ("sessions", "traces", "spans", "logs"):
        for name, *queries in filter_rows(noun, moments):
            shown = []
            for kind, query in zip(("many", "few", "none"), queries):
                if query is None:
                    continue
                path = f"/api/v1/{noun}?limit=100&{query}"
                first, answer = asker.ask(path)
                times = asker.times([path] * (rounds if first < 2 else 3))
                worst.append((quantile(times, 0.99), f"{noun} {query}"))
                shown.append(f"{kind} ({len(answer['items'])}) {quantile(times, 0.5):.0f}/"
                             f"{quantile(times, 0.99):.0f}, first {first * 1000:.0f}")
            print(f"{noun} by {name}: {'; '.join(shown)} ms", flush=True)
    print("slowest: " + "; ".join(f"{what} {ms:.0f} ms" for ms, what in sorted(worst)[:-6:-1]) +
          " (p99; bar 1000)", flush=True)


def drop_caches():
    """Makes the next reads go to the disk; False where that is not allowed."""
    try:
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as control:
            control.write("3")
        return True
    except OSError:
        return False


def print_start(server, requests, seed):
    """Starts a stopped server on its data: time to ready, and the first look-ups."""
    cold = drop_caches()
    begin = time.perf_counter()
    server.__enter__()
    ready = time.perf_counter() - begin
    idle = measure.resident_mib(server.pid)
    asker = Asker(server)
    first = asker.ask(f"/api/v1/traces/{trace_id(seed, requests // 2, 3)}")[0] * 1000
    newest = asker.ask("/api/v1/sessions?limit=100")[0] * 1000
    print(f"start to ready, caches {'dropped' if cold else 'warm'}: {ready * 1000:.0f} ms (bar "
          f"1000); then a trace {first:.1f} ms, the newest sessions {newest:.1f} ms; resident "
          f"{idle:.1f} MiB", flush=True)


# ---- the graph ----------------------------------------------------------------------------------

EDGES = (("support-agent", "model-gateway"), ("support-agent", "orders"),
         ("order-tools", "model-gateway"), ("order-tools", "orders"))


def check_graph(asker, pairs):
    """Every call once: 3 calls of each kind a trace, half of the traces of either caller."""
    _, graph = asker.ask("/api/v1/topology")
    calls = {(edge["caller"], edge["callee"]): edge["calls"] for edge in graph["edges"]}
    expected = {edge: pairs * TRACES // 2 * 3 for edge in EDGES}
    wrong = {edge: (calls.get(edge, 0), expected.get(edge, 0))
             for edge in set(calls) | set(expected)
             if calls.get(edge, 0) != expected.get(edge, 0)}
    return wrong


def print_graph(server, seed, distance, pairs, transport):
    """Both sides of each call in different requests, `distance` requests apart; asked when all was
    taken, until all is merged, and after a start."""
    asker = Asker(server)
    result = measure.load(server, transport, "--requests", 2 * pairs, "--seconds", 600,
                          "--in-flight", 16, "--seed", seed, "--split", distance)
    if result["acknowledged"] != 2 * pairs:
        print(f"      only {result['acknowledged']} of {2 * pairs} requests were taken", flush=True)
        return
    wrong = [check_graph(asker, pairs)]
    while asker.status()["store"]["unmerged_bytes"] > 0:
        wrong.append(check_graph(asker, pairs))
        time.sleep(0.2)
    wrong.append(check_graph(asker, pairs))
    server.daemon.restart()
    wrong.append(check_graph(Asker(server), pairs))
    found = [edges for edges in wrong if edges]
    print(f"graph, {transport}, callers and callees {distance} requests apart in either order, "
          f"{pairs} pairs: asked {len(wrong)} times before, while and after all is merged and after "
          f"a start, edges wrong {len(found)} times {found[-1:] or ''}", flush=True)
