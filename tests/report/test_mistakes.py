from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.evaluation.predictions import Predictions
from pipeline.report import mistakes

CLASSES = ["a", "b", "c"]
PREDICTIONS = Predictions(
    ["r0", "r1", "r2", "r3", "r4"],
    np.array([0, 1, 2, 0, 1], np.int32),
    np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0.8, 0.1, 0.1], [0.4, 0.6, 0], [0.7, 0.3, 0]], np.float32),
)


def test_the_surest_wrong_answers_come_first_and_equal_ones_by_id() -> None:
    found = mistakes.worst_mistakes(PREDICTIONS, CLASSES, 3)

    assert [(one.id, one.truth, one.answer) for one in found] == [("r2", "c", "a"), ("r4", "b", "a"), ("r1", "b", "a")]
    assert found[0].confidence == pytest.approx(0.8)
    assert [one.id for one in mistakes.worst_mistakes(PREDICTIONS, CLASSES, 10)] == ["r2", "r4", "r1", "r3"]


def test_confused_pairs_are_counted_and_the_commonest_comes_first() -> None:
    found = mistakes.common_confusions(PREDICTIONS, CLASSES, 2)

    assert (found[0].truth, found[0].answer, found[0].rows, found[0].share) == ("b", "a", 2, 1.0)
    assert len(found) == 2
    assert len(mistakes.common_confusions(PREDICTIONS, CLASSES, 9)) == 3  # pairs that never happened are not shown


def test_a_model_without_mistakes_has_none() -> None:
    perfect = Predictions(["r"], np.array([1], np.int32), np.array([[0, 1, 0]], np.float32))

    assert mistakes.worst_mistakes(perfect, CLASSES, 5) == []
    assert mistakes.common_confusions(perfect, CLASSES, 5) == []


def test_each_mistake_gets_the_pixels_of_its_own_row(whole_project: Path, answers: Any) -> None:
    predictions = Predictions(answers.ids, answers.labels, answers.probabilities)
    worst = mistakes.worst_mistakes(predictions, answers.classes, 4)

    shown = mistakes.with_pictures(worst, whole_project / "data" / "prepared" / "test")

    for one in shown:
        content = base64.b64decode(one.picture.removeprefix("data:image/png;base64,"))
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), answers.pixels[one.row][:, :, 0])


def test_a_part_with_other_rows_is_refused(whole_project: Path) -> None:
    strange = [mistakes.Mistake(0, "another id", "a", "b", 0.9)]

    with pytest.raises(DataError, match="row 0 is not the one"):
        mistakes.with_pictures(strange, whole_project / "data" / "prepared" / "test")


@pytest.mark.parametrize("shape", [(28, 28, 3), (300, 200, 1)])
def test_colour_and_large_images_become_small_pictures(shape: tuple[int, int, int]) -> None:
    uri = mistakes.png_uri(np.full(shape, 77, np.uint8))

    image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert image.mode == ("RGB" if shape[2] == 3 else "L")
    assert max(image.size) <= 128
