"""What an Airflow of this checkout is given before it starts: settings, ports on loopback, a password and keys."""

from __future__ import annotations

import base64
import errno
import json
import os
import secrets
import socket
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".airflow"
DAGS = ROOT / "dags"
SECRETS = HOME / "airflow.cfg"  # the file that Airflow would write itself, with every default and shorter keys
RECORD = HOME / "standalone.json"  # who Airflow is, and where it answers
PAGES = HOME / "pages.json"  # the addresses of the pages beside it; dags/plugins/ links to them
PAGES_WANTED = HOME / "pages.wanted"  # there from a start with pages to the stop
PAGES_NAME = "ratchet-pages"  # of the process that serves them
PASSWORDS = HOME / "simple_auth_manager_passwords.json.generated"  # the name that Airflow gives it
_DATABASE, _DATABASE_PATIENCE_S = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", 300
PARSE_LOGS = HOME / "logs" / "dag_processor"  # one for each DAG file that is read
USER = "admin"  # the one user of Airflow's default [core] simple_auth_manager_users


def settings(port: int, log_ports: tuple[int, ...]) -> dict[str, str]:
    """Return the settings of `dags/airflow.env`, where nothing else is set, and those that depend on the place."""
    lines = (DAGS / "airflow.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    general = {key: os.environ.get(key, value) for key, _, value in pairs}
    address = f"http://127.0.0.1:{port}"
    place = {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW_CONFIG": str(SECRETS),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(PARSE_LOGS),
        "PYTHONPATH": str(ROOT),  # `import pipeline` and `import dags`
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(DAGS / "plugins"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        # The server fetches the logs of a running task from the host that the task names as its own: 127.0.0.1. The
        # default asks the name service, which can take seconds where there is none.
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "urllib.request.localhost",
        # Off by default; whoever switches it on does not want it on every interface.
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1", "localhost"])),
    }
    place["no_proxy"] = place["NO_PROXY"]
    for key, log_port in zip(("WORKER_LOG_SERVER_PORT", "TRIGGER_LOG_SERVER_PORT"), log_ports, strict=False):
        place[f"AIRFLOW__LOGGING__{key}"] = str(log_port)
    # SQLite's own patience is 5 s: a scheduler that cannot write for so long, on a busy machine, ends.
    database = f"sqlite:///{HOME}/airflow.db?timeout={_DATABASE_PATIENCE_S}"
    place[_DATABASE] = os.environ.get(_DATABASE, database)
    return general | place


def refuse(port: int) -> str | None:
    """Say why Airflow cannot listen on a port, and on which it could; None if it can."""
    if why := _why_not(port):
        free = "".join(f", for example {other}" for other in ports_after(port, 1))
        return f"port {port} of 127.0.0.1 {why}: choose another with PORT=…{free}"
    return None


def ports_after(port: int, count: int) -> list[int]:
    """Return the next ports of loopback on which something can listen: that many, or fewer where there are no more."""
    free = (other for other in range(port + 1, min(port + 100, 1 << 16)) if not _why_not(other))
    return list(islice(free, count))


def _why_not(port: int) -> str | None:
    """Say why nothing can listen on a port of the loopback interface, if so."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn: what lately closed is free
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError as error:
            return "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
    return None


def free_ports(count: int) -> list[int]:
    """Return that many ports of loopback on which nobody listens."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def make_secrets() -> None:
    """Choose password and keys once. Airflow would print the password that it chooses into its log."""
    if not SECRETS.exists():
        fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()  # encrypts the connections' passwords
        keys = {"core": f"fernet_key = {fernet_key}"}
        keys |= {
            "api": f"secret_key = {secrets.token_urlsafe(64)}",
            "api_auth": f"jwt_secret = {secrets.token_urlsafe(64)}",
        }
        sections = "".join(f"\n[{section}]\n{line}\n" for section, line in keys.items())
        _write_private(SECRETS, f"# The keys of this Airflow. Its settings are in dags/airflow.env.\n{sections}")
    try:
        passwords = json.loads(PASSWORDS.read_text())
    except (OSError, ValueError):
        passwords = {}
    if USER not in passwords:
        _write_private(PASSWORDS, json.dumps({**passwords, USER: secrets.token_urlsafe(12)}))
    PASSWORDS.chmod(0o600)


def _write_private(path: Path, text: str) -> None:
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    aside.replace(path)
