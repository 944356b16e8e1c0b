"""What is asked of a run is checked before anything is made; what was answered already is not made again."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import StorageError, TryAgain, UsageError
from pipeline.graph import load_graph
from pipeline.recipe.strict_yaml import parse_yaml_text
from pipeline.records.architecture import MODEL_FILES
from pipeline.records.identity import Identity
from pipeline.records.origin import Origin
from pipeline.records.registration import Registration
from pipeline.records.run import RunRecord, RunRequest, State
from pipeline.records.verdict import Verdict
from pipeline.runs import freshness, history, opening, workspaces
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.photograph import Taken
from pipeline.runs.photograph_store import PhotographStore
from pipeline.storage.home import find_origin
from pipeline.storage.record_files import write_record
from tests.nvidia_smi import install_tensorflow_with_cuda, put_nvidia_smi
from tests.registry.judged import add_line, judged, on_line
from tests.registry.local_registry import LocalRegistry
from tests.runs.given import contents, record, write_files

VERDICT_FILE = "reports/verdict.json"
REFUSED = Verdict.of([], "worse than v1", "sha256:new", None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"id": "x", "who": 1}', "unknown key 'who'"),
        (b'{"overrides": {}}', "'id' is missing"),
        (b'{"id": "x", "as_of": "yesterday"}', "as_of"),
        (b'{"id": "x", "reason": "' + b"x" * 2001 + b'"}', "reason"),
        (b" " * (2**20 + 1), "larger than"),
    ],
)
def test_a_request_that_is_none_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "request.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said) as caught:
        opening.read_request(path)
    assert "\n" not in str(caught.value)


def test_a_request_may_come_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"id": "x"}')))
    assert opening.read_request(Path("-")) == RunRequest(id="x")


def test_a_request_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"request\.json: cannot be read: No such file"):
        opening.read_request(tmp_path / "request.json")


@pytest.fixture
def project(recipe_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project on a machine that has all that a run needs, with a registry in which nothing is to be done."""
    monkeypatch.setattr(opening, "check_before", lambda *_: None)
    monkeypatch.setattr(freshness, "is_still", lambda *_: True)
    return recipe_root


def opening_of(root: Path, run_id: str = "r1", **asked: Any) -> RunRecord:
    return opening.open_run(root, RunRequest(id=run_id, **asked), {})


def workspace_of(root: Path, run_id: str = "r1") -> Path:
    return workspaces.workspace_of(root, run_id)


def test_an_opened_run_has_a_record_and_a_workspace_with_its_recipe(project: Path) -> None:
    asked = {"train.epochs": 3}
    record = opening_of(
        project, overrides=asked, reason="a try", asked_by="me", dag_id="d", dag_run_id="n", until="train"
    )
    assert (record.state, record.overrides, record.reason, record.asked_by) == ("running", asked, "a try", "me")
    assert (record.dag_id, record.dag_run_id, record.until, record.attempt) == ("d", "n", "train", 1)
    assert history.read(project, "r1") == record
    for folder in (workspace_of(project), project / "runs" / "r1"):
        assert yaml.safe_load((folder / "params.yaml").read_text())["train"]["epochs"] == 3


def test_its_photograph_is_kept_and_named(project: Path) -> None:
    record = opening_of(project, overrides={"train.epochs": 3})
    assert record.photograph is not None
    store = PhotographStore(cache_of(project))
    taken = store.read(record.photograph)
    assert store.content(taken, "params.yaml") == (workspace_of(project) / "params.yaml").read_bytes()
    assert record.inputs == taken.inputs(
        load_graph(workspace_of(project)), parse_yaml_text(store.content(taken, "params.yaml"), "params.yaml")
    )
    assert find_origin(workspace_of(project)) == Origin(home="../../..", run="r1", photograph=record.photograph)


