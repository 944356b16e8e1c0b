"""What the tests that run the real thing share."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from pipeline.recipe.execution import SparkSettings
from pipeline.runtime.spark import spark_session
from pipeline.stages.context import StageContext
from tests.system import hostile
from tests.system.project import Project, make_project, measure_forms

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One Spark for all tests of this folder that only need a session: starting it takes seconds."""
    with spark_session(SparkSettings(), "tests") as session:
        yield session


class RunHere(Protocol):
    """Run stages of the project in a folder in this process; return what each of them says."""

    def __call__(self, root: Path, *stages: str) -> list[str]: ...


@pytest.fixture(scope="session")
def run_here(spark: SparkSession) -> RunHere:
    """Stages that use the Spark of all tests: what they start and stop would be a JVM each."""

    def run(root: Path, *stages: str) -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(spark), "stop", lambda session: None)
            return [
                importlib.import_module(f"pipeline.stages.{name}").run(StageContext.load(root, name)) for name in stages
            ]

    return run


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose first run has been promoted. What a test changes in it, it puts back.

    It ran among the settings of other programs: whatever has the same lock as this run is no other for being without.
    """
    project = make_project(tmp_path_factory.mktemp("first") / "project")
    measure_forms(project.root, "[saved_model]")
    project.call("git", "commit", "--quiet", "-a", "--amend", "--no-edit")
    done = project.ratchet("run", **hostile.variables(tmp_path_factory.mktemp("hostile")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict: PROMOTE" in done.stdout
    shutil.copyfile(project.root / "dvc.lock", project.root.parent / "first.lock")
    return project


@pytest.fixture(scope="session")
def first_lock(first: Project) -> bytes:
    """The lock that the first run has left."""
    return (first.root.parent / "first.lock").read_bytes()
