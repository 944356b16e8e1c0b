"""The exported model: raw features in by name, of any size, in a process that loads neither Keras nor this package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.data.resizing import resize
from pipeline.errors import DataError
from pipeline.evaluation.predict import predict
from pipeline.export import saved_model
from pipeline.export.ask import ask, ask_export
from pipeline.export.saved_model import exported, serving_module
from pipeline.models import stored
from pipeline.models.build import build
from tests.models.made import architecture, column, image, rows_of, text, texts_of

TOLERANCE = 1e-6

ALONE = """
import json, sys
sys.modules["keras"] = None  # an import of it fails
import numpy as np, tensorflow as tf
model, images = sys.argv[1:]
serve = tf.saved_model.load(model).signatures["serving_default"]
answers = serve(image=tf.constant(np.load(images)))
print(json.dumps({
    "answers": {name: values.numpy().tolist() for name, values in answers.items()},
    "loaded": [name for name in sys.modules if name.partition(".")[0] in ("keras", "pipeline") and sys.modules[name]],
}))
"""

AS_TENSORFLOW_SERVING = """
import pathlib, sys
sys.modules["keras"] = None
import numpy as np, tensorflow.compat.v1 as tf
model, folder, answers = sys.argv[1:]
one_thread = tf.ConfigProto(intra_op_parallelism_threads=1)
with tf.Session(graph=tf.Graph(), config=one_thread) as session:  # a graph that restores itself, and no objects
    signature = tf.saved_model.load(session, ["serve"], model).signature_def["serving_default"]
    columns = {file.stem: np.load(file, allow_pickle=False) for file in pathlib.Path(folder).iterdir()}
    columns = {name: values.astype(object) if values.dtype.kind == "U" else values for name, values in columns.items()}
    [given] = signature.outputs.values()
    np.save(answers, session.run(given.name, {taken.name: columns[name] for name, taken in signature.inputs.items()}))
