"""What the ledger says of a run's verdict: how many were given against its anchor, and what that has cost."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.errors import UsageError
from pipeline.recipe.recipe import RULE
from pipeline.report.run_files import RunFiles

_CHOICE = "gate.rule"


@dataclass(frozen=True)
class Spent:
    """The line that holds the verdict, the verdicts against this anchor, and what they have spent.

    `verdicts` is None where there is no anchor: a first model is judged by its floors alone. `share` is that of the
    error which all verdicts together may have, `error`; None where the rule does not share one.
    `on_rows` counts the verdicts that these very test rows have given, None if nobody has counted.
    """

    line: int
    verdicts: int | None
    share: float | None = None
    error: float | None = None
    on_rows: int | None = None


def spent(files: RunFiles) -> Spent | None:
    """Return what the registration says of the ledger; None if it says nothing."""
    registration = files.registration.value
    if registration is None or registration.line is None or registration.verdicts is None:
        return None
    verdict = files.verdict.value
    is_of_these_rows = verdict is not None and verdict.test_digest == registration.test
    on_rows = registration.verdicts_on_rows if is_of_these_rows else None
    if verdict is not None and verdict.anchor is None:
        return Spent(registration.line, None, on_rows=on_rows)
    known = Spent(registration.line, registration.verdicts, on_rows=on_rows)
    recipe = files.recipe.value or {}
    name = recipe.get(f"{_CHOICE}.name", recipe.get(_CHOICE, "better"))
    try:
        fields = RULE.member(str(name)).Settings.model_fields
    except UsageError:
        return known
    if "verdicts" not in fields:
        return known
    error, verdicts = (recipe.get(f"{_CHOICE}.settings.{each}", fields[each].default) for each in ("error", "verdicts"))
    return replace(known, share=registration.verdicts / verdicts, error=error)
