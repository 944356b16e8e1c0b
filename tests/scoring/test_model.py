"""Which model scores, and whether the recipe says where its inputs stand. Real models: tests/system/scoring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.recipe.recipe import Recipe
from pipeline.records.feature import FeatureSpec
from pipeline.records.served_model import SERVED_FILE, ServedFormat, ServedInput, ServedModel
from pipeline.registry.versions import Version
from pipeline.scoring.model import _threshold, completed, from_served, require_asked_for
from pipeline.storage.artifacts import digest_file
from pipeline.storage.record_files import write_record
from tests.scoring.given import features, model
from tests.scoring.test_reading import recipe


def test_a_feature_of_an_earlier_ratchet_gets_what_its_kind_has_today() -> None:
    sides = {"raw_height": 8, "raw_width": 8, "channels": 1, "height": 8, "width": 8}
    before = FeatureSpec(
        name="image", kind="image", dtype="uint8", shape=(8, 8, 1), settings=sides, fitted={"mean": [1.0], "std": [2.0]}
    )
    now = completed(before)
    assert now.settings | sides == now.settings
    assert (now.settings["background"], now.settings["resize"]) == (255, "stretch")
    assert (now.fitted, now.shape, now.name) == (before.fitted, before.shape, "image")


def test_a_feature_of_today_stays_as_it_is() -> None:
    assert [completed(spec) for spec in features()] == [*features()]


def given(features_: dict[str, Any]) -> Recipe:
    known = {"target": "late", "known_at": {"before": ["age", "place", "palace"]}}
    return recipe(features={"image": None, **features_}, source={"name": "csv", "settings": known})


def test_a_recipe_may_have_more_features_than_the_model() -> None:
    kinds = {"age": "number", "place": "category", "palace": "category"}
    require_asked_for(model(), given({name: {"kind": kind} for name, kind in kinds.items()}), "here")


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ({"age": "number", "palace": "category"}, r"no 'place', a category that ages v3 takes \(did you mean 'palace'"),
        ({"age": "number", "place": "text"}, "place is of kind text, and ages v3 was trained with a category"),
    ],
)
def test_a_model_that_was_trained_for_other_features_is_refused(kinds: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=f"^here: .*{words}.*name the config that it was trained with: --config$"):
        require_asked_for(model(), given({name: {"kind": kind} for name, kind in kinds.items()}), "here")


def fixed(in_recipe: Any, classes: tuple[str, ...] = ("no", "yes"), name: str = "ages", **tags: str) -> float:
    own = recipe()
    task = own.task.model_copy(update={"settings": {} if in_recipe is None else {"threshold": in_recipe}})
    asked = own.model_copy(update={"name": "ages", "task": task})
    version = Version(name, 1, "", "", {f"ratchet.{key}": value for key, value in tags.items()})
    return _threshold(version, asked, classes)


def test_the_threshold_is_what_was_learned_or_else_what_its_recipe_says() -> None:
    assert fixed(None) == fixed("validation") == 0.5
    assert fixed("validation", threshold="0.25") == fixed(0.4, threshold="0.25") == 0.25
    assert fixed(0.4) == 0.4
    assert fixed(0.4, name="another") == 0.5
    assert fixed(0.4, classes=("a", "b", "c"), threshold="0.25") == 0.5


def served(folder: Path, **changes: Any) -> Path:
    """Write a served folder whose SavedModel is a file that nobody loads."""
    path = folder / "saved_model" / "1" / "saved_model.pb"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"graph")
    files = {"saved_model/1/saved_model.pb": digest_file(path)}
    values: dict[str, Any] = {
        "name": "ages",
        "version": 4,
        "digest": "sha256:0a",
        "task": "classification",
        "output": "probabilities",
        "signature": "serving_default",
        "classes": ("no", "yes"),
        "threshold": 0.25,
        "parameters": 6,
        "inputs": (
            ServedInput(name="age", kind="number", dtype="float64"),
            ServedInput(name="place", kind="category", dtype="string"),
        ),
        "rows": 5,
        "formats": (ServedFormat(name="saved_model", path="saved_model/1", files=files, size_bytes=5),),
    }
    write_record(folder / SERVED_FILE, ServedModel(**{**values, **changes}))
    return folder


def test_a_served_folder_scores_by_what_it_says_of_its_model(tmp_path: Path) -> None:
    found = from_served(served(tmp_path), recipe())
    assert (found.shown, found.digest, found.classes, found.threshold) == ("ages v4", "sha256:0a", ("no", "yes"), 0.25)
    assert found.saved_model == tmp_path / "saved_model" / "1"
    assert found.inputs == {"age": "float64", "place": "string"}
    assert [(spec.name, spec.kind) for spec in found.features] == [("age", "number"), ("place", "category")]
    require_asked_for(found, recipe(), "here")


def test_a_served_folder_of_no_registry_is_called_by_its_digest(tmp_path: Path) -> None:
    found = from_served(served(tmp_path, version=None, threshold=None), recipe())
    assert (found.shown, found.folder_name, found.threshold) == ("ages", "ages-0a", 0.5)


def test_another_saved_model_of_the_same_model_is_another_job(tmp_path: Path) -> None:
    one = from_served(served(tmp_path / "one"), recipe())
    two = served(tmp_path / "two")
    (two / "saved_model" / "1" / "saved_model.pb").write_bytes(b"other")
    record = json.loads((two / SERVED_FILE).read_text())
    record["formats"][0]["files"] = {
        "saved_model/1/saved_model.pb": digest_file(two / "saved_model" / "1" / "saved_model.pb")
    }
    (two / SERVED_FILE).write_text(json.dumps(record))
    assert from_served(two, recipe()).export != one.export


def test_a_served_folder_that_was_damaged_is_refused(tmp_path: Path) -> None:
    folder = served(tmp_path)
    (folder / "saved_model" / "1" / "saved_model.pb").write_bytes(b"swapped")
    with pytest.raises(DataError, match="do not match the digest"):
        from_served(folder, recipe())


def test_a_folder_that_is_no_served_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no served model"):
        from_served(tmp_path, recipe())


def test_a_served_folder_for_other_features_is_refused(tmp_path: Path) -> None:
    other = served(tmp_path, inputs=(ServedInput(name="height", kind="number", dtype="float64"),))
    with pytest.raises(UsageError, match=r"data\.features has no 'height', a number that ages v4 takes"):
        require_asked_for(from_served(other, recipe()), recipe(), "here")


def test_rows_that_are_rejected_by_what_was_fitted_are_not_scored_by_a_served_folder(tmp_path: Path) -> None:
    strict = recipe(
        features={"image": None, "age": "number", "place": {"kind": "category", "settings": {"unknown": "reject"}}}
    )
    with pytest.raises(UsageError, match=r"data\.features\.place rejects .*; score by --model"):
        from_served(served(tmp_path), strict)
