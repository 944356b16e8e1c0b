"""What the tests of the evaluation share: the answers of a model."""

from __future__ import annotations

import pytest

from tests.evaluation.made_answers import MadeAnswers, make_answers


@pytest.fixture(scope="session")
def answers() -> MadeAnswers:
    return make_answers()
