"""What any run publishes is in the registry of the user's folder, also when that folder has another name by now."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.records.ledger import LedgerLine
from tests.surroundings.small import ROOMS, SHIPPED, Small, write_graph

MAKE = '''"""Makes a model without training it: its weights are the seed's."""

import numpy as np

from pipeline.models import stored
from pipeline.records.architecture import Architecture
from pipeline.records.feature import FeatureSpec
from pipeline.storage.artifacts import published_folder

SIDES = {"raw_height": 2, "raw_width": 2, "channels": 1, "height": 2, "width": 2}
IMAGE = FeatureSpec(
    name="image",
    kind="image",
    dtype="uint8",
    shape=(2, 2, 1),
    settings=SIDES,
    facts={"image_mean": "float32", "image_std": "float32"},
    fitted={"mean": [0.0], "std": [1.0]},
)
ARCHITECTURE = Architecture(
    name="mlp", settings={"units": [4]}, task="classification", features=(IMAGE,), classes=("yes", "no")
)


def run(stage):
    weights = {"dense/kernel": np.random.default_rng(stage.param("seed", int)).random((2, 2), np.float32)}
    with published_folder(stage.out("models/candidate")) as folder:
        stored.save_weights(folder, ARCHITECTURE, weights)
    return "made"
'''
SHELVE = '''"""Promotes every model as `register` does, but without MLflow's form of it, which takes TensorFlow."""

import shutil

from pipeline.models import stored
from pipeline.records.champion import Champion
from pipeline.records.measured_exports import MeasuredExports
from pipeline.records.model_card import CARD_FILE, CARD_PAGE
from pipeline.records.verdict import GateCheck, Verdict
from pipeline.registry import publish
from pipeline.registry.actor import Actor
from pipeline.storage.record_files import read_record, write_record


def run(stage):
    candidate = stage.dep("models/candidate")
    champion = read_record(stage.dep("models/champion/champion.json"), Champion)
    anchor = read_record(stage.dep("models/anchor/anchor.json"), Champion)
    check = GateCheck(name="weight", figure=2, bound=1, outcome="pass", sentence="2 is at least 1")
    verdict = Verdict.of([check], "2 is at least 1", stored.digest(candidate), champion.identity)
    verdict = verdict.changed(anchor=anchor.identity, rule_digest="sha256:0", test_digest="sha256:1")
    publish.write_bundle = lambda model, exported, bundle, example, served: shutil.copytree(model, bundle)
    recipe = {"seed": str(stage.param("seed", int))}
    described = publish.Description(
        lineage={},
        metrics={"accuracy": 0.9},
        recipe=recipe,
        example={},
        served={},
        exported=candidate,
        test_ids=["0" * 32],
        card={CARD_FILE: b"{}", CARD_PAGE: b"# A model"},
        exports=MeasuredExports(digest=stored.digest(candidate), machine="this machine"),
    )
    judged = publish.Candidate(stage.param("name", str), candidate, verdict, lambda: None, lambda: described)
    done = publish.register(stage.store(), judged, Actor.here(), scratch=stage.volatile(".ratchet/register"))
    write_record(stage.volatile("reports/registration.json"), done)
    return done.sentence
