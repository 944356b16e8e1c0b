"""`ratchet score`, from the recipe to the published output."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

import pipeline
from pipeline.data.source_rows import ROWS_PER_SHARD, Source, raw_shards, require_delivered
from pipeline.errors import StorageError
from pipeline.recipe.code_digest import code_digest
from pipeline.recipe.configs import recipe_layers
from pipeline.recipe.execution import MLflowSettings, load_execution
from pipeline.recipe.recipe import PARAMS_FILE, Recipe
from pipeline.recipe.resolving import checked
from pipeline.records.digests import digest_json
from pipeline.records.scored_shard import ScoringJob
from pipeline.runtime.progress import Progress, count
from pipeline.runtime.spark import spark_session
from pipeline.scoring import job as jobs
from pipeline.scoring.accounting import account
from pipeline.scoring.model import ScoringModel, from_registry, from_served, require_asked_for
from pipeline.scoring.reading import Asked, asked_of, open_input, require_apart
from pipeline.storage.home import home_of

_DECIDING_ROOMS = ("data", "scoring")  # with the export's name, which says what made that


@dataclass(frozen=True)
class ScoreOptions:
    """Rows at `input`, read as a config says, or the recipe in force; by default by the champion of its name."""

    input: Path
    output: Path
    config: str | None = None  # relative to the project
    model: str | None = None
    served: Path | None = None  # a served folder in the registry's place
    has_folders: bool = False  # of each version its own, in `output`


@dataclass(frozen=True)
class Scored:
    """What came of it."""

    output: Path
    model: str
    rows: int
    scored: int
    reasons: dict[str, int]
    was_there: bool

    def __str__(self) -> str:
        """Say it in a line."""
        rejected = ", ".join(f"{count(rows)} {reason}" for reason, rows in self.reasons.items())
        told = f"{count(self.scored)} of {count(self.rows)} rows scored by {self.model}"
        told += f", {count(self.rows - self.scored)} rejected ({rejected})" if rejected else ""
        return f"{self.output}: {told}" + ("; it was there already" if self.was_there else "")


def score(root: Path, options: ScoreOptions, progress: Progress) -> Scored:
    """Score every row of an input into a folder, by the project in `root`.

    Raises UsageError, with nothing written, if the output holds something else, or if model and recipe do not fit;
    DataError or StorageError if the input or the model is damaged or cannot be read; TryAgain if Spark's processes are
    killed. What is finished then stays aside, and the next call goes on from there.
    """
    layers = recipe_layers(root, options.config)
    recipe, execution = checked(layers.values, layers.where), load_execution(root)
    asked = asked_of(recipe)
    if not options.input.exists():
        raise StorageError(f"{options.input}: there is nothing; name the folder, or the file, that holds the rows")
    require_apart(options.input, options.output)
    model = _model(root, options, recipe, execution.mlflow, progress)
    require_asked_for(model, recipe, options.config or PARAMS_FILE)
    source = open_input(recipe, asked, options.input, model.features)
    output = options.output / model.folder_name if options.has_folders else options.output
    with jobs.held(output) as aside:
        place = str(options.input.resolve())
        job = ScoringJob(input=place, model=model.shown, decides=_decides(model, asked, recipe))
        reading = _Reading(source, model, asked)
        if there := jobs.find_published(output, job):
            progress.step("reading the input: the output is there already")
            jobs.require_same_rows(output, there, reading.shards())
            return _told(output, model, there.counts, was_there=True)
        jobs.begin(aside, job)
        with progress.entering("Spark", spark_session(execution.spark, "score")) as session:
            shards = jobs.score_shards(
                session,
                aside,
                reading.shards(),
                model,
                asked.own,
                lambda done: progress.advance(done, max(done, source.rows or reading.rows), "rows"),
            )
        require_delivered(source, reading.rows)
        found = account(shards, reading.rows, model.classes)
        manifest = jobs.publish(aside, output, shards, model, asked.own, found, job)
    return _told(output, model, manifest.counts, was_there=False)


def _model(
    root: Path, options: ScoreOptions, recipe: Recipe, settings: MLflowSettings, progress: Progress
) -> ScoringModel:
    from pipeline.registry.store import resolve_store

    if options.served is not None:
        return from_served(options.served, recipe)
    own = home_of(root) / ".ratchet"
    own.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scored-", dir=own) as scratch:
        store = resolve_store(root, settings)
        return from_registry(root, store, options.model, recipe, Path(scratch), progress.starting)


class _Reading:
    """A source's shards, and how many rows they had so far."""

    def __init__(self, source: Source, model: ScoringModel, asked: Asked) -> None:
        self._source, self._model, self._asked = source, model, asked
        self.rows = 0

    def shards(self) -> Iterator[pa.Table]:
        # A model takes far longer for a row than reading it does: more shards, and each core has its share of them.
        for table in raw_shards(self._source.tables, self._model.features, self._asked.own, small_rows=ROWS_PER_SHARD):
            self.rows += table.num_rows
            yield table


def _decides(model: ScoringModel, asked: Asked, recipe: Recipe) -> str:
    package = Path(pipeline.__path__[0])
    files = sorted(file for room in _DECIDING_ROOMS for file in (package / room).rglob("*.py"))
    return digest_json(
        [
            model.to_json(),
            model.export,
            [spec.to_json() for spec in model.features],
            asked.choice.model_dump(mode="json"),
            asked.roles.model_dump(mode="json"),
            recipe.ingest.snapshots,
            {file.relative_to(package).as_posix(): code_digest(file) for file in files},
        ]
    )


def _told(output: Path, model: ScoringModel, counts: dict[str, object], *, was_there: bool) -> Scored:
    rows, scored, reasons = counts["in"], counts["scored"], counts["reasons"]
    assert isinstance(rows, int)
    assert isinstance(scored, int)
    assert isinstance(reasons, dict)
    return Scored(output, model.shown, rows, scored, reasons, was_there)
