#!/usr/bin/env bash
# Starts and stops Airflow on this machine, for this checkout: scheduler, DAG processor, triggerer and web server, on loopback.
#
#   scripts/airflow.sh start [--port 8080]   returns when it is ready; does nothing if it runs already, and starts it anew if
#                                            a part of it has ended; it waits while something moves, on a busy machine too
#                      --pages             MLflow's page and TensorBoard beside it, on the next free ports of loopback
#   scripts/airflow.sh status                0 if it runs and is healthy, 1 if not
#   scripts/airflow.sh stop                  ends every process of it; 0 also if none was there
#   scripts/airflow.sh env [--port 8080]     prints the settings, for Airflow's own command:
#                                            eval "$(scripts/airflow.sh env)"; .venv-airflow/bin/airflow dags list
#
# Settings are in dags/airflow.env; what Airflow keeps is in .airflow/ (database, logs, password); remove that folder while it
# is stopped to begin anew. Several checkouts can run one each, on ports of their own.
#   RATCHET_AIRFLOW_VENV=…   Airflow's environment, if it is not .venv-airflow
# Exit codes: 0 done, 1 see status, 2 usage or a port that is taken, 70 Airflow did not start.
set -euo pipefail
self=$(readlink -f "$0")
root=${self%/*/*}
if [[ " $* " =~ \ (-h|--help|help)\  ]] || [ $# = 0 ]; then
  sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "$self"
  if [ $# = 0 ]; then exit 2; else exit 0; fi
fi
export RATCHET_AIRFLOW_VENV=${RATCHET_AIRFLOW_VENV:-$root/.venv-airflow}
python=$RATCHET_AIRFLOW_VENV/bin/python
if ! [ -x "$python" ] || ! [ -x "$RATCHET_AIRFLOW_VENV/bin/airflow" ]; then
  if [ "$1" = start ]; then
    echo "ratchet: Airflow's environment $RATCHET_AIRFLOW_VENV is not there: make it with scripts/setup_airflow.sh" >&2
    exit 2
  fi
  python=$("$root/scripts/find_python.sh") || { echo "ratchet: no Python 3.11 found: name one in RATCHET_PYTHON" >&2; exit 2; }
fi
exec env -u PYTHONPATH -u PYTHONHOME "$python" "$root/scripts/airflow_service.py" "$@"
