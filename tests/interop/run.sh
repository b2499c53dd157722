#!/usr/bin/env bash
# Unmodified OpenTelemetry clients, and agents of unmodified frameworks, configured by OTEL_* variables
# only, against the real program.
#
#   tests/interop/run.sh BUILD [CHECK OPTIONS]      e.g. -k java for one client
#
# Clients are installed below BUILD/interop, all at the same time, in the versions pinned below
# tests/interop/clients, and again only when those files change. One whose packages cannot be
# fetched is skipped by name; what fails otherwise fails. The clients come first (check.py), then the
# frameworks (frameworks.py), h2spec last. Last line: "N passed, N failed, N skipped".
set -uo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.." || exit 1

build=${1:-build}
shift
case "$build" in /*) ;; *) build="$PWD/$build" ;; esac
home="$build/interop"
clients="$PWD/tests/interop/clients"
mkdir -p "$home"
export MIDWATCH_BUILD="$build"
. tests/peers/go.sh

# ---- one installer a client --------------------------------------------------------------------
# Each works below $home/NAME and leaves its log in $home/NAME.log. 0: installed. 3: skipped, the
# reason in $home/NAME.reason. Anything else fails.

skip() {
    echo "$2" >"$home/$1.reason"
    return 3
}

# Whether these files are the ones that NAME was installed from.
installed() {
    local name=$1
    shift
    [ -f "$home/$name/installed" ] && cat "$@" | cmp -s - "$home/$name/installed"
}

# Runs a step that fetches packages. A registry that cannot be reached is no fault of ours; a
# package that is not there, or that cannot be resolved, is.
fetch() {
    local name=$1 status
    shift
    timeout 600 "$@" >>"$home/$name.log" 2>&1
    status=$?
    [ "$status" -eq 0 ] && return 0
    if [ "$status" -eq 124 ] || grep -qE "$unreachable" "$home/$name.log"; then
        skip "$name" "its packages could not be fetched ($home/$name.log)"
        return 3
    fi
    return 1
}
unreachable='ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENETUNREACH|NewConnectionError|ProxyError'
unreachable+='|[Nn]ame resolution|no such host|[Cc]onnection refused|[Cc]onnection reset|timed out'
unreachable+='|i/o timeout|Unknown host|Network is unreachable|50[0-9] |SSLError|status code: 50'

install_javascript() {
    command -v node >/dev/null && command -v npm >/dev/null ||
        { skip javascript "node or npm is not installed"; return; }
    fetch javascript npm install --prefix "$home/javascript" --no-audit --no-fund \
        --no-package-lock --ignore-scripts
}

install_venv() {
    local name=$1
    python3 -m venv "$home/$name" >>"$home/$name.log" 2>&1 || return 1
    fetch "$name" "$home/$name/bin/pip" install --quiet --disable-pip-version-check -r "$2"
}

# Of two instrumentations that cannot be loaded at once each gets a folder of its own; a program puts
# one of them before the rest.
install_agents() {
    local from="$clients/frameworks" part
    install_venv agents "$from/requirements-agents.txt" || return
    for part in openinference openllmetry; do
        fetch agents "$home/agents/bin/pip" install --quiet --disable-pip-version-check \
            --no-deps --target "$home/agents/$part" -r "$from/requirements-$part.txt" || return
    done
}

install_vercel() {
    command -v node >/dev/null && command -v npm >/dev/null ||
        { skip vercel "node or npm is not installed"; return; }
    fetch vercel npm install --prefix "$home/vercel" --no-audit --no-fund --no-package-lock \
        --ignore-scripts
}

install_go() {
    use_go "$(sed -n 's/^go //p' "$clients/go/go.mod")" "$home/toolchain" ||
        { skip go "$go_reason"; return; }
    export CGO_ENABLED=0 GOFLAGS="-mod=readonly -buildvcs=false" GOWORK=off
    fetch go "$go_command" -C "$home/go" mod download || return
    "$go_command" -C "$home/go" build -trimpath -o agent . >>"$home/go.log" 2>&1
}

install_java() {
    command -v javac >/dev/null && command -v mvn >/dev/null ||
        { skip java "javac or mvn is not installed"; return; }
    fetch java mvn -B -ntp -q -f "$home/java/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DoutputDirectory="$home/java/lib" || return
    javac -d "$home/java/classes" -cp "$home/java/lib/*" "$home/java/Agent.java" \
        >>"$home/java.log" 2>&1
}

# install NAME SOURCES -- COMMAND...: nothing to do when the sources are the installed ones.
install() {
    local name=$1 sources=() status
    shift
    while [ "$1" != -- ]; do
        sources+=("$clients/$1")
        shift
    done
    shift
    rm -f "$home/$name.reason"
    installed "$name" "${sources[@]}" && return 0
    rm -rf "${home:?}/$name" "$home/$name.log"
    mkdir -p "$home/$name"
    cp "${sources[@]}" "$home/$name/"
    "$@"
    status=$?
    [ "$status" -eq 0 ] && cat "${sources[@]}" >"$home/$name/installed"
    return "$status"
}

# ---- all at once -------------------------------------------------------------------------------

started=$SECONDS
declare -A job
install javascript javascript/package.json -- install_javascript &
job[javascript]=$!
for name in python python-json adot-python; do
    case $name in
    python) list=python/requirements.txt ;;
    *) list=python/requirements-${name/-python/}.txt ;;
    esac
    list=${list/requirements-python-/requirements-}
    install "$name" "$list" -- install_venv "$name" "$clients/$list" &
    job[$name]=$!
done
install agents frameworks/requirements-{agents,openinference,openllmetry}.txt -- \
    install_agents &
job[agents]=$!
install vercel frameworks/package.json -- install_vercel &
job[vercel]=$!
install go go/go.mod go/go.sum go/main.go -- install_go &
job[go]=$!
install java java/pom.xml java/Agent.java -- install_java &
job[java]=$!

options=()
broken=0
for name in "${!job[@]}"; do
    wait "${job[$name]}"
    status=$?
    [ "$status" -eq 0 ] && continue
    if [ "$status" -eq 3 ]; then
        options+=(--skip "$name=$(cat "$home/$name.reason")")
    else
        echo "FAILED $name cannot be installed:"
        tail -n 40 "$home/$name.log"
        options+=(--skip "$name=it cannot be installed, counted as a failure")
        broken=$((broken + 1))
    fi
done
echo "clients installed in $((SECONDS - started)) s"

passed=0 failed=$broken skipped=0
for part in check frameworks; do
    python3 "tests/interop/$part.py" --home "$home" "${options[@]}" "$@" 2>&1 |
        tee "$home/$part.log"
    line=$(tail -n 1 "$home/$part.log")
    if ! [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
        echo "0 passed, 1 failed"
        exit 1
    fi
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
    skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
done

tests/interop/h2spec.sh "$build" 2>&1 | tee "$home/h2spec.log"
if [[ $(tail -n 1 "$home/h2spec.log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
else
    failed=$((failed + 1))
fi
grep -q '^skipped: ' "$home/h2spec.log" && skipped=$((skipped + 1))
echo "$((SECONDS - started)) s in all"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
