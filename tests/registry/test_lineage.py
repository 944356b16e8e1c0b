"""Where a model comes from, as digests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataError
from pipeline.records.manifest import Manifest
from pipeline.records.metrics import MetricsReport
from pipeline.records.origin import Origin
from pipeline.registry.lineage import lineage_tags
from pipeline.registry.versions import Version
from pipeline.runtime.git import Commit
from pipeline.storage.manifests import write_manifest
from tests.records.examples import COMPUTED_ON

RECIPE = {"train": {"epochs": 8}, "seed": 1}
COMMIT = Commit("c0ffee", is_dirty=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two prepared parts and a lock file of packages."""
    for part in ("train", "test"):
        (tmp_path / "data" / part).mkdir(parents=True)
        write_part(tmp_path, part, "string")
    (tmp_path / "requirements.txt").write_text("numpy==2.4.0\n")
    return tmp_path


def write_part(root: Path, part: str, kind: str) -> None:
    write_manifest(root / "data" / part, Manifest(rows=0, files=(), columns={"id": kind}))


def tags(root: Path, **changes: Any) -> dict[str, str]:
    given = {"recipe": RECIPE, "lock_digest": "sha256:lock", "commit": COMMIT, **changes}
    return lineage_tags(data=root / "data", requirements=root / "requirements.txt", **given)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {key.removeprefix("ratchet.") for key in before if before[key] != after[key]}


def test_a_model_has_a_tag_for_all_it_came_from(root: Path) -> None:
    found = tags(root)
    assert list(found) == [
        "ratchet.recipe_digest",
        "ratchet.data_digest",
        "ratchet.dvc_lock_digest",
        "ratchet.requirements_digest",
        "ratchet.git_commit",
        "ratchet.git_dirty",
        "ratchet.device",
        "ratchet.computed_on",
    ]
    assert (found["ratchet.git_commit"], found["ratchet.git_dirty"]) == ("c0ffee", "false")


def test_a_model_says_how_its_answers_are_read(root: Path) -> None:
    part = {"rows": 4, "mae": 2.5}
    report = MetricsReport(
        task="regression", primary="mae", test=part, train=part, overfit=0.0, slices={}, units={"mae": "min"}
    )
    assert {**tags(root), "ratchet.unit": "min"} == tags(root, answers=report)
    learned = report.changed(units={}, learned={"threshold": 0.262064278})
    assert {**tags(root), "ratchet.threshold": "0.262064278"} == tags(root, answers=learned)


def test_what_is_not_known_of_the_files_is_unknown(root: Path) -> None:
    assert tags(root, commit=Commit("c0ffee", is_dirty=None))["ratchet.git_dirty"] == "unknown"


def test_what_it_was_computed_on_is_read_back_from_its_tags(root: Path) -> None:
    elsewhere = COMPUTED_ON.changed(device="cpu", gpu="")
    found = tags(root, computed_on=[COMPUTED_ON, elsewhere])
    assert found["ratchet.device"] == "gpu, cpu"
    assert Version("pets", 1, "", "", found).computed_on == (COMPUTED_ON, elsewhere)


def test_what_is_not_known_of_the_device_is_none(root: Path) -> None:
    found = tags(root)
    assert (found["ratchet.device"], found["ratchet.computed_on"]) == ("none", "[]")
    assert Version("pets", 1, "", "", found).computed_on == ()


def test_a_model_of_a_run_names_the_run_and_its_photograph(root: Path) -> None:
    address = "http://airflow:8080/dags/retrain/runs/manual__1"
    known = Origin(
        home="../..",
        run="20261128-1",
        photograph="sha256:0a",
        asked_by="ann",
        dag_id="retrain",
        dag_run_id="manual__1",
        address=address,
    )
    assert dict(tags(root, origin=known).items() - tags(root).items()) == {
        "ratchet.run": "20261128-1",
        "ratchet.photograph": "sha256:0a",
        "ratchet.dag": "retrain",
        "ratchet.dag_run": "manual__1",
        "ratchet.run_address": address,
    }
    assert tags(root, origin=Origin(home=".", run="x")).keys() - tags(root).keys() == {"ratchet.run"}


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"recipe": {**RECIPE, "seed": 2}}, "recipe_digest"),
        ({"lock_digest": "sha256:other"}, "dvc_lock_digest"),
        ({"commit": Commit("decade", is_dirty=False)}, "git_commit"),
        ({"commit": Commit("c0ffee", is_dirty=True)}, "git_dirty"),
        ({"commit": Commit("c0ffee", is_dirty=None)}, "git_dirty"),
    ],
)
def test_each_origin_changes_its_own_tag(root: Path, changes: dict[str, Any], tag: str) -> None:
    assert changed(tags(root), tags(root, **changes)) == {tag}


def test_the_order_of_the_recipes_keys_does_not_change_its_digest(root: Path) -> None:
    assert tags(root, recipe=dict(reversed(RECIPE.items()))) == tags(root)


@pytest.mark.parametrize("part", ["train", "test"])
def test_other_data_in_any_part_has_another_digest(root: Path, part: str) -> None:
    before = tags(root)
    write_part(root, part, "int64")
    assert changed(before, tags(root)) == {"data_digest"}


def test_other_packages_have_another_digest(root: Path) -> None:
    before = tags(root)
    (root / "requirements.txt").write_text("numpy==2.4.1\n")
    assert changed(before, tags(root)) == {"requirements_digest"}


def test_what_is_absent_is_none(tmp_path: Path) -> None:
    found = tags(tmp_path, lock_digest=None, commit=None)
    assert set(found.values()) - {found["ratchet.recipe_digest"], found["ratchet.computed_on"]} == {"none"}


def test_a_manifest_that_cannot_be_trusted_has_no_digest(root: Path) -> None:
    (root / "data" / "test" / "manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"manifest\.json"):
        tags(root)


@pytest.mark.parametrize(
    ("settings", "tag"),
    [({"threshold": 0.375}, "0.375"), ({"threshold": 0.5}, None), ({"threshold": "validation"}, None), ({}, None)],
)
def test_a_threshold_of_the_recipe_is_kept_for_who_serves_the_model(
    tmp_path: Path, settings: dict[str, object], tag: str | None
) -> None:
    recipe = {"task": {"name": "classification", "settings": settings}}
    tags = lineage_tags(recipe=recipe, data=tmp_path, requirements=tmp_path / "none.txt", lock_digest=None, commit=None)
    assert tags.get("ratchet.threshold") == tag
