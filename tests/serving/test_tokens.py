"""The file of access tokens."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.serving.tokens import Tokens, add_token, hashed, read_tokens


def test_a_new_token_is_kept_as_a_hash_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token = add_token(path, "till-7")
    assert len(token) > 40
    assert token not in path.read_text()
    assert hashed(token) in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Tokens(path).owner(token) == "till-7"
    assert Tokens(path).owner(token + "x") is None
    assert Tokens(path).owner(hashed(token)) is None


def test_names_are_checked_and_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    add_token(path, "till-7")
    with pytest.raises(UsageError, match="has a token named 'till-7' already"):
        add_token(path, "till-7")
    for name in ("", "a b", "a\nb", "-a", "é"):
        with pytest.raises(UsageError, match="is no name"):
            add_token(path, name)


def test_a_token_is_taken_until_the_end_of_its_last_day(tmp_path: Path) -> None:
    path, today = tmp_path / "tokens", datetime.now(UTC).date()
    lines = {
        "gone": f"gone sha256:{hashed('a')} until {today - timedelta(1)}",
        "late": f"late sha256:{hashed('b')} until {today + timedelta(1)}  # a comment",
    }
    path.write_text("# tokens\n\n" + "\n".join(lines.values()))
    tokens = Tokens(path)
    assert tokens.owner("a") is None
    assert tokens.owner("b") == "late"


@pytest.mark.parametrize(
    "line", ["x", "x sha256:12", f"x sha256:{'g' * 64}", f"x sha256:{'0' * 64} until 2026-13-01", "\0"]
)
def test_a_broken_file_is_refused_without_its_content(tmp_path: Path, line: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"ok sha256:{hashed('a')}\n{line}\n")
    with pytest.raises(DataError, match="line 2: must be `NAME sha256:HEX`"):
        read_tokens(path)
    tokens = Tokens(path)
    assert tokens.owner("a") is None
    assert tokens.problem


def test_a_file_that_is_gone_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        read_tokens(tmp_path / "nothing")
    assert Tokens(tmp_path / "nothing").owner("a") is None
