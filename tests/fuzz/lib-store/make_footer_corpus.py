#!/usr/bin/env python3
"""Writes the seeds of fuzz_footer: footers as segment_footer.h draws them, checksums left zero (the
target puts them right).

    tests/fuzz/lib-store/make_footer_corpus.py tests/fuzz/corpus/footer
"""
import os
import struct
import sys

PAGE = 512


def block_header(items, signal=1):
    hot = items * (64 + 4 + 20) + 32
    chunk = items * 16 + 12
    head = b"MWBLOCK\n" + struct.pack("<IIQQ", 128, items, 7, 80) + bytes(16)
    head += struct.pack("<QQQ", 1000, 2000, 3000) + struct.pack("<IIII", hot, hot, chunk, chunk)
    head += struct.pack("<QQ", 0, 0) + struct.pack("<IBBBB", 1, signal, 0, 0, 1) + bytes(8)
    head += bytes(8)
    assert len(head) == 128
    return head, (128 + hot + chunk + 7) // 8 * 8


def replaced(ids, ends):
    out = b"MWREPLD\n" + struct.pack("<QQ", len(ids), len(ends))
    out += b"".join(struct.pack("<Q", i) for i in ids)
    out += b"".join(struct.pack("<QQ", i, e) for i, e in ends)
    return out + bytes(8)


def directory(pairs):
    pairs = sorted(pairs)
    body = b"".join(struct.pack("<QI", k, b) for k, b in pairs)
    fences = b"".join(struct.pack("<QQ", pairs[i][0], 0) for i in range(0, len(pairs), PAGE))
    return body, fences


def texts(names, limit):
    pages, page, first = [], b"", None
    for name in sorted(names):
        first = name if first is None else first
        page += struct.pack("<H", len(name)) + name
        if len(page) >= limit:
            pages.append((first, page))
            page, first = b"", None
    if page:
        pages.append((first, page))
    fences = b"".join(struct.pack("<IIQBB", len(p), len(p), 0, 0, min(len(f), 64)) + f[:64]
                      for f, p in pages)
    return b"".join(p for _, p in pages), fences, len(pages)


def footer(blocks, traces, sessions, names, text_limit=100, requests=2, filters=b"", rollups=b""):
    records, at = b"", 80
    for number, (items, services) in enumerate(blocks):
        head, size = block_header(items)
        records += struct.pack("<Q", at) + head + struct.pack("<II", len(services), 0)
        records += struct.pack("<II", sum(b == number for _, b in traces),
                               sum(b == number for _, b in sessions))
        records += struct.pack("<QQQ", 0, len(filters), 0)
        records += b"".join(struct.pack("<Q", s) for s in sorted(services))
        at += size
    trace_body, trace_fences = directory(traces)
    session_body, session_fences = directory(sessions)
    text_body, text_fences, pages = texts(names, text_limit)
    again = replaced([2, 3], [(1, 4096)])
    sections = [again, trace_body, session_body, text_body, filters, rollups, again,
                bytes(range(24)) * requests, records, trace_fences, session_fences, text_fences]
    trailer = b"MWFOOTR\n" + struct.pack("<IIQQQQ", 1, 12, 5, at, 3000, 9)
    trailer += struct.pack("<QQQQ", len(blocks), len(traces), len(sessions), pages)
    place = at
    for section in sections:
        trailer += struct.pack("<QQQ", place, len(section), 0)
        place += len(section)
    trailer += bytes(16)
    assert len(trailer) == 384
    return struct.pack("<H", (at - 80) // 8) + b"".join(sections) + trailer


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    few = [(k * 1000, k % 3) for k in range(20)]
    many = [(k * 7, k % 2) for k in range(1300)] + [(k * 70, 1 - k % 2) for k in range(100)]
    same = [(0, b) for b in range(3)] + [(2**64 - 1, b) for b in range(3)]
    names = [b"session-%d" % n for n in range(60)]
    seeds = {
        "least": footer([(1, [4])], [(9, 0)], [], []),
        "few": footer([(2, [4, 5]), (1, []), (3, [4])], few, few[:7], names,
                      filters=b"filter", rollups=b"roll-ups"),
        "pages": footer([(2, [4]), (2, [5])], sorted(set(many)), sorted(set(many))[:600], names,
                        text_limit=4000),
        "ends": footer([(1, []), (1, []), (1, [])], same, same[:2], [b"", b"a" * 4096, b"z" * 70],
                       requests=0),
    }
    for name, data in seeds.items():
        with open(os.path.join(out, name), "wb") as file:
            file.write(data)


if __name__ == "__main__":
    main()
