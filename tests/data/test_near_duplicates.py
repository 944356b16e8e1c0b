"""Planted near-duplicates are found across parts, flat and other pictures are not, and each row's nearest is kept."""

from __future__ import annotations

import gzip
import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data import perceptual_hash
from pipeline.data.feature_kinds import picture_of
from pipeline.data.near_duplicates import find_near_duplicates, look, nearest_rows
from pipeline.recipe.bounds import Off
from pipeline.recipe.recipe import NearDuplicateParams
from pipeline.records.feature import FeatureSpec
from pipeline.storage.artifacts import published_folder
from pipeline.storage.near_duplicates import Between, read_near_duplicates
from pipeline.storage.shards import Rows
from tests.data.given import image_specs

SAMPLE_SIDE, MARGIN = 28, 2  # pixels
SIDE = SAMPLE_SIDE + 2 * MARGIN
SAMPLE = Path(__file__).parents[2] / "samples/fashion_mnist/train-images-idx3-ubyte.gz"
PARAMS = NearDuplicateParams()
[SPEC] = image_specs((SIDE, SIDE, 1), (SIDE, SIDE))


def sample(start: int, count: int) -> np.ndarray:
    """Return training pictures of the sample that comes with the repository, with a margin, `[row, 32, 32, 1]`."""
    with gzip.open(SAMPLE) as stream:
        stream.seek(16 + start * SAMPLE_SIDE**2)
        content = stream.read(count * SAMPLE_SIDE**2)
    pixels = np.frombuffer(content, np.uint8).reshape(-1, SAMPLE_SIDE, SAMPLE_SIDE, 1)
    return np.pad(pixels, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)))


def jpeg(pixels: np.ndarray) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(content, "JPEG", quality=75)
    return np.asarray(Image.open(content))[..., None]


CHANGES = {
    "shifted by a pixel to the right": lambda pixels: np.pad(pixels, ((0, 0), (1, 0), (0, 0)))[:, :-1],
    "shifted by a pixel up and left": lambda pixels: np.pad(pixels, ((0, 1), (0, 1), (0, 0)))[1:, 1:],
    "brighter": lambda pixels: np.minimum(pixels.astype(int) + 40, 255).astype(np.uint8),
    "darker, of less contrast": lambda pixels: (pixels * 0.7).astype(np.uint8),
    "recompressed": jpeg,
    "larger and back": lambda pixels: np.asarray(Image.fromarray(pixels[..., 0]).resize((80, 80)).resize((SIDE, SIDE)))[
        ..., None
    ],
}
TRAIN = sample(0, 400)


def looks(pixels: np.ndarray, folder: Path) -> object:
    return look(pixels, perceptual_hash.thumbnails, folder)


@pytest.mark.long
@pytest.mark.parametrize("change", CHANGES)
def test_a_planted_near_duplicate_is_found(change: str, tmp_path: Path) -> None:
    planted = np.stack([CHANGES[change](TRAIN[row]) for row in range(0, 400, 20)])
    test = np.concatenate([sample(400, 50), planted])

    found = nearest_rows(looks(TRAIN, tmp_path), looks(test, tmp_path), PARAMS.bits, PARAMS.likeness)

    missed = 20 - len(found.later)
    assert missed <= (0 if "shifted" in change else 4)  # a hash of 64 bits promises nothing
    assert (found.later >= 50).all()
    assert found.earlier.tolist() == ((found.later - 50) * 20).tolist()


def test_flat_pictures_are_no_near_duplicates_of_each_other(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 3, (300, SIDE, SIDE, 1), np.uint8)
    flat = noise + np.linspace(0, 250, 300).astype(np.uint8)[:, None, None, None]
    assert not len(nearest_rows(looks(flat[::2], tmp_path), looks(flat[1::2], tmp_path), 12, 0.5).later)


def test_the_nearest_is_the_most_alike_then_the_first(tmp_path: Path) -> None:
    earlier = np.stack([jpeg(TRAIN[5]), TRAIN[5], TRAIN[9], TRAIN[5]])
    found = nearest_rows(looks(earlier, tmp_path), looks(TRAIN[[8, 5, 9]], tmp_path), 12, 0.9)
    assert (found.later.tolist(), found.earlier.tolist()) == ([1, 2], [1, 2])
    assert (found.bits.tolist(), found.likeness.tolist()) == ([0, 0], pytest.approx([1.0, 1.0]))


def test_pictures_must_be_near_in_their_hashes_and_alike(tmp_path: Path) -> None:
    earlier, later = looks(TRAIN[:20], tmp_path), looks(np.stack([jpeg(each) for each in TRAIN[:20]]), tmp_path)
    found = nearest_rows(earlier, later, 12, 0.98)
    bits, alike = found.bits.max(), found.likeness.min()
    assert bits > 0
    assert len(nearest_rows(earlier, later, bits, alike).later) == len(found.later)
    assert len(nearest_rows(earlier, later, bits - 1, alike).later) < len(found.later)
    assert len(nearest_rows(earlier, later, bits, np.nextafter(alike, 2)).later) == len(found.later) - 1


