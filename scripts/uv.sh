#!/usr/bin/env bash
# Prints the path of the locked uv, fetching it once, with pip and its hash, into the cache outside the work tree.
# With --cached it fetches nothing: it prints the path of one that is there, or leaves with 1.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${RATCHET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ratchet}
uv=$cache/tools/uv-$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements/bootstrap.txt)
if [ ! -x "$uv" ]; then
  if [ "${1:-}" = --cached ]; then exit 1; fi
  mkdir -p "$cache/tools"
  # A killed fetch leaves its folder behind; one that is an hour old belongs to nobody.
  find "$cache" -maxdepth 1 -name 'bootstrap.*' -mmin +60 -exec rm -rf {} +
  work=$(mktemp -d "$cache/bootstrap.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  python=$(scripts/find_python.sh) || { echo "ratchet: no Python 3.11 found: install it, or name it in RATCHET_PYTHON" >&2; exit 2; }
  "$python" -m venv "$work/venv" >&2
  "$work/venv/bin/python" -m pip install --quiet --no-deps --only-binary :all: --require-hashes -r requirements/bootstrap.txt >&2
  # uv is one program that needs nothing beside it. Renaming it into place is atomic: it is there whole, or not at all.
  mv "$work/venv/bin/uv" "$uv"
fi
echo "$uv"
