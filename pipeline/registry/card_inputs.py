"""What a model card says of a model's inputs: what each takes, what it makes of foreign values, and one to try."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.models.serving import raw_inputs
from pipeline.records.architecture import Architecture
from pipeline.records.feature import FeatureSpec

_FEW_DIGITS = 4


def taken(architecture: Architecture) -> list[tuple[str, str, str]]:
    """Return name, kind, and in words what it takes of each feature."""
    types = raw_inputs(architecture)
    return [(spec.name, spec.kind, _takes(spec, *types[spec.name])) for spec in architecture.features]


def limits(architecture: Architecture) -> list[str]:
    """Return a sentence on each feature whose values may be such that the model has learned nothing of them."""
    types = raw_inputs(architecture)
    return [said for spec in architecture.features if (said := _limit(spec, *types[spec.name]))]


def request(architecture: Architecture) -> str:
    """Return a row as the service takes it, as JSON; "" if the model takes one picture, which is sent as a file."""
    types = raw_inputs(architecture)
    if len(types) == 1 and _is_picture(*next(iter(types.values()))):
        return ""
    row = {spec.name: _value(spec, *types[spec.name]) for spec in architecture.features}
    return json.dumps(row)  # in ASCII, and so without anything that cannot be seen


def _is_picture(shape: tuple[int | None, ...], dtype: str) -> bool:
    return dtype == "uint8" and None in shape


def _takes(spec: FeatureSpec, shape: tuple[int | None, ...], dtype: str) -> str:
    if _is_picture(shape, dtype):
        channels = {1: "grey", 3: "colour"}.get(shape[-1] or 0, f"{shape[-1]} channels")
        return f"a picture of any size ({channels}), made {spec.shape[0]} × {spec.shape[1]}"
    if dtype == "string":
        return "a text"
    unit = spec.settings.get("unit")
    return "a number" + (f" in {unit}" if unit else "")


def _limit(spec: FeatureSpec, shape: tuple[int | None, ...], dtype: str) -> str:
    fitted, settings = spec.fitted or {}, spec.settings
    if _is_picture(shape, dtype):
        return f"{spec.name}: a picture is read at {spec.shape[0]} × {spec.shape[1]} pixels; finer details are lost"
    if dtype == "string":
        known = len(fitted.get("vocabulary", []))
        if not spec.shape:  # a prepared text has a length, a category has none
            return f"{spec.name}: {known} values are known; every other one is the same unknown value to the model"
        return f"{spec.name}: {known} terms are known; what else a text says is not read"
    none = [f"{where} {settings[key]:g}" for where, key in (("below", "low"), ("above", "high")) if _has(settings, key)]
    fill = fitted.get("fill")
    none += ["that is missing"] if fill is None else []
    filled = "" if fill is None else f"a missing one counts as {fill:.{_FEW_DIGITS}g}"
    said = [f"a value {' or '.join(none)} has no answer" if none else "", filled]
    return f"{spec.name}: {'; '.join(filter(None, said))}"


def _has(values: Mapping[str, Any], key: str) -> bool:
    return values.get(key) is not None


def _value(spec: FeatureSpec, shape: tuple[int | None, ...], dtype: str) -> Any:
    if _is_picture(shape, dtype):
        return "BASE64"
    if dtype == "string":
        return "a text" if spec.shape else next(iter((spec.fitted or {}).get("vocabulary", [])), "")
    fitted = spec.fitted or {}
    middle = next((fitted[key] for key in ("fill", "least", "centre") if _has(fitted, key)), 0.0)
    low, high = (spec.settings[key] if _has(spec.settings, key) else middle for key in ("low", "high"))
    return float(f"{min(max(middle, low), high):.{_FEW_DIGITS}g}")
