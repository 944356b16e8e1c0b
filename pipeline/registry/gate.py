"""The gate: evidence in, verdict out. Closed by default.

A candidate is let through only if every check passes, and a check passes only on a finite figure that is within its
bound. A figure that could not be had comes as `Unknown`, with the reason, and fails its check.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.params import GateParams
from pipeline.registry.records import Identity

PROMOTE, REFUSE = "promote", "refuse"
_FIGURE_DIGITS = 6
_PARITY_FLOOR = 1e-6  # below the resolution of float32 probabilities, differences are noise


@dataclass(frozen=True)
class Unknown:
    """A figure that could not be had, and why: a clause without a full stop."""

    why: str


class Difference(Protocol):
    """How much better the candidate is than the champion, with a one-sided lower confidence limit."""

    @property
    def rows(self) -> int:
        """Rows compared."""

    @property
    def difference(self) -> float:
        """Positive where the candidate is better."""

    @property
    def lower(self) -> float:
        """The lower limit."""


@dataclass(frozen=True)
class Comparison:
    """The comparison with the champion: in accuracy over all test rows, and in recall for each class."""

    accuracy: Difference
    recalls: Sequence[Difference]


@dataclass(frozen=True)
class Answers:
    """Rows and what a model said of them: `labels [row] int32`, `probabilities [row, class] float32`."""

    ids: Sequence[str]
    labels: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Evidence:
    """Everything the gate judges by. `metrics` is `reports/metrics.json` as it was parsed, trusted in nothing."""

    candidate: str
    metrics: Any
    test_ids: Sequence[str]
    test_labels: npt.NDArray[np.int32]
    predictions: Answers | Unknown
    served: npt.NDArray[np.float32] | Unknown  # what the exported model answers for the first rows
    champion: Identity | None
    comparison: Comparison | Unknown | None  # None: there is no champion


@dataclass(frozen=True)
class Check:
    """One check of a verdict. `figure` and `bound` are None where there is none."""

    name: str
    figure: float | None
    bound: float | None
    outcome: Literal["pass", "fail"]
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in `verdict.json`."""
        return dict(vars(self))