@pytest.mark.parametrize(("is_edited", "is_dirty"), [(False, False), (True, True)])
def test_git_where_there_is_one_names_the_commit_and_whether_files_differ(
    project: Path, is_edited: bool, is_dirty: bool
) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (["add", "-A"], [*who, "commit", "--quiet", "-m", "start"]):
        subprocess.run(["git", *words], cwd=project, check=True)
    if is_edited:
        (project / "pipeline" / "code.py").write_text("edited")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, check=True, capture_output=True, text=True).stdout
    record = opening_of(project)
    assert (record.commit, record.is_dirty) == (head.strip(), is_dirty)
    assert opening_of(project, "r2", overrides={"train.epochs": 3}).is_dirty  # its recipe is in no commit


def test_without_git_no_commit_is_named(project: Path) -> None:
    record = opening_of(project)
    assert (record.commit, record.is_dirty) == (None, None)


def test_the_order_of_the_users_lock_is_kept_with_it(project: Path) -> None:
    (project / "dvc.lock").write_text("schema: '2.0'\nstages:\n  train:\n    cmd: x\n  ingest:\n    cmd: x\n")
    opening_of(project)
    assert json.loads((workspace_of(project) / ".ratchet" / "known_stages.json").read_text()) == ["train", "ingest"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"overrides": {"train.epoch": 3}}, "did you mean 'train.epochs'"),
        ({"overrides": {"train.epochs": -1}}, "override: train.epochs: "),
        ({"overrides": {"train.optimizer.settings.betta_1": 0.8}}, "override: unknown key .*did you mean .*beta_1"),
        ({"overrides": {"model": {"name": "cnn", "settings": {"filters": []}}}}, "override: model.settings.filters"),
        ({"overrides": {"train.schedule": "../../x"}}, "override: train.schedule.name"),
        ({"overrides": {"gate.minimum": {"acuracy": 0.9}}}, "override: gate.minimum"),
        ({"config": "configs/none.yaml"}, "none.yaml"),
        ({"run_id": "../r1"}, "run id"),
    ],
)
def test_a_run_that_is_refused_leaves_nothing(project: Path, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        opening_of(project, **asked)
    assert not (project / "runs").exists()
    assert workspaces.names(project) == []


def answered(root: Path) -> RunRecord:
    """Run `earlier` to its end: it was refused."""
    record = opening_of(root, "earlier")
    write_record(workspace_of(root, "earlier") / VERDICT_FILE, REFUSED)
    record = history.finish(root, workspace_of(root, "earlier"), record, "success", "refuse", "worse than v1")
    assert record.inputs is not None
    freshness.remember_run(root, record.inputs, "earlier")
    workspaces.remove(root, "earlier")
    return record


def test_what_was_answered_already_is_not_made_again(project: Path) -> None:
    answered(project)
    record = opening_of(project)
    assert (record.state, record.outcome, record.same_as) == ("success", "unchanged", "earlier")
    assert record.sentence == "nothing changed since run earlier: refuse, worse than v1"
    assert workspaces.names(project) == []
    assert (project / "runs" / "r1" / VERDICT_FILE).is_file()


def edited(root: Path, name: str, old: str, new: str) -> None:
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))


def test_another_graph_is_another_question(project: Path) -> None:
    answered(project)
    edited(project, "dvc.yaml", "desc: trains", "desc: so it trains")
    assert opening_of(project).same_as is None


@pytest.mark.parametrize("name", ["samples/fashion_mnist/rows", "pipeline/stages/train.py", "pipeline/data/new.py"])
def test_another_file_that_a_stage_reads_is_another_question(project: Path, name: str) -> None:
    write_files(project, {"pipeline/stages/train.py": "train", "pipeline/data/old.py": "old"})
    answered(project)
    write_files(project, {name: "new"})
    assert opening_of(project).same_as is None


def test_another_recipe_is_another_question(project: Path) -> None:
    answered(project)
    assert opening_of(project, overrides={"train.epochs": 3}).same_as is None
    assert workspaces.is_whole(workspace_of(project))


