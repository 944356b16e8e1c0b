#!/usr/bin/env bash
# Makes /opt/ratchet (or the folder named) fit for runs in these images, as its owner. Does nothing the second time.
#
# What is mounted there hides what the image holds, so the link to the image's environment is laid here. A project that
# is no git repository yet becomes one with a single commit: each run gets a work tree of its own from it.
# Exit codes: 0 done, 2 the folder is not a project, or is not ours to write to.
set -euo pipefail
root=${1:-/opt/ratchet}
environment=${RATCHET_ENVIRONMENT:-/opt/ratchet-venv}
fail() { printf 'ratchet: %s\n' "$1" >&2; exit 2; }

cd "$root" 2>/dev/null || fail "$root does not exist"
if [ ! -f dvc.yaml ] || [ ! -d pipeline ]; then fail "$root holds no Ratchet project (no dvc.yaml and pipeline/): clone yours into it"; fi
[ -w . ] || fail "$root is not writable for uid $(id -u): build the images with RATCHET_UID=$(stat -c %u .)"
if [ -d .venv ] && [ ! -L .venv ]; then
  fail "$root/.venv was set up outside of these images and would hide theirs: mount a checkout that has none"
fi
[ -e .git ] || git init --quiet --initial-branch main
exclude=$(git rev-parse --git-path info/exclude) || fail "$root: git refuses to work here; it must belong to uid $(id -u)"
mkdir -p "$(dirname "$exclude")" # .gitignore names the folder .venv/; here it is a link
grep -qxF /.venv "$exclude" 2>/dev/null || echo /.venv >>"$exclude"
ln -sfn "$environment" .venv
if ! git rev-parse --verify --quiet HEAD >/dev/null; then
  git add --all
  git -c user.name=Ratchet -c user.email=ratchet@localhost commit --quiet --message "The project as it was put here"
fi
if [ -f .venv/setup.sha256 ] && ! sha256sum --check --status --strict .venv/setup.sha256 2>/dev/null; then
  echo "ratchet: the requirements in $root are not those that this image was built from: build the images from it" >&2
fi
