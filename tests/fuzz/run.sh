#!/usr/bin/env bash
# Runs every fuzz target of a build for a number of CPU seconds each.
#
#   tests/fuzz/run.sh BUILD SECONDS
#
# The corpus in the tree is read; new inputs go to BUILD/corpus, so that the tree stays small. A
# crash leaves its input in BUILD/crashes and fails the run. Last line: "N passed, N failed".
set -uo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.."

build=${1:?usage: tests/fuzz/run.sh BUILD SECONDS}
seconds=${2:-600}
passed=0
failed=0
mkdir -p "$build/crashes"

fuzz_one() {
    local program=$1 name
    name=$(basename "$program")
    name=${name#fuzz_}
    mkdir -p "$build/corpus/$name"
    local seeds=()
    [ -d "tests/fuzz/corpus/$name" ] && seeds=("tests/fuzz/corpus/$name")
    local log="$build/crashes/$name.log"
    if "$program" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -max_len=65536 \
        -artifact_prefix="$build/crashes/$name-" "$build/corpus/$name" "${seeds[@]}" \
        >"$log" 2>&1; then
        echo "ok     $name: $(grep -c '' "$log") lines of log, $(ls "$build/corpus/$name" | wc -l) inputs found"
        return 0
    fi
    echo "FAILED $name; the end of $log:"
    tail -40 "$log"
    echo "---- to repeat: $program $build/crashes/$name-*"
    return 1
}

while IFS= read -r program; do
    if fuzz_one "$program"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done < <(find "$build/tests/fuzz" -type f -name 'fuzz_*' ! -name '*_replay' ! -name '*.d' | sort)

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
