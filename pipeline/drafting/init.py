"""Joins the parts of `ratchet init`: looks at all of the data, and writes a config and two contracts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.contracts.suites import read_suite
from pipeline.data.opening import open_source
from pipeline.data.wanted import Wanted
from pipeline.drafting import choosing, summary, table_init
from pipeline.drafting.config import config_text
from pipeline.drafting.looking import Looking
from pipeline.drafting.measuring import Cleaned, Measuring, write_raw
from pipeline.drafting.places import publish, work_folder
from pipeline.drafting.recognising import Recognised, recognise
from pipeline.drafting.summary import in_brackets
from pipeline.drafting.writing import Found, Request, contracts, draft
from pipeline.errors import Bug, DataError, UsageError
from pipeline.recipe.configs import Config, recipe_layers
from pipeline.recipe.fitting import columns_of
from pipeline.recipe.recipe import SOURCE, AugmentParams, IngestParams
from pipeline.recipe.resolving import checked
from pipeline.recipe.settings import validate
from pipeline.recipe.slots import Choice, Feature
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
    recognised = recognise(request.path, request.source, request.settings)
    if table_init.is_of_tables(recognised.choice):
        return _init_table(request, recognised, recipe, spark, progress)
    if request.target is not None:
        raise UsageError(f"--target: source {recognised.choice.name} delivers no columns; leave it out")
    with work_folder(request.root) as work:
        found = _look(request, recognised, recipe.seed, work, spark, progress)
        drafted, unsure = draft(request, found, recipe)
        config = config_text(drafted)
        suites = contracts(request.places.name, found)
        _require_sound(request, config, suites, work)
    frozen = found.frozen.text.encode() if found.frozen else None
    texts = {file: text.encode() for file, text in suites.items()}
    written = publish(request.root, request.places, config.encode(), texts, frozen)
    found_lines = summary.found_lines(
        request.shown,
        recognised.choice.name,
        found.looking.delivered,
        found.looking.pictures,
        _in_order(found.cleaned, found.classes),
        sum(found.test_rows.values()),
    )
    return summary.all_lines(found_lines, unsure, written, f"ratchet run --config {request.places.config}")


def _init_table(
    request: Request, recognised: Recognised, recipe: Recipe, spark: SparkSettings, progress: Progress
) -> list[str]:
    with work_folder(request.root) as work:
        found = table_init.read(request, recognised, progress)
        with progress.entering("Spark", _quiet(spark_session(spark, "init"), work / "spark.log")) as session:
            measured = table_init.measure(request, found, recipe, session, work, progress)
        drafted, unsure = table_init.draft(request, found, measured, recipe)
        config, suites = config_text(drafted), table_init.contracts(request.places.name, found, measured)
        _require_sound(request, config, suites, work)
    texts = {file: text.encode() for file, text in suites.items()}
    written = publish(request.root, request.places, config.encode(), texts, measured.frozen)
    lines = table_init.found_lines(request, found, measured)
    return summary.all_lines(lines, unsure, written, f"ratchet run --config {request.places.config}")


def _look(
    request: Request, recognised: Recognised, seed: int, work: Path, spark: SparkSettings, progress: Progress
) -> Found:
    name = _image_of(recognised.choice.name)
    advance = partial(progress.advance, unit="rows")
    looking = _read(request, recognised, name, work, progress)
    left_out = _too_few(looking.delivered.labels, looking)
    if left_out or (looking.are_named and looking.delivered.problems):
        looking = _read_again(request, recognised, name, work, progress, looking, left_out)
    picture = choosing.picture_settings(looking.pictures)
    features = {name: Feature(kind=_IMAGE, settings=picture.values)}
    with progress.entering("Spark", _quiet(spark_session(spark, "init"), work / "spark.log")) as session:
        while True:
            measuring = Measuring(session, work, features, looking.classes)
            progress.step("decoding every picture")
            cleaned = measuring.clean(is_test_given="test" in looking.delivered.parts, on_progress=advance)
            few = _too_few(cleaned.kept, looking)
            if not few:
                break
            left_out |= few
            looking = _read_again(request, recognised, name, work, progress, looking, left_out)
        progress.step("dividing the rows")
        split, cleaned, parts = _divided(request, measuring, cleaned, looking, seed, advance)
        classes = _ordered(looking)
        flip = choosing.mirror(classes)
        outside = choosing.surroundings(looking.pictures, picture.values["resize"])
        augment = choosing.augmentation(flip.values, outside)
        progress.step("preparing the rows")
        measuring.prepare(advance)
        progress.step("changing copies of the training rows")
        measuring.augment(AugmentParams.model_validate(augment), seed, advance)
        progress.step("measuring")
        raw, prepared = measuring.raw_table(), measuring.prepared_table()
    frozen = measuring.frozen and measuring.frozen.in_order(classes)
    return Found(
        recognised,
        looking,
        classes,
        left_out,
        features,
        picture,
        flip,
        augment,
        split,
        frozen,
        cleaned,
        parts,
        raw,
        prepared,
    )


def _read(
    request: Request, recognised: Recognised, name: str, work: Path, progress: Progress, classes: tuple[str, ...] = ()
) -> Looking:
    """Write the source's rows as ingest does, in the place of earlier ones, and return what was seen of them."""
    looking = Looking(name, classes)
    ingest = IngestParams(snapshots=bool(recognised.snapshot))
    source = open_source(recognised.choice, request.path, Wanted(classes), ingest)
    progress.step("reading the source again, its classes known" if classes else "reading the source")
    provisional = {name: Feature(kind=_IMAGE, settings=_settings_of_any())}
    shutil.rmtree(work / "raw", ignore_errors=True)
    write_raw(
        looking.watched(source.tables),
        provisional,
        work / "raw",
        lambda rows: progress.advance(rows, source.rows or rows, unit="rows"),
    )
    _require_classes(request, recognised.choice, looking)
    return looking


