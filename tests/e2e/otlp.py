"""Just enough protobuf to write OTLP trace requests, good and bad, and to read the answers."""
import os


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
    value = string_value("deep")
    for _ in range(levels):
        value = length_field(5, length_field(1, value))
    return value


def attribute(key, value):
    """value is text or an encoded AnyValue."""
    if isinstance(value, str):
        value = string_value(value)
    return length_field(1, key) + length_field(2, value)


def span(trace_id=None, span_id=None, parent_id=b"", name="work", start=1_700_000_000_000_000_000,
         attributes=(), status=0):
    out = length_field(1, os.urandom(16) if trace_id is None else trace_id)
    out += length_field(2, os.urandom(8) if span_id is None else span_id)
    if parent_id:
        out += length_field(4, parent_id)
    out += length_field(5, name) + varint_field(6, 1)
    out += fixed64_field(7, start) + fixed64_field(8, start + 1_500_000)
    for key, value in attributes:
        out += length_field(9, attribute(key, value))
    if status:
        out += length_field(15, varint_field(3, status))
    return out


def request(spans, service="bad-otlp"):
    """An ExportTraceServiceRequest with one resource and one scope."""
    resource = length_field(1, attribute("service.name", service))
    scope_spans = b"".join(length_field(2, item) for item in spans)
    return length_field(1, length_field(1, resource) + length_field(2, scope_spans))


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
    """(rejected spans, message) of an ExportTraceServiceResponse; (0, "") when unset."""
    (partial,) = fields(body).get(1, [b""])
    inner = fields(partial)
    return inner.get(1, [0])[0], inner.get(2, [b""])[0].decode()


def status_message(body):
    """(code, message) of a google.rpc.Status."""
    found = fields(body)
    return found.get(1, [0])[0], found.get(2, [b""])[0].decode()
