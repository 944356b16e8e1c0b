"""A picture is decoded for an answer as it was for the training."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from pipeline.records.served_model import ServedInput
from pipeline.serving.limits import Limits
from pipeline.serving.pictures import of_bytes


@pytest.mark.parametrize(("background", "level"), [(None, 255), (0, 0), (90, 90)])
def test_what_is_transparent_lies_over_the_background_of_the_training(background: int | None, level: int) -> None:
    written = io.BytesIO()
    Image.new("RGBA", (2, 2), (10, 20, 30, 0)).save(written, "PNG")
    taken = ServedInput(name="image", kind="image", dtype="uint8", shape=(None, None, 1), background=background)
    assert of_bytes(written.getvalue(), taken, Limits()).tolist() == [[[level], [level]]] * 2
