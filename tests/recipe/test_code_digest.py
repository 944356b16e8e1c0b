"""The digest of a slot's file is of what it does: words make no difference, and everything else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.recipe.code_digest import code_digest
from tests.recipe.conftest import ROOT

TEXT = '''"""A member."""

from pydantic import Field

from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings."""

    rate: float = Field(default=0.5, ge=0, description="how much")


def build(settings):
    """Return it."""
    return settings.rate * 2  # doubled
'''


def digest(tmp_path: Path, text: str) -> str:
    path = tmp_path / "member.py"
    path.write_text(text)
    return code_digest(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A member."""', '"""Another sentence."""'),
        ('"""A member."""\n', ""),
        ('    """Its settings."""\n', ""),
        ('    """Return it."""\n', ""),
        ('description="how much"', 'description="the share"'),
        (', description="how much"', ""),
        ("  # doubled", ""),
        ("\n\n\n", "\n\n"),
    ],
)
def test_words_make_no_difference(tmp_path: Path, old: str, new: str) -> None:
    assert old in TEXT
    assert digest(tmp_path, TEXT.replace(old, new)) == digest(tmp_path, TEXT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("default=0.5", "default=0.6"),
        ("ge=0", "ge=1"),
        ("* 2", "* 3"),
        ("rate: float", "rate: int"),
        ("settings.rate", "settings.other"),
        ('"""Return it."""', 'print("Return it.")'),
    ],
)
def test_what_it_does_makes_one(tmp_path: Path, old: str, new: str) -> None:
    assert old in TEXT
    assert digest(tmp_path, TEXT.replace(old, new)) != digest(tmp_path, TEXT)


def test_every_shipped_member_has_a_digest_of_its_own() -> None:
    files = [*(ROOT / "pipeline/training").glob("*s/*.py"), *(ROOT / "pipeline/data").glob("*s/*.py")]
    members = [file for file in files if file.name != "__init__.py"]
    assert len({code_digest(file) for file in members}) == len(members)
