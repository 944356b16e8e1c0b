"""A stage can open only what dvc.yaml declares for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import Bug, UsageError
from pipeline.recipe.recipe import TrainParams, load_recipe
from pipeline.runtime.git import git
from pipeline.stages.context import StageContext

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", ["data/in", "data/in/part"])
def test_a_declared_dependency_is_given(context: StageContext, root: Path, path: str) -> None:
    assert context.dep(path) == root / path


def test_a_declared_output_is_given(context: StageContext, root: Path) -> None:
    assert context.out("models/out") == root / "models/out"


def test_a_declared_volatile_path_is_given(context: StageContext, root: Path) -> None:
    assert context.volatile("logs/x") == root / "logs/x"


def test_a_declared_group_of_parameters_is_given(context: StageContext) -> None:
    assert context.param("train", TrainParams) == load_recipe(ROOT).train


def test_a_parameter_of_a_declared_group_is_given(context: StageContext) -> None:
    assert context.param("train.epochs", int) == load_recipe(ROOT).train.epochs


@pytest.mark.parametrize(
    ("ask", "line"),
    [
        (lambda c: c.dep("data/other"), "data/other: add it under deps of stage train in dvc.yaml"),
        (lambda c: c.dep("data/input"), "data/input: add it under deps"),
        (lambda c: c.dep("models/out"), "models/out: add it under deps"),
        (lambda c: c.out("data/in"), "data/in: add it under outs"),
        (lambda c: c.volatile("models/out"), "add it under meta: volatile"),
        (lambda c: c.param("gate.minimum", object), "'gate.minimum': add it under params of stage train"),
        (lambda c: c.param("training", object), "'training': add it under params"),
        (lambda c: c.param("data.image", object), "'data.image': add it under params"),
    ],
)
def test_what_is_not_declared_fails_and_names_the_line_to_add(
    context: StageContext, ask: Callable[[StageContext], object], line: str
) -> None:
    with pytest.raises(Bug) as caught:
        ask(context)
    assert line in str(caught.value)


def test_a_parameter_of_another_type_is_a_bug(context: StageContext) -> None:
    with pytest.raises(Bug, match=r"parameter 'train\.epochs' is int, not str"):
        context.param("train.epochs", str)


def test_only_declared_parameters_are_listed(context: StageContext) -> None:
    recipe = load_recipe(ROOT)
    assert context.parameters() == {
        "train": recipe.train.model_dump(mode="json"),
        "seed": recipe.seed,
        "data.image.height": recipe.data.image.height,
    }


def test_a_context_gives_no_other_path(context: StageContext) -> None:
    public = {name: getattr(context, name) for name in dir(context) if not name.startswith("_")}
    assert [name for name, value in public.items() if isinstance(value, Path)] == []


def test_the_registry_is_the_one_that_execution_names(context: StageContext, root: Path) -> None:
    assert context.store().uri == f"sqlite:///{root.resolve()}/registry/mlflow.db"


def test_a_tracked_text_names_no_folder_of_this_machine(context: StageContext, root: Path) -> None:
    assert context.without_root(ValueError(f"{root}/data/in:\n  damaged")) == "data/in: damaged"


def test_a_stage_is_loaded_as_dvc_declares_it() -> None:
    assert StageContext.load(ROOT, "train").out("models/candidate") == ROOT / "models/candidate"


def test_a_stage_that_nobody_declares_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no stage 'trian' \(did you mean 'train'\?\)"):
        StageContext.load(ROOT, "trian")


LOCK = "stages:\n  split: {cmd: x, outs: [1]}\n  train: {cmd: x, outs: [2]}\n"


def test_there_is_no_digest_before_dvc_has_recorded_anything(context: StageContext) -> None:
    assert context.lock_digest() is None


def test_the_digest_of_the_lock_leaves_this_stage_out(context: StageContext, root: Path) -> None:
    (root / "dvc.lock").write_text(LOCK)
    before = context.lock_digest()
    (root / "dvc.lock").write_text(LOCK.replace("[2]", "[3]"))
    assert context.lock_digest() == before


def test_the_digest_of_the_lock_follows_the_other_stages(context: StageContext, root: Path) -> None:
    (root / "dvc.lock").write_text(LOCK)
    before = context.lock_digest()
    (root / "dvc.lock").write_text(LOCK.replace("[1]", "[3]"))
    assert context.lock_digest() != before


def test_outside_of_git_there_is_no_commit(context: StageContext) -> None:
    assert context.commit() is None


@pytest.fixture
def committed(root: Path) -> str:
    """Commit the project and return the commit's digest."""
    (root / "dvc.lock").write_text(LOCK)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "-c", "user.name=ann", "-c", "user.email=ann@example.org", "commit", "--quiet", "--message", "x")
    return git(root, "rev-parse", "HEAD").strip()


def test_the_commit_of_the_code_is_known(context: StageContext, committed: str) -> None:
    commit = context.commit()
    assert commit
    assert commit.digest == committed


@pytest.mark.parametrize(("name", "is_dirty"), [("dvc.lock", False), ("pipeline/__init__.py", True)])
def test_code_is_changed_by_all_but_the_lock(
    context: StageContext, root: Path, committed: str, name: str, is_dirty: bool
) -> None:
    (root / name).write_text("changed: 1\n")
    commit = context.commit()
    assert commit
    assert commit.is_dirty is is_dirty


@pytest.mark.parametrize(
    "path", ["data/clean/../../etc/passwd", "data/clean/../raw", "../data/clean", "/etc/passwd", "data/clean/.."]
)
def test_a_path_that_climbs_out_of_what_is_declared_is_refused(context: StageContext, path: str) -> None:
    with pytest.raises(Bug, match="add it under deps"):
        context.dep(path)
