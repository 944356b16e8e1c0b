"""Whatever stands in a recipe, it is refused in one short line within three seconds, and nothing is written."""

from __future__ import annotations

import io
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.cli.command_line import main
from pipeline.recipe.settings import copied, set_dotted
from pipeline.recipe.strict_yaml import dump_yaml
from tests.recipe.hostile import Hostile, base_of, by_key, close_registry, complaints, photograph, recipes
from tests.system.project import make_project

_HANGS_S = 20


class HangsError(BaseException):
    """A command did not come to an end."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose registry is closed."""
    root = make_project(tmp_path_factory.mktemp("hostile") / "project").root
    close_registry(root)
    return root


@contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
    def hang(*_: object) -> None:
        raise HangsError

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def ran(words: list[str]) -> tuple[int, str, str, float]:
    out, err = io.StringIO(), io.StringIO()
    begun = time.monotonic()
    with redirect_stdout(out), redirect_stderr(err), no_longer_than(_HANGS_S):
        code = main(words)
    return code, out.getvalue(), err.getvalue(), time.monotonic() - begun


def refused(project: Path, recipe: Hostile) -> str:
    """Give a recipe to `ratchet run` in a project, hold what is promised, and return what was said."""
    shipped = (project / "params.yaml").read_bytes()
    words = recipe.write(project)
    try:
        before = photograph(project)
        code, out, err, took_s = ran(words)
        assert not complaints(code, out, err, took_s), (code, out, err, took_s, words)
        assert photograph(project) == before
    finally:
        (project / "params.yaml").write_bytes(shipped)
    return err


@settings(max_examples=100, suppress_health_check=list(HealthCheck))  # thousands: `make hostile`
@given(data=st.data())
def test_a_hostile_recipe_is_refused_in_one_short_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    monkeypatch.chdir(project)
    refused(project, data.draw(recipes(base_of(project))))


def test_so_is_each_value_that_is_hostile_for_its_key(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    base = base_of(project)
    for place, value in by_key(base):
        values = copied(base)
        set_dotted(values, place, value)
        refused(project, Hostile(params=dump_yaml(values)))


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? ", "[{"])
@pytest.mark.parametrize(
    "words",
    [
        ("--set", "train.epochs={}"),
        ("--set", "{}=1"),
        ("--execution", "spark.master={}"),
        ("--config", "{}"),
        ("--until", "{}"),
    ],
)
def test_sixty_thousand_brackets_are_refused_in_one_short_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, opening: str, words: tuple[str, str]
) -> None:
    monkeypatch.chdir(project)
    refused(project, Hostile(words=tuple(word.replace("{}", opening * 60_000) for word in words)))


@pytest.mark.parametrize("value", ["[" * 60_000, "[" * 60_000 + "]" * 60_000, '{"a":' * 60_000 + "1" + "}" * 60_000])
def test_so_are_those_of_a_request(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str) -> None:
    monkeypatch.chdir(project)
    request = tmp_path / "request.json"
    request.write_text('{"id": "try-1", "overrides": {"train.epochs": ' + value + "}}")
    before = photograph(project)
    code, out, err, took_s = ran(["runs", "open", str(request)])
    assert not complaints(code, out, err, took_s), (code, out, err, took_s)
    assert photograph(project) == before
