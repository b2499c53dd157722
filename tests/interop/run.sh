#!/usr/bin/env bash
# Unmodified SDK clients, configured by OTEL_* variables only, against the real program.
#
#   tests/interop/run.sh BUILD
#
# Clients are installed below BUILD/interop. One whose packages cannot be fetched is skipped by
# name. Last line: "N passed, N failed, N skipped".
set -uo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."

build=${1:-build}
case "$build" in /*) ;; *) build="$PWD/$build" ;; esac
home="$build/interop"
mkdir -p "$home"
export MIDWATCH_BUILD="$build"
passed=0
failed=0
skipped=0

# Variants of one client: two protocols, with and without gzip.
variants=4

skip() {
    echo "skipped: $1: $2"
    skipped=$((skipped + variants))
}

# Runs a client and adds its counts.
run_client() {
    local name=$1 log="$home/$1.log" counts
    shift
    python3 tests/interop/check.py "$name" "$@" 2>&1 | tee "$log"
    counts=$(tail -n 1 "$log")
    if [[ $counts =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
    else
        failed=$((failed + variants))
    fi
}

install_node() {
    mkdir -p "$home/node"
    if [ -d "$home/node/node_modules" ] && cmp -s tests/interop/package.json "$home/node/package.json"; then
        return 0
    fi
    rm -rf "$home/node/node_modules"
    cp tests/interop/package.json "$home/node/package.json"
    timeout 300 npm install --prefix "$home/node" --no-audit --no-fund --no-package-lock \
        --ignore-scripts >"$home/node.install.log" 2>&1 && return 0
    rm -rf "$home/node/node_modules"
    return 1
}

install_python() {
    if cmp -s tests/interop/requirements.txt "$home/python/requirements.installed"; then
        return 0
    fi
    rm -rf "$home/python"
    python3 -m venv "$home/python" >"$home/python.install.log" 2>&1 &&
        timeout 300 "$home/python/bin/pip" install --quiet --disable-pip-version-check \
            -r tests/interop/requirements.txt >>"$home/python.install.log" 2>&1 &&
        cp tests/interop/requirements.txt "$home/python/requirements.installed"
}

# ---- JavaScript --------------------------------------------------------------------------------

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    skip javascript "node or npm is not installed"
elif ! install_node; then
    skip javascript "its packages could not be installed ($home/node.install.log)"
else
    INTEROP_MODULES="$home/node" run_client javascript node tests/interop/clients/agent.js
fi

# ---- Python ------------------------------------------------------------------------------------

if ! install_python; then
    skip python "its packages could not be installed ($home/python.install.log)"
else
    run_client python "$home/python/bin/python" tests/interop/clients/agent.py
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
