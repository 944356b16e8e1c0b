"""Registry and ledger under whatever happens to them: verdicts, people, kills, machines at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipeline.errors import DataError, TryAgain, UsageError
from pipeline.models import stored
from pipeline.records.digests import digest_json
from pipeline.records.identity import Identity
from pipeline.records.registration import Registration
from pipeline.records.verdict import Verdict
from pipeline.registry import by_hand, ledger, publish, runs, tracking
from pipeline.registry.challenge import challenge, in_force, last_champion
from pipeline.registry.publish import Candidate
from pipeline.registry.reader import Reader, champion_of, open_reader
from pipeline.registry.standing import stands
from pipeline.registry.store import Store
from pipeline.registry.versions import CHAMPION, LEDGER, Version
from tests.models.made import architecture
from tests.registry.answering import commands_in
from tests.registry.interleaved import InTurn, Turns, run_interleaved
from tests.registry.judged import ANN, judged
from tests.registry.local_client import Client
from tests.registry.local_registry import LocalRegistry

NAME = "pets"
MODELS = 4
NEVER = 10**6


@cache
def models() -> dict[str, Path]:
    """Return the folders of a few stored models by digest."""
    root = Path(mkdtemp(prefix="ratchet-models-"))
    for number in range(MODELS):
        weights = {"dense/kernel": np.full((2, 2), number, np.float32)}
        stored.save_weights(root / str(number), architecture(classes=("a", "b")), weights)
    return {stored.digest(folder): folder for folder in sorted(root.iterdir())}


class Killed(BaseException):
    """The process ends here."""


class Machine(Client):
    """The client of a process that is killed before one of its writes. Of each alias it is asked why it may be set."""

    def __init__(self, registry: LocalRegistry, kill_before: int = NEVER) -> None:
        super().__init__(registry)
        self._left = kill_before
        self.writes = 0

    def get_experiment_by_name(self, _: str) -> None:
        return None

    def create_model_version(self, digest: str, tags: Mapping[str, str]) -> Version:
        self._may_write()
        number = 1 + max(self._registry.numbers(NAME), default=0)
        self._registry.add(number, digest, name=NAME, tags=tags, location=str(models()[digest]))
        made = self._registry.reader.version(NAME, number)
        assert made is not None
        return made

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        found = self._registry.reader.version(name, int(version))
        assert found is not None
        if list(found.moves.values())[-1]["event"] == "promoted":
            assert_follows_from_its_line(self._registry.reader, found)
        super().set_registered_model_alias(name, alias, version)

    def _write(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        self._may_write()
        super()._write(*statements)

    def _may_write(self) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1
        self.writes += 1


def assert_follows_from_its_line(reader: Reader, version: Version) -> None:
    [line] = [line for line in ledger.read(reader, NAME) if ledger.line_tag(line) == version.tags[LEDGER]]
    assert (line.candidate, line.outcome) == (version.digest, "promote")
    assert line.champion == (version.replaced.digest if version.replaced else None)
    assert version.anchor is not None
    assert version.anchor.digest == (line.candidate if line.moves_anchor or not line.anchor else line.anchor)


class Registering(threading.local):
    """Whose turn a thread takes with each call: that of a machine beside another."""

    turns: tuple[Turns, int] | None = None
    client: Machine


class RegistryAndLedger(RuleBasedStateMachine):
    """What can happen to a registry, in any order. Each rule says what must come of it, `whole` what always holds."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._registry = LocalRegistry(Path(self._stack.enter_context(TemporaryDirectory())))
        self._now = Registering()
        self._lines: set[str] = set()
        self._had_champion = False
        self._is_tampered = False
        for where, what, instead in (
            (tracking, "open_client", lambda _: self._taking_turns(self._now.client)),
            (tracking, "failures_named", lambda _: nullcontext()),
            (publish, "open_reader", lambda store: self._taking_turns(open_reader(store))),
            (publish, "writing", lambda *_: nullcontext()),  # between machines there is no lock
            (publish, "_make_version", self._make_version),
            (runs, "ensure_registered_model", lambda *_: None),
        ):
            self._stack.enter_context(patch.object(where, what, instead))

    def teardown(self) -> None:
        self._stack.close()

    @property
    def reader(self) -> Reader:
        return self._registry.reader

    def _taking_turns(self, each: Any) -> Any:
        return each if self._now.turns is None else InTurn(each, *self._now.turns)

    @staticmethod
    def _make_version(
        _: Store, client: Any, __: Reader, candidate: Candidate, tags: Mapping[str, str], ___: Path
    ) -> Version:
        made: Version = client.create_model_version(candidate.verdict.candidate, tags)
        return made

    def _judge(self, model: int, rows: int) -> Verdict:
        """Judge a model as the stages `champion` and `gate` do, by a function of the models and the test rows.

        Whoever cannot be compared is refused.
        """
        candidate, test = list(models())[model], f"sha256:rows {rows}"
        met = challenge(self.reader, NAME, champion_of(self.reader, NAME), candidate)
        is_there = all(self._is_there(identity) for identity in (met.champion, met.anchor) if identity)
        is_compared = met.problem is None and is_there and (met.anchor is None) == (met.champion is None)
        decided = digest_json([candidate, *(each and each.digest for each in (met.champion, met.anchor)), test])
        passes = is_compared and decided[-1] in "0123456789ab"
        verdict = judged(
            candidate, met.champion, promotes=passes, moves_anchor=passes and decided[-2] in "01234567", test=test
        ).changed(anchor=met.anchor)
        return verdict if is_compared else verdict.changed(against_champion=None, against_anchor=None)

    def _is_there(self, identity: Identity) -> bool:
        version = self.reader.version(NAME, identity.version)
        return version is not None and version.identity == identity

    def _register(self, verdict: Verdict, client: Machine) -> Registration:
        self._now.client = client
        candidate = Candidate(NAME, models()[verdict.candidate], verdict, lambda: None, lambda: None)  # type: ignore[arg-type,return-value]
        return publish.register(self._registry.store, candidate, ANN, self._registry.database.parent / "scratch")

    def _after(self, verdict: Verdict, done: Registration) -> None:
        """What holds when `register` has done its work."""
        champion = champion_of(self.reader, NAME)
        if done.outcome == "promoted":
            self._had_champion = True
            assert verdict.promotes
            assert champion is not None
            assert champion.digest == verdict.candidate
            assert_follows_from_its_line(self.reader, champion)
        elif done.outcome == "refused":
            assert ledger.find(ledger.read(self.reader, NAME), verdict) is not None

    model = st.integers(0, MODELS - 1)
    rows = st.integers(0, 5)

    @rule(model=model, rows=rows, kill_before=st.integers(0, 12))
    def a_night(self, model: int, rows: int, kill_before: int) -> None:
        """Judge and register; when killed, again: then it is done, and a third time nothing is written."""
        assume(not self._is_tampered)
        verdict = self._judge(model, rows)
        try:
            self._after(verdict, self._register(verdict, Machine(self._registry, kill_before)))
        except Killed:
            verdict = self._judge(model, rows)
            self._after(verdict, self._register(verdict, Machine(self._registry)))
        before = self._content()
        client = Machine(self._registry)
        told = self._register(verdict, client)
        assert told.outcome in ("kept", "refused")
        assert client.writes == 0
        assert self._content() == before
        if all(self._is_there(identity) for identity in (verdict.champion, verdict.anchor) if identity):
            assert stands(self._registry.store, NAME, verdict, told)

    @rule(
        model=model,
        rows=rows,
        between=st.sampled_from(["nothing", "by hand", "anchor", "rolled back", "alias removed"]),
        place=st.integers(0, 5),
    )
    def a_verdict_of_before(self, model: int, rows: int, between: str, place: int) -> None:
        """It is carried out only if champion and anchor are still those it was given against."""
        assume(not self._is_tampered)
        verdict, champion = self._judge(model, rows), champion_of(self.reader, NAME)
        if between in ("by hand", "anchor"):
            number = champion.version if between == "anchor" and champion else None
            self.promoted_by_hand(place, between == "anchor", NEVER, number)
        elif between == "rolled back":
            self.rolled_back()
        elif between == "alias removed":
            self.somebody_removes_the_alias()
        met = in_force(self.reader, NAME, champion_of(self.reader, NAME))
        try:
            done = self._register(verdict, Machine(self._registry))
        except TryAgain:
            return
        self._after(verdict, done)
        if done.outcome == "promoted":
            assert (met.champion, met.anchor, met.problem) == (verdict.champion, verdict.anchor, None)

    @rule(
        pair=st.tuples(model, model),
        rows=rows,
        schedule=st.lists(st.integers(0, 1), max_size=60),
    )
    def two_machines_at_once(self, pair: tuple[int, int], rows: int, schedule: list[int]) -> None:
        """Both verdicts are in the ledger afterwards, if they were carried out; at most one has moved the alias."""
        assume(not self._is_tampered and pair[0] != pair[1])
        verdicts = [self._judge(model, rows) for model in pair]
        champion = champion_of(self.reader, NAME)  # itself it met the one it replaced, whom the other may bring back
        assume(champion is None or champion.digest not in [verdict.candidate for verdict in verdicts])
        done: dict[int, Registration] = {}

        def act(place: int, turns: Turns, actor: int) -> None:
            self._now.turns = turns, actor
            done[place] = self._register(verdicts[place], Machine(self._registry))

        told = run_interleaved([partial(act, 0), partial(act, 1)], schedule)
        assert all(told), "a machine has ended in another way"
        assert [each.outcome for each in done.values()].count("promoted") <= 1
        for place, registration in done.items():
            self._after(verdicts[place], registration)
        self._had_champion |= champion_of(self.reader, NAME) is not None

    def _number(self, place: int) -> int:
        """Return the number of one of the versions there are, if there are any."""
        numbers = [version.version for version in self.reader.versions(NAME)] or [1]
        return numbers[place % len(numbers)]

    @rule(place=st.integers(0, 5), is_anchor=st.booleans(), kill_before=st.integers(0, 20), number=st.none())
    def promoted_by_hand(self, place: int, is_anchor: bool, kill_before: int, number: int | None) -> None:
        """The anchor stays, unless the person says that it moves. Who is killed does it again."""
        number = number or self._number(place)
        promote = partial(by_hand.promote, self._registry.store, NAME, str(number), "so it is", actor=ANN)
        before = champion_of(self.reader, NAME)
        try:
            met = in_force(self.reader, NAME, before)
            self._now.client = Machine(self._registry, kill_before)
            try:
                promote(is_anchor=is_anchor)
            except Killed:
                self._now.client = Machine(self._registry)
                if champion_of(self.reader, NAME) == before:
                    promote(is_anchor=is_anchor)
        except (UsageError, DataError):
            return
        self._had_champion = True
        champion = champion_of(self.reader, NAME)
        assert champion is not None
        assert champion.version == number
        assert champion.anchor == (champion.identity if is_anchor or met.anchor is None else met.anchor)

    @rule()
    def rolled_back(self) -> None:
        """The champion of before comes back with its anchor."""
        self._now.client = Machine(self._registry)
        anchors = {version.version: version.anchor for version in self.reader.versions(NAME)}
        try:
            by_hand.rollback(self._registry.store, NAME, "worse on the new cameras", actor=ANN)
        except UsageError:
            return
        champion = champion_of(self.reader, NAME)
        assert champion is not None
        assert champion.anchor == anchors[champion.version]

    @precondition(lambda self: len(self._lines) > 3)
    @rule()
    def somebody_removes_the_alias(self) -> None:
        self._registry.execute("DELETE FROM registered_model_aliases;")

    @precondition(lambda self: len(self._lines) > 2)
    @rule(place=st.integers(0, 5))
    def another_tool_moves_the_alias(self, place: int) -> None:
        """Nobody is compared with that version, whatever it was before.

        Unless it was the champion, or was about to be, when its process was killed.
        """
        number, last = self._number(place), last_champion(self.reader, NAME)
        Client(self._registry).set_registered_model_alias(NAME, CHAMPION, str(number))
        met = in_force(self.reader, NAME, champion_of(self.reader, NAME))
        moves = [
            (int(move["seen"]), each.version) for each in self.reader.versions(NAME) for move in each.moves.values()
        ]
        assert met.problem is not None or last is None or number in (last.version, max(moves)[1])

    @precondition(lambda self: self._had_champion)
    @rule(place=st.integers(0, 1))
    def a_person_does_what_the_sentence_says(self, place: int) -> None:
        """Each command that it names works, and then there is no problem left; a known anchor stays."""
        met = in_force(self.reader, NAME, champion_of(self.reader, NAME))
        if met.problem is None or not self.reader.versions(NAME):
            return
        commands = commands_in(met.problem)
        number, is_anchor = commands[place % len(commands)]
        self._now.client = Machine(self._registry)
        by_hand.promote(self._registry.store, NAME, number, "as it says", is_anchor=is_anchor, actor=ANN)
        champion = champion_of(self.reader, NAME)
        assert champion is not None
        assert is_anchor == (met.anchor is None)
        now = in_force(self.reader, NAME, champion)
        assert (now.champion, now.anchor) == (champion.identity, met.anchor or champion.identity)
        assert now.problem is None

    @precondition(lambda self: len(self._lines) > 3)
    @rule(place=st.integers(0, 5))
    def somebody_deletes_a_version(self, place: int) -> None:
        number = self._number(place)
        self._registry.execute(
            f"UPDATE model_versions SET current_stage = 'Deleted_Internal' WHERE version = {number};"
            f"DELETE FROM registered_model_aliases WHERE version = {number};"
        )

    @precondition(lambda self: len(self._lines) > 2 and not self._is_tampered)
    @rule(which=st.integers(0, 100), how=st.sampled_from(["taken out", "edited"]))
    def somebody_tampers_with_the_ledger(self, which: int, how: str) -> None:
        """From then on nothing is promoted by a verdict, and nothing is written."""
        tags = self.reader.model_tags(NAME)
        lines = sorted(key for key in tags if key.startswith(f"{LEDGER}."))
        key = lines[which % (len(lines) - 1)]  # of the last one only its version tells, and that may be gone
        self._registry.execute(f"DELETE FROM registered_model_tags WHERE key = '{key}';")
        if how == "edited":
            self._registry.tag(NAME, key, tags[key].replace('"ann"', '"bob"'))
        self._is_tampered = True
        before, digest = self._content(), next(iter(models()))
        try:
            champion = champion_of(self.reader, NAME)
            met = challenge(self.reader, NAME, champion, digest)
            self._register(judged(digest, met.champion, met.anchor, moves_anchor=True), Machine(self._registry))
        except (DataError, TryAgain):
            assert self._content() == before
        else:
            raise AssertionError("a verdict was carried out though the ledger is not whole")

    @rule(model=model, rows=rows, how=st.sampled_from(["outcome", "anchor"]))
    def somebody_writes_another_verdict(self, model: int, rows: int, how: str) -> None:
        """What contradicts the line of the verdict that the gate gave moves nothing, and nothing is written."""
        assume(not self._is_tampered)
        given = self._judge(model, rows)
        self._after(given, self._register(given, Machine(self._registry)))
        if given.champion is not None and given.against_champion is None:
            return
        promotes = given.promotes ^ (how == "outcome") or how == "anchor"
        other = judged(
            given.candidate,
            given.champion,
            given.anchor,
            promotes=promotes,
            moves_anchor=promotes and not given.moves_anchor,
            test=given.test_digest,
        )
        before = self._content()
        try:
            done = self._register(other, Machine(self._registry))
        except (DataError, TryAgain):
            pass
        else:
            assert done.outcome == "kept" or other == given
            assert self._is_champion(given.candidate) or other == given
        assert self._content() == before

    def _is_champion(self, digest: str) -> bool:
        champion = champion_of(self.reader, NAME)
        return champion is not None and champion.digest == digest

    def _content(self) -> object:
        return self.reader.versions(NAME), self.reader.model_tags(NAME)

    @invariant()
    def whole(self) -> None:
        """No line is lost, and where there was a champion nobody is first."""
        if self._is_tampered:
            return
        lines = {line.digest for line in ledger.read(self.reader, NAME)}
        assert lines >= self._lines
        self._lines = lines
        if self._had_champion:
            assert in_force(self.reader, NAME, champion_of(self.reader, NAME)).champion is not None


RegistryAndLedger.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
TestRegistryAndLedger = RegistryAndLedger.TestCase
