"""What was found, written down: the recipe that is chosen of it, what is unsure, and the two contracts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.data.cleaning import CONFLICT
from pipeline.data.frozen_split import FrozenSplit
from pipeline.drafting import choosing, judging
from pipeline.drafting.config import Draft, suite_text
from pipeline.drafting.looking import Looking
from pipeline.drafting.measuring import Cleaned, Table
from pipeline.drafting.places import Places
from pipeline.drafting.recognising import Recognised
from pipeline.drafting.suites import prepared_suite, raw_suite
from pipeline.drafting.summary import in_brackets
from pipeline.recipe.recipe import SOURCE
from pipeline.recipe.slots import Feature
from pipeline.runtime.progress import count

if TYPE_CHECKING:
    from pipeline.recipe.recipe import Recipe


@dataclass(frozen=True)
class Request:
    """What is asked: the project, where its data are (`shown` as the recipe is to say it), and the drafts' places."""

    root: Path
    path: Path
    shown: str
    places: Places
    source: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the source, as they were given
    address: str | None = None  # that the folder is a mirror of
    target: str | None = None  # column of a table that is to be predicted


@dataclass(frozen=True)
class Found:
    """All that was found: by what reads it, what it delivers, and what the stages make of it."""

    recognised: Recognised
    looking: Looking
    classes: tuple[str, ...]  # in the order of the recipe
    left_out: Mapping[str, int]  # classes that are none because so few of their rows can be kept
    features: Mapping[str, Feature]
    picture: choosing.Chosen
    flip: choosing.Chosen
    augment: Mapping[str, Any]
    split: choosing.Chosen
    frozen: FrozenSplit | None
    cleaned: Cleaned
    parts: Mapping[str, Mapping[str, int]]  # rows by part and class
    raw: Table
    prepared: Table

    @property
    def feature(self) -> str:
        """The name of the one feature."""
        return next(iter(self.features))

    @property
    def test_rows(self) -> dict[str, int]:
        """The test rows of each class, in the recipe's order."""
        return {name: self.parts["test"][name] for name in self.classes}

    @property
    def training_rows(self) -> int:
        """How many rows the training part has."""
        return sum(self.parts["train"].values())


def draft(request: Request, found: Found, recipe: Recipe) -> tuple[Draft, list[str]]:
    """Return the config, and what a person should look at."""
    gate = judging.gate(found.test_rows, {"minimum": recipe.gate.minimum, "maximum": recipe.gate.maximum})
    settings = found.picture.values
    network = choosing.model(settings["height"], settings["width"])
    training = choosing.training(found.training_rows)
    choice = found.recognised.choice
    values = {
        "name": request.places.name,
        "task": "classification",
        "data": {
            "source": {"name": choice.name, "settings": choice.settings} if choice.settings else choice.name,
            "path": request.shown,
            "address": request.address,
            "contracts": str(request.places.contracts),
            "classes": list(found.classes),
            "features": {name: {"kind": each.kind, "settings": each.settings} for name, each in found.features.items()},
        },
        "ingest": {"as_of": None, "snapshots": bool(found.recognised.snapshot)},
        "split": found.split.values,
        "augment": dict(found.augment),
        "model": network.values,
        "train": training.values,
        "gate": gate.values,
    }
    unsure = [each for each in _doubts(found) if each]
    reasons = {
        "data.classes": "label n is the n-th; in quotes where YAML would read a number or a truth",
        "data.features": found.picture.why,
        "split": found.split.why,
        "augment": found.flip.why,
        "model": network.why,
        "train": training.why,
        "gate.minimum": gate.floor,
        "gate.rule": gate.margin,
    }
    delivered = found.looking.delivered
    description = f"{request.places.name}: {count(delivered.rows)} rows, {len(found.classes)} classes"
    return Draft(request.places.name, description, values, reasons, tuple(unsure)), unsure


def _doubts(found: Found) -> list[str]:
    delivered, recognised = found.looking.delivered, found.recognised
    others = ", ".join(f"--source {other}" for other in recognised.others)
    numbers = "" if found.looking.are_named else "the source has numbers and no names: name the classes in data.classes"
    flip = found.flip.unsure if found.looking.are_named else ""
    problems = ", ".join(f"{count(rows)} {problem}" for problem, rows in delivered.problems.most_common(4))
    shared, conflicts = found.prepared.exceptions, found.cleaned.reasons.get(CONFLICT, 0)
    dated = recognised.snapshot.name if recognised.snapshot else ""
    return [
        f"folders named by date are taken for snapshots, and only the newest, {dated}, is read; if they are part of "
        "the data, set ingest.snapshots: false and name their classes"
        if dated
        else "",
        f"other sources could read it, too: {others}" if others else "",
        numbers,
        flip or (found.flip.why if not found.flip.values and not found.looking.are_named else ""),
        found.picture.unsure,
        found.split.unsure,
        _nested(found),
        f"left out, as fewer than {choosing.FEWEST} rows can be kept: {in_brackets(found.left_out)}; merge them with "
        "others, or add rows"
        if found.left_out
        else "",
        f"{count(delivered.problems.total())} of {count(delivered.rows)} rows cannot be used: {problems}"
        if problems
        else "",
        f"{count(conflicts)} of {count(delivered.rows)} rows equal one of another class, and none of them is kept: "
        "look for pictures that lie in two classes"
        if conflicts
        else "",
        f"{count(shared)} prepared rows have their very pixels in another part too: look for copies" if shared else "",
    ]


def _nested(found: Found) -> str:
    """Return a doubt where folders of classes hold folders: which of them are the classes, only a person knows."""
    choice, delivered = found.recognised.choice, found.looking.delivered
    of_source = SOURCE.settings(choice, "data.source")
    most = len(found.classes) * len(delivered.parts)
    if getattr(of_source, "class_folder", None) != "outermost" or len(delivered.folders) <= most:
        return ""
    return (
        f"class folders hold folders ({count(len(delivered.folders))} in all), taken for parts of a class; if they "
        "are the classes: --setting class_folder=innermost, or name the folder that holds them"
    )


def contracts(name: str, found: Found) -> dict[str, str]:
    """Return the two contracts by file name."""
    delivered, kept = found.looking.delivered, found.cleaned.kept
    labelled = delivered.labels
    settings = found.features[found.feature].settings
    size_bytes = settings["height"] * settings["width"] * settings["channels"]
    raw = raw_suite(
        found.raw,
        delivered,
        found.looking.pictures,
        [labelled[each] / labelled.total() for each in found.classes],
        found.feature,
    )
    shares = [kept[each] / found.cleaned.rows for each in found.classes]
    prepared = prepared_suite(found.prepared, shares, size_bytes, found.feature, found.cleaned.rows, copies=1)
    return {
        "raw.yaml": suite_text(name, "raw", "data/raw without payloads, and with their sizes in bytes", raw),
        "prepared.yaml": suite_text(
            name, "prepared", "data/prepared and data/augmented together, without their pixels", prepared
        ),
    }
