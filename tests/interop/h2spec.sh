#!/usr/bin/env bash
# h2spec, the public conformance tool for HTTP/2, against the real ports, in clear text and TLS.
#
#   tests/interop/h2spec.sh BUILD
#
# The tool is a Go program; it is built below BUILD/interop/h2spec. Without Go, or where its modules
# cannot be fetched, one line "skipped: h2spec: ..." says so. Last line: "N passed, N failed".
set -uo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."

build=${1:-build}
case "$build" in /*) ;; *) build="$PWD/$build" ;; esac
home="$build/interop/h2spec"
version=v2.2.1+incompatible
mkdir -p "$home"
export MIDWATCH_BUILD="$build"

skip() {
    echo "skipped: h2spec: $1"
    echo "0 passed, 0 failed"
    exit 0
}

# Its module names no versions of what it needs: the newest are taken, and Go's checksums hold.
build_tool() {
    GOPATH="$home/go" GOCACHE="$home/cache" GOBIN="$home" GOFLAGS=-modcacherw \
        timeout 300 go install "github.com/summerwind/h2spec/cmd/h2spec@$version" \
        >"$home/install.log" 2>&1 || return 1
    rm -rf "$home/go" "$home/cache"
}

if [ ! -x "$home/h2spec" ]; then
    command -v go >/dev/null || skip "go is not installed"
    build_tool || skip "it could not be built ($home/install.log)"
fi
exec python3 tests/interop/h2spec.py "$home/h2spec"
