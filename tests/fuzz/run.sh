#!/usr/bin/env bash
# Runs every fuzz target of a build for a number of CPU seconds each, one a processor at a time.
#
#   tests/fuzz/run.sh BUILD SECONDS [NAME...]
#
# NAME: only these targets (http1, scan_logs, ...). The corpus in the tree is read; new inputs go to
# BUILD/corpus, so that the tree stays small. A crash leaves its input in BUILD/crashes and fails
# the run. Last line: "N passed, N failed".
set -uo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.."

build=${1:?usage: tests/fuzz/run.sh BUILD SECONDS [NAME...]}
seconds=${2:-600}
shift 2
mkdir -p "$build/crashes"

# A busy machine gives a process less than its wall time, so the time is the child's own, and the
# target is started again until it has had its share.
fuzz_one() {
    local build=$1 seconds=$2 program=$3 name log seeds=() used=0 runs=0 cpu
    name=$(basename "$program")
    name=${name#fuzz_}
    log="$build/crashes/$name.log"
    mkdir -p "$build/corpus/$name"
    [ -d "tests/fuzz/corpus/$name" ] && seeds=("tests/fuzz/corpus/$name")
    local TIMEFORMAT='%U'
    while [ "$used" -lt "$seconds" ]; do
        if ! { cpu=$({ time "$program" -max_total_time=$((seconds - used)) -rss_limit_mb=2048 \
            -timeout=10 -max_len=65536 -artifact_prefix="$build/crashes/$name-" \
            "$build/corpus/$name" "${seeds[@]}" >"$log" 2>&1; } 2>&1); }; then
            echo "FAILED $name; the end of $log:"
            tail -40 "$log"
            echo "---- to repeat: $program $build/crashes/$name-*"
            return 1
        fi
        used=$((used + ${cpu%%.*} + 1))
        runs=$((runs + $(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log")))
    done
    echo "ok     $name: $runs inputs run in $used CPU s, $(ls "$build/corpus/$name" | wc -l) kept"
}
export -f fuzz_one

wanted() {
    local name
    [ $# -eq 1 ] && return 0
    for name in "${@:2}"; do
        [ "$(basename "$1")" = "fuzz_$name" ] && return 0
    done
    return 1
}

results="$build/crashes/results"
find "$build/tests/fuzz" -type f -name 'fuzz_*' ! -name '*_replay' ! -name '*.d' | sort |
    while IFS= read -r program; do
        wanted "$program" "$@" && echo "$program"
    done | xargs -r -P "$(nproc)" -I{} bash -c 'fuzz_one "$@"' - "$build" "$seconds" {} |
    tee "$results"

passed=$(grep -c '^ok ' "$results")
failed=$(grep -c '^FAILED' "$results")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
