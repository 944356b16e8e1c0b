"""A stage can open only what dvc.yaml declares for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Bug, StorageError, UsageError
from pipeline.graph import Rows, Stage
from pipeline.recipe.execution import Execution
from pipeline.recipe.recipe import TrainParams, load_recipe
from pipeline.recipe.resolving import CODE, RESOLVED_FILE, complete, load_checked
from pipeline.recipe.slots import Choice
from pipeline.records.origin import ORIGIN_FILE, Origin
from pipeline.records.run import RECORD_FILE, RunRecord
from pipeline.runtime.evidence import EVIDENCE_VARIABLE
from pipeline.runtime.git import Commit, git
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import digest_file, read_json, write_json
from pipeline.storage.record_files import write_record
from tests.storage.published import publish

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", ["data/in", "data/in/part"])
def test_a_declared_dependency_is_given(context: StageContext, root: Path, path: str) -> None:
    assert context.dep(path) == root / path


def test_a_declared_output_is_given(context: StageContext, root: Path) -> None:
    assert context.out("models/out") == root / "models/out"


def test_a_declared_volatile_path_is_given(context: StageContext, root: Path) -> None:
    assert context.volatile("logs/x") == root / "logs/x"


def test_what_workspaces_share_is_in_the_projects_folder(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()
    workspace = tmp_path / "here" / "x"
    write_record(workspace / ORIGIN_FILE, Origin(home="../..", run="x"))
    stage = Stage("gate", "x", volatile=(".ratchet/exports",))
    assert StageContext(workspace, stage, None, Execution()).shared(".ratchet/exports") == tmp_path / ".ratchet/exports"


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
        (lambda c: c.shared("models/out"), "add it under meta: volatile"),
        (lambda c: c.param("gate.minimum", object), "'gate.minimum': add it under params of stage train"),
        (lambda c: c.param("training", object), "'training': add it under params"),
        (lambda c: c.param("data", object), "'data': add it under params"),
        (lambda c: c.recipe(), "asks for the whole recipe, but declares parameters"),
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
        "data.features": recipe.model_dump(mode="json")["data"]["features"],
    }


def test_a_context_gives_no_other_path(context: StageContext) -> None:
    public = {name: getattr(context, name) for name in dir(context) if not name.startswith("_")}
    assert [name for name, value in public.items() if isinstance(value, Path)] == []


def test_the_registry_is_the_one_that_execution_names(context: StageContext, root: Path) -> None:
    assert context.store().uri == f"sqlite:///{root.resolve()}/registry/mlflow.db"


def test_a_tracked_text_names_no_folder_of_this_machine(context: StageContext, root: Path) -> None:
    assert context.without_root(ValueError(f"{root}/data/in:\n  damaged")) == "data/in: damaged"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with this project's graph and recipe, and the complete recipe as its first stage writes it."""
    for name in ("dvc.yaml", "params.yaml", "execution.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    values = {**complete(load_checked(ROOT)), CODE: {"training": {"optimizers": {"adam": "sha256:1"}}}}
    write_json(tmp_path / RESOLVED_FILE, values)
    return tmp_path


def test_a_stage_is_loaded_as_dvc_declares_it(project: Path) -> None:
    stage = StageContext.load(project, "train")
    assert stage.out("models/candidate") == project / "models/candidate"
    assert stage.param("train.optimizer", Choice).settings["beta_1"] == 0.9  # a default that params.yaml does not say


def test_the_first_stage_has_the_recipe_of_params_and_the_others_have_what_it_completed(project: Path) -> None:
    recipe = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(recipe.replace("seed: ", "seed: -"))
    assert StageContext.load(project, "train").param("seed", int) == load_recipe(ROOT).seed
    with pytest.raises(UsageError, match=r"^params\.yaml: "):
        StageContext.load(project, "resolve").recipe()


def test_a_stage_that_runs_before_the_first_one_says_what_is_missing(project: Path) -> None:
    (project / RESOLVED_FILE).unlink()
    with pytest.raises(StorageError, match=r"reports/recipe\.json: cannot be read"):
        StageContext.load(project, "train")


def test_a_members_digest_is_code_of_the_stage_that_declares_it(project: Path) -> None:
    shutil.copytree(ROOT / "pipeline", project / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    code = StageContext.load(project, "train").code()
    assert code["pipeline/training/optimizers/adam.py"] == "sha256:1"
    assert code["pipeline/training/loop.py"] == digest_file(ROOT / "pipeline/training/loop.py")
    assert "pipeline/training/optimizers/sgd.py" not in code
    assert "pipeline/training/optimizers/adam.py" not in StageContext.load(project, "gate").code()


def test_a_slot_of_which_the_recipe_names_no_member_is_no_code(project: Path) -> None:
    values = read_json(project / RESOLVED_FILE)
    write_json(project / RESOLVED_FILE, {**values, CODE: {**values[CODE], "augmentation": {"steps": {}}}})
    shutil.copytree(ROOT / "pipeline", project / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    code = StageContext.load(project, "train").code()
    assert "pipeline/augmentation/changing.py" in code
    assert [name for name in code if name.startswith("pipeline/augmentation/steps")] == []


@pytest.mark.long
def test_what_a_rooms_code_does_has_a_digest_that_comments_do_not_change(project: Path) -> None:
    shutil.copytree(ROOT / "pipeline", project / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    stage = StageContext.load(project, "gate")
    before, file = stage.behaviour("pipeline/gate", "pipeline/recipe/task.py"), project / "pipeline/gate/paired.py"
    assert {"pipeline/gate/rules/better.py", "pipeline/gate/paired.py", "pipeline/recipe/task.py"} <= before.keys()
    file.write_text(file.read_text() + "# said\n")
    assert stage.behaviour("pipeline/gate", "pipeline/recipe/task.py") == before
    file.write_text(file.read_text() + "done = 1\n")
    after = stage.behaviour("pipeline/gate", "pipeline/recipe/task.py")
    assert {path for path in after if after[path] != before[path]} == {"pipeline/gate/paired.py"}
    with pytest.raises(Bug, match="asks for pipeline/training: add it under deps"):
        stage.behaviour("pipeline/training")


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
    (root / "dvc.yaml").write_text("stages: {train: {cmd: x, deps: [data/in]}}\n")
    (root / "params.yaml").write_text("seed: 1\n")
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


WORKSPACE = Origin(home="..", run="x", photograph="sha256:0a", commit="c0ffee", is_dirty=None)


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(
    ("origin", "commit"), [(WORKSPACE, Commit("c0ffee", is_dirty=None)), (WORKSPACE.changed(commit=None), None)]
)
def test_a_workspace_knows_its_commit_from_when_it_was_made(
    context: StageContext, root: Path, origin: Origin, commit: Commit | None
) -> None:
    write_record(root / ORIGIN_FILE, origin)
    assert (context.origin(), context.commit()) == (origin, commit)


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("folder", ["runs/x", "runs/x/attempts/2"])
@pytest.mark.parametrize("commit", [Commit("c0ffee", is_dirty=True), None])
def test_a_run_in_place_knows_them_from_its_record(
    context: StageContext, root: Path, monkeypatch: pytest.MonkeyPatch, folder: str, commit: Commit | None
) -> None:
    known: dict[str, Any] = {"commit": commit.digest, "is_dirty": commit.is_dirty} if commit else {}
    record = RunRecord(
        id="x", driver="ratchet", state="running", start="", photograph="0a.dir", asked_by="ann", **known
    )
    write_record(root / folder / RECORD_FILE, record)
    monkeypatch.setenv(EVIDENCE_VARIABLE, str(root / folder / "logs"))
    assert context.origin() == Origin(home=".", run="x", photograph="0a.dir", asked_by="ann", **known)
    assert context.commit() == commit


def test_evidence_of_no_run_is_no_origin(context: StageContext, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EVIDENCE_VARIABLE, str(root / ".ratchet" / "logs"))
    assert context.origin() is None


def test_a_workspace_is_believed_before_what_the_environment_says(
    context: StageContext, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(root / ORIGIN_FILE, WORKSPACE)
    (root / "runs" / "y").mkdir(parents=True)
    (root / "runs" / "y" / RECORD_FILE).write_text("{")  # not even read
    monkeypatch.setenv(EVIDENCE_VARIABLE, str(root / "runs" / "y" / "logs"))
    assert context.origin() == WORKSPACE


def test_a_workspace_has_the_registry_of_its_project(context: StageContext, root: Path) -> None:
    write_record(root / ORIGIN_FILE, WORKSPACE)
    (root.parent / "dvc.yaml").touch()
    assert context.store().database == root.parent.resolve() / "registry" / "mlflow.db"


@pytest.mark.parametrize(
    "path", ["data/clean/../../etc/passwd", "data/clean/../raw", "../data/clean", "/etc/passwd", "data/clean/.."]
)
def test_a_path_that_climbs_out_of_what_is_declared_is_refused(context: StageContext, path: str) -> None:
    with pytest.raises(Bug, match="add it under deps"):
        context.dep(path)


def test_a_stage_whose_rows_do_not_add_up_is_a_bug(root: Path) -> None:
    for name, files in (("in", {"a": b"1", "b": b"2"}), ("out", {"a": b"1"})):
        publish(root / name, files)
    stage = Stage("clean", "x", deps=("in",), outs=("out",), rows=Rows(read="in", kept="out"))
    with pytest.raises(Bug, match="stage clean: 2 rows in in, but 1 in out: they do not add up"):
        StageContext(root, stage, None, Execution()).check_rows()


def test_a_stage_through_which_no_rows_flow_has_none_to_account_for(context: StageContext) -> None:
    context.check_rows()
