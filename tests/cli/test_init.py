"""`ratchet init`: what it refuses before it reads a row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.given import complaint
from tests.system.project import write_digits


@pytest.fixture
def digits(project: Path) -> Path:
    write_digits(project / "digits")
    return project


def test_it_never_overwrites_and_names_the_file(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (digits / "configs" / "fashion_mnist.yaml").read_bytes()
    code, said = complaint(capsys, "init", "digits", "--name", "fashion_mnist")
    assert (code, said) == (
        2,
        "ratchet: configs/fashion_mnist.yaml: is there already, and nothing is overwritten; give another --name\n",
    )
    assert (digits / "configs" / "fashion_mnist.yaml").read_bytes() == before


def test_a_folder_that_is_not_there_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = complaint(capsys, "init", "nowhere")
    assert (code, "nowhere does not exist" in said) == (74, True)


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("http://example.org/leaves", 2, "'http://example.org/leaves' is none; it is s3://BUCKET/… or file:///…"),
        ("file:leaves/oaks", 74, "file:leaves/oaks does not exist"),
        ("file:/leaves", 2, "'file:/leaves' is none; it is s3://BUCKET/… or file:///…"),
        ("s3://user:word@bucket/leaves", 2, "is none; it is s3://BUCKET/… or file:///…"),
        ("file:///nowhere/leaves", 74, "file:///nowhere/leaves holds nothing"),
    ],
)
def test_an_address_that_nothing_can_be_had_from_is_told(
    project: Path, capsys: pytest.CaptureFixture[str], address: str, code: int, said: str
) -> None:
    found, line = complaint(capsys, "init", address)
    assert (found, said in line, "word" in line) == (code, True, False), line


def test_the_project_itself_is_no_data(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = complaint(capsys, "init", ".", "--name", "mine")
    assert (code, "holds this project itself" in said) == (2, True)


def test_a_name_that_no_model_can_have_is_refused(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = complaint(capsys, "init", "digits", "--name", "My Digits")
    assert (code, "--name: 'My Digits' is no name" in said) == (2, True)


def test_what_no_source_can_read_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "letters").mkdir()
    (project / "letters" / "first.txt").write_text("Dear")
    code, said = complaint(capsys, "init", "letters")
    assert (code, "letters: no source recognises what is there" in said) == (65, True)
    assert not (project / ".ratchet" / "init").exists()


def test_data_that_cannot_be_read_leave_nothing_behind(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = digits / "digits" / "train-images-idx3-ubyte.gz"
    images.write_bytes(images.read_bytes()[:-500])
    code = complaint_code(capsys, "init", "digits", "--name", "broken")
    assert code == 65
    assert not (digits / "configs" / "broken.yaml").exists()
    assert not (digits / "data_contracts" / "broken").exists()
    assert not (digits / ".ratchet" / "init").exists()


def complaint_code(capsys: pytest.CaptureFixture[str], *arguments: str) -> int:
    """Give a command that fails after it has told its progress; return its exit code."""
    from pipeline.cli import command_line

    code = command_line.main(arguments)
    assert capsys.readouterr().err.splitlines()[-1].startswith("ratchet: ")
    return code
