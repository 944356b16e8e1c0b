"""The recipe: everything that decides the result, as frozen types that refuse what they do not know.

The same classes type `params.yaml`, `--set KEY=VALUE` and (through their JSON schema) Airflow's trigger form.
"""

from __future__ import annotations

import math
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.errors import RatchetError
from pipeline.recipe.bounds import Bound, Distance, require_resamples
from pipeline.recipe.settings import NotNegative, Positive, Probability, Settings, shown, validate
from pipeline.recipe.slots import Choice, Feature, Slot
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.recipe.workers import nearest_divisors

PARAMS_FILE = "params.yaml"
Device = Literal["cpu", "gpu", "auto"]
ADDRESS = r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s?#@]*)?|file:///[^\s?#]*)$"  # no user, no password in it
FeatureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


TASK = Slot("task", "pipeline.evaluation.tasks", ("Task",))
SOURCE = Slot("source", "pipeline.data.sources", ("open_source",))
FEATURE = Slot(
    "feature kind",
    "pipeline.data.features",
    ("raw_columns", "facts", "shape", "spec", "working_bytes", "raw_digests", "examine", "prepare", "describe", "fit"),
)
AUGMENTATION = Slot("augmentation step", "pipeline.augmentation.steps", ("change or copies_of",))
ARCHITECTURE = Slot("architecture", "pipeline.models.architectures", ("build",))
LOSS = Slot("loss", "pipeline.training.losses", ("build",))
OPTIMIZER = Slot("optimizer", "pipeline.training.optimizers", ("build",))
SCHEDULE = Slot("schedule", "pipeline.training.schedules", ("share",))
RULE = Slot("gate rule", "pipeline.gate.rules", ("judge", "proves_better", "shows"))


ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


class Roles(Settings):
    """Columns of a table that are no features, by the source's names of them: what a row is, not what is learned from.

    Rows that differ in `id`, `group` or `time` are different rows, though their features are equal; `weight` and
    `slices` make no row another one.
    """

    id: ColumnName | None = Field(default=None, description="column with what a row is called outside")
    group: ColumnName | None = Field(default=None, description="column whose equal values no split may part")
    time: ColumnName | None = Field(default=None, description="column with the moment of the prediction")
    weight: ColumnName | None = Field(
        default=None, description="column with how much a row counts in the loss, a number above 0; none: all the same"
    )
    slices: tuple[ColumnName, ...] = Field(
        default=(),
        strict=False,
        max_length=20,
        description="columns by whose values the model is measured and judged, too",
    )

    @model_validator(mode="after")
    def _slices_have_columns_of_their_own(self) -> Self:
        seen: dict[str, str] = {}
        for name in self.slices:
            column = slice_column(name)
            if column in seen:
                raise ValueError(f"slices {shown(seen[column])} and {shown(name)} would both be column {column}")
            seen[column] = name
        return self


def slice_column(name: str) -> str:
    """Return the column of rows that holds the slices of a source's column."""
    return "slice_" + re.sub(r"[^a-z0-9_]", "_", name.lower())


class EqualRows(Settings):
    """What becomes of rows that are equal in every feature and role."""

    duplicates: Literal["reject", "keep"] = Field(
        default="reject", description="of those with one target: one stays (reject), or all do (keep)"
    )
    conflicts: Literal["reject", "keep"] = Field(
        default="reject", description="of those with different targets: none stays (reject), or all do (keep)"
    )