"""


def noise(rows: int, height: int, width: int, channels: int = 3) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(height).integers(0, 256, (rows, height, width, channels)).astype(np.uint8)


@pytest.fixture(scope="module")
def export_of_one(one: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(one, tmp_path_factory.mktemp("exports"))


def test_the_signature_has_each_feature_raw_by_its_name_and_the_answers_by_the_tasks_name(
    two: Path, tmp_path: Path
) -> None:
    import tensorflow as tf

    serve = tf.saved_model.load(str(exported(two, tmp_path / "exports"))).signatures["serving_default"]

    taken = {
        name: (spec.shape.as_list(), spec.dtype.name) for name, spec in serve.structured_input_signature[1].items()
    }
    assert taken == {"image": ([None, None, None, 3], "uint8"), "file": ([None, None, None, 1], "uint8")}
    given = {name: (spec.shape.as_list(), spec.dtype.name) for name, spec in serve.structured_outputs.items()}
    assert given == {"probabilities": ([None, 2], "float32")}


@pytest.mark.parametrize("name", ["one", "two"])
def test_prepared_rows_are_answered_as_the_stored_model_does(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder: Path = request.getfixturevalue(name)
    rows = rows_of(stored.read_architecture(folder), 300)  # more than one batch

    served = ask_export(folder, tmp_path / "exports", rows, tmp_path / "scratch")

    np.testing.assert_allclose(served, predict(folder, rows), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("sides", [(1, 1), (1, 300), (11, 10), (12, 10), (97, 31), (640, 480)], ids=str)
def test_images_of_another_size_are_answered_as_if_the_data_phase_had_resized_them(
    one: Path, export_of_one: Path, sides: tuple[int, int]
) -> None:
    import tensorflow as tf

    images = noise(4, *sides)
    serve = tf.saved_model.load(str(export_of_one)).signatures["serving_default"]

    served = serve(image=tf.constant(images))["probabilities"].numpy()
    np.testing.assert_allclose(served, predict(one, {"image": resize(images, 12, 10)}), rtol=0, atol=TOLERANCE)


def test_it_answers_in_a_process_without_keras_and_without_this_package(
    one: Path, export_of_one: Path, tmp_path: Path
) -> None:
    images = noise(3, 40, 50)
    np.save(tmp_path / "images.npy", images)
    command = [
        sys.executable,
        "-I",
        "-c",
        ALONE,
        str(export_of_one),
        str(tmp_path / "images.npy"),
    ]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    said = json.loads(done.stdout)
    assert said["loaded"] == []
    expected = predict(one, {"image": resize(images, 12, 10)})
    np.testing.assert_allclose(said["answers"]["probabilities"], expected, rtol=0, atol=TOLERANCE)


def moved(model: Any) -> Any:
    """Return a model whose variables, but seeds of random numbers, have other values than they began with."""
    for number, variable in enumerate(model.variables):
        draws = np.random.default_rng(number).uniform(0.1, 0.3, variable.shape)
        if "seed" not in variable.path:
            variable.assign(draws)
    return model


MODELS = {
    "cnn": architecture(image((12, 10, 3)), name="cnn", settings={"filters": [4, 8], "dense": 6}),
    "resnet": architecture(image(), name="resnet", settings={"width": 4, "blocks": [1, 1]}),  # moving averages
    "gru": architecture(text(), name="gru", settings={}),
    "joined": architecture(image(), text(), name="joined", settings={}),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_answers_as_tensorflow_serving_loads_it(name: str, tmp_path: Path) -> None:
    made = MODELS[name]
    rows, model, questions = rows_of(made), moved(build(made)), tmp_path / "questions"
    stored.save(tmp_path / "model", made, model)
    folder = exported(tmp_path / "model", tmp_path / "exports")
    questions.mkdir()
    raw = {spec.name: texts_of(5) if spec.kind == "text" else rows[spec.name] for spec in made.features}
    for column_name, values in raw.items():
        np.save(questions / column_name, values)
    arguments = [str(folder), str(questions), str(tmp_path / "answers.npy")]

    subprocess.run([sys.executable, "-I", "-c", AS_TENSORFLOW_SERVING, *arguments], cwd=tmp_path, check=True)

    found = np.load(tmp_path / "answers.npy")
    np.testing.assert_allclose(found, predict(tmp_path / "model", rows), rtol=0, atol=TOLERANCE)
    assert found.tobytes() == ask_export(tmp_path / "model", tmp_path / "exports", raw, tmp_path / "scratch").tobytes()


def test_one_core_and_all_give_the_same_answers(tmp_path: Path) -> None:
    import tensorflow as tf

    class Adding(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None, 1_000_000], tf.float32, name="numbers")])
        def serve(self, numbers: object) -> dict[str, object]:
            squares = tf.einsum("ij,ij->", numbers, numbers)  # a sum that TensorFlow shares among its threads
            return {"squares": squares[None, None]}

    module = Adding()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": module.serve})
    numbers = np.random.default_rng(1).normal(size=(1, 1_000_000)).astype(np.float32)
    cores, said = os.sched_getaffinity(0), []
    for own in (set(sorted(cores)[:1]), cores):
        try:
            os.sched_setaffinity(0, own)
            said.append(ask(tmp_path / "model", {"numbers": numbers}, tmp_path / "scratch").tobytes())
        finally:
            os.sched_setaffinity(0, cores)
    assert said[0] == said[1]


def test_images_without_a_pixel_are_refused(export_of_one: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"does not answer: .*image: images have from 1 to 16384 pixels a side, not\] \[0 5"
    ):
        ask(export_of_one, {"image": noise(2, 0, 5)}, tmp_path / "scratch")


def test_called_as_a_function_it_takes_its_one_feature_bare_and_several_by_name(one: Path, two: Path) -> None:
    images = rows_of(stored.read_architecture(one))
    np.testing.assert_allclose(serving_module(one)(images["image"]), predict(one, images), rtol=0, atol=TOLERANCE)

    both = rows_of(stored.read_architecture(two))
    np.testing.assert_allclose(serving_module(two)(both), predict(two, both), rtol=0, atol=TOLERANCE)


def test_a_model_is_exported_once(one: Path, tmp_path: Path) -> None:
    first = exported(one, tmp_path / "exports")
    written = (first / "saved_model.pb").stat().st_mtime_ns

    assert exported(one, tmp_path / "exports") == first
    assert (first / "saved_model.pb").stat().st_mtime_ns == written


def test_an_export_that_is_there_is_found_without_tensorflow(
    one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = exported(one, tmp_path / "exports")
    monkeypatch.setattr(saved_model, "import_tensorflow", None)
    assert exported(one, tmp_path / "exports") == first


def test_another_model_or_another_exporter_is_another_export_and_what_nobody_asks_for_in_a_week_goes(
    one: Path, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_one, of_two = exported(one, tmp_path / "exports"), exported(two, tmp_path / "exports")
    long_ago = time.time() - 8 * 24 * 3600
    os.utime(of_one, (long_ago, long_ago))
    monkeypatch.setattr(saved_model, "code_digest", lambda _: "sha256:other")
    by_another = exported(two, tmp_path / "exports")

    assert len({of_one, of_two, by_another}) == 3
    assert {path for path in (tmp_path / "exports").iterdir() if path.is_dir()} == {of_two, by_another}


def test_an_export_that_is_asked_for_stays_however_old_it_is(one: Path, two: Path, tmp_path: Path) -> None:
    of_one = exported(one, tmp_path / "exports")
    os.utime(of_one, (0, 0))
    exported(one, tmp_path / "exports")
    exported(two, tmp_path / "exports")
    assert of_one.is_dir()


def test_a_number_that_no_row_could_hold_has_no_answer_whatever_the_layers_make_of_it(tmp_path: Path) -> None:
    made = architecture(column("number", "fare", ["1", "2", "9"], high=10.0), settings={"units": [16]})
    stored.save(tmp_path / "model", made, build(made))
    fares = np.array([1.0, np.nan, 11.0, 3.0])

    answers = ask(exported(tmp_path / "model", tmp_path / "exports"), {"fare": fares}, tmp_path / "scratch")

    assert np.isnan(answers).any(axis=1).tolist() == [False, True, True, False]
    prepared = {"fare": np.zeros((4, 1), np.float32)}
    np.testing.assert_allclose(predict(tmp_path / "model", prepared, served={"fare": fares}), answers, atol=1e-6)
