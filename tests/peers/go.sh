# Sourced by what builds Go programs: finds a Go that can, or says why not.
#
#   use_go NEEDED FOLDER    NEEDED as in go.mod (1.26.0); FOLDER takes the toolchain, if any
#
# Go on PATH when it is new enough; else, with Go 1.21 or newer, its own way to a newer one; else
# the same module unpacked by hand, since older Go can fetch it but not run it. Sets go_command, or
# returns 1 with go_reason.

go_at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

use_go() {
    local needed=$1 folder=$2 have
    go_command=go
    go_reason=
    if ! command -v go >/dev/null; then
        go_reason="it is not installed"
        return 1
    fi
    have=$(cd / && GOTOOLCHAIN=local go version | sed -n 's/^go version go\([0-9.]*\).*/\1/p')
    if go_at_least "$have" "$needed"; then
        export GOTOOLCHAIN=local
    elif go_at_least "$have" 1.21; then
        export GOTOOLCHAIN="go$needed"
        if ! timeout 600 go version >/dev/null 2>&1; then
            go_reason="Go $have is too old and Go $needed could not be fetched"
            return 1
        fi
    elif ! unpack_go "$needed" "$folder"; then
        go_reason="Go $have is too old and Go $needed could not be fetched"
        return 1
    fi
}

# The module cache is read-only and without execute bits, and go.mod files have other names there.
unpack_go() {
    local needed=$1 folder=$2 ready="$2/go-$1" machine from
    go_command="$ready/bin/go"
    if [ ! -x "$go_command" ]; then
        machine="$(cd / && go env GOOS)-$(cd / && go env GOARCH)"
        mkdir -p "$folder" || return 1
        from=$(cd "$folder" && GOTOOLCHAIN=local GO111MODULE=on timeout 600 \
            go mod download -json "golang.org/toolchain@v0.0.1-go$needed.$machine" |
            sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
        [ -d "$from" ] || return 1
        rm -rf "$ready.new"
        cp -r "$from" "$ready.new" || return 1
        chmod -R u+rwX "$ready.new"
        chmod -R a+x "$ready.new/bin" "$ready.new/pkg/tool"
        find "$ready.new/src" -name _go.mod -execdir mv {} go.mod \;
        mv "$ready.new" "$ready" || return 1
    fi
    export GOTOOLCHAIN=local GOROOT="$ready"
}
