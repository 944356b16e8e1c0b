"""The ledger: what it keeps, and how it is seen that it is not as it was written."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from pipeline.errors import DataError
from pipeline.records.identity import Identity
from pipeline.records.ledger import LedgerLine
from pipeline.records.verdict import Matched, Verdict
from pipeline.registry import ledger
from pipeline.registry.actor import Actor
from tests.registry.judged import ANN, add_line, judged, lines_of, on_line
from tests.registry.local_client import Client
from tests.registry.local_registry import LocalRegistry

OLD = Identity(name="pets", version=1, digest="sha256:old")
FIRST, SECOND, THIRD = (judged(f"sha256:{name}", OLD) for name in ("a", "b", "c"))
# The shortest value that every store of MLflow's keeps of a registered model's tag (its SQL tables: VARCHAR(5000)).
MLFLOWS_LIMIT = 5000


def test_each_line_has_the_digest_of_the_one_before(registry: LocalRegistry) -> None:
    first, second, third = (add_line(registry, verdict) for verdict in (FIRST, SECOND, THIRD))
    assert lines_of(registry) == [first, second, third]
    assert [line.number for line in (first, second, third)] == [1, 2, 3]
    assert [line.before for line in (first, second, third)] == [(), (first.digest,), (second.digest,)]


def test_a_line_says_what_was_judged_by_what_and_who_asked(registry: LocalRegistry) -> None:
    line = add_line(registry, FIRST)
    assert (line.candidate, line.champion, line.anchor) == ("sha256:a", OLD.digest, OLD.digest)
    assert (line.rule, line.test, line.outcome, line.by) == ("sha256:rule", "sha256:test", "promote", "ann")
    assert line.against_champion is not None
    assert (line.against_champion.rows, line.against_champion.won, line.against_champion.lost) == (100, 9, 2)


def test_the_line_of_a_verdict_is_found_whoever_asks(registry: LocalRegistry) -> None:
    add_line(registry, FIRST)
    second = add_line(registry, SECOND)
    assert ledger.find(lines_of(registry), SECOND) == second
    assert ledger.find(lines_of(registry), THIRD) is None
    assert ledger.find(lines_of(registry), SECOND.changed(test_digest="sha256:other rows")) is None


@pytest.mark.parametrize(
    ("given", "other", "contradicts"),
    [
        (FIRST, judged("sha256:a", OLD, promotes=False), True),
        (FIRST, judged("sha256:a", OLD, moves_anchor=True), True),
        (FIRST, FIRST.changed(against_anchor=Matched(rows=100, won=9, lost=1)), False),
        (judged("sha256:a"), judged("sha256:a", promotes=False), True),
        (FIRST, FIRST, False),
        (FIRST, judged("sha256:a", OLD, promotes=False, test="sha256:other rows"), False),
        (FIRST, judged("sha256:a", OLD, promotes=False).changed(rule_digest="sha256:another"), False),
        (FIRST, judged("sha256:a", OLD, OLD.changed(digest="sha256:before"), promotes=False), False),
        (FIRST, judged("sha256:a", OLD, promotes=False).changed(against_champion=None, against_anchor=None), False),
        (judged("sha256:a", OLD, promotes=False), FIRST.changed(against_champion=None, against_anchor=None), True),
    ],
    ids=[
        *("outcome", "moves the anchor", "a row more or less", "first model", "the same", "other rows", "another rule"),
        *("another anchor", "refused because files were gone", "promoted though files were gone"),
    ],
)
def test_on_the_same_models_rows_and_rule_there_is_one_verdict(
    registry: LocalRegistry, given: Verdict, other: Verdict, contradicts: bool
) -> None:
    for first, second in ((given, other), (other, given)):
        registry.execute("DELETE FROM registered_model_tags;")
        add_line(registry, first)
        with pytest.raises(DataError, match="contradicts line 1") if contradicts else nullcontext():
            ledger.require_no_other(lines_of(registry), "pets", second, None)


def test_two_that_write_at_once_follow_the_same_line_and_the_next_one_follows_both(registry: LocalRegistry) -> None:
    first = add_line(registry, FIRST)
    seen = lines_of(registry)
    both = [ledger.line_after(seen, "pets", verdict, ANN) for verdict in (SECOND, THIRD)]
    for line in both:
        ledger.write(Client(registry), line)
    last = add_line(registry, judged("sha256:d", OLD))
    assert [line.before for line in both] == [(first.digest,), (first.digest,)]
    assert set(last.before) == {line.digest for line in both}
    assert [line.number for line in lines_of(registry)] == [1, 2, 2, 3]


def test_verdicts_are_counted_once_by_anchor_on_whatever_rows(registry: LocalRegistry) -> None:
    for verdict in (FIRST, SECOND, judged("sha256:d", OLD, OLD.changed(digest="sha256:before"))):
        add_line(registry, verdict)
    add_line(registry, FIRST)  # two machines at once
    add_line(registry, FIRST.changed(test_digest="sha256:other rows"))
    assert ledger.verdicts_given(lines_of(registry), SECOND) == 3


def test_the_longest_line_fits_into_a_tag_of_every_store(registry: LocalRegistry) -> None:
    name, digests = "n" * 250, ["sha256:" + digit * 64 for digit in "abcdef"]
    champion, anchor = (Identity(name=name, version=9**9, digest=digest) for digest in digests[:2])
    verdict = judged(digests[2], champion, anchor).changed(rule_digest=digests[3], test_digest=digests[4])
    line = ledger.line_after([], name, verdict, Actor("ü" * 1000, ANN.at_utc))
    ledger.write(Client(registry), line)
    [(key, text)] = registry.reader.model_tags(name).items()
    assert len(text) < MLFLOWS_LIMIT / 2
    assert len(key) < 250
    assert lines_of(registry, name) == [line]


def changed(registry: LocalRegistry, number: int, change: Callable[[dict[str, object]], None]) -> None:
    """Change a line where it stands, as a person could on MLflow's page."""
    tags = registry.reader.model_tags("pets")
    key = next(key for key in tags if key.startswith(f"ratchet.ledger.{number:06d}."))
    values = json.loads(tags[key])
    change(values)
    registry.tag("pets", key, json.dumps(values))


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.update(outcome="refuse"),
        lambda line: line.update(by="bob"),
        lambda line: line["against_champion"].update(won=90),
        lambda line: line.update(more=1),
        lambda line: line.pop("test"),
    ],
)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_edited_line_closes_the_ledger(
    registry: LocalRegistry, number: int, change: Callable[[dict[str, object]], None]
) -> None:
    for verdict in (FIRST, SECOND, THIRD):
        add_line(registry, verdict)
    changed(registry, number, change)
    with pytest.raises(DataError, match=r"the ledger of pets is not whole.*bring the registry back from a backup, or"):
        lines_of(registry)


