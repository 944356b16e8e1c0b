"""The page never fails: whatever becomes of the files of a run, it is written, and says what it cannot show.

Every file is damaged in every way, a page each time: too many pages for the fast tests.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.report.page import render
from pipeline.storage.manifests import read_manifest
from tests.report.reading import rendered, written

EXAMPLES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
ODD = [None, True, -1, 0, 10**400, 1e308, float("nan"), "", "\ud800", "<b>" * 200, [], {}, [[]], {"a": {"b": None}}]


@pytest.fixture(scope="module", autouse=True)
def nothing_asked_again() -> Iterator[None]:
    """Of the commit and of the libraries there are tests of their own; here they would take longer than all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        patch.setattr(metadata, "version", functools.cache(metadata.version))
        yield


@pytest.fixture(scope="module")
def small(whole_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole project with few pictures and small drawings, which take the page most of its time."""
    root = shutil.copytree(whole_project, tmp_path_factory.mktemp("small") / "project")
    recipe = yaml.safe_load((root / "params.yaml").read_bytes())
    recipe["evaluate"] = {**recipe.get("evaluate", {}), "worst_mistakes": 1}
    (root / "params.yaml").write_text(yaml.safe_dump(recipe))
    for path in (root / "reports" / "plots").iterdir():
        if path.stem != "roc":
            path.write_text('<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>')
    return root


@pytest.fixture(scope="module")
def damaged(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project to damage: each test puts it right again."""
    return shutil.copytree(small, tmp_path_factory.mktemp("damaged") / "project")


@contextmanager
def put_right(whole: Path, path: Path, root: Path) -> Iterator[None]:
    try:
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        source = whole / path.relative_to(root)
        shutil.copytree(source, path) if source.is_dir() else shutil.copy2(source, path)


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_a_link(target: str) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink()
        path.symlink_to(path.parent / (target or path.name))

    return replace


KINDS: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 4),
    "an object without keys": lambda path: path.write_bytes(b"{}"),
    "a list": lambda path: path.write_bytes(b"[1, 2]"),
    "a number that is none": lambda path: path.write_bytes(b"NaN"),
    "nested without end": lambda path: path.write_bytes(b"[" * 50_000 + b"]" * 50_000),
    "another text": lambda path: path.write_bytes(b"stages: {a: 3}\n"),
    "a folder": replace_by_a_folder,
    "a link to nothing": replace_by_a_link("nothing"),
    "a link to itself": replace_by_a_link(""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_takes_nothing_else_with_it(small: Path, damaged: Path, kind: str) -> None:
    for path in sorted(path for path in damaged.rglob("*") if path.is_file()):
        with put_right(small, path, damaged):
            KINDS[kind](path)
            rendered(damaged)


def test_a_file_in_the_place_of_a_folder_takes_nothing_else_with_it(small: Path, damaged: Path) -> None:
    for path in sorted(path for path in damaged.rglob("*") if path.is_dir()):
        with put_right(small, path, damaged):
            shutil.rmtree(path)
            path.write_text("no folder")
            rendered(damaged)


def test_a_file_that_may_not_be_read_is_named(small: Path, damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *arguments: Any, **named: Any) -> Any:
        if path == forbidden:
            raise PermissionError(13, "Permission denied", str(path))
        return real[kind](path, *arguments, **named)

    kind = "read_bytes"
    real = {kind: Path.read_bytes}
    monkeypatch.setattr(Path, kind, refuse)
    for name in ("verdict.json", "run.json", "metrics.json", "plots/roc.svg", "contracts/raw/result.json"):
        forbidden = damaged / "reports" / name
        assert f"reports/{name}: cannot be read: Permission denied" in written(damaged)


def test_names_of_files_that_are_no_text_do_no_harm(small: Path, damaged: Path) -> None:
    folder = damaged / "reports" / "contracts" / "raw"
    with put_right(small, folder, damaged):
        shutil.rmtree(folder / "documents")
        strange = folder / b"\xff\xfe".decode(errors="surrogateescape")
        strange.mkdir()
        (strange / "index.html").touch()
        (damaged / "reports" / "plots" / b"\xff.svg".decode(errors="surrogateescape")).write_bytes(b"<svg/>")
        assert 'href="contracts/raw/%FF%FE/index.html"' in render(damaged).decode()
    for path in (damaged / "reports" / "plots").glob("*.svg"):
        if not (small / path.relative_to(damaged)).exists():
            path.unlink()


@EXAMPLES
@given(st.data())
def test_bytes_that_are_changed_at_random_do_no_harm(small: Path, damaged: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(path for path in damaged.rglob("*") if path.is_file())))
    content = bytearray(path.read_bytes())
    with put_right(small, path, damaged):
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(content) - 1))
            content[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
        path.write_bytes(content)
        rendered(damaged)


def places_in(value: Any) -> list[tuple[Any, ...]]:
    """Return the place of every value inside of a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(), *((key, *place) for key, one in inside for place in places_in(one))]


@EXAMPLES
@given(st.data())
def test_values_that_nobody_expects_do_no_harm(small: Path, damaged: Path, data: st.DataObject) -> None:
    records = sorted(path for path in damaged.rglob("*.json") if path.is_file())
    path = data.draw(st.sampled_from(records))
    value = json.loads(path.read_bytes())
    place = data.draw(st.sampled_from([place for place in places_in(value) if place]))
    odd = data.draw(st.sampled_from(ODD))
    holder = value
    for key in place[:-1]:
        holder = holder[key]
    if data.draw(st.booleans()):
        del holder[place[-1]]
    else:
        holder[place[-1]] = odd
    with put_right(small, path, damaged):
        path.write_text(json.dumps(value))
        rendered(damaged)


@EXAMPLES
@given(
    st.sampled_from([odd for odd in ODD if odd == odd]),  # no manifest can be written with NaN
    st.sampled_from(["classes", "parts", "rejected", "proof"]),
    st.sampled_from(["reports/predictions/validation", "data/split", "data/quarantine"]),
)
def test_counts_that_nobody_expects_do_no_harm(small: Path, damaged: Path, odd: Any, key: str, folder: str) -> None:
    path = damaged / folder / "manifest.json"
    manifest = read_manifest(path.parent, verify=False)
    changed = {**manifest.counts, key: {"a": odd} if key in ("parts", "rejected") else odd}
    with put_right(small, path, damaged):
        path.write_text(json.dumps(manifest.changed(counts=changed).to_json()))
        rendered(damaged)
