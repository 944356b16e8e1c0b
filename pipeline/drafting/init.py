"""Joins the parts of `ratchet init`: looks at all of the data, and writes a config and two contracts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.contracts.suites import read_suite
from pipeline.data.opening import open_source
from pipeline.data.snapshots import snapshot
from pipeline.data.splitting import PARTS
from pipeline.drafting import choosing, summary
from pipeline.drafting.config import config_text
from pipeline.drafting.looking import Looking
from pipeline.drafting.measuring import Cleaned, Measuring, write_raw
from pipeline.drafting.places import publish, work_folder
from pipeline.drafting.recognising import Recognised, recognise
from pipeline.drafting.writing import Found, Request, contracts, draft
from pipeline.errors import Bug, DataError, UsageError
from pipeline.recipe.configs import Config, recipe_layers
from pipeline.recipe.fitting import columns_of
from pipeline.recipe.recipe import SOURCE, AugmentParams, SplitParams
from pipeline.recipe.resolving import checked
from pipeline.recipe.settings import validate
from pipeline.recipe.slots import Feature
from pipeline.recipe.strict_yaml import parse_yaml_text
from pipeline.runtime.spark import spark_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipeline.recipe.execution import SparkSettings
    from pipeline.recipe.recipe import Recipe
    from pipeline.runtime.progress import Progress

_IMAGE = "image"
_STDERR = 2


def init(request: Request, recipe: Recipe, spark: SparkSettings, progress: Progress) -> list[str]:
    """Look at all rows, write the drafts, and return what is to be said of it. `recipe` is the one in force.

    Raises UsageError, before any work, if a file is there already; DataError if the data cannot be divided or cleaned.
    """
    request.places.require_free(request.root)
    recognised = recognise(snapshot(request.path, None) if request.path.is_dir() else request.path, request.source)
    with work_folder(request.root) as work:
        found = _look(request, recognised, recipe.seed, work, spark, progress)
        drafted, unsure = draft(request, found, recipe)
        config = config_text(drafted)
        suites = contracts(request.places.name, found)
        _require_sound(request, config, suites, work)
    written = publish(request.root, request.places, config.encode(), {f: t.encode() for f, t in suites.items()})
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
) -> Found:
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
    with progress.entering("Spark", _quiet(spark_session(spark, "init"), work / "spark.log")) as session:
        measuring = Measuring(session, work, features, looking.classes)
        progress.step("decoding every picture")
        split, cleaned, parts = _divided(measuring, looking, seed, advance)
        progress.step("preparing the rows")
        measuring.prepare(advance)
        progress.step("changing copies of the training rows")
        measuring.augment(augment, seed, advance)
        progress.step("measuring")
        raw, prepared = measuring.raw_table(), measuring.prepared_table()
    return Found(recognised, looking, classes, features, picture, flip, split, cleaned, parts, raw, prepared)


@contextmanager
def _quiet(session: AbstractContextManager[SparkSession], log: Path) -> Iterator[SparkSession]:
    """Enter Spark's session; what its JVM prints goes to a file, and not among the lines for a person."""
    with ExitStack() as entered:
        own = os.dup(_STDERR)
        try:
            with log.open("ab") as stream:
                os.dup2(stream.fileno(), _STDERR)  # the JVM inherits it
            started = entered.enter_context(session)
        finally:
            os.dup2(own, _STDERR)
            os.close(own)
        yield started


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
    for name, rows in cleaned.kept.items() if cleaned else ():
        if rows < len(PARTS):
            raise DataError(
                f"class '{name:.80}' has {rows} row{'s' * (rows != 1)} that can be used, and each of the {len(PARTS)} "
                "parts needs one; add rows of it, or put those elsewhere"
            ) from failed
    raise failed or Bug("init: there was no way to divide the rows; please report it")


def _require_sound(request: Request, config: str, suites: Mapping[str, str], work: Path) -> None:
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
    for file, text in suites.items():
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
