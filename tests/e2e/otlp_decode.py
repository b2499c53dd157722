"""OTLP requests as plain values, for comparing what was sent with what comes back.

The schema is read from proto/*.proto, which the daemon's OTLP/JSON does not use. A message is a dict
by lowerCamelCase names, as OTLP/JSON has it: ids hex, other bytes base64, 64-bit integers text, enums
numbers. `plain` brings both decoded wire bytes and a body that came as JSON to one form: what says
nothing (null, unknown keys, empty lists, a default where presence means nothing) is left out.
"""
import base64
import glob
import json
import math
import os
import re
import struct

PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../proto")
REQUESTS = {"traces": "ExportTraceServiceRequest", "logs": "ExportLogsServiceRequest",
            "metrics": "ExportMetricsServiceRequest"}
VARINTS = {"int32", "int64", "uint32", "uint64", "sint32", "bool", "enum"}
FIXED = {"fixed64": "<Q", "sfixed64": "<q", "double": "<d", "fixed32": "<I"}
LONG = {"int64", "uint64", "fixed64", "sfixed64"}
IDS = {"traceId", "spanId", "parentSpanId"}


class Field:
    def __init__(self, name, kind, repeated, presence):
        self.name, self.kind, self.repeated, self.presence = name, kind, repeated, presence


def camel(snake):
    return re.sub("_([a-z0-9])", lambda match: match.group(1).upper(), snake)


def read_schema():
    messages, enums = {}, set()
    text = "\n".join(open(path, encoding="utf-8").read()
                     for path in glob.glob(os.path.join(PROTO, "otlp_*.proto")))
    text = re.sub("//[^\n]*", "", text)
    stack = []
    for line in re.split("[;{\n]|(?=})", text):
        words = line.strip()
        if match := re.match(r"(message|enum|oneof|service|rpc)\s+(\w+)", words):
            kind, name = match.groups()
            stack.append((kind, name))
            if kind == "message":
                messages[name] = {}
            if kind == "enum":
                enums.add(name)
        elif words.startswith("}"):
            stack.pop()
        elif match := re.match(r"(repeated\s+)?([\w.]+)\s+(\w+)\s*=\s*(\d+)", words):
            repeated, kind, name, number = match.groups()
            owner = [name for level, name in stack if level == "message"]
            if not owner or stack[-1][0] == "enum" or name.endswith("_strindex"):
                continue
            messages[owner[-1]][int(number)] = Field(camel(name), kind.rpartition(".")[2],
                                                     bool(repeated), stack[-1][0] == "oneof")
    return messages, enums


MESSAGES, ENUMS = read_schema()


def varint(body, at):
    number = shift = 0
    while True:
        byte = body[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number & (1 << 64) - 1, at


def wire_fields(body):
    """(number, wire type, value) one after the other; groups are passed over."""
    at, groups = 0, []
    while at < len(body):
        tag, at = varint(body, at)
        number, kind = tag >> 3, tag & 7
        value = None
        if kind == 0:
            value, at = varint(body, at)
        elif kind == 1:
            value, at = body[at:at + 8], at + 8
        elif kind == 5:
            value, at = body[at:at + 4], at + 4
        elif kind == 2:
            size, at = varint(body, at)
            value, at = body[at:at + size], at + size
        elif kind == 3:
            groups.append(number)
        elif kind == 4:
            groups.pop()
        if not groups and kind not in (3, 4):
            yield number, kind, value


def number_value(kind, raw):
    if kind in FIXED:
        value = struct.unpack(FIXED[kind], raw)[0]
    elif kind == "sint32":
        value = raw >> 1 ^ -(raw & 1)
    elif kind == "bool":
        return raw != 0
    elif kind in ("int64", "int32") or kind in ENUMS:
        value = raw - (1 << 64) if raw >> 63 else raw
    else:
        value = raw
    return str(value) if kind in LONG else value


def value_of(field, raw):
    if field.kind in MESSAGES:
        return decode(field.kind, raw)
    if field.kind != "bytes":
        return number_value(field.kind, raw)
    if field.name in IDS:
        return raw.hex()
    if field.name == "bytesValue":
        return base64.b64encode(raw).decode()
    return raw.decode("utf-8", "replace")


def packed(field, raw):
    at = 0
    while at < len(raw):
        if field.kind in FIXED:
            size = struct.calcsize(FIXED[field.kind])
            yield number_value(field.kind, raw[at:at + size])
            at += size
        else:
            number, at = varint(raw, at)
            yield number_value(field.kind, number)


def decode(message, body):
    """Wire bytes of a message, without what is unknown."""
    out = {}
    for number, kind, raw in wire_fields(body):
        field = MESSAGES[message].get(number)
        if not field:
            continue
        if not field.repeated:
            out[field.name] = value_of(field, raw)
        elif kind == 2 and field.kind != "bytes" and field.kind not in MESSAGES:
            out.setdefault(field.name, []).extend(packed(field, raw))
        else:
            out.setdefault(field.name, []).append(value_of(field, raw))
    return out


def plain_scalar(field, value):
    if field.kind == "double":
        value = float("nan" if value == "NaN" else value)
        return "NaN" if math.isnan(value) else repr(value)
    if field.kind in LONG:
        return str(int(value))
    return value.lower() if field.name in IDS else value


def is_default(field, value):
    if field.presence or field.kind in MESSAGES:
        return False
    return value in ("", "0", 0, False, "0.0")


def plain(message, value):
    """The one form of a decoded message or of an object of OTLP/JSON."""
    out = {}
    for field in MESSAGES[message].values():
        said = value.get(field.name)
        if said is None or said == []:
            continue
        one = ((lambda item: plain(field.kind, item or {})) if field.kind in MESSAGES else
               (lambda item: plain_scalar(field, item)))
        result = [one(item) for item in said] if field.repeated else one(said)
        if field.repeated or not is_default(field, result):
            out[field.name] = result
    return out


def request(signal, body, as_json):
    """A request's body in the one form."""
    name = REQUESTS[signal]
    return plain(name, json.loads(body) if as_json else decode(name, body))
