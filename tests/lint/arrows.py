#!/usr/bin/env python3
"""Holds every #include against the arrows between rooms, and SQL against the rooms it may live in.

    tests/lint/arrows.py [--root DIR] [--rooms FILE]

The arrows come from `make print-rooms` (or FILE in the same form), so that the Makefile's table is
the only one. Findings go to stdout, one a line as path:line: text; exit 1 when there are any.
"""
import argparse
import os
import re
import subprocess
import sys

# The headers by which a room may be entered from outside. "*" stands for any file name.
DOORS = {
    "lib/base": ["*.h"],
    "lib/net": ["net.h", "request.h", "stream.h", "sse.h"],
    "lib/store": ["store.h", "minutes.h", "spaces.h", "window.h"],
    "lib/state": ["state.h", "deployments.h", "incidents.h", "looks.h", "plans.h", "tokens.h",
                  "webhooks.h"],
    "lib/access": ["access.h", "address.h", "limiter.h", "origin.h", "refusals.h", "token.h",
                   "tokens.h"],
    "proto": ["*.pb-c.h", "attribute_walk.h", "json.h", "scan.h", "unpack.h", "wire.h"],
    "triage": ["candidates.h", "change.h", "decision.h", "decision_json.h", "topology.h", "triage.h",
               "version.h"],
    "webhook": ["webhook.h", "source.h"],
    "collector": ["collector.h", "facts.h", "error_class.h"],
    "cli": ["cli.h"],
}
# Rooms whose job is SQL.
SQL_ROOMS = ("lib/store", "lib/state")
# Give SQLite its allocator and its syncs of files, and ask it nothing.
SQLITE_HEADER_ALLOWED = ("server/allocators.c", "lib/base/sqlite_vfs.c")
# A statement, not a word: verb and the word that must follow it, inside a string literal.
SQL_TEXT = re.compile(
    r'"[^"\n]*\b(?:SELECT\s+[\w*(,. ]+\s+FROM\s|INSERT\s+(?:OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|'
    r'DELETE\s+FROM\s|CREATE\s+(?:TABLE|(?:UNIQUE\s+)?INDEX|VIEW|TRIGGER)\b|DROP\s+TABLE\b|'
    r'PRAGMA\s+\w+|BEGIN\s+IMMEDIATE)')
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
SYSTEM_SQL = re.compile(r'^\s*#\s*include\s+<sqlite3\.h>')


FOLDER = "folder "


def read_rooms(text):
    """({room: [rooms it may include]}, {folder of a room: [folders it may include]}) from lines
    "room: a b c" and "folder room/x: room/y room/z"."""
    rooms, folders = {}, {}
    for line in text.splitlines():
        name, colon, allowed = line.partition(":")
        if colon and name.startswith(FOLDER):
            folders[name[len(FOLDER):].strip()] = allowed.split()
        elif colon:
            rooms[name.strip()] = allowed.split()
    return rooms, folders


def find_circle(rooms):
    """A list of rooms that leads back to its first, or None."""
    done = set()
    for start in rooms:
        stack = [(start, iter(rooms[start]))]
        path = [start]
        while stack:
            room, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                path.pop()
                done.add(room)
            elif following in path:
                return path[path.index(following):] + [following]
            elif following not in done and following in rooms:
                stack.append((following, iter(rooms[following])))
                path.append(following)
    return None


def room_of(path, rooms):
    """The room a path of the tree (or of an include) lies in: the longest that fits, or None."""
    fitting = [room for room in rooms if path.startswith(room + "/")]
    return max(fitting, key=len, default=None)


def test_room_of(path, rooms):
    """tests/unit/lib-net/x.c is a program of room lib/net; other tests belong to no room."""
    match = re.match(r"tests/(?:unit|fuzz|bench)/([^/]+)/", path)
    if not match:
        return None
    room = match.group(1).replace("-", "/")
    return room if room in rooms else None


def is_door(room, name):
    for door in DOORS.get(room, []):
        if door == name or (door.startswith("*") and name.endswith(door[1:])):
            return True
    return False


def check_folder(path, included, folders):
    """None, or what is wrong with this include between the folders of one room. Headers that lie in
    the room itself are for all of its folders."""
    own = room_of(path, folders)
    target = room_of(included, folders)
    if own is None or target in (None, own) or target in folders[own]:
        return None
    return f"{own} may not include {target} (Makefile: may_see_{own})"


def check_include(path, included, rooms, folders):
    """None, or what is wrong with this include."""
    own = room_of(path, rooms)
    of_test = test_room_of(path, rooms)
    target = room_of(included, rooms)
    if target is None:
        if path.startswith("tests/"):
            return None
        return f'"{included}" is not a path from the repository root into a room'
    home = own or of_test
    if home is None:
        # Benchmarks of no room look at the program from outside: through doors only.
        if is_door(target, os.path.basename(included)):
            return None
        return f'"{included}" is private to {target}'
    if target == home:
        return check_folder(path, included, folders)
    if target not in rooms[home]:
        return f"{home} may not include {target} (Makefile: may_include_{home})"
    if not is_door(target, os.path.basename(included)):
        return f'"{included}" is private to {target}'
    return None


def check_file(root, path, rooms, folders):
    findings = []
    room = room_of(path, rooms)
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as source:
        for number, line in enumerate(source, 1):
            match = INCLUDE.match(line)
            wrong = check_include(path, match.group(1), rooms, folders) if match else None
            if wrong:
                findings.append(f"{path}:{number}: {wrong}")
            if room and room not in SQL_ROOMS:
                header = SYSTEM_SQL.match(line) and path not in SQLITE_HEADER_ALLOWED
                if header or SQL_TEXT.search(line):
                    findings.append(f"{path}:{number}: SQL outside {' and '.join(SQL_ROOMS)}")
    return findings


def source_files(root, rooms):
    for top in sorted({room.split("/")[0] for room in rooms} | {"tests"}):
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = sorted(f for f in folders if f not in ("node_modules", "build"))
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def check_tree(root, rooms, folders):
    findings = []
    circle = find_circle(rooms) or find_circle(folders)
    if circle:
        findings.append(f"Makefile:1: the arrows run in a circle: {' -> '.join(circle)}")
    for room, allowed in rooms.items():
        for name in allowed:
            if name not in rooms:
                findings.append(f"Makefile:1: may_include_{room} names {name}, which is no room")
    for path in source_files(root, rooms):
        findings += check_file(root, path, rooms, folders)
    return findings


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(here)))
    parser.add_argument("--rooms")
    options = parser.parse_args()
    if options.rooms:
        with open(options.rooms, encoding="utf-8") as source:
            text = source.read()
    else:
        make = os.environ.get("MAKE", "make")
        text = subprocess.run([make, "--no-print-directory", "-s", "-C", options.root,
                               "print-rooms"], check=True, capture_output=True, text=True).stdout
    rooms, folders = read_rooms(text)
    if not rooms:
        print("Makefile:1: print-rooms gave no rooms")
        return 1
    findings = check_tree(options.root, rooms, folders)
    print("\n".join(findings), end="\n" if findings else "")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
