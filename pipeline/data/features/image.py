"""Images: from payloads of pictures of any size to fixed-size uint8, `[height, width, channel]`.

Recipe: `data: {features: {image: {kind: image, settings: {channels: 3, height: 64, width: 64, resize: crop}}}}`.

A source delivers, for a feature `image`: its payload `image`, the bytes of a file or of a raw array, its
`image_encoding` (raw, png, jpeg, webp, bmp, tiff, gif), and what the header says: `image_height`, `image_width`,
`image_channels`, `image_mode` (as Pillow names it; 0 and null where it says nothing). Of raw arrays the sides count;
of files they are for contracts, and the file itself is decoded, once, by the rules of `data/decoding.py`.

Clean rows hold the picture resized. Its digest is that of its pixels before that, so a PNG has that of the raw image it
holds, and another size of prepared images gives no other digest. Fitted are mean and standard deviation of each
channel, in grey levels of 0 to 255.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pipeline.data.picture_reasons import REASONS as REASONS
from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from pipeline.data.decoding import Rules
    from pipeline.data.feature_kinds import Examined
    from pipeline.data.grey_levels import ChannelSums
    from pipeline.records.feature import FeatureSpec
    from pipeline.storage.shards import Columns

_SIDES = ("height", "width", "channels")


class Settings(Base):
    """Its settings in the recipe."""

    column: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="column of a table with the paths of the pictures' files; null: the feature's name",
    )
    raw_height: int | None = Field(
        default=None, ge=1, le=16_384, description="height that the source must deliver, pixels; null: any"
    )
    raw_width: int | None = Field(
        default=None, ge=1, le=16_384, description="width that the source must deliver, pixels; null: any"
    )
    channels: Literal[1, 3] = Field(description="1 grey, 3 colour")
    height: int = Field(ge=8, le=1024, description="height that every image is resized to, pixels")
    width: int = Field(ge=8, le=1024, description="width that every image is resized to, pixels")
    resize: Literal["stretch", "crop", "pad"] = Field(
        default="stretch", description="how another aspect fits: it is stretched, or its centre cut out, or padded"
    )
    background: int = Field(
        default=255, ge=0, le=255, description="grey level behind transparent pixels, and around a padded image"
    )
    pixels_at_most: int = Field(
        default=64_000_000, ge=1, le=178_956_970, description="pixels above which a picture is not decoded"
    )


def raw_columns(name: str) -> dict[str, str]:
    """Return the columns that a source delivers, with their Arrow types."""
    sides = {f"{name}_{side}": "int32" for side in _SIDES}
    return {**sides, f"{name}_mode": "string", f"{name}_encoding": "string", name: "binary"}


def clean_columns(spec: FeatureSpec) -> dict[str, pa.DataType]:
    """Return the column of decoded and resized images: as prepared ones."""
    from pipeline.storage.shards import arrow_type

    return {spec.name: arrow_type(spec)}


def facts(name: str) -> dict[str, str]:
    """Return what stands beside a prepared image: mean and standard deviation of its grey levels."""
    return {f"{name}_mean": "float32", f"{name}_std": "float32"}


def shape(settings: Settings) -> tuple[int, ...]:
    """Return the shape of a prepared image."""
    return settings.height, settings.width, settings.channels


def spec(name: str, settings: Settings) -> FeatureSpec:
    """Return the feature as it is prepared, not fitted yet."""
    from pipeline.records.feature import FeatureSpec

    complete = settings.model_dump(mode="json", exclude={"column"})  # where it stands makes no other picture
    return FeatureSpec(
        name=name, kind="image", dtype="uint8", shape=shape(settings), settings=complete, facts=facts(name)
    )


def working_bytes(spec: FeatureSpec) -> int:
    """Return the bytes of a prepared image."""
    return spec.size_bytes


def raw_digests(spec: FeatureSpec, rows: pa.Table) -> list[str]:
    """Return the digest of each declared shape and payload, `[row]`. A null is empty, or 0."""
    from pipeline.data.decoding import shape_digest
    from pipeline.data.payloads import iter_payload_views

    return list(map(shape_digest, *_sides(spec, rows).T.tolist(), iter_payload_views(rows[spec.name])))


def examine(spec: FeatureSpec, rows: pa.Table, digests: Sequence[str]) -> Examined:
    """Return why each image is unusable, the digest of its pixels, and its pixels resized."""
    import numpy as np
    import pyarrow.compute as pc

    from pipeline.data.feature_kinds import Examined
    from pipeline.data.raw_pictures import usable_arrays
    from pipeline.storage.shards import column_of

    reasons, details = np.full((2, rows.num_rows), None, np.object_)
    held = list(digests)
    resized = np.zeros((rows.num_rows, *spec.shape), np.uint8)
    is_left = np.ones(rows.num_rows, np.bool_)
    is_raw = pc.equal(rows[f"{spec.name}_encoding"], "raw").fill_null(False).to_numpy()
    for places, pixels in usable_arrays(rows[spec.name], is_raw, _sides(spec, rows), _rules(spec)):
        resized[places] = _resized(spec, pixels)
        is_left[places] = False
    if is_left.any():
        _examine_each(spec, rows, np.flatnonzero(is_left).tolist(), reasons, details, held, resized)
    return Examined(reasons, details, held, {spec.name: column_of(resized, spec)})


def _examine_each(
    spec: FeatureSpec,
    rows: pa.Table,
    places: Sequence[int],
    reasons: npt.NDArray[np.object_],
    details: npt.NDArray[np.object_],
    held: list[str],
    resized: npt.NDArray[np.uint8],
) -> None:
    """Examine the rows at these places one by one, and write what is found there."""
    import numpy as np

    from pipeline.data import decoding
    from pipeline.data.payloads import payload_views

    rules = _rules(spec)
    views = payload_views(rows[spec.name])
    encodings = rows[f"{spec.name}_encoding"].to_pylist()
    shapes = _sides(spec, rows).tolist()
    alike: dict[tuple[int, int], list[tuple[int, npt.NDArray[np.uint8]]]] = defaultdict(list)
    for row in places:
        shape = tuple(shapes[row])
        is_raw = encodings[row] == "raw"
        view = views[row]
        found = decoding.of_raw(view, shape, rules) if is_raw else decoding.decode(view, encodings[row], rules)
        if isinstance(found, decoding.Refused):
            reasons[row], details[row] = found
            continue
        if not is_raw or found.shape != shape:
            height, width, channels = found.shape
            held[row] = decoding.shape_digest(height, width, channels, np.ascontiguousarray(found).data)
        if is_raw:
            alike[found.shape[0], found.shape[1]].append((row, found))  # they are resized together
        else:
            resized[row] = _resized(spec, found[None])[0]
    for together in alike.values():
        resized[[row for row, _ in together]] = _resized(spec, np.stack([pixels for _, pixels in together]))


def prepare(spec: FeatureSpec, rows: pa.Table) -> npt.NDArray[np.uint8]:
    """Return the images of clean rows, `[row, height, width, channel] uint8`: as they are."""
    from pipeline.storage.shards import array_of

    return array_of(rows[spec.name], spec)


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


def _sides(spec: FeatureSpec, rows: pa.Table) -> npt.NDArray[np.int64]:
    """Return the declared sides, `[row, 3]`. A null is 0."""
    import numpy as np

    sides = (rows[f"{spec.name}_{side}"].fill_null(0).to_numpy() for side in _SIDES)
    return np.stack([*sides], axis=1).astype(np.int64)


def _rules(spec: FeatureSpec) -> Rules:
    from pipeline.data.decoding import Rules

    settings = spec.settings
    return Rules(
        settings["channels"],
        settings["background"],
        settings["pixels_at_most"],
        settings["raw_height"],
        settings["raw_width"],
    )


def _resized(spec: FeatureSpec, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    from pipeline.data.resizing import resize

    height, width, _ = spec.shape
    return resize(pixels, height, width, spec.settings["resize"], spec.settings["background"])
