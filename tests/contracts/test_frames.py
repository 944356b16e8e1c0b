"""The columns that a contract may be about follow from the manifests. The tables need Spark: see tests/system."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.contracts import frames
from pipeline.errors import DataError
from pipeline.records.feature import FeatureSpec
from pipeline.records.manifest import Manifest
from pipeline.storage import shards
from pipeline.storage.manifests import write_manifest

PICTURE = FeatureSpec(
    name="picture", kind="image", dtype="uint8", shape=(2, 2, 1), facts={"picture_mean": "float32"}, fitted={"mean": 1}
)
WEIGHT = FeatureSpec(name="weight", kind="number", dtype="float32", shape=())
RAW = {"id": "string", "label": "int32", "part": "string", "source": "string", "row": "int64"}
RAW |= {"content_digest": "string", "problem": "string", "detail": "string"}
RAW |= {"picture_height": "int32", "picture": "binary", "weight": "double"}


def raw_folder(folder: Path, columns: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    write_manifest(folder, Manifest(rows=0, files=(), columns=columns))
    return folder


def part_folder(folder: Path, *features: FeatureSpec, without: tuple[str, ...] = ()) -> Path:
    folder.mkdir(exist_ok=True)
    whole = shards.prepared_schema(features)
    schema = pa.schema([field for field in whole if field.name not in without])
    shards.finish_dataset(folder, [], schema, features=features)
    return folder


def test_of_raw_rows_every_column_is_there_but_a_payload_which_is_its_size(tmp_path: Path) -> None:
    raw = frames.open_raw(raw_folder(tmp_path, RAW))
    plain = [name for name in RAW if name != "picture"]
    assert frames.raw_columns(raw) == (*plain, "picture_bytes")


@pytest.mark.parametrize("name", ["id", "label", "part", "source", "row", "content_digest", "problem", "detail"])
def test_raw_data_without_what_every_row_has_is_refused(tmp_path: Path, name: str) -> None:
    folder = raw_folder(tmp_path, {column: kind for column, kind in RAW.items() if column != name})
    with pytest.raises(DataError, match=f"column '{name}' is missing, expected {RAW[name]}; make it again"):
        frames.open_raw(folder)


def test_of_prepared_rows_there_are_facts_the_size_of_arrays_and_numbers_themselves(tmp_path: Path) -> None:
    part = frames.open_part(part_folder(tmp_path, PICTURE, WEIGHT))
    assert frames.prepared_columns({"train": part}) == (
        *("id", "label", "picture_mean", "picture_bytes", "weight"),
        *("part", "copy", "source_id", "source_part", "parts_with_row"),
    )


@pytest.mark.parametrize("name", ["label", "picture", "picture_mean", "weight"])
def test_a_part_without_a_declared_column_is_refused(tmp_path: Path, name: str) -> None:
    folder = part_folder(tmp_path, PICTURE, WEIGHT, without=(name,))
    with pytest.raises(DataError, match=f"column '{name}' is missing"):
        frames.open_part(folder)


def test_a_part_that_declares_no_features_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="declares no features; make it again"):
        frames.open_part(part_folder(tmp_path))


@pytest.mark.parametrize("other", [WEIGHT, PICTURE.changed(fitted={"mean": 2})], ids=["another", "fitted otherwise"])
def test_parts_that_differ_in_their_features_are_refused(tmp_path: Path, other: FeatureSpec) -> None:
    parts = {
        "train": frames.open_part(part_folder(tmp_path / "train", PICTURE)),
        "test": frames.open_part(part_folder(tmp_path / "test", other)),
    }
    with pytest.raises(DataError, match="test: its features are not those of the other parts"):
        frames.prepared_columns(parts)