@dataclass(frozen=True)
class Verdict:
    """What `reports/verdict.json` holds."""

    outcome: str
    reason: str
    checks: tuple[Check, ...]
    candidate: str
    champion: Identity | None

    @property
    def lets_through(self) -> bool:
        """Whether the candidate may be promoted. The outcome alone is not believed: every check must have passed."""
        return self.outcome == PROMOTE and _all_pass(self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in `verdict.json`."""
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "checks": [check.to_json() for check in self.checks],
            "candidate": self.candidate,
            "champion": self.champion.to_json() if self.champion else None,
        }

    @classmethod
    def from_json(cls, value: Any, where: str) -> Verdict:
        """Read a verdict back; raise DataError if it is not one."""
        try:
            verdict = cls(
                outcome=value["outcome"],
                reason=value["reason"],
                checks=tuple(Check(**check) for check in value["checks"]),
                candidate=value["candidate"],
                champion=None if value["champion"] is None else Identity.from_json(value["champion"], where),
            )
        except (KeyError, TypeError) as error:
            raise DataError(f"{where}: not a verdict: {error!r}; run `ratchet stage gate` to make it again") from error
        if verdict.outcome != (PROMOTE if _all_pass(verdict.checks) else REFUSE):
            raise DataError(f"{where}: its outcome '{verdict.outcome}' contradicts its checks; make it again")
        return verdict


def judge(evidence: Evidence, rule: GateParams, classes: Sequence[str]) -> Verdict:
    """Hold a candidate against every declared threshold, the champion, and its own exported form."""
    checks = (
        _check_predictions(evidence, len(classes)),
        *_check_metrics(evidence.metrics, rule),
        _check_parity(evidence, rule),
        *_check_champion(evidence, rule, classes),
    )
    failed = [check for check in checks if check.outcome != "pass"]
    return Verdict(
        outcome=PROMOTE if _all_pass(checks) else REFUSE,
        reason=_reason(checks, failed),
        checks=checks,
        candidate=evidence.candidate,
        champion=evidence.champion,
    )


def predictions_problem(evidence: Evidence, classes: int) -> str | None:
    """Say why the predictions are not the candidate's answers to the test rows; None if they are."""
    answers = evidence.predictions
    if isinstance(answers, Unknown):
        return answers.why
    rows = len(evidence.test_ids)
    if rows == 0:
        return "there are no test rows"
    if answers.probabilities.shape != (rows, classes) or len(answers.labels) != rows:
        return f"the predictions are {answers.probabilities.shape}, the test part asks for {(rows, classes)}"
    if list(answers.ids) != list(evidence.test_ids):
        return "the ids of the predictions are not those of the test rows"
    if not np.array_equal(answers.labels, evidence.test_labels):
        return "the labels of the predictions are not those of the test rows"
    sums = answers.probabilities.sum(axis=1, dtype=np.float64)
    if not np.all(np.isfinite(answers.probabilities)) or np.max(np.abs(sums - 1)) > 1e-3:
        return "some predictions are not probabilities"
    measured = _number(_metric(evidence.metrics, "accuracy"))
    right = int(np.count_nonzero(answers.probabilities.argmax(axis=1) == answers.labels))
    if measured is None or abs(measured * rows - right) > 0.5:
        return f"the metrics' accuracy is not that of the predictions: {right} of {rows} rows are right"
    return None


def _check_predictions(evidence: Evidence, classes: int) -> Check:
    rows = len(evidence.test_ids)
    problem = predictions_problem(evidence, classes)
    if problem:
        return Check("predictions", None, rows, "fail", problem)
    return Check("predictions", rows, rows, "pass", f"{rows} predictions, one for each test row")


def _check_metrics(metrics: Any, rule: GateParams) -> list[Check]:
    return [
        _check_bound(metrics, name, bound, is_minimum=is_minimum)
        for bounds, is_minimum in ((rule.minimum, True), (rule.maximum, False))
        for name, bound in bounds.model_dump().items()
        if bound is not None
    ]


def _check_bound(metrics: Any, name: str, bound: float, *, is_minimum: bool) -> Check:
    check = f"{'minimum' if is_minimum else 'maximum'}.{name}"
    value = _metric(metrics, name)
    figure = _number(value)
    word = name.replace("_", " ")
    if figure is None:
        why = "is not in the metrics" if value is None else f"is {value!r:.40}, not a number"
        return Check(check, None, bound, "fail", f"{word} {why}")
    passes = figure >= bound if is_minimum else figure <= bound
    shown = _rounded(figure, bound)
    if passes:
        sentence = f"{word} {shown:g} is {'at least' if is_minimum else 'at most'} {bound:g}"
    else:
        sentence = f"{word} {shown:g} is {'below' if is_minimum else 'above'} {bound:g}"
    return Check(check, shown, bound, "pass" if passes else "fail", sentence)


def _check_parity(evidence: Evidence, rule: GateParams) -> Check:
    bound = rule.parity.tolerance
    served, answers = evidence.served, evidence.predictions
    if isinstance(served, Unknown):
        return Check("parity", None, bound, "fail", served.why)
    rows = min(rule.parity.rows, len(evidence.test_ids))
    if isinstance(answers, Unknown):
        return Check("parity", None, bound, "fail", answers.why)
    expected = answers.probabilities[:rows]
    if rows == 0 or served.shape != expected.shape:
        why = f"the exported model answers {list(served.shape)} for {rows} rows, training answered "
        return Check("parity", None, bound, "fail", why + f"{list(expected.shape)}")
    gap = float(np.max(np.abs(served.astype(np.float64) - expected)))
    if not math.isfinite(gap):
        return Check("parity", None, bound, "fail", "the exported model answers numbers that are not finite")
    # To the next decade: the last bits may differ between machines, the verdict's bytes should not.
    shown = _PARITY_FLOOR if gap <= _PARITY_FLOOR else float(f"{10.0 ** math.ceil(math.log10(gap)):.0e}")
    what = f"the exported model, loaded in a fresh process, answers {rows} rows"
    if gap <= bound:
        return Check("parity", min(shown, bound), bound, "pass", f"{what} as the trained one did")
    return Check("parity", shown, bound, "fail", f"{what} otherwise than the trained one did, by more than {bound:g}")


def _check_champion(evidence: Evidence, rule: GateParams, classes: Sequence[str]) -> list[Check]:
    champion, comparison, limits = evidence.champion, evidence.comparison, rule.champion
    if champion is None:
        if comparison is None:
            return [Check("champion", None, None, "pass", "first model: there is no champion to meet")]
        return [Check("champion", None, None, "fail", "compared with a champion that is not named")]
    name = f"champion v{champion.version}"
    if comparison is None or isinstance(comparison, Unknown):
        why = comparison.why if comparison else "it was not compared"
        sentence = (
            f"{name} cannot be met: {why}; to replace it all the same, promote the candidate by hand: "
            f'`ratchet registry promote {champion.name} VERSION --reason "…"`'
        )
        return [Check("champion", None, -limits.margin, "fail", sentence)]
    if len(comparison.recalls) != len(classes):
        return [Check("champion", None, -limits.margin, "fail", f"{name} was compared in other classes")]
    overall = _check_difference(
        "champion", "accuracy", name, comparison.accuracy, limits.margin, limits.confidence, "test rows"
    )
    return [
        overall,
        *(
            _check_difference(
                f"champion.recall.{label}",
                f"recall of {label}",
                name,
                difference,
                limits.class_margin,
                limits.confidence,
                "rows of the class",
            )
            for label, difference in zip(classes, comparison.recalls, strict=True)
        ),
    ]


def _check_difference(
    check: str, what: str, champion: str, found: Difference, margin: float, confidence: float, rows: str
) -> Check:
    lower, difference = _number(found.lower), _number(found.difference)
    if lower is None or difference is None or found.rows == 0:
        return Check(check, None, -margin, "fail", f"{what} cannot be compared with {champion}: no {rows}")
    passes = lower >= -margin
    shown = _rounded(lower, -margin)
    sentence = (
        f"{what}: {difference:+.4f} against {champion} on {found.rows} {rows}, at worst {shown:+.4f} "
        f"at {confidence:.0%} confidence; {margin:g} may be lost"
    )
    return Check(check, shown, -margin, "pass" if passes else "fail", sentence)


def _all_pass(checks: Sequence[Check]) -> bool:
    return bool(checks) and all(check.outcome == "pass" for check in checks)


def _reason(checks: Sequence[Check], failed: Sequence[Check]) -> str:
    if failed:
        more = f" (and {len(failed) - 1} more {'check' if len(failed) == 2 else 'checks'} failed)" if failed[1:] else ""
        return failed[0].sentence + more
    by_name = {check.name: check for check in checks}
    champion = by_name["champion"].sentence
    return f"{by_name['minimum.accuracy'].sentence}; {champion}"


def _metric(metrics: Any, name: str) -> Any:
    """Return a test metric, or `overfit`, which stands for both parts; None if it is not there."""
    if not isinstance(metrics, Mapping):
        return None
    if name == "overfit":
        return metrics.get(name)
    test = metrics.get("test")
    return test.get(name) if isinstance(test, Mapping) else None


def _number(value: Any) -> float | None:
    """Return a finite number, or None: a boolean, a text, a NaN and an infinity are none."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _rounded(figure: float, bound: float) -> float:
    """Round a figure for people, unless that would move it onto, or over, its bound."""
    rounded = round(figure, _FIGURE_DIGITS)
    is_same_side = (figure < bound, figure > bound) == (rounded < bound, rounded > bound)
    return rounded if is_same_side else figure
