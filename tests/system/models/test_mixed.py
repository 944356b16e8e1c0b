"""Models of mixed inputs: built, trained for a step, stored, exported and asked with strings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.predict import predict
from pipeline.export.ask import ask_export
from pipeline.models import stored
from pipeline.models.build import build, logits_of, settings_of, weights_of
from pipeline.models.inputs import Inputs
from pipeline.models.preprocessing import text as served_text
from pipeline.recipe.recipe import ARCHITECTURE, TrainParams
from pipeline.recipe.slots import Choice
from pipeline.records.architecture import Architecture
from pipeline.training import refusals
from pipeline.training.collective import SingleProcess
from pipeline.training.objective import objective_of
from pipeline.training.step import TrainingStep, make_optimizer
from tests.models.made import architecture, image, rows_of, text, texts_of

BODY, TITLE = text(length=9, ngrams=[1, 2]), text("title", length=4)
BAG = text("bag", form="tfidf", most=40)
PHOTO = image((12, 10, 3), name="photo")
MADE = {
    "mlp of a text": architecture(BODY, settings={"units": [8]}),
    "mlp of TF-IDF": architecture(BAG, settings={"units": [8]}),
    "mlp of everything": architecture(PHOTO, BODY, BAG, settings={"units": [8]}),
    "text_cnn": architecture(BODY, name="text_cnn", settings={"filters": 4, "widths": [1, 2, 12]}),
    "text_cnn of several": architecture(BODY, TITLE, BAG, name="text_cnn", settings={"filters": 4, "widths": [2]}),
    "gru": architecture(BODY, name="gru", settings={"units": 5}),
    "gru onwards": architecture(BODY, TITLE, BAG, name="gru", settings={"units": 5, "both": False}),
    "joined": architecture(PHOTO, BODY, TITLE, BAG, name="joined", settings={"filters": [4, 4, 4, 4], "phrases": 4}),
    "joined image": architecture(PHOTO, name="joined", settings={"filters": [4], "dense": []}),
}
IDS = ("body", "title")
SOME = pytest.mark.parametrize("made", MADE.values(), ids=MADE)


@pytest.fixture(autouse=True)
def the_first_weights_are_the_same_in_every_run() -> None:
    import keras

    keras.utils.set_random_seed(1)


def sizes(made: Architecture) -> dict[str, int]:
    return {spec.name: served_text.size(spec) for spec in made.features if spec.name in IDS}


@SOME
def test_the_weights_counted_before_any_work_are_those_that_are_built(made: Architecture) -> None:
    shapes = {spec.name: spec.shape for spec in made.features}
    counted = ARCHITECTURE.member(made.name).weight_count(settings_of(made), shapes, 2, sizes(made))
    assert counted == build(made).count_params()


def step_of(model: Any, made: Architecture, virtual_workers: int = 2) -> TrainingStep:
    objective = objective_of(Choice(name="classification"), Choice(name="cross_entropy"), 2)
    train = TrainParams(epochs=1, batch_size=8, virtual_workers=virtual_workers, learning_rate=0.1)
    optimizer = make_optimizer(Choice(name="sgd"), 0.1, model)
    return TrainingStep(model, optimizer, objective, made.features, train, 1, [0.1] * 20, SingleProcess())


def batches(made: Architecture) -> list[Any]:
    columns, labels = rows_of(made, 8), np.array([0, 1] * 4, np.int32)
    return [
        ({name: values[half] for name, values in columns.items()}, (labels[half],))
        for half in (slice(0, 4), slice(4, 8))
    ]


@SOME
def test_a_step_trains_every_weight_and_nothing_is_refused(made: Architecture) -> None:
    model = build(made)
    logits = logits_of(model)
    refusals.refuse_weights(logits)
    step = step_of(logits, made)
    refusals.refuse_graph(step, logits, made.features)
    before = {name: values.copy() for name, values in weights_of(model).items()}

    losses = [step(batches(made), number)[0] for number in range(20)]

    assert losses[-1] < losses[0]
    assert all(np.isfinite(losses))
    changed = {name for name, values in weights_of(model).items() if not np.array_equal(values, before[name])}
    assert changed == before.keys()


@SOME
def test_what_a_virtual_worker_computes_is_the_same_bytes_again_in_whatever_order(made: Architecture) -> None:
    import keras

    def tensors(order: list[int]) -> dict[int, bytes]:
        keras.utils.set_random_seed(1)
        step, cut = step_of(logits_of(build(made)), made), batches(made)
        return {worker: np.asarray(step.micro_batch(cut[worker], 3, worker)).tobytes() for worker in order}

    assert tensors([0, 1]) == tensors([1, 0])


@pytest.mark.parametrize(
    "made", [MADE[name] for name in ("mlp of TF-IDF", "gru onwards", "joined")], ids=lambda a: a.name
)
def test_texts_are_answered_by_the_export_as_by_the_stored_model(made: Architecture, tmp_path: Path) -> None:
    stored.save(tmp_path / "model", made, build(made))
    rows, texts = rows_of(made, 300), texts_of(300)
    raw = {spec.name: texts if spec.kind == "text" else rows[spec.name] for spec in made.features}

    served = ask_export(tmp_path / "model", tmp_path / "exports", raw, tmp_path / "scratch")

    np.testing.assert_allclose(served, predict(tmp_path / "model", rows), rtol=0, atol=1e-6)


def test_a_missing_text_is_served_as_an_empty_one_and_a_long_one_is_fine(tmp_path: Path) -> None:
    made = MADE["text_cnn"]
    stored.save(tmp_path / "model", made, build(made))
    columns: dict[str, Any] = {"body": [None, "", "cheap pills " * 80_000, "cheap pills " * 5]}
    answers = ask_export(tmp_path / "model", tmp_path / "exports", columns, tmp_path / "scratch")
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[2], answers[3])  # the beginning is what is read
    assert not np.array_equal(answers[1], answers[2])


@SOME
def test_every_feature_makes_a_difference(made: Architecture) -> None:
    model, rows = logits_of(build(made)), rows_of(made)
    answers = model(rows).numpy()
    for name, values in rows.items():
        assert not np.array_equal(model({**rows, name: values[::-1]}).numpy(), answers)


@pytest.mark.parametrize("name", ["mlp", "text_cnn", "gru", "joined"])
def test_padding_does_not_decide(name: str) -> None:
    """What stands before the padding is all that counts: the same text, padded to another length."""
    import keras

    of_length = []
    for length in (12, 30):
        keras.utils.set_random_seed(1)
        model = build(architecture(text(length=length), name=name, settings={}))
        ids = np.zeros((1, length), np.int32)
        ids[0, :9] = np.arange(2, 11)
        of_length.append(model({"body": ids}).numpy())
    np.testing.assert_allclose(of_length[0], of_length[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["mlp", "text_cnn", "gru", "joined"])
@pytest.mark.parametrize("feature", ["dense", "dropout", "logits", "joined", "embedding", "multiply", "not_equal"])
def test_a_feature_may_be_called_as_a_layer_is(name: str, feature: str) -> None:
    made = architecture(text(feature, length=6), text("not_equal_1", length=6), name=name, settings={})
    assert build(made)(rows_of(made)).shape == (5, 2)


@pytest.mark.parametrize("name", ["mlp", "text_cnn", "gru", "joined"])
@settings(max_examples=10, deadline=None)
@given(size=st.integers(1, 40), most=st.integers(1, 12), numbers=st.integers(1, 3))
def test_categories_are_vectors_at_most_half_as_wide_as_there_are_ids(
    name: str, size: int, most: int, numbers: int
) -> None:
    import keras

    kind = ARCHITECTURE.member(name)
    chosen = kind.Settings(embedding=most)
    inputs = Inputs(
        {
            "body": keras.Input((6,), dtype="int32", name="body"),
            "carrier": keras.Input((), dtype="int32", name="carrier"),
            "hour": keras.Input((numbers,), name="hour"),
        },
        {"body": 9, "carrier": size},
    )
    model = keras.Model(dict(inputs), kind.build(chosen, inputs, 3))

    shapes = {"body": (6,), "carrier": (), "hour": (numbers,)}
    assert model.count_params() == kind.weight_count(chosen, shapes, 3, inputs.sizes)
    assert model.get_layer("carrier.embedding").output.shape == (None, min(most, (size + 1) // 2))
    rows = {"body": np.zeros((2, 6), np.int32), "carrier": np.array([0, size - 1]), "hour": np.ones((2, numbers))}
    assert np.isfinite(model(rows).numpy()).all()
