# shellcheck shell=bash
# What the set-ups have in common, to be sourced: how they speak and fail, one at a time, and an environment from a lock file.
# Whoever sources it stands in the checkout's root, has set what the next line asks for (the root's path; where the output of
# the steps goes), and defines is_set_up: nothing is left to do.
: "${root:?}" "${log:?}"

say() { printf 'set-up: %s\n' "$*"; }
fail() { printf 'ratchet: %s\n' "$2" >&2; exit "$1"; }

# step WHAT COMMAND…: says what it does, keeps the output in the log, and says every 15 s that it is still at work.
step() {
  local what=$1 began=$SECONDS ticker status=0
  shift
  say "$what"
  printf '\n== %s\n' "$what" >>"$log"
  (
    exec 9>&-
    nap=
    trap 'kill $nap; exit' TERM
    while kill -0 $$ 2>/dev/null; do
      sleep 15 >/dev/null 2>&1 & nap=$!
      wait $nap
      say "  still at it after $((SECONDS - began)) s"
    done
  ) &
  ticker=$!
  "$@" >>"$log" 2>&1 || status=$?
  { kill $ticker && wait $ticker; } 2>/dev/null || true
  if [ "$status" = 0 ]; then
    if [ $((SECONDS - began)) -ge 2 ]; then say "  done in $((SECONDS - began)) s"; fi
  else
    tail -n 20 "$log" >&2
  fi
  return "$status"
}

# download COMMAND…: networks fail for a moment; three tries, some seconds apart.
download() {
  local pause
  for pause in 3 10 ""; do
    if "$@"; then return 0; fi
    if [ -n "$pause" ]; then echo "failed; again in $pause s"; sleep "$pause"; fi
  done
  return 75
}

# take_turn LOCK: one set-up at a time. Whatever this one starts holds the lock too: what outlives it is waited for.
take_turn() {
  mkdir -p "${1%/*}" || fail 74 "$root is not writable: set-up needs to write its environments and ${1%/*} there"
  exec 9>"$1"
  if ! flock --nonblock 9; then
    say "another set-up is at work in this checkout: waiting for it"
    flock 9
    if is_set_up; then exit 0; fi
  fi
  : >"$log"
}

# is_stamped ENVIRONMENT: what it was made from has not changed. It holds its own path, so that one in a checkout that was
# moved or copied has to be made anew.
is_stamped() {
  local line
  { read -r line <"$1/setup.sha256"; } 2>/dev/null && [ "$line" = "# $root" ] || return 1
  sha256sum --check --status --strict "$1/setup.sha256" 2>/dev/null
}

# stamp ENVIRONMENT DIGESTS: the last step. The digests were taken before anything they name was read.
stamp() {
  { echo "# $root"; echo "$2"; sha256sum "$1/pyvenv.cfg"; } >"$1/setup.sha256.new"
  mv "$1/setup.sha256.new" "$1/setup.sha256"
}

need_uv() {
  if ! RATCHET_UV=$(scripts/uv.sh --cached); then
    step "fetching uv, which installs the rest" download scripts/uv.sh || fail 75 "uv could not be fetched (log: $log)"
    RATCHET_UV=$(scripts/uv.sh --cached)
  fi
  export RATCHET_UV UV_HTTP_RETRIES=${UV_HTTP_RETRIES:-5}
}
uv() { env -u VIRTUAL_ENV "$RATCHET_UV" "$@"; }

is_sound() {
  "$1/bin/python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) or sys.prefix != sys.argv[1])' "$root/$1"
}

# open_environment ENVIRONMENT PYTHON: makes it, or checks the one there is. It counts as unfinished until close_environment.
open_environment() {
  if [ -e "$1" ] && { [ -e "$1/setup-unfinished" ] || ! is_sound "$1" 2>/dev/null; }; then
    # A killed install can leave a package that looks whole and is not. All of it comes from uv's cache again, in seconds.
    say "an earlier set-up was interrupted, or this checkout was moved: making $1 anew"
    rm -rf "$1"
  fi
  if [ ! -e "$1" ]; then step "making $1 with $("$2" -V)" uv venv --python "$2" "$1"; fi
  rm -f "$1/setup.sha256"
  : >"$1/setup-unfinished"
}
close_environment() { rm "$1/setup-unfinished"; }

# install_locked ENVIRONMENT LOCK: exactly what the lock names, nothing else.
install_locked() {
  step "installing $(grep -c '^[a-z0-9].*==' "$2") locked packages (some minutes the first time)" \
    download uv pip sync --compile-bytecode --python "$1/bin/python" --require-hashes "$2" ||
    fail 75 "the locked packages could not be installed (log: $log)"
}
