"""Images: from payloads of raw, PNG or JPEG bytes to fixed-size uint8, `[height, width, channel]`.

Recipe: `data: {features: {image: {kind: image, settings: {raw_height: 28, raw_width: 28, channels: 1, height: 28,
width: 28}}}}`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    raw_height: int = Field(ge=1, le=4096, description="height that the source must deliver, pixels")
    raw_width: int = Field(ge=1, le=4096, description="width that the source must deliver, pixels")
    channels: Literal[1, 3] = Field(description="1 grey, 3 colour")
    height: int = Field(ge=8, le=1024, description="height that every image is resized to, pixels")
    width: int = Field(ge=8, le=1024, description="width that every image is resized to, pixels")
