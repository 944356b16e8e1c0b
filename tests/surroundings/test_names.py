"""Runs work with any name that a file system allows: of the project's folder, of the source, of files beside them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.surroundings.conftest import MakeSmall
from tests.surroundings.small import Small, commit_all, works_in_every_way

NAMES = {
    "signs": '  two  spaces # and, 100%41 = [a-z]* it\'s "quoted" `so` $HOME (1) & ; zwölf 学习 🦆 e\u0301',
    "200-characters": "long" * 50,
}


def call_all(small: Small, name: str) -> None:
    """Give the source and the folder of the contracts a name."""
    (small.root / "digits").rename(small.root / name)
    (small.root / "data_contracts" / "digits").rename(small.root / "data_contracts" / name)
    small.change_recipe(data={"path": name, "contracts": f"data_contracts/{name}"})


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_of_the_projects_folder_the_source_and_the_contracts(
    small: MakeSmall, tmp_path: Path, name: str
) -> None:
    project = small(tmp_path / name)
    call_all(project, name)
    commit_all(project.root)
    assert len(works_in_every_way(project)["source"]) == 4


def test_file_names_that_are_not_utf8_in_the_project_the_source_and_among_the_contracts(small: MakeSmall) -> None:
    project = small()
    (project.root / "digits" / os.fsdecode(b"caf\xe9.txt")).write_text("notes")
    for folder in ("", "data_contracts/digits/", "data_contracts/", "pipeline/", "pipeline/data/"):
        Path(os.fsdecode(os.fsencode(project.root) + b"/" + folder.encode() + b"caf\xe9.txt")).write_text(folder)
    (project.root / os.fsdecode(b"d\xe9partement")).mkdir()
    (project.root / os.fsdecode(b"d\xe9partement") / os.fsdecode(b"\xff")).write_text("x")
    commit_all(project.root)
    assert ascii(os.fsdecode(b"caf\xe9.txt")) in works_in_every_way(project)["source"]


def test_a_project_behind_a_link(small: MakeSmall, tmp_path: Path) -> None:
    project = small(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    works_in_every_way(Small(tmp_path / "link", {**project.variables, "PWD": str(tmp_path / "link")}))
