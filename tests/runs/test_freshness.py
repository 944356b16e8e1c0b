"""Nothing has changed only when nothing has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.graph import Graph, parse_graph
from pipeline.runs import freshness

CHAMPION = {"version": "1", "digest": "sha256:1"}


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    for name in ("dvc.yaml", "params.yaml", "dvc.lock", "in/a", "in/deep/b", "more.yaml", "out", "looked/x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    looks = {"cmd": "x", "outs": ["looked"], "always_changed": True}
    reads = {"cmd": "x", "deps": ["in"], "params": [{"more.yaml": ["a"]}], "outs": ["out"]}
    graph = parse_graph({"stages": {"s": reads, "looks": looks}}, {})
    freshness.remember(tmp_path, graph, CHAMPION)
    return graph


def test_the_same_files_are_the_last_complete_run(tmp_path: Path, graph: Graph) -> None:
    assert freshness.remembered_champion(tmp_path, graph) == (True, CHAMPION)


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml", "dvc.lock", "looked/x"])
def test_what_dvc_writes_anew_every_time_goes_by_its_content(tmp_path: Path, graph: Graph, name: str) -> None:
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(content)
    assert freshness.remembered_champion(tmp_path, graph)[0] is True
    (tmp_path / name).write_bytes(content + b" ")
    assert freshness.remembered_champion(tmp_path, graph)[0] is False


@pytest.mark.parametrize("name", ["in/a", "in/deep/b", "more.yaml", "out"])
@pytest.mark.parametrize("change", ["content", "remove", "replace"])
def test_any_change_is_seen(tmp_path: Path, graph: Graph, name: str, change: str) -> None:
    path = tmp_path / name
    if change == "content":
        path.write_text("changed")
    elif change == "remove":
        path.unlink()
    else:
        aside = path.with_name("aside")
        aside.write_bytes(path.read_bytes())
        aside.replace(path)
    assert freshness.remembered_champion(tmp_path, graph)[0] is False


def test_a_new_file_in_a_dependency_is_seen(tmp_path: Path, graph: Graph) -> None:
    (tmp_path / "in" / "new").write_text("")
    assert freshness.remembered_champion(tmp_path, graph)[0] is False


def test_a_run_that_has_begun_is_not_complete(tmp_path: Path, graph: Graph) -> None:
    freshness.forget(tmp_path)
    assert freshness.remembered_champion(tmp_path, graph) == (False, None)


def test_a_picture_that_cannot_be_read_is_no_picture(tmp_path: Path, graph: Graph) -> None:
    (tmp_path / ".ratchet" / "complete.json").write_text("[]")
    assert freshness.remembered_champion(tmp_path, graph) == (False, None)
