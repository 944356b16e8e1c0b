"""A registry that an earlier Ratchet has filled goes on working: it is read, met by a candidate, and rolled back.

`published_before/README.md` says what the files are; the test publishes them with MLflow's client alone.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from pipeline.recipe.execution import load_execution
from pipeline.registry.store import resolve_store
from pipeline.registry.tracking import open_client
from tests.system.project import Project

BEFORE = Path(__file__).parent / "published_before"
NAME = "digits"


@dataclass(frozen=True)
class Registry:
    """What the registry listed at each point, newest version first, and the verdict on the new candidate."""

    at_first: list[dict[str, Any]]
    verdict: dict[str, Any]
    after_run: list[dict[str, Any]]
    after_rollback: list[dict[str, Any]]


@pytest.fixture(scope="module")
def registry(first: Project, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    project = Project(tmp_path_factory.mktemp("upgraded") / "project")
    shutil.copytree(first.root, project.root, symlinks=True)
    shutil.rmtree(project.root / "registry")
    store = resolve_store(project.root, load_execution(project.root).mlflow)
    client = open_client(store)
    for number in (1, 2):
        publish(client, project.root / "registry" / "artifacts", BEFORE / f"v{number}")

    at_first = listed(project)
    done = project.ratchet("run")
    assert done.returncode == 0, done.stdout + done.stderr
    verdict, after_run = project.json("reports/verdict.json"), listed(project)
    back = project.ratchet("registry", "rollback", "--reason", "worse on the new cameras")
    assert back.returncode == 0, back.stderr
    return Registry(at_first, verdict, after_run, listed(project))


def publish(client: MlflowClient, artifacts: Path, folder: Path) -> None:
    """Put a version into a registry as it stood there, with MLflow's client alone."""
    was = json.loads((folder / "version.json").read_text())
    run = was["run"]
    if client.get_experiment_by_name(NAME) is None:
        client.create_registered_model(NAME)
        client.create_experiment(NAME, artifact_location=str(artifacts / NAME))
    experiment = client.get_experiment_by_name(NAME).experiment_id
    made = client.create_run(experiment, tags=run["tags"], run_name=run["name"]).info
    client.log_batch(
        made.run_id,
        metrics=[Metric(key, value, made.start_time, 0) for key, value in run["metrics"].items()],
        params=[Param(key, value) for key, value in run["params"].items()],
    )
    for name in ("architecture.json", "weights.safetensors"):
        client.log_artifact(made.run_id, str(folder / name), "model")
    client.log_artifact(made.run_id, str(folder / "verdict.json"))
    source = f"{client.get_run(made.run_id).info.artifact_uri}/model"
    version = client.create_model_version(NAME, source, run_id=made.run_id, tags=was["tags"])
    client.set_terminated(made.run_id)
    for alias in was["aliases"]:
        client.set_registered_model_alias(NAME, alias, version.version)


def listed(project: Project) -> list[dict[str, Any]]:
    versions: list[dict[str, Any]] = json.loads(project.ratchet("registry", "list", "--json").stdout)
    return versions


def test_it_is_read_as_it_was_read_then(registry: Registry) -> None:
    listed_then = json.loads((BEFORE / "listed.json").read_text())
    known_then = listed_then[0].keys() - {"created_at_utc"}
    then, now = (
        [{key: version[key] for key in known_then} for version in each] for each in (listed_then, registry.at_first)
    )
    assert now == then
    assert [(version["anchor"], version["ledger"]) for version in registry.at_first] == [(None, ""), (None, "")]


def test_a_candidate_of_today_meets_its_champion(registry: Registry) -> None:
    digest = json.loads((BEFORE / "v2" / "version.json").read_text())["tags"]["ratchet.digest"]
    met = {"name": NAME, "version": 2, "digest": digest}
    assert registry.verdict["champion"] == registry.verdict["anchor"] == met  # its champion is the first anchor
    assert registry.verdict["against_champion"]["rows"] == 360


def test_a_better_candidate_takes_its_place(registry: Registry) -> None:
    newest = registry.after_run[0]
    assert (newest["version"], newest["aliases"], newest["outcome"]) == (3, ["champion"], "promote")
    assert newest["met"]["version"] == 2


def test_it_is_rolled_back_to_the_champion_of_then(registry: Registry) -> None:
    [champion] = [version for version in registry.after_rollback if version["aliases"] == ["champion"]]
    assert (champion["version"], champion["anchor"]["version"]) == (2, 2)
    assert registry.after_rollback[0]["rolled_back"]["reason"] == "worse on the new cameras"
