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
SEVERAL = architecture(image((12, 10, 3)), image(name="depth"), classes=CLASSES)
SMALL = [
    RGB,
    architecture(**{**CNN, "settings": {"filters": [4, 4, 4, 4, 4]}}),
    architecture(settings={"units": [8], "dropout": 0.2}, classes=CLASSES),
    SEVERAL,
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


@pytest.mark.parametrize("name", ["dense", "logits", "flatten", "probabilities", "dense_0", "joined"])
@pytest.mark.parametrize("kind", ["cnn", "mlp"])
def test_a_feature_may_be_called_as_a_layer_is(kind: str, name: str) -> None:
    made = architecture(image(name=name), name=kind, settings={})
    assert build(made)(rows_of(made)).shape == (5, 2)


def test_every_feature_makes_a_difference() -> None:
    model, rows = logits_of(build(SEVERAL)), rows_of(SEVERAL)
    answers = model(rows).numpy()
    for name, values in rows.items():
        assert not np.allclose(model({**rows, name: 255 - values}).numpy(), answers)


def test_a_convolved_image_is_joined_by_what_is_not_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.models.preprocessing import image as kind

    joined = architecture(image((12, 10, 3)), image(name="length", shape=(8, 8, 1)).changed(shape=(7,)), **CNN)
    normalised = kind.layers
    monkeypatch.setattr(kind, "layers", lambda spec, x: normalised(spec, x) if spec.name == "image" else as_float(x))
    model, rows = build(joined), rows_of(joined)

    assert weights_of(model)["dense/kernel"].shape == (3 * 2 * 8 + 7, 6)
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


@pytest.mark.parametrize("made", [RGB, SEVERAL], ids=["cnn", "mlp"])
def test_logits_are_what_the_answers_are_made_of(made: Architecture) -> None:
    model, rows = build(made), rows_of(made)
    logits = logits_of(model)(rows).numpy().astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert model(rows).numpy() == pytest.approx(shares, abs=1e-6)


@pytest.mark.parametrize("made", [RGB, SEVERAL], ids=["cnn", "mlp"])
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


@settings(max_examples=15)
@given(
    name=st.sampled_from(["cnn", "mlp"]),
    layers=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    kernel=st.integers(1, 15),
    sides=st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3])),
    classes=st.integers(2, 5),
)
def test_the_weights_counted_before_any_work_are_those_that_are_built(
    name: str, layers: list[int], kernel: int, sides: tuple[int, int, int], classes: int
) -> None:
    chosen = {"filters": layers, "kernel": kernel, "dense": 3} if name == "cnn" else {"units": layers}
    names = tuple(map(str, range(classes)))
    made = architecture(image(sides), name=name, settings=chosen, classes=names)

    counted = ARCHITECTURE.member(name).weight_count(settings_of(made), {"image": sides}, classes)
    assert counted == build(made).count_params()
