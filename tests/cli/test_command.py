"""What every command has."""

from __future__ import annotations

import pytest

from pipeline.cli.command import pairs
from pipeline.errors import UsageError


def test_pairs_are_parted_at_the_first_sign() -> None:
    assert pairs(["a.b=1", "uri=sqlite:///x?mode=rw", "empty="], "--set") == {
        "a.b": "1",
        "uri": "sqlite:///x?mode=rw",
        "empty": "",
    }


def test_what_is_given_twice_is_as_given_last() -> None:
    assert pairs(["a=1", "a=2"], "--set") == {"a": "2"}


@pytest.mark.parametrize("text", ["", "a", "=1"])
def test_what_is_no_pair_is_refused_by_its_option(text: str) -> None:
    with pytest.raises(UsageError, match=r"--execution .*expected KEY=VALUE"):
        pairs([text], "--execution")
