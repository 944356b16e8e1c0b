"""What DVC itself does with what it is told: real DVC, in this process, in a project of a few shell commands."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.dependency.base import Dependency
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import Stage

from pipeline.errors import StorageError
from pipeline.graph import load_graph
from pipeline.runs import absent_sources, dvc_repro, freshness, known_hashes, workspace_config
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.dvc_repro import Order
from tests.runs.given import opened, photographed, rewrite_in_place, write_files

STAGES = {
    "take": {"cmd": "mkdir raw && cp source/rows.csv raw/", "deps": ["source"], "outs": ["raw"]},
    "judge": {
        "cmd": "wc -c < raw/rows.csv > verdict.txt",
        "deps": ["raw"],
        "params": ["name"],
        "outs": ["verdict.txt"],
    },
    "look": {"cmd": "echo looked > looked.txt", "outs": ["looked.txt"], "always_changed": True},
}
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon:DeprecationWarning")  # of DVC's pygtrie
WHOLE = Order(picture=str(freshness.CLEAN))


@pytest.fixture
def project(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    declare(root)
    replaced = ((Dependency, "workspace_status"), (Stage, "run"), (Stage, "_run_stage"))
    for owner, name in replaced:  # by `absent_sources` and `watched_inputs`
        monkeypatch.setattr(owner, name, getattr(owner, name))
    return root


def declare(root: Path, **commands: str) -> None:
    """Write the graph, some of its stages with another command."""
    stages = {name: {**stage, "cmd": commands.get(name, stage["cmd"])} for name, stage in STAGES.items()}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))


@contextmanager
def repo_in(folder: Path) -> Iterator[Any]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        with Repo(config={"core": {"no_scm": True}}) as repo:
            yield repo
    finally:
        os.chdir(before)


def do(folder: Path, order: Order = WHOLE) -> None:
    """Carry out an order as DVC's own process does."""
    with repo_in(folder) as repo:
        dvc_repro._execute(repo, order)


def is_remembered(root: Path) -> bool:
    freshness.remember(root, load_graph(root))
    return freshness.is_as_remembered(root, load_graph(root))


# After a failure, what was good before is there again.


@pytest.mark.long
def test_outputs_that_were_good_before_are_there_again_after_a_stage_has_failed(project: Path) -> None:
    do(project)
    declare(project, take="exit 3", judge="exit 4")
    with pytest.raises(DvcException):
        do(project)
    assert (project / "raw" / "rows.csv").read_text() == "1,2,3"
    assert (project / "verdict.txt").read_text() == "5\n"


def test_what_an_earlier_stage_of_the_failed_run_has_made_stays(project: Path) -> None:
    do(project)
    write_files(project, {"source/rows.csv": "another"})
    declare(project, judge="exit 4")
    with pytest.raises(DvcException):
        do(project)
    assert (project / "raw" / "rows.csv").read_text() == "another"
    assert (project / "verdict.txt").read_text() == "5\n"


def test_where_the_cache_has_lost_them_the_failure_is_what_is_told(project: Path) -> None:
    do(project)
    shutil.rmtree(cache_of(project).folder)
    declare(project, take="exit 3")
    with pytest.raises(DvcException, match="failed to reproduce 'take'"):
        do(project)


