"""What the ledger says of a run's verdict: how many were given against its anchor, and what that has cost."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import UsageError
from pipeline.recipe.recipe import RULE
from pipeline.report.run_files import RunFiles

_CHOICE = "gate.rule"


@dataclass(frozen=True)
class Spent:
    """The line that holds the verdict, the verdicts against this anchor, and what they have spent.

    `share` is that of the error which all verdicts together may have, `error`; None where the rule does not share one.
    """

    line: int
    verdicts: int
    share: float | None = None
    error: float | None = None


def spent(files: RunFiles) -> Spent | None:
    """Return what the registration says of the ledger; None if it says nothing."""
    registration = files.registration.value
    if registration is None or registration.line is None or registration.verdicts is None:
        return None
    recipe = files.recipe.value or {}
    name = recipe.get(f"{_CHOICE}.name", recipe.get(_CHOICE, "better"))
    try:
        fields = RULE.member(str(name)).Settings.model_fields
    except UsageError:
        return Spent(registration.line, registration.verdicts)
    if "verdicts" not in fields:
        return Spent(registration.line, registration.verdicts)
    error, verdicts = (recipe.get(f"{_CHOICE}.settings.{each}", fields[each].default) for each in ("error", "verdicts"))
    return Spent(registration.line, registration.verdicts, registration.verdicts / verdicts, error)
