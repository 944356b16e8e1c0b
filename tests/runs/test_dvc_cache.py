"""Where DVC's cache is, is what DVC says, whichever of its files say so, and it is asked once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dvc.config
import pytest

from pipeline.errors import UsageError
from pipeline.runs.dvc_cache import DvcCache, cache_of
from tests.runs.given import write_files

ANSWER = ".ratchet/dvc_cache.json"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The projects that DVC was asked about."""
    projects: list[str] = []
    begin = dvc.config.Config.__init__

    def noted(config: Any, folder: str, *arguments: Any, **named: Any) -> None:
        projects.append(folder)
        begin(config, folder, *arguments, **named)

    monkeypatch.setattr(dvc.config.Config, "__init__", noted)
    return projects


def test_without_a_word_of_configuration_it_is_dvcs_own(root: Path) -> None:
    assert cache_of(root) == DvcCache(root / ".dvc" / "cache")
    assert cache_of(root).path("abcd") == root / ".dvc" / "cache" / "files" / "md5" / "ab" / "cd"


@pytest.mark.parametrize("level", ["project", "local", "global", "system"])
def test_every_level_of_the_configuration_may_say_where(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "system"))
    file = {"project": root / ".dvc/config", "local": root / ".dvc/config.local"}.get(
        level, tmp_path / level / "config"
    )
    write_files(file.parent, {file.name: f"[cache]\ndir = {tmp_path / 'elsewhere'}\nshared = group\n"})
    assert cache_of(root) == DvcCache(tmp_path / "elsewhere", is_shared=True)


def test_a_relative_folder_is_relative_to_the_file_that_says_it(root: Path, tmp_path: Path) -> None:
    (root / ".dvc" / "config").write_text("[cache]\ndir = ../../elsewhere\n")
    assert cache_of(root).folder == tmp_path / "elsewhere"


def test_dvc_is_asked_once(root: Path, asked: list[str]) -> None:
    assert cache_of(root) == cache_of(root)
    assert len(asked) == 1


def test_after_a_change_of_any_file_dvc_is_asked_again(root: Path, tmp_path: Path, asked: list[str]) -> None:
    cache_of(root)
    (root / ".dvc" / "config").write_text(f"[cache]\ndir = {tmp_path / 'one'}\n")
    assert cache_of(root).folder == tmp_path / "one"
    (root / ".dvc" / "config.local").write_text(f"[cache]\ndir = {tmp_path / 'two'}\n")  # it was not there
    assert cache_of(root).folder == tmp_path / "two"
    (root / ".dvc" / "config.local").unlink()
    assert cache_of(root).folder == tmp_path / "one"
    assert len(asked) == 4


def test_another_place_of_the_users_configuration_is_another_question(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_of(root)
    write_files(tmp_path, {"mine/config": f"[cache]\ndir = {tmp_path / 'mine'}\n"})
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "mine"))
    assert cache_of(root).folder == tmp_path / "mine"


def test_a_project_that_was_moved_has_its_cache_with_it(root: Path, tmp_path: Path) -> None:
    cache_of(root)
    root.rename(tmp_path / "moved")
    assert cache_of(tmp_path / "moved").folder == tmp_path / "moved" / ".dvc" / "cache"


@pytest.mark.parametrize("answer", ["", "[]", "{}", '{"files": 3}', '{"files": []}'])
def test_an_answer_that_cannot_be_read_is_asked_for_again(root: Path, answer: str) -> None:
    write_files(root, {ANSWER: answer})
    assert cache_of(root).folder == root / ".dvc" / "cache"


@pytest.mark.parametrize("text", ["[cache\n", "[cache]\nwhere = x\n", "[cache]\ntype = teleport\n"])
def test_a_configuration_that_dvc_refuses_is_told_in_one_line(root: Path, text: str) -> None:
    (root / ".dvc" / "config").write_text(text)
    with pytest.raises(
        UsageError, match=r"^DVC's configuration: .*`dvc config --list --show-origin` shows it$"
    ) as caught:
        cache_of(root)
    assert "\n" not in str(caught.value)
