"""A photograph is a function of names and bytes alone, and whatever decides a result is in it."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError, RatchetError, StorageError
from pipeline.graph import load_graph, parse_graph
from pipeline.runs import photograph as photograph_module
from pipeline.runs.hashes import Hashes, md5_of_bytes
from pipeline.runs.photograph import (
    REFERENCES,
    Photograph,
    Reference,
    climbs,
    inputs_of,
    is_outside,
    refer,
    take,
    walk,
)
from tests.runs.given import inputs_of_project, photographed, recipe_of, write_files

EVERYTHING = ["dvc.yaml", "execution.yaml", "params.yaml", "pipeline/code.py"]
# Names as the kernel allows them: any bytes but / and NUL, which Python shows with surrogates where they are no UTF-8.
NAMES = st.binary(min_size=1, max_size=40).map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_"))


def digest_of(root: Path) -> str:
    return photographed(root).photograph.digest


def names_of(root: Path, name: str = "pipeline") -> list[str]:
    return [file.name for file in walk(root, name)]


def test_it_holds_the_package_the_recipe_the_graph_and_the_execution_and_refers_to_the_source(root: Path) -> None:
    taken = photographed(root).photograph
    assert sorted(taken.files) == EVERYTHING
    assert taken.files["pipeline/code.py"] == md5_of_bytes(b"the code")
    assert list(taken.references) == ["source"]
    assert (taken.references["source"].files, taken.references["source"].bytes) == (2, 10)


def test_it_holds_what_the_graph_reads_and_no_stage_makes(root: Path) -> None:
    stages = {
        "a": {"cmd": "x", "deps": ["in", "made/part", "gone"], "params": [{"more.json": ["x"]}], "outs": ["out"]},
        "b": {"cmd": "x", "outs": ["made"]},
        "c": {"cmd": "x", "deps": ["out/file"]},
    }
    write_files(root, {"in/deep/file": "1", "more.json": "{}", "out/file": "2", "made/part": "3", ".dvcignore": "x"})
    graph = parse_graph({"stages": stages}, {})
    assert inputs_of(graph) == {"in", "gone", "more.json"}
    found = photographed(root, graph).photograph.files
    assert sorted(found) == sorted([*EVERYTHING, "in/deep/file", "more.json", ".dvcignore"])


def test_it_holds_what_git_would_not_know(root: Path) -> None:
    write_files(root, {"pipeline/private.py": "x", ".gitignore": "private.py\n", "pipeline/.hidden": "x"})
    assert {"pipeline/private.py", "pipeline/.hidden"} <= set(photographed(root).photograph.files)


def test_it_holds_the_runs_own_recipe_instead_of_the_projects(root: Path) -> None:
    taken = take(root, load_graph(root), "source", Hashes(root), b"name: mine\n").photograph
    assert taken.files["params.yaml"] == md5_of_bytes(b"name: mine\n")


def test_caches_are_no_part_of_it(root: Path) -> None:
    before = digest_of(root)
    write_files(root, {"pipeline/__pycache__/code.pyc": "x", "pipeline/old.pyc": "x"})
    (root / "source" / "lost+found").mkdir()
    assert digest_of(root) == before


def test_the_same_content_has_the_same_digest_whenever_and_wherever(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(root, {f"pipeline/{name}": name for name in "zyx"})
    there = tmp_path / "another" / "place"
    shutil.copytree(root, there)
    for path in there.rglob("*"):
        os.utime(path, (1, 1))
    scan = os.scandir

    class Backwards:
        def __init__(self, path: str) -> None:
            with scan(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.entries

        def __exit__(self, *_: object) -> None:
            pass

    here = photographed(root).photograph
    monkeypatch.setattr(photograph_module.os, "scandir", Backwards)
    other = photographed(there).photograph
    assert here.digest == other.digest
    assert here.inputs(load_graph(root), recipe_of(root)) == other.inputs(load_graph(there), recipe_of(there))


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte": lambda root: (root / "pipeline" / "code.py").write_text("the codE"),
    "a byte of the source": lambda root: (root / "source" / "rows.csv").write_text("1,2,4"),
    "a name": lambda root: (root / "pipeline" / "code.py").rename(root / "pipeline" / "Code.py"),
    "a name in the source": lambda root: (root / "source" / "rows.csv").rename(root / "source" / "row.csv"),
    "a folder": lambda root: (root / "source" / "more").rename(root / "source" / "less"),
    "a file more": lambda root: (root / "pipeline" / "new").touch(),
    "a file more in the source": lambda root: (root / "source" / "new").touch(),
    "a file less": lambda root: (root / "pipeline" / "code.py").unlink(),
    "a file less in the source": lambda root: (root / "source" / "rows.csv").unlink(),
    "an empty source": lambda root: shutil.rmtree(root / "source"),
    "two files' contents changed over": lambda root: write_files(
        root, {"source/rows.csv": "4,5,6", "source/more/rows.csv": "1,2,3"}
    ),
    "the graph": lambda root: (root / "dvc.yaml").write_text((root / "dvc.yaml").read_text() + "\n"),
    "the recipe": lambda root: (root / "params.yaml").write_text("name: other\ndata: {path: source}\n"),
}
OF_NO_WEIGHT: dict[str, Callable[[Path], object]] = {
    "the execution": lambda root: (root / "execution.yaml").write_text("horovod: {workers: 1}\n"),
    "a comment in the recipe": lambda root: (root / "params.yaml").write_text(
        "# words\n" + (root / "params.yaml").read_text()
    ),
}


@pytest.mark.parametrize("change", [*CHANGES, *OF_NO_WEIGHT])
def test_any_change_gives_another_digest(root: Path, change: str) -> None:
    before = digest_of(root)
    ({**CHANGES, **OF_NO_WEIGHT})[change](root)
    assert digest_of(root) != before


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_decides_a_result_is_an_input(root: Path, change: str) -> None:
    before = inputs_of_project(root)
    CHANGES[change](root)
    assert inputs_of_project(root) != before


@pytest.mark.parametrize("change", OF_NO_WEIGHT)
def test_what_decides_no_result_is_none(root: Path, change: str) -> None:
    before = inputs_of_project(root)
    OF_NO_WEIGHT[change](root)
    assert inputs_of_project(root) == before


def test_a_part_of_the_package_that_no_stage_reads_decides_no_result(root: Path) -> None:
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"a": {"cmd": "x", "deps": ["source"]}}}))
    inputs, digest = inputs_of_project(root), digest_of(root)
    (root / "pipeline" / "code.py").write_text("other")
    assert inputs_of_project(root) == inputs
    assert digest_of(root) != digest


@pytest.mark.long
@given(st.dictionaries(NAMES, st.binary(max_size=20), max_size=6))
def test_it_is_what_dvc_calls_a_tree(files: dict[bytes, bytes]) -> None:
    from dvc_data.hashfile.tree import Tree

    known = {f"pipeline/{os.fsdecode(name)}": md5_of_bytes(content) for name, content in files.items()}
    taken = Photograph(known, {os.fsdecode(name): Reference("0", 1, 2) for name in files})
    tree = Tree.from_list(json.loads(taken.tree), hash_name="md5")
    tree.digest()
    assert tree.as_bytes() == taken.tree
    assert tree.hash_info.value == taken.digest
    assert {"/".join(key) for key, _, _ in tree} == {*known, REFERENCES}


@given(st.sets(NAMES, min_size=1, max_size=6).filter(lambda names: not names & {b".", b".."}))
def test_any_name_that_the_kernel_allows_is_photographed(
    tmp_path_factory: pytest.TempPathFactory, names: set[bytes]
) -> None:
    root = tmp_path_factory.mktemp("project")
    (root / "files").mkdir()
    for name in names:
        (root / "files" / os.fsdecode(name)).write_bytes(name)
    known = Hashes(root)
    files = list(walk(root, "files"))
    expected = {f"files/{os.fsdecode(name)}": md5_of_bytes(name) for name in names if not name.endswith(b".pyc")}
    assert dict(zip((file.name for file in files), known.of(files), strict=True)) == expected
    known.keep()
    assert refer(root, "files", Hashes(root))[0].files == len(expected)


def test_links_are_followed(root: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"elsewhere/a": "1", "alone": "2"})
    (root / "pipeline" / "folder").symlink_to(tmp_path / "elsewhere")
    (root / "pipeline" / "file").symlink_to("../../alone")
    files = photographed(root).photograph.files
    assert files["pipeline/folder/a"] == md5_of_bytes(b"1")
    assert files["pipeline/file"] == md5_of_bytes(b"2")


def test_a_source_may_be_a_link(root: Path, tmp_path: Path) -> None:
    before = photographed(root).photograph
    (root / "source").rename(tmp_path / "data")
    (root / "source").symlink_to(tmp_path / "data")
    assert photographed(root).photograph == before


def test_the_same_folder_may_be_reached_by_two_links(root: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"elsewhere/a": "1"})
    for name in ("one", "two"):
        (root / "pipeline" / name).symlink_to(tmp_path / "elsewhere")
    assert {"pipeline/one/a", "pipeline/two/a"} <= set(names_of(root))


@pytest.mark.parametrize("target", [".", "..", "../pipeline", "below"])
def test_a_link_that_leads_round_is_an_error_in_one_line(root: Path, target: str) -> None:
    (root / "pipeline" / "below").mkdir()
    (root / "pipeline" / "below" / "again").symlink_to("../.." if target == "below" else "..")
    (root / "pipeline" / "round").symlink_to(target)
    with pytest.raises(StorageError, match=r"^pipeline/\S+: a link to a folder that it is in, so there is no end"):
        names_of(root)


def refused(root: Path) -> RatchetError:
    """Return the one line by which a photograph is refused."""
    with pytest.raises(RatchetError) as caught:
        photographed(root)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("where", ["pipeline", "source"])
def test_a_link_that_leads_nowhere_is_named(root: Path, where: str) -> None:
    (root / where / "link").symlink_to("gone")
    error = refused(root)
    assert (error.exit_code, str(error)) == (
        74,
        f"{where}/link: leads nowhere: No such file or directory; remove or repair it",
    )


def test_links_that_lead_to_each_other_are_named(root: Path) -> None:
    (root / "source" / "a").symlink_to("b")
    (root / "source" / "b").symlink_to("a")
    assert "source/a: leads nowhere: Too many levels of symbolic links" in str(refused(root))


@pytest.mark.parametrize("where", ["pipeline", "source"])
def test_a_pipe_is_refused_and_nobody_waits_for_it(root: Path, where: str) -> None:
    os.mkfifo(root / where / "pipe")
    error = refused(root)
    assert (error.exit_code, str(error)) == (
        65,
        f"{where}/pipe: neither a file nor a folder, so it may never end; remove it",
    )


def test_a_socket_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "source")  # its path may have 108 characters at most
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        with pytest.raises(DataError, match="source/s: neither a file nor a folder"):
            photographed(root)


def test_a_file_that_cannot_be_read_is_named(root: Path) -> None:
    (root / "source" / "memory").symlink_to("/proc/self/mem")
    error = refused(root)
    assert (error.exit_code, "source/memory: cannot be read: Input/output error" in str(error)) == (74, True)


def test_a_folder_that_cannot_be_listed_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("more"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(photograph_module.os, "scandir", refuse)
    assert str(refused(root)) == "source/more: cannot be listed: Permission denied; make it readable"


def test_what_does_not_exist_is_left_to_whoever_brings_it(root: Path) -> None:
    shutil.rmtree(root / "source")
    assert photographed(root).photograph.references == {}


@pytest.mark.parametrize("path", ["../data", "{outside}"])
def test_what_lies_outside_the_project_is_referred_to(root: Path, tmp_path: Path, path: str) -> None:
    write_files(tmp_path, {"data/a": "1"})
    path = path.format(outside=tmp_path / "data")
    graph = parse_graph({"stages": {"a": {"cmd": "x", "deps": [path, "source"]}}}, {})
    taken = photographed(root, graph)
    assert sorted(taken.photograph.references) == sorted([path, "source"])
    assert sorted(taken.photograph.files) == EVERYTHING
    assert taken.known[f"{path}/a"][-1] == md5_of_bytes(b"1")


@pytest.mark.parametrize("source", ["source", "source/", "./source"])
def test_a_source_is_referred_to_however_it_is_written(root: Path, source: str) -> None:
    graph = parse_graph({"stages": {"a": {"cmd": "x", "deps": [source]}}}, {})
    taken = photographed(root, graph, source).photograph
    assert (list(taken.references), sorted(taken.files)) == (["source"], EVERYTHING)


def test_a_path_that_is_written_in_two_ways_is_one(root: Path) -> None:
    stages = {"a": {"cmd": "x", "deps": ["./pipeline/code.py", "pipeline", "pipeline//code.py", "x/../pipeline"]}}
    assert sorted(photographed(root, parse_graph({"stages": stages}, {})).photograph.files) == EVERYTHING


def test_a_part_of_what_is_referred_to_is_referred_to_with_it(root: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"data/a": "1"})
    graph = parse_graph({"stages": {"a": {"cmd": "x", "deps": ["../data", "../data/a", "source/rows.csv"]}}}, {})
    taken = photographed(root, graph, "../data").photograph
    assert (list(taken.references), sorted(taken.files)) == (["../data"], sorted([*EVERYTHING, "source/rows.csv"]))


@pytest.mark.parametrize(
    ("path", "expected"),
    [("data", False), ("a/../data", False), ("../data", True), ("a/../../data", True), ("/data", True), ("..", True)],
)
def test_what_lies_outside_is_told_by_the_path(path: str, expected: bool) -> None:
    assert is_outside(path) is expected


def test_how_far_paths_climb_is_counted() -> None:
    assert climbs([]) == climbs(["data", "/data", "a/../data"]) == 0
    assert climbs(["../a", "../../b/c", "data"]) == 2
