"""A recipe for a table's columns: which one is the target, and what each other one is, by stated rules.

- The target is the column that is named, else the first that is called like one, else the last.
- It is a class if its values are texts, or at most 20 whole numbers; otherwise a number.
- A column whose values are all numbers is a number; of at most 10 whole numbers, or of codes like 007, a category.
- Texts of four words and more, nearly all different, are text; other texts are categories.
- A column that never changes, or that has another value in nearly every row, is left out; so are dates.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unicodedata import normalize

from pipeline.data.recognising import LABEL_COLUMNS
from pipeline.drafting import choosing
from pipeline.drafting.choosing import FEWEST, Chosen, training
from pipeline.drafting.columns import Column, looks_like_an_id
from pipeline.errors import DataError, UsageError, nearest
from pipeline.recipe.fitting import ROW_COLUMNS
from pipeline.runtime.progress import count

_TARGETS = (*LABEL_COLUMNS, "y", "outcome", "diagnosis", "survived", "churn", "default", "quality", "price")
_MOST_NUMBERED_CLASSES, _MOST_CLASSES, _MOST_LEVELS = 20, 1000, 10
_MOST_EXACT = 2.0**53  # whole numbers up to this one are each a number of their own
_WORDS_OF_A_TEXT = 4.0
_NEARLY_ALL = 0.5
_MOST_CATEGORIES = 1000
_MANY_MISSING = 0.01  # share of rows from which on it is worth a component of its own
_FEWEST_VALUES, _RARELY = 10, 0.01  # rows, and a share of them, in which a feature has a value
_TERMS = 5000
_UNITS = (64, 32)
_FACTS = ("scaled", "index", "tokens", "bytes")  # what the contracts' tables call what they say of a feature
_BINS = (10, 5, 2)
_OF_PICTURES, _OF_ROWS = "by the hash of its pictures' content", "by the hash of its rows' content"


@dataclass(frozen=True)
class TableChoice:
    """What the columns of a table are to be: features by name, and why the others are none.

    `classes` are empty if the target is a number. `missing` are the texts that stand for no value.
    """

    target: str
    classes: tuple[str, ...]
    features: Mapping[str, dict[str, Any]]
    reasons: Mapping[str, str]
    missing: tuple[str, ...]
    id: str | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    few: Mapping[str, int] = field(default_factory=dict)
    unsure: tuple[str, ...] = ()


def choose(columns: Sequence[Column], target: str | None) -> TableChoice:
    """Return what the columns are to be; raise UsageError for a target that is none of them, DataError without one."""
    goal, doubt = _target(columns, target)
    classes, few = _classes(goal)
    features: dict[str, dict[str, Any]] = {}
    reasons: dict[str, str] = {}
    left_out: dict[str, str] = {}
    missing = {"": None, **dict.fromkeys(goal.nothings)} if goal.decimal else {"": None}
    named = {text for text in goal.nothings if goal.decimal is None}  # classes called so
    row_id = None
    for column in columns:
        if column is goal:
            continue
        if row_id is None and looks_like_an_id(column):
            row_id = column.name
            continue
        made = _feature(column)
        if column.decimal is not None and named.intersection(column.nothings):
            shared = ", ".join(map(repr, sorted(named.intersection(column.nothings))))
            made = f"{shared} mean a missing value there, and are classes of the target"
        if isinstance(made, str):
            left_out[column.name] = made
            continue
        name = _name(column.name, features)
        kind, settings, why = made
        if column.decimal is not None:
            missing |= dict.fromkeys(column.nothings)
        if name != column.name:
            settings = {"column": column.name, **settings}
        features[name] = {"kind": kind, "settings": settings} if settings else {"kind": kind}
        reasons[name] = why
    if not features:
        raise DataError(
            f"no column beside the target '{goal.name}' can be a feature: "
            + "; ".join(f"{name}: {why}" for name, why in left_out.items())
        )
    kept = [column for column in columns if column is not goal and column.decimal is None]
    as_texts = sorted({text for column in kept for text in column.nothings if text in missing})
    commas = [column.name for column in (goal, *columns) if column.decimal == ","]
    unsure = [
        doubt,
        f"a comma is taken to stand before a fraction, and not between thousands: {', '.join(dict.fromkeys(commas))}"
        if commas
        else "",
        f"{', '.join(map(repr, as_texts))} mean a missing value in every column, in those of texts, too"
        if as_texts
        else "",
    ]
    return TableChoice(
        goal.name,
        classes,
        features,
        reasons,
        tuple(missing),
        row_id,
        left_out,
        few,
        tuple(each for each in unsure if each),
    )


def _target(columns: Sequence[Column], named: str | None) -> tuple[Column, str]:
    by_name = {column.name: column for column in columns}
    if named is not None:
        if named not in by_name:
            raise UsageError(f"--target: there is no column '{named:.80}'{nearest(named, by_name)}")
        return by_name[named], ""
    for name in _TARGETS:
        for column in columns:
            if column.name.strip().lower() == name:
                return column, f"the target is taken to be column '{column.name}', by its name: else --target COLUMN"
    last = columns[-1]
    return last, f"the target is taken to be the last column, '{last.name}': else --target COLUMN"


def _classes(target: Column) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the classes in their order, and the rows of values that are none because they have too few."""
    is_whole = target.whole == target.given
    if target.given > 0 and target.low == target.high and target.decimal is not None:
        raise DataError(f"column '{target.name}': is {target.low:g} in every row; name another target: --target COLUMN")
    if target.decimal is not None and not (is_whole and target.distinct <= _MOST_NUMBERED_CLASSES):
        return (), {}
    if target.values is None or target.given == 0:
        raise DataError(
            f"column '{target.name}': has {'no value' if not target.given else 'another text in nearly every row'}, so "
            "it can be no target; name another: --target COLUMN"
        )
    values = {text.strip(): 0 for text in target.values}
    is_number = target.decimal is not None
    for text, rows in target.values.items():
        values[text.strip()] += 0 if is_number and text in target.nothings else rows
    few = {name: rows for name, rows in values.items() if 0 < rows < FEWEST}
    names = [name for name, rows in values.items() if rows >= FEWEST]
    if len(names) < 2:
        raise DataError(
            f"column '{target.name}': a classification needs two values of {FEWEST} rows or more, and of "
            f"{count(len(values))} {len(names) or 'none'} has so many; name another target: --target COLUMN"
        )
    if len(names) > _MOST_CLASSES:
        raise DataError(
            f"column '{target.name}': has {count(len(names))} different texts, which are more than {_MOST_CLASSES} "
            "classes; name another target: --target COLUMN"
        )
    return tuple(sorted(names, key=float) if is_number and target.decimal == "." else sorted(names)), few


