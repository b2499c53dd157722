#!/usr/bin/env bash
# Installs those of the named Debian packages that are missing; asks for root only then.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

missing=()
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' && continue
    # A command that another package (or a hand-made install) already provides is good enough.
    case "$package" in
    nodejs) command -v node >/dev/null && continue ;;
    npm) command -v npm >/dev/null && continue ;;
    python3) command -v python3 >/dev/null && continue ;;
    esac
    missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "midwatch needs these packages and this is not Debian: ${missing[*]}" >&2
    exit 1
fi
echo "installing: ${missing[*]}" >&2
root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "run as root: apt-get install ${missing[*]}" >&2; exit 1; }
    root=(sudo)
fi
"${root[@]}" apt-get update -qq || true
"${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
