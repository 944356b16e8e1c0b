"""Joins the parts of `ratchet init`: looks at all of the data, and writes a config and two contracts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.contracts.suites import read_suite
from pipeline.data.opening import open_source
from pipeline.data.snapshots import snapshot
from pipeline.drafting import choosing, judging, summary
from pipeline.drafting.config import Draft, config_text, suite_text
from pipeline.drafting.looking import Looking
from pipeline.drafting.measuring import Cleaned, Measuring, Table, write_raw
from pipeline.drafting.places import Places, publish, work_folder
from pipeline.drafting.recognising import Recognised, recognise
from pipeline.drafting.suites import prepared_suite, raw_suite
from pipeline.errors import Bug, DataError, UsageError
from pipeline.recipe.configs import Config, recipe_layers
from pipeline.recipe.fitting import columns_of
from pipeline.recipe.recipe import SOURCE, AugmentParams, SplitParams
from pipeline.recipe.resolving import checked
from pipeline.recipe.settings import validate
from pipeline.recipe.slots import Feature
from pipeline.recipe.strict_yaml import parse_yaml_text
from pipeline.runtime.progress import count
from pipeline.runtime.spark import spark_session

if TYPE_CHECKING:
    from pipeline.recipe.execution import SparkSettings
    from pipeline.recipe.recipe import Recipe
    from pipeline.runtime.progress import Progress

_IMAGE = "image"
_DUPLICATE = "exact duplicate"


@dataclass(frozen=True)
class Request:
    """What is asked: the project, where its data are (`shown` as the recipe is to say it), and the drafts' places."""

    root: Path
    path: Path
    shown: str
    places: Places
    source: str | None = None


@dataclass(frozen=True)
class _Found:
    """All that was found: by what reads it, what it delivers, and what the stages make of it."""

    recognised: Recognised
    looking: Looking
    classes: tuple[str, ...]  # in the order of the recipe
    features: Mapping[str, Feature]
    picture: choosing.Chosen
    flip: choosing.Chosen
    split: choosing.Chosen
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


def init(request: Request, recipe: Recipe, spark: SparkSettings, progress: Progress) -> list[str]:
    """Look at all rows, write the drafts, and return what is to be said of it. `recipe` is the one in force.

    Raises UsageError, before any work, if a file is there already; DataError if the data cannot be divided or cleaned.
    """
    request.places.require_free(request.root)
    recognised = recognise(snapshot(request.path, None) if request.path.is_dir() else request.path, request.source)
    with work_folder(request.root) as work:
        found = _look(request, recognised, recipe.seed, work, spark, progress)
        draft, unsure = _draft(request, found, recipe)
        config = config_text(draft)
        contracts = _contracts(request.places.name, found)
        _require_sound(request, config, contracts, work)
    written = publish(request.root, request.places, config.encode(), {f: t.encode() for f, t in contracts.items()})
    found_lines = summary.found_lines(
        request.shown,
        recognised.choice.name,
        found.looking.delivered,
        found.looking.pictures,
        _in_order(found.cleaned, found.classes),
        sum(found.test_rows.values()),
    )
    return summary.all_lines(found_lines, unsure, written, f"ratchet run --config {request.places.config}")


def _look(
    request: Request, recognised: Recognised, seed: int, work: Path, spark: SparkSettings, progress: Progress
) -> _Found:
    name = _image_of(recognised.choice.name)
    looking = Looking(name)
    source = open_source(recognised.choice, request.path, ())
    advance = partial(progress.advance, unit="rows")
    progress.step("reading the source")
    provisional = {name: Feature(kind=_IMAGE, settings=_settings_of_any())}
    write_raw(
        looking.watched(source.tables), provisional, work / "raw", lambda rows: advance(rows, source.rows or rows)
    )
    _require_classes(request, looking)
    picture = choosing.picture_settings(looking.pictures)
    features = {name: Feature(kind=_IMAGE, settings=picture.values)}
    classes = _ordered(looking)
    flip = choosing.mirror(classes)
    augment = AugmentParams.model_validate(choosing.augmentation(flip.values))
    with progress.entering("Spark", spark_session(spark, "init")) as session:
        measuring = Measuring(session, work, features, looking.classes)
        progress.step("decoding every picture")
        split, cleaned, parts = _divided(measuring, looking, seed, advance)
        progress.step("preparing the rows")
        measuring.prepare(advance)
        progress.step("changing copies of the training rows")
        measuring.augment(augment, seed, advance)
        progress.step("measuring")
        raw, prepared = measuring.raw_table(), measuring.prepared_table()
    return _Found(recognised, looking, classes, features, picture, flip, split, cleaned, parts, raw, prepared)


