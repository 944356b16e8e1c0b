"""The MLflow model of a version as users load it: images of any size in, features by name if there are several."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from pipeline.data.resizing import resize
from pipeline.errors import Bug
from pipeline.evaluation.predict import predict
from pipeline.export.saved_model import exported
from pipeline.models import stored
from pipeline.models.build import build
from pipeline.records.architecture import Architecture, TargetScale
from pipeline.registry.bundle import write_bundle
from tests.models.made import architecture, column, image, rows_of, text, texts_of

ONE = architecture(image((12, 10, 3)))
TWO = architecture(image((12, 10, 3)), image(name="depth"))


def bundle(made: Architecture, folder: Path) -> tuple[Path, Path]:
    """Store a new model and write its bundle; return both folders."""
    stored.save(folder / "model", made, build(made))
    write_bundle(folder / "model", exported(folder / "model", folder / "exports"), folder / "bundle", rows_of(made, 4))
    return folder / "model", folder / "bundle"


def inputs_of(folder: Path) -> list[dict[str, Any]]:
    signature = mlflow.models.get_model_info(str(folder)).signature
    taken: list[dict[str, Any]] = signature.inputs.to_dict()
    return taken


def test_a_model_of_one_image_takes_an_array_of_images_of_any_size(tmp_path: Path) -> None:
    model, written = bundle(ONE, tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 31, 3)).astype(np.uint8)

    answers = mlflow.pyfunc.load_model(str(written)).predict(images)

    np.testing.assert_allclose(answers, predict(model, {"image": resize(images, 12, 10)}), rtol=0, atol=1e-6)
    assert inputs_of(written) == [{"type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": (-1, -1, -1, 3)}}]


def test_a_model_of_several_features_takes_them_by_name_and_names_its_answers(tmp_path: Path) -> None:
    model, written = bundle(TWO, tmp_path)
    rows = rows_of(TWO, 3)
    rows["image"] = np.random.default_rng(0).integers(0, 256, (3, 40, 31, 3)).astype(np.uint8)

    answers = mlflow.pyfunc.load_model(str(written)).predict(rows)

    expected = predict(model, {**rows, "image": resize(rows["image"], 12, 10)})
    np.testing.assert_allclose(answers["probabilities"], expected, rtol=0, atol=1e-6)
    assert [(taken["name"], taken["tensor-spec"]["shape"]) for taken in inputs_of(written)] == [
        ("image", (-1, -1, -1, 3)),
        ("depth", (-1, -1, -1, 1)),
    ]


def test_a_model_of_one_text_takes_an_array_of_texts_of_any_length(tmp_path: Path) -> None:
    made = architecture(text(length=9))
    stored.save(tmp_path / "model", made, build(made))
    export, rows = exported(tmp_path / "model", tmp_path / "exports"), rows_of(made, 4)
    write_bundle(tmp_path / "model", export, tmp_path / "bundle", rows, {"body": texts_of(4)})

    answers = mlflow.pyfunc.load_model(str(tmp_path / "bundle")).predict(np.array(texts_of(4)))

    np.testing.assert_allclose(answers, predict(tmp_path / "model", rows), rtol=0, atol=1e-6)
    assert inputs_of(tmp_path / "bundle") == [{"type": "tensor", "tensor-spec": {"dtype": "object", "shape": (-1,)}}]


def test_a_model_of_a_picture_and_a_text_takes_both_by_name(tmp_path: Path) -> None:
    made = architecture(image((12, 10, 3)), text(length=9), name="joined", settings={"filters": [4], "phrases": 4})
    stored.save(tmp_path / "model", made, build(made))
    export, rows = exported(tmp_path / "model", tmp_path / "exports"), rows_of(made, 4)
    raw = {"image": rows["image"], "body": texts_of(4)}
    write_bundle(tmp_path / "model", export, tmp_path / "bundle", rows, raw)

    answers = mlflow.pyfunc.load_model(str(tmp_path / "bundle")).predict({**raw, "body": np.array(raw["body"])})

    expected = predict(tmp_path / "model", rows)
    np.testing.assert_allclose(answers["probabilities"], expected, rtol=0, atol=1e-6)
    assert [(taken["name"], taken["tensor-spec"]) for taken in inputs_of(tmp_path / "bundle")] == [
        ("image", {"dtype": "uint8", "shape": (-1, -1, -1, 3)}),
        ("body", {"dtype": "object", "shape": (-1,)}),
    ]


def test_a_number_predicted_from_a_text_and_a_category_is_published_by_row(tmp_path: Path) -> None:
    carrier = column("category", "carrier", ["AA", "UA", "AA"])
    target = TargetScale(mean=40.0, deviation=25.0)
    made = architecture(text(length=9), carrier, name="gru", settings={"units": 4}, task="regression", classes=())
    made = made.changed(target=target)
    stored.save(tmp_path / "model", made, build(made))
    export = exported(tmp_path / "model", tmp_path / "exports")
    rows = {"body": rows_of(architecture(text(length=9)), 4)["body"], "carrier": np.array([1, 0, 2, 1], np.int32)}
    raw = {"body": texts_of(4), "carrier": ["AA", "", "UA", "AA"]}

    write_bundle(tmp_path / "model", export, tmp_path / "bundle", rows, raw)

    asked = {name: np.array(texts) for name, texts in raw.items()}
    [answers] = mlflow.pyfunc.load_model(str(tmp_path / "bundle")).predict(asked).values()
    np.testing.assert_allclose(np.ravel(answers), np.ravel(predict(tmp_path / "model", rows)), rtol=1e-5)


@pytest.mark.parametrize("made", [ONE, TWO], ids=["one", "two"])
def test_an_export_that_answers_otherwise_is_never_published(made: Architecture, tmp_path: Path) -> None:
    stored.save(tmp_path / "model", made, build(made))
    export = exported(tmp_path / "model", tmp_path / "exports")
    shutil.rmtree(tmp_path / "model")
    stored.save(tmp_path / "model", made, build(made))  # with other weights

    with pytest.raises(Bug, match="answers differently from the model it was made from"):
        write_bundle(tmp_path / "model", export, tmp_path / "bundle", rows_of(made, 4))
