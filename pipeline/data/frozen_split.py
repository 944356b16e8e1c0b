"""`splits/<name>.yaml`: the thresholds of each class, as `ratchet split freeze` has set them; growth moves none.

A file is in force where the recipe names it, `split.frozen`. Its seed is that of the hashes, so the recipe's own may
change and no row moves. Whatever else of the recipe divides rows must be what it was when the split was frozen.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.errors import RatchetError, UsageError, nearest
from pipeline.recipe.recipe import SplitParams
from pipeline.recipe.settings import Probability, Settings, validate
from pipeline.recipe.strict_yaml import dump_yaml, parse_yaml

FOLDER = "splits"
HASHES = 2**64  # how many there are: a threshold of this is above all of them
Thresholds = tuple[int, int]  # hashes below the first are of training rows, below the second of validation rows

_HEAD = """\
# Written by `ratchet split freeze`; commit it, and leave it as it is. By class: rows whose hash (64 bits of sha256 over
# this seed and the content's digest) is below the first number are training rows, below the second validation rows, all
# others test rows. With method source the source's own test files are the test part, and the others are divided so.
"""


class FrozenSplit(Settings):
    """A split's thresholds by class, and what of the recipe they were made from."""

    method: Literal["source", "stratified"]
    seed: int = Field(ge=0, lt=2**63)
    train: Probability
    validation: Probability
    test: Probability
    thresholds: dict[str, Annotated[Thresholds, Field(strict=False)]]

    @model_validator(mode="after")
    def _are_in_order(self) -> Self:
        for name, (first, second) in self.thresholds.items():
            if not 0 < first <= second <= HASHES:
                raise ValueError(f"class '{name}': two numbers are needed, each from 1 to 2^64, the lower first")
            if self.method == "source" and second != HASHES:
                raise ValueError(
                    f"class '{name}': with method source the second number is 2^64: no hash makes a test row"
                )
            without = "test" if self.test and second == HASHES else "validation" if first == second else None
            if without:
                raise ValueError(
                    f"class '{name}': no hash makes a {without} row of it; bring the file back as it was frozen"
                )
        return self

    @classmethod
    def of(cls, params: SplitParams, seed: int, thresholds: dict[str, Thresholds]) -> Self:
        """Return thresholds with what the recipe says of the split."""
        said = params.model_dump(include={"method", "train", "validation", "test"})
        return cls(**said, seed=seed, thresholds=thresholds)

    def require_made_from(self, params: SplitParams, classes: Sequence[str], name: str) -> None:
        """Raise UsageError unless the recipe divides by the same method into the same shares, and knows each class.

        A class of another name here would be divided anew under its new one, and its rows would move.
        """
        now = {"method": params.method, "train": params.train, "validation": params.validation, "test": params.test}
        for key, value in now.items():
            if getattr(self, key) != value:
                raise UsageError(
                    f"split.{key}: {file_of(name)} was frozen with {getattr(self, key)}, and the recipe says {value}; "
                    "put it back, or divide anew: freeze under another name (split.frozen)"
                )
        for each in self.thresholds:
            if each not in classes:
                raise UsageError(
                    f"{file_of(name)}: class '{each}' is not in data.classes{nearest(each, classes)}; "
                    "rename it in the file as well, or take it out of there"
                )

    def of_classes(self, classes: Sequence[str], name: str) -> list[Thresholds]:
        """Return the thresholds of classes, in their order; raise UsageError for a class that has none."""
        for each in classes:
            if each not in self.thresholds:
                raise UsageError(f"{file_of(name)}: no thresholds of class '{each}'; run `ratchet split freeze`")
        return [self.thresholds[each] for each in classes]

    def seed_in_force(self, seed: int, name: str) -> str:
        """Return a clause about the file's seed if the recipe has another; "" if it has the same."""
        same = self.seed == seed
        return "" if same else f"{file_of(name)} divides rows by its own seed, {self.seed}, not by the recipe's, {seed}"

    def in_order(self, classes: Sequence[str]) -> Self:
        """Return the same with its classes in this order."""
        return self.model_copy(update={"thresholds": {name: self.thresholds[name] for name in classes}})

    @property
    def text(self) -> str:
        """What stands in the file."""
        values = self.model_dump()
        thresholds = {name: list(pair) for name, pair in values.pop("thresholds").items()}
        return f"{_HEAD}{dump_yaml({**values, 'thresholds': thresholds}).decode()}"


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
