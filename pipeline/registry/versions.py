"""What the registry knows about a version: plain values, and the names of the tags that hold them.

A version is identified by its digest (weights and architecture), never by where its bytes are: MLflow lets anybody
write a version's source, so bytes are trusted only if they have the digest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline.errors import DataError
from pipeline.records.computed_on import ComputedOn
from pipeline.records.identity import Identity

CHAMPION = "champion"  # the one alias Ratchet moves; others belong to people
PREFIX = "ratchet."
DIGEST = PREFIX + "digest"
OUTCOME = PREFIX + "outcome"
REASON = PREFIX + "reason"
METRICS = PREFIX + "metrics"
REPLACED = PREFIX + "met"
ANCHOR = PREFIX + "anchor"  # the one in force while this version is champion
LEDGER = PREFIX + "ledger"  # the latest line on this version: its number and its digest
JUDGED_BY = PREFIX + "judged_by"  # the digests of the test rows of its verdict and of the file that lists them
CARD = PREFIX + "card"  # the digest of its card's file
EXPORTS = PREFIX + "exports"  # what its forms take on the machine that has registered it, as JSON
LAST_CHAMPION = PREFIX + "last_champion"  # of the model, not of a version: it is still there if that version is not
LAST_ANCHOR = PREFIX + "last_anchor"  # of the model: the anchor of the last champion's time
ROLLED_BACK = PREFIX + "rolled_back"
HISTORY = PREFIX + "history"
RUN = PREFIX + "run"
PHOTOGRAPH = PREFIX + "photograph"
DAG = PREFIX + "dag"
DAG_RUN = PREFIX + "dag_run"
RUN_ADDRESS = PREFIX + "run_address"
DEVICE = PREFIX + "device"  # cpu or gpu; several, if the training was continued on another
UNIT = PREFIX + "unit"  # of what the model answers, where that is a number
THRESHOLD = PREFIX + "threshold"  # from which probability a row belongs to the second of two classes
COMPUTED_ON = PREFIX + "computed_on"  # the records of that, as JSON
MISSING = "none"
MOVES = ("promoted", "promoted by hand", "restored")  # the events that make a version champion
WITHDRAWN = "withdrawn"  # the move before it, because another machine made another version champion meanwhile
_LINEAGE = (RUN, PHOTOGRAPH, DAG, DAG_RUN, RUN_ADDRESS, DEVICE, COMPUTED_ON)


@dataclass(frozen=True)
class Version:
    """One version of a registered model. `tags` are those of the registry."""

    name: str
    version: int
    created_at_utc: str  # ISO 8601, seconds
    run_id: str
    tags: Mapping[str, str] = field(repr=False)
    aliases: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The digest of the model, or "" if Ratchet did not register this version."""
        return self.tags.get(DIGEST, "")

    @property
    def outcome(self) -> str:
        """`promote` or `refuse`: the latest verdict recorded; "" if there is none."""
        return self.tags.get(OUTCOME, "")

    @property
    def is_champion(self) -> bool:
        """Whether the alias `champion` points here."""
        return CHAMPION in self.aliases

    @property
    def is_rolled_back(self) -> bool:
        """Whether a person has rolled this version back."""
        return ROLLED_BACK in self.tags

    @property
    def metrics(self) -> dict[str, float]:
        """The test metrics at registration."""
        value = self._json(METRICS, {})
        return {str(key): float(figure) for key, figure in value.items()} if isinstance(value, dict) else {}

    @property
    def history(self) -> list[dict[str, str]]:
        """What was done with this version, oldest first: `event`, `at_utc`, `by`, `reason`, and what it replaced."""
        value = self._json(HISTORY, [])
        return value if isinstance(value, list) else []

    @property
    def moves(self) -> dict[int, dict[str, str]]:
        """The events of the history that made it champion, by their place there, without those withdrawn."""
        events = [event if isinstance(event, dict) else {} for event in self.history]
        return {
            place: event
            for place, (event, then) in enumerate(zip(events, [*events[1:], {}], strict=False))
            if event.get("event") in MOVES and then.get("event") != WITHDRAWN
        }

    @property
    def identity(self) -> Identity:
        """Name, version and digest."""
        return Identity(name=self.name, version=self.version, digest=self.digest)

    @property
    def replaced(self) -> Identity | None:
        """The champion this version replaced when it was last promoted; None if there was none."""
        return identity_in(self.name, self.tags.get(REPLACED, MISSING))

    @property
    def anchor(self) -> Identity | None:
        """The anchor in force while this version is champion: itself, if an earlier Ratchet has made it champion.

        None if the tag that names it names nobody.
        """
        return identity_in(self.name, self.tags[ANCHOR]) if ANCHOR in self.tags else self.identity

    @property
    def computed_on(self) -> tuple[ComputedOn, ...]:
        """What its training was computed on; empty if that is not known, or was made unreadable by hand."""
        try:
            values = self._json(COMPUTED_ON, [])
            return tuple(ComputedOn.from_json(value, COMPUTED_ON) for value in values)
        except (DataError, TypeError):
            return ()

    def to_json(self) -> dict[str, Any]:
        """Return it for `--json`: everything but where the bytes are."""
        return {
            "name": self.name,
            "version": self.version,
            "digest": self.digest,
            "aliases": list(self.aliases),
            "outcome": self.outcome,
            "reason": self.tags.get(REASON, ""),
            "metrics": self.metrics,
            "exports": self._json(EXPORTS, {}),
            "created_at_utc": self.created_at_utc,
            "git_commit": self.tags.get(PREFIX + "git_commit", ""),
            "lineage": {
                key.removeprefix(PREFIX): value
                for key, value in sorted(self.tags.items())
                if key in _LINEAGE or (key.startswith(PREFIX) and key.endswith(("_digest", "_commit", "_dirty")))
            },
            "met": self.replaced.to_json() if self.replaced else None,
            "anchor": self.anchor.to_json() if ANCHOR in self.tags and self.anchor else None,
            "ledger": self.tags.get(LEDGER, ""),
            "rolled_back": self._json(ROLLED_BACK, None),
            "history": self.history,
        }

    def _json(self, tag: str, default: Any) -> Any:
        text = self.tags.get(tag)
        if text is None:
            return default
        try:
            return json.loads(text)
        except ValueError as error:
            raise DataError(
                f"{self.name} v{self.version}: tag {tag} is not JSON: {error}; "
                "it was changed by hand: correct or remove it"
            ) from error


def identity_tag(identity: Identity | None) -> str:
    """Return a version, such as the champion that another one replaced, as a tag's text."""
    return MISSING if identity is None else f"{identity.version} {identity.digest}"


def identity_in(name: str, text: str) -> Identity | None:
    """Return the version of a model that a tag's text names; None if it names none."""
    version, _, digest = text.partition(" ")
    return Identity(name=name, version=int(version), digest=digest) if version.isdecimal() else None


def history_tag(history: Sequence[Mapping[str, str]], event: Mapping[str, str]) -> str:
    """Return the history with one more event, as a tag's text. An event that repeats the last one is not added."""
    events = [dict(entry) for entry in history]
    told = event.keys() - {"at_utc", "seen"}
    if not events or any(events[-1].get(key) != event[key] for key in told):
        events.append(dict(event))
    return json.dumps(events, ensure_ascii=False)


def as_utc(moment_ms: int) -> str:
    """Return milliseconds since 1970 as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
