"""Which share of the requests is drawn, and by what."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.serving.roles import ANSWER, COPY, Shares, is_drawn
from tests.serving import made

CHALLENGER = made.model(made.TABLE, version=4)
MANY = 4000


def scope(request_id: str, key: str | None = None) -> Any:
    headers = [] if key is None else [(b"x-canary-key", key.encode())]
    return {"headers": headers, "ratchet.id": request_id}


def drawn(share: float, what: bytes = ANSWER, version: int = 4) -> set[int]:
    """Which of many requests are drawn, each with an id of its own."""
    challenger = made.model(made.TABLE, version=version)
    return {number for number in range(MANY) if is_drawn(scope(f"id-{number}"), challenger, what, share)}


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_about_its_share_of_the_requests_is_drawn(share: float) -> None:
    spread = (share * (1 - share) / MANY) ** 0.5
    assert len(drawn(share)) / MANY == pytest.approx(share, abs=5 * spread)


def test_nothing_or_everything_may_be_drawn() -> None:
    assert drawn(0) == set()
    assert len(drawn(1)) == MANY


def test_a_larger_share_has_all_of_a_smaller_one() -> None:
    assert drawn(0.05) < drawn(0.1) < drawn(0.5)


def test_another_challenger_draws_others_and_copies_are_drawn_apart_from_answers() -> None:
    for other in (drawn(0.3, version=5), drawn(0.3, what=COPY)):
        assert 0.05 < len(drawn(0.3) & other) / MANY < 0.13  # 0.09, as of two draws that know nothing of each other


def test_by_its_key_all_requests_of_a_client_have_one_fate_and_clients_differ() -> None:
    fates = {}
    for client in range(50):
        found = {is_drawn(scope(f"id-{each}", f"user {client}"), CHALLENGER, ANSWER, 0.5) for each in range(20)}
        assert len(found) == 1
        fates[client] = found.pop()
    assert set(fates.values()) == {True, False}


def test_an_empty_key_is_none() -> None:
    assert {is_drawn(scope(f"id-{each}", ""), CHALLENGER, ANSWER, 0.5) for each in range(50)} == {True, False}


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_share_is_a_number_from_0_to_1(share: float) -> None:
    with pytest.raises(UsageError, match=r"--canary-share .* from 0 to 1"):
        Shares(canary=share)
    with pytest.raises(UsageError, match="--shadow-share"):
        Shares(shadow=share)
