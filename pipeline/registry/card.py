"""The card of a model: what it is, what it learned from, how good it is, its limits, its lineage, and how it is used.

Made from records that a run has anyway; nothing here is measured.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import UsageError
from pipeline.recipe.task import OVERFIT, Metric, bounded_metrics, kind_of
from pipeline.records.architecture import StoredArchitecture
from pipeline.records.identity import Identity
from pipeline.records.metrics import ROWS, MetricsReport
from pipeline.records.model_card import CardPart, CardTable, ModelCard
from pipeline.records.verdict import Verdict
from pipeline.registry import card_inputs
from pipeline.registry.versions import PREFIX

_SLICES_SHOWN, _CLASSES_SHOWN = 20, 50
_PARTS = ("train", "validation", "test")
_LONGEST = 200  # characters of a text of the data
_ADDRESS = "127.0.0.1:8600"
_LINEAGE = {
    "git_commit": "commit",
    "git_dirty": "files differ from the commit",
    "recipe_digest": "recipe",
    "data_digest": "prepared data",
    "dvc_lock_digest": "dvc.lock",
    "requirements_digest": "packages",
    "photograph": "photograph",
    "run": "run",
    "device": "trained on",
}


@dataclass(frozen=True)
class Rows:
    """How many rows each part has, how many changed copies were learned from, and why others were left out."""

    parts: Mapping[str, int]
    copies: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)


def card_of(
    name: str,
    recipe: Mapping[str, Any],
    architecture: StoredArchitecture,
    metrics: MetricsReport,
    verdict: Verdict,
    rows: Rows,
    lineage: Mapping[str, str],
    version: int | None = None,
) -> ModelCard:
    """Return the card. `recipe` are plain values by group, `lineage` the tags that say where a version comes from."""
    return ModelCard(
        name=name,
        version=version,
        digest=verdict.candidate,
        request=card_inputs.request(architecture),
        parts=(
            _what(verdict.candidate, recipe, architecture, metrics),
            _data(recipe, rows),
            _quality(metrics, verdict),
            _limits(recipe, architecture, metrics, verdict, rows),
            _whence(verdict, lineage),
        ),
    )


def how_to_use(card: ModelCard) -> CardPart:
    """Return the commands that serve a card's model and ask it, by its own version and features."""
    which = f"{card.name}@{card.version}" if card.version is not None else card.name
    asked = (
        f"curl -H 'content-type: application/json' {_ADDRESS}/predict -d {shlex.quote(card.request)}"
        if card.request
        else f"curl --data-binary @picture.png -H 'content-type: image/png' {_ADDRESS}/predict"
    )
    note = "BASE64 stands for a picture's file in base64." if "BASE64" in card.request else ""
    return CardPart(
        title="How to use it",
        sentences=tuple(filter(None, (note,))),
        commands=(f"ratchet export {which} --to served", "ratchet serve served", asked),
    )


def _what(digest: str, recipe: Mapping[str, Any], architecture: StoredArchitecture, metrics: MetricsReport) -> CardPart:
    classes, predicts = architecture.classes, architecture.predicts
    shown = ", ".join(_short(name) for name in classes[:_CLASSES_SHOWN])
    more = f" and {len(classes) - _CLASSES_SHOWN} more" if len(classes) > _CLASSES_SHOWN else ""
    unit = metrics.units.get(metrics.primary, "")
    number = f"a number in {_short(unit)}" if unit else "a number"
    facts = {
        "digest": digest,
        "task": architecture.task,
        "answers": f"{len(classes)} classes: {shown}{more}" if classes else number,
        "predicts": _short(predicts.column) if predicts and predicts.column else "",
        "read by": _threshold(recipe, architecture, metrics),
        "model": architecture.name,
        "settings": json.dumps(architecture.settings),
        "parameters": _count(architecture.parameters),
    }
    inputs = CardTable(
        title="Inputs", columns=("feature", "kind", "takes"), rows=tuple(card_inputs.taken(architecture))
    )
    return CardPart(title="What it is", facts=_said(facts), tables=(inputs,))


