"""The worst mistakes of a run, with their pictures where there are any."""

from __future__ import annotations

import base64
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.report import mistakes
from pipeline.report.run_files import read_run_files
from pipeline.storage.manifests import read_manifest, write_manifest


def test_each_mistake_gets_the_pixels_of_its_own_row(whole_project: Path, answers: Any) -> None:
    worst = [mistakes.ShownMistake(row, answers.ids[row], "a", "b", "0.9") for row in (7, 300, 2)]

    shown = mistakes.with_pictures(worst, whole_project / "data" / "prepared" / "validation")

    assert [one.row for one in shown] == [7, 300, 2]

    for one in shown:
        content = base64.b64decode(one.picture.removeprefix("data:image/png;base64,"))
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), answers.pixels[one.row][:, :, 0])


def test_a_part_with_other_rows_is_refused(whole_project: Path) -> None:
    strange = [mistakes.ShownMistake(0, "another id", "a", "b", "0.9")]

    with pytest.raises(DataError, match="row 0 is not the one"):
        mistakes.with_pictures(strange, whole_project / "data" / "prepared" / "validation")


def test_without_an_image_there_are_no_pictures_and_no_problem(project: Path, answers: Any) -> None:
    folder = project / "data" / "prepared" / "validation"
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.changed(features=(manifest.features[0].changed(kind="numbers"),)))
    worst = [mistakes.ShownMistake(0, answers.ids[0], "a", "b", "0.9")]

    assert mistakes.with_pictures(worst, folder) == worst


def test_the_worst_rows_of_a_run_are_those_that_its_task_finds(project: Path, answers: Any) -> None:
    found = mistakes.read_errors(read_run_files(project), 5).value

    assert found is not None
    expected = answers.task.mistakes(answers.ids, answers.labels, answers.probabilities, 5)
    assert found.found == expected
    assert [(one.row, one.id) for one in found.worst] == [(one.row, answers.ids[one.row]) for one in expected.worst]


def test_the_worst_rows_are_shown_without_a_look_at_the_test_part(project: Path) -> None:
    before = mistakes.read_errors(read_run_files(project), 5)
    for folder in (project / "reports" / "predictions" / "test", project / "data" / "prepared" / "test"):
        shutil.rmtree(folder)

    assert mistakes.read_errors(read_run_files(project), 5) == before
    assert before.value is not None
    assert all(one.picture for one in before.value.worst)


def test_predictions_for_the_test_part_alone_are_not_shown(project: Path) -> None:
    shutil.rmtree(project / "reports" / "predictions" / "validation")

    found = mistakes.read_errors(read_run_files(project), 5)

    assert found.problem == "reports/predictions: no predictions for the validation part; run evaluate again"


@pytest.mark.parametrize("shape", [(28, 28, 3), (300, 200, 1)])
def test_colour_and_large_images_become_small_pictures(shape: tuple[int, int, int]) -> None:
    uri = mistakes.png_uri(np.full(shape, 77, np.uint8))

    image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert image.mode == ("RGB" if shape[2] == 3 else "L")
    assert max(image.size) <= 128
