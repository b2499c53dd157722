#!/usr/bin/env bash
# Long checks against the real program: senders of other people, kill cycles, storms.
#
#   tests/soak/run.sh BUILD [WORD]     every script tests/soak/test_*, or those with WORD in it
#
# One after the other, since they measure patience. Each prints "N passed, N failed[, N skipped]" as
# its last line, and so does this. MIDWATCH_BUILD names the build directory to them.
set -uo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.." || exit 1

build=${1:-build}
word=${2:-}
case "$build" in /*) ;; *) build="$PWD/$build" ;; esac
export MIDWATCH_BUILD="$build"
mkdir -p "$build/soak"
passed=0
failed=0
skipped=0

for script in tests/soak/test_*"$word"*; do
    [ -x "$script" ] || continue
    name=$(basename "$script")
    log="$build/soak/${name%.*}.log"
    started=$SECONDS
    echo "---- $name"
    "$script" 2>&1 </dev/null | tee "$log"
    status=${PIPESTATUS[0]}
    line=$(tail -n 1 "$log")
    if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
        [ "$status" -ne 0 ] && [ "${BASH_REMATCH[2]}" -eq 0 ] && failed=$((failed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $name: no counts, exit $status"
    fi
    echo "---- $name: $((SECONDS - started)) s"
done

if [ $((passed + failed + skipped)) -eq 0 ]; then
    echo "no script of that name ran" >&2
    failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
