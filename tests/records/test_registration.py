"""What came of registering a candidate, in words of ours."""

from __future__ import annotations

import pytest

from pipeline.errors import DataError
from pipeline.records.registration import Registration

NOTHING_YET = Registration(
    outcome="refused", name="digits", version=None, champion=None, sentence="refused: first model", registry="local"
)


def test_a_refusal_without_any_version_is_read() -> None:
    assert Registration.from_json(NOTHING_YET.to_json(), "x.json") == NOTHING_YET


@pytest.mark.parametrize("outcome", [True, "published", "", None])
def test_another_outcome_is_refused(outcome: object) -> None:
    with pytest.raises(DataError, match=r"x\.json: outcome: must be 'promoted', 'refused', 'kept' or 'held'"):
        Registration.from_json({**NOTHING_YET.to_json(), "outcome": outcome}, "x.json")
