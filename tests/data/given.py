"""What the data tests are about: one image feature, and raw rows of it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from pipeline.data.feature_kinds import Specs, content_digests, raw_schema, specs
from pipeline.recipe.slots import Feature

Shape = tuple[int, int, int]


def images(count: int, shape: Shape = (9, 7, 1), seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def image_feature(raw: Shape = (8, 8, 1), size: tuple[int, int] = (8, 8), **settings: Any) -> Feature:
    sides = {"raw_height": raw[0], "raw_width": raw[1], "channels": raw[2], "height": size[0], "width": size[1]}
    return Feature(kind="image", settings={**sides, **settings})


def image_specs(raw: Shape = (8, 8, 1), size: tuple[int, int] = (8, 8)) -> Specs:
    return specs({"image": image_feature(raw, size)})


def picture(pixels: np.ndarray[Any, np.dtype[np.uint8]], encoding: str) -> bytes:
    """Return `[height, width, channel]` pixels as a picture's bytes."""
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(content, encoding.upper())
    return content.getvalue()


def image_columns(pixels: np.ndarray[Any, np.dtype[np.uint8]], name: str = "image") -> dict[str, Any]:
    """Return the raw columns of one raw image, `[height, width, channel]`."""
    sides = dict(zip((f"{name}_{side}" for side in ("height", "width", "channels")), pixels.shape, strict=True))
    mode = "L" if pixels.shape[2] == 1 else "RGB"
    return {**sides, f"{name}_mode": mode, f"{name}_encoding": "raw", name: pixels.tobytes()}


def raw_row(number: int = 0, **values: Any) -> dict[str, Any]:
    """Return a row's own columns, and the values of its features."""
    return {"id": f"row-{number}", "label": 0, "part": "train", "source": "file", "row": number, **values}


def raw_table(features: Specs, *rows: Mapping[str, Any]) -> pa.Table:
    """Return raw rows with their digests."""
    table = pa.Table.from_pylist(list(rows), raw_schema(features))
    place = table.column_names.index("content_digest")
    return table.set_column(place, "content_digest", pa.array(content_digests(features, table)))


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive of these files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, each in files.items():
            archive.writestr(name, each)
    return content.getvalue()
