"""A project that was moved or copied, in MLflow's own store: MLflow finds the bytes; new ones go to the new place."""

from __future__ import annotations

import shutil
from dataclasses import replace

import mlflow
import pytest
import yaml

from pipeline.records.registration import Registration
from pipeline.records.verdict import Verdict
from pipeline.registry import by_hand
from pipeline.registry.places import local_folder
from pipeline.registry.standing import stands
from pipeline.storage.record_files import read_record
from tests.system.registry.shapes import NAME


@pytest.fixture
def project(make_workspace, empty_database):
    """A project with its registry inside, in which a first model is champion and a second one was refused."""
    made = make_workspace("a project")
    (made.root / "registry").mkdir()
    shutil.copyfile(empty_database, made.root / "registry" / "mlflow.db")
    store = {"uri": "sqlite:///registry/mlflow.db", "artifacts": "registry/artifacts"}
    (made.root / "execution.yaml").write_text(yaml.safe_dump({"mlflow": store}))
    made.publish("first")
    made.publish("bad", "refuse")
    return made


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_standing(workspace):
    reports = workspace.root / "reports"
    told = read_record(reports / "registration.json", Registration)
    return stands(workspace.store, NAME, read_record(reports / "verdict.json", Verdict), told)


@pytest.mark.parametrize("is_copy", [False, True], ids=["moved", "copied"])
@pytest.mark.parametrize("is_of_before", [False, True], ids=["with the file", "of before"])
def test_everybody_finds_the_bytes_and_new_ones_go_to_the_projects_own_folder(project, tmp_path, is_copy, is_of_before):
    original = project.root
    if is_of_before:
        (original / "registry" / "mlflow.db.ratchet.home").unlink()
    now = tmp_path / ("another place: #1, ü?" if is_copy else "100%41")
    if is_copy:
        shutil.copytree(original, now, symlinks=True)
    else:
        original.rename(now)
    stood = content(original)
    moved = replace(project, root=now)

    assert is_standing(moved)
    assert "is champion again" not in by_hand.promote(moved.store, NAME, "2", "against the gate")
    assert moved.publish("second")["outcome"] == "promoted"
    assert moved.json("models/champion/champion.json")["problem"] is None

    # MLflow's own client, as users have it.
    mlflow.set_tracking_uri(moved.store.uri)
    mlflow.set_registry_uri(moved.store.uri)
    for number in (1, 2, 3):
        # From a folder like `100%41`, MLflow loads no model; from a copy elsewhere it does.
        aside = tmp_path / f"v{number}"
        aside.mkdir()
        loaded = mlflow.pyfunc.load_model(f"models:/{NAME}/{number}", dst_path=None if is_copy else str(aside))
        assert loaded.predict(moved.zoo.pixels[:2]).shape == (2, 3)
    client = mlflow.MlflowClient()
    listed = [client.get_experiment_by_name(NAME).artifact_location]
    listed += [client.get_model_version_download_uri(NAME, str(number)) for number in (1, 2, 3)]
    listed += [run.info.artifact_uri for run in client.search_runs([client.get_experiment_by_name(NAME).experiment_id])]
    assert len(listed) == 7
    assert all(local_folder(place).is_relative_to(now / "registry" / "artifacts" / NAME) for place in listed)

    assert content(original) == stood
    assert original.exists() == is_copy
    moved.run("champion")
    assert is_standing(moved)


def test_a_verdict_stands_until_somebody_changes_the_registry(project):
    """Refused, promoted, rolled back, promoted by hand in between, bytes deleted, registry deleted."""
    assert is_standing(project)  # refused
    project.rule("second")
    assert not is_standing(project)
    project.run("register")
    assert is_standing(project)  # promoted
    by_hand.rollback(project.store, NAME, "a try")
    assert not is_standing(project)  # it says that it replaced v1
    project.run("register")
    assert is_standing(project)  # not repeated by itself
    by_hand.promote(project.store, NAME, "2", "in between")
    assert not is_standing(project)
    by_hand.promote(project.store, NAME, "1", "back")
    assert is_standing(project)
    weights = next(
        iter(project.root.glob(f"registry/artifacts/{NAME}/{project.versions()[0].run_id}/**/weights.safetensors"))
    )
    kept = weights.rename(project.root / "kept")
    assert not is_standing(project)
    kept.rename(weights)
    assert is_standing(project)
    shutil.rmtree(project.root / "registry")
    assert not is_standing(project)
