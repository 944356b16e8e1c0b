#!/usr/bin/env bash
# Makes /opt/ratchet (or the folder named) fit for runs in these images, as its owner. Does nothing the second time.
#
# What is mounted there hides what the image holds, so the link to the image's environment is laid here.
# Exit codes: 0 done, 2 the folder is not a project, or is not ours to write to.
set -euo pipefail
root=${1:-/opt/ratchet}
environment=${RATCHET_ENVIRONMENT:-/opt/ratchet-venv}
fail() { printf 'ratchet: %s\n' "$1" >&2; exit 2; }

cd "$root" 2>/dev/null || fail "$root does not exist"
if [ ! -f dvc.yaml ] || [ ! -d pipeline ]; then fail "$root holds no Ratchet project (no dvc.yaml and pipeline/): put yours into it"; fi
[ -w . ] || fail "$root is not writable for uid $(id -u): build the images with RATCHET_UID=$(stat -c %u .)"
if [ -d .venv ] && [ ! -L .venv ]; then
  fail "$root/.venv was set up outside of these images and would hide theirs: mount a folder that has none"
fi
ln -sfn "$environment" .venv
if [ -f .venv/setup.sha256 ] && ! sha256sum --check --status --strict .venv/setup.sha256 2>/dev/null; then
  echo "ratchet: the requirements in $root are not those that this image was built from: build the images from it" >&2
fi
