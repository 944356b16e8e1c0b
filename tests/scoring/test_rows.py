"""One shard: every row has an answer or a reason, whatever it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.cleaning import quarantine_schema
from pipeline.errors import DataError
from pipeline.scoring.rows import BATCH_ROWS, NO_ANSWER, divided, raw_columns, scored_schema
from pipeline.storage.shards import Columns
from tests.data.given import image_specs, images, raw_row, raw_table
from tests.scoring.given import doubled, features, model, own, probabilities, raw

AGES = st.one_of(st.none(), st.sampled_from(["", "x", "-1", "101", "1e400", "nan"]), st.integers(0, 100).map(str))
PLACES = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "", "x" * 1001]))
ROWS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"age": AGES, "place": PLACES}),
        st.just({"problem": "line cannot be understood", "detail": "why"}),
    ),
    max_size=30,
)


def some_nan(columns: Columns) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Answer as `probabilities`, but nothing for every seventh year."""
    answers = probabilities(columns)
    answers[columns["age"] % 7 == 0] = np.nan
    return answers


@pytest.mark.long
@given(ROWS, st.sampled_from(["index", "reject"]))
def test_every_row_is_scored_or_rejected_once_and_in_order(rows: list[dict[str, Any]], unknown: str) -> None:
    given_model = model(specs_=features(unknown=unknown))
    found = divided(raw(given_model, rows), given_model, own(given_model), some_nan)
    scored, rejected = found.scored["id"].to_pylist(), found.rejected["id"].to_pylist()
    every = [f"id-{number}" for number in range(len(rows))]
    assert sorted([*scored, *rejected], key=every.index) == every
    assert scored == [each for each in every if each in scored]
    assert rejected == [each for each in every if each in rejected]
    assert found.rejected["reason"].null_count == 0
    assert (sum(found.predictions.values()), sum(found.reasons.values())) == (len(scored), len(rejected))
    assert np.isfinite(found.scored["confidence"].to_numpy()).all()
    for id_ in scored:
        row = rows[every.index(id_)]
        assert 0 <= float(row["age"]) <= 100
        assert unknown == "index" or row["place"] in ("a", "b")


def test_each_reason_is_told_as_the_quarantine_tells_it() -> None:
    given_model = model(specs_=features(unknown="reject"))
    rows = [
        {"age": "50", "place": "a"},
        {"age": "101", "place": "a"},
        {"problem": "line cannot be understood", "detail": "1;2"},
        {"age": "50", "place": "nowhere"},
        {"age": "49", "place": "b"},
        {"age": None, "place": "b"},
    ]
    found = divided(raw(given_model, rows), given_model, own(given_model), some_nan)
    assert found.scored["id"].to_pylist() == ["id-0"]
    assert found.rejected.schema.equals(quarantine_schema(given_model.features, own(given_model)))
    told = [tuple(row.values()) for row in found.rejected.select(["row", "reason", "column", "detail"]).to_pylist()]
    assert [(row, column) for row, _, column, _ in told] == [(2, "age"), (3, None), (4, "place"), (5, None), (6, "age")]
    assert told[1][1::2] == ("line cannot be understood", "1;2")
    assert told[2][1] == "category not in the training part"
    assert told[3][1] == NO_ANSWER


def test_a_row_says_who_answered_and_how_sure() -> None:
    found = divided(raw(model(), [{"age": "70", "place": "a"}]), model(), own(model()), probabilities)
    [row] = found.scored.to_pylist()
    assert row["probabilities"] == pytest.approx([0.3, 0.7])
    assert row.pop("confidence") == row.pop("probabilities")[1]
    assert row == {
        "id": "id-0", "source": "file.csv", "row": 1, "prediction": "yes",
        "model": "ages", "version": 3, "digest": "sha256:0a",
    }  # fmt: skip


def test_a_number_is_answered_without_a_confidence() -> None:
    given_model = model(classes=(), version=None)
    found = divided(raw(given_model, [{"age": "20.5", "place": "a"}]), given_model, own(given_model), doubled)
    [row] = found.scored.to_pylist()
    assert (row["prediction"], row["version"]) == (41.0, None)
    assert not {"confidence", "probabilities"} & row.keys()


