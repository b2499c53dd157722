"""What a client says it sent against what the daemon answers. Each function yields what differs, in
words, and nothing when all is equal. The shapes are those of docs/DESIGN.md 4.3.
"""
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import same_json  # noqa: E402

SCOPE = {"name": "interop.agent", "version": "1.2.3"}
SPAN_FIELDS = ("parent_span_id", "name", "kind", "status", "status_message", "start_unix_nano",
               "end_unix_nano", "attributes")
LOG_FIELDS = ("severity", "severity_text", "body", "trace_id", "span_id", "attributes",
              "event_name")
# name: (unit, {attributes as sorted pairs: value})
NUMBERS = {"interop.requests": ("{request}", {(("tool", "search"),): 3, (("tool", "fetch"),): 4}),
           "interop.queue": ("{item}", {(): -2}), "interop.load": ("1", {(): 0.75})}
HISTOGRAM = {"count": 3, "sum": 553.0, "min": 2.5, "max": 500.0}


def fields(what, got, sent, names):
    for name in names:
        if name not in got:
            yield f"{what}: {name} is not shown"
        elif not same_json(got[name], sent[name]):
            yield f"{what}: {name} is {got[name]!r}, sent {sent[name]!r}"


def origin(what, got, sent):
    if not same_json(got["resource"], sent["resource"]):
        yield f"{what}: resource {got['resource']!r}, sent {sent['resource']!r}"
    if {key: got["scope"].get(key) for key in SCOPE} != SCOPE:
        yield f"{what}: scope {got['scope']!r}"


# ---- traces --------------------------------------------------------------------------------------


def spans(sent, shown):
    """shown is the answer of `midwatch trace show --json`."""
    found = {span["span_id"]: span for span in shown["spans"]}
    if len(found) != len(sent["spans"]) or shown["span_count"] != len(sent["spans"]):
        yield f"{shown['span_count']} spans shown, {len(sent['spans'])} sent"
        return
    for span in sent["spans"]:
        got = found.get(span["span_id"])
        if got is None:
            yield f"span {span['span_id']} is missing"
            continue
        yield from fields(span["name"], got, span, SPAN_FIELDS)
        yield from origin(span["name"], got, sent)
        events = [{key: event[key] for key in ("name", "time_unix_nano", "attributes")}
                  for event in got["events"]]
        if not same_json(events, span["events"]):
            yield f"{span['name']}: events {events!r}, sent {span['events']!r}"


def session(name, shown, logs):
    expected = {"session_id": name, "agent": "clerk", "traces": 1, "spans": 3, "errors": 1,
                "model_calls": 1, "tool_calls": 1, "input_tokens": 321, "output_tokens": 45}
    if logs:
        expected["logs"] = 2
    yield from fields("session", shown, expected, expected)


# ---- logs ----------------------------------------------------------------------------------------


def logs(sent, service, session_id, items):
    """items is the list of GET /api/v1/logs for this service. Records that the SDK's own logging
    adds under another scope are not ours to judge."""
    ours = [item for item in items if item["scope"].get("name") == SCOPE["name"]]
    found = {item["time_unix_nano"]: item for item in ours}
    if len(ours) != len(sent["logs"]):
        yield f"{len(ours)} log records shown, {len(sent['logs'])} sent"
        return
    for record in sent["logs"]:
        what = f"log record of {record['time_unix_nano']}"
        got = found.get(record["time_unix_nano"])
        if got is None:
            yield f"{what} is missing: {sorted(found)}"
            continue
        yield from fields(what, got, record, LOG_FIELDS)
        yield from fields(what, got, {"service": service, "session_id": session_id},
                          ("service", "session_id"))
        yield from origin(what, got, sent)


# ---- metrics -------------------------------------------------------------------------------------


def series_of(daemon, name, service):
    """The series of one service: [(attributes as sorted pairs, points)]."""
    query = urllib.parse.urlencode({"service": service, "limit": 1000})
    shown = daemon.api(f"metrics/{name}?{query}")
    return [(tuple(sorted(series["attributes"].items())), series["points"])
            for series in shown["series"] if series["service"] == service]


def number_points(name, found, expected):
    if sorted(key for key, _ in found) != sorted(expected):
        yield f"{name}: series {[key for key, _ in found]!r}, sent {list(expected)!r}"
        return
    for key, points in found:
        values = [point["value"] for point in points]
        if not values or not all(same_json(value, expected[key]) for value in values):
            yield f"{name} {dict(key)!r}: values {values!r}, sent {expected[key]!r}"


def in_buckets(point):
    """How many observations the buckets of a point hold."""
    if "bucket_counts" in point:
        bounds = point["explicit_bounds"]
        if len(point["bucket_counts"]) != len(bounds) + 1 or bounds != sorted(bounds):
            return -1
        return sum(point["bucket_counts"])
    sides = [point[side]["bucket_counts"] for side in ("positive", "negative") if point[side]]
    return point["zero_count"] + sum(map(sum, sides))


def histogram_points(name, found, exponential):
    if [key for key, _ in found] != [()]:
        yield f"{name}: series {[key for key, _ in found]!r}, sent one without attributes"
        return
    for point in found[0][1]:
        if ("scale" in point) != exponential:
            yield f"{name}: {sorted(point)} is not the kind that was asked for"
            continue
        yield from fields(name, point, HISTOGRAM, HISTOGRAM)
        if in_buckets(point) != HISTOGRAM["count"]:
            yield f"{name}: the buckets of {point!r} do not hold 3 observations"


def metrics(daemon, service, exponential):
    listed = daemon.api("metrics?" + urllib.parse.urlencode({"service": service, "limit": 1000}))
    units = {item["name"]: item["unit"] for item in listed["items"]
             if service in item["services"]}
    expected = {name: unit for name, (unit, _) in NUMBERS.items()} | {"interop.latency": "ms"}
    for name, unit in expected.items():
        if units.get(name, "not listed") != unit:
            yield f"{name}: unit {units.get(name, 'not listed')!r}, sent {unit!r}"
    for name, (_, values) in NUMBERS.items():
        yield from number_points(name, series_of(daemon, name, service), values)
    yield from histogram_points("interop.latency", series_of(daemon, "interop.latency", service),
                                exponential)