def test_more_rows_than_are_looked_at_at_a_time_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = np.concatenate([jpeg(each)[None] for each in TRAIN[:60]])

    def found() -> tuple[list[object], ...]:
        near = nearest_rows(looks(TRAIN, tmp_path), looks(test, tmp_path), 6, 0.9)
        return near.later.tolist(), near.earlier.tolist(), near.bits.tolist(), near.likeness.tolist()

    whole = found()
    monkeypatch.setattr("pipeline.data.near_duplicates._BLOCK_ROWS", 7)
    monkeypatch.setattr("pipeline.data.near_duplicates._BLOCK_PAIRS", 2)
    assert found() == whole
    assert len(whole[0]) > 50


def rows(pixels: np.ndarray, part: str) -> Rows:
    ids = [f"{part} {number}" for number in range(len(pixels))]
    return Rows(ids, np.arange(len(pixels), dtype=np.int32) % 3, {"image": pixels})


PARTS = {
    "train": rows(TRAIN, "train"),
    "validation": rows(np.concatenate([sample(450, 9), TRAIN[[4]]]), "validation"),
    "test": rows(np.stack([jpeg(TRAIN[7]), TRAIN[4]]), "test"),
}


def data_set(folder: Path, params: NearDuplicateParams = PARAMS, features: tuple[FeatureSpec, ...] = (SPEC,)) -> Path:
    with published_folder(folder / "near") as aside:
        find_near_duplicates(PARTS, picture_of(features), params, aside, folder, on_progress=lambda *_: None)
    return folder / "near"


def test_every_later_part_is_held_against_every_earlier_one(tmp_path: Path) -> None:
    found = read_near_duplicates(data_set(tmp_path))
    assert found.between == (
        Between("validation", "train", 1, 10),
        Between("test", "train", 2, 2),
        Between("test", "validation", 1, 2),
    )
    assert (found.bits, found.likeness) == (PARAMS.bits, PARAMS.likeness)
    assert [row["row"] for row in found.of("test", "train")] == [0, 1]
    assert found.of("test", "validation") == [
        {
            "part": "test",
            "row": 1,
            "id": "test 1",
            "label": 1,
            "earlier_part": "validation",
            "earlier_row": 9,
            "earlier_id": "validation 9",
            "earlier_label": 0,
            "bits": 0,
            "likeness": pytest.approx(1.0),
        }
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["near"]


def test_progress_ends_with_all_rows_looked_at_and_compared(tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    with published_folder(tmp_path / "near") as aside:
        find_near_duplicates(
            PARTS, picture_of([SPEC]), PARAMS, aside, tmp_path, on_progress=lambda *now: said.append(now)
        )
    assert said == sorted(said)
    assert said[-1] == (412 + 14, 412 + 14)


@pytest.mark.parametrize(
    ("params", "features", "why_not"),
    [
        (NearDuplicateParams(bits=Off(none="no pictures of ours")), (SPEC,), "no pictures of ours"),
        (PARAMS, (SPEC.changed(kind="image"),)[:0], "no feature is a picture"),
    ],
)
def test_where_none_is_looked_for_the_data_set_says_why(
    params: NearDuplicateParams, features: tuple[FeatureSpec, ...], why_not: str, tmp_path: Path
) -> None:
    found = read_near_duplicates(data_set(tmp_path, params, features))
    assert (found.between, found.why_not, found.rows) == ((), why_not, ())


def test_the_first_feature_that_is_a_picture_is_looked_at() -> None:
    found = picture_of([SPEC.changed(name="front"), SPEC])
    assert found is not None
    name, thumbnails = found
    assert name == "front"
    assert (thumbnails(TRAIN[:3]) == perceptual_hash.thumbnails(TRAIN[:3])).all()
    assert isinstance(thumbnails, partial)


def test_reading_says_when_it_is_another_data_set(tmp_path: Path) -> None:
    from pipeline.errors import DataError
    from pipeline.storage import shards

    (tmp_path / "other").mkdir()
    shards.finish_dataset(tmp_path / "other", [], shards.prepared_schema([]))
    with pytest.raises(DataError, match="other: not near-duplicates"):
        read_near_duplicates(tmp_path / "other")


@pytest.mark.parametrize("name", ["bits", "likeness"])
def test_reading_says_when_a_limit_is_a_number_that_nobody_expects(name: str, tmp_path: Path) -> None:
    from pipeline.errors import DataError
    from pipeline.storage.manifests import read_manifest, write_manifest

    folder = data_set(tmp_path)
    manifest = read_manifest(folder)
    number = 10**400 if name == "likeness" else "many"
    write_manifest(folder, manifest.changed(counts={**manifest.counts, name: number}))
    with pytest.raises(DataError, match="near: not near-duplicates"):
        read_near_duplicates(folder)


def test_an_empty_part_has_no_near_duplicates(tmp_path: Path) -> None:
    none = looks(TRAIN[:0], tmp_path)
    assert not len(nearest_rows(none, looks(TRAIN[:3], tmp_path), 4, 0.9).later)
    assert not len(nearest_rows(looks(TRAIN[:3], tmp_path), none, 4, 0.9).later)
