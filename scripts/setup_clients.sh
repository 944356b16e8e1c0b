#!/usr/bin/env bash
# Makes .venv-clients, the environment of what users ask a model with, from the locked requirements. Does nothing the second time.
#
#   make clients               (it does this first)
#   RATCHET_PYTHON, RATCHET_CACHE: as in scripts/setup.sh
#
# The stamp is written last and lists everything this depends on. Kill this at any moment; the next run repairs.
# Exit codes: 0 done, 2 there is no Python 3.11, 75 a download failed.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(pwd -P)
inputs=(requirements/{bootstrap,clients}.txt scripts/{setup_clients,set_up_steps,find_python,uv}.sh)
log=.ratchet/setup-clients.log
# shellcheck source=scripts/set_up_steps.sh
. scripts/set_up_steps.sh

is_set_up() { [ -x .venv-clients/bin/python ] && is_stamped .venv-clients; }
if is_set_up; then exit 0; fi

take_turn .ratchet/setup-clients.lock
digests=$(sha256sum "${inputs[@]}") # before any of them is read: one that changes meanwhile makes the stamp stale
python=$(scripts/find_python.sh) || fail 2 "no Python 3.11 found: run scripts/setup.sh first, or name one in RATCHET_PYTHON"
need_uv
open_environment .venv-clients "$python"
install_locked .venv-clients requirements/clients.txt
close_environment .venv-clients
stamp .venv-clients "$digests"
say "the clients' environment is ready in $SECONDS s"
