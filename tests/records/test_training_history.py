"""What a training leaves beside its model is read back to its eighth digit, or refused in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.records.training_history import EpochRecord, history_csv, parse_history

HEADER = "epoch,learning_rate,train_loss,train_accuracy,validation_loss,validation_accuracy\n"
ROW = "1,0.01,2.5,0.5,1.5,0.75\n"
FIGURES = st.floats(-1e6, 1e6).map(lambda number: float(f"{number:.8g}"))


def refused(text: str) -> str:
    with pytest.raises(DataError) as caught:
        parse_history(text, "history.csv")
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_row_is_an_epoch() -> None:
    assert parse_history(HEADER + ROW, "history.csv") == (
        EpochRecord(
            epoch=1,
            learning_rate=0.01,
            train={"loss": 2.5, "accuracy": 0.5},
            validation={"loss": 1.5, "accuracy": 0.75},
        ),
    )


def test_figures_are_written_with_eight_digits() -> None:
    [record] = parse_history(HEADER + ROW, "history.csv")
    assert (
        history_csv((record.changed(train={"loss": 2 / 3, "accuracy": 0.5}),))
        == HEADER + "1,0.01,0.66666667,0.5,1.5,0.75\n"
    )


@given(st.lists(st.tuples(st.integers(1, 9999), *[FIGURES] * 4), min_size=1, max_size=5))
def test_a_history_is_read_back(rows: list[tuple[float, ...]]) -> None:
    history = tuple(
        EpochRecord(
            epoch=int(epoch),
            learning_rate=rate,
            train={"loss": figures[0], "error": figures[1], "penalty": figures[2]},
            validation={"loss": figures[1], "error": figures[0]},
        )
        for epoch, rate, *figures in rows
    )
    assert parse_history(history_csv(history), "history.csv") == history


@pytest.mark.parametrize("text", ["", "\n", HEADER, "not a table"])
def test_a_history_without_an_epoch_is_refused(text: str) -> None:
    assert refused(text) == "history.csv: not a training history: no epoch; run train again"


@pytest.mark.parametrize("column", HEADER.strip().split(","))
def test_a_missing_column_is_refused_by_its_name(column: str) -> None:
    names, values = HEADER.strip().split(","), ROW.strip().split(",")
    kept = [(name, value) for name, value in zip(names, values, strict=True) if name != column]
    text = "\n".join(",".join(line) for line in zip(*kept, strict=True))
    assert refused(text) == f"history.csv: not a training history: column {column}: is missing; run train again"


def test_a_figure_of_one_part_alone_is_refused() -> None:
    text = f"{HEADER.strip()},train_error\n{ROW.strip()},1\n"
    assert "column validation_error: is missing" in refused(text)


def test_what_a_model_adds_to_the_loss_is_a_figure_of_the_training_part_alone() -> None:
    header, row = (line.strip().split(",") for line in (HEADER, ROW))
    text = "\n".join(",".join([*line[:4], own, *line[4:]]) for line, own in ((header, "train_penalty"), (row, "0.25")))
    [record] = parse_history(text, "history.csv")
    assert record.train == {"loss": 2.5, "accuracy": 0.5, "penalty": 0.25}
    assert "column validation_penalty: Extra inputs" in refused(text.replace("train_penalty", "validation_penalty"))


def test_a_column_that_nobody_knows_is_refused_by_its_name() -> None:
    assert "column momentum: is not known here" in refused(f"{HEADER.strip()},momentum\n{ROW.strip()},1\n")


@pytest.mark.parametrize("row", ["1,0.01,2.5\n", "1,0.01,2.5,0.5,1.5,0.75,9\n"], ids=["short", "long"])
def test_a_row_of_another_length_is_refused(row: str) -> None:
    assert refused(HEADER + ROW + row).startswith("history.csv: not a training history: column ")


@pytest.mark.parametrize("column", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("figure", ["nan", "inf", "-inf", "1e999"])
def test_a_figure_that_is_not_finite_is_refused_by_its_column(column: int, figure: str) -> None:
    values = ROW.strip().split(",")
    values[column] = figure
    name = HEADER.strip().split(",")[column]
    assert f"column {name}: a finite number is needed" in refused(HEADER + ",".join(values))


@pytest.mark.parametrize("column", range(6))
@pytest.mark.parametrize("figure", ["", "x", "0,5", "1.5.2"])
def test_a_figure_that_is_text_is_refused_by_its_column(column: int, figure: str) -> None:
    values = ROW.strip().split(",")
    values[column] = f'"{figure}"'
    assert f"column {HEADER.strip().split(',')[column]}: a " in refused(HEADER + ",".join(values))


@pytest.mark.parametrize("text", ["a\n1\r2\n", HEADER + '"' + "x" * 200_000], ids=["lone return", "endless field"])
def test_what_is_not_csv_is_refused(text: str) -> None:
    assert refused(text).startswith("history.csv: not a training history: ")


@given(st.text(max_size=40))
def test_any_text_is_refused_in_one_line(text: str) -> None:
    refused(HEADER.removesuffix("\n") + text)
