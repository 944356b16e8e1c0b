"""Real forms of one small model of a picture, made once, and of one of numbers: each answers as its SavedModel does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data.resizing import resize
from pipeline.evaluation.predict import predict
from pipeline.export import fixed_inputs
from pipeline.export.formats import litert, litert_int8, onnx
from pipeline.export.served import golden_rows, read_served, write_served
from pipeline.models import stored
from pipeline.models.build import build
from pipeline.records.served_model import ServedModel
from tests.models.made import architecture, column, image

FORMATS = ("saved_model", "onnx", "litert", "litert_int8")
PICTURES = architecture(
    image((12, 10, 3)), name="cnn", settings={"filters": [4], "dense": 4, "dropout": 0.0}, classes=("no", "yes")
)
NUMBERS = architecture(
    column("number", "fare", ["1", "2", "9"]), column("number", "age", ["3", "5", "9"], missing="mean")
)


def pictures(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Return dark and bright pictures, every second one bright."""
    levels = np.random.default_rng(seed).integers(0, 80, (rows, 12, 10, 3))
    levels[1::2] += 175
    return {"image": levels.astype(np.uint8)}


def trained() -> object:
    """Return a model that tells bright pictures from dark ones, as surely as 8 bits can follow."""
    import keras

    keras.utils.set_random_seed(1)
    model = build(PICTURES)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(pictures(256, 4), np.arange(256) % 2, epochs=8, verbose=0)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("formats")
    stored.save(root / "model", PICTURES, trained())
    write_served(
        root / "model",
        root / "exports",
        root / "served",
        pictures(300, 1),
        name="pictures",
        version=3,
        formats=FORMATS,
        calibration=pictures(64, 2),
    )
    return root


@pytest.fixture(scope="module")
def served(folder: Path) -> ServedModel:
    return read_served(folder / "served")


def test_every_form_is_there_with_its_size_its_parity_and_its_speed(served: ServedModel) -> None:
    assert served.refused == {}
    assert [form.name for form in served.formats] == list(FORMATS)
    for form in served.formats:
        assert [speed.rows for speed in form.speeds] == [1, 64]
        assert form.tolerance is None or form.largest_difference <= form.tolerance
    assert served.format("litert_int8").size_bytes < served.format("litert").size_bytes
    assert {"tf2onnx", "onnxruntime", "ai-edge-litert", "keras"} <= set(served.made_with)


def test_golden_rows_have_the_answers_of_the_trained_model(folder: Path) -> None:
    columns, answers = golden_rows(folder / "served")
    assert len(answers) == 256
    np.testing.assert_allclose(answers, predict(folder / "model", columns), rtol=0, atol=1e-6)


@pytest.mark.parametrize("sides", [(5, 7), (12, 10), (40, 31), (1, 1)])
def test_onnx_resizes_pictures_of_any_size_as_the_data_phase_does(folder: Path, sides: tuple[int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *sides, 3)).astype(np.uint8)
    asked = onnx.load(folder / "served" / onnx.PLACE)
    expected = predict(folder / "model", {"image": resize(images, 12, 10)})
    np.testing.assert_allclose(asked({"image": images}), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("form", [litert, litert_int8])
def test_a_row_alone_has_the_answer_it_has_among_others(folder: Path, form: object) -> None:
    asked, rows = form.load(folder / "served" / form.PLACE), pictures(5, 3)
    together = asked(rows)
    alone = [asked({"image": rows["image"][place : place + 1]})[0] for place in range(5)]
    np.testing.assert_allclose(np.stack(alone), together, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated")  # TensorFlow's own calibration
@pytest.mark.parametrize("form", [litert, litert_int8])
def test_a_litert_file_is_smaller_than_what_the_converter_wrote_and_answers_to_the_bit_as_that(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Any
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    monkeypatch.setattr(fixed_inputs, "compacted", lambda content: content)
    form.write(folder / "model", tmp_path / "model.tflite", form.Settings(), pictures(64, 2))
    whole, served, rows = tmp_path / "model.tflite", folder / "served" / form.PLACE, pictures(300, 1)
    assert served.stat().st_size < whole.stat().st_size
    assert form.load(served)(rows).tobytes() == form.load(whole)(rows).tobytes()
    before, after = (Interpreter(model_path=str(path)) for path in (whole, served))
    assert after.get_signature_list() == before.get_signature_list()
    for old, new in zip(before.get_tensor_details(), after.get_tensor_details(), strict=True):
        assert (new["dtype"], new["shape"].tolist()) == (old["dtype"], old["shape"].tolist())
        for key in ("scales", "zero_points"):
            assert new["quantization_parameters"][key].tolist() == old["quantization_parameters"][key].tolist()
    for ends in ("get_input_details", "get_output_details"):
        assert [each["name"] for each in getattr(after, ends)()] == [each["name"] for each in getattr(before, ends)()]


def test_a_missing_number_is_filled_or_has_no_answer_in_every_form_as_in_the_model(tmp_path: Path) -> None:
    stored.save(tmp_path / "model", NUMBERS, build(NUMBERS))
    rows = {"fare": np.linspace(0, 9, 70), "age": np.linspace(3, 9, 70)}
    served = write_served(
        tmp_path / "model", tmp_path / "exports", tmp_path / "served", rows, name="fares", version=None, formats=FORMATS
    )
    assert [form.name for form in served.formats] == ["saved_model", "onnx", "litert"]
    assert served.refused["litert_int8"].startswith("feature fare is a number")
    asked = {"fare": np.array([1.0, np.nan, 2.0]), "age": np.array([np.nan, 4.0, 5.0])}
    in_float32 = {name: values.astype(np.float32) for name, values in asked.items()}
    for form, given in ((onnx, asked), (litert, in_float32)):
        answers = form.load(tmp_path / "served" / form.PLACE)(given)
        assert np.isnan(answers).any(axis=1).tolist() == [False, True, False]
