"""`reports/registration.json`: what was published, or why nothing was."""

from __future__ import annotations

from typing import Literal

from pipeline.records.identity import Identity
from pipeline.records.record import Record

RegistrationOutcome = Literal["promoted", "refused", "kept"]


class Registration(Record):
    """The outcome of registering a candidate. `version` is the one that holds it, None if no version does."""

    outcome: RegistrationOutcome
    name: str
    version: int | None
    champion: Identity | None
    sentence: str
    registry: str
