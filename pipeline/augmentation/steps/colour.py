"""Change brightness and contrast, and of colour images saturation and hue, by random amounts.

Recipe: `augment: {steps: [{name: colour, settings: {brightness: 0.2, contrast: 0.2, saturation: 0.2, hue_deg: 10}}]}`.
Saturation and hue are one matrix: P. Haeberli, "Matrix Operations for Image Processing", 1993. Everything per pixel is
a table or integer arithmetic, so that an image's result depends neither on its batch nor on the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.errors import UsageError
from pipeline.recipe.settings import Fraction
from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pipeline.augmentation.counter_random import Keys
    from pipeline.recipe.recipe import Recipe

KINDS = ("image",)
_DRAWS = 4  # brightness, contrast, saturation, hue
_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601
_ONE_BITS = 16  # the matrix has multiples of 2^-16
_BLOCK_VALUES = 65_536  # whose arrays stay in a core's second-level cache
_COLOURS = 3


class Settings(Base):
    """Its settings in the recipe."""

    brightness: Fraction = Field(default=0.0, description="largest change of all levels either way, as a fraction")
    contrast: Fraction = Field(
        default=0.0, description="largest change of the distance to the image's mean level either way, as a fraction"
    )
    saturation: Fraction = Field(
        default=0.0, description="largest change of the distance to grey either way, as a fraction"
    )
    hue_deg: float = Field(default=0.0, ge=0, le=180, description="largest turn of the hue either way, degrees")


def check(settings: Settings, recipe: Recipe) -> None:
    """Refuse saturation and hue where no image has colours."""
    from pipeline.recipe.model_inputs import input_shapes

    if (settings.saturation or settings.hue_deg) and not any(
        len(shape) == 3 and shape[2] == _COLOURS
        for name, shape in input_shapes(recipe).items()
        if recipe.data.features[name].kind in KINDS
    ):
        raise UsageError("saturation and hue_deg change nothing: no image of the recipe has 3 channels; leave them 0")


def change(values: npt.NDArray[np.uint8], keys: Keys, settings: Settings) -> npt.NDArray[np.uint8]:
    """Return changed copies of `[image, height, width, channel] uint8`, clipped to 0 and 255; `keys` are `[image]`.

    Each amount is uniform in its range. First brightness and contrast, then hue and saturation.
    """
    from pipeline.augmentation.counter_random import uniform

    is_levelled = settings.brightness or settings.contrast
    is_turned = values.shape[3] == _COLOURS and (settings.saturation or settings.hue_deg)
    if not (is_levelled or is_turned):
        return values
    import numpy as np

    amounts = 2 * uniform(keys, 0, _DRAWS) - 1
    changed = np.empty_like(values)
    block = max(1, _BLOCK_VALUES // int(np.prod(values.shape[1:])))
    for start in range(0, len(values), block):
        part = slice(start, start + block)
        brightness, contrast, saturation, hue = amounts[part].T
        levels = values[part]
        if is_levelled:
            levels = _levelled(levels, 1 + settings.brightness * brightness, 1 + settings.contrast * contrast)
        if is_turned:
            matrices = _matrices(1 + settings.saturation * saturation, np.deg2rad(settings.hue_deg) * hue)
            levels = _turned(levels, matrices)
        changed[part] = levels
    return changed


def _levelled(
    levels: npt.NDArray[np.uint8], brightness: npt.NDArray[np.float64], contrast: npt.NDArray[np.float64]
) -> npt.NDArray[np.uint8]:
    """Return levels times `brightness [image]`, their distance from the image's mean times `contrast [image]`."""
    import numpy as np

    flat = levels.reshape(len(levels), -1)
    mean = (flat.sum(axis=1, dtype=np.int64) / flat.shape[1])[:, None]  # of integers: in whatever order the same
    tables = brightness[:, None] * (mean + contrast[:, None] * (np.arange(256) - mean))
    picked = np.clip(np.rint(tables), 0, 255).astype(np.uint8).ravel()
    found: npt.NDArray[np.uint8] = picked.take(flat + 256 * np.arange(len(flat), dtype=np.int32)[:, None])
    return found.reshape(levels.shape)


def _matrices(saturation: npt.NDArray[np.float64], angle_rad: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Return `[image, 3, 3]`, new colours by old ones, in 2^-16: a turn about the axis of greys, then saturation.

    Every row adds up to exactly one, so that grey stays grey.
    """
    import numpy as np

    cosine, sine = np.cos(angle_rad)[:, None, None], np.sin(angle_rad)[:, None, None] / np.sqrt(3)
    turn = cosine * np.eye(3) + (1 - cosine) / 3 + sine * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    amount = saturation[:, None, None]
    exact = (amount * np.eye(3) + (1 - amount) * np.array(_LUMA)) @ turn
    matrices = np.rint(exact * 2**_ONE_BITS).astype(np.int32)
    for colour in range(_COLOURS):
        others = [other for other in range(_COLOURS) if other != colour]
        matrices[:, colour, colour] = 2**_ONE_BITS - matrices[:, colour, others].sum(axis=1)
    fixed: npt.NDArray[np.int32] = matrices
    return fixed


def _turned(levels: npt.NDArray[np.uint8], matrices: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """Return the colours that the matrices make of an image's, rounded."""
    import numpy as np

    flat = levels.reshape(len(levels), -1, _COLOURS).astype(np.int32)
    turned = np.empty_like(flat)
    for colour in range(_COLOURS):
        total = sum(flat[:, :, old] * matrices[:, colour, old, None] for old in range(_COLOURS))
        turned[:, :, colour] = (total + (1 << (_ONE_BITS - 1))) >> _ONE_BITS
    return np.clip(turned, 0, 255).astype(np.uint8).reshape(levels.shape)