@pytest.mark.parametrize(("threshold", "answers"), [(0.5, ["no", "yes"]), (0.3, ["yes", "yes"]), (0.8, ["no", "no"])])
def test_of_two_classes_the_second_is_answered_from_the_threshold_on(threshold: float, answers: list[str]) -> None:
    given_model = model(threshold=threshold)
    rows = [{"age": "40", "place": "a"}, {"age": "70", "place": "a"}]
    found = divided(raw(given_model, rows), given_model, own(given_model), probabilities)
    assert found.scored["prediction"].to_pylist() == answers
    of_yes = np.float32([0.4, 0.7])
    assert found.scored["confidence"].to_pylist() == [
        of if answer == "yes" else 1 - of for of, answer in zip(of_yes, answers, strict=True)
    ]


def test_what_a_row_is_called_outside_stays_with_it() -> None:
    found = divided(
        raw(model(), [{"age": "1", "place": "a", "key": "case 7"}], "key"), model(), own(model(), "key"), probabilities
    )
    assert found.scored["key"].to_pylist() == ["case 7"]
    assert scored_schema(model(), own(model(), "time")).names == scored_schema(model(), own(model())).names


def test_rows_are_asked_in_batches_that_their_number_alone_decides() -> None:
    sizes: list[int] = []

    def answer(columns: Columns) -> Any:
        sizes.append(len(columns["age"]))
        return probabilities(columns)

    rows = [{"age": "1", "place": "a"}] * (2 * BATCH_ROWS + 3)
    found = divided(raw(model(), rows), model(), own(model()), answer)
    assert sizes == [BATCH_ROWS, BATCH_ROWS, 3]
    assert found.scored.num_rows == len(rows)


def test_a_shard_of_which_no_row_can_be_used_asks_nobody() -> None:
    found = divided(raw(model(), [{"age": "x", "place": "a"}]), model(), own(model()), pytest.fail)
    assert (found.scored.num_rows, found.rejected.num_rows) == (0, 1)
    assert found.scored.schema.equals(scored_schema(model(), own(model())))


def test_answers_of_another_task_are_refused() -> None:
    with pytest.raises(DataError, match=r"ages v3 answers \[1, 1\] to 1 rows, expected 2 numbers"):
        divided(raw(model(), [{"age": "1", "place": "a"}]), model(), own(model()), doubled)


def test_a_row_that_is_not_what_its_digest_says_is_refused() -> None:
    table = raw(model(), [{"age": "1", "place": "a"}])
    place = table.column_names.index("content_digest")
    with pytest.raises(DataError, match="does not match its digest"):
        divided(table.set_column(place, "content_digest", pa.array(["0a"])), model(), own(model()), probabilities)


def test_values_are_given_as_the_model_takes_them() -> None:
    usable = pa.table({"age": pa.array([1.5, None]), "place": pa.array(["grün", None], pa.string())})
    columns = raw_columns(usable, features(), {"age": "float64", "place": "string"})
    np.testing.assert_array_equal(columns["age"], [1.5, np.nan])
    assert columns["place"].tolist() == ["grün", ""]


def test_pictures_are_given_decoded() -> None:
    specs = image_specs()
    pixels = images(3, (8, 8, 1))
    given_model = model(("dark", "bright"), specs, inputs={"image": "uint8"})
    seen: list[Any] = []

    def answer(columns: Columns) -> Any:
        seen.append(columns["image"])
        return np.full((len(columns["image"]), 2), 0.5, np.float32)

    rows = [
        {**raw_row(number), "label": None, "image": each.tobytes(), "image_encoding": "raw", "image_mode": "L"}
        | dict.fromkeys(("image_height", "image_width"), 8)
        | {"image_channels": 1}
        for number, each in enumerate(pixels)
    ]
    found = divided(raw_table(specs, *rows), given_model, own(given_model), answer)
    np.testing.assert_array_equal(seen[0], pixels)
    assert found.scored["prediction"].to_pylist() == ["dark"] * 3  # of equal ones the first
