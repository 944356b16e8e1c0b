"""`ratchet score`: a mistake is one line, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli import command_line
from tests.cli.given import complaint


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["new"], 2, "OUTPUT"),
        (["nowhere", "scores"], 74, "nowhere: there is nothing"),
        (["new", "new/scores"], 2, "is in the input"),
        (["new", "scores"], 2, "no registered model 'fashion_mnist'"),
        (["new", "scores", "--model", "other@3"], 2, "no registered model 'other'"),
        (["new", "scores", "--model", "@"], 2, "expected NAME or NAME@VERSION"),
        (["new", "scores", "--served", "new"], 74, "no served model"),
        (["new", "scores", "--served", "new", "--model", "a"], 2, "not allowed with"),
        (["new", "scores", "--config", "configs/fashion_mnist_fll.yaml"], 2, "did you mean 'fashion_mnist_full.yaml'?"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    (project / "new").mkdir()
    before = sorted(path for path in project.iterdir() if path.name != ".ratchet")
    found, said = complaint(capsys, "score", *arguments)
    assert found == code, said
    assert words in said
    assert sorted(path for path in project.iterdir() if path.name != ".ratchet") == before
    assert [*(project / "new").iterdir()] == []


def test_it_has_help_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command_line.main(["score", "--help"])
    assert caught.value.code == 0
    assert "examples:\n  ratchet score" in capsys.readouterr().out
