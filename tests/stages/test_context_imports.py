"""Code that a stage, or a process of it, has used and dvc.yaml does not declare for it would leave a stale cache."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import Bug
from pipeline.runtime.imports import IMPORTS_VARIABLE
from pipeline.stages.context import StageContext

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process look as if it had imported nothing of the package."""
    for name in [name for name in sys.modules if name == "pipeline" or name.startswith("pipeline.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv(IMPORTS_VARIABLE, "")  # to be put back as it was


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """Return a function by which this process has imported a module."""
    return lambda name: monkeypatch.setitem(sys.modules, name, types.ModuleType(name))


def use_in_a_child(root: Path, *modules: str) -> None:
    """Start a process as ranks and Spark's workers are, which imports modules of the project."""
    code = (
        f"import pipeline; pipeline.__path__.append({str(root / 'pipeline')!r})\n"
        "from pipeline.runtime.imports import report_imports\nreport_imports()\n"
        f"import {', '.join(modules)}\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_stage_that_has_used_nothing_passes(context: StageContext) -> None:
    context.watch_imports()
    context.check_imports()


@pytest.mark.parametrize("name", ["pipeline.declared", "pipeline.room.inner", "pipeline.room.inner.most"])
def test_code_that_is_declared_passes(context: StageContext, use: Callable[[str], object], name: str) -> None:
    use(name)
    context.check_imports()


@pytest.mark.parametrize(
    "name", ["pipeline.cli.stage", "pipeline.runs.steps", "pipeline.launching", "pipeline.errors", "pipeline.recipe.x"]
)
def test_code_that_carries_a_stage_need_not_be_declared(
    context: StageContext, use: Callable[[str], object], name: str
) -> None:
    use(name)
    context.check_imports()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("pipeline.models.secret", "pipeline/models/secret.py"),
        ("pipeline.declared_not", "pipeline/declared_not.py"),
        ("pipeline.stages.train", "pipeline/stages/train.py"),
        ("pipeline.runs_not", "pipeline/runs_not.py"),
    ],
)
def test_code_that_is_not_declared_fails_and_names_the_line_to_add(
    context: StageContext, use: Callable[[str], object], name: str, file: str
) -> None:
    use(name)
    with pytest.raises(Bug) as caught:
        context.check_imports()
    assert str(caught.value) == f"stage train used {file}: add it under deps of stage train in dvc.yaml"


def test_a_package_that_is_only_a_docstring_decides_nothing(
    context: StageContext, use: Callable[[str], object]
) -> None:
    use("pipeline")
    context.check_imports()


def test_a_package_with_code_must_be_declared(context: StageContext, use: Callable[[str], object], root: Path) -> None:
    (root / "pipeline" / "__init__.py").write_text('"""More than a docstring."""\n\nLIMIT = 3\n')
    use("pipeline")
    with pytest.raises(Bug, match=r"used pipeline/__init__\.py: add it under deps of stage train"):
        context.check_imports()


def test_code_that_only_a_child_has_used_fails_and_names_the_line_to_add(context: StageContext, root: Path) -> None:
    (root / "pipeline" / "secret.py").touch()
    context.watch_imports()
    use_in_a_child(root, "pipeline.secret")
    with pytest.raises(Bug, match=r"stage train used pipeline/secret\.py: add it under deps of stage train"):
        context.check_imports()


def test_declared_code_that_only_a_child_has_used_passes(context: StageContext, root: Path) -> None:
    (root / "pipeline" / "declared.py").touch()
    context.watch_imports()
    use_in_a_child(root, "pipeline.declared", "pipeline.runtime.cores")
    context.check_imports()


def test_what_an_earlier_run_of_the_stage_has_used_is_forgotten(context: StageContext, root: Path) -> None:
    (root / "pipeline" / "secret.py").touch()
    context.watch_imports()
    use_in_a_child(root, "pipeline.secret")
    context.watch_imports()
    context.check_imports()


@pytest.mark.parametrize("content", ["", '"""Its docstring."""\n', '"""\nOn lines of its own.\n"""\n'])
def test_a_package_that_decides_nothing_need_not_be_declared(
    context: StageContext, root: Path, use: Callable[[str], object], content: str
) -> None:
    package = root / "pipeline" / "hall"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(content)
    use("pipeline.hall")
    context.check_imports()


@pytest.mark.parametrize("content", ["WEIGHT = 3\n", 'WEIGHT = 3\n"""Late."""\n', "'''Doc.'''\nWEIGHT = 3\n"])
def test_a_package_with_code_of_its_own_must_be_declared(
    context: StageContext, root: Path, use: Callable[[str], object], content: str
) -> None:
    package = root / "pipeline" / "hall"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(content)
    use("pipeline.hall")
    with pytest.raises(Bug, match=r"used pipeline/hall/__init__\.py"):
        context.check_imports()


def test_a_folder_without_a_file_of_its_own_decides_nothing(
    context: StageContext, root: Path, use: Callable[[str], object]
) -> None:
    (root / "pipeline" / "hall").mkdir(parents=True)
    use("pipeline.hall")
    context.check_imports()