def test_the_same_by_force_is_made(project: Path) -> None:
    answered(project)
    assert opening_of(project, is_forced=True).same_as is None
    assert workspaces.is_whole(workspace_of(project))


def test_a_run_that_is_to_stop_early_is_made(project: Path) -> None:
    answered(project)
    assert opening_of(project, until="train").same_as is None


def test_an_answer_that_does_not_stand_any_more_is_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(project)
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(freshness, "is_still", lambda *given: asked.append(given))
    assert opening_of(project).same_as is None
    [(root, folder, graph, name, environment)] = asked
    assert (root, folder, name, environment) == (project, project / "runs" / "earlier", "fashion_mnist", {})
    assert graph == load_graph(project)


def test_an_answer_against_another_champion_is_none(recipe_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "check_before", lambda *_: None)
    registry = LocalRegistry(recipe_root)
    where = recipe_root / "registry" / "artifacts"
    one = Identity(name="fashion_mnist", version=1, digest="sha256:one")
    against = judged("sha256:new", one, promotes=False)
    tags = on_line(add_line(registry, against, "fashion_mnist"))
    for number, digest in ((1, "sha256:one"), (2, "sha256:new")):
        write_files(where / str(number), dict.fromkeys(MODEL_FILES, "x"))
        place, given = str(where / str(number)), tags if number == 2 else {}
        registry.add(number, digest, name="fashion_mnist", location=place, tags=given)
    move = "INSERT INTO registered_model_aliases VALUES ('default', 'fashion_mnist', 'champion', {});"
    registry.execute(move.format(1))
    answered(recipe_root)
    write_record(recipe_root / "runs" / "earlier" / VERDICT_FILE, against)
    told = "refused: the reason; champion v1 stays"
    done = Registration(
        outcome="refused", name="fashion_mnist", version=2, champion=one, sentence=told, registry="local"
    )
    write_record(recipe_root / "runs" / "earlier" / "reports" / "registration.json", done)
    (recipe_root / "runs" / "earlier" / "dvc.lock").write_text("schema: '2.0'\n")
    assert opening_of(recipe_root).same_as == "earlier"
    write_files(where / "3", dict.fromkeys(MODEL_FILES, "x"))
    registry.add(3, "sha256:three", name="fashion_mnist", location=str(where / "3"))
    registry.execute("DELETE FROM registered_model_aliases;" + move.format(3))
    assert opening_of(recipe_root, "r2").same_as is None


def test_an_answer_that_was_thrown_away_is_made_again(project: Path) -> None:
    answered(project)
    shutil.rmtree(project / "runs" / "earlier")
    assert opening_of(project).same_as is None


@pytest.mark.parametrize("verdict", [None, "{}"])
def test_an_answer_without_its_verdict_is_made_again(project: Path, verdict: str | None) -> None:
    answered(project)
    path = project / "runs" / "earlier" / VERDICT_FILE
    path.unlink() if verdict is None else path.write_text(verdict)
    assert opening_of(project).same_as is None


def test_the_data_of_a_date_are_those_of_a_source_that_keeps_them(project: Path) -> None:
    (project / "samples" / "fashion_mnist" / "2026-11-20").mkdir(parents=True)
    record = opening_of(project, as_of="2026-11-22")
    assert (record.overrides, record.sentence) == ({"ingest.as_of": "2026-11-22"}, "")


def test_a_source_whose_folders_are_dates_and_no_snapshots_is_read_as_it_is(project: Path) -> None:
    (project / "samples" / "fashion_mnist" / "2026-11-20").mkdir(parents=True)
    record = opening_of(project, as_of="2026-11-22", overrides={"ingest.snapshots": False})
    assert record.overrides == {"ingest.snapshots": False}
    assert "keeps no snapshots to say what it held on 2026-11-22" in record.sentence


def test_a_source_that_keeps_no_dates_is_read_as_it_is_and_that_is_said(project: Path) -> None:
    record = opening_of(project, as_of="2026-11-22")
    assert record.overrides == {}
    assert (
        record.sentence
        == "samples/fashion_mnist keeps no snapshots to say what it held on 2026-11-22: today's data are used"
    )


