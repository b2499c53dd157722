"""Public peers that keep what they get: ClickHouse of Debian's package, the Collector's file exporter.

Neither answers what midwatch answers: ClickHouse is handed ready rows (OTLP is decoded here, and
its CPU is not counted) and does not sync before it answers; the Collector writes behind its answer
and finds nothing again. So they bound what the same spans cost elsewhere.
"""
import os
import struct
import subprocess

import measure
from servers import ClickHouse, Collector, build_collector

# As many distinct requests as the load has; each round repeats them under fresh ids, as it does.
BODIES, ROUNDS = 200, 5

TABLE = """CREATE TABLE spans (trace_id FixedString(16), span_id FixedString(8),
parent_id FixedString(8), start UInt64, duration UInt64, kind UInt8, status UInt8, name String,
service String, session String, resource_keys Array(String), resource_values Array(String),
keys Array(String), values Array(String)) ENGINE = MergeTree() PARTITION BY tuple()
ORDER BY (service, start)"""


# ---- spans to rows ------------------------------------------------------------------------------


def leb(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def text(value):
    return leb(len(value)) + value


def texts(values):
    return leb(len(values)) + b"".join(map(text, values))


def value_text(any_value):
    from otlp import fields
    for values in fields(any_value).values():
        return values[0] if isinstance(values[0], bytes) else str(values[0]).encode()
    return b""


def attributes(message):
    from otlp import fields
    pairs = {}
    for attribute in message:
        pair = fields(attribute)
        pairs[pair[1][0]] = value_text(pair.get(2, [b""])[0])
    return pairs


def rows_of(body):
    """Each span as what stands behind its two ids in a RowBinary row."""
    from otlp import fields
    for resource_spans in map(fields, fields(body)[1]):
        resource = attributes(fields(resource_spans[1][0])[1])
        for scope_spans in map(fields, resource_spans[2]):
            for span in map(fields, scope_spans[2]):
                yield row_of(span, resource)


def row_of(span, resource):
    pairs = attributes(span[9])
    start, end = (int.from_bytes(span[field][0], "little") for field in (7, 8))
    head = struct.pack("<QQBB", start, end - start, span.get(6, [0])[0], 2 if 15 in span else 0)
    return (span.get(4, [bytes(8)])[0] + head + text(span[5][0])
            + text(resource[b"service.name"]) + text(pairs.get(b"session.id", b""))
            + texts(list(resource)) + texts(list(resource.values()))
            + texts(list(pairs)) + texts(list(pairs.values())))


def make_rows():
    from harness import LOADER
    rows = []
    for seed in range(BODIES):
        body = subprocess.run([LOADER, "body", "--seed", str(seed * 1000)], capture_output=True,
                              check=True).stdout
        rows += rows_of(body)
    return rows


def insert_all(server, rows):
    """Ids fresh in every round, as the load's are."""
    for _ in range(ROUNDS):
        batch = b"".join(os.urandom(24) + row for row in rows)
        server.query("INSERT INTO spans FORMAT RowBinary", batch)
    return ROUNDS * len(rows)


def table_bytes(server):
    return int(server.query("SELECT sum(bytes_on_disk) FROM system.parts WHERE active"))


# ---- runs ---------------------------------------------------------------------------------------


def bench_clickhouse():
    if not ClickHouse.binary:
        print("skipped: clickhouse: no clickhouse-server (Debian package clickhouse-server)",
              flush=True)
        return
    rows = make_rows()
    with ClickHouse() as server:
        server.query(TABLE)
        before, device = measure.cpu_seconds(server.pid), measure.device_bytes(server.pid)
        count = insert_all(server, rows)
        measure.settle(server.pid)
        cpu = measure.cpu_seconds(server.pid) - before
        fresh = table_bytes(server) / count
        server.query("OPTIMIZE TABLE spans FINAL")
        measure.settle(server.pid)
        merged = table_bytes(server) / count
        device = (measure.device_bytes(server.pid) - device) / count
        print(f"ClickHouse, ready rows, {len(rows)} an insert: "
              f"{count / cpu / 1000:.0f} k rows/CPU s; {fresh:.0f} bytes a row, {merged:.0f} after "
              f"a full merge, {device:.0f} device bytes; resident "
              f"{measure.resident_mib(server.pid):.0f} MiB", flush=True)


def bench_collector(options):
    binary, why_not = build_collector(options.build)
    if why_not:
        print(why_not, flush=True)
        return
    runs = [measure.measure(Collector(binary, to_file=True),
                            ["http", "--in-flight", 4, "--seconds", options.seconds])
            for _ in range(options.repeats)]
    print(f"Collector, file exporter (zstd): {measure.median(runs, 'per_cpu_s') / 1000:.0f} k "
          f"spans/CPU s, {measure.median(runs, 'disk_per_item'):.0f} bytes a span, peak "
          f"{measure.median(runs, 'peak_mib'):.0f} MiB", flush=True)


def bench_peers(options):
    bench_clickhouse()
    bench_collector(options)
