"""The slot of export formats: what each file in `pipeline/export/formats/` has, and how one is asked for.

PLACE                   its path in the served folder: a file, or a folder
PACKAGES                the distributions that it needs
CALIBRATES              whether `write` needs raw training rows, `calibration`
Settings                `tolerance` and `least_agreement`, what it is held to, and its own
refusal(architecture)   why there can be none of a model, in one line; None if nothing is known
inputs(architecture)    shape and dtype of one raw value of each feature, by name
write(model_folder, target, settings, calibration)   writes it, whatever libraries that takes
load(path)              a function from raw values by feature to answers, by its own runtime alone
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from pipeline.errors import UsageError
from pipeline.recipe.slots import Slot
from pipeline.storage.shards import Columns

FORMAT = Slot("export format", "pipeline.export.formats", ("refusal", "inputs", "write", "load"))
Inputs = dict[str, tuple[tuple[int | None, ...], str]]
Asked = Callable[[Columns], npt.NDArray[np.float32]]


def checked(formats: Iterable[str]) -> list[str]:
    """Return formats, each once; raise UsageError, with the nearest name, if there is no such one."""
    names = list(dict.fromkeys(formats))
    for name in names:
        try:
            FORMAT.member(name)
        except UsageError as error:
            raise UsageError(f"--formats: {error}") from error
    return names


def missing_packages(packages: Sequence[str]) -> list[str]:
    """Return those that are not installed."""
    return [name for name in packages if not version_of(name)]


def version_of(package: str) -> str | None:
    """Return the version of an installed distribution; None if it is not installed."""
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None
