"""What DVC gives to its shell, which in our runs is this very program."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from pipeline.runtime import shell


class Replaced(BaseException):
    """Raised where this process would have become another."""


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def become(path: str, words: list[str]) -> NoReturn:
        raise Replaced(path, words)

    monkeypatch.setattr(os, "execv", become)


@pytest.mark.parametrize("name", ["ingest", "check_raw", "check-raw2"])
def test_a_stages_command_becomes_its_words(replaced: None, name: str) -> None:
    assert shell.without_shell(["-c", f"ratchet stage {name}"]) == ["stage", name]


@pytest.mark.parametrize(
    "words", [[], ["run"], ["stage", "ingest"], ["-c"], ["--debug"], ["-c", "ratchet stage ingest", "more"]]
)
def test_what_a_person_gives_stays_as_it_is(replaced: None, words: list[str]) -> None:
    assert shell.without_shell(words) == words


@pytest.mark.parametrize(
    "command",
    [
        "",
        "ls",
        "ratchet run",
        "ratchet stage",
        "ratchet stage a --debug",
        "ratchet stage a && rm b",
        "ratchet stage a;rm",
        "ratchet stage a|cat",
        "ratchet stage a>log",
        "ratchet stage $NAME",
        "ratchet stage 'a'",
        "ratchet stage\na",
        "other stage a",
    ],
)
def test_any_other_command_is_left_to_the_shell(replaced: None, command: str) -> None:
    with pytest.raises(Replaced) as caught:
        shell.without_shell(["-c", command])
    assert caught.value.args == ("/bin/sh", ["/bin/sh", "-c", command])
