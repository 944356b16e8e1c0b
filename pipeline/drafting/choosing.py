"""A recipe for what a source delivers: each choice by a stated rule, with the reason in words.

Rules are simple on purpose. A person reads them in the config, and decides otherwise where they do not fit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline.drafting.looking import Pictures
from pipeline.runtime.progress import count

SMALLEST_SIDE, LARGEST_SIDE = 8, 64  # pixels of a prepared picture: what two cores train on in minutes
_SIDE_STEP = 8
_SAME_ASPECT = 1.05  # two aspects that differ less are one
LONGEST = 4  # sides of a picture to each other; a longer strip becomes a square with bars
_LITTLE_LOST, _MOSTLY = 0.25, 0.9  # a crop that takes at most a quarter of nine pictures in ten
_LAST_SIDE = 8  # pixels: a block of the network halves the sides until they are so small
_WIDEST = 64  # filters of the last block
_GREY = frozenset({"1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L"})
_WITH_ALPHA = ("LA", "PA", "RGBA")
_WHITE = 255  # what is behind transparent pixels and beside padded ones, as the kind image has it by default
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SIDED = frozenset({"left", "right", "east", "west", "leftward", "rightward", "clockwise", "counterclockwise"})
_WORDS = re.compile(r"[^\W_]+")
_ABOUT_GLYPHS = frozenset(
    {"digit", "number", "letter", "character", "char", "glyph", "upper", "lower", "class", "label"}
)

FEWEST = 4  # rows of a class: of 0.6, 0.2, 0.2 of them each part gets one
_STEPS_WANTED = 30  # steps an epoch, where there are so many rows
_BATCHES = (512, 256, 128, 64, 32, 16, 8, 4)
_LEARNING_RATE, _ITS_BATCH = 0.005, 512  # of the shipped recipe; at other batches it goes with the root
_ROWS_SEEN, _FEWEST_EPOCHS, _MOST_EPOCHS = 150_000, 8, 40
_DIVIDED_ANEW = "the source's own parts lack a class, or have equal rows in common, so the rows are divided anew"
_HELD_BACK = 1311  # test rows that the shipped gate needs: where a tenth of the rows gives them, a tenth is enough


class Chosen(NamedTuple):
    """A part of a recipe as plain values, why it is so, and what a person should look at ("" if nothing)."""

    values: Any
    why: str
    unsure: str = ""


def picture_settings(pictures: Pictures) -> Chosen:
    """Return the settings of a feature of kind image."""
    height, width, resize, why = _sides(pictures)
    is_raw = set(pictures.encodings) == {"raw"} and pictures.are_of_one_size
    settings = {
        "raw_height": int(pictures.heights.max()) if is_raw else None,
        "raw_width": int(pictures.widths.max()) if is_raw else None,
        "channels": 1 if _is_grey(pictures) else 3,
        "height": height,
        "width": width,
        "resize": resize,
    }
    colour, unsure = _colour(pictures)
    return Chosen(settings, f"{why}; {colour}", "; ".join(filter(None, (unsure, _transparency(pictures)))))


def _sides(pictures: Pictures) -> tuple[int, int, str, str]:
    """Return height and width of a prepared picture, how it is resized, and why."""
    heights, widths = pictures.heights, pictures.widths
    if not len(heights):
        return SMALLEST_SIDE, SMALLEST_SIDE, "stretch", "no picture says its size"
    if pictures.are_of_one_size:
        height, width = int(heights.max()), int(widths.max())
        if min(height, width) >= SMALLEST_SIDE and max(height, width) <= LARGEST_SIDE:
            return height, width, "stretch", f"all pictures are {height} × {width} pixels"
    aspects = widths / heights
    short = int(np.median(np.minimum(heights, widths)))
    side = max(SMALLEST_SIDE, min(LARGEST_SIDE, short // _SIDE_STEP * _SIDE_STEP))
    is_strip = not 1 / LONGEST <= float(np.median(aspects)) <= LONGEST
    if aspects.max() <= _SAME_ASPECT * aspects.min() and not is_strip:
        aspect = float(np.median(aspects))
        height, width = _rounded(side / min(aspect, 1)), _rounded(side * max(aspect, 1))
        return height, width, "stretch", f"all pictures have one aspect, and half of them a shorter side of {short}"
    lost = 1 - np.minimum(aspects, 1 / aspects)
    how, what = "pad", "pad keeps all of a picture, with bars beside it"
    if (lost <= _LITTLE_LOST).mean() >= _MOSTLY:
        how, what = "crop", "crop loses at most a quarter of nine pictures in ten"
    why = "they are strips" if is_strip else "aspects differ"
    return side, side, how, f"{why}, and {what}; half of the pictures have a shorter side of {short} or more"


def _rounded(side: float) -> int:
    return max(SMALLEST_SIDE, round(side / _SIDE_STEP) * _SIDE_STEP)


def _is_grey(pictures: Pictures) -> bool:
    return set(pictures.modes) <= _GREY if pictures.modes else set(pictures.channels) == {1}


def _colour(pictures: Pictures) -> tuple[str, str]:
    if _is_grey(pictures):
        return "all are grey", ""
    grey = sum(number for mode, number in pictures.modes.items() if mode in _GREY)
    grey = grey or (0 if pictures.modes else pictures.channels.get(1, 0))
    if not grey:
        return "they have colours", ""
    others = "the others have colours: channels is 3; set it to 1 if colour says nothing"
    return "some have colours", f"{count(grey)} pictures are grey, {others}"


def _transparency(pictures: Pictures) -> str:
    clear = sum(pictures.modes[mode] for mode in _WITH_ALPHA)
    return (
        f"{count(clear)} pictures may be transparent: settings.background says what is behind them, 255 (white)"
        if clear
        else ""
    )


def mirror(classes: Sequence[str]) -> Chosen:
    """Return the probability of a left-right flip: none where classes are digits or letters, or have a left and right.

    Half of the classes are enough: an alphabet with a class `other` is one.
    """
    alike = [name for name in classes if _is_glyph(name)]
    sided = [name for name in classes if _SIDED.intersection(_words(name))]
    if 2 * len(alike) >= len(classes):
        if all(name.isdecimal() for name in classes):
            return Chosen(
                0.0,
                "no flips: the classes are numbers, taken for digits, which are others in a mirror",
                "the classes are numbers, taken for digits: flips are off; name them in data.classes if they are not",
            )
        return Chosen(0.0, "no flips: the classes are digits or letters, which are others in a mirror")
    if sided:
        return Chosen(0.0, f"no flips: in a mirror '{sided[0]}' is another class")
    return Chosen(0.5, "a picture is as likely as its mirror image")


def _is_glyph(name: str) -> bool:
    match [word for word in _words(name) if word not in _ABOUT_GLYPHS]:
        case [word]:
            return len(word) == 1 or word.isdecimal() or word in _DIGITS
        case _:
            return False


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]


def surroundings(pictures: Pictures, resize: str) -> int:
    """Return the grey level of what a warp brings in from outside: white, where most pictures stand on white.

    They do where they are padded, and where what is behind transparent pixels shows: `background` is 255.
    """
    clear = sum(pictures.modes[mode] for mode in _WITH_ALPHA)
    return _WHITE if resize == "pad" or 2 * clear > len(pictures.heights) else 0


def augmentation(flip: float, outside: int) -> dict[str, Any]:
    """Return `augment`: the steps of the shipped recipe, with these flips and surroundings."""
    moved = {"flip": flip, "shift": 0.08, "rotate_deg": 8.0, "scale": 0.08, "outside": outside}
    steps = [
        {"name": "warp", "settings": moved},
        {"name": "noise", "settings": {"levels": 4.0}},
        {"name": "erase", "settings": {"probability": 0.2}},
    ]
    return {"copies": 1, "steps": steps}


def splits(parts: Iterable[str], rows: int, name: str) -> list[Chosen]:
    """Return ways to divide the rows, the best first: one with which a class misses a part is not the last word.

    The last one gives each class its exact shares, by a frozen split of this name: each class of `FEWEST` rows has a
    row in each part then.
    """
    found = set(parts)
    tenth, fifth = _stratified(0.8, 0.1), _stratified(0.6, 0.2)
    if rows < 10 * _HELD_BACK:
        tenth = _stratified(0.7, 0.2)
    ways = [
        Chosen(tenth, "the source has no test part: each class is divided by the hash of its pictures' content"),
        Chosen(fifth, "so that each class has rows in each part", "some class has few rows: shares are 0.6, 0.2, 0.2"),
        Chosen(
            {**fifth, "frozen": name},
            f"so that each class has rows in each part: splits/{name}.yaml gives each its exact shares",
            f"some class has very few rows: each is divided exactly, 0.6, 0.2, 0.2, by splits/{name}.yaml",
        ),
    ]
    if "test" in found:
        given = {"method": "source", "train": 0.9, "validation": 0.1, "test": 0.0, "frozen": None}
        of_validation = ", its validation part the validation part" if "validation" in found else ""
        ways = [
            Chosen(given, f"the source's own test part is the test part{of_validation}"),
            *(way._replace(unsure=_DIVIDED_ANEW) for way in ways),
        ]
    elif "validation" in found:
        unsure = "the source has a validation part and no test part: the rows are divided anew"
        ways = [way._replace(unsure=unsure) for way in ways]
    return ways


def _stratified(train: float, test: float) -> dict[str, Any]:
    validation = round(1 - train - test, 6)
    return {"method": "stratified", "train": train, "validation": validation, "test": test, "frozen": None}


def model(height: int, width: int) -> Chosen:
    """Return a network that fits the size of prepared pictures."""
    blocks = max(1, min(5, math.ceil(math.log2(max(2, min(height, width)) / _LAST_SIDE))))
    filters = [_WIDEST >> (blocks - 1 - block) for block in range(blocks)]
    settings = {"filters": filters, "dense": 64, "dropout": 0.3}
    return Chosen(
        {"name": "cnn", "settings": settings}, f"blocks until the shorter side is {_LAST_SIDE} pixels or less"
    )


def training(rows: int) -> Chosen:
    """Return `train` for so many training rows: a smaller batch where there are few rows, and more epochs."""
    fits = [batch for batch in _BATCHES if batch * _STEPS_WANTED <= rows]
    batch = fits[0] if fits else max([each for each in _BATCHES if each <= rows // 4] or [1])
    rate = float(f"{_LEARNING_RATE * math.sqrt(batch / _ITS_BATCH):.1g}")
    epochs = max(_FEWEST_EPOCHS, min(_MOST_EPOCHS, math.ceil(_ROWS_SEEN / max(1, rows))))
    values = {
        "epochs": epochs,
        "batch_size": batch,
        "virtual_workers": 4 if batch % 4 == 0 else 1,
        "learning_rate": rate,
        "warmup_epochs": 1.0,
        "schedule": {"name": "cosine"},
        "optimizer": {"name": "adam"},
        "loss": {"name": "cross_entropy"},
    }
    return Chosen(values, f"for {rows:_} training rows".replace("_", " "))