def test_half_a_folder_is_not_brought_back(project: Path) -> None:
    write_files(project, {"source/more/rows.csv": "4,5,6"})
    declare(project, take="cp -r source raw")
    do(project)
    [listed] = project.glob(".dvc/cache/files/md5/*/*.dir")
    cache_of(project).path(json.loads(listed.read_text())[0]["md5"]).unlink()
    for path in (project / "raw", project / "verdict.txt"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    do(project, Order(checks_out=True, reproduces=False))
    assert not (project / "raw").exists()
    assert (project / "verdict.txt").read_text() == "5\n"


def test_only_what_is_missing_is_brought_back(project: Path) -> None:
    do(project)
    (project / "verdict.txt").unlink()
    (project / "looked.txt").unlink()
    (project / "looked.txt").write_text("by a person")
    do(project, Order(checks_out=True, reproduces=False))
    assert ((project / "verdict.txt").read_text(), (project / "looked.txt").read_text()) == ("5\n", "by a person")


def test_an_order_may_stop_at_a_stage(project: Path) -> None:
    do(project, Order(stage="take"))
    assert (project / "raw").is_dir()
    assert not (project / "verdict.txt").exists()


# Nothing is called unchanged that has changed while the run went on.


def test_a_run_that_nobody_disturbs_is_remembered(project: Path) -> None:
    do(project)
    assert is_remembered(project)


MEANWHILE: dict[str, str] = {
    "the recipe": "echo 'name: other' > params.yaml; echo 'data: {path: source}' >> params.yaml",
    "the source": "echo 9 > source/rows.csv",
    "an output that was made before": "rm raw/rows.csv; echo 9 > raw/rows.csv",
    "the graph": "cp other.yaml dvc.yaml",
    "a recipe that is none": "echo 'name: [' > params.yaml",
    "a graph that is none": "echo 'stages: [' > dvc.yaml",
}


@pytest.mark.long
@pytest.mark.parametrize("what", MEANWHILE)
def test_what_changes_while_a_later_stage_works_is_not_remembered(project: Path, what: str) -> None:
    declare(project, judge="echo other > verdict.txt")
    (project / "dvc.yaml").rename(project / "other.yaml")
    declare(project, look=f"{MEANWHILE[what]}; echo looked > looked.txt")
    graph = load_graph(project)
    for stage in ("take", "judge"):
        do(project, Order(stage=stage))
    do(project)
    assert (project / "looked.txt").is_file()
    freshness.remember(project, graph)
    assert not freshness.is_as_remembered(project, graph)


def test_an_output_that_is_edited_after_the_run_is_a_change(project: Path) -> None:
    do(project)
    assert is_remembered(project)
    (project / "verdict.txt").unlink()
    (project / "verdict.txt").write_text("6\n")
    assert not freshness.is_as_remembered(project, load_graph(project))


def test_a_run_that_failed_says_nothing_of_the_files(project: Path) -> None:
    declare(project, judge="exit 4")
    with pytest.raises(DvcException):
        do(project)
    assert not (project / freshness.CLEAN).exists()


# What the photograph has read, DVC does not read again.


@pytest.fixture
def opened_files() -> Iterator[list[str]]:
    """The paths that are opened from now on in this process, links resolved."""
    files: list[str] = []
    watching = [True]

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if watching[0] and event == "open" and isinstance(arguments[0], str):
            files.append(os.path.realpath(arguments[0]))

    sys.addaudithook(note)  # for good: there is no taking it away again
    yield files
    watching[0] = False


def read_by_dvc(root: Path, files: list[str], change: Callable[[], object] = lambda: None) -> list[str]:
    """Have DVC look at a new workspace's source; return which of its files it has read."""
    workspace = opened(root)
    change()
    workspace_config.write(workspace, root)
    with repo_in(workspace) as repo:
        known_hashes.tell(repo)
        files.clear()
        [stage] = [stage for stage in repo.index.stages if stage.addressing == "take"]
        for dependency in stage.deps:
            dependency.save()
        return sorted({os.path.relpath(file, root) for file in files if file.startswith(str(root / "source"))})


def test_what_the_photograph_has_hashed_dvc_does_not_read(project: Path, opened_files: list[str]) -> None:
    assert read_by_dvc(project, opened_files) == []


def test_what_has_changed_since_is_read(project: Path, opened_files: list[str]) -> None:
    source = project / "source" / "rows.csv"
    assert read_by_dvc(project, opened_files, lambda: rewrite_in_place(source, b"9,9,9")) == ["source/rows.csv"]


def test_without_a_word_all_is_read(project: Path, opened_files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_hashes, "tell", lambda _: None)
    assert read_by_dvc(project, opened_files) == ["source/more/rows.csv", "source/rows.csv"]


def test_it_is_told_once(project: Path) -> None:
    workspace = opened(project)
    assert (workspace / known_hashes._FILE).is_file()
    workspace_config.write(workspace, project)
    with repo_in(workspace) as repo:
        known_hashes.tell(repo)
        assert (workspace / known_hashes._TOLD).exists()
        (workspace / known_hashes._FILE).write_text("what would be an error if it were read again")
        known_hashes.tell(repo)


# A source that is no longer what a run began with.


def made_without_source(root: Path) -> Path:
    """A workspace in which a run was complete, and whose source is no longer there."""
    workspace = opened(root)
    workspace_config.write(workspace, root)
    do(workspace, Order())
    (workspace / "source").unlink()
    absent_sources.note(workspace, ["source"])
    (workspace / known_hashes._FILE).unlink()  # which a workspace that was made again has not of it
    return workspace


def test_a_source_that_is_absent_is_not_missed_where_nothing_has_to_read_it(project: Path) -> None:
    workspace = made_without_source(project)
    lock = (workspace / "dvc.lock").read_bytes()
    do(workspace, Order(stage="judge"))
    assert (workspace / "dvc.lock").read_bytes() == lock


@pytest.mark.long
@pytest.mark.parametrize("order", [Order(is_forced=True), Order(stage="take", is_single=True, is_forced=True)])
def test_a_stage_that_has_to_read_an_absent_source_is_refused_in_one_line(project: Path, order: Order) -> None:
    workspace = made_without_source(project)
    with pytest.raises(DvcException) as caught:
        do(workspace, order)
    told = f"{caught.value} {caught.value.__cause__}"
    assert "stage take: has to run again, but source is no longer what this run began with" in told
    assert (workspace / "raw" / "rows.csv").read_text() == "1,2,3"


# DVC's configuration in a workspace.


def test_a_workspace_has_the_configuration_of_its_home_but_for_git(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    write_files(
        tmp_path,
        {
            "global/config": '[cache]\ntype = copy\n[remote "theirs"]\nurl = s3://bucket/path\nprofile = me\n',
            "project/.dvc/config": "[core]\nremote = mine\n[cache]\ndir = ../../elsewhere\n"
            '[remote "mine"]\nurl = ../../far\n',
            "project/.dvc/config.local": '[remote "mine"]\njobs = 3\n[remote "theirs"]\nsecret_access_key = pss\n',
        },
    )
    workspace = opened(project)
    workspace_config.write(workspace, project)
    with repo_in(workspace) as repo:
        config = repo.config
        assert (config["core"]["no_scm"], config["core"]["remote"], config["cache"]["type"]) == (True, "mine", ["copy"])
        assert Path(config["cache"]["dir"]).resolve() == tmp_path / "elsewhere"
        assert Path(config["remote"]["mine"]["url"]).resolve() == tmp_path / "far"
        assert config["remote"]["mine"]["jobs"] == 3
        assert config["remote"]["theirs"]["secret_access_key"] == "pss"
    assert (workspace / ".dvc" / "config.local").stat().st_mode & 0o777 == 0o600
    assert not [path for path in (workspace / ".dvc").iterdir() if path.name == "config"]
    taken = photographed(project).photograph
    assert not [path for path in taken.files if path.startswith(".dvc/")]


def test_it_is_written_anew_each_time(project: Path) -> None:
    workspace = opened(project)
    workspace_config.write(workspace, project)
    (project / ".dvc" / "config").write_text("[cache]\ntype = symlink\n")
    workspace_config.write(workspace, project)
    with repo_in(workspace) as repo:
        assert repo.config["cache"]["type"] == ["symlink"]
    (project / ".dvc" / "config").write_text("")
    workspace_config.write(workspace, project)
    with repo_in(workspace) as repo:
        assert "type" not in repo.config["cache"] or repo.config["cache"]["type"] is None


def test_bytes_gone_from_the_cache_are_noticed(project: Path) -> None:
    do(project)
    graph = load_graph(project)
    assert freshness.is_cached(project / "dvc.lock", graph, cache_of(project))
    [listing] = project.glob(".dvc/cache/files/md5/*/*.dir")
    cache_of(project).path(json.loads(listing.read_text())[0]["md5"]).unlink()
    assert not freshness.is_cached(project / "dvc.lock", graph, cache_of(project))
    with pytest.raises(StorageError):
        listing.unlink()
        list(freshness.cached_objects(project / "dvc.lock", graph, cache_of(project)))


# What changes while a stage works on it.


def test_what_a_stage_reads_may_not_change_while_it_works(project: Path) -> None:
    declare(project, take="mkdir raw && cp source/rows.csv raw/ && echo 9 >> source/rows.csv")
    with pytest.raises(DvcException) as caught:
        do(project)
    told = f"{caught.value} {caught.value.__cause__}"
    assert "stage take: source has changed while the stage worked on it; its result is not kept, run again" in told
    assert not (project / "dvc.lock").exists() or "take" not in (project / "dvc.lock").read_text()
    assert not list(project.glob(".dvc/cache/runs/*/*/*"))


def test_a_source_that_changes_before_its_stage_runs_is_not_taken_for_the_photographed_one(project: Path) -> None:
    workspace = opened(project)
    workspace_config.write(workspace, project)
    rows = project / "source" / "rows.csv"
    rows.write_text(rows.read_text() + "4,5,6")
    with pytest.raises(DvcException) as caught:
        do(workspace)
    told = f"{caught.value} {caught.value.__cause__}"
    assert "stage take: source is no longer what this run began with; bring it back as it was" in told
    assert not (workspace / "raw").exists()


def test_a_source_that_was_merely_touched_is_the_photographed_one(project: Path) -> None:
    workspace = opened(project)
    workspace_config.write(workspace, project)
    os.utime(project / "source" / "rows.csv", (1, 1))
    do(workspace)
    assert (workspace / "raw" / "rows.csv").is_file()