@pytest.mark.parametrize(("gpus", "device"), [(0, "cpu"), (1, "gpu")])
def test_auto_is_resolved_recorded_and_tracked_when_a_run_opens(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, device: str
) -> None:
    install_tensorflow_with_cuda(monkeypatch)
    environment = put_nvidia_smi(tmp_path / "driver", gpus)
    request = RunRequest(id="r1", overrides={"train.device": "auto"})
    record = opening.open_run(project, request, environment)
    assert (record.device, record.overrides) == (device, {"train.device": "auto"})
    assert yaml.safe_load((workspace_of(project) / "params.yaml").read_text())["train"]["device"] == device
    assert opening.open_run(project, request, environment).id == "r1"  # asked again, it goes on


def test_auto_and_what_it_stands_for_are_one_question(project: Path, tmp_path: Path) -> None:
    edited(project, "params.yaml", "loss: cross_entropy", "loss: cross_entropy\n  device: cpu")
    answered(project)
    edited(project, "params.yaml", "device: cpu", "device: auto")
    record = opening.open_run(project, RunRequest(id="r1"), put_nvidia_smi(tmp_path / "driver", 0))
    assert (record.same_as, record.device) == ("earlier", "cpu")


def test_another_device_is_another_question(project: Path) -> None:
    answered(project)
    record = opening_of(project, overrides={"train.device": "gpu"})
    assert (record.same_as, record.device) == (None, "gpu")


def test_what_stands_under_the_runs_name_and_is_no_workspace_does_not_block_it(project: Path) -> None:
    write_files(workspace_of(project), {"half": ""})
    opening_of(project)
    assert not (workspace_of(project) / "half").exists()
    assert workspaces.is_whole(workspace_of(project))


def test_a_file_that_changes_while_it_is_photographed_leaves_no_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = opening.take

    def changing(*given: Any) -> Taken:
        taken = take(*given)
        (project / "pipeline" / "code.py").write_text("changed")
        return taken

    monkeypatch.setattr(opening, "take", changing)
    with pytest.raises(TryAgain, match=r"^pipeline/code\.py has changed while it was photographed; run again$"):
        opening_of(project)
    assert not (project / "runs").exists()
    assert workspaces.names(project) == []
    monkeypatch.undo()
    monkeypatch.setattr(opening, "check_before", lambda *_: None)
    assert opening_of(project).state == "running"


