"""Just enough protobuf to write OTLP requests, good and bad, and to read the answers."""
import os
import struct


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def length_field(field, content):
    if isinstance(content, str):
        content = content.encode()
    return varint(field << 3 | 2) + varint(len(content)) + content


def varint_field(field, number):
    return varint(field << 3) + varint(number)


def fixed64_field(field, number):
    return varint(field << 3 | 1) + number.to_bytes(8, "little")


def string_value(text):
    return length_field(1, text)


def nested_value(levels):
    """A string inside `levels` ArrayValues: AnyValue > ArrayValue > AnyValue > ..."""
    heads, size = [], len(string_value("deep"))
    for _ in range(levels):
        array = b"\x0a" + varint(size)
        heads.append(b"\x2a" + varint(len(array) + size) + array)
        size += len(heads[-1])
    return b"".join(reversed(heads)) + string_value("deep")


def attribute(key, value):
    """value is text or an encoded AnyValue."""
    if isinstance(value, str):
        value = string_value(value)
    return length_field(1, key) + length_field(2, value)


START = 1_700_000_000_000_000_000


def double_field(field, number):
    return varint(field << 3 | 1) + struct.pack("<d", number)


def span(trace_id=None, span_id=None, parent_id=b"", name="work", start=START, attributes=(),
         status=0, end=None):
    out = length_field(1, os.urandom(16) if trace_id is None else trace_id)
    out += length_field(2, os.urandom(8) if span_id is None else span_id)
    if parent_id:
        out += length_field(4, parent_id)
    out += length_field(5, name) + varint_field(6, 1)
    out += fixed64_field(7, start) + fixed64_field(8, start + 1_500_000 if end is None else end)
    for key, value in attributes:
        out += length_field(9, attribute(key, value))
    if status:
        out += length_field(15, varint_field(3, status))
    return out


def enclose(items, service, item_field=2):
    """One resource, one scope: the envelope is the same for all signals."""
    resource = length_field(1, attribute("service.name", service))
    scope = b"".join(length_field(item_field, item) for item in items)
    return length_field(1, length_field(1, resource) + length_field(2, scope))


def request(spans, service="bad-otlp"):
    """An ExportTraceServiceRequest with one resource and one scope."""
    return enclose(spans, service)


def log_record(body="something happened", time=START, attributes=(), trace_id=b"", span_id=b"",
               severity=9):
    """body is text or an encoded AnyValue."""
    if isinstance(body, str):
        body = string_value(body)
    out = fixed64_field(1, time) + varint_field(2, severity) + length_field(5, body)
    for key, value in attributes:
        out += length_field(6, attribute(key, value))
    out += length_field(9, trace_id) if trace_id else b""
    out += length_field(10, span_id) if span_id else b""
    return out + fixed64_field(11, time)


def logs_request(records, service="bad-otlp"):
    """An ExportLogsServiceRequest."""
    return enclose(records, service)


GAUGE, SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY = 5, 7, 9, 10, 11
DELTA, CUMULATIVE = 1, 2


def number_point(value=5, time=START, attributes=()):
    """A NumberDataPoint; value None is left out."""
    out = fixed64_field(2, START - 10 ** 9) + fixed64_field(3, time)
    if isinstance(value, float):
        out += double_field(4, value)
    elif value is not None:
        out += fixed64_field(6, value % 2 ** 64)
    return out + b"".join(length_field(7, attribute(key, content)) for key, content in attributes)


def packed_fixed64(field, numbers):
    return length_field(field, b"".join(number.to_bytes(8, "little") for number in numbers))


def packed_double(field, numbers):
    return length_field(field, struct.pack(f"<{len(numbers)}d", *numbers))


def histogram_point(count, buckets, bounds, time=START):
    return (fixed64_field(2, START - 10 ** 9) + fixed64_field(3, time) + fixed64_field(4, count) +
            double_field(5, 1.5) + packed_fixed64(6, buckets) + packed_double(7, bounds))


def zigzag(number):
    return number << 1 if number >= 0 else (-number << 1) - 1


def exponential_point(scale=3, count=6, zero_count=1, offset=-2, buckets=(2, 3), time=START):
    side = varint_field(1, zigzag(offset)) + length_field(2, b"".join(map(varint, buckets)))
    return (fixed64_field(2, START - 10 ** 9) + fixed64_field(3, time) + fixed64_field(4, count) +
            double_field(5, 9.5) + varint_field(6, zigzag(scale)) + fixed64_field(7, zero_count) +
            length_field(8, side))


def metric(points, kind=GAUGE, name="a.metric", temporality=CUMULATIVE):
    content = b"".join(length_field(1, point) for point in points)
    if kind in (SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM):
        content += varint_field(2, temporality)
    return length_field(1, name) + length_field(3, "1") + length_field(kind, content)


def metrics_request(metrics, service="bad-otlp"):
    """An ExportMetricsServiceRequest."""
    return enclose(metrics, service)


def fields(message):
    """{field: [values]}: integers for varints, bytes for the rest."""
    found, at = {}, 0

    def read_varint():
        nonlocal at
        number = shift = 0
        while True:
            byte = message[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number
    while at < len(message):
        tag = read_varint()
        wire = tag & 7
        if wire == 0:
            value = read_varint()
        else:
            size = {1: 8, 5: 4}.get(wire)
            if size is None:
                size = read_varint()
            if at + size > len(message):
                raise ValueError("truncated protobuf")
            value = message[at:at + size]
            at += size
        found.setdefault(tag >> 3, []).append(value)
    return found


def partial_success(body):
    """(rejected items, message) of an Export*ServiceResponse; (0, "") when unset."""
    (partial,) = fields(body).get(1, [b""])
    inner = fields(partial)
    return inner.get(1, [0])[0], inner.get(2, [b""])[0].decode()


def status_message(body):
    """(code, message) of a google.rpc.Status."""
    found = fields(body)
    return found.get(1, [0])[0], found.get(2, [b""])[0].decode()