def _read_again(
    request: Request,
    recognised: Recognised,
    name: str,
    work: Path,
    progress: Progress,
    looking: Looking,
    left_out: Mapping[str, int],
) -> Looking:
    """Read the source as a run will: with its classes, but for those that are left out.

    So each row has its label, one that cannot be used too, and rows of other classes are unknown.
    """
    classes = tuple(each for each in _ordered(looking) if each not in left_out)
    if len(classes) < 2:
        raise DataError(
            f"{request.shown}: a classification needs two classes of {choosing.FEWEST} rows that can be kept; there "
            f"are fewer of {in_brackets(left_out)}"
        )
    return _read(request, recognised, name, work, progress, classes)


def _too_few(rows: Mapping[str, int], looking: Looking) -> dict[str, int]:
    """Return the rows of each class that has too few to be divided; raise DataError if classes are numbers.

    Of numbers none can be left out: label n is the n-th class.
    """
    few = {name: rows[name] for name in looking.classes if rows[name] < choosing.FEWEST}
    if few and not looking.are_named:
        name = next(iter(few))
        raise DataError(
            f"class {name} has {few[name]} rows that can be kept, of {looking.delivered.labels[name]}; three parts "
            f"need {choosing.FEWEST} of each class: add some, or take its rows out of the source"
        )
    return few


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
    request: Request, measuring: Measuring, cleaned: Cleaned, looking: Looking, seed: int, advance: Any
) -> tuple[choosing.Chosen, Cleaned, dict[str, dict[str, int]]]:
    """Divide the rows in the first way in which each part has each class; raise DataError if none is one."""
    ways = choosing.splits(looking.delivered.parts, looking.delivered.rows, request.places.name)
    try:
        return measuring.divided(ways, cleaned, seed, advance, is_cleaned_as_given="test" in looking.delivered.parts)
    except DataError as error:
        raise DataError(
            f"{request.shown}: no way to divide its rows gives each class some in each part ({error}); add pictures of "
            "that class, or divide them yourself: train/, validation/ and test/ above the classes"
        ) from error


def _require_sound(request: Request, config: str, suites: Mapping[str, str], work: Path) -> None:
    """Hold the drafts to what a run would hold them to; raise UsageError where params.yaml does not let them be."""
    where = str(request.places.config)
    overlay = validate(Config, parse_yaml_text(config, where), where).recipe
    layers = recipe_layers(request.root).overlaid(overlay, where)
    recipe = checked(layers.values, layers.where)
    drafted = [name for name, feature in overlay["data"]["features"].items() if feature is not None]
    if list(recipe.data.features) != drafted:
        others = set(recipe.data.features) - set(drafted)
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


def _require_classes(request: Request, choice: Choice, looking: Looking) -> None:
    classes = looking.classes
    if len(classes) < 2:
        found = f"one class, '{classes[0]:.80}'" if classes else "no row with a label"
        settings = ", ".join(f"{key}={value}" for key, value in choice.settings.items())
        as_read = f", read as {choice.name} with {settings:.200}" if settings else ""
        raise DataError(
            f"{request.shown}: holds {found}{as_read}; a classification needs two: a folder for each, or labels"
        )


def _in_order(cleaned: Cleaned, classes: tuple[str, ...]) -> Cleaned:
    return replace(cleaned, kept={name: cleaned.kept[name] for name in classes})
