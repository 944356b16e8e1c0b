"""Images: from payloads of raw, PNG or JPEG bytes to fixed-size uint8, `[height, width, channel]`.

Recipe: `data: {features: {image: {kind: image, settings: {raw_height: 28, raw_width: 28, channels: 1, height: 28,
width: 28}}}}`.

A source delivers, for a feature `image`: its payload `image`, and `image_height`, `image_width`, `image_channels` and
`image_encoding` (raw, png, jpeg), which the payload is held against. Two images are equal when their decoded pixels
are, so a PNG equals the raw image it holds. Fitted are mean and standard deviation of each channel, in grey levels of
0 to 255.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from pipeline.data.grey_levels import ChannelSums
    from pipeline.records.feature import FeatureSpec
    from pipeline.storage.shards import Columns

UNREADABLE = "unreadable"
WRONG_SIZE = "wrong size"
REASONS = (UNREADABLE, WRONG_SIZE)


class Settings(Base):
    """Its settings in the recipe."""

    raw_height: int = Field(ge=1, le=4096, description="height that the source must deliver, pixels")
    raw_width: int = Field(ge=1, le=4096, description="width that the source must deliver, pixels")
    channels: Literal[1, 3] = Field(description="1 grey, 3 colour")
    height: int = Field(ge=8, le=1024, description="height that every image is resized to, pixels")
    width: int = Field(ge=8, le=1024, description="width that every image is resized to, pixels")


def raw_columns(name: str) -> dict[str, str]:
    """Return the columns that a source delivers, with their Arrow types."""
    sides = {f"{name}_{side}": "int32" for side in ("height", "width", "channels")}
    return {**sides, f"{name}_encoding": "string", name: "binary"}


def facts(name: str) -> dict[str, str]:
    """Return what stands beside a prepared image: mean and standard deviation of its grey levels."""
    return {f"{name}_mean": "float32", f"{name}_std": "float32"}


def shape(settings: Settings) -> tuple[int, ...]:
    """Return the shape of a prepared image."""
    return settings.height, settings.width, settings.channels


def spec(name: str, settings: Settings) -> FeatureSpec:
    """Return the feature as it is prepared, not fitted yet."""
    from pipeline.records.feature import FeatureSpec

    complete = settings.model_dump(mode="json")
    return FeatureSpec(
        name=name, kind="image", dtype="uint8", shape=shape(settings), settings=complete, facts=facts(name)
    )


def working_bytes(spec: FeatureSpec) -> int:
    """Return the bytes of an image as delivered or as prepared, whichever is larger."""
    height, width, channels = _raw_shape(spec)
    return max(height * width * channels, spec.size_bytes)


def raw_digests(spec: FeatureSpec, rows: pa.Table) -> list[str]:
    """Return the digest of each declared shape and payload, `[row]`. A null is empty, or 0."""
    from pipeline.data.decoding import shape_digest
    from pipeline.data.payloads import payload_views

    sides = (rows[f"{spec.name}_{side}"].fill_null(0).to_pylist() for side in ("height", "width", "channels"))
    return list(map(shape_digest, *sides, payload_views(rows[spec.name])))


def examine(spec: FeatureSpec, rows: pa.Table, digests: Sequence[str]) -> tuple[npt.NDArray[np.object_], list[str]]:
    """Return why each image is unusable (one of REASONS, or None), and the digest of its pixels, `[row]`."""
    import numpy as np

    from pipeline.data.decoding import ENCODINGS, decode_picture, shape_digest
    from pipeline.data.payloads import payload_views

    expected = _raw_shape(spec)
    reasons = np.full(rows.num_rows, None, np.object_)
    of_pixels = list(digests)
    sides = [rows[f"{spec.name}_{side}"].fill_null(0).to_numpy() for side in ("height", "width", "channels")]
    shapes = np.stack(sides, axis=1).astype(np.int64)
    views = payload_views(rows[spec.name])
    sizes = np.fromiter((len(view) for view in views), np.int64, len(views))
    encodings = np.asarray(rows[f"{spec.name}_encoding"].to_pylist(), np.object_)
    # Python's integers: the product of three declared sides may exceed 64 bits.
    declared = np.prod(shapes.astype(np.object_), axis=1, initial=1)
    is_raw = encodings == "raw"
    reasons[(is_raw & (sizes != declared)) | (sizes == 0) | ~np.isin(encodings, ENCODINGS)] = UNREADABLE
    is_wrong_size = (shapes != np.asarray(expected)).any(axis=1)
    reasons[(reasons == None) & is_wrong_size] = WRONG_SIZE  # noqa: E711 - element by element
    for row in np.flatnonzero((reasons == None) & ~is_raw):  # noqa: E711
        pixels = decode_picture(views[row], encodings[row], expected)
        if pixels is None:
            reasons[row] = UNREADABLE
        else:
            of_pixels[row] = shape_digest(*expected, pixels.tobytes())
    return reasons, of_pixels


def prepare(spec: FeatureSpec, rows: pa.Table) -> npt.NDArray[np.uint8]:
    """Return the decoded and resized images of clean rows, `[row, height, width, channel] uint8`."""
    from pipeline.data.decoding import decode_payloads
    from pipeline.data.resizing import resize

    pixels = decode_payloads(rows[spec.name], rows[f"{spec.name}_encoding"], _raw_shape(spec))
    return resize(pixels, *spec.shape[:2])


def describe(spec: FeatureSpec, values: npt.NDArray[np.uint8]) -> tuple[Columns, ChannelSums]:
    """Return each image's mean and standard deviation, and the sums over all images by channel."""
    from pipeline.data.grey_levels import ChannelSums, image_sums

    sums = image_sums(values)
    return dict(zip(spec.facts, sums.mean_and_std(), strict=True)), ChannelSums.of(sums)


def thumbnails(
    spec: FeatureSpec,  # noqa: ARG001 - as every kind is asked
    values: npt.NDArray[np.uint8],
    shift: tuple[int, int] = (0, 0),
) -> npt.NDArray[np.uint8]:
    """Return what prepared images look like, in grey, `[row, 32, 32]`, shifted by so many pixels of these."""
    from pipeline.data import perceptual_hash

    return perceptual_hash.thumbnails(values, shift)


def fit(spec: FeatureSpec, partials: Sequence[ChannelSums]) -> dict[str, Any]:  # noqa: ARG001 - as every kind is fitted
    """Return mean and (population) standard deviation of each channel, from exact sums of integers."""
    mean, std = sum(partials[1:], partials[0]).statistics()
    return {"mean": mean, "std": std}


def _raw_shape(spec: FeatureSpec) -> tuple[int, int, int]:
    settings = spec.settings
    return settings["raw_height"], settings["raw_width"], settings["channels"]