def _divided(
    measuring: Measuring, looking: Looking, seed: int, advance: Any
) -> tuple[choosing.Chosen, Cleaned, dict[str, dict[str, int]]]:
    """Clean and divide the rows in the first way in which each part has each class; raise DataError if none is one."""
    cleaned, is_cleaned_as_given = None, False
    failed: DataError | None = None
    for way in choosing.splits(looking.delivered.parts, looking.delivered.rows):
        params = SplitParams.model_validate(way.values)
        is_given = params.method == "source"
        if cleaned is None or is_given != is_cleaned_as_given:
            cleaned, is_cleaned_as_given = measuring.clean(is_test_given=is_given, on_progress=advance), is_given
        try:
            return way, cleaned, measuring.split(params, seed, advance)
        except DataError as error:
            failed = error
    raise failed or Bug("init: there was no way to divide the rows; please report it")


def _draft(request: Request, found: _Found, recipe: Recipe) -> tuple[Draft, list[str]]:
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
            "contracts": str(request.places.contracts),
            "classes": list(found.classes),
            "features": {name: {"kind": each.kind, "settings": each.settings} for name, each in found.features.items()},
        },
        "ingest": {"as_of": None},
        "split": found.split.values,
        "augment": choosing.augmentation(found.flip.values),
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


def _doubts(found: _Found) -> list[str]:
    delivered, recognised = found.looking.delivered, found.recognised
    others = ", ".join(f"--source {other}" for other in recognised.others)
    numbers = "" if found.looking.are_named else "the source has numbers and no names: name the classes in data.classes"
    flip = found.flip.unsure if found.looking.are_named else ""
    problems = ", ".join(f"{count(rows)} {problem}" for problem, rows in delivered.problems.most_common(4))
    shared = found.prepared.exceptions
    return [
        f"other sources could read it, too: {others}" if others else "",
        numbers,
        flip or (found.flip.why if not found.flip.values and not found.looking.are_named else ""),
        found.picture.unsure,
        found.split.unsure,
        f"{count(delivered.problems.total())} rows cannot be used: {problems}" if problems else "",
        f"{count(shared)} prepared rows have their very pixels in another part too: look for copies" if shared else "",
    ]


def _contracts(name: str, found: _Found) -> dict[str, str]:
    delivered, kept = found.looking.delivered, found.cleaned.kept
    labelled = delivered.labels
    settings = found.features[found.feature].settings
    size_bytes = settings["height"] * settings["width"] * settings["channels"]
    raw = raw_suite(
        found.raw,
        delivered,
        found.looking.pictures,
        [labelled[each] / labelled.total() for each in found.classes],
        found.cleaned.reasons.get(_DUPLICATE, 0),
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


def _require_sound(request: Request, config: str, contracts: Mapping[str, str], work: Path) -> None:
    """Hold the drafts to what a run would hold them to; raise UsageError where params.yaml does not let them be."""
    where = str(request.places.config)
    overlay = validate(Config, parse_yaml_text(config, where), where).recipe
    layers = recipe_layers(request.root).overlaid(overlay, where)
    recipe = checked(layers.values, layers.where)
    if list(recipe.data.features) != list(overlay["data"]["features"]):
        others = set(recipe.data.features) - set(overlay["data"]["features"])
        raise UsageError(
            f"params.yaml: a config cannot take its feature {', '.join(sorted(others))} away; rename it there"
        )
    for file, text in contracts.items():
        (work / file).write_text(text)
        try:
            read_suite(work / file, columns_of(recipe, Path(file).stem))
        except UsageError as error:
            raise Bug(f"init drafts a contract that a run refuses: {error}") from error


def _image_of(source: str) -> str:
    delivers = getattr(SOURCE.member(source), "FEATURES", {})
    if list(delivers.values()) != [_IMAGE]:
        found = ", ".join(f"{name} ({kind})" for name, kind in delivers.items()) or "nothing that it declares"
        raise UsageError(
            f"source {source}: delivers {found}; a draft can be made of one image so far, write it by hand"
        )
    return str(next(iter(delivers)))


def _settings_of_any() -> dict[str, Any]:
    """Return settings of a picture with which raw rows can be written: those of the largest that a draft chooses.

    What raw rows hold does not depend on them; how many make a shard does.
    """
    return {"channels": 3, "height": choosing.LARGEST_SIDE, "width": choosing.LONGEST * choosing.LARGEST_SIDE}


def _ordered(looking: Looking) -> tuple[str, ...]:
    """Return the classes in the recipe's order: numbers as they are, names sorted, those that are numbers by size."""
    if not looking.are_named:
        return looking.classes
    names = looking.classes
    return tuple(sorted(names, key=int) if all(map(str.isdecimal, names)) else sorted(names))


def _require_classes(request: Request, looking: Looking) -> None:
    classes = looking.classes
    if len(classes) < 2:
        found = f"one class, '{classes[0]:.80}'" if classes else "no row with a label"
        raise DataError(f"{request.shown}: holds {found}; a classification needs two: a folder for each, or labels")


def _in_order(cleaned: Cleaned, classes: tuple[str, ...]) -> Cleaned:
    return replace(cleaned, kept={name: cleaned.kept[name] for name in classes})
