"""Nothing stale, asked of DVC itself: defaults in code and slots' files re-run what they decide; words re-run nothing.

Every other value is tried in tests/recipe/test_nothing_stale.py, without DVC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pipeline.recipe.resolving import RESOLVED_FILE
from tests.recipe.defaults_in_code import with_other_words
from tests.system.project import Project


@pytest.fixture
def edit(first: Project) -> Iterator[Callable[[str, Callable[[str], str]], None]]:
    """Edit a file of the project for as long as the test lasts; the complete recipe is what it was afterwards."""
    before = {path: path.read_bytes() for path in (first.root / RESOLVED_FILE, first.root / "dvc.lock")}

    def edit(name: str, change: Callable[[str], str]) -> None:
        path = first.root / name
        before[path] = path.read_bytes() if path.exists() else b""
        text = before[path].decode()
        assert change(text) != text
        path.write_text(change(text))

    yield edit
    for path, content in before.items():
        path.write_bytes(content)
        if not content:
            path.unlink()


def changed_stages(project: Project) -> set[str]:
    """Complete the recipe as `dvc repro` does first, and return the stages that DVC would run then."""
    done = project.call("dvc", "repro", "resolve")
    assert done.returncode == 0, done.stdout + done.stderr
    status = project.call("dvc", "status")
    assert status.returncode == 0, status.stderr
    lines = status.stdout.splitlines()
    stages = {line.removesuffix(":") for line in lines if line.endswith(":") and not line.startswith((" ", "\t"))}
    return stages - {"champion", "register"}  # they look at the registry, always


def replaced(old: str, new: str) -> Callable[[str], str]:
    def replace(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return replace


def test_after_a_run_nothing_has_changed(first: Project) -> None:
    assert changed_stages(first) == set()


def test_a_default_in_the_recipes_code_re_runs_the_stage_that_it_decides(
    first: Project, edit: Callable[[str, Callable[[str], str]], None]
) -> None:
    edit("pipeline/recipe/recipe.py", replaced("default=0.95, description", "default=0.9, description"))
    assert changed_stages(first) == {"gate"}


def test_a_default_of_an_optimizer_in_use_re_runs_the_training(
    first: Project, edit: Callable[[str, Callable[[str], str]], None]
) -> None:
    edit("pipeline/training/optimizers/adam.py", replaced("default=0.9,", "default=0.8,"))
    assert changed_stages(first) == {"train"}


def test_the_code_of_an_optimizer_in_use_re_runs_the_training(
    first: Project, edit: Callable[[str, Callable[[str], str]], None]
) -> None:
    edit("pipeline/training/optimizers/adam.py", replaced("import keras\n", "import keras\n\n    learning_rate /= 2\n"))
    assert changed_stages(first) == {"train"}


def test_a_default_of_a_step_in_use_re_runs_the_augmentation(
    first: Project, edit: Callable[[str, Callable[[str], str]], None]
) -> None:
    edit("pipeline/augmentation/steps/erase.py", replaced("default=0.15", "default=0.9"))
    assert "augment" in changed_stages(first)
    done = first.ratchet("run", "--set", "train.epochs=0")  # nothing runs: it is refused
    assert done.returncode == 2


def test_other_words_and_new_files_in_slots_of_training_re_run_nothing(
    first: Project, edit: Callable[[str, Callable[[str], str]], None]
) -> None:
    for name in ("recipe/recipe.py", "training/optimizers/adam.py", "training/schedules/cosine.py"):
        edit(f"pipeline/{name}", with_other_words)
    edit("dvc.yaml", replaced("desc: trains", "desc: really trains"))
    edit("configs/fashion_mnist.yaml", replaced("description: ", "description: the "))
    edit("params.yaml", lambda text: "# a comment\n" + text)
    member = (first.root / "pipeline/training/optimizers/sgd.py").read_text()
    edit("pipeline/training/optimizers/another.py", lambda _: member)
    assert changed_stages(first) == set()