class DataParams(Settings):
    """Where the data comes from and what it must be."""

    source: Annotated[Choice, SOURCE] = Field(description="format of the source: a file in pipeline/data/sources/")
    path: str = Field(min_length=1, max_length=4096, description="folder, or archive, that holds the source")
    address: str | None = Field(
        default=None,
        max_length=4096,
        pattern=ADDRESS,
        description="s3://BUCKET/… or file:///…: each run first makes the folder hold what is there; none: the folder "
        "is what it is",
    )
    contracts: str = Field(min_length=1, description="folder of the data contracts: raw.yaml and prepared.yaml")
    classes: tuple[str, ...] = Field(
        default=(),
        strict=False,
        max_length=10_000,
        description="class names; label n is the n-th; none: the target is a number",
        json_schema_extra={  # the form refuses a blank one, and one alone, too
            "items": {"type": "string", "pattern": r"\S"},
            "anyOf": [{"maxItems": 0}, {"minItems": 2}],
        },
    )
    features: Annotated[dict[FeatureName, Feature], FEATURE] = Field(
        min_length=1, max_length=1000, description="the model's inputs by name, each of a kind"
    )
    roles: Roles = Field(default_factory=Roles)
    equal_rows: EqualRows = Field(default_factory=EqualRows)

    @field_validator("classes")
    @classmethod
    def _names_differ(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(classes) == 1:
            raise ValueError(f"one class alone, {shown(classes[0])}, cannot be told from others; name two at least")
        seen: dict[str, str] = {}
        for name in classes:
            bare = name.strip()
            if not bare:
                raise ValueError(f"the class name {shown(name)} is blank; every class needs a name")
            if bare in seen:
                same = "appears twice" if seen[bare] == name else f"and {shown(seen[bare])} differ in blanks alone"
                raise ValueError(f"class names must be unique: {shown(name)} {same}")
            seen[bare] = name
        return classes


class IngestParams(Settings):
    """What ingest takes from the source."""

    as_of: str | None = Field(
        default=None,
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="take the source as it was at the end of this date, where it keeps dated snapshots; "
        "null: the newest",
        json_schema_extra={"format": "date"},
    )
    snapshots: bool = Field(
        default=True,
        description="folders of the source that are named by date (2026-11-22) are snapshots, each a whole source; "
        "false: they are part of the data, as classes of that name are",
    )

    @field_validator("as_of")
    @classmethod
    def _is_a_date(cls, as_of: str | None) -> str | None:
        if as_of is not None:
            try:
                date.fromisoformat(as_of)
            except ValueError as error:
                raise ValueError("there is no such date") from error
        return as_of


class SplitParams(Settings):
    """How rows are divided into training, validation and test parts."""

    method: Literal["source", "hash", "stratified", "grouped", "time"] = Field(
        description="source: the source's own test files are the test part, the rest is stratified; "
        "hash: by stable hash of the content; stratified: by stable hash, with thresholds for each class, or bin of a "
        "number; grouped: by stable hash of data.roles.group, whose rows stay together; time: by data.roles.time, the "
        "latest rows are the test part, those before it the validation part"
    )
    train: Probability = Field(description="share of rows for training")
    validation: Probability = Field(description="share of rows for validation")
    test: Probability = Field(description="share of rows for test; 0 with method source, whose test files are the part")
    frozen: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
        description="file in splits/ with the thresholds of each class, which `ratchet split freeze` writes; "
        "null: the shares are the thresholds of every class",
    )
    quantiles: int = Field(
        default=10,
        ge=2,
        le=1000,
        description="bins of a number, of about as many rows each: with method stratified every part has rows of each",
    )

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        total = self.train + self.validation + self.test
        if not math.isclose(total, 1.0, abs_tol=1e-9):
            raise ValueError(f"train + validation + test must be 1, not {total:g}")
        if self.train == 0 or self.validation == 0:
            raise ValueError("train and validation must be above 0")
        if self.method == "source" and self.test != 0:
            raise ValueError("test must be 0 with method source: the source's own test files are the test part")
        if self.method != "source" and self.test == 0:
            raise ValueError(f"test must be above 0 with method {self.method}: without test rows nothing can be judged")
        if self.method in ("hash", "grouped") and self.frozen is not None:
            raise ValueError(
                f"frozen must be null with method {self.method}: its thresholds are the shares, which never move"
            )
        return self


class NearDuplicateParams(Settings):
    """Which pictures of two parts are called near-duplicates: both must hold. They are counted, nothing is left out."""

    bits: Distance = Field(
        default=6,
        description='perceptual hashes differ in at most so many of 64 bits; {none: "reason"} looks for none',
    )
    likeness: Probability = Field(
        default=0.99, description="correlation of the pictures' grey levels at 32 × 32 pixels, at the least"
    )


class AugmentParams(Settings):
    """Changed copies of the training rows: each copy passes through the steps in their order. 0 copies: none."""

    when: Literal["before", "during"] = Field(
        default="before",
        description="before: the training, which sees the rows and the same copies in every epoch; "
        "during: an epoch has other copies each time, in the place of the rows",
    )
    copies: int = Field(
        ge=0, le=32, description="changed copies of each training row; a step (oversample) may add some by class"
    )
    steps: Annotated[tuple[Choice, ...], AUGMENTATION] = Field(
        default=(),
        strict=False,
        max_length=32,
        description="what changes a copy: files in pipeline/augmentation/steps/",
    )

    @property
    def adds_copies(self) -> bool:
        """Whether a step says by class how many copies there are beside these `copies` of each row."""
        return any(hasattr(AUGMENTATION.member(step.name), "copies_of") for step in self.steps)

    @property
    def writes_copies(self) -> bool:
        """Whether copies of training rows are written before the training."""
        return self.when == "before" and (self.copies > 0 or self.adds_copies)

    @property
    def makes_copies(self) -> bool:
        """Whether an epoch makes copies of training rows in their place; otherwise it takes what is written."""
        return self.when == "during" and self.copies > 0


