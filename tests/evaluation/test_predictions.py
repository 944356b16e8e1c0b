from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.evaluation.predictions import Predictions, read_predictions, write_predictions
from pipeline.storage.manifests import read_manifest, write_manifest


@pytest.fixture
def written(answers: Any, tmp_path: Path) -> Path:
    write_predictions(tmp_path, "test", answers.predictions, answers.task)
    return tmp_path / "test"


def test_predictions_come_back_bit_for_bit(written: Path, answers: Any) -> None:
    back = read_predictions(written)

    assert back.ids == answers.ids
    np.testing.assert_array_equal(back.labels, answers.labels)
    np.testing.assert_array_equal(back.answers, answers.probabilities)


def test_the_manifest_names_task_and_classes(written: Path, answers: Any) -> None:
    manifest = read_manifest(written)

    assert [entry.path for entry in manifest.files] == ["part-00000.parquet"]
    assert manifest.rows == len(answers.labels)
    assert manifest.counts == {
        "task": {"name": "classification", "settings": answers.task.settings.model_dump()},
        "classes": list(answers.classes),
        "answer_shape": [4],
    }
    assert manifest.columns["answers"] == "fixed_size_list<item: float>[4]"


def test_the_same_predictions_have_the_same_bytes(written: Path, answers: Any, tmp_path: Path) -> None:
    again = tmp_path / "again"

    write_predictions(tmp_path, "again", read_predictions(written), answers.task)

    assert (again / "part-00000.parquet").read_bytes() == (written / "part-00000.parquet").read_bytes()
    assert (again / "manifest.json").read_bytes() == (written / "manifest.json").read_bytes()


def test_damaged_predictions_are_refused(written: Path) -> None:
    path = written / "part-00000.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(DataError, match="do not match the digest"):
        read_predictions(written)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_answers_of_any_shape_come_back(answers: Any, tmp_path: Path, shape: tuple[int, ...]) -> None:
    given = np.arange(5 * int(np.prod(shape)), dtype=np.float32).reshape(5, *shape)
    predictions = Predictions(list("abcde"), np.zeros(5, np.int32), given)

    write_predictions(tmp_path, "test", predictions, answers.task)

    np.testing.assert_array_equal(read_predictions(tmp_path / "test").answers, given)


def test_another_data_set_is_not_taken_for_predictions(written: Path) -> None:
    manifest = read_manifest(written)
    write_manifest(written, manifest.changed(counts={"classes": ["a"]}))

    with pytest.raises(DataError, match="not the predictions of this Ratchet; run evaluate again"):
        read_predictions(written)
