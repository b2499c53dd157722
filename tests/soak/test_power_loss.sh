#!/usr/bin/env bash
# Power loss in full: every point of the recorded runs of lib/store and lib/state, and many random runs
# (SEEDS, 24: five to ten minutes). The short forms of the same programs are part of `make test`.
set -uo pipefail
build=${MIDWATCH_BUILD:-build}
export POWER_LOSS_SEEDS=${SEEDS:-24}
passed=0
failed=0

for room in lib-store lib-state; do
    if "$build/tests/unit/$room/test_power_loss"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
