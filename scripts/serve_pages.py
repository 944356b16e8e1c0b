"""MLflow's page and TensorBoard beside this checkout's Airflow: on loopback, and they end with it.

Runs in the pipeline's environment; scripts/airflow_pages.py starts it.

    serve_pages.py all PORT PORT   starts both, writes where they are, and ends when one of them or Airflow has ended
    serve_pages.py mlflow PORT     is MLflow's server, over the registry that execution.yaml names
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from airflow_processes import Started
from airflow_settings import HOME, PAGES, PAGES_NAME, RECORD, ROOT

sys.path.insert(0, str(ROOT))

from pipeline.recipe.execution import load_execution
from pipeline.registry.store import Store, resolve_store
from pipeline.runtime.processes import die_with_parent

_PR_SET_NAME = 15  # linux/prctl.h
# What TensorBoard shows, by the name that it has there: kept runs, those at work, and the one of this folder.
_LOGS = {"runs": "runs", "workspaces": ".ratchet/workspaces", "here": "reports/tensorboard"}


def serve_all(mlflow_port: int, tensorboard_port: int) -> None:
    """Start both pages and live as long as they and Airflow do. What this process starts ends with it."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, PAGES_NAME.encode(), 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    airflow = Started.read(RECORD)
    if airflow is None:
        sys.exit("Airflow is not running")
    is_over = os.pidfd_open(airflow.pid)
    if not airflow.is_alive:
        sys.exit("Airflow has ended")
    store = _store()
    commands = {"tensorboard": [*_tensorboard(), "--port", str(tensorboard_port)]}
    addresses = {"tensorboard": f"http://127.0.0.1:{tensorboard_port}"}
    if store.is_server:
        addresses["mlflow"] = store.label
    else:
        commands["mlflow"] = [sys.executable, __file__, "mlflow", str(mlflow_port)]
        addresses["mlflow"] = f"http://127.0.0.1:{mlflow_port}"
    me = os.getpid()
    pages = [subprocess.Popen(command, preexec_fn=lambda: die_with_parent(me)) for command in commands.values()]
    aside = PAGES.with_suffix(f".{me}")
    aside.write_text(json.dumps(addresses))
    aside.replace(PAGES)
    try:
        select.select([is_over, *(os.pidfd_open(page.pid) for page in pages)], [], [])
    finally:
        PAGES.unlink(missing_ok=True)


def serve_mlflow(port: int) -> None:
    """Be MLflow's server, as `mlflow server` would start it in a process below its own, which would outlive a kill."""
    from pipeline.registry import tracking

    store = _store()
    tracking.open_client(store)  # makes a registry that is not there yet, safely
    from mlflow.server import constants

    # An address may have a password: it is handed over here and not on a command line, which everybody can read.
    os.environ |= {constants.BACKEND_STORE_URI_ENV_VAR: store.uri, constants.REGISTRY_STORE_URI_ENV_VAR: store.uri}
    if store.artifacts:
        os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = store.artifacts
    os.environ |= {
        # Asked by another name, it is a page of somebody else that asks (DNS rebinding); changes from such are refused.
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"127.0.0.1:{port},localhost:{port}",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{port},http://localhost:{port}",
        "MLFLOW_SERVER_X_FRAME_OPTIONS": "DENY",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    import uvicorn

    uvicorn.run("mlflow.server.fastapi_app:app", host="127.0.0.1", port=port, log_level="warning")


def _store() -> Store:
    return resolve_store(ROOT, load_execution(ROOT).mlflow)


def _tensorboard() -> list[str]:
    """Return its command. It finds the logs through links, so that a path with ':' or ',' in it serves too."""
    folder = HOME / "tensorboard"
    folder.mkdir(exist_ok=True)
    for name, path in _LOGS.items():
        with suppress(FileExistsError):
            (folder / name).symlink_to(ROOT / path)
    program = Path(sys.executable).with_name("tensorboard")
    return [str(program), "--logdir", str(folder), "--host", "127.0.0.1"]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["all", mlflow, tensorboard]:
            serve_all(int(mlflow), int(tensorboard))
        case ["mlflow", port]:
            serve_mlflow(int(port))
