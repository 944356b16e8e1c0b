"""What a served model takes and gives, declared once: its export, the registry's signature and who asks it agree on it.

Inputs are raw features, each by its name; the one output has the name that the task's file gives it.
"""

from __future__ import annotations

from pipeline.models.build import output_module, preprocessing_module
from pipeline.records.architecture import Architecture
from pipeline.storage.shards import Columns

SIGNATURE = "serving_default"


def raw_inputs(architecture: Architecture) -> dict[str, tuple[tuple[int | None, ...], str]]:
    """Return shape and dtype of one raw value of each feature, by name; None is a side of any length."""
    return {spec.name: preprocessing_module(spec.kind).raw_input(spec) for spec in architecture.features}


def output_name(architecture: Architecture) -> str:
    """Return the name of the answers."""
    name: str = output_module(architecture).NAME
    return name


def in_raw_types(architecture: Architecture, columns: Columns) -> Columns:
    """Return columns by feature, `[row, *shape]`, in the types in which the model takes raw values."""
    return {name: columns[name].astype(dtype, copy=False) for name, (_, dtype) in raw_inputs(architecture).items()}
