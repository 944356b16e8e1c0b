"""What the tests of the page share: a finished project, made once, and how a page is read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.evaluation.made_answers import MadeAnswers, make_answers
from tests.registry.local_registry import LocalRegistry
from tests.report.finished_project import make_project


@pytest.fixture(scope="session")
def answers() -> MadeAnswers:
    return make_answers()


@pytest.fixture(scope="session")
def whole_project(answers: MadeAnswers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; tests that change something take `project`."""
    root = tmp_path_factory.mktemp("whole")
    make_project(root, answers)
    return root


@pytest.fixture
def project(whole_project: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole_project, tmp_path / "project")


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path)