def _threshold(recipe: Mapping[str, Any], architecture: StoredArchitecture, metrics: MetricsReport) -> str:
    """Return how a class follows from probabilities; "" for a number."""
    given = recipe.get("task", {}).get("settings", {}).get("threshold")
    threshold = metrics.learned.get("threshold", given if isinstance(given, float) else None)
    if not architecture.classes:
        return ""
    if threshold is None or len(architecture.classes) != 2:
        return "the likeliest class"
    where = ", learned on the validation part" if "threshold" in metrics.learned else ""
    return f"class {_short(architecture.classes[1])} from probability {threshold:.4g} on{where}"


def _data(recipe: Mapping[str, Any], rows: Rows) -> CardPart:
    data, split = recipe["data"], recipe["split"]
    facts = {
        "source": data["source"]["name"],
        "path": _short(data["path"]),
        "address": _short(data.get("address") or ""),
        "as of": recipe["ingest"].get("as_of") or "",
        "split": split["method"],
        "changed copies learned from": _count(rows.copies) if rows.copies else "",
    }
    parts = CardTable(
        title="Rows",
        columns=("part", "rows"),
        rows=tuple((part, _count(rows.parts[part])) for part in _in_order(rows.parts)),
    )
    left_out = CardTable(
        title="Rows that were left out",
        columns=("why", "rows"),
        rows=tuple((_short(why), _count(count)) for why, count in rows.left_out.items() if count),
    )
    return CardPart(title="Data", facts=_said(facts), tables=(parts, *([left_out] if left_out.rows else [])))


def _in_order(parts: Mapping[str, int]) -> list[str]:
    """Return the parts in the order in which they are used; others after them."""
    known = [part for part in _PARTS if part in parts]
    return [*known, *(part for part in parts if part not in known)]


def _quality(metrics: MetricsReport, verdict: Verdict) -> CardPart:
    known = _known_metrics(metrics.task)
    facts = {
        "verdict when it was registered": f"{verdict.outcome}: {verdict.reason}",
        "by rule": verdict.rule,
        "compared with": _compared(verdict.champion, "nobody: the first model"),
        "against it": _against(verdict),
        "held to": _compared(verdict.anchor, ""),
        "checks": f"{len(verdict.checks)}, {sum(not check.has_passed for check in verdict.checks)} failed",
    }
    tables = [_figures(metrics, verdict, known)]
    tables += [_slices(column, slices, known) for column, slices in metrics.slices.items() if slices]
    return CardPart(title="How good it is", facts=_said(facts), tables=tuple(tables))


def _figures(metrics: MetricsReport, verdict: Verdict, known: Mapping[str, Metric]) -> CardTable:
    checks = {check.name: check for check in verdict.checks}
    rows = []
    for name, value in metrics.test_figures.items():
        if name == ROWS:
            continue
        check = checks.get(f"minimum.{name}") or checks.get(f"maximum.{name}")
        bound, worst = (check.bound, check.figure) if check else (None, None)
        unit = metrics.units.get(name, known[name].unit if name in known else "")
        title = known[name].title if name in known else name
        train = metrics.train.get(name) if name != OVERFIT else None
        figures = (_figure(each) for each in (value, worst, bound, train))
        rows.append((f"{title}{f' ({unit})' if unit else ''}", *figures))
    columns = ("metric", f"test, {_count(int(metrics.test[ROWS]))} rows", "at worst", "bound")
    return CardTable(
        title='Metrics; "at worst" is the limit that the gate held to the bound',
        columns=(*columns, f"training, {_count(int(metrics.train[ROWS]))} rows"),
        rows=tuple(rows),
    )


