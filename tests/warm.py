"""A run's server in tests: a folder, a process in place of DVC's, and what is asked of the server there."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.runtime.warm import client, server
from tests.processes_in import processes_in
from tests.waiting import wait_for

ROOT = Path(__file__).parents[1]
LIBRARY = "colorsys"  # which nothing else imports
WAITS = "import os, time; print(os.getpid(), flush=True); time.sleep(1000)"


@dataclass
class Done:
    """How a forked process has ended, and what it has said."""

    code: int | None
    out: str
    err: str


@dataclass
class Run:
    """A run's folder, with a process in place of DVC's, and what is asked of its server."""

    root: Path
    anchor: int
    variables: Mapping[str, str] = field(default_factory=dict)
    idle_s: float = 1000.0
    _number: int = 0

    @property
    def path(self) -> Path:
        return client.socket_path(self.root, self.anchor)

    @contextlib.contextmanager
    def inside(self, **variables: str) -> Iterator[None]:
        """Work in the run's folder, in its environment."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.root)
            for name in (client.ANCHOR_VARIABLE, "PYTEST_CURRENT_TEST"):
                patch.delenv(name, raising=False)
            for name, value in {"PYTHONPATH": str(ROOT), **self.variables, **variables}.items():
                patch.setenv(name, value)
            yield

    def connect(self) -> socket.socket:
        with self.inside():
            return client.connect_or_start(self.path, self.root / "warm.log", self.idle_s)

    def start(
        self,
        code: str,
        *arguments: str,
        libraries: Sequence[str] = (LIBRARY,),
        parent: str = server.PLAIN,
        spark: str | None = None,
        ahead: Mapping[str, Any] | None = None,
        outputs: tuple[int, int] = (1, 2),
        **variables: str,
    ) -> client.Forked:
        """Ask for a process that runs this code."""
        self._number += 1
        module = f"task{self._number}"
        (self.root / f"{module}.py").write_text(code)
        flags = dict.fromkeys(("is_past_spark", "is_last_of_spark", "alone"), False)
        jvm = {"conf": {}} if spark == "shared" else None
        plan = {
            "work": {"parent": parent, "libraries": libraries, "optional": [], "jvm": jvm, **flags},
            "later": {"optional": [], **(ahead or {})},
        }
        plan["work"]["ahead"] = ["later"] if ahead else []
        request = {"do": "stage", "name": "work", "plan": plan, "module": module, "arguments": arguments}
        connection = self.connect()
        with self.inside(**variables):
            return client.Forked(self.path, connection, request, outputs)

    def run(self, code: str, *arguments: str, **wanted: Any) -> Done:
        """Have it run to its end."""
        out, err = self.root / "out", self.root / "err"
        with out.open("w") as first, err.open("w") as second:
            process = self.start(code, *arguments, outputs=(first.fileno(), second.fileno()), **wanted)
        with process:
            ended = process.wait()
        return Done(ended, out.read_text(), err.read_text())

    def start_waiting(self, **wanted: Any) -> tuple[client.Forked, psutil.Process]:
        """Start a process that waits; return it, up."""
        out = self.root / "waiting"
        with out.open("w") as stream:
            forked = self.start(WAITS, outputs=(stream.fileno(), stream.fileno()), **wanted)
        pid = wait_for(lambda: out.read_text().endswith("\n") and out.read_text(), "the process is up")
        return forked, psutil.Process(int(pid))

    def server(self) -> psutil.Process:
        """Return the server's process."""
        word = str(self.path)
        [found] = [each for each in processes_in(self.root) if word in each.cmdline()]
        return found

    def parents(self) -> list[psutil.Process]:
        return self.server().children()

    def assert_gone(self) -> None:
        """Nothing works in the run's folder any more."""
        wait_for(
            lambda: not processes_in(self.root),
            "no process is left",
            progress=lambda: {process.pid for process in processes_in(self.root)},
            explain=lambda: processes_in(self.root),
        )


@contextlib.contextmanager
def sleeping() -> Iterator[int]:
    with subprocess.Popen(["sleep", "10000"], cwd="/") as process:
        yield process.pid
        process.kill()


@contextlib.contextmanager
def running(root: Path, **variables: str) -> Iterator[Run]:
    """A run in a folder. Whatever a test leaves of it goes with its anchor."""
    root.mkdir(parents=True, exist_ok=True)
    with sleeping() as anchor:
        run = Run(root.resolve(), anchor, variables)
        yield run
    run.assert_gone()
