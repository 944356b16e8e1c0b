"""What a draft chooses, by which rule."""

from __future__ import annotations

from collections import Counter
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
    ("sides", "expected", "why"),
    [
        ([(28, 28)] * 3, (28, 28, "stretch"), "all pictures are 28 × 28 pixels"),
        ([(8, 64)] * 2, (8, 64, "stretch"), "all pictures are 8 × 64 pixels"),
        ([(3, 3)], (8, 8, "stretch"), "all pictures have one aspect, and half of them a shorter side of 3"),
        ([(65, 65)], (64, 64, "stretch"), "all pictures have one aspect"),
        ([(480, 640), (240, 320)], (64, 88, "stretch"), "all pictures have one aspect"),
        ([(640, 480), (320, 240)], (88, 64, "stretch"), "all pictures have one aspect"),
        ([(100, 100), (100, 105)], (64, 64, "stretch"), "all pictures have one aspect"),
        ([(100, 100), (100, 106)], (64, 64, "crop"), "aspects differ, and crop loses at most a quarter"),
        ([(100, 75)] * 9 + [(100, 50)], (64, 64, "crop"), "aspects differ, and crop"),
        ([(100, 75)] * 8 + [(100, 50)] * 2, (64, 64, "pad"), "aspects differ, and pad keeps all"),
        ([(100, 200)] * 2 + [(100, 150)] * 8, (64, 64, "pad"), "aspects differ, and pad"),
        ([(30, 300), (40, 40)], (32, 32, "pad"), "they are strips, and pad"),
        ([(100, 400)], (64, 256, "stretch"), "all pictures have one aspect"),
        ([(400, 100)], (256, 64, "stretch"), "all pictures have one aspect"),
        ([(40, 400)] * 2, (40, 40, "pad"), "they are strips, and pad keeps all of a picture, with bars beside it"),
        ([(401, 100)], (64, 64, "pad"), "they are strips, and pad"),
        ([], (8, 8, "stretch"), "no picture says its size"),
    ],
)  # fmt: skip
def test_size_and_resizing_follow_from_the_sides(
    sides: Sequence[tuple[int, int]], expected: tuple[int, int, str], why: str
) -> None:
    chosen = choosing.picture_settings(pictures(*sides))
    assert tuple(chosen.values[key] for key in ("height", "width", "resize")) == expected
    assert chosen.why.startswith(why)


@given(SIDES)
def test_a_prepared_picture_is_never_outside_what_a_recipe_may_say(sides: list[tuple[int, int]]) -> None:
    values = choosing.picture_settings(pictures(*sides)).values
    assert min(values["height"], values["width"]) >= choosing.SMALLEST_SIDE
    assert min(values["height"], values["width"]) <= choosing.LARGEST_SIDE
    assert max(values["height"], values["width"]) <= 4 * choosing.LARGEST_SIDE


@pytest.mark.parametrize(
    ("sides", "encodings", "raw"),
    [
        ([(28, 30)] * 2, {"raw": 2}, (28, 30)),
        ([(28, 30)] * 2, {"png": 2}, (None, None)),
        ([(28, 30)] * 2, {"raw": 1, "png": 1}, (None, None)),
        ([(28, 30), (28, 31)], {"raw": 2}, (None, None)),
        ([(28, 30), (29, 30)], {"raw": 2}, (None, None)),
    ],
)
def test_the_raw_size_is_held_to_only_where_rows_are_plain_arrays_of_one_size(
    sides: list[tuple[int, int]], encodings: dict[str, int], raw: tuple[int | None, int | None]
) -> None:
    found = pictures(*sides)
    found.encodings = Counter(encodings)
    values = choosing.picture_settings(found).values
    assert (values["raw_height"], values["raw_width"]) == raw


GREY = ("1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L")


def colour(modes: dict[str, int], channels: dict[int, int]) -> tuple[int, str, str]:
    found = pictures((8, 8))
    found.modes, found.channels = Counter(modes), Counter(channels)
    chosen = choosing.picture_settings(found)
    return chosen.values["channels"], chosen.why.partition("; ")[2], chosen.unsure


