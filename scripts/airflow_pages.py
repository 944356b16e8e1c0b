"""MLflow's page and TensorBoard beside Airflow, as far as starting and stopping Airflow has to do with them.

They belong to Airflow's processes (`airflow_processes`), and end with them. scripts/serve_pages.py is what runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import airflow_processes
import airflow_settings
from airflow_processes import MARK, Process
from airflow_settings import HOME, PAGES, PAGES_NAME, ROOT

LOG = HOME / "pages.log"
VENV = Path(os.environ.get("RATCHET_VENV") or ROOT / ".venv")
_NAMES = {"mlflow": "MLflow", "tensorboard": "TensorBoard"}
_ANSWER_S = 10.0
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy does not know our loopback


def leader() -> Process | None:
    """Return the process that the pages end with, if they run."""
    processes = airflow_processes.find(ROOT, None).values()
    return next((process for process in processes if process.name == PAGES_NAME), None)


def begin(airflow_port: int) -> subprocess.Popen[bytes]:
    """Begin to serve them on the next ports that are free: the same ones each time, if nobody else takes them."""
    mlflow, tensorboard = airflow_settings.ports_after(airflow_port, 2)
    command = [str(VENV / "bin" / "python"), str(ROOT / "scripts" / "serve_pages.py"), "all"]
    with os.fdopen(os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
        return subprocess.Popen(
            [*command, str(mlflow), str(tensorboard)],
            cwd=ROOT,
            env={**_environment(), MARK: str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def lacks() -> str | None:
    """Say which page does not answer yet, or None."""
    addresses = _addresses()
    if not addresses:
        return "the pages of MLflow and TensorBoard are not up yet"
    return next((f"{_NAMES[name]} does not answer yet" for name, url in addresses.items() if not _answers(url)), None)


def in_words() -> str:
    """Say where they are."""
    return ", ".join(f"{_NAMES[name]} {url}" for name, url in sorted(_addresses().items()))


def _environment() -> dict[str, str]:
    """Return ours without what speaks to another MLflow, or to a server that is started by hand."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "_MLFLOW_", "PYTHON"))}


def _addresses() -> dict[str, str]:
    with suppress(OSError):
        return dict(json.loads(PAGES.read_text()))
    return {}


def _answers(url: str) -> bool:
    try:
        with _HTTP.open(url, timeout=_ANSWER_S):
            return True
    except urllib.error.HTTPError:  # it wants to know who asks
        return True
    except OSError:
        return False
