"""Each process of a run's tree is killed once: none is left, the next try may succeed, and ends with the same lock.

All of them at all stages: `make killings`.
"""

from __future__ import annotations

from pathlib import Path

from tests.system.killings import ROLES, kill
from tests.system.project import make_project

KILLED = [
    ("clean", "Spark's worker"),
    ("clean", "Spark's daemon"),
    ("clean", "server"),
    ("clean", "parent of Spark"),
    ("clean", "driver"),
    ("check_prepared", "child"),
    ("check_prepared", "JVM"),
    ("check_prepared", "holder"),
    ("check_prepared", "dvc"),
    ("train", "client"),
    ("train", "rank"),
]


def test_whichever_process_is_killed_none_is_left_and_the_last_try_ends_as_one_that_nobody_has_disturbed(
    first_lock: bytes, tmp_path: Path
) -> None:
    assert {role for _, role in KILLED} == {role for roles in ROLES.values() for role in roles} - {"other parent"}
    project = make_project(tmp_path / "project")
    for stage, role in KILLED:
        done = kill(project, stage, role)
        assert done is not None, (stage, role)
        assert done.is_right, done
    finished = project.ratchet("run")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert (project.root / "dvc.lock").read_bytes() == first_lock