def _slices(column: str, slices: Mapping[str, Mapping[str, float]], known: Mapping[str, Metric]) -> CardTable:
    names = [name for name in next(iter(slices.values())) if name != ROWS]
    first = names[0] if names else ROWS
    sign = -1 if first in known and not known[first].is_higher_better else 1

    def worst_first(entry: tuple[str, Mapping[str, float]]) -> float:
        value = entry[1].get(first, math.nan)
        return -math.inf if math.isnan(value) else sign * value

    ordered = sorted(slices.items(), key=worst_first)
    more = f", the worst {_SLICES_SHOWN} of {len(ordered)}" if len(ordered) > _SLICES_SHOWN else ""
    return CardTable(
        title=f"By {_short(column)}{more}",
        columns=(_short(column), "rows", *(known[name].title if name in known else name for name in names)),
        rows=tuple(
            (_short(value), _figure(figures.get(ROWS)), *(_figure(figures.get(name)) for name in names))
            for value, figures in ordered[:_SLICES_SHOWN]
        ),
    )


def _limits(
    recipe: Mapping[str, Any],
    architecture: StoredArchitecture,
    metrics: MetricsReport,
    verdict: Verdict,
    rows: Rows,
) -> CardPart:
    test, method = _count(int(metrics.test[ROWS])), recipe["split"]["method"]
    said = [f"It was judged on {test} test rows, which split {method} has set aside, and on nothing else."]
    if left_out := sum(rows.left_out.values()):
        said.append(f"It was not judged on rows like the {_count(left_out)} that were left out.")
    if smallest := _smallest_slice(metrics):
        said.append(smallest)
    if not recipe["data"].get("roles", {}).get("slices"):
        besides = " other than its classes" if architecture.classes else ""
        said.append(
            f"No slices are declared (data.roles.slices): how good it is for groups of rows{besides} is not known."
        )
    said += [
        f"Not checked: {check.name} ({_short(check.sentence)})." for check in verdict.checks if check.outcome == "off"
    ]
    if (near := metrics.without_near_duplicates) is not None and near[ROWS] != metrics.test[ROWS]:
        alike = _count(int(metrics.test[ROWS] - near[ROWS]))
        figure = _figure(near.get(metrics.primary))
        said.append(f"{alike} test rows look like a training row; without them its {metrics.primary} is {figure}.")
    said += [f"{each}." for each in card_inputs.limits(architecture)]
    said.append("Nothing is known of inputs made to mislead it, nor of data that have changed since.")
    return CardPart(title="Limits", sentences=tuple(said))


def _smallest_slice(metrics: MetricsReport) -> str:
    found = [
        (int(figures[ROWS]), column, value)
        for column, slices in metrics.slices.items()
        for value, figures in slices.items()
        if ROWS in figures
    ]
    if not found:
        return ""
    count, column, value = min(found)
    return f"Its smallest slice, {_short(column)} {_short(value)}, has {_count(count)} test rows."


def _whence(verdict: Verdict, lineage: Mapping[str, str]) -> CardPart:
    facts = {words: _short(lineage.get(PREFIX + key, "")) for key, words in _LINEAGE.items()}
    return CardPart(title="Lineage", facts=_said({**facts, "champion before it": _compared(verdict.champion, "none")}))


def _known_metrics(task: str) -> dict[str, Metric]:
    """Return a task's metrics by name, those of slices too; none of a task that is not here."""
    try:
        kind = kind_of(task)
    except UsageError:
        return {}
    of_slices = {metric.name: metric for metric in (*kind.slice_metrics, *kind.declared_metrics)}
    return {**of_slices, **bounded_metrics(kind)}


def _compared(other: Identity | None, nobody: str) -> str:
    return f"{other.name} v{other.version} ({other.digest})" if other else nobody


def _against(verdict: Verdict) -> str:
    match = verdict.against_champion
    return f"{_count(match.won)} rows won, {_count(match.lost)} lost of {_count(match.rows)}" if match else ""


def _said(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in facts.items() if text}


def _count(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return _count(value) if isinstance(value, int) else f"{value:.4g}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
