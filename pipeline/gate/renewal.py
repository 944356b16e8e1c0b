"""The champion on test rows that have come since it was judged: do the older ones flatter it?

Whoever is judged by the same rows again and again is chosen, in part, by their chance. Rows that nobody was judged by
show how much: where the champion does worse on them than on the rows it was judged by, these were used too often (or
the newer ones are harder). The difference of the two figures has limits made of theirs (MOVER: Zou & Donner, Statistics
in Medicine 27, 2008).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.gate.intervals import of_mean, of_share
from pipeline.gate.matches import Scored
from pipeline.gate.words import in_unit, number, points
from pipeline.recipe.recipe import GateParams
from pipeline.recipe.task import Task
from pipeline.records.verdict import Renewal, Share
from pipeline.storage.judged_rows import keys_of

Scores = npt.NDArray[np.float64]


def renewal_of(champion: Scored, ids: Sequence[str], gate: GateParams, task: Task, seed: int) -> Renewal | None:
    """Return the champion's figures on today's test rows; None if nobody knows which it was judged by.

    `ids` are those of the rows that it has scores for.
    """
    if champion.judged_by is None:
        return None
    is_before = np.isin(keys_of(ids), champion.judged_by, assume_unique=True)

    def share(scores: Scores) -> Share:
        return _share(scores, gate, task, seed)

    return Renewal(
        title=task.score_title,
        unit=task.scored_by.unit,
        is_lower_better=not task.scored_by.is_higher_better,
        confidence=gate.confidence,
        today=share(champion.scores),
        judged_by=share(champion.scores[is_before]),
        since=share(champion.scores[~is_before]),
        gone=len(champion.judged_by) - int(is_before.sum()),
    )


def in_words(renewal: Renewal | None, champion: Scored) -> str:
    """Return what the figures say, in a sentence without a full stop."""
    name = f"champion v{champion.identity.version}"
    if renewal is None:
        return f"which test rows {name} was judged by is not known: no whole list of them came with it"
    before, since = renewal.judged_by, renewal.since
    gone = f"{number(renewal.gone)} that it was judged by {_are(renewal.gone)} gone"
    if not since.rows:
        here = "the test rows are those" if not renewal.gone else f"the {number(before.rows)} test rows are among those"
        return f"{here} that {name} was judged by: none has come since, {gone if renewal.gone else 'none is gone'}"
    figures = (
        f"{renewal.title} of {name}: {_figure(renewal, renewal.today)} on all {number(renewal.today.rows)} test rows, "
        f"{_figure(renewal, before) + ' on ' if before.rows else 'on '}{_rows(before.rows)} that it was judged by, "
        f"{_figure(renewal, since)}{_between(renewal, since)} on "
        f"{_rows(since.rows)} that {_have(since.rows)} come since"
    )
    return f"{figures}; {gone if renewal.gone else 'none that it was judged by is gone'}{_meaning(renewal)}"


def _meaning(renewal: Renewal) -> str:
    """Return whether the older rows flatter it, as far as so many newer ones can show."""
    before, since = renewal.judged_by, renewal.since
    least, most = (before.high, since.low) if renewal.is_lower_better else (before.low, since.high)
    if before.figure is None or since.figure is None or least is None or most is None:
        return ""
    fall = since.figure - before.figure if renewal.is_lower_better else before.figure - since.figure
    by_chance = math.hypot(before.figure - least, most - since.figure)
    if fall > by_chance:
        return "; it does worse on the newer rows: the older ones were used too often, or the newer ones are harder"
    few = f"so few rows as {number(since.rows)}" if since.rows < before.rows else f"{number(since.rows)} rows"
    taken = in_unit(by_chance, renewal.unit) if renewal.is_lower_better else points(round(by_chance, 3))
    return f"; no sign of over-use: on {few}, chance alone may take {taken}"


def _share(scores: Scores, gate: GateParams, task: Task, seed: int) -> Share:
    rows = len(scores)
    if not rows:
        return Share(rows=0, figure=None, low=None, high=None)
    metric = task.scored_by
    values = scores if metric.is_higher_better else -scores
    if metric.is_share:
        limits = of_share(int(np.count_nonzero(values)), rows, gate.confidence)
    else:
        limits = of_mean(values, gate.confidence, gate.resamples, (seed,), metric.low, metric.high)
    low, high = (end if math.isfinite(end) else None for end in (limits.low, limits.high))
    return Share(rows=rows, figure=float(values.mean()), low=low, high=high)


def _figure(renewal: Renewal, share: Share) -> str:
    return f"{share.figure:.4f} {renewal.unit}".rstrip()


def _between(renewal: Renewal, share: Share) -> str:
    if share.low is None or share.high is None:
        return ""
    return f" ({share.low:.4f} to {share.high:.4f}, at {100 * renewal.confidence:.6g} % confidence on either side)"


def _rows(count: int) -> str:
    return "none of those" if not count else "the one" if count == 1 else f"the {number(count)}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"
