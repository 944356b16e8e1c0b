"""Whether a verdict still stands in the registry. With a real store of MLflow: tests/system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import StorageError
from pipeline.records.architecture import MODEL_FILES
from pipeline.records.identity import Identity
from pipeline.records.registration import Registration, RegistrationOutcome
from pipeline.records.verdict import Verdict
from pipeline.registry.actor import Actor
from pipeline.registry.publish import Candidate, Description, register
from pipeline.registry.standing import stands
from pipeline.storage.record_files import write_record
from tests.registry.judged import add_line, judged, on_line
from tests.registry.local_registry import LocalRegistry

OLD, NEW = "sha256:old", "sha256:new"
FIRST = Identity(name="pets", version=1, digest=OLD)


REFUSED, PROMOTED = judged(NEW, FIRST, promotes=False), judged(NEW, FIRST)


class Filled(LocalRegistry):
    """A registry whose versions have their files."""

    def put(self, number: int, digest: str, *aliases: str, line: Verdict | None = None, **tags: str) -> None:
        self.folder(number).mkdir(parents=True)
        for name in MODEL_FILES:
            (self.folder(number) / name).touch()
        kept = {f"ratchet.{key}": text for key, text in tags.items()}
        if line is not None:
            kept |= on_line(add_line(self, line))
        self.add(number, digest, aliases=aliases, tags=kept, location=str(self.folder(number)))

    def folder(self, number: int) -> Path:
        return self.database.parent / str(number)


def still(registry: Filled, verdict: Verdict, told: Registration | None = None) -> bool:
    """Whether a verdict stands; without more, its registration told what it did, next to champion v1."""
    return stands(registry.store, "pets", verdict, told or registration("promoted" if verdict.promotes else "refused"))


def registration(
    outcome: RegistrationOutcome, sentence: str = "refused: the reason; champion v1 stays"
) -> Registration:
    return Registration(outcome=outcome, name="pets", version=2, champion=FIRST, sentence=sentence, registry="here")


@pytest.fixture
def registry(tmp_path: Path) -> Filled:
    return Filled(tmp_path)


def test_a_promotion_stands_once_it_is_carried_out(registry: Filled) -> None:
    registry.put(1, OLD, "champion")
    assert not still(registry, PROMOTED)
    registry.put(2, NEW)
    assert not still(registry, PROMOTED)  # the version is there; its alias is not
    registry.execute("DELETE FROM registered_model_aliases;")
    registry.put(3, NEW, "champion", met=f"1 {OLD}")
    assert still(registry, PROMOTED)


def test_the_first_models_promotion_stands(registry: Filled) -> None:
    first = judged(NEW)
    assert not still(registry, first)
    registry.put(1, NEW, "champion", met="none")
    assert still(registry, first)


def test_a_refusal_stands_once_it_is_recorded(registry: Filled) -> None:
    registry.put(1, OLD, "champion")
    assert not still(registry, REFUSED)
    registry.put(2, NEW, line=REFUSED)
    assert still(registry, REFUSED)


def test_a_refusal_that_is_in_no_ledger_does_not_stand(registry: Filled) -> None:
    registry.put(1, OLD, "champion")
    registry.put(2, NEW)
    assert not still(registry, REFUSED)
    add_line(registry, REFUSED)
    assert not still(registry, REFUSED)  # the line is there; the version does not name it


def test_an_earlier_verdict_still_stands_when_the_candidate_was_judged_by_another_rule_since(registry: Filled) -> None:
    registry.put(1, OLD, "champion")
    add_line(registry, REFUSED)
    registry.put(2, NEW, line=REFUSED.changed(rule_digest="sha256:another"))
    assert still(registry, REFUSED)


def test_held_to_another_anchor_no_verdict_stands(registry: Filled) -> None:
    registry.put(1, OLD, "champion", anchor=f"1 {OLD}")
    registry.put(2, NEW, line=REFUSED)
    assert still(registry, REFUSED)
    registry.execute("UPDATE model_version_tags SET value = '3 sha256:other' WHERE key = 'ratchet.anchor';")
    assert not still(registry, REFUSED)


def test_the_anchors_bytes_are_missed_too(registry: Filled) -> None:
    held = Identity(name="pets", version=3, digest="sha256:anchor")
    given = judged(NEW, FIRST, held, promotes=False)
    registry.put(1, OLD, "champion", anchor="3 sha256:anchor")
    registry.put(2, NEW, line=given)
    assert not still(registry, given)
    registry.put(3, "sha256:anchor")
    assert still(registry, given)
    (registry.folder(3) / MODEL_FILES[0]).unlink()
    assert not still(registry, given)


@pytest.mark.parametrize("given", [REFUSED, PROMOTED], ids=["refused", "promoted"])
def test_against_another_champion_no_verdict_stands(registry: Filled, given: Verdict) -> None:
    registry.put(1, OLD)
    registry.put(2, NEW)
    assert not still(registry, given)
    registry.put(3, "sha256:other", "champion")
    assert not still(registry, given)


CHAMPION_ALREADY = "v2 is the champion already"
ROLLED_BACK = (
    "v2 was rolled back by a person and is not promoted again by itself; champion v1 stays; "
    '`ratchet registry promote 2 --reason "…"` does it'
)


def test_a_refused_candidate_that_a_person_made_champion_stands_once_the_run_says_so(registry: Filled) -> None:
    registry.put(1, OLD)
    registry.put(2, NEW, "champion", met=f"1 {OLD}")
    assert not still(registry, REFUSED)
    assert still(registry, REFUSED, registration("kept", CHAMPION_ALREADY))


def test_a_promotion_that_was_rolled_back_is_not_repeated_and_stands_once_the_run_says_so(registry: Filled) -> None:
    registry.put(1, OLD, "champion")
    registry.put(2, NEW, line=PROMOTED, rolled_back="{}")
    assert not still(registry, PROMOTED)
    assert still(registry, PROMOTED, registration("kept", ROLLED_BACK))


def test_after_a_rollback_of_the_rollback_the_run_says_so_too(registry: Filled) -> None:
    registry.put(1, OLD)
    registry.put(2, NEW, "champion", met=f"1 {OLD}")
    assert not still(registry, PROMOTED, registration("kept", ROLLED_BACK))


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("name", MODEL_FILES)
@pytest.mark.parametrize("given", [REFUSED, PROMOTED], ids=["refused", "promoted"])
def test_bytes_that_are_gone_are_missed(registry: Filled, given: Verdict, number: int, name: str) -> None:
    if given is REFUSED:
        registry.put(1, OLD, "champion")
        registry.put(2, NEW, line=REFUSED)
    else:
        registry.put(1, OLD)
        registry.put(2, NEW, "champion", met=f"1 {OLD}")
    assert still(registry, given)
    (registry.folder(number) / name).unlink()
    assert not still(registry, given)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM model_versions WHERE version = 1",
        "UPDATE model_version_tags SET value = 'x' WHERE version = 1 AND key = 'ratchet.digest'",
    ],
)
def test_the_champion_of_before_has_to_be_what_it_was(registry: Filled, change: str) -> None:
    registry.put(1, OLD)
    registry.put(2, NEW, "champion", met=f"1 {OLD}")
    assert still(registry, PROMOTED)
    registry.execute(change + ";")
    assert not still(registry, PROMOTED)


def test_the_bytes_are_those_of_the_version_that_is_champion(registry: Filled) -> None:
    registry.put(1, OLD)
    registry.put(2, NEW)
    registry.put(3, NEW, "champion", met=f"1 {OLD}")
    (registry.folder(2) / MODEL_FILES[0]).unlink()
    assert still(registry, PROMOTED)
    (registry.folder(3) / MODEL_FILES[0]).unlink()
    assert not still(registry, PROMOTED)


def test_bytes_that_are_elsewhere_are_not_asked_for(registry: Filled) -> None:
    registry.add(1, NEW, aliases=["champion"], tags={"ratchet.met": "none"}, location="s3://bucket/pets/1")
    assert still(registry, judged(NEW))


def test_a_registry_that_is_gone_is_missed(registry: Filled) -> None:
    registry.put(1, OLD, "champion")
    registry.put(2, NEW)
    registry.database.unlink()
    assert not still(registry, REFUSED)
    assert not registry.database.exists()


def test_a_registry_that_cannot_be_read_is_named(registry: Filled) -> None:
    registry.database.write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError, match="is not a database of MLflow"):
        still(registry, REFUSED)


ASKED = """
import sys
from pathlib import Path
from pipeline.recipe.execution import MLflowSettings
from pipeline.records.registration import Registration
from pipeline.records.verdict import Verdict
from pipeline.registry.standing import stands
from pipeline.registry.store import resolve_store
from pipeline.storage.record_files import read_record
root = Path(sys.argv[1])
verdict, told = (read_record(root / f"{kind.__name__}.json", kind) for kind in (Verdict, Registration))
print(stands(resolve_store(root, MLflowSettings()), "pets", verdict, told))
print({"numpy", "mlflow", "pyarrow", "filelock"} & set(sys.modules))
"""


@pytest.mark.long
@pytest.mark.parametrize("is_moved", [False, True])
def test_to_ask_imports_nothing_heavy(registry: Filled, tmp_path: Path, is_moved: bool) -> None:
    registry.put(1, OLD)
    registry.put(2, NEW, "champion", met=f"1 {OLD}")
    write_record(tmp_path / "Verdict.json", PROMOTED)
    write_record(tmp_path / "Registration.json", registration("promoted"))
    if is_moved:
        home = tmp_path / "registry" / "mlflow.db.ratchet.home"
        home.write_text("/where/it/was")
        before = f"'{tmp_path.resolve()}', '/where/it/was'"
        registry.execute(f"UPDATE model_versions SET source = replace(source, {before});")
    done = subprocess.run(
        [sys.executable, "-c", ASKED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "True\nset()\n"


def test_a_candidate_that_is_registered_but_whose_files_are_gone_is_told(registry: Filled, tmp_path: Path) -> None:
    registry.put(1, NEW, "champion")

    def describe() -> Description:
        raise AssertionError("nothing is to be published")

    candidate = Candidate("pets", tmp_path, PROMOTED, lambda: None, describe)
    actor = Actor("me", "2026-11-28T00:00:00Z")
    told = register(registry.store, candidate, actor, tmp_path / "scratch").sentence
    assert told == "v1 is the champion already"
    (registry.folder(1) / MODEL_FILES[0]).unlink()
    told = register(registry.store, candidate, actor, tmp_path / "scratch").sentence
    assert told.endswith("the files of v1 are gone from the registry: restore them from a backup")
