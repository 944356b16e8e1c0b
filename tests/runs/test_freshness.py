"""Nothing has changed only when nothing has changed: neither a file, nor what a complete run found outside of them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import DataError, StorageError
from pipeline.graph import Graph, parse_graph
from pipeline.records.architecture import MODEL_FILES
from pipeline.records.digests import digest_bytes
from pipeline.records.identity import Identity
from pipeline.records.registration import Registration
from pipeline.registry.versions import CHAMPION
from pipeline.runs import freshness, history
from pipeline.runs.dvc_cache import DvcCache
from pipeline.runs.freshness import entries_of
from pipeline.storage.artifacts import digest_file, write_json
from pipeline.storage.record_files import write_record
from tests.registry.judged import add_line, judged, on_line
from tests.registry.local_registry import LocalRegistry
from tests.runs.given import record, rewrite_in_place, write_files

FILES = ("dvc.yaml", "params.yaml", "dvc.lock", "in/a", "in/deep/b", "more.yaml", "out", "looked/x")
STAGES = {
    "s": {"cmd": "x", "deps": ["in"], "params": [{"more.yaml": ["a"]}], "outs": ["out"]},
    "looks": {"cmd": "x", "outs": ["looked"], "always_changed": True},
}


def remember(root: Path, graph: Graph) -> None:
    """Remember the files as a run does that has found them clean."""
    write_json(root / freshness.CLEAN, freshness.picture_of(root, graph))
    freshness.remember(root, graph)


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    """The graph of a complete run in place."""
    write_files(tmp_path, {name: name for name in FILES})
    graph = parse_graph({"stages": STAGES}, {})
    remember(tmp_path, graph)
    return graph


def test_the_same_files_are_the_last_complete_run(tmp_path: Path, graph: Graph) -> None:
    assert freshness.is_as_remembered(tmp_path, graph)


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml", "dvc.lock", "looked/x"])
def test_what_dvc_writes_anew_every_time_goes_by_its_content(tmp_path: Path, graph: Graph, name: str) -> None:
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(content)
    assert freshness.is_as_remembered(tmp_path, graph)
    rewrite_in_place(tmp_path / name, content.upper(), keeps_mtime=True)
    assert not freshness.is_as_remembered(tmp_path, graph)


READ_AND_MADE = ["in/a", "in/deep/b", "more.yaml", "out"]


@pytest.mark.parametrize("name", READ_AND_MADE)
def test_other_content_of_the_same_size_in_the_same_file_is_seen_by_its_time(
    tmp_path: Path, graph: Graph, name: str
) -> None:
    rewrite_in_place(tmp_path / name, name.upper().encode())
    assert not freshness.is_as_remembered(tmp_path, graph)


@pytest.mark.parametrize("name", READ_AND_MADE)
def test_another_file_of_the_same_size_and_time_is_seen_by_its_inode(tmp_path: Path, graph: Graph, name: str) -> None:
    path, aside = tmp_path / name, tmp_path / "aside"
    before = path.stat()
    aside.write_text(name.upper())
    os.utime(aside, ns=(before.st_atime_ns, before.st_mtime_ns))
    aside.replace(path)
    assert not freshness.is_as_remembered(tmp_path, graph)


@pytest.mark.parametrize("name", READ_AND_MADE)
def test_another_size_is_seen(tmp_path: Path, graph: Graph, name: str) -> None:
    rewrite_in_place(tmp_path / name, b"longer than it was", keeps_mtime=True)
    assert not freshness.is_as_remembered(tmp_path, graph)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_is_seen(tmp_path: Path, graph: Graph, name: str) -> None:
    (tmp_path / name).unlink()
    assert not freshness.is_as_remembered(tmp_path, graph)


def test_a_new_file_in_a_dependency_is_seen(tmp_path: Path, graph: Graph) -> None:
    (tmp_path / "in" / "new").write_text("")
    assert not freshness.is_as_remembered(tmp_path, graph)


def test_what_python_caches_is_no_change(tmp_path: Path, graph: Graph) -> None:
    write_files(tmp_path, {"in/__pycache__/a.pyc": "x"})
    assert freshness.is_as_remembered(tmp_path, graph)


def test_a_run_that_has_begun_is_not_complete(tmp_path: Path, graph: Graph) -> None:
    freshness.forget(tmp_path)
    assert not freshness.is_as_remembered(tmp_path, graph)
    freshness.remember(tmp_path, graph)  # nor does an earlier picture make it so
    assert not freshness.is_as_remembered(tmp_path, graph)


@pytest.mark.parametrize("picture", ["[]", "{}", "", '{"files": null}', "3"])
def test_a_picture_that_cannot_be_read_is_no_picture(tmp_path: Path, graph: Graph, picture: str) -> None:
    write_files(tmp_path, {".ratchet/complete.json": picture})
    assert not freshness.is_as_remembered(tmp_path, graph)


@pytest.mark.parametrize("clean", ["null", "{", '"sha256:other"', None])
def test_what_dvc_did_not_find_clean_is_not_remembered(tmp_path: Path, graph: Graph, clean: str | None) -> None:
    freshness.forget(tmp_path)
    if clean is not None:
        write_files(tmp_path, {str(freshness.CLEAN): clean})
    freshness.remember(tmp_path, graph)
    assert not freshness.is_as_remembered(tmp_path, graph)


@pytest.mark.parametrize("name", FILES)
def test_what_changes_after_dvc_found_it_clean_is_not_remembered(tmp_path: Path, graph: Graph, name: str) -> None:
    freshness.forget(tmp_path)
    write_json(tmp_path / freshness.CLEAN, freshness.picture_of(tmp_path, graph))
    rewrite_in_place(tmp_path / name, name.upper().encode())
    freshness.remember(tmp_path, graph)
    assert freshness.is_as_remembered(tmp_path, graph) is False
    assert not (tmp_path / ".ratchet" / "complete.json").exists()  # or it would be true again once that is undone


def test_a_file_is_known_by_its_content_or_by_its_size_its_time_and_its_inode(tmp_path: Path) -> None:
    write_files(tmp_path, {"b": "two", "a/x": "one"})
    status = (tmp_path / "b").stat()
    assert list(entries_of(tmp_path / "b", "name")) == [["name", 3, status.st_mtime_ns, status.st_ino]]
    assert list(entries_of(tmp_path / "b", "name", by_content=True)) == [["name", digest_file(tmp_path / "b")]]
    assert list(entries_of(tmp_path / "none", "name")) == [["name", "missing"]]


def test_a_folder_is_all_that_is_in_it_by_its_paths(tmp_path: Path) -> None:
    write_files(tmp_path, {"d/b": "2", "d/a/y": "1", "d/a/x": "1", "d/__pycache__/z": "3"})
    found = list(entries_of(tmp_path / "d", "d", by_content=True))
    assert found == [["d/a/x", digest_bytes(b"1")], ["d/a/y", digest_bytes(b"1")], ["d/b", digest_bytes(b"2")]]
    assert [name for name, *_ in entries_of(tmp_path / "d", "d")] == ["d/a/x", "d/a/y", "d/b"]


def test_of_the_small_files_that_dvc_rewrites_none_stands_for_another(tmp_path: Path, graph: Graph) -> None:
    write_files(tmp_path, {"params.yaml": "dvc.lock", "dvc.lock": "params.yaml"})
    assert not freshness.is_as_remembered(tmp_path, graph)
    write_files(tmp_path, {"params.yaml": "params.yaml", "dvc.lock": "dvc.lock"})
    assert freshness.is_as_remembered(tmp_path, graph)
    write_files(tmp_path, {".dvcignore": "in/a"})
    assert not freshness.is_as_remembered(tmp_path, graph)


def test_what_has_begun_leaves_neither_picture(tmp_path: Path, graph: Graph) -> None:
    freshness.forget(tmp_path)
    assert not list((tmp_path / ".ratchet").iterdir())
    freshness.forget(tmp_path)  # nor is there an error if there is none


INPUTS = "sha256:" + "ab" * 32


def kept(root: Path, **changes: Any) -> None:
    history.write(root, record("earlier", **{"state": "success", "inputs": INPUTS, **changes}))
    freshness.remember_run(root, INPUTS, "earlier")


def test_a_complete_run_is_found_by_what_it_began_with(tmp_path: Path) -> None:
    kept(tmp_path)
    found = freshness.run_with_same_inputs(tmp_path, INPUTS)
    assert found is not None
    assert found.id == "earlier"
    assert freshness.run_with_same_inputs(tmp_path, "sha256:" + "cd" * 32) is None


@pytest.mark.parametrize("changes", [{"state": "failed"}, {"state": "running"}, {"inputs": None}, {"inputs": "other"}])
def test_a_run_that_is_no_complete_run_of_them_is_not_found(tmp_path: Path, changes: dict[str, Any]) -> None:
    kept(tmp_path, **changes)
    assert freshness.run_with_same_inputs(tmp_path, INPUTS) is None


@pytest.mark.parametrize("answer", ["", "[]", "{}", '{"run": 3}', '{"run": "gone"}', '{"run": "../x"}', "\xff"])
def test_an_answer_that_names_no_run_is_none(tmp_path: Path, answer: str) -> None:
    kept(tmp_path)
    [path] = (tmp_path / ".ratchet" / "complete").iterdir()
    path.write_bytes(answer.encode("latin-1"))
    assert freshness.run_with_same_inputs(tmp_path, INPUTS) is None


# What stands outside the files: the registry, and DVC's cache.

JUDGING = {
    "make": {"cmd": "x", "outs": ["out"]},
    "look": {"cmd": "x", "outs": ["met"], "always_changed": True, "meta": {"makes": {"champion": "met"}}},
    "judge": {"cmd": "x", "outs": ["verdict.json"], "meta": {"makes": {"verdict": "verdict.json"}}},
    "publish": {
        "cmd": "x",
        "always_changed": True,
        "meta": {"volatile": ["done.json"], "makes": {"registration": "done.json"}},
    },
}
GRAPH = parse_graph({"stages": JUDGING}, {})
REFUSED = judged("sha256:new", Identity(name="pets", version=1, digest="sha256:one"), promotes=False)
REGISTRATION = Registration(
    outcome="refused",
    name="pets",
    version=2,
    champion=REFUSED.champion,
    sentence="refused: the reason; champion v1 stays",
    registry="here",
)
REFUSAL = {"ratchet.outcome": "refuse"}


def add(registry: LocalRegistry, root: Path, number: int, digest: str, **more: Any) -> None:
    """Add a version whose bytes are there, as far as anybody looks at them without reading them."""
    folder = root / "registry" / "artifacts" / str(number)
    write_files(folder, dict.fromkeys(MODEL_FILES, "x"))
    registry.add(number, digest, location=str(folder), **more)


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    """The registry of a project in which a run is complete: version 2 was refused against champion 1."""
    registry = LocalRegistry(tmp_path)
    add(registry, tmp_path, 1, "sha256:one", aliases=[CHAMPION])
    add(registry, tmp_path, 2, "sha256:new", tags={**REFUSAL, **on_line(add_line(registry, REFUSED))})
    write_record(tmp_path / "verdict.json", REFUSED)
    write_record(tmp_path / "done.json", REGISTRATION)
    write_lock(tmp_path, {"make": {"out": "0" * 32}})
    write_files(tmp_path, {".dvc/config": "", f".dvc/cache/files/md5/00/{'0' * 30}": "x"})
    return registry


def write_lock(root: Path, outs: dict[str, dict[str, str]]) -> None:
    stages = {
        stage: {"cmd": "x", "outs": [{"path": path, "hash": "md5", "md5": md5} for path, md5 in made.items()]}
        for stage, made in outs.items()
    }
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def is_still(root: Path, graph: Graph = GRAPH, environment: dict[str, str] | None = None) -> bool:
    return freshness.is_still(root, root, graph, "pets", environment or {})


def move_champion(registry: LocalRegistry, number: int | None) -> None:
    registry.execute("DELETE FROM registered_model_aliases;")
    if number is not None:
        registry.execute(f"INSERT INTO registered_model_aliases VALUES ('default', 'pets', '{CHAMPION}', {number});")


def test_where_registry_and_cache_are_as_they_were_the_run_stands(tmp_path: Path, registry: LocalRegistry) -> None:
    assert is_still(tmp_path)


@pytest.mark.parametrize("number", [None, 3])
def test_against_another_champion_no_verdict_stands(
    tmp_path: Path, registry: LocalRegistry, number: int | None
) -> None:
    add(registry, tmp_path, 3, "sha256:three")
    move_champion(registry, number)
    assert not is_still(tmp_path)


def test_a_version_that_is_gone_is_to_be_made_again(tmp_path: Path, registry: LocalRegistry) -> None:
    registry.execute("DELETE FROM model_versions WHERE version = 2;")
    assert not is_still(tmp_path)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("name", MODEL_FILES)
def test_bytes_that_are_gone_from_the_registry_are_missed(
    tmp_path: Path, registry: LocalRegistry, number: int, name: str
) -> None:
    (tmp_path / "registry" / "artifacts" / str(number) / name).unlink()
    assert not is_still(tmp_path)


def test_a_verdict_to_promote_stands_only_once_it_is_carried_out(tmp_path: Path, registry: LocalRegistry) -> None:
    write_record(tmp_path / "verdict.json", judged("sha256:new", REFUSED.champion))
    write_record(tmp_path / "done.json", REGISTRATION.changed(outcome="promoted", sentence="v2 replaces v1"))
    assert not is_still(tmp_path)
    registry.execute("INSERT INTO model_version_tags VALUES ('default', 'pets', 2, 'ratchet.met', '1 sha256:one');")
    move_champion(registry, 2)
    assert is_still(tmp_path)


def test_the_registry_is_the_one_that_the_environment_names(tmp_path: Path, registry: LocalRegistry) -> None:
    assert not is_still(tmp_path, environment={"RATCHET_MLFLOW__URI": "sqlite:///another.db"})


@pytest.mark.parametrize("name", ["verdict.json", "done.json"])
def test_without_its_verdict_or_its_registration_a_run_does_not_stand(
    tmp_path: Path, registry: LocalRegistry, name: str
) -> None:
    (tmp_path / name).unlink()
    assert not is_still(tmp_path)


def test_a_stage_that_looks_at_what_nobody_names_always_finds_something_new(
    tmp_path: Path, registry: LocalRegistry
) -> None:
    weather = {"cmd": "x", "outs": ["weather"], "always_changed": True}
    assert not is_still(tmp_path, parse_graph({"stages": {**JUDGING, "look_out": weather}}, {}))


def test_where_no_stage_looks_outside_the_registry_is_not_asked(tmp_path: Path, registry: LocalRegistry) -> None:
    registry.database.write_text("no database")
    assert is_still(tmp_path, parse_graph({"stages": {"make": JUDGING["make"]}}, {}))
    with pytest.raises(StorageError, match="not a database"):
        is_still(tmp_path)


def test_bytes_that_are_gone_from_dvcs_cache_are_missed(tmp_path: Path, registry: LocalRegistry) -> None:
    DvcCache(tmp_path / ".dvc" / "cache").path("0" * 32).unlink()
    assert not is_still(tmp_path)


@pytest.fixture
def cache(tmp_path: Path) -> DvcCache:
    return DvcCache(tmp_path / "cache")


def put(cache: DvcCache, digest: str, text: str = "content") -> None:
    write_files(cache.path(digest).parent, {cache.path(digest).name: text})


def is_cached(root: Path, cache: DvcCache, graph: Graph = GRAPH) -> bool:
    return freshness.is_cached(root / "dvc.lock", graph, cache)


def test_a_folder_is_cached_if_all_that_is_in_it_is(tmp_path: Path, cache: DvcCache) -> None:
    write_lock(tmp_path, {"make": {"out": "1" * 32 + ".dir"}})
    assert not is_cached(tmp_path, cache)
    put(cache, "1" * 32 + ".dir", '[{"md5": "22", "relpath": "a"}, {"md5": "33", "relpath": "b"}]')
    put(cache, "22")
    assert not is_cached(tmp_path, cache)
    put(cache, "33")
    assert is_cached(tmp_path, cache)


@pytest.mark.parametrize("listing", ["", "{", "3", '[{"relpath": "a"}]'])
def test_a_folder_whose_list_is_damaged_is_not_cached(tmp_path: Path, cache: DvcCache, listing: str) -> None:
    write_lock(tmp_path, {"make": {"out": "1" * 32 + ".dir"}})
    put(cache, "1" * 32 + ".dir", listing)
    assert not is_cached(tmp_path, cache)


def test_what_dvc_is_told_not_to_cache_need_not_be_there(tmp_path: Path, cache: DvcCache) -> None:
    write_lock(tmp_path, {"make": {"out": "1" * 32}})
    uncached = {"make": {"cmd": "x", "outs": [{"out": {"cache": False}}]}}
    assert is_cached(tmp_path, cache, parse_graph({"stages": uncached}, {}))


def test_what_a_stage_made_that_is_no_longer_in_the_graph_need_not_be_there(tmp_path: Path, cache: DvcCache) -> None:
    # DVC leaves such an entry in the lock, and `dvc gc` removes what it names.
    write_lock(tmp_path, {"removed": {"old": "1" * 32}})
    assert is_cached(tmp_path, cache)


@pytest.mark.parametrize("lock", [None, "stages: [", "<<<<<<< ours\n"])
def test_without_a_lock_that_can_be_read_nothing_is_known_to_be_cached(
    tmp_path: Path, cache: DvcCache, lock: str | None
) -> None:
    if lock is not None:
        (tmp_path / "dvc.lock").write_text(lock)
    assert not is_cached(tmp_path, cache)


def test_an_answer_is_kept_under_the_first_digits_of_what_the_run_began_with(tmp_path: Path) -> None:
    kept(tmp_path)
    [path] = (tmp_path / ".ratchet" / "complete").iterdir()
    assert path.name == f"{'ab' * 16}.json"


def test_an_object_that_was_cut_off_is_not_there_unless_it_is_nothing(tmp_path: Path, cache: DvcCache) -> None:
    nothing = hashlib.md5(b"", usedforsecurity=False).hexdigest()
    write_lock(tmp_path, {"make": {"out": "1" * 32}})
    put(cache, "1" * 32, "")
    assert is_cached(tmp_path, cache) is False
    put(cache, "1" * 32, "x")
    assert is_cached(tmp_path, cache)
    write_lock(tmp_path, {"make": {"out": nothing}})
    assert is_cached(tmp_path, cache) is False
    put(cache, nothing, "")
    assert is_cached(tmp_path, cache)


def test_all_that_a_lock_lists_is_looked_for_stage_by_stage(tmp_path: Path, cache: DvcCache) -> None:
    digests = {"make": {"out": "1" * 32, "more": "2" * 32 + ".dir"}, "judge": {"verdict.json": "3" * 32}}
    write_lock(tmp_path, digests)
    put(cache, "2" * 32 + ".dir", '[{"md5": "44", "relpath": "a"}]')
    found = list(freshness.cached_objects(tmp_path / "dvc.lock", GRAPH, cache))
    assert found == ["1" * 32, "2" * 32 + ".dir", "44", "3" * 32]


def test_a_stage_of_which_the_lock_lists_nothing_needs_nothing(tmp_path: Path, cache: DvcCache) -> None:
    for lock in (
        "{}",
        "stages:",
        "stages: {make: }",
        "stages: {make: {outs: }}",
        "stages: {make: {outs: [{path: out}]}}",
    ):
        (tmp_path / "dvc.lock").write_text(lock)
        assert is_cached(tmp_path, cache), lock


def test_after_an_output_without_a_digest_the_others_are_looked_for_still(tmp_path: Path, cache: DvcCache) -> None:
    (tmp_path / "dvc.lock").write_text(f"stages: {{make: {{outs: [{{path: out}}, {{path: b, md5: '{'1' * 32}'}}]}}}}")
    assert is_cached(tmp_path, cache) is False


def test_where_a_run_does_not_stand_the_answer_is_no(tmp_path: Path, registry: LocalRegistry) -> None:
    weather = {"cmd": "x", "outs": ["weather"], "always_changed": True}
    assert is_still(tmp_path, parse_graph({"stages": {**JUDGING, "look_out": weather}}, {})) is False
    (tmp_path / "verdict.json").unlink()
    assert is_still(tmp_path) is False


def test_a_list_that_is_no_folder_s_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.dir").write_text("[3]")
    with pytest.raises(DataError, match=r"x\.dir: not a list of a folder's contents, as DVC writes it"):
        freshness._in_folder(tmp_path / "x.dir")