def test_grey_pictures_have_one_channel_and_a_mixture_three_which_is_said() -> None:
    unsure = "3 pictures are grey, the others have colours: channels is 3; set it to 1 if colour says nothing"
    for mode in GREY:
        assert colour({mode: 2}, {})[:2] == (1, "all are grey")
    assert colour({}, {1: 4}) == (1, "all are grey", "")
    assert colour({"RGB": 1, "P": 2}, {}) == (3, "they have colours", "")
    assert colour({}, {3: 4}) == (3, "they have colours", "")
    assert colour({"L": 1, "1": 2, "RGB": 2}, {}) == (3, "some have colours", unsure)
    assert colour({}, {1: 3, 3: 1}) == (3, "some have colours", unsure)
    assert colour({"RGB": 4}, {1: 3, 3: 1}) == (3, "they have colours", "")


def test_what_is_behind_transparent_pictures_is_said() -> None:
    assert colour({"RGBA": 4, "PA": 2, "RGB": 8}, {})[2].startswith("6 pictures may be transparent: settings.backgr")
    assert "; 1 pictures may be transparent" in colour({"LA": 1, "RGB": 2}, {})[2]


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


def test_every_word_for_a_digit_a_glyph_or_a_side_is_known() -> None:
    digits = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    about = ("digit", "number", "letter", "character", "char", "glyph", "upper", "lower", "class", "label")
    for name in (*digits, *(f"{word} x" for word in about)):
        assert choosing.mirror([name, "cat"]).values == 0
    for side in ("left", "right", "east", "west", "leftward", "rightward", "clockwise", "counterclockwise"):
        chosen = choosing.mirror(["ahead", f"Turn {side.upper()}", "back"])
        assert chosen.why == f"no flips: in a mirror 'Turn {side.upper()}' is another class"
    assert choosing.mirror(["digit", "cat"]).values == choosing.mirror(["1 2", "cat"]).values == 0.5


def test_numbers_are_said_to_be_taken_for_digits() -> None:
    assert choosing.mirror(["0", "11"]).unsure.startswith("the classes are numbers, taken for digits: flips are off;")
    assert choosing.mirror(["0", "a"]).unsure == choosing.mirror(["cat", "dog"]).unsure == ""


def test_the_sources_own_test_part_is_taken_first_and_rows_are_divided_anew_only_if_it_lacks_a_class() -> None:
    ways = choosing.splits(["train", "test"], 5000, "leaves")
    assert [way.values["method"] for way in ways] == ["source", "stratified", "stratified", "stratified"]
    assert ways[0].values == {"method": "source", "train": 0.9, "validation": 0.1, "test": 0.0, "frozen": None}
    assert (ways[0].why, ways[0].unsure) == ("the source's own test part is the test part", "")
    of_validation = choosing.splits(["train", "validation", "test"], 5000, "leaves")[0].why
    assert of_validation == "the source's own test part is the test part, its validation part the validation part"
    assert all("lack a class, or have equal rows in common" in way.unsure for way in ways[1:])


@pytest.mark.parametrize(
    ("rows", "shares"),
    [(100_000, (0.8, 0.1, 0.1)), (13_110, (0.8, 0.1, 0.1)), (13_109, (0.7, 0.1, 0.2)), (50, (0.7, 0.1, 0.2))],
)
def test_few_rows_give_a_fifth_to_the_test_part_and_small_classes_to_both(
    rows: int, shares: tuple[float, float, float]
) -> None:
    first, second, _ = choosing.splits(["train"], rows, "leaves")
    for way, expected in ((first, shares), (second, (0.6, 0.2, 0.2))):
        train, validation, test = expected
        assert way.values == {
            "method": "stratified",
            "train": train,
            "validation": validation,
            "test": test,
            "frozen": None,
        }
    assert (first.unsure, second.unsure) == ("", "some class has few rows: shares are 0.6, 0.2, 0.2")


