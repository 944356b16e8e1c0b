"""A PostgreSQL server of a test's own: its data in a folder of its own, on a free port of this machine alone."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.waiting import wait_for

USER, PASSWORD = "reader", "pässword of nobody, 'quoted'"
_SUPERUSER = "postgres"


class Server(NamedTuple):
    """A server that answers: where it listens, its process, and the folder of its programs."""

    port: int
    process: subprocess.Popen[bytes]
    programs: Path
    sockets: Path

    @property
    def url(self) -> str:
        return f"jdbc:postgresql://127.0.0.1:{self.port}/postgres"

    def sql(self, text: str) -> str:
        """Run statements as the superuser; return what they print."""
        command = [self.programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.sockets]
        command += ["-p", str(self.port), "-U", _SUPERUSER, "-d", "postgres", "-c", text]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def stop(self) -> None:
        """End it at once, as a machine that loses its power does; its data stays."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()


def programs() -> Path:
    """Return the folder of the newest PostgreSQL's programs; skip the test if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not found or not Path("/usr/share/java/postgresql.jar").is_file():
        pytest.skip("no PostgreSQL and its JDBC driver here; scripts/setup_databases.sh installs them")
    return found[-1].parent


@contextmanager
def running() -> Iterator[Server]:
    """Start a server, as another user where this one is root, which PostgreSQL refuses; it ends with the block."""
    where = programs()
    with tempfile.TemporaryDirectory(prefix="ratchet-postgresql-") as name:
        folder = Path(name)
        secret = folder / "password"
        secret.write_text("superuser")
        who = _other_user(folder, secret)
        data = folder / "data"
        common: dict[str, Any] = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, **who}
        initdb = [where / "initdb", "-D", data, "-U", _SUPERUSER, "--auth-local=trust", "--auth-host=scram-sha-256"]
        subprocess.run(
            [*initdb, f"--pwfile={secret}", "--no-sync", "-E", "UTF8"], check=True, capture_output=True, **common
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off"}
        command = [where / "postgres", "-D", data, "-p", str(port)]
        command += [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, **common) as process:
            server = Server(port, process, where, folder)
            try:
                wait_for(lambda: _is_ready(server), "PostgreSQL", explain=(folder / "log").read_text)
                quoted = PASSWORD.replace("'", "''")
                server.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{quoted}'; GRANT pg_read_all_data TO {USER}")
                yield server
            finally:
                server.stop()


def _is_ready(server: Server) -> bool | None:
    assert server.process.poll() is None, "PostgreSQL has ended"
    command = [server.programs / "pg_isready", "-q", "-h", server.sockets, "-p", str(server.port)]
    return subprocess.run(command, check=False).returncode == 0 or None


def _other_user(folder: Path, *files: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = next(pwd.getpwnam(name) for name in ("postgres", "nobody") if _is_known(name))
    for path in (folder, *files):
        shutil.chown(path, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _is_known(name: str) -> bool:
    return any(entry.pw_name == name for entry in pwd.getpwall())
