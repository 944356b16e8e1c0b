"""The model that scores: a version of the registry, or a served folder; either way a SavedModel that is trusted."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError, UsageError, nearest
from pipeline.recipe.recipe import FEATURE, Recipe
from pipeline.recipe.slots import Feature
from pipeline.records.digests import digest_json
from pipeline.records.feature import FeatureSpec
from pipeline.registry.versions import MISSING, THRESHOLD, UNIT, Version
from pipeline.runtime.progress import Starting

if TYPE_CHECKING:
    from pipeline.records.served_model import ServedInput
    from pipeline.registry.store import Store

_EVEN = 0.5


@dataclass(frozen=True)
class ScoringModel:
    """A model as it is asked, and how its answers are read.

    `export` says which SavedModel of the model it is. `features` are its inputs as the data phase understands them,
    `inputs` their dtypes as the SavedModel takes them. Without `classes` the answer is a number in `unit`. Of two
    classes the second is answered from `threshold` on.
    """

    name: str
    version: int | None
    digest: str
    saved_model: Path
    export: str
    features: tuple[FeatureSpec, ...]
    inputs: Mapping[str, str]
    classes: tuple[str, ...]
    unit: str = ""
    threshold: float = _EVEN

    @property
    def shown(self) -> str:
        """What it is called in messages."""
        return self.name if self.version is None else f"{self.name} v{self.version}"

    @property
    def folder_name(self) -> str:
        """What the folder of its scores is called: one for each version."""
        return f"{self.name}-v{self.version}" if self.version is not None else f"{self.name}-{self.digest[7:19]}"

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        told: dict[str, Any] = {"name": self.name, "version": self.version, "digest": self.digest}
        told |= {"classes": list(self.classes)} if self.classes else {"unit": self.unit}
        return {**told, "threshold": self.threshold} if self.threshold != _EVEN else told


def from_registry(
    root: Path, store: Store, which: str | None, recipe: Recipe, scratch: Path, starting: Starting = nullcontext
) -> ScoringModel:
    """Return a version of the registry, `NAME`, `NAME@3` or `NAME@alias`: by default the champion of the recipe's name.

    Its bytes are fetched into `scratch` and trusted only if they have its digest. Raises UsageError if there is no such
    version, DataError if it is damaged or not Ratchet's, StorageError if the registry cannot be reached.
    """
    from pipeline.export.saved_model import exported, shared_exports
    from pipeline.models import stored
    from pipeline.models.serving import raw_inputs
    from pipeline.registry.by_hand import named
    from pipeline.registry.fetch import fetch
    from pipeline.registry.reader import open_reader

    version = named(store, which or "", recipe.name, "--model ")
    fetch(store, open_reader(store), version, scratch)
    architecture = stored.read_architecture(scratch)
    unit = version.tags.get(UNIT, MISSING)
    saved_model = exported(scratch, shared_exports(root), starting)
    return ScoringModel(
        name=version.name,
        version=version.version,
        digest=version.digest,
        saved_model=saved_model,
        export=saved_model.name,  # what decides it: the model, the exporter, TensorFlow
        features=tuple(completed(spec) for spec in architecture.features),
        inputs={name: dtype for name, (_, dtype) in raw_inputs(architecture).items()},
        classes=architecture.classes,
        unit="" if architecture.classes or unit == MISSING else unit,
        threshold=_threshold(version, recipe, architecture.classes),
    )


def from_served(folder: Path, recipe: Recipe) -> ScoringModel:
    """Return the model of a served folder. Its inputs are understood as the recipe says: the folder has no settings.

    Raises StorageError or DataError if the folder is none, or is damaged; UsageError where rows are rejected by what
    was fitted, which the folder does not say either.
    """
    from pipeline.data.feature_kinds import specs
    from pipeline.export.served import read_served
    from pipeline.records.served_model import SAVED_MODEL

    served = read_served(folder)
    form = served.format(SAVED_MODEL)
    if form is None:
        raise DataError(f"{folder}: has no {SAVED_MODEL}, which scoring asks; export it again")
    given = recipe.data.features
    known = {
        spec.name: spec for spec in specs({each.name: given[each.name] for each in served.inputs if each.name in given})
    }
    for spec in known.values():
        if spec.settings.get("unknown") == "reject":
            raise UsageError(
                f"--served {folder}: data.features.{spec.name} rejects what was not in the training part, and a served "
                "folder does not say what was; score by --model"
            )
    features = tuple(known.get(each.name) or _unknown(each) for each in served.inputs)
    return ScoringModel(
        name=served.name,
        version=served.version,
        digest=served.digest,
        saved_model=(folder / form.path).resolve(),
        export=digest_json(form.files),
        features=features,
        inputs={each.name: each.dtype for each in served.inputs},
        classes=served.classes,
        unit=served.unit,
        threshold=_EVEN if served.threshold is None else served.threshold,
    )


def _unknown(given: ServedInput) -> FeatureSpec:
    """Return an input that the recipe does not name: `require_asked_for` says so."""
    return FeatureSpec(name=given.name, kind=given.kind, dtype="float32", shape=())


def completed(spec: FeatureSpec) -> FeatureSpec:
    """Return a model's feature with every setting that its kind has today: a model of before one has its default."""
    settings = FEATURE.settings(Feature(kind=spec.kind, settings=spec.settings), f"feature {spec.name}")
    made: FeatureSpec = FEATURE.member(spec.kind).spec(spec.name, settings)
    return made.changed(fitted=spec.fitted)


def require_asked_for(model: ScoringModel, recipe: Recipe, where: str) -> None:
    """Raise UsageError unless the recipe says of each input of the model where it stands in the source."""
    given = recipe.data.features
    for spec in model.features:
        if spec.name not in given:
            raise UsageError(
                f"{where}: data.features has no '{spec.name}', a {spec.kind} that {model.shown} takes"
                f"{nearest(spec.name, given)}; name the config that it was trained with: --config"
            )
        if given[spec.name].kind != spec.kind:
            raise UsageError(
                f"{where}: data.features.{spec.name} is of kind {given[spec.name].kind}, and {model.shown} was trained "
                f"with a {spec.kind}; name the config that it was trained with: --config"
            )


def _threshold(version: Version, recipe: Recipe, classes: tuple[str, ...]) -> float:
    """Return from which probability on the second of two classes is answered: as learned, or as its recipe fixes it."""
    if len(classes) != 2:
        return _EVEN
    learned = version.tags.get(THRESHOLD)
    if learned is not None:
        return float(learned)
    fixed = recipe.task.settings.get("threshold") if recipe.name == version.name else None
    return float(fixed) if isinstance(fixed, int | float) else _EVEN