@pytest.mark.parametrize("text", ["{", "[" * 5000])
def test_what_is_no_line_closes_the_ledger(registry: LocalRegistry, text: str) -> None:
    registry.tag("pets", "ratchet.ledger.000001.0123456789abcdef", text)
    with pytest.raises(DataError, match="is not JSON"):
        lines_of(registry)


def remove(registry: LocalRegistry, number: int) -> None:
    registry.execute(f"DELETE FROM registered_model_tags WHERE key LIKE 'ratchet.ledger.{number:06d}.%';")


@pytest.mark.parametrize("number", [1, 2])
def test_a_missing_line_closes_the_ledger(registry: LocalRegistry, number: int) -> None:
    for verdict in (FIRST, SECOND, THIRD):
        add_line(registry, verdict)
    remove(registry, number)
    with pytest.raises(DataError, match=f"line {number + 1} follows sha256:[0-9a-f]+, which is not there"):
        lines_of(registry)


def test_a_ledger_that_was_cut_off_is_seen_by_the_version_that_its_last_line_is_about(registry: LocalRegistry) -> None:
    add_line(registry, FIRST)
    registry.add(4, SECOND.candidate, tags=on_line(add_line(registry, SECOND)))
    assert len(lines_of(registry)) == 2
    remove(registry, 2)
    with pytest.raises(DataError, match=r"v4 was published by line 2 sha256:[0-9a-f]+, which is not there"):
        lines_of(registry)


def test_a_ledger_that_is_gone_is_seen_by_any_version_it_was_about(registry: LocalRegistry) -> None:
    registry.add(4, FIRST.candidate, tags=on_line(add_line(registry, FIRST)))
    registry.execute("DELETE FROM registered_model_tags;")
    with pytest.raises(DataError, match="v4 was published by line 1"):
        lines_of(registry)


def test_a_version_that_names_the_line_of_another_closes_the_ledger(registry: LocalRegistry) -> None:
    registry.add(4, SECOND.candidate, tags=on_line(add_line(registry, FIRST)))
    with pytest.raises(DataError, match="v4 was published by line 1"):
        lines_of(registry)


def test_a_ledger_of_another_model_is_none_of_this_one(registry: LocalRegistry) -> None:
    line = add_line(registry, FIRST, name="plants")
    for key, text in registry.reader.model_tags("plants").items():
        registry.tag("pets", key, text)
    with pytest.raises(DataError, match="is of another model: plants"):
        lines_of(registry)
    assert lines_of(registry, "plants") == [line]


def test_a_line_put_in_between_closes_the_ledger(registry: LocalRegistry) -> None:
    first = add_line(registry, FIRST)
    forged = LedgerLine.of(SECOND, name="pets", number=7, before=(first.digest,), by="ann", at_utc=ANN.at_utc)
    ledger.write(Client(registry), forged)
    with pytest.raises(DataError, match="line 7 does not follow the one before it"):
        lines_of(registry)
