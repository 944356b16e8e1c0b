from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.evaluation.predictions import read_predictions, write_predictions
from pipeline.storage.manifests import read_manifest


@pytest.fixture
def written(answers: Any, tmp_path: Path) -> Path:
    write_predictions(tmp_path, "test", answers.predictions, answers.classes)
    return tmp_path


def test_predictions_come_back_bit_for_bit(written: Path, answers: Any) -> None:
    back = read_predictions(written)

    assert back.ids == answers.ids
    np.testing.assert_array_equal(back.labels, answers.labels)
    np.testing.assert_array_equal(back.probabilities, answers.probabilities)


def test_the_manifest_names_part_and_classes(written: Path, answers: Any) -> None:
    manifest = read_manifest(written)

    assert [entry.path for entry in manifest.files] == ["test.parquet"]
    assert manifest.rows == len(answers.labels)
    assert manifest.counts == {"classes": list(answers.classes)}
    assert manifest.columns["probabilities"] == "fixed_size_list<item: float>[4]"


def test_the_same_predictions_have_the_same_bytes(written: Path, answers: Any, tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()

    write_predictions(again, "test", read_predictions(written), answers.classes)

    assert (again / "test.parquet").read_bytes() == (written / "test.parquet").read_bytes()
    assert (again / "manifest.json").read_bytes() == (written / "manifest.json").read_bytes()


def test_damaged_predictions_are_refused(written: Path) -> None:
    path = written / "test.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(DataError, match="do not match the digest"):
        read_predictions(written)
