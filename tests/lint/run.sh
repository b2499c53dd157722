#!/usr/bin/env bash
# Every check that reads the source instead of running it. `make lint` calls it with MAKE and BUILD.
#
#   tests/lint/run.sh [CHECK...]      all of them, or the named ones
#
# One line a check, the findings of what failed, and as the last line "N passed, N failed".
set -uo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."

make=${MAKE:-make}
build=${BUILD:-build}
jobs=$(nproc)
passed=0
failed=0

all_files() { git ls-files -co --exclude-standard | while IFS= read -r f; do [ -f "$f" ] && echo "$f"; done; }
c_files() { all_files | grep -E '\.[ch]$'; }
program_files() { c_files | grep -E '\.c$' | grep -v '^tests/'; }

check() {
    local name=$1 log="$build/lint/$1.log" started=$SECONDS
    shift
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        echo "ok     $name ($((SECONDS - started)) s)"
    else
        failed=$((failed + 1))
        echo "FAILED $name ($((SECONDS - started)) s)"
        tail -n 200 "$log"
        echo "---- to repeat: tests/lint/run.sh $name"
    fi
}

# ---- the checks ------------------------------------------------------------------------------

lint_selftest() { python3 tests/lint/test_arrows.py; }
lint_arrows() { python3 tests/lint/arrows.py; }
lint_sizes() { c_files | xargs python3 tests/lint/sizes.py; }
lint_secrets() { program_files | xargs python3 tests/lint/secrets.py; }
# One line a file; `make format` mends them all.
lint_format() {
    local file bad=0
    while IFS= read -r file; do
        clang-format --dry-run -Werror "$file" >/dev/null 2>&1 && continue
        echo "$file: not as clang-format writes it (make format)"
        bad=1
    done < <(c_files)
    return $bad
}

# The program, its tests and benchmarks by one compiler, warnings as errors.
lint_compile() {
    "$make" --no-print-directory -k -j"$jobs" BUILD="$build/lint-$1" CC="$1" WERROR=-Werror tests-built
}
lint_gcc() { lint_compile gcc; }
lint_clang() { lint_compile clang; }

# Generated headers come from the clang build. One file a call: several in one process make the
# analyzer see va_lists of the file before.
tidy_one() {
    clang-tidy --quiet --warnings-as-errors='*' "$@" -- -std=c17 -D_GNU_SOURCE -DMW_VERSION='"lint"' \
        -I. -I"$build/lint-clang/gen" $(pkg-config --cflags libprotobuf-c libevent_core) 2>/dev/null
}
export -f tidy_one
export build
lint_tidy() {
    lint_clang >/dev/null
    program_files | xargs -P "$jobs" -n 1 bash -c 'tidy_one "$@"' tidy >"$build/lint/tidy.full"
    local status=$?
    # The findings here; the paths that lead to them stay in tidy.full.
    grep -E ': (error|warning): ' "$build/lint/tidy.full" | sed "s,^$PWD/,," | sort -u
    return $status
}

lint_cppcheck() {
    program_files | xargs cppcheck --quiet -j "$jobs" --std=c11 --enable=warning,performance,portability \
        --inline-suppr --include=tests/lint/cppcheck.h --error-exitcode=1 --suppress=missingIncludeSystem -D_GNU_SOURCE \
        -DMW_VERSION='"lint"' -I. -I"$build/lint-clang/gen"
}

# What must not be in a published tree: paths of somebody's machine, notes to oneself. The words are
# put together here, so that this file does not find itself.
lint_words() {
    local words="TO""DO|FIX""ME|X""XX" paths="/wo""rk|/ho""me/[a-z]+|/ro""ot"
    ! all_files | grep -v '^tests/data/' | tr '\n' '\0' |
        xargs -0 grep -nIE "\b($words)\b|(^|[^[:alnum:]_.~-])($paths)/"
}

mkdir -p "$build/lint"
if [ $# -eq 0 ]; then
    set -- selftest arrows sizes secrets words format gcc clang cppcheck tidy
fi
for name in "$@"; do
    check "$name" "lint_$name"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