# Every moment at which opening may be killed: before the photograph is whole, the record, the workspace, its evidence.
MOMENTS = [
    (PhotographStore, "keep"),
    (history, "write"),
    (workspaces, "make"),
    (history, "keep"),
]


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name"), MOMENTS, ids=[name for _, name in MOMENTS])
def test_killed_at_any_moment_the_next_try_of_the_same_id_is_whole(
    project: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, is_done: bool
) -> None:
    act = getattr(owner, name)

    def killed(*given: Any, **named: Any) -> None:
        if is_done:
            act(*given, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(KeyboardInterrupt):
            opening_of(project, overrides={"train.epochs": 3})
    record = opening_of(project, overrides={"train.epochs": 3})
    assert (record.state, record.attempt) == ("running", 1)
    assert workspaces.names(project) == ["r1"]
    assert yaml.safe_load((workspace_of(project) / "params.yaml").read_text())["train"]["epochs"] == 3
    assert list(workspaces.half_made(project)) == []


def test_opening_an_open_run_keeps_it(project: Path) -> None:
    record = opening_of(project)
    (workspace_of(project) / "made").write_text("by an earlier stage")
    assert opening_of(project) == record
    assert (workspace_of(project) / "made").is_file()


def test_an_open_run_goes_on_with_what_it_began_with(project: Path) -> None:
    opening_of(project)
    (project / "pipeline" / "code.py").write_text("changed")
    workspaces.remove(project, "r1")
    opening_of(project)
    assert (workspace_of(project) / "pipeline" / "code.py").read_text() == "the code"


@pytest.mark.parametrize(
    "other", [{"overrides": {"train.epochs": 4}}, {"overrides": {}}, {"config": "configs/a.yaml"}, {"until": "train"}]
)
def test_an_id_that_is_taken_by_another_request_is_refused_in_one_line(project: Path, other: dict[str, Any]) -> None:
    asked = {"overrides": {"train.epochs": 3}}
    opening_of(project, **asked)
    before = contents(project / "runs")
    with pytest.raises(UsageError, match="run id 'r1' is taken by a run") as caught:
        opening_of(project, **{**asked, **other})
    assert "\n" not in str(caught.value)
    assert contents(project / "runs") == before


def test_airflow_names_each_of_its_runs_once(project: Path) -> None:
    record = opening_of(project, overrides={"train.epochs": 3}, dag_run_id="scheduled")
    assert opening_of(project, dag_run_id="scheduled") == record


def test_a_date_that_was_taken_for_the_run_is_no_other_request(project: Path) -> None:
    (project / "samples" / "fashion_mnist" / "2026-11-20").mkdir(parents=True)
    record = opening_of(project, as_of="2026-11-22")
    assert opening_of(project, as_of="2026-11-22") == record


def test_an_unchanged_run_that_is_opened_again_gets_another_attempt(project: Path) -> None:
    answered(project)
    opening_of(project)
    before = contents(project / "runs" / "r1")
    again = opening_of(project)
    assert (again.attempt, again.same_as, again.folder) == (2, "earlier", "runs/r1/attempts/2")
    after = contents(project / "runs" / "r1")
    assert {name: after[name] for name in before} == before
    (project / "pipeline" / "stages").mkdir()
    write_files(project, {"pipeline/stages/train.py": "new"})
    third = opening_of(project)
    assert (third.attempt, third.same_as, third.state) == (3, None, "running")


def test_a_run_that_was_refused_before_it_began_gets_another_attempt(project: Path) -> None:
    history.write(project, record("r1", state="failed", end=history.now(), sentence="no Java"))
    before = contents(project / "runs" / "r1")
    again = opening_of(project)
    assert (again.attempt, again.state) == (2, "running")
    assert contents(project / "runs" / "r1").items() >= before.items()
    assert [one.sentence for one in history.attempts_of(project, "r1")] == ["no Java", ""]


@pytest.mark.parametrize("state", ["running", "failed", "success"])
def test_a_run_that_was_deleted_where_it_was_driven_begins_anew_and_its_evidence_stays(
    project: Path, state: State
) -> None:
    first = opening_of(project, overrides={"train.epochs": 3})
    (workspace_of(project) / "made").write_text("by an earlier stage")
    if state != "running":
        history.write(project, first.changed(state=state, end=history.now(), sentence="as it was"))
    (project / "pipeline" / "code.py").write_text("changed")
    again = opening.open_run(project, RunRequest(id="r1"), {}, is_anew=True)
    assert (again.state, again.attempt, again.sentence, dict(again.overrides)) == ("running", 2, "", {})
    assert (workspace_of(project) / "pipeline" / "code.py").read_text() == "changed"
    assert not (workspace_of(project) / "made").exists()
    before = history.attempts_of(project, "r1")[0]
    ended = ("failed", "deleted, and begun anew under the same name")
    assert (before.state, before.sentence) == (ended if state == "running" else (state, "as it was"))


def test_what_would_begin_anew_and_is_refused_leaves_all_as_it_was(project: Path) -> None:
    opening_of(project)
    before = contents(project / "runs" / "r1")
    with pytest.raises(UsageError, match=r"train\.epochs"):
        opening.open_run(project, RunRequest(id="r1", overrides={"train.epochs": 0}), {}, is_anew=True)
    assert contents(project / "runs" / "r1") == before
    assert workspace_of(project).is_dir()
