"""A manifest is told by what it lists."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.errors import DataError
from pipeline.records.manifest import Manifest
from tests.records.examples import example


@pytest.fixture
def manifest() -> Manifest:
    found = example(Manifest)
    assert isinstance(found, Manifest)
    return found


def test_the_columns_are_the_schema_of_the_file(manifest: Manifest) -> None:
    assert list(manifest.to_json()) == ["record_version", "rows", "digest", "files", "schema", "features", "counts"]


def test_the_digest_stands_in_the_file(manifest: Manifest) -> None:
    assert manifest.to_json()["digest"] == manifest.digest


@pytest.mark.parametrize(
    "change",
    [{"rows": 7}, {"digest": "sha256:ff"}, {"path": "b"}],
    ids=str,
)
def test_the_digest_follows_what_the_files_are(manifest: Manifest, change: dict[str, Any]) -> None:
    [file] = manifest.files
    assert manifest.changed(files=(file.changed(**change),)).digest != manifest.digest


def test_the_digest_follows_the_columns(manifest: Manifest) -> None:
    assert manifest.changed(columns={"id": "int32"}).digest != manifest.digest


def test_the_digest_follows_the_features_and_what_was_fitted(manifest: Manifest) -> None:
    [feature] = manifest.features
    others = [manifest.changed(features=features) for features in ((), (feature.changed(fitted=None),))]
    assert len({each.digest for each in (manifest, *others)}) == 3


def test_a_feature_is_found_by_its_name(manifest: Manifest) -> None:
    assert manifest.feature("picture") == manifest.features[0]
    with pytest.raises(DataError, match=r"no feature 'pictures' \(did you mean 'picture'\?\)"):
        manifest.feature("pictures")


def test_what_was_counted_is_no_part_of_the_digest(manifest: Manifest) -> None:
    assert manifest.changed(counts={}).digest == manifest.digest


def test_the_file_has_no_other_name_for_its_schema(manifest: Manifest) -> None:
    value = manifest.to_json()
    value["columns"] = value.pop("schema")
    with pytest.raises(DataError, match=r"x\.json: schema: is missing"):
        Manifest.from_json(value, "x.json")


@pytest.mark.parametrize("counts", [{"share": float("nan")}, {"classes": [{"zero": float("inf")}]}], ids=str)
def test_nothing_that_was_counted_is_nan(manifest: Manifest, counts: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"x\.json: counts: holds a number that is not finite"):
        Manifest.from_json({**manifest.to_json(), "counts": counts}, "x.json")


@pytest.mark.parametrize("path", ["../outside", "/etc/hostname", "a/../../b", ""])
def test_a_file_that_lies_outside_the_data_set_is_refused(manifest: Manifest, path: str) -> None:
    value = manifest.to_json()
    value["files"][0]["path"] = path
    with pytest.raises(DataError, match="is not a path inside the data set"):
        Manifest.from_json(value, "manifest.json")
