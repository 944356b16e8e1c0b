"""The recipe: everything that decides the result, as frozen types that refuse what they do not know.

The same classes type `params.yaml`, `--set KEY=VALUE` and (through their JSON schema) Airflow's trigger form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.errors import UsageError, nearest
from pipeline.recipe.settings import (
    Fraction,
    NotNegative,
    Positive,
    Probability,
    Settings,
    _copy,
    dotted_keys,
    set_dotted,
    validate,
)
from pipeline.recipe.strict_yaml import parse_yaml

PARAMS_FILE = "params.yaml"


class ImageShape(Settings):
    """The shape of one image: `[height, width, channels]`, in pixels."""

    height: int = Field(ge=1, le=4096, description="pixels")
    width: int = Field(ge=1, le=4096, description="pixels")
    channels: Literal[1, 3] = Field(description="1 grey, 3 colour")

    @property
    def size_bytes(self) -> int:
        """Size of one uint8 image, in bytes."""
        return self.height * self.width * self.channels


class DataParams(Settings):
    """Where the data comes from and what it must be."""

    source: Literal["idx"] = Field(description="format of the source: idx, the MNIST family's, plain or .gz")
    path: str = Field(min_length=1, max_length=4096, description="folder that holds the source")
    contracts: str = Field(min_length=1, description="folder of the data contracts: raw.yaml and prepared.yaml")
    classes: tuple[str, ...] = Field(
        strict=False, min_length=2, max_length=10_000, description="class names; label n is the n-th"
    )
    image: ImageShape = Field(description="shape the source must deliver; anything else is rejected by clean")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
            raise ValueError(f"class names must be unique: {', '.join(twice)} appears twice")
        return self


class IngestParams(Settings):
    """What ingest takes from the source."""

    as_of: str | None = Field(
        default=None,
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="take the source as it was at the end of this date, where it keeps dated snapshots; "
        "null: the newest",
        json_schema_extra={"format": "date"},
    )

    @model_validator(mode="after")
    def _is_a_date(self) -> Self:
        if self.as_of is not None:
            date.fromisoformat(self.as_of)
        return self


class SplitParams(Settings):
    """How rows are divided into training, validation and test parts."""

    method: Literal["source", "hash", "stratified"] = Field(
        description="source: the source's own test files are the test part, the rest is stratified; "
        "hash: by stable hash of the content; stratified: by stable hash within each class"
    )
    train: Probability = Field(description="share of rows for training")
    validation: Probability = Field(description="share of rows for validation")
    test: Probability = Field(description="share of rows for test; 0 with method source, whose test files are the part")

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
        return self


class NormalizeParams(Settings):
    """The fixed size that every image gets."""

    height: int = Field(ge=8, le=1024, description="pixels")
    width: int = Field(ge=8, le=1024, description="pixels")


class AugmentParams(Settings):
    """Changed copies of the training images. 0 copies: none."""

    copies: int = Field(ge=0, le=32, description="changed copies of each training image")
    flip: Probability = Field(description="probability of a left-right flip")
    shift: Fraction = Field(description="largest shift along each axis, as a fraction of the image")
    rotate_deg: float = Field(ge=0, le=180, description="largest rotation either way, degrees")
    scale: Fraction = Field(description="largest change of size either way, as a fraction")
    noise: NotNegative = Field(le=128, description="standard deviation of the added noise, in grey levels of 255")
    erase: Probability = Field(description="probability that a rectangle is erased")
    erase_area: Fraction = Field(default=0.15, description="largest erased area, as a fraction of the image")


class ModelParams(Settings):
    """The architecture, by name, and its settings."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="file in pipeline/models/architectures/")
    settings: dict[str, Any] = Field(default_factory=dict, description="arguments of the architecture")


class TrainParams(Settings):
    """How the model is trained."""

    epochs: int = Field(ge=1, le=10_000, description="passes over the training part")
    batch_size: int = Field(ge=1, le=65_536, description="images a step, over all workers together")
    learning_rate: Positive = Field(le=100, description="peak learning rate, reached after the warm-up")
    warmup_epochs: NotNegative = Field(default=1.0, description="epochs of linear warm-up from 0")
    schedule: Literal["constant", "cosine"] = Field(default="cosine", description="after the warm-up")
    optimizer: Literal["sgd", "momentum", "nesterov", "adam", "adamw"] = Field(default="adam", description="optimizer")
    weight_decay: NotNegative = Field(default=0.0, description="decoupled weight decay (adamw)")
    label_smoothing: Fraction = Field(default=0.0, description="probability mass spread over the other classes")


class EvaluateParams(Settings):
    """How the candidate is measured."""

    calibration_bins: int = Field(default=15, ge=2, le=1000, description="bins of the expected calibration error")
    worst_mistakes: int = Field(default=24, ge=0, le=200, description="mistakes shown as pictures")


class Minimum(Settings):
    """Smallest values of the test metrics that pass the gate. Accuracy is required."""

    accuracy: Probability
    macro_precision: Probability | None = None
    macro_recall: Probability | None = None
    macro_f1: Probability | None = None
    auc: Probability | None = None
    mcc: Annotated[float, Field(ge=-1, le=1)] | None = None


class Maximum(Settings):
    """Largest values of the test metrics that pass the gate."""

    cross_entropy: NotNegative | None = None
    calibration_error: Probability | None = None
    overfit: Probability | None = Field(default=None, description="training accuracy less test accuracy")


class ChampionRule(Settings):
    """The comparison with the champion on the same test rows: paired bootstrap of the difference in accuracy."""

    margin: Probability = Field(description="accuracy that may be lost overall at the stated confidence")
    class_margin: Probability = Field(description="recall that may be lost in a single class at the stated confidence")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(default=0.95, description="one-sided confidence")
    resamples: int = Field(default=2000, ge=100, le=100_000, description="bootstrap resamples")


class ParityRule(Settings):
    """The exported model, loaded in a fresh process, must predict what the trained one did."""

    rows: int = Field(default=256, ge=1, le=100_000, description="test rows asked")
    tolerance: Positive = Field(default=1e-4, le=1, description="largest difference of any probability")


class GateParams(Settings):
    """What a candidate must achieve. No default here lets a candidate pass."""

    minimum: Minimum
    maximum: Maximum = Field(default_factory=Maximum)
    champion: ChampionRule
    parity: ParityRule = Field(default_factory=ParityRule)


class Recipe(Settings):
    """Everything in `params.yaml`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="the registered model's name")
    seed: int = Field(ge=0, lt=2**63, description="one seed for everything random")
    data: DataParams
    ingest: IngestParams = Field(default_factory=IngestParams)
    split: SplitParams
    normalize: NormalizeParams
    augment: AugmentParams
    model: ModelParams
    train: TrainParams
    evaluate: EvaluateParams = Field(default_factory=EvaluateParams)
    gate: GateParams


def load_recipe(root: Path) -> Recipe:
    """Read and check `params.yaml` under `root`."""
    return validate(Recipe, parse_yaml(root / PARAMS_FILE), PARAMS_FILE)


def apply_overrides(values: dict[str, Any], overrides: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the recipe's plain values with overrides such as `{"train.epochs": 3}` applied.

    Raises UsageError, naming the nearest valid key, for an unknown one; `where` says where it came from (`--set`).
    """
    changed = _copy(values)
    for key, value in overrides.items():
        if key not in dotted_keys(Recipe) and not key.startswith("model.settings."):
            raise UsageError(f"{where} {key:.80}: unknown key{nearest(key, dotted_keys(Recipe))}")
        set_dotted(changed, key, value)
    return changed
