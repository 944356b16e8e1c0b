"""`splits/<name>.yaml`: the thresholds of each class, as `ratchet split freeze` has set them; growth moves none.

Of a number it has the edges of the bins, and the thresholds of each; of a split by time its two instants.

A file is in force where the recipe names it, `split.frozen`. Its seed is that of the hashes, so the recipe's own may
change and no row moves. Whatever else of the recipe divides rows must be what it was when the split was frozen.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.data.instants import Instants, parsed, text_of
from pipeline.data.strata import Edges, Strata
from pipeline.errors import RatchetError, UsageError, nearest
from pipeline.recipe.recipe import SplitParams
from pipeline.recipe.settings import Finite, Probability, Settings, validate
from pipeline.recipe.strict_yaml import dump_yaml, parse_yaml

FOLDER = "splits"
HASHES = 2**64  # how many there are: a threshold of this is above all of them
Thresholds = tuple[int, int]  # hashes below the first are of training rows, below the second of validation rows

_HEAD = """\
# Written by `ratchet split freeze`; commit it, and leave it as it is. By class: rows whose hash (64 bits of sha256 over
# this seed and the content's digest) is below the first number are training rows, below the second validation rows, all
# others test rows. With method source the source's own test files are the test part, and the others are divided so.
"""
_HEAD_OF_NUMBERS = """\
# Written by `ratchet split freeze`; commit it, and leave it as it is. By bin of the number, between edges: rows whose
# hash (64 bits of sha256 over this seed and the content's digest) is below the first number are training rows, below
# the second validation rows, all others test rows.
"""
_HEAD_OF_TIMES = """\
# Written by `ratchet split freeze`; commit it, and leave it as it is. Rows before the first instant are training rows,
# before the second validation rows, all others test rows.
"""
_Instant = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$")]


class FrozenSplit(Settings):
    """A split's thresholds by class, or by bin of a number, or its instants; and what of the recipe they are made from.

    `quantiles` and `edges` are those of a number alone, `instants` those of method time, which has no thresholds.
    """

    method: Literal["source", "stratified", "time"]
    seed: int = Field(ge=0, lt=2**63)
    train: Probability
    validation: Probability
    test: Probability
    quantiles: int | None = None
    edges: Annotated[tuple[Finite, ...], Field(strict=False)] | None = None
    instants: Annotated[tuple[_Instant, _Instant], Field(strict=False)] | None = None
    thresholds: dict[str, Annotated[Thresholds, Field(strict=False)]]

    @model_validator(mode="after")
    def _has_what_its_method_needs(self) -> Self:
        if (self.instants is not None) != (self.method == "time"):
            raise ValueError("instants are those of method time, which needs them")
        if self.instants is not None:
            first, second = map(parsed, self.instants)
            if first >= second:
                raise ValueError("instants: the first must be before the second")
            if self.thresholds or self.edges is not None:
                raise ValueError("thresholds and edges are none of method time")
        if (self.edges is None) != (self.quantiles is None) or (self.edges is not None and self.method == "source"):
            raise ValueError("edges and quantiles are those of a number, with method stratified, and go together")
        if self.edges is not None:
            if list(self.edges) != sorted(set(self.edges)):
                raise ValueError("edges: must be in order, each once")
            names = Strata.of_edges(self.edges).names
            if names != tuple(self.thresholds):
                raise ValueError(f"thresholds: those of the bins between edges are needed: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _are_in_order(self) -> Self:
        of = "class" if self.edges is None else "bin"
        for name, (first, second) in self.thresholds.items():
            if not 0 < first <= second <= HASHES:
                raise ValueError(f"{of} '{name}': two numbers are needed, each from 1 to 2^64, the lower first")
            if self.method == "source" and second != HASHES:
                raise ValueError(
                    f"{of} '{name}': with method source the second number is 2^64: no hash makes a test row"
                )
            without = "test" if self.test and second == HASHES else "validation" if first == second else None
            if without:
                raise ValueError(
                    f"{of} '{name}': no hash makes a {without} row of it; bring the file back as it was frozen"
                )
        return self

    @classmethod
    def of(
        cls,
        params: SplitParams,
        seed: int,
        thresholds: dict[str, Thresholds] | None = None,
        *,
        edges: Edges | None = None,
        instants: Instants | None = None,
    ) -> Self:
        """Return thresholds (those of bins with their edges), or instants, with what the recipe says of the split."""
        said = params.model_dump(include={"method", "train", "validation", "test"})
        return cls(
            **said,
            seed=seed,
            quantiles=None if edges is None else params.quantiles,
            edges=edges,
            instants=None if instants is None else (text_of(instants.validation_from), text_of(instants.test_from)),
            thresholds=thresholds or {},
        )

    def require_made_from(self, params: SplitParams, classes: Sequence[str], name: str) -> None:
        """Raise UsageError unless the recipe divides by the same method into the same shares, and knows each class.

        A class of another name here would be divided anew under its new one, and its rows would move.
        """
        for key in ("method", "train", "validation", "test", *(("quantiles",) if self.edges is not None else ())):
            if getattr(self, key) != (value := getattr(params, key)):
                raise UsageError(
                    f"split.{key}: {file_of(name)} was frozen with {getattr(self, key)}, and the recipe says {value}; "
                    "put it back, or divide anew: freeze under another name (split.frozen)"
                )
        if self.method == "time":
            return
        if self.thresholds and (self.edges is None) != bool(classes):
            was, now = ("classes", "a number") if self.edges is None else ("a number", "classes")
            raise UsageError(
                f"data.classes: {file_of(name)} was frozen for {was}, and the target is {now}; put it back, or divide "
                "anew: freeze under another name (split.frozen)"
            )
        for each in self.thresholds if classes else ():
            if each not in classes:
                raise UsageError(
                    f"{file_of(name)}: class '{each}' is not in data.classes{nearest(each, classes)}; "
                    "rename it in the file as well, or take it out of there"
                )

    def of_classes(self, classes: Sequence[str], name: str) -> list[Thresholds]:
        """Return the thresholds of classes, in their order, or of the bins of a number; none of a split by time.

        Raises UsageError for a class that has none.
        """
        if self.edges is not None or self.method == "time":
            return list(self.thresholds.values())
        for each in classes:
            if each not in self.thresholds:
                raise UsageError(f"{file_of(name)}: no thresholds of class '{each}'; run `ratchet split freeze`")
        return [self.thresholds[each] for each in classes]

    @property
    def instants_in_force(self) -> Instants | None:
        """The instants of a split by time; None of others."""
        return Instants(*map(parsed, self.instants)) if self.instants else None

    @property
    def holds(self) -> str:
        """What it has thresholds of, in a word."""
        return "instants" if self.instants else "classes" if self.edges is None else "bins"

    def seed_in_force(self, seed: int, name: str) -> str:
        """Return a clause about the file's seed if the recipe has another; "" if it has the same."""
        same = self.seed == seed
        return "" if same else f"{file_of(name)} divides rows by its own seed, {self.seed}, not by the recipe's, {seed}"

    def in_order(self, classes: Sequence[str]) -> Self:
        """Return the same with its classes in this order; as it is if it has none."""
        if not classes:
            return self
        return self.model_copy(update={"thresholds": {name: self.thresholds[name] for name in classes}})

    @property
    def text(self) -> str:
        """What stands in the file."""
        values = self.model_dump(mode="json", exclude_none=True)
        head = {"instants": _HEAD_OF_TIMES, "bins": _HEAD_OF_NUMBERS, "classes": _HEAD}[self.holds]
        return f"{head}{dump_yaml(values).decode()}"


