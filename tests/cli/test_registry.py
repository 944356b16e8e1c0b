"""What is said of a version (the primary figure, whatever it is called), and of a line of the ledger."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from pipeline.cli import registry
from pipeline.cli.registry import _card, _ledger, _primary
from pipeline.records.identity import Identity
from pipeline.records.model_card import ModelCard
from pipeline.registry import by_hand
from tests.records.examples import example
from tests.registry.judged import add_line, judged
from tests.registry.local_registry import LocalRegistry


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        ({"accuracy": 0.91234, "rows": 360.0, "macro_f1": 0.9}, "accuracy 0.9123"),
        ({"rows": 360.0, "accuracy": 0.8, "macro_f1": 0.9}, "accuracy 0.8000"),  # registered by an earlier Ratchet
        ({"mean_error": 12.5, "rows": 3.0}, "mean error 12.5000"),
        ({}, ""),
    ],
)
def test_the_primary_figure_is_told_by_its_name(metrics: dict[str, float], text: str) -> None:
    assert _primary(metrics) == text


def test_the_card_is_told_as_markdown_or_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    local, card = LocalRegistry(tmp_path), example(ModelCard)
    monkeypatch.setattr(registry, "_store_and_name", lambda _: (local.store, "digits"))
    monkeypatch.setattr(by_hand, "card", lambda _store, name, which: card if (name, which) == ("digits", "3") else None)
    assert _card(Namespace(json=False, version="3")) == 0
    assert capsys.readouterr().out.startswith("# digits v3\n")
    _card(Namespace(json=True, version="3"))
    assert json.loads(capsys.readouterr().out) == card.to_json()


def test_the_ledger_is_told_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    local, champion = LocalRegistry(tmp_path), Identity(name="pets", version=1, digest=f"sha256:{'b' * 64}")
    monkeypatch.setattr(registry, "_store_and_name", lambda _: (local.store, "pets"))
    assert _ledger(Namespace(json=False)) == 0
    assert capsys.readouterr().out == "pets: no verdict yet\n"
    lines = [
        add_line(local, judged(f"sha256:{'a' * 64}")),
        add_line(local, judged("sha256:c", champion, promotes=False)),
    ]
    _ledger(Namespace(json=True))
    assert json.loads(capsys.readouterr().out) == [line.to_json() for line in lines]
    _ledger(Namespace(json=False))
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "1 promote sha256:aaaaaaaaaaaa against nobody, anchor nobody 2026-11-29T06:00:00Z ann",
        "2 refuse sha256:c against sha256:bbbbbbbbbbbb, anchor sha256:bbbbbbbbbbbb won 9, lost 2 of 100 rows "
        "2026-11-29T06:00:00Z ann",
    ]
