"""What a draft chooses, by which rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.freezing import thresholds_of
from pipeline.drafting import choosing
from pipeline.recipe.recipe import AUGMENTATION, AugmentParams, SplitParams, TrainParams
from pipeline.recipe.slots import Choice
from tests.drafting.given import pictures

SIDES = st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ([(28, 28)] * 3, (28, 28, "stretch")),
        ([(32, 48)] * 2, (32, 48, "stretch")),
        ([(480, 640), (240, 320)], (64, 88, "stretch")),
        ([(100, 100), (90, 110)] * 10, (64, 64, "crop")),
        ([(30, 300), (40, 40)], (32, 32, "pad")),
        ([(3, 3)], (8, 8, "stretch")),
        ([(40, 400)] * 2, (40, 40, "pad")),
    ],
)
def test_size_and_resizing_follow_from_the_sides(
    sides: Sequence[tuple[int, int]], expected: tuple[int, int, str]
) -> None:
    values = choosing.picture_settings(pictures(*sides)).values
    assert (values["height"], values["width"], values["resize"]) == expected


@given(SIDES)
def test_a_prepared_picture_is_never_outside_what_a_recipe_may_say(sides: list[tuple[int, int]]) -> None:
    values = choosing.picture_settings(pictures(*sides)).values
    assert min(values["height"], values["width"]) >= choosing.SMALLEST_SIDE
    assert min(values["height"], values["width"]) <= choosing.LARGEST_SIDE
    assert max(values["height"], values["width"]) <= 4 * choosing.LARGEST_SIDE


def test_the_raw_size_is_held_to_only_where_rows_are_plain_arrays_of_one_size() -> None:
    raw = choosing.picture_settings(pictures((28, 28), encoding="raw")).values
    files = choosing.picture_settings(pictures((28, 28))).values
    assert [(each["raw_height"], each["raw_width"]) for each in (raw, files)] == [(28, 28), (None, None)]


def test_grey_pictures_have_one_channel_and_a_mixture_three_which_is_said() -> None:
    grey = choosing.picture_settings(pictures((8, 8), modes={"L": 3, "1": 2, "I;16": 1}))
    mixed = choosing.picture_settings(pictures((8, 8), modes={"L": 3, "RGB": 2}))
    assert (grey.values["channels"], grey.unsure) == (1, "")
    assert mixed.values["channels"] == 3
    assert mixed.unsure.startswith("3 pictures are grey")


def test_what_is_behind_transparent_pictures_is_said() -> None:
    chosen = choosing.picture_settings(pictures((8, 8), modes={"RGBA": 3, "LA": 1, "RGB": 2}))
    assert "4 pictures may be transparent" in chosen.unsure


@pytest.mark.parametrize(
    ("classes", "flip"),
    [
        (["0", "1", "2"], 0.0),
        (["a", "b", "C"], 0.0),
        (["digit 1", "digit_2"], 0.0),
        (["seven", "Eight"], 0.0),
        (["A", "B", "other"], 0.0),
        (["turn left", "turn right", "ahead"], 0.0),
        (["cat", "dog"], 0.5),
        (["t-shirt/top", "bag"], 0.5),
        (["cat", "dog", "x"], 0.5),
    ],
)
def test_flips_are_off_where_a_mirror_image_is_another_class(classes: list[str], flip: float) -> None:
    chosen = choosing.mirror(classes)
    assert chosen.values == flip
    assert ("no flips" in chosen.why) == (flip == 0)


def test_the_sources_own_test_part_is_taken_first_and_rows_are_divided_anew_only_if_it_lacks_a_class() -> None:
    ways = choosing.splits(["train", "test"], 5000, "leaves")
    assert [way.values["method"] for way in ways] == ["source", "stratified", "stratified", "stratified"]
    assert ways[0].unsure == ""
    assert all("lack a class" in way.unsure for way in ways[1:])


@pytest.mark.parametrize(("rows", "test"), [(100_000, 0.1), (13_110, 0.1), (13_109, 0.2), (50, 0.2)])
def test_few_rows_give_a_fifth_to_the_test_part(rows: int, test: float) -> None:
    assert choosing.splits(["train"], rows, "leaves")[0].values["test"] == test


@given(st.lists(st.integers(choosing.FEWEST, 60), min_size=2, max_size=5))
def test_the_last_way_to_divide_gives_each_class_of_the_fewest_rows_a_row_in_each_part(rows: list[int]) -> None:
    way = choosing.splits(["train"], sum(rows), "leaves")[-1].values
    assert way["frozen"] == "leaves"
    for each in rows:
        hashes = np.arange(each, dtype=np.uint64)
        first, second = thresholds_of(hashes, [way[part] for part in ("train", "validation", "test")])
        assert len({*np.searchsorted([first, second], hashes, "right").tolist()}) == 3


@given(st.sets(st.sampled_from(["train", "validation", "test"])), st.integers(1, 10**6))
def test_every_way_to_divide_is_one_that_a_recipe_may_have(parts: set[str], rows: int) -> None:
    for way in choosing.splits(parts, rows, "leaves"):
        SplitParams.model_validate(way.values)


@given(st.integers(8, 10**7))
def test_training_is_one_that_a_recipe_may_have_and_a_batch_is_never_more_than_the_rows(rows: int) -> None:
    values = choosing.training(rows).values
    TrainParams.model_validate(values)
    assert values["batch_size"] <= rows


@given(st.integers(8, 1024), st.integers(8, 1024))
def test_the_network_halves_a_picture_to_eight_pixels_or_less(height: int, width: int) -> None:
    filters = choosing.model(height, width).values["settings"]["filters"]
    assert filters[-1] == 64
    most = 32 if len(filters) == 5 else 8  # five blocks are enough for any
    assert min(height, width) / 2 ** len(filters) <= most


def test_a_warp_brings_in_white_where_most_pictures_stand_on_white() -> None:
    clear, opaque = pictures((8, 8), (8, 8), modes={"RGBA": 2}), pictures((8, 8), (8, 8), modes={"RGBA": 1, "RGB": 1})
    assert choosing.surroundings(clear, "stretch") == 255
    assert choosing.surroundings(opaque, "stretch") == 0
    assert choosing.surroundings(opaque, "pad") == 255


def test_the_steps_of_a_draft_are_files_that_take_these_settings() -> None:
    params = AugmentParams.model_validate(choosing.augmentation(0.5, 255))
    for number, step in enumerate(params.steps):
        assert isinstance(step, Choice)
        AUGMENTATION.settings(step, f"augment.steps.{number}")
