"""The page of the champions: every registered version over time, its figures, its verdict, why, and who decided.

It is read from the registry by its quick reader, without MLflow where the store allows that. Everything read is
escaped; what is damaged in one version takes its own row with it and no other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.records.metrics import ROWS
from pipeline.records.run import ATTEMPTS, PAGE_FILE, RUNS
from pipeline.registry.anchor import by_hand, told
from pipeline.registry.challenge import in_force
from pipeline.registry.reader import Reader, champion_of
from pipeline.registry.store import Store
from pipeline.registry.versions import PHOTOGRAPH, REASON, RUN, Version
from pipeline.report.champions_chart import Chart, Move, Plotted, chart_of
from pipeline.report.drawing import draw
from pipeline.report.figures import number
from pipeline.report.sections import Section, section

_MOST_METRICS = 3  # columns; the page of the run has all of them
_MOST_VERSIONS = 500


@dataclass(frozen=True)
class Event:
    """What was done with a version, when, by whom and why."""

    what: str
    at_utc: str
    by: str
    reason: str
    anchor: str = ""  # what it says of the anchor, if a person has done it


@dataclass(frozen=True)
class Entry:
    """One version as the page shows it. `page` is the address of its run's kept page, `address` MLflow's of itself."""

    version: int
    kind: str  # champion, promoted, refused or other
    word: str
    digest: str
    registered_utc: str
    metrics: Mapping[str, float]
    reason: str
    run: str
    page: str
    photograph: str
    by: str
    address: str
    events: tuple[Event, ...]
    moves: tuple[Event, ...]  # those that made it champion

    @property
    def by_hand(self) -> tuple[Event, ...]:
        """What a person did with it."""
        return tuple(event for event in self.events if event.what not in ("registered", "promoted"))


@dataclass(frozen=True)
class Force:
    """The anchor in force, who decided on it by hand and why, and what keeps candidates from being compared."""

    anchor: int | None
    by_hand: str | None
    problem: str | None


@dataclass(frozen=True)
class Row:
    """A version's number, and its entry or why there is none."""

    version: int
    entry: Section[Entry]


@dataclass(frozen=True)
class Model:
    """One registered model: its rows, newest first, its champion, and the chart of its primary figure."""

    name: str
    rows: tuple[Row, ...]
    left_out: int
    metrics: tuple[str, ...]
    champion: int | None
    now: Entry | None  # the champion's entry, if it can be read
    since: Event | None
    force: Section[Force]
    chart: Section[Chart]


def render_champions(home: Path, store: Store, reader: Reader, at: str) -> bytes:
    """Return the page for all models of a registry, as they are at the time `at`; `home` is the project's folder.

    Raises StorageError, DataError or TryAgain if the registry cannot be read.
    """
    models = [_model(home, store, reader, name) for name in reader.names()]
    page: str = draw("champions", {"models": models, "registry": store.label, "at": at})
    return page.encode(errors="replace")  # a name that is not text


def _model(home: Path, store: Store, reader: Reader, name: str) -> Model:
    versions = reader.versions(name)
    newest = versions[-1].version if versions else 0
    shown = [each for each in versions if each.is_champion or each.version > newest - _MOST_VERSIONS]
    rows = tuple(
        Row(version.version, section(lambda version=version: _entry(home, store, version), home))  # type: ignore[misc]
        for version in reversed(shown)
    )
    entries = [row.entry.value for row in rows if row.entry.value is not None]
    metrics = tuple(dict.fromkeys(metric for entry in entries for metric in entry.metrics))[:_MOST_METRICS]
    champion = next((version.version for version in versions if version.is_champion), None)
    now = next((entry for entry in entries if entry.version == champion), None)
    return Model(
        name=name,
        rows=rows,
        left_out=len(versions) - len(shown),
        metrics=metrics,
        champion=champion,
        now=now,
        since=now.moves[-1] if now and now.moves else None,
        force=section(lambda: _force(reader, name), home),
        chart=section(lambda: _chart(entries, metrics[0], champion) if metrics else None, home),
    )


