"""A lock's stages stand where one `dvc repro` would have left them, whoever ended first."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.graph import parse_graph
from pipeline.runs import dvc_lock
from pipeline.storage.artifacts import write_file

NAMES = ["ingest", "clean", "train", "evaluate", "champion", "gate"]


def lock(names: list[str]) -> str:
    entries = "".join(
        f"  {name}:\n    cmd: ratchet stage {name}\n    deps:\n    - path: data/{name}\n      md5: {name * 2}\n"
        for name in names
    )
    return f"schema: '2.0'\nstages:\n{entries}"


@given(st.permutations(NAMES))
def test_any_order_becomes_the_order_of_the_graph(names: list[str]) -> None:
    assert dvc_lock.in_order(lock(names), [], NAMES) == lock(NAMES)


@given(st.permutations(NAMES), st.integers(0, len(NAMES)))
def test_stages_known_before_keep_their_places(names: list[str], count: int) -> None:
    known = names[:count]
    ordered = dvc_lock.stage_names(dvc_lock.in_order(lock(sorted(names)), known, NAMES))
    assert ordered == [*known, *(name for name in NAMES if name not in known)]


@given(st.permutations(NAMES))
def test_nothing_but_the_order_changes(names: list[str]) -> None:
    changed = dvc_lock.in_order(lock(names), [], NAMES)
    assert yaml.safe_load(changed) == yaml.safe_load(lock(names))


def test_a_lock_without_stages_stays_as_it_is() -> None:
    for text in ("", "schema: '2.0'\n", "schema: '2.0'\nstages:\n"):
        assert dvc_lock.in_order(text, [], NAMES) == text


GRAPH = parse_graph({"stages": {name: {"cmd": "x"} for name in NAMES}}, {})


@pytest.mark.parametrize("known", [None, [], ["train", "ingest"]])
def test_a_workspaces_lock_is_put_in_the_order_that_was_noted(tmp_path: Path, known: list[str] | None) -> None:
    (tmp_path / "dvc.lock").write_text(lock(sorted(NAMES)))
    if known is not None:
        for name, content in dvc_lock.known(known).items():
            write_file(tmp_path / name, content)
    dvc_lock.put_in_order(tmp_path, GRAPH)
    first = known or []
    expected = [*first, *(name for name in NAMES if name not in first)]
    assert dvc_lock.stage_names((tmp_path / "dvc.lock").read_text()) == expected


def test_where_there_is_no_lock_none_is_made(tmp_path: Path) -> None:
    dvc_lock.put_in_order(tmp_path, GRAPH)
    assert list(tmp_path.iterdir()) == []
