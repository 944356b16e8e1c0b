"""A stage in a container: what it is given, and that it ends with its task."""

from __future__ import annotations

import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from dags import commands, tasks
from dags.commands import TryLater
from pipeline.records.run import RunRecord
from pipeline.runs import history, workspaces
from pipeline.runs.locks import run_lock
from tests.dags.conftest import ROOT
from tests.dags.task_run import RUN, stage_task
from tests.processes_in import is_gone
from tests.waiting import HANG_S, wait_for

# Stands in for docker: starts the command where no signal for the client reaches it, and hands on what goes in and out.
DOCKER = f"""#!{sys.executable} -IS
import os, subprocess, sys, threading
options = sys.argv[2 : sys.argv.index("ratchet:gpu")]
command = sys.argv[sys.argv.index("ratchet:gpu") + 1 :]
settings = [option.partition("=")[2] for option in options if option.startswith("--env=")]
environment = dict(os.environ, **dict(one.split("=", 1) for one in settings if "=" in one))
[folder] = [option.partition("=")[2] for option in options if option.startswith("--workdir=")]
container = subprocess.Popen(
    command, env=environment, cwd=folder, start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
)
print("container", container.pid, flush=True)

def hand_on():
    while content := os.read(0, 4096):
        os.write(container.stdin.fileno(), content)
    container.stdin.close()

threading.Thread(target=hand_on, daemon=True).start()
for line in container.stdout:
    print(line.decode(), end="", flush=True)
code = container.wait()
os._exit(code if code >= 0 else 128 - code)
"""


def test_a_container_gets_the_project_the_user_and_the_names_of_what_is_overridden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RATCHET_SPARK__MASTER", "spark://secret@host")
    monkeypatch.setenv("RATCHET_VENV", "/worker/venv")
    words = stage_task(image="ratchet:gpu")._in_container("run-1")
    assert words[:2] == ["docker", "run"]
    options, command = words[2 : words.index("ratchet:gpu")], words[words.index("ratchet:gpu") + 1 :]
    assert command == ["python", "-m", "pipeline", "runs", "stage", "run-1", "train"]
    assert {
        "--rm",
        "--interactive",
        f"--user={os.getuid()}:{os.getgid()}",
        f"--volume={ROOT}:{ROOT}",
        f"--workdir={ROOT}",
        f"--env=PYTHONPATH={ROOT}",
        "--env=RATCHET_LIFELINE=1",
        "--env=RATCHET_SPARK__MASTER",
    } <= set(options)
    assert all(option.startswith("--") for option in options)
    assert "secret" not in " ".join(words)  # whoever lists the processes could read it
    assert "/worker/venv" not in " ".join(words)


def test_a_stage_in_a_container_ends_when_its_tasks_side_is_gone(
    tmp_path: Path, said: list[str], background: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real command waits for another stage of the same run, whose lock this test holds.
    root = tmp_path / "project"
    workspace = workspaces.workspace_of(root, RUN)
    workspace.mkdir(parents=True)
    for folder in (root, workspace):
        (folder / "pipeline").symlink_to(ROOT / "pipeline")
        for name in ("dvc.yaml", "params.yaml"):
            (folder / name).write_bytes((ROOT / name).read_bytes())
    history.write(root, RunRecord(id=RUN, driver="airflow", state="running", start=history.now()))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER)
    (programs / "python").write_text(f'#!/bin/sh\nexec {ROOT}/.venv/bin/python "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    for module in (commands, tasks):
        monkeypatch.setattr(module, "ROOT", root)
    one = stage_task("ingest", image="ratchet:gpu")
    with run_lock(workspace):
        going: Future[None] = background.submit(one.call, "runs", command=one._in_container(RUN))
        pid = int(wait_for(lambda: said and said[0], "the container").split()[1])
        lock = workspace / ".ratchet" / "run.lock"
        wait_for(
            lambda: str(lock) in {file.path for file in psutil.Process(pid).open_files()} or going.done(),
            "the stage waits for the lock",
        )
        assert not going.done(), said
        one.on_kill()
        wait_for(lambda: is_gone(pid), "the container is gone")
    with pytest.raises(TryLater, match="SIGTERM"):
        going.result(HANG_S)