def file_of(name: str) -> str:
    """Return the path of a frozen split in the project."""
    return f"{FOLDER}/{name}.yaml"


def not_there(name: str) -> UsageError:
    """Return the error that the file which a recipe names does not exist."""
    return UsageError(
        f"split.frozen: {file_of(name)} does not exist; bring it back from git, "
        "or divide the rows anew, which moves some: `ratchet split freeze --new`"
    )


def find_frozen(folder: Path, name: str) -> FrozenSplit | None:
    """Read a frozen split from the folder of all; None if there is none of this name."""
    path = folder / f"{name}.yaml"
    if not os.path.lexists(path):
        return None
    try:
        values = parse_yaml(path)
    except RatchetError as error:
        raise type(error)(str(error).replace(str(path), file_of(name))) from error
    return validate(FrozenSplit, values, file_of(name))


def read_frozen(folder: Path, params: SplitParams, classes: Sequence[str]) -> FrozenSplit | None:
    """Read the frozen split that a recipe names; None if it names none.

    Raises UsageError if it is not there, was made from other shares or by another method, or has a class that the
    recipe has not.
    """
    if params.frozen is None:
        return None
    frozen = find_frozen(folder, params.frozen)
    if frozen is None:
        raise not_there(params.frozen)
    frozen.require_made_from(params, classes, params.frozen)
    return frozen
