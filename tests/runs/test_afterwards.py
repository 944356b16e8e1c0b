"""After a failure, the failure is what people read."""

from __future__ import annotations

import pytest

from pipeline.runs.afterwards import at_the_end, warned


def fail() -> None:
    raise ValueError("the second\nerror")


def test_what_goes_wrong_afterwards_is_one_warning_line(capsys: pytest.CaptureFixture[str]) -> None:
    with warned("the page is not written"):
        fail()
    assert capsys.readouterr().err == "warning: the page is not written: the second error\n"


def test_an_interruption_is_no_warning() -> None:
    with pytest.raises(KeyboardInterrupt), warned("x"):
        raise KeyboardInterrupt


@pytest.mark.parametrize("first", [RuntimeError, KeyboardInterrupt])
def test_the_first_error_stays(first: type[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(first), at_the_end(fail, "the page is not written"):
        raise first
    assert "the second error" in capsys.readouterr().err


def test_alone_it_is_an_error() -> None:
    with pytest.raises(ValueError, match="the second"), at_the_end(fail, "x"):
        pass


def test_it_is_done_in_any_case() -> None:
    done = list[int]()
    with at_the_end(lambda: done.append(1), "x"):
        pass
    with pytest.raises(KeyError), at_the_end(lambda: done.append(2), "x"):
        raise KeyError
    assert done == [1, 2]
