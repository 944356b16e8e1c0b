"""Changed copies of training rows: each copy passes through the recipe's steps, in their order.

A copy depends only on the seed, the row's id and the copy's number: its random numbers come from a counter-based
generator (see counter_random). Every step has a stream of its own, by its name and by how many steps of that name come
before it: a step that is added, moved or taken out leaves the others' numbers alone. Batches, partitions and the order
of rows make no difference. All features of a row that a step changes get the same numbers: two pictures of one thing
are turned together.

Where a step lays another training row over a row, that one has passed through the steps before it as its own copy of
the same number. Which row it is depends on the row's key and on how many training rows there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.augmentation.counter_random import Keys, copy_keys, stream_keys
from pipeline.recipe.recipe import AUGMENTATION
from pipeline.recipe.slots import Choice
from pipeline.records.feature import FeatureSpec
from pipeline.storage.mapped import Values
from pipeline.storage.shards import Columns

Labels = npt.NDArray[Any]  # int32, or float64 where the target is a number
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """One step of the recipe: the kinds of features that it changes, what it does, and its random numbers' name.

    `partners` is None for a step that needs no other row.
    """

    kinds: tuple[str, ...]
    change: Callable[..., Any]
    settings: Any
    stream: str
    partners: Callable[[Keys, Any, int], Numbers] | None = None


def steps_of(choices: Sequence[Choice]) -> list[Step]:
    """Return the steps that a recipe chooses, in their order."""
    used: Counter[str] = Counter()
    steps = []
    for number, choice in enumerate(choices):
        file = AUGMENTATION.member(choice.name)
        settings = AUGMENTATION.settings(choice, f"augment.steps.{number}")
        stream = f"{choice.name} {used[choice.name]}"
        steps.append(Step(file.KINDS, file.change, settings, stream, getattr(file, "partners", None)))
        used[choice.name] += 1
    return steps


def mixes_rows(steps: Sequence[Step]) -> bool:
    """Return whether a step lays other rows over rows, so that copies have two labels."""
    return any(step.partners for step in steps)


@dataclass(frozen=True)
class Originals:
    """Training rows, whose copies are changed: each feature's values, `labels [row]`, and `keys [row]` (row_keys).

    All of them, if a step lays rows over each other; otherwise any.
    """

    columns: Mapping[str, Values]
    labels: Labels
    keys: Keys

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)


@dataclass(frozen=True)
class Copies:
    """Changed copies: values `[copy, *shape]` by feature, `labels [copy]`, and what has been laid over each.

    A copy is `shares [copy] float32` of its own row and the rest of a row of label `other_labels [copy]`. Without
    another row the share is 1 and the other label its own.
    """

    columns: Columns
    labels: Labels
    other_labels: Labels
    shares: npt.NDArray[np.float32]


def change(
    originals: Originals, rows: Numbers, copies: Numbers, features: Sequence[FeatureSpec], steps: Sequence[Step]
) -> Copies:
    """Return a changed copy of each row of `rows [copy]`, that of the number in `copies [copy]`."""
    keys = copy_keys(originals.keys.take(rows), copies)
    values = {spec.name: originals.columns[spec.name].take(rows, axis=0) for spec in features}
    labels = originals.labels.take(rows)
    changed = Copies(values, labels, labels, np.ones(len(rows), np.float32))
    for position, step in enumerate(steps):
        stream = stream_keys(keys, step.stream)
        if step.partners is not None:
            partners = step.partners(stream, step.settings, len(originals))
            chosen = np.flatnonzero(partners >= 0)
            others = change(originals, partners[chosen], copies[chosen], features, steps[:position])
            changed = _laid_over(changed, chosen, others, features, step, stream)
            continue
        for spec in features:
            if spec.kind in step.kinds:
                changed.columns[spec.name] = step.change(changed.columns[spec.name], stream, step.settings)
    return changed


def _laid_over(
    below: Copies, chosen: Numbers, others: Copies, features: Sequence[FeatureSpec], step: Step, stream: Keys
) -> Copies:
    """Return copies with others laid over the chosen ones; the share is the mean of those of the features."""
    columns, shares = dict(below.columns), []
    for spec in features:
        if spec.kind in step.kinds:
            own = columns[spec.name]
            mixed, share = step.change(
                own.take(chosen, axis=0), stream[chosen], step.settings, others.columns[spec.name]
            )
            columns[spec.name] = own.copy()
            columns[spec.name][chosen] = mixed
            shares.append(share)
    of_own, other_labels = below.shares.copy(), below.other_labels.copy()
    of_own[chosen] = np.mean(shares, axis=0)
    other_labels[chosen] = others.labels
    return Copies(columns, below.labels, other_labels, of_own)
