"""The page for people: one self-contained HTML file, the verdict first, then why.

It shows the outputs of a run under the root and says plainly what is missing. Everything read is escaped; the file
loads nothing and runs nothing, and its own content policy forbids both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.errors import RatchetError
from pipeline.evaluation.predictions import read_predictions
from pipeline.records.contract_result import ContractResult
from pipeline.records.metrics import MetricsReport
from pipeline.records.registration import Registration
from pipeline.records.run import RunReport
from pipeline.records.verdict import Verdict
from pipeline.report import flow, mistakes, provenance
from pipeline.report.inline_svg import inline_svg
from pipeline.report.sections import Section, record_section
from pipeline.storage.manifests import read_manifest

_TEMPLATE = "page.html.jinja"
_PLOTS = ("learning_curves", "confusion", "roc", "precision_recall", "calibration")
_SUITES = ("raw", "prepared")
_DEFAULT_MISTAKES = 24
_CONFUSIONS = 8
_LONGEST_TEXT = 160


@dataclass(frozen=True)
class Headline:
    """The page's headline. `kind` is promote, refuse, stopped, outdated or none; `word` is the same for people."""

    kind: str
    symbol: str
    word: str
    sentence: str


@dataclass(frozen=True)
class Errors:
    """The candidate's wrong predictions on the test part: the most confident ones and the commonest confusions."""

    worst: list[mistakes.Mistake]
    confusions: list[mistakes.Confusion]
    wrong: int
    rows: int
    problem: str = ""


def render(root: Path) -> bytes:
    """Return the page for what is under `root`. A part that is missing or damaged never fails: the page says so."""
    return str(_template().render(_content(root))).encode()


def headline(
    verdict: Section[Verdict],
    run: Section[RunReport],
    contracts: Mapping[str, Section[ContractResult]],
    candidate: str | None,
) -> Headline:
    """Return the headline. A verdict counts only if nothing has failed since and it is about this candidate."""
    if run.value and (failed := run.value.failed):
        return Headline("stopped", "■", "Stopped", f"The run stopped at {failed.name}: {failed.what}")
    for suite, contract in contracts.items():
        if contract.value and not contract.value.has_passed:
            broken = len(contract.value.failed)
            sentence = f"The contract on {suite} data does not hold: {broken} of its expectations failed."
            return Headline("stopped", "■", "Stopped", sentence)
    if verdict.problem:
        return Headline("stopped", "■", "Unreadable", f"The verdict cannot be read: {verdict.problem}")
    if verdict.value is None:
        return Headline("none", "○", "Not judged yet", "There is no verdict, so nothing has been promoted.")
    if candidate and verdict.value.candidate != candidate:
        sentence = "The verdict is about another model than the one in models/candidate: run again."
        return Headline("outdated", "○", "Out of date", sentence)
    reason = verdict.value.reason[:1].upper() + verdict.value.reason[1:]
    if verdict.value.outcome != "promote":
        return Headline("refuse", "✗", "Refuse", reason)
    return Headline("promote", "✓", "Promote", reason)


def number(value: Any) -> str:
    """Return a figure of the gate or the metrics as text: four decimals, whole numbers as counts."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        text = f"{value:.4f}" if value == 0 or 1e-4 <= abs(value) < 1e6 else f"{value:.3g}"
        return text.replace("-", "−")
    return plain(value)


def count(value: int | None) -> str:
    """Return a whole number with spaces between its thousands: 12 000."""
    return "–" if value is None else f"{value:,}".replace(",", "\u202f")


def plain(value: Any) -> str:
    """Return any JSON value as one short line of text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def short(digest: str | None) -> str:
    """Return the beginning of a digest: enough for people to distinguish two."""
    return (digest or "–").removeprefix("sha256:")[:12]


def moment(text: str) -> str:
    """Return an ISO 8601 time as people read it: 2026-11-22 13:25:07 UTC."""
    return text.replace("T", " ").replace("+00:00", " UTC")


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, count=count, plain=plain, short=short, moment=moment)
    return environment.get_template(_TEMPLATE)


def _content(root: Path) -> dict[str, Any]:
    reports = root / "reports"
    verdict = record_section(reports / "verdict.json", Verdict)
    run = record_section(reports / "run.json", RunReport)
    contracts = {
        suite: record_section(reports / "contracts" / suite / "result.json", ContractResult) for suite in _SUITES
    }
    recipe = provenance.read_recipe(root)
    values = recipe.value or {}
    candidate = provenance.candidate_digest(root)
    return {
        "name": plain(values.get("name", "model")),
        "headline": headline(verdict, run, contracts, candidate),
        "verdict": verdict,
        "registration": record_section(reports / "registration.json", Registration),
        "metrics": record_section(reports / "metrics.json", MetricsReport),
        "plots": {name: _plot(reports / "plots" / f"{name}.svg", name) for name in _PLOTS},
        "errors": _errors(root, values.get("evaluate.worst_mistakes", _DEFAULT_MISTAKES)),
        "flow": flow.read_flow(root),
        "contracts": contracts,
        "documents": {suite: _documents(reports, suite) for suite in _SUITES},
        "run": run,
        "digests": provenance.digests(root),
        "commit": provenance.git_commit(root),
        "recipe": recipe,
        "overridden": run.value.overrides if run.value else {},
        "libraries": provenance.library_versions(),
    }


def _plot(path: Path, name: str) -> Section[Any]:
    from markupsafe import Markup

    if not path.is_file():
        return Section(None)
    return _or_problem(lambda: Markup(inline_svg(path.read_bytes(), name)))  # noqa: S704 - sanitised element by element


def _errors(root: Path, wanted: Any) -> Section[Errors]:
    folder = root / "reports" / "predictions"
    if not folder.is_dir():
        return Section(None)

    def read() -> Errors:
        predictions = read_predictions(folder)
        names = read_manifest(folder, verify=False).counts["classes"]
        worst = mistakes.worst_mistakes(predictions, names, wanted if isinstance(wanted, int) else _DEFAULT_MISTAKES)
        shown = _or_problem(lambda: mistakes.with_pictures(worst, root / "data" / "prepared" / "test"))
        wrong = int((predictions.probabilities.argmax(axis=1) != predictions.labels).sum())
        confusions = mistakes.common_confusions(predictions, names, _CONFUSIONS)
        return Errors(shown.value or worst, confusions, wrong, len(predictions.ids), shown.problem)

    return _or_problem(read)


def _documents(reports: Path, suite: str) -> str | None:
    """Return the address, relative to the page, of the documents that Great Expectations made, if there are any."""
    folder = reports / "contracts" / suite
    found = sorted(folder.rglob("index.html"), key=lambda path: (len(path.parts), path))
    return quote(found[0].relative_to(reports).as_posix()) if found else None


def _or_problem(make: Callable[[], Any]) -> Section[Any]:
    try:
        return Section(make())
    except RatchetError as error:
        return Section(None, str(error))
