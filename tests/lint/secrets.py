#!/usr/bin/env python3
"""Secrets are compared in constant time: CRYPTO_memcmp, and nothing that stops at a difference.

    tests/lint/secrets.py FILE...
    tests/lint/secrets.py --selftest

Looks at comparisons (memcmp, strcmp, strncmp, strcasecmp, mw_slice_equal and its like) whose
arguments name something that is a secret or stands for one. What is none all the same has a row in
ALLOWED, with the reason. Findings go to stdout as path:line: text.
"""
import re
import sys

COMPARISON = re.compile(r"\b(?:CRYPTO_)?(?:memcmp|strn?cmp|strn?casecmp|mw_slice_(?:equal(?:_nocase)?"
                        r"|compare))\s*\(")
SECRET = re.compile(r"secret|signature|digest|hmac|\bmac\b|bearer|pepper|password|credential|"
                    r"\btoken\b|wanted|\bgiven\b", re.I)
# (file, what the call holds): why it is no comparison of a secret.
ALLOWED = {
    ("lib/access/tokens.c", "->digest, ((const entry *)b)->digest"):
        "order of the table: digests under a key that no peer has",
    ("lib/access/token.c", "wanted, text.data + PREFIX_LEN + MW_TOKEN_RANDOM"):
        "the checksum of what was sent: whoever sent it can work it out",
}
ROOMS = ("webhook/", "lib/access/", "lib/state/seal", "lib/state/key_check", "lib/state/token_table",
         "lib/state/webhook_table", "server/gate.c", "server/api/tokens.c",
         "server/api/webhook_change.c", "server/space_of.c")
# Where secrets of peers meet ours: a comparison in constant time has to be there.
COMPARES = ("webhook/credential.c", "webhook/signature.c", "lib/access/tokens.c")


def calls(text):
    """Each comparison: where it begins, and its arguments."""
    for found in COMPARISON.finditer(text):
        depth, at = 1, found.end()
        while depth and at < len(text):
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        yield found, " ".join(text[found.end():at - 1].split())


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group()), text,
                  flags=re.S)


def without_words(arguments):
    """String literals name things and are none."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', arguments)


def findings(path, text):
    text = without_comments(text)
    constant = 0
    for found, arguments in calls(text):
        if found.group().startswith("CRYPTO_"):
            constant += 1
            continue
        if not SECRET.search(without_words(arguments)):
            continue
        if any(path == file and part in arguments for file, part in ALLOWED):
            continue
        line = text.count("\n", 0, found.start()) + 1
        yield f"{path}:{line}: {found.group()}{arguments}): use CRYPTO_memcmp, or say in " \
              f"tests/lint/secrets.py why it is no secret"
    if path in COMPARES and not constant:
        yield f"{path}:1: compares secrets, and has no CRYPTO_memcmp"


def selftest():
    cases = (("webhook/x.c", "if (memcmp(wanted,\n   given, 32))", 1),
             ("webhook/x.c", "if (CRYPTO_memcmp(wanted, given, 32))", 0),
             ("webhook/x.c", "mw_slice_equal(credential->secret, value)", 1),
             ("webhook/x.c", 'mw_slice_equal(name, MW_SLICE("token"))', 0),
             ("webhook/x.c", "/* memcmp(secret, given) */", 0),
             ("webhook/signature.c", "return true;", 1))
    bad = [case for case in cases if len(list(findings(case[0], case[1]))) != case[2]]
    for case in bad:
        print(f"selftest: {case}")
    return bool(bad)


def main():
    if sys.argv[1:] == ["--selftest"]:
        return selftest()
    found = []
    for path in sys.argv[1:]:
        if path.startswith(ROOMS) and path.endswith(".c"):
            with open(path, encoding="utf-8") as file:
                found += findings(path, file.read())
    print("\n".join(found))
    return bool(found) or selftest()


if __name__ == "__main__":
    sys.exit(main())