def test_a_validation_part_without_a_test_part_is_divided_anew_which_is_said() -> None:
    ways = choosing.splits(["train", "validation"], 5000, "leaves")
    assert [way.values["method"] for way in ways] == ["stratified", "stratified", "stratified"]
    assert {way.unsure for way in ways} == {
        "the source has a validation part and no test part: the rows are divided anew"
    }


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


def test_training_is_that_of_the_shipped_recipe_for_so_many_rows() -> None:
    chosen = choosing.training(10_000)
    assert chosen.why == "for 10 000 training rows"
    assert chosen.values == {
        "epochs": 15,
        "batch_size": 256,
        "virtual_workers": 4,
        "learning_rate": 0.004,
        "warmup_epochs": 1.0,
        "schedule": {"name": "cosine"},
        "optimizer": {"name": "adam"},
        "loss": {"name": "cross_entropy"},
    }


@pytest.mark.parametrize(
    ("rows", "batch", "rate"),
    [(15_360, 512, 0.005), (15_359, 256, 0.004), (7679, 128, 0.003), (3839, 64, 0.002), (1919, 32, 0.001),
     (959, 16, 0.0009), (479, 8, 0.0006), (239, 4, 0.0004), (120, 4, 0.0004), (119, 16, 0.0009), (64, 16, 0.0009),
     (63, 8, 0.0006), (16, 4, 0.0004), (15, 1, 0.0002), (2, 1, 0.0002)],
)  # fmt: skip
def test_a_batch_is_the_largest_of_which_an_epoch_has_thirty_and_else_a_quarter_of_the_rows(
    rows: int, batch: int, rate: float
) -> None:
    values = choosing.training(rows).values
    assert (values["batch_size"], values["learning_rate"]) == (batch, rate)
    assert values["virtual_workers"] == (1 if batch == 1 else 4)


@pytest.mark.parametrize(("rows", "epochs"), [(18_750, 8), (18_749, 9), (3847, 39), (3750, 40), (1, 40), (0, 40)])
def test_fewer_rows_are_seen_in_more_epochs(rows: int, epochs: int) -> None:
    assert choosing.training(rows).values["epochs"] == epochs


@pytest.mark.parametrize(
    ("sides", "filters"),
    [((8, 64), [64]), ((1, 1), [64]), ((64, 16), [64]), ((17, 17), [32, 64]), ((32, 99), [32, 64]),
     ((33, 33), [16, 32, 64]), ((256, 256), [4, 8, 16, 32, 64]), ((999, 999), [4, 8, 16, 32, 64])],
)  # fmt: skip
def test_the_network_halves_a_picture_to_eight_pixels_or_less(sides: tuple[int, int], filters: list[int]) -> None:
    chosen = choosing.model(*sides)
    assert chosen.values == {"name": "cnn", "settings": {"filters": filters, "dense": 64, "dropout": 0.3}}
    assert chosen.why == "blocks until the shorter side is 8 pixels or less"


def test_a_warp_brings_in_white_where_most_pictures_stand_on_white() -> None:
    clear, opaque = pictures((8, 8), (8, 8), modes={"RGBA": 2}), pictures((8, 8), (8, 8), modes={"RGBA": 1, "RGB": 1})
    assert choosing.surroundings(clear, "stretch") == 255
    assert choosing.surroundings(opaque, "stretch") == 0
    assert choosing.surroundings(opaque, "pad") == 255


def test_the_steps_of_a_draft_are_files_that_take_these_settings() -> None:
    drafted = choosing.augmentation(0.25, 255)
    assert drafted == {
        "copies": 1,
        "steps": [
            {
                "name": "warp",
                "settings": {"flip": 0.25, "shift": 0.08, "rotate_deg": 8.0, "scale": 0.08, "outside": 255},
            },
            {"name": "noise", "settings": {"levels": 4.0}},
            {"name": "erase", "settings": {"probability": 0.2}},
        ],
    }
    params = AugmentParams.model_validate(drafted)
    for number, step in enumerate(params.steps):
        assert isinstance(step, Choice)
        AUGMENTATION.settings(step, f"augment.steps.{number}")
