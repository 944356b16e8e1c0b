"""Models as TensorFlow builds them, of one feature and of several."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.models import stored
from pipeline.models.build import build, logits_of, set_weights, settings_of, weights_of
from pipeline.recipe.recipe import ARCHITECTURE
from pipeline.records.architecture import Architecture
from tests.models.made import architecture, image, rows_of

ROOT = Path(__file__).parents[3]
CLASSES = ("one", "two", "three")
CNN = {"name": "cnn", "settings": {"filters": [4, 8], "dense": 6, "dropout": 0.5}, "classes": CLASSES}
RGB = architecture(image((12, 10, 3)), **CNN)
RESIDUAL = {"name": "resnet", "settings": {"width": 4, "blocks": [1, 2]}, "classes": CLASSES}
RESNET = architecture(image((12, 10, 3)), **RESIDUAL)
SEVERAL = architecture(image((12, 10, 3)), image(name="depth"), classes=CLASSES)
SMALL = [
    RGB,
    architecture(**{**CNN, "settings": {"filters": [4, 4, 4, 4, 4]}}),
    architecture(settings={"units": [8], "dropout": 0.2}, classes=CLASSES),
    SEVERAL,
    RESNET,
]
BEFORE = [ROOT / "tests/system/registry/published_before" / version for version in ("v1", "v2")]


@pytest.fixture(autouse=True)
def the_first_weights_are_the_same_in_every_run() -> None:
    import keras

    keras.utils.set_random_seed(1)


@pytest.mark.parametrize("architecture", SMALL, ids=lambda a: f"{a.name}-{'-'.join(s.name for s in a.features)}")
def test_prepared_features_go_in_by_name_and_probabilities_come_out(architecture: Architecture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = build(architecture)
        answer = model(rows_of(architecture)).numpy()

    assert answer.shape == (5, len(CLASSES))
    assert answer.dtype == np.float32
    assert answer.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-6)
    assert {name: tensor.dtype for name, tensor in model.input.items()} == {
        spec.name: spec.dtype for spec in architecture.features
    }


@pytest.mark.parametrize(
    "name", ["dense", "logits", "flatten", "probabilities", "dense_0", "joined", "stem", "average"]
)
@pytest.mark.parametrize("kind", ["cnn", "mlp", "resnet"])
def test_a_feature_may_be_called_as_a_layer_is(kind: str, name: str) -> None:
    made = architecture(image(name=name), name=kind, settings={})
    assert build(made)(rows_of(made)).shape == (5, 2)


def test_every_feature_makes_a_difference() -> None:
    model, rows = logits_of(build(SEVERAL)), rows_of(SEVERAL)
    answers = model(rows).numpy()
    for name, values in rows.items():
        assert not np.allclose(model({**rows, name: 255 - values}).numpy(), answers)


@pytest.mark.parametrize(
    ("convolving", "layer", "shape"), [(CNN, "dense", (3 * 2 * 8 + 7, 6)), (RESIDUAL, "logits", (8 + 7, 3))]
)
def test_a_convolved_image_is_joined_by_what_is_not_an_image(
    convolving: dict[str, Any], layer: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.models.preprocessing import image as kind

    joined = architecture(image((12, 10, 3)), image(name="length", shape=(8, 8, 1)).changed(shape=(7,)), **convolving)
    normalised = kind.layers
    monkeypatch.setattr(kind, "layers", lambda spec, x: normalised(spec, x) if spec.name == "image" else as_float(x))
    model, rows = build(joined), rows_of(joined)

    assert weights_of(model)[f"{layer}/kernel"].shape == shape
    logits = logits_of(model)  # probabilities of such large numbers are 0 and 1 under most first weights
    assert not np.allclose(logits({**rows, "length": 255 - rows["length"]}).numpy(), logits(rows).numpy())


def as_float(values: Any) -> Any:
    import keras

    return keras.ops.cast(values, "float32")


def test_the_normalisation_is_inside_and_a_flat_channel_is_not_divided_by_zero() -> None:
    import keras

    fitted = {"mean": [10.0, 100.0, 200.0], "std": [5.0, 50.0, 0.0]}
    model = build(architecture(image((12, 10, 3), fitted=fitted)))
    normalised = keras.Model(model.input, model.get_layer("image.normalised").output)
    pixel = np.full((1, 12, 10, 3), [15, 200, 201], np.uint8)
    assert normalised({"image": pixel}).numpy()[0, 0, 0] == pytest.approx([1.0, 2.0, 1.0], abs=1e-5)


@pytest.mark.parametrize("made", [RGB, SEVERAL, RESNET], ids=["cnn", "mlp", "resnet"])
def test_logits_are_what_the_answers_are_made_of(made: Architecture) -> None:
    model, rows = build(made), rows_of(made)
    logits = logits_of(model)(rows).numpy().astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert model(rows).numpy() == pytest.approx(shares, abs=1e-6)


@pytest.mark.parametrize("made", [RGB, SEVERAL, RESNET], ids=["cnn", "mlp", "resnet"])
def test_a_stored_model_answers_as_it_did(made: Architecture, tmp_path: Path) -> None:
    model = build(made)
    stored.save(tmp_path / "model", made, model)
    again = stored.load(tmp_path / "model")
    assert again(rows_of(made)).numpy().tobytes() == model(rows_of(made)).numpy().tobytes()
    described = stored.read_architecture(tmp_path / "model")
    assert (described.parameters, described.classes) == (model.count_params(), CLASSES)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    stored.save(tmp_path, RGB, build(RGB))
    with pytest.raises(DataError, match=r"weight convolution_0/kernel has shape .*train it again"):
        set_weights(build(SMALL[1]), stored.read_weights(tmp_path), "here")


@pytest.mark.parametrize("folder", BEFORE, ids=lambda path: path.name)
def test_a_model_of_an_earlier_ratchet_answers_what_its_weights_say(folder: Path) -> None:
    """By its published arithmetic, in numpy: (pixel - mean) / deviation, one layer of relu, logits, softmax."""
    described, weights = stored.read_architecture(folder), stored.read_weights(folder)
    pixels = rows_of(described, 50)["image"]
    [mean], [std] = described.features[0].fitted["mean"], described.features[0].fitted["std"]  # type: ignore[index]
    x = ((pixels.astype(np.float64) - mean) / std).reshape(50, -1)
    x = np.maximum(0, x @ weights["dense_0/kernel"] + weights["dense_0/bias"])
    logits = x @ weights["logits/kernel"] + weights["logits/bias"]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    assert stored.load(folder)({"image": pixels}).numpy() == pytest.approx(expected, abs=1e-5)


SIDES = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4))


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(["cnn", "mlp", "resnet"]),
    layers=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    size=st.integers(1, 15),
    sides=SIDES,
    classes=st.integers(2, 5),
)
def test_the_weights_counted_before_any_work_are_those_that_are_built(
    name: str, layers: list[int], size: int, sides: tuple[int, int, int], classes: int
) -> None:
    of_each: dict[str, dict[str, Any]] = {
        "cnn": {"filters": layers, "kernel": size, "dense": 3},
        "mlp": {"units": layers},
        "resnet": {"blocks": layers, "width": size},
    }
    names = tuple(map(str, range(classes)))
    made = architecture(image(sides), name=name, settings=of_each[name], classes=names)

    counted = ARCHITECTURE.member(name).weight_count(settings_of(made), {"image": sides}, classes)
    assert counted == build(made).count_params()


@pytest.mark.parametrize("convolving", [CNN, RESIDUAL], ids=["cnn", "resnet"])
@settings(max_examples=20, deadline=None)
@given(sides=SIDES)
def test_images_of_any_size_and_number_of_channels_are_answered(
    convolving: dict[str, Any], sides: tuple[int, int, int]
) -> None:
    made = architecture(image(sides), **convolving)
    answers = build(made)(rows_of(made)).numpy()
    assert answers.shape == (5, len(CLASSES))
    assert answers.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_a_residual_network_has_as_many_weights_whatever_the_size_of_the_image() -> None:
    counts = {build(architecture(image(sides), **RESIDUAL)).count_params() for sides in [(8, 8, 3), (64, 31, 3)]}
    assert len(counts) == 1


def test_a_residual_block_adds_what_it_computes_to_what_it_was_given() -> None:
    """With all convolutions at 0 the first block gives back its input: what is left is the stem's average."""
    import keras

    made = architecture(image((12, 10, 3)), **{**RESIDUAL, "settings": {"width": 4, "blocks": [3]}})
    model = build(made)
    weights = weights_of(model)
    set_weights(
        model,
        {name: np.zeros_like(w) if name.startswith("block") and "kernel" in name else w for name, w in weights.items()},
        "here",
    )
    parts = [model.get_layer(name).output for name in ("stem_relu", "average")]
    stem, average = keras.Model(model.input, parts)(rows_of(made))
    assert stem.numpy().max() > 0
    np.testing.assert_allclose(average.numpy(), stem.numpy().mean(axis=(1, 2)), rtol=1e-5)


def test_images_that_are_all_alike_are_no_division_by_zero() -> None:
    made = architecture(image((9, 9, 1)), **RESIDUAL)
    model = build(made)
    assert np.isfinite(model({"image": np.zeros((4, 9, 9, 1), np.uint8)}, training=True).numpy()).all()
