#!/usr/bin/env bash
# Builds what other people run beside midwatch, from their Go modules: telemetrygen and the
# OpenTelemetry Collector (main.go: receiver otlp, processor batch, exporters otlp, otlphttp, file,
# debug, nop).
#
#   tests/peers/build.sh BUILD      leaves BUILD/peers/collector and BUILD/peers/telemetrygen
#
# Versions are pinned in go.mod. Built again only when the sources or the Go change. Exit 3 and one
# line "skipped: go: REASON" when there is no Go or the modules cannot be fetched.
set -uo pipefail
export LC_ALL=C.UTF-8
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-build}
mkdir -p "$build/peers/source"
out=$(cd "$build/peers" && pwd)
log="$out/build.log"
. "$here/go.sh"

skip() {
    echo "skipped: go: $1"
    exit 3
}

use_go "$(sed -n 's/^go //p' "$here/go.mod")" "$out" || skip "$go_reason"
wanted=$("$go_command" version && cat "$here/go.mod" "$here/go.sum" "$here/main.go")
if [ "$wanted" == "$(cat "$out/built" 2>/dev/null)" ]; then
    exit 0
fi
rm -f "$out/built"
cp "$here/go.mod" "$here/go.sum" "$here/main.go" "$out/source/"
cd "$out/source" || exit 1
export CGO_ENABLED=0 GOFLAGS="-mod=readonly -buildvcs=false" GOWORK=off
echo "building the Collector and telemetrygen: minutes the first time ($log)"
timeout 900 "$go_command" mod download >"$log" 2>&1 ||
    skip "the modules of the Collector could not be fetched ($log)"
timeout 1800 "$go_command" build -trimpath -ldflags='-s -w' -o "$out/" . \
    github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen >>"$log" 2>&1 || {
    echo "the Collector cannot be built:" >&2
    tail -n 40 "$log" >&2
    exit 1
}
mv "$out/peers" "$out/collector"
printf '%s\n' "$wanted" >"$out/built"
