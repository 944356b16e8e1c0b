#!/usr/bin/env bash
# Prints the path of a Python 3.11, or leaves with 1. RATCHET_PYTHON names one that is somewhere unusual.
# A name on PATH is not enough: a pyenv shim is there for versions it then refuses to start. So each is asked who it is,
# and answers with the interpreter behind shims and virtual environments, which may be gone tomorrow.
set -euo pipefail
shopt -s nullglob
for candidate in ${RATCHET_PYTHON:+"$RATCHET_PYTHON"} python3.11 /usr/bin/python3.11 python3 /usr/bin/python3 \
  /usr/local/bin/python3.11 "${HOME:-/nowhere}"/.pyenv/versions/3.11.*/bin/python; do
  "$candidate" -c 'import sys
sys.version_info[:2] == (3, 11) and sys.implementation.name == "cpython" or sys.exit(1)
print(getattr(sys, "_base_executable", sys.executable))' 2>/dev/null && exit 0
done
exit 1
