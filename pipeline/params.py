"""The recipe: everything that decides the result, as frozen types that refuse what they do not know.

The same classes type `params.yaml`, `--set KEY=VALUE` and (through their JSON schema) Airflow's trigger form.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import StorageError, UsageError, nearest

PARAMS_FILE = "params.yaml"
_YAML_LIMIT_BYTES = 2**20

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """Base of all settings: frozen, strict about unknown keys, finite numbers only."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        strict=True,
        defer_build=True,  # a group is mostly built as a part of the whole; Airflow pays for it at every parse
    )


class ImageShape(Settings):
    """The shape of one image: `[height, width, channels]`, in pixels."""

    height: int = Field(ge=1, le=4096, description="pixels")
    width: int = Field(ge=1, le=4096, description="pixels")
    channels: Literal[1, 3] = Field(description="1 grey, 3 colour")

    @property
    def size_bytes(self) -> int:
        """Bytes of one image of uint8."""
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
            raise ValueError(f"class names must be unique: {', '.join(twice)} stands twice")
        return self


class IngestParams(Settings):
    """What ingest takes of the source."""

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
    """How rows are divided into training, validation and test part."""

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

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="file in pipeline/models/")
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
    """Smallest values of the test metrics that are let through. At least accuracy is declared."""

    accuracy: Probability
    macro_precision: Probability | None = None
    macro_recall: Probability | None = None
    macro_f1: Probability | None = None
    auc: Probability | None = None
    mcc: Annotated[float, Field(ge=-1, le=1)] | None = None


class Maximum(Settings):
    """Largest values of the test metrics that are let through."""

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
    """The exported model, loaded in a fresh process, must answer as the trained one did."""

    rows: int = Field(default=256, ge=1, le=100_000, description="test rows asked")
    tolerance: Positive = Field(default=1e-4, le=1, description="largest difference of any probability")


class GateParams(Settings):
    """What a candidate must show. Nothing here has a default that lets a candidate through."""

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


SettingsT = TypeVar("SettingsT", bound=Settings)


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads some ten times as fast


class _StrictLoader(_SafeLoader):  # type: ignore[misc]
    """YAML without duplicate keys and without tags of its own."""


def _construct_mapping(loader: _StrictLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            raise yaml.constructor.ConstructorError(None, None, "merge keys are not used here", key_node.start_mark)
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is not text", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key '{key}' stands twice", key_node.start_mark)
        seen.add(key)
    mapping: dict[Any, Any] = _SafeLoader.construct_mapping(loader, node, deep=deep)
    return mapping


_SIGNS = re.compile(rb"[&*!]")  # of an anchor, an alias, a tag
_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)
# PyYAML follows YAML 1.1, where 1e-6 is text; DVC reads the same file by YAML 1.2, where it is a number. So do we.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parse_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping. Duplicate keys, tags, aliases, files over 1 MiB are refused.

    Raises StorageError if the file cannot be read, UsageError with file and line if it is not such a mapping.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_yaml_text(text, str(path))


def parse_yaml_text(text: bytes | str, where: str) -> dict[str, Any]:
    """Parse a YAML mapping from text, as `parse_yaml` does from a file."""
    value = parse_yaml_value(text, where)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{where}: must be a mapping of keys to values, not {type(value).__name__}")
    return value


def parse_yaml_value(text: bytes | str, where: str) -> Any:
    """Parse any single YAML value from text, under the same limits; raise UsageError naming the line."""
    if len(text) > _YAML_LIMIT_BYTES:
        raise UsageError(f"{where}: larger than {_YAML_LIMIT_BYTES} bytes")
    try:
        # Without one of their three characters there is none of them, and a second look at the text is saved.
        signs = _SIGNS.search(text if isinstance(text, bytes) else text.encode(errors="replace"))
        for token in yaml.scan(text, Loader=_StrictLoader) if signs else ():
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                raise UsageError(f"{where}:{token.start_mark.line + 1}: anchors and aliases are not used here")
            if isinstance(token, yaml.TagToken):
                raise UsageError(
                    f"{where}:{token.start_mark.line + 1}: YAML tags are not allowed; write the value plainly"
                )
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader that allows less
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: not UTF-8 text") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}" if mark else ""
        raise UsageError(f"{where}{line}: {error.problem or error}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{where}: not valid YAML: {error}") from error
    except RecursionError as error:
        raise UsageError(f"{where}: nested too deeply") from error


def load_recipe(root: Path) -> Recipe:
    """Read and check `params.yaml` under `root`."""
    return validate(Recipe, parse_yaml(root / PARAMS_FILE), PARAMS_FILE)


def validate(kind: type[SettingsT], values: Mapping[str, Any], where: str) -> SettingsT:
    """Make settings of a kind from plain values; raise UsageError naming file, key, value and what is valid."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{where}: {_first_problem(kind, error)}") from error


def _first_problem(kind: type[Settings], error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    # An unknown key explains a missing one (a misspelling): say it first.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}'{nearest(key, dotted_keys(kind))}"
    if problem["type"] == "missing":
        return f"'{key}' is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not location:
        return message
    return f"{key}: {message}" + ("" if isinstance(problem["input"], dict) else f", got {problem['input']!r:.80}")


def dotted_keys(kind: type[BaseModel], prefix: str = "") -> list[str]:
    """List every key of a settings class with its groups: `train.epochs`."""
    keys = []
    for name, info in kind.model_fields.items():
        keys.append(prefix + name)
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            keys += dotted_keys(annotation, prefix + name + ".")
    return keys


def set_dotted(values: dict[str, Any], key: str, value: Any) -> None:
    """Set `a.b.c` in nested mappings, making those that are missing; raise UsageError if the way is blocked."""
    *groups, last = key.split(".")
    for group in groups:
        values = values.setdefault(group, {})
        if not isinstance(values, dict):
            raise UsageError(f"{key}: '{group}' is a value, not a group of keys")
    values[last] = value


def apply_overrides(values: dict[str, Any], overrides: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the recipe's plain values with `{"train.epochs": 3}` set.

    Raises UsageError, naming the nearest key, for one that no recipe has; `where` says who gave it (`--set`).
    """
    changed = _copy(values)
    for key, value in overrides.items():
        if key not in dotted_keys(Recipe) and not key.startswith("model.settings."):
            raise UsageError(f"{where} {key:.80}: unknown key{nearest(key, dotted_keys(Recipe))}")
        set_dotted(changed, key, value)
    return changed


def merge(values: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values with an overlay's on top; groups are merged, values and lists replaced."""
    merged = _copy(values)
    for key, value in overlay.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, dict) else value for key, value in values.items()}
