#!/usr/bin/env bash
# Rewrites requirements/*.txt from requirements/*.in: exact versions with hashes, no addresses. Versions already locked
# stay where they still fit; `scripts/lock.sh --upgrade` (or --upgrade-package NAME) moves them.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(scripts/uv.sh)
# An order in which each finds the locks that it keeps to already written.
for name in bootstrap build horovod pipeline pipeline_gpu airflow airflow_team mlflow serving clients; do
  # Horovod's own requirements are in pipeline.in: its lock is the one source archive that build_horovod.sh builds.
  only=(); [ "$name" = horovod ] && only=(--no-deps --no-binary horovod)
  [ -e "requirements/$name.overrides" ] && only+=(--override "requirements/$name.overrides")
  echo "locking requirements/$name.txt"
  "$uv" pip compile --quiet --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 \
    "${only[@]}" "$@" "requirements/$name.in" -o "requirements/$name.txt"
done
