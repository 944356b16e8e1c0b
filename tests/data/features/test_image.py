"""Images, the first kind of feature: what is unusable, what is equal, what is prepared, what is fitted."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.data.decoding import shape_digest
from pipeline.data.feature_kinds import specs
from pipeline.data.features import image
from pipeline.data.picture_reasons import (
    DAMAGED,
    EMPTY,
    NOT_A_PICTURE,
    REASONS,
    TOO_LARGE,
    TRUNCATED,
    WRONG_SIZE,
)
from pipeline.data.resizing import resize
from pipeline.records.feature import FeatureSpec
from tests.data.given import image_columns, image_feature, image_specs, images, picture
from tests.ranges import assert_ranges

PIXELS = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
[SPEC] = image_specs((2, 3, 1), (8, 9))


def rows(*changes: dict[str, object]) -> pa.Table:
    kinds = image.raw_columns("image").items()
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in kinds])
    return pa.Table.from_pylist([{**image_columns(PIXELS), **change} for change in changes], schema)


def cleaned(spec: FeatureSpec, table: pa.Table) -> np.ndarray:
    """Return what clean rows give a model."""
    found = image.examine(spec, table, image.raw_digests(spec, table))
    assert found.reasons.tolist() == [None] * table.num_rows
    return image.prepare(spec, pa.table(found.columns))


def png(pixels: np.ndarray) -> dict[str, object]:
    return {**image_columns(pixels), "image_encoding": "png", "image": picture(pixels, "png")}


TALL = PIXELS.reshape(3, 2, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"image": PIXELS.tobytes()[:-1]}, TRUNCATED),
        ({"image": PIXELS.tobytes() + b"x"}, DAMAGED),
        ({"image": None}, EMPTY),
        ({"image_encoding": "bmp"}, NOT_A_PICTURE),
        ({"image_encoding": None}, NOT_A_PICTURE),
        ({"image_height": None}, DAMAGED),
        ({"image_height": 0, "image": b""}, EMPTY),
        ({f"image_{side}": 2**31 - 1 for side in ("height", "width", "channels")}, TRUNCATED),
        ({"image_height": 3, "image_width": 2}, WRONG_SIZE),
        ({"image_height": 1, "image_width": 2, "image_channels": 3}, WRONG_SIZE),
        ({"image_height": 2, "image_width": 3, "image_channels": 3, "image": PIXELS.tobytes() * 3}, None),
        (png(PIXELS), None),
        ({**png(PIXELS), "image": picture(PIXELS, "png")[:-20]}, TRUNCATED),
        ({**png(PIXELS), "image_encoding": "jpeg"}, NOT_A_PICTURE),
        ({**png(PIXELS), "image": picture(TALL, "png")}, WRONG_SIZE),
        (png(TALL), WRONG_SIZE),
    ],
)
def test_an_image_is_unusable_for_the_first_reason_that_applies(changes, reason):
    table = rows({}, changes)

    found = image.examine(SPEC, table, image.raw_digests(SPEC, table))

    assert found.reasons.tolist() == [None, reason]
    assert [detail is None for detail in found.details] == [True, reason is None]


def test_a_png_holds_what_the_raw_image_does_and_is_another_payload():
    table = rows({}, png(PIXELS))
    delivered = image.raw_digests(SPEC, table)

    held = image.examine(SPEC, table, delivered).held

    assert held[0] == held[1] == delivered[0] != delivered[1]


def test_a_slice_of_rows_takes_its_own_payloads():
    whole = rows(*({"image": bytes([n] * 6)} for n in range(5)))

    assert image.raw_digests(SPEC, whole.slice(2, 3)) == image.raw_digests(SPEC, whole)[2:]


def test_a_null_is_the_empty_payload():
    assert len(set(image.raw_digests(SPEC, rows({"image": None}, {"image": b""})))) == 1


def test_images_are_decoded_and_resized_to_the_declared_size():
    prepared = cleaned(SPEC, rows({}, png(PIXELS)))

    assert prepared.shape == (2, 8, 9, 1)
    assert prepared.dtype == np.uint8
    assert np.array_equal(prepared[0], prepared[1])


def test_images_of_the_declared_size_are_kept_as_they_are():
    [spec] = image_specs((9, 8, 1), (9, 8))
    pixels = images(3, (9, 8, 1))
    table = rows(*map(image_columns, pixels))

    assert np.array_equal(cleaned(spec, table), pixels)


@pytest.mark.parametrize("rule", ["stretch", "crop", "pad"])
def test_pictures_of_any_size_and_encoding_are_resized_by_the_rule_of_the_recipe(rule):
    [spec] = specs(
        {"image": image_feature((0, 0, 3), (8, 9), raw_height=None, raw_width=None, resize=rule, background=7)}
    )
    pixels = [images(1, (*sides, 3), seed)[0] for seed, sides in enumerate([(5, 40), (30, 10), (8, 9), (5, 40)])]

    found = cleaned(spec, rows(*map(image_columns, pixels[:2]), *map(png, pixels[2:])))

    for each, picture_ in zip(found, pixels, strict=True):
        assert np.array_equal(each, resize(picture_[None], 8, 9, rule, 7)[0])


def test_grey_pictures_and_coloured_ones_are_one_feature():
    [spec] = specs({"image": image_feature((0, 0, 3), (8, 8), raw_height=None, raw_width=None)})
    grey = images(1, (8, 8, 1))[0]

    found = cleaned(spec, rows(png(grey), image_columns(grey), png(np.repeat(grey, 3, axis=2))))

    assert (found == grey).all()
    assert found.shape == (3, 8, 8, 3)


def test_a_picture_above_the_recipe_s_limit_is_refused():
    [spec] = specs({"image": image_feature((2, 3, 1), pixels_at_most=5)})
    table = rows({})

    assert image.examine(spec, table, image.raw_digests(spec, table)).reasons.tolist() == [TOO_LARGE]


def test_facts_are_each_image_s_mean_and_deviation():
    pixels = images(4, (8, 9, 1))

    facts, _ = image.describe(SPEC, pixels)

    assert list(facts) == list(SPEC.facts) == ["image_mean", "image_std"]
    assert facts["image_mean"] == pytest.approx(pixels.reshape(4, -1).mean(axis=1), rel=1e-6)
    assert facts["image_std"] == pytest.approx(pixels.reshape(4, -1).std(axis=1), rel=1e-6)


@given(st.sampled_from([1, 3]), st.lists(st.integers(0, 9), max_size=4), st.randoms())
def test_what_is_fitted_depends_neither_on_the_pieces_nor_on_their_order(channels, cuts, random):
    [spec] = specs({"image": image_feature((8, 8, channels))})
    pixels = images(9, (8, 8, channels))
    pieces = [image.describe(spec, piece)[1] for piece in np.split(pixels, sorted(cuts))]
    random.shuffle(pieces)

    found = image.fit(spec, pieces)

    assert found == image.fit(spec, [image.describe(spec, pixels)[1]])
    flat = pixels.reshape(-1, channels).astype(float)
    assert found["mean"] == pytest.approx(flat.mean(axis=0), rel=1e-9)
    assert found["std"] == pytest.approx(flat.std(axis=0), rel=1e-9)


def test_an_image_has_these_columns_facts_and_shape():
    assert image.raw_columns("photo") == {
        "photo_height": "int32",
        "photo_width": "int32",
        "photo_channels": "int32",
        "photo_mode": "string",
        "photo_encoding": "string",
        "photo": "binary",
    }
    assert image.facts("photo") == {"photo_mean": "float32", "photo_std": "float32"}
    assert image.clean_columns(SPEC) == {"image": pa.binary(72)}
    assert image.REASONS == REASONS
    assert (SPEC.shape, SPEC.dtype, SPEC.kind, SPEC.name) == ((8, 9, 1), "uint8", "image", "image")
    own = {"raw_height": 2, "raw_width": 3, "channels": 1, "height": 8, "width": 9}
    assert SPEC.settings == {**own, "resize": "stretch", "background": 255, "pixels_at_most": 64_000_000}
    assert (SPEC.facts, SPEC.fitted) == (image.facts("image"), None)


@pytest.mark.parametrize(("raw", "size", "bytes_"), [((2, 3, 1), (8, 9), 72), ((20, 30, 3), (8, 9), 216)])
def test_an_image_takes_its_prepared_form(raw, size, bytes_):
    [spec] = image_specs(raw, size)

    assert image.working_bytes(spec) == bytes_


def test_the_settings_and_their_ranges():
    given = SPEC.settings
    raw, prepared = (1, 16384, 0, 16385), (8, 1024, 7, 1025)
    assert_ranges(image.Settings, given, raw_height=raw, raw_width=raw, height=prepared, width=prepared)
    assert_ranges(image.Settings, given, channels=(1, 3, 0, 4))
    assert_ranges(image.Settings, given, background=(0, 255, -1, 256), pixels_at_most=(1, 178_956_970, 0, 178_956_971))
    for key in ("channels", "height", "width"):
        with pytest.raises(ValidationError):
            image.Settings.model_validate({name: value for name, value in given.items() if name != key})
    with pytest.raises(ValidationError):
        image.Settings.model_validate({**given, "channels": 2})
    with pytest.raises(ValidationError):
        image.Settings.model_validate({**given, "resize": "squash"})


def test_the_digest_of_a_payload_is_that_of_its_declared_shape_and_its_bytes():
    found = image.raw_digests(SPEC, rows({}, {"image_height": None, "image": None}))

    assert found == [shape_digest(2, 3, 1, PIXELS.tobytes()), shape_digest(0, 3, 1, b"")]


def test_an_unusable_image_keeps_the_digest_of_its_payload():
    table = rows({}, {"image_encoding": "bmp"}, png(TALL))
    delivered = image.raw_digests(SPEC, table)

    found = image.examine(SPEC, table, delivered)

    assert found.reasons.tolist() == [None, NOT_A_PICTURE, WRONG_SIZE]
    assert found.held == delivered


def test_each_picture_is_read_by_itself():
    one, other = PIXELS, PIXELS[::-1]
    table = rows(png(one), {"image": b""}, png(other), image_columns(other))

    found = image.examine(SPEC, table, image.raw_digests(SPEC, table))
    held = found.held

    assert found.reasons.tolist() == [None, EMPTY, None, None]
    assert held[2] == held[3] == shape_digest(2, 3, 1, other.tobytes())
    assert held[0] == shape_digest(2, 3, 1, one.tobytes())
