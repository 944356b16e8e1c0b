"""What is drawn, what is listed, and which tests belong to a file. The campaign itself: `make mutants`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.mutants import __main__ as campaign
from tests.mutants import cores
from tests.mutants.__main__ import LISTED, ROOT, Equivalents, Mutant, draw
from tests.mutants.cores import files

SMALL = ["pipeline/gate/checks.py", "pipeline/training/schedules/cosine.py"]


@pytest.mark.long
def test_the_same_seed_draws_the_same_mutants_and_another_others() -> None:
    one, places = draw(ROOT, SMALL, 12, 1)
    assert one == draw(ROOT, SMALL, 12, 1)[0] != draw(ROOT, SMALL, 12, 2)[0]
    assert len(one) == 12 < places


@pytest.mark.long
def test_every_mutant_is_at_a_place_of_its_own_and_changes_its_file() -> None:
    drawn, places = draw(ROOT, SMALL, 10_000, 1)
    assert 12 < len(drawn) <= places
    for mutant in drawn:
        assert mutant.diff
        assert (ROOT / mutant.file).read_text() != mutant.code


def test_every_core_has_tests_that_are_there() -> None:
    for name, tests in files(ROOT).items():
        assert (ROOT / name).is_file()
        assert tests
        assert all((ROOT / test).is_file() for test in tests)


@pytest.mark.parametrize(
    ("core", "said"),
    [
        ({"pipeline/none/*.py": ()}, "no file is pipeline/none"),
        ({"pipeline/errors.py": ("tests/gone.py",)}, "tests/gone.py is not there"),
        ({"pipeline/stages/gate.py": ()}, "pipeline/stages/gate.py has no tests: name them"),
    ],
)
def test_a_core_that_is_gone_or_has_no_tests_is_named(
    monkeypatch: pytest.MonkeyPatch, core: dict[str, tuple[str, ...]], said: str
) -> None:
    monkeypatch.setattr(cores, "CORES", core)
    with pytest.raises(LookupError, match=said):
        files(ROOT)


def mutant(file: str, diff: str) -> Mutant:
    return Mutant(file, "operator", 1, "", diff)


def test_a_listed_mutant_is_known_by_its_diff_or_by_the_line_that_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.py").write_text("x = 1\ny = 2\n")
    monkeypatch.setattr(campaign, "LISTED", tmp_path / "listed.yaml")
    listed = [{"file": "a.py", "diff": "- x = 1\n+ x = 2\n", "reason": "why"}, {"file": "a.py", "line": "y = 2"}]
    campaign.LISTED.write_text(yaml.safe_dump(listed))
    found = Equivalents.read(tmp_path)
    assert mutant("a.py", "- x = 1\n+ x = 2") in found
    assert mutant("a.py", "- x = 1\n+ x = 3") not in found
    assert mutant("b.py", "- x = 1\n+ x = 2") not in found
    assert mutant("a.py", "- y = 2\n+ y = 5") in found
    (tmp_path / "a.py").write_text("x = 1\n")
    with pytest.raises(LookupError, match=r"a\.py has no line `y = 2` any more"):
        Equivalents.read(tmp_path)


def test_each_mutant_that_is_listed_is_of_code_that_is_there_and_has_its_reason() -> None:
    Equivalents.read(ROOT)
    assert all(one["reason"] for one in yaml.safe_load(LISTED.read_text()))
