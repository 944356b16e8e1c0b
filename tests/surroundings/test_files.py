"""A file that never ends, leads nowhere or is no text: one line, at once, and nothing is written."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.surroundings.conftest import MakeSmall
from tests.surroundings.small import WITH_INGEST, Small

PATIENCE_S = 60.0  # of a machine that is far slower; a hang has no end


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def bound_socket(path: Path) -> None:
    path.unlink(missing_ok=True)
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's address is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def leads_to(target: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    return make


def utf_16(path: Path) -> None:
    path.write_bytes(path.read_text().encode("utf-16"))


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """One for all: each test puts back what it changed."""
    import shutil

    from tests.surroundings.small import write_graph

    folder = tmp_path_factory.mktemp("files")
    shutil.copytree(template, folder / "project", symlinks=True)
    write_graph(folder / "project", WITH_INGEST)
    (folder / "home").mkdir()
    return Small(folder / "project", {"HOME": str(folder / "home")}, stages=tuple(WITH_INGEST))


CASES = {
    "a FIFO in the source": ("digits/x", fifo, 65, "digits/x: neither a file nor a folder"),
    "a socket in the source": ("digits/x", bound_socket, 65, "digits/x: neither a file nor a folder"),
    "a device in the source": ("digits/x", leads_to("/dev/zero"), 65, "digits/x: neither a file nor a folder"),
    "a link to nothing in the source": ("digits/x", leads_to("/nowhere"), 74, "digits/x: leads nowhere"),
    "a link to itself in the source": ("digits/x", leads_to("x"), 74, "digits/x: leads nowhere"),
    "a link to its folder in the source": ("digits/x", leads_to("."), 74, "digits/x: a link to a folder that it is in"),
    "the recipe as a FIFO": ("params.yaml", fifo, 65, "params.yaml: no regular file"),
    "the recipe as an endless device": ("params.yaml", leads_to("/dev/zero"), 65, "params.yaml: no regular file"),
    "the recipe as a link to nothing": ("params.yaml", leads_to("/nowhere"), 74, "params.yaml: cannot be read"),
    "the recipe in UTF-16": ("params.yaml", utf_16, 2, "params.yaml: is UTF-16, not UTF-8"),
    "the graph as a FIFO": ("dvc.yaml", fifo, 65, "dvc.yaml: no regular file"),
    "the graph in UTF-16": ("dvc.yaml", utf_16, 2, "dvc.yaml: is UTF-16, not UTF-8"),
    "the execution as a FIFO": ("execution.yaml", fifo, 65, "execution.yaml: no regular file"),
    "the execution in UTF-16": ("execution.yaml", utf_16, 2, "execution.yaml: is UTF-16, not UTF-8"),
    "a contract as a FIFO": ("data_contracts/digits/raw.yaml", fifo, 65, "raw.yaml: neither a file nor a folder"),
    "the lock as a FIFO": ("dvc.lock", fifo, 65, "dvc.lock: no regular file"),
    "the lock as a link to nothing": ("dvc.lock", leads_to("/nowhere"), 74, "dvc.lock: a link that leads nowhere"),
    "what DVC ignores as a FIFO": (".dvcignore", fifo, 65, ".dvcignore: no regular file"),
    "DVC's settings as a FIFO": (".dvc/config.local", fifo, 65, ".dvc/config.local: no regular file"),
    "a FIFO in the code": ("pipeline/data/x.py", fifo, 65, "pipeline/data/x.py: neither a file nor a folder"),
}


@pytest.mark.parametrize(("name", "change", "code", "says"), CASES.values(), ids=CASES)
def test_it_is_one_line_at_once(
    project: Small, name: str, change: Callable[[Path], None], code: int, says: str
) -> None:
    path = project.root / name
    before = path.read_bytes() if path.is_file() else None
    change(path)
    try:
        with project.start("ratchet", "run") as process:
            out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        path.unlink()
        if before is not None:
            path.write_bytes(before)
    assert process.returncode == code, out + err
    assert err.count("\n") == 1
    assert says in err
    assert not any((project.root / each).exists() for each in ("runs", "data", "reports", ".ratchet/workspaces"))


@pytest.mark.parametrize(("ending", "content"), [(".png", b"\x89PNG"), (".csv", b"a,b"), (".npy", b"NUMPY")])
def test_data_of_another_format_are_named(small: MakeSmall, ending: str, content: bytes) -> None:
    project = small(stages=WITH_INGEST)
    for file in (project.root / "digits").iterdir():
        file.unlink()
    (project.root / "digits" / f"one{ending}").write_bytes(content)
    done = project.ratchet("run")
    assert done.returncode == 65
    assert f"digits: no training files, but {ending} files; expected the idx files" in done.stderr
    assert not (project.root / "runs").exists()


def test_a_file_that_is_being_edited_in_emacs_refuses_no_run(small: MakeSmall) -> None:
    project = small()
    for folder in ("pipeline/data", "data_contracts/digits"):
        (project.root / folder / ".#edited").symlink_to("me@host.123:456")
    project.run()
    project.run("seed=3")


def test_an_errors_sentence_stands_once(small: MakeSmall) -> None:
    project = small()
    survey = project.root / "pipeline" / "stages" / "survey.py"
    survey.write_text("from pipeline.errors import DataError\n\n\ndef run(stage):\n    raise DataError('once only')\n")
    done = project.ratchet("run")
    assert done.returncode == 65
    assert (done.stdout + done.stderr).count("once only") == 1