def _force(reader: Reader, name: str) -> Force:
    met = in_force(reader, name, champion_of(reader, name))
    decided = by_hand(reader, met.champion, met.anchor)
    return Force(met.anchor.version if met.anchor else None, decided, met.problem)


def _chart(entries: Sequence[Entry], metric: str, champion: int | None) -> Chart | None:
    plotted = [
        Plotted(
            entry.version,
            entry.registered_utc,
            entry.metrics[metric],
            "promoted" if entry.kind == "champion" else entry.kind,
            f"v{entry.version}: {metric.replace('_', ' ')} {number(entry.metrics[metric])}, {entry.word}",
        )
        for entry in reversed(entries)
        if math.isfinite(entry.metrics.get(metric, math.nan))
    ]
    moves = [Move(event.at_utc, entry.version) for entry in entries for event in entry.moves]
    return chart_of(plotted, moves, champion)


def _entry(home: Path, store: Store, version: Version) -> Entry:
    events = tuple(_event(value, version) for value in version.history)
    registered = next((event for event in events if event.what == "registered"), None)
    moves = tuple(_event(value, version) for value in version.moves.values())
    kind, word = _standing(version, [event.what for event in moves])
    run = version.tags.get(RUN, "")
    return Entry(
        version=version.version,
        kind=kind,
        word=word,
        digest=version.digest,
        registered_utc=registered.at_utc if registered else version.created_at_utc,
        metrics={name: value for name, value in version.metrics.items() if name != ROWS},
        reason=version.tags.get(REASON, ""),
        run=run,
        page=_page_of(home, run),
        photograph=version.tags.get(PHOTOGRAPH, ""),
        by=registered.by if registered else "",
        address=page_of_version(store.label, version.name, version.version),
        events=events,
        moves=moves,
    )


def _event(value: Any, version: Version) -> Event:
    event = value if isinstance(value, Mapping) else {}
    what, at_utc, by, reason = (str(event.get(key, "")) for key in ("event", "at_utc", "by", "reason"))
    return Event(what, at_utc, by, reason, told(version.name, event, version.identity))


def _standing(version: Version, moves: Sequence[str]) -> tuple[str, str]:
    """Return how a version stands: a kind for its colour, and the words for it."""
    was_judged = {"promote": "promoted", "refuse": "refused"}.get(version.outcome, "")
    if version.is_champion:
        return "champion", {"promoted by hand": "champion, by hand", "restored": "champion again"}.get(
            moves[-1] if moves else "", "champion"
        )
    if version.is_rolled_back:
        return "refused", "rolled back"
    if moves:
        return "promoted", "was champion" if was_judged == "promoted" else f"{was_judged}; was champion, by hand"
    return (was_judged or "other"), {"promoted": "passed", "refused": "refused"}.get(was_judged, "not judged")


def _page_of(home: Path, run: str) -> str:
    """Return the address, relative to this page, of a run's kept page (its latest attempt's); "" if there is none."""
    if not run or run != Path(run).name:
        return ""
    folder = home / RUNS / run
    attempts = sorted((folder / ATTEMPTS).glob("[0-9]*"), key=lambda path: (len(path.name), path.name))
    kept = next((each for each in [*reversed(attempts), folder] if (each / PAGE_FILE).is_file()), None)
    return quote(f"../{(kept / PAGE_FILE).relative_to(home).as_posix()}") if kept else ""


def page_of_version(registry: str, name: str, version: int | None) -> str:
    """Return the address of a version's page on an MLflow server; "" for a registry that has no pages.

    `registry` is what a registry is called (`Store.label`): an address without credentials, or a word.
    """
    if version is None or not registry.startswith(("http://", "https://")):
        return ""
    return f"{registry}/#/models/{quote(name, safe='')}/versions/{version}"
