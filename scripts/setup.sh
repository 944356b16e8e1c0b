#!/usr/bin/env bash
# Sets up what is missing: system parts, .venv from the locked requirements, Horovod, and this project itself.
#
#   make setup                 (every other target does it first)
#   RATCHET_PYTHON=…           a Python 3.11 that is not on PATH
#   RATCHET_CACHE=…            where uv and the Horovod wheel are kept (default ~/.cache/ratchet)
#
# The stamp is written last, after Horovod has been proved with two real processes. It is a list for `sha256sum --check` of
# everything set-up depends on: while it holds there is nothing to do. Kill this at any moment; the next run repairs.
# Exit codes: 0 done, 2 the machine lacks something that only its owner can install, 70 a build or the proof failed,
# 75 a download failed.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(pwd -P)
inputs=(pyproject.toml requirements/{bootstrap,build,horovod,pipeline}.txt
  scripts/{setup,set_up_steps,find_python,uv,build_horovod}.sh scripts/{prove_horovod,archive_classes}.py)
log=.ratchet/setup.log
# shellcheck source=scripts/set_up_steps.sh
. scripts/set_up_steps.sh

java_command() { if [ -n "${JAVA_HOME:-}" ]; then echo "$JAVA_HOME/bin/java"; else echo java; fi; } # as Spark chooses it

is_set_up() {
  [ -x .venv/bin/python ] && [ -x .venv/bin/ratchet ] && [ -e .venv/lib/python3.11/site-packages/horovod ] &&
    is_stamped .venv && command -v "$(java_command)" >/dev/null
}
if is_set_up; then exit 0; fi

take_turn .ratchet/setup.lock
digests=$(sha256sum "${inputs[@]}") # before any of them is read: one that changes meanwhile makes the stamp stale

# -- what the system must have
packages=() lacks=()
has_java() { # Spark 4 runs on Java 17 and 21; 24 and later took away what Hadoop still calls
  local modules major
  modules=$("$(java_command)" --list-modules 2>/dev/null) || return 1
  major=$(sed -n 's/^java\.base@\([0-9]*\).*/\1/p' <<<"$modules")
  [ "${major:-0}" -ge 17 ] && [ "$major" -lt 24 ] && grep -q '^jdk\.incubator\.vector@' <<<"$modules"
}
java_package() (
  ID='' VERSION_ID=''
  # shellcheck disable=SC1091
  [ -r /etc/os-release ] && . /etc/os-release
  # Debian dropped 17 after release 12 (its testing has no number); every Ubuntu that has Python 3.11 has 17.
  if [ "$ID" = debian ] && { [ -z "$VERSION_ID" ] || [ "${VERSION_ID%%.*}" -ge 13 ]; }; then
    echo openjdk-21-jre-headless
  else
    echo openjdk-17-jre-headless
  fi
)
look_for_system_parts() {
  packages=() lacks=()
  has_java || { lacks+=("Java 17 or 21 (with jdk.incubator.vector)"); packages+=("$(java_package)"); }
  command -v g++ >/dev/null || { lacks+=("a C++ compiler"); packages+=(g++); }
  command -v make >/dev/null || { lacks+=(make); packages+=(make); }
  [ -e /etc/ssl/certs/ca-certificates.crt ] || { lacks+=("certificates"); packages+=(ca-certificates); }
  if ! python=$(scripts/find_python.sh); then
    lacks+=("Python 3.11"); packages+=(python3.11 python3.11-venv)
  elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    lacks+=("Python's venv"); packages+=(python3.11-venv)
  fi
}
join() { local text; printf -v text ', %s' "$@"; echo "${text:2}"; }

if [ -n "${JAVA_HOME:-}" ] && ! has_java; then
  fail 2 "JAVA_HOME=$JAVA_HOME is no Java 17 or 21 with the module jdk.incubator.vector: unset JAVA_HOME, or point it at one"
fi
look_for_system_parts
if [ ${#packages[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -qq -y)
  step "looking up packages for: $(join "${lacks[@]}")" download "${apt[@]}" update || fail 75 "apt-get update failed (log: $log)"
  step "installing ${packages[*]}" download "${apt[@]}" install --no-install-recommends "${packages[@]}" ||
    fail 2 "apt-get cannot install ${packages[*]}: install $(join "${lacks[@]}") by hand (log: $log)"
  look_for_system_parts
fi
for home in /usr/lib/jvm/*; do
  if command -v java >/dev/null && ! has_java && JAVA_HOME=$home has_java; then
    fail 2 "the java on PATH is no Java 17 or 21 with the module jdk.incubator.vector: export JAVA_HOME=$home"
  fi
done
if [ ${#packages[@]} -gt 0 ]; then
  # One line, pasted whole: the shell takes the reason for a comment.
  sudo='sudo '; if [ "$(id -u)" = 0 ]; then sudo=; fi
  echo "${sudo}apt-get update && ${sudo}apt-get install -y ${packages[*]}  # Ratchet lacks: $(join "${lacks[@]}")" >&2
  exit 2
fi

# -- the environment
need_uv
open_environment .venv "$python"

# `uv pip sync` also removes what the lock does not name, and those two are not in it: they are put back below. So that they
# do not vanish under a running job for nothing, it runs only when something else is out of step.
is_in_step() {
  local plan other
  plan=$(uv pip sync --dry-run --python .venv/bin/python --require-hashes requirements/pipeline.txt 2>&1) || return 1
  other=$(grep -E '^ +[-+~] ' <<<"$plan" | grep -vE '^ +- (horovod|ratchet)==' || true)
  [ -z "$other" ]
}
if ! is_in_step; then install_locked .venv requirements/pipeline.txt; fi
if ! wheel=$(scripts/build_horovod.sh --cached); then
  step "building Horovod for the locked TensorFlow (two to six minutes, once on this machine)" scripts/build_horovod.sh ||
    fail 70 "Horovod could not be built (log: $log)"
  wheel=$(scripts/build_horovod.sh --cached)
fi
step "installing Horovod and Ratchet" uv pip install --no-deps --no-build-isolation --compile-bytecode \
  --python .venv/bin/python "$wheel" --editable . || fail 70 "Horovod or Ratchet could not be installed (log: $log)"
close_environment .venv

step "proving Horovod: an allreduce between two processes" .venv/bin/python scripts/prove_horovod.py ||
  fail 70 "Horovod does not work here: remove $(dirname "$wheel") and run this again to build it anew (log: $log)"
step "archiving the classes of Spark's JVM, which then starts in half the time" \
  .venv/bin/python scripts/archive_classes.py .venv/spark.jsa || say "  it could not be done (log: $log): Spark starts more slowly"
stamp .venv "$digests"
say "ready in $SECONDS s"
