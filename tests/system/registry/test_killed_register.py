"""Killed while it registers: the registry stays whole, and the next run finishes."""

from __future__ import annotations

import signal

import pytest

from tests.system.registry.shapes import NAME

KILLS = {
    "once the bytes are up": "log_artifacts",
    "once the version is made": "create_model_version",
}


@pytest.mark.parametrize("moment", KILLS)
def test_killed_at_any_moment_the_registry_stays_whole_and_the_next_run_finishes(workspace, moment):
    from pipeline.registry.tracking import open_client

    method = KILLS[moment]
    workspace.rule("first")
    kill = f"""
from mlflow import MlflowClient
real = MlflowClient.{method}
def killed(*arguments, **options):
    real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
MlflowClient.{method} = killed
"""
    with workspace.process("register", before=kill) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert [version for version in workspace.versions() if version.is_champion] == []
    workspace.run("register")
    [version] = workspace.versions()
    assert version.is_champion
    assert not (workspace.root / "reports" / ".registration.partial").exists()
    client = open_client(workspace.store)
    [run] = client.search_runs([client.get_experiment_by_name(NAME).experiment_id])
    kept = list((workspace.root.parent / "registry" / "artifacts" / NAME).iterdir())
    assert [folder.name for folder in kept] == [run.info.run_id] == [version.run_id]
    assert run.info.status == "FINISHED"


def test_killed_while_it_makes_its_database_the_next_run_makes_another(workspace, empty_database):
    workspace.rule("first")
    database = workspace.store.database
    database.unlink()  # the workspace was given one, to save its making
    kill = f"""
import threading, time
def kill_half_way():
    half_bytes = {empty_database.stat().st_size // 2}
    partial = Path({str(database.parent)!r}) / f'.{database.name}.partial-{{os.getpid()}}'
    while not partial.exists() or partial.stat().st_size < half_bytes:
        time.sleep(0.005)
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=kill_half_way, daemon=True).start()
"""
    with workspace.process("register", before=kill) as process:
        said, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    assert not database.exists()
    assert workspace.versions() == []
    workspace.run("register")
    [version] = workspace.versions()
    assert version.is_champion
