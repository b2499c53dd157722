#!/usr/bin/env python3
"""Files of at most 800 lines, functions of at most 80, lines of at most 100 columns.

    tests/lint/sizes.py FILE...

A function with the comment "sizes: table" in the line before it may have 100 lines: one that is
a table of cases, where splitting would hide the table. Findings go to stdout as path:line: text.
"""
import re
import sys

FILE_LINES = 800
FUNCTION_LINES = 80
TABLE_LINES = 100
COLUMNS = 100

FUNCTION_NAME = re.compile(r"(\w+)\s*\(")


def long_functions(path, lines):
    """The tree's style puts a function's braces in column 0: '{' opens it, '}' closes it."""
    head = None
    for number, line in enumerate(lines):
        if line.startswith("{"):
            head = number
            # Up to the line after the previous blank or closing one: the whole signature.
            while head > 0 and lines[head - 1].strip() and not lines[head - 1].startswith("}"):
                head -= 1
            opened = number
        elif line.rstrip() == "}" and head is not None and number > head:
            signature = [text for text in lines[head:opened]
                         if not text.lstrip().startswith(("/*", "*", "#"))]
            first = opened - len(signature)
            allowed = FUNCTION_LINES
            if any("sizes: table" in text for text in lines[head:opened]):
                allowed = TABLE_LINES
            size = number - first + 1
            name = FUNCTION_NAME.search(" ".join(signature))
            if name and size > allowed:
                yield first + 1, f"function {name.group(1)} has {size} lines, more than {allowed}"
            head = None


def check_text(path, text):
    lines = text.splitlines()
    findings = []
    if len(lines) > FILE_LINES:
        findings.append(f"{path}:1: {len(lines)} lines, more than {FILE_LINES}")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            findings.append(f"{path}:{number}: line of {len(line)} columns, more than {COLUMNS}")
    if path.endswith(".c"):
        findings += [f"{path}:{number}: {what}" for number, what in long_functions(path, lines)]
    return findings


def main():
    findings = []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as source:
            findings += check_text(path, source.read())
    print("\n".join(findings), end="\n" if findings else "")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