'''
MODELS = [*ROOMS, "pipeline/models"]
STAGES: dict[str, dict[str, Any]] = {
    "resolve": SHIPPED["resolve"],
    "make": {
        "deps": ["pipeline/stages/make.py", *MODELS],
        "params": [{"reports/recipe.json": ["seed"]}],
        "outs": ["models/candidate"],
    },
    "champion": SHIPPED["champion"],
    "shelve": {
        "deps": ["models/candidate", "models/champion", "models/anchor", "pipeline/stages/shelve.py", *MODELS],
        "params": [{"reports/recipe.json": ["name", "seed"]}],
        "always_changed": True,
        "meta": {
            "makes": {"registration": "reports/registration.json"},
            "volatile": ["reports/registration.json", ".ratchet/register"],
        },
    },
}


@pytest.fixture(scope="module")
def published(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A project, in a folder of a difficult name, in which each way of running has published a model."""
    folder = tmp_path_factory.mktemp("published")
    root = folder / "our models' 100%41 #1, [ü]"
    shutil.copytree(template, root)
    for name, text in {"make": MAKE, "shelve": SHELVE}.items():
        (root / "pipeline" / "stages" / f"{name}.py").write_text(text)
    write_graph(
        root, {name: {key: value for key, value in body.items() if key != "cmd"} for name, body in STAGES.items()}
    )
    for name in ("home", "tmp"):
        (folder / "aside" / name).mkdir(parents=True)
    variables = {"HOME": str(folder / "aside" / "home"), "TMPDIR": str(folder / "aside" / "tmp")}
    project = Small(root, variables, stages=tuple(STAGES))
    project.run("seed=1")
    project.run_in_steps("in-steps", overrides={"seed": 2})
    project.edit("params.yaml", "seed: 20261101", "seed: 3")
    project.run()
    return project


def versions(project: Small) -> list[dict[str, Any]]:
    """What `ratchet registry list` says, oldest first."""
    return list(json.loads(project.succeed("registry", "list", "--json")))[::-1]


def bytes_of(project: Small) -> set[Path]:
    """Where the weights of the published models are."""
    return {path.relative_to(project.root) for path in project.root.rglob("registry/**/weights.safetensors")}


def met(project: Small) -> dict[str, Any]:
    """The champion that the last run in place has met."""
    return dict(project.json("models/champion/champion.json"))


def test_what_every_way_of_running_publishes_is_listed_in_the_users_folder(published: Small) -> None:
    listed = versions(published)
    assert [version["version"] for version in listed] == [1, 2, 3]
    assert [version["aliases"] for version in listed] == [[], [], ["champion"]]
    assert [(version["met"] or {}).get("version") for version in listed] == [None, 1, 2]  # each has met the one before
    assert [version["anchor"]["version"] for version in listed] == [1, 1, 1]  # none was proven better
    lines = json.loads(published.succeed("registry", "ledger", "--json"))
    assert [f"{line.number} {line.digest}" for line in map(LedgerLine.model_validate, lines)] == [
        version["ledger"] for version in listed
    ]
    assert len(bytes_of(published)) == 3
    assert {path.parts[0] for path in bytes_of(published)} == {"registry"}
    for run in published.runs():
        told = json.loads(published.kept(run["id"], "reports/registration.json"))
        assert told["outcome"] == "promoted"


@pytest.fixture(params=["copied", "moved"])
def other(request: pytest.FixtureRequest, published: Small, tmp_path: Path) -> Iterator[Small]:
    """The project in a folder of another name: copied there while the first one stays, or moved."""
    target = tmp_path / "another name"
    other = Small(target, published.variables, stages=published.stages)
    if request.param == "copied":
        shutil.copytree(published.root, target, symlinks=True)
        yield other
    else:
        published.root.rename(target)
        yield other
        shutil.rmtree(published.root, ignore_errors=True)  # where bytes went to the place of before
        target.rename(published.root)


def test_a_project_that_was_moved_or_copied_has_its_champion_whole(other: Small, published: Small) -> None:
    is_copy = published.root.exists()
    first = (bytes_of(published), versions(published)) if is_copy else None
    assert versions(other)[-1]["aliases"] == ["champion"]

    other.edit("params.yaml", "seed: 3", "seed: 13")
    other.run()
    assert met(other)["identity"]["version"] == 3
    assert met(other)["problem"] is None
    assert other.json("models/anchor/anchor.json")["identity"]["version"] == 1
    assert other.json("models/anchor/anchor.json")["problem"] is None
    assert len(json.loads(other.succeed("registry", "ledger", "--json"))) == 4
    assert [version["aliases"] for version in versions(other)] == [[], [], [], ["champion"]]
    assert len(bytes_of(other)) == 4
    assert "v3 is champion again" in other.succeed("registry", "rollback", "--reason", "a try")
    if first:
        assert (bytes_of(published), versions(published)) == first
    else:
        assert not published.root.exists()