def _feature(column: Column) -> tuple[str, dict[str, Any], str] | str:
    """Return the kind and the settings of a column with the reason; or why it is no feature."""
    if not column.name:
        return "has no name"
    there = column.given if column.decimal is not None else column.rows - column.blank
    if not column.given:
        return "has no value"
    if there < max(min(_FEWEST_VALUES, column.rows / 2), _RARELY * column.rows):
        return f"has a value in {count(there)} rows alone"
    if column.levels <= 1 and not column.blank and (column.decimal is None or not column.nothings):
        return "has the same value in every row"
    decimal = column.decimal
    is_code = column.codes > 0
    if decimal is not None and not is_code:
        is_whole = column.whole == column.given
        if column.distinct == 1 or (is_whole and column.distinct <= _MOST_LEVELS):
            return _category(column, f"{column.distinct} {'whole numbers' if is_whole else 'number'}")
        if is_whole and max(column.high, -column.low) > _MOST_EXACT:
            return "holds whole numbers of so many digits that they are names, and no numbers"
        if is_whole and column.distinct == column.rows and column.values is not None and _counts_rows(column):
            return "counts the rows"
        return _number(column, decimal)
    if column.dates == column.given:
        return "holds dates: give it a role, data.roles.time, or make numbers of it"
    mean_words = column.words / column.given
    if mean_words >= _WORDS_OF_A_TEXT and (column.values is None or column.distinct > column.given / 3):
        return _text(column)
    if column.values is None or column.levels > max(_MOST_LEVELS, _NEARLY_ALL * column.given):
        return f"has another text in nearly every row ({count(column.levels)} of them)"
    return _category(column, f"{count(column.levels)} texts")


def _counts_rows(column: Column) -> bool:
    return column.high - column.low == column.rows - 1


def _number(column: Column, decimal: str) -> tuple[str, dict[str, Any], str]:
    lacking = column.rows - column.given
    settings: dict[str, Any] = {}
    why = f"{column.low:.6g} to {column.high:.6g}"
    if lacking:
        settings["missing"] = "median"
        why += f", {count(lacking)} missing"
        if lacking >= _MANY_MISSING * column.rows:
            settings["indicator"] = True
    if decimal == ",":
        settings["decimal"] = ","
    return "number", settings, why


