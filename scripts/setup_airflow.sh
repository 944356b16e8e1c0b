#!/usr/bin/env bash
# Makes .venv-airflow, Airflow's own environment, from the locked requirements. Does nothing the second time.
#
#   make airflow               (and `make test`, `make check`: they do it first)
#   RATCHET_PYTHON, RATCHET_CACHE: as in scripts/setup.sh
#
# The stamp is written last and lists everything this depends on. Kill this at any moment; the next run repairs.
# Exit codes: 0 done, 2 there is no Python 3.11, 70 the packages do not fit together, 75 a download failed.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(pwd -P)
inputs=(requirements/{bootstrap,airflow}.txt scripts/{setup_airflow,set_up_steps,find_python,uv}.sh)
log=.ratchet/setup-airflow.log
# shellcheck source=scripts/set_up_steps.sh
. scripts/set_up_steps.sh

is_set_up() { [ -x .venv-airflow/bin/python ] && [ -x .venv-airflow/bin/airflow ] && is_stamped .venv-airflow; }
if is_set_up; then exit 0; fi

take_turn .ratchet/setup-airflow.lock
digests=$(sha256sum "${inputs[@]}") # before any of them is read: one that changes meanwhile makes the stamp stale
python=$(scripts/find_python.sh) || fail 2 "no Python 3.11 found: run scripts/setup.sh first, or name one in RATCHET_PYTHON"
need_uv
open_environment .venv-airflow "$python"
install_locked .venv-airflow requirements/airflow.txt
close_environment .venv-airflow
step "checking that the packages fit together" uv pip check --python .venv-airflow/bin/python ||
  fail 70 "the locked packages contradict each other: scripts/lock.sh writes a new lock (log: $log)"
stamp .venv-airflow "$digests"
say "Airflow's environment is ready in $SECONDS s"
