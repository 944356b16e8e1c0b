"""What a process gets whose user has no name, or no home; asked as such a user."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pipeline.runtime import user
from tests.nameless import UID, call_nameless

ROOT = Path(__file__).parents[2]
ASK = (
    "import json, os; from pathlib import Path; from pipeline.runtime import user;"
    "print(json.dumps([user.is_known_to_the_system(), user.name(),"
    "user.missing_variables(os.environ, Path('/spare'))]))"
)


def answers(**changes: str) -> tuple[bool, str, dict[str, str]]:
    """Return what a nameless user's process is told."""
    done = call_nameless([sys.executable, "-c", ASK], ROOT, **changes)
    assert done.returncode == 0, done.stderr
    is_known, name, variables = json.loads(done.stdout)
    return is_known, name, variables


def test_without_a_name_and_a_home_both_are_made_up() -> None:
    assert answers() == (False, f"uid-{UID}", {"LOGNAME": f"uid-{UID}", "HOME": "/spare"})


def test_what_the_environment_says_stays(tmp_path: Path) -> None:
    assert answers(USER="me", HOME=str(tmp_path)) == (False, "me", {})


def test_a_home_that_cannot_be_written_stays_and_caches_go_elsewhere() -> None:
    assert answers(USER="me", HOME="/proc")[2] == {"XDG_CACHE_HOME": "/spare/.cache"}
    assert answers(USER="me", HOME="/proc", XDG_CACHE_HOME="/cache")[2] == {}


def test_a_user_known_to_the_system_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user.pwd, "getpwuid", lambda uid: object())
    assert user.missing_variables({}, Path("/spare")) == {}


def test_a_command_in_a_project_gives_what_is_missing_to_all_that_it_starts() -> None:
    code = (
        "import os; from pipeline.cli.command import project_root; root = project_root();"
        "print(os.environ['LOGNAME'], os.path.relpath(os.environ['HOME'], root))"
    )
    done = call_nameless([sys.executable, "-c", code], ROOT)
    assert done.stdout == f"uid-{UID} .ratchet/home\n", done.stderr