def _category(column: Column, why: str) -> tuple[str, dict[str, Any], str]:
    lacking = column.rows - column.given if column.decimal is not None else column.blank
    settings: dict[str, Any] = {"missing": "unknown"} if lacking else {}
    if column.levels > _MOST_CATEGORIES:
        settings["most"] = _MOST_CATEGORIES
    return "category", settings, f"{why}, {count(lacking)} missing" if lacking else why


def _text(column: Column) -> tuple[str, dict[str, Any], str]:
    settings: dict[str, Any] = {"form": "tfidf", "ngrams": [1, 2], "most": _TERMS}
    if column.blank:
        settings["missing"] = "empty"
    words, characters = column.words / column.given, count(column.longest)
    return "text", settings, f"{words:.0f} words on average, {characters} characters at most"


def text_settings() -> dict[str, Any]:
    """Return the settings of a feature of kind text that is a file each."""
    return {"form": "tfidf", "ngrams": [1, 2], "most": _TERMS}


def _name(column: str, taken: Mapping[str, Any]) -> str:
    """Return a feature's name made of a column's, that no other has."""
    plain = re.sub(r"[\u0300-\u036f]", "", normalize("NFKD", column))  # ä becomes a
    words = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")
    name = (words if words[:1].isalpha() else f"column_{words}".rstrip("_"))[:50]
    if name in ROW_COLUMNS or keyword.iskeyword(name) or name == "self" or name.startswith("slice_"):
        name = f"{name}_value"
    brought = {each for other in taken for each in _brought(other)}
    number, free = 2, name
    while not brought.isdisjoint(_brought(free)):
        free, number = f"{name}_{number}", number + 1
    return free


def _brought(name: str) -> set[str]:
    """Return the columns that a feature may bring into a table, whatever its kind."""
    return {name, *(f"{name}_{fact}" for fact in _FACTS)}


def splits(parts: Sequence[str], rows: int, name: str, *, is_number: bool) -> list[Chosen]:
    """Return ways to divide the rows, the best first: as those of pictures, by classes, or by bins of a number.

    Bins are fewer where a part lacks rows of one; at last, only the hash of a row says where it goes.
    """
    ways = choosing.splits(parts, rows, name)
    if not is_number:
        return [way._replace(why=way.why.replace(_OF_PICTURES, _OF_ROWS)) for way in ways]
    by_classes = next(way for way in ways if way.values["method"] != "source")
    given = [way for way in ways if way.values["method"] == "source"]
    divided = [
        Chosen(
            {**by_classes.values, "quantiles": bins},
            f"each of {bins} bins of the target, of as many rows, is divided by the hash of its rows' content",
            by_classes.unsure,
        )
        for bins in _BINS
    ]
    by_hash = {"method": "hash", "train": 0.6, "validation": 0.2, "test": 0.2, "frozen": None}
    why = "there are too few rows to divide bins of the target, so each goes by the hash of its content alone"
    return [*given, *divided, Chosen(by_hash, why, "there are few rows: what a test part of them says is uncertain")]


def model() -> Chosen:
    """Return the network: categories are learned vectors, all else goes in as it is."""
    values = {"name": "mlp", "settings": {"units": list(_UNITS), "dropout": 0.2}}
    return Chosen(values, "a multilayer perceptron takes numbers, categories and weights of words together")


def table_training(rows: int, *, is_number: bool) -> Chosen:
    """Return `train` for so many training rows."""
    chosen = training(rows)
    values = {**chosen.values, "loss": {"name": "mae" if is_number else "cross_entropy"}}
    values["learning_rate"] = float(f"{values['learning_rate'] / 2:.1g}")
    return Chosen(values, chosen.why)


def number_gate(test: Sequence[float], middle: float, bounded: Mapping[str, Mapping[str, Any]]) -> tuple[Any, str, str]:
    """Return the gate of a number: what always answering the training part's median reaches must be beaten.

    Beside it two sentences: what its floor means, and what its total margin.
    """
    guessed = math.fsum(abs(value - middle) for value in test) / len(test)
    bound = float(f"{0.95 * guessed:.3g}")
    margin = float(f"{0.05 * guessed:.1g}") or 1e-6
    taken_out = {side: dict.fromkeys(bounded.get(side, {})) for side in ("minimum", "maximum")}
    rule = {"name": "better", "settings": {"error": 0.05, "total_margin": margin, "verdicts": 365}}
    values = {"minimum": taken_out["minimum"], "maximum": {**taken_out["maximum"], "mae": bound}, "rule": rule}
    return (
        values,
        f"{bound:g} is 0.95 of what always answering the median ({middle:g}) reaches, {guessed:.4g}. Set it to what "
        "the model must reach",
        f"a total margin of {margin:g}, about a twentieth of that, in the target's unit: set it to what is no loss",
    )
