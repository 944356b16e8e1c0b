"""What is told of a served folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli.command_line import main
from pipeline.cli.export import told
from pipeline.records.served_model import ServedFormat, ServedModel, ServedSpeed
from tests.records.examples import example

SERVED = example(ServedModel)
FORM = ServedFormat(
    name="saved_model",
    path="saved_model/1",
    files={"saved_model/1/saved_model.pb": "sha256:0a"},
    size_bytes=3 * 2**19,
    largest_difference=2e-7,
    agreement=0.9925,
    speeds=(ServedSpeed(rows=1, p50_ms=0.1, p95_ms=0.25),),
)


def test_each_form_has_a_line_and_so_has_one_that_was_refused() -> None:
    served = SERVED.changed(formats=(FORM,), golden="test", refused={"litert": "it has texts"}, unit="")
    assert told(served, Path("served")) == [
        "digits v3 is in served, proven on 360 test rows",
        "saved_model     1.5 MiB  differs by 2.0e-07 at most, 99.25% the same class; rows on one thread: 1 in 0.1 ms "
        "(95 %: 0.25)",
        "litert             none  it has texts",
    ]


def test_made_rows_are_called_so() -> None:
    first, *_ = told(SERVED.changed(golden="made", formats=(FORM,)), Path("served"))
    assert first == (
        "digits v3 is in served, proven on 360 made rows, since there are no test rows of its features here"
    )


def test_an_unknown_format_is_refused_before_anything_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--to", "x", "--formats", "onnx,tensorrt"]) == 2
    assert "--formats: no export format 'tensorrt'" in capsys.readouterr().err