class TrainParams(Settings):
    """How the model is trained."""

    epochs: int = Field(ge=1, le=10_000, description="passes over the training part")
    batch_size: int = Field(ge=1, le=65_536, description="rows a step, over all workers together")
    virtual_workers: int = Field(
        default=4, ge=1, le=65_536, description="micro-batches into which each batch is cut; workers share them equally"
    )
    exact: bool = Field(
        default=True,
        description="the same bits on any number of workers, threads and hosts; false: sums in the fastest order",
    )
    learning_rate: Positive = Field(le=100, description="peak learning rate, reached after the warm-up")
    warmup_epochs: NotNegative = Field(default=1.0, le=10_000, description="epochs of linear warm-up from 0")
    schedule: Annotated[Choice, SCHEDULE] = Field(
        default=Choice(name="cosine"), description="after the warm-up: a file in pipeline/training/schedules/"
    )
    optimizer: Annotated[Choice, OPTIMIZER] = Field(
        default=Choice(name="adam"), description="a file in pipeline/training/optimizers/"
    )
    loss: Annotated[Choice, LOSS] = Field(
        default=Choice(name="cross_entropy"), description="a file in pipeline/training/losses/"
    )
    device: Device = Field(
        default="cpu",
        description="what computes, which decides the rounding: cpu; gpu, one for each worker; "
        "auto: what there is where the run opens",
    )

    @model_validator(mode="after")
    def _micro_batches_are_equal(self) -> Self:
        if self.batch_size % self.virtual_workers:
            fits = nearest_divisors(self.batch_size, self.virtual_workers)
            raise ValueError(
                f"a batch of {self.batch_size} rows cannot be cut into {self.virtual_workers} equal micro-batches "
                f"(virtual_workers); use {fits}"
            )
        return self


class EvaluateParams(Settings):
    """What the page shows of the candidate's answers."""

    worst_mistakes: int = Field(default=24, ge=0, le=200, description="mistakes shown as pictures")


class Bounds(Settings):
    """Bounds on the test metrics that the task declares, by name: overall, or on the rows of one slice.

    `{none: "reason"}` in the place of a number switches a check off, and the reason stands in the verdict.
    """

    minimum: dict[str, Bound] = Field(default_factory=dict, max_length=100, description="smallest values that pass")
    maximum: dict[str, Bound] = Field(default_factory=dict, max_length=100, description="largest values that pass")


class ParityRule(Settings):
    """The exported model, loaded in a fresh process, must predict what the trained one did."""

    rows: Annotated[int, Field(ge=1, le=100_000)] | None = Field(default=None, description="test rows asked; null: all")
    tolerance: Positive = Field(default=1e-4, le=1, description="largest difference of any number")


class ParametersRule(Settings):
    """How many parameters (weights, those that are not trained included) the model may have."""

    maximum: Annotated[int, Field(ge=1, le=10**12)] | None = Field(
        default=None, description="largest number of parameters that passes; null: any number"
    )


class GateParams(Bounds):
    """What a candidate must achieve. The task's first metric must be bounded: no default lets a candidate pass."""

    slices: dict[str, dict[str, Bounds]] = Field(
        default_factory=dict, max_length=100, description="bounds by the column that slices, and by its value"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        default=0.95, description="one-sided confidence at which each bound must hold"
    )
    resamples: int = Field(
        default=2000, ge=1, le=100_000, description="bootstrap resamples, for metrics that are no share"
    )
    rule: Annotated[Choice, RULE] = Field(
        default=Choice(name="better"),
        description="how the candidate must compare with the models before it: a file in pipeline/gate/rules/",
    )
    parity: ParityRule = Field(default_factory=ParityRule)
    parameters: ParametersRule = Field(default_factory=ParametersRule)

    @model_validator(mode="after")
    def _resamples_reach_the_confidence(self) -> Self:
        require_resamples(self.resamples, self.confidence)
        return self


class Recipe(Settings):
    """Everything in `params.yaml`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="the registered model's name")
    seed: int = Field(ge=0, lt=2**63, description="one seed for everything random")
    task: Annotated[Choice, TASK] = Field(
        default=Choice(name="classification"), description="what is learned: a file in pipeline/evaluation/tasks/"
    )
    data: DataParams
    ingest: IngestParams = Field(default_factory=IngestParams)
    split: SplitParams
    near_duplicates: NearDuplicateParams = Field(default_factory=NearDuplicateParams)
    augment: AugmentParams
    model: Annotated[Choice, ARCHITECTURE] = Field(description="a file in pipeline/models/architectures/")
    train: TrainParams
    evaluate: EvaluateParams = Field(default_factory=EvaluateParams)
    gate: GateParams


def load_recipe(root: Path) -> Recipe:
    """Read and check `params.yaml` under `root`."""
    return validate(Recipe, parse_yaml(root / PARAMS_FILE), PARAMS_FILE)


def leaves_device_open(root: Path) -> bool:
    """Return whether `params.yaml` says `train.device: auto`: then a run has another recipe, with what that is here.

    What is wrong with the file is said where it is checked.
    """
    try:
        train = parse_yaml(root / PARAMS_FILE).get("train")
    except RatchetError:
        return False
    return isinstance(train, dict) and train.get("device") == "auto"
