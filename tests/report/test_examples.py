"""The contact sheet: rows, their changed copies in order, and what was laid over them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data.augmenting import write_examples
from pipeline.errors import DataError
from pipeline.recipe.recipe import AugmentParams
from pipeline.records.manifest import MANIFEST_FILE
from pipeline.report import examples
from pipeline.report.examples import Examples, read_examples
from pipeline.report.page import render
from pipeline.report.run_files import read_run_files
from pipeline.report.sections import Section
from pipeline.storage.artifacts import published_folder
from pipeline.storage.manifests import read_manifest, write_manifest
from tests.training.made import image_spec, write_rows

ROOT = Path(__file__).parents[2]
CLASSES = ("cat", "dog")
STEPS = [{"name": "noise", "settings": {"levels": 9.0}}, {"name": "overlay", "settings": {"mixup": 0.5}}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    spec = image_spec((8, 9, 1)).changed(facts={"image_mean": "float32", "image_std": "float32"})
    pixels = np.random.default_rng(1).integers(0, 256, (30, 8, 9, 1), np.uint8)
    folder = write_rows(tmp_path / "data/prepared/train", [spec], {"image": pixels}, np.arange(30) % 2)
    write_manifest(folder, read_manifest(folder).changed(counts={"classes": dict.fromkeys(CLASSES, 15)}))
    return tmp_path


def shown(root: Path, steps: list[dict[str, Any]], when: str = "before", copies: int = 2) -> Section[Examples]:
    params = AugmentParams.model_validate({"when": when, "copies": copies, "steps": steps})
    with published_folder(root / "reports/augmentation") as folder:
        write_examples(root / "data/prepared/train", folder, seed=1, params=params)
    return read_examples(read_run_files(root))


def test_each_row_has_its_copies_in_their_order_with_a_picture_each(root: Path) -> None:
    found = shown(root, STEPS).value

    assert found is not None
    assert (found.steps, found.when, found.copies, len(found.rows)) == (("noise", "overlay"), "before", 2, 8)
    assert {tuple(copy.copy for copy in row) for row in found.rows} == {tuple(range(7))}
    assert [row[0].label for row in found.rows] == ["cat", "dog"] * 4
    pictures = [copy.picture for row in found.rows for copy in row]
    assert len(set(pictures)) == len(pictures) == 56
    assert all(picture.startswith("data:image/png;base64,") for picture in pictures)


def test_a_copy_of_two_labels_says_how_much_of_each(root: Path) -> None:
    found = shown(root, STEPS).value
    assert found is not None
    words = {copy.label for row in found.rows for copy in row}

    assert words >= {"cat", "dog"}
    mixed = [re.fullmatch(r"(\d+) % (cat|dog), (\d+) % (cat|dog)", each) for each in words - {"cat", "dog"}]
    assert mixed
    for match in mixed:
        assert match
        assert int(match[1]) + int(match[3]) == 100
        assert match[2] != match[4]


@pytest.mark.parametrize(
    ("when", "copies", "said"),
    [
        ("before", 1, "Trained on is the first copy of each, beside the row itself."),
        ("before", 2, "Trained on are the first 2 copies of each, beside the row itself."),
        ("during", 1, "Every epoch makes the next copy of each row, in its place."),
        ("during", 3, "Every epoch makes the next 3 copies of each row, in its place."),
    ],
)
def test_the_page_says_which_copies_are_trained_on(root: Path, when: str, copies: int, said: str) -> None:
    shown(root, STEPS, when, copies)
    page = " ".join(render(root).decode().split())

    assert said in page
    assert "8 training rows, and what the steps (noise, overlay) make of each" in page
    assert page.count('<td><img src="data:image/png') == 56


@pytest.mark.parametrize(
    ("when", "copies", "said"),
    [
        (
            "before",
            0,
            "Trained on are the first copies, beside the rows themselves: 0 of each row of cat, 2 of each row",
        ),
        ("during", 1, "Every epoch makes the next copies of rows, in their place: 1 of each row of cat, 3 of each row"),
    ],
)
def test_the_page_says_how_many_copies_rows_of_each_class_have(root: Path, when: str, copies: int, said: str) -> None:
    folder = root / "data/prepared/train"
    write_manifest(folder, read_manifest(folder).changed(counts={"classes": {"cat": 15, "dog": 5}}))
    found = shown(root, [STEPS[0], {"name": "oversample", "settings": {"most": 2}}], when, copies).value

    assert found is not None
    assert found.by_class == {"cat": copies, "dog": copies + 2}
    assert f"{said} of dog." in " ".join(render(root).decode().split())


def test_a_run_that_changes_nothing_says_so(root: Path) -> None:
    assert shown(root, [], copies=1).value == Examples((), "before", 1, ())
    assert "Nothing is changed." in render(root).decode()


def test_before_there_are_any_the_page_says_that_there_are_none(root: Path) -> None:
    assert "No copies have been made yet." in render(root).decode()


def test_damaged_examples_take_their_own_part_alone(root: Path) -> None:
    shown(root, STEPS)
    (root / "reports/augmentation/part-00000.parquet").write_bytes(b"PAR1 no more")
    page = render(root).decode()
    assert "reports/augmentation/part-00000.parquet: its bytes do not match the digest" in page
    assert 'id="contracts"' in page


def test_examples_that_do_not_say_what_was_done_are_refused(root: Path) -> None:
    shown(root, STEPS)
    folder = root / "reports/augmentation"
    write_manifest(folder, read_manifest(folder).changed(counts={}))
    assert "does not say what was done" in read_examples(read_run_files(root)).problem
    write_manifest(folder, read_manifest(folder).changed(counts={"steps": [], "classes": ["cat"], "copies": 1}))
    assert "labels 1 and 1, of 1 classes" in read_examples(read_run_files(root)).problem
    said = {"steps": [], "classes": ["cat", "dog"], "copies": 1, "copies_by_class": {"cat": "many"}}
    write_manifest(folder, read_manifest(folder).changed(counts=said))
    assert "does not say how many copies there are" in read_examples(read_run_files(root)).problem
    (folder / MANIFEST_FILE).unlink()
    assert "missing, so reports/augmentation was never published" in read_examples(read_run_files(root)).problem


@pytest.mark.parametrize(
    ("labels", "share", "said"), [((2.5, 2.5), 1.0, "2.5"), ((-3.0, 40.0), 0.25, "25 % -3, 75 % 40")]
)
def test_the_target_of_a_copy_may_be_a_number(labels: tuple[float, float], share: float, said: str) -> None:
    own, other = labels
    assert examples._in_words({"label": own, "other_label": other, "share": share}, []) == said
    with pytest.raises(DataError, match="of 0 classes"):
        examples._in_words({"label": 1, "other_label": 1, "share": 1.0}, [])
