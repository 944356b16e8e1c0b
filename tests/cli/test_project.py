"""`ratchet graph` and `doctor`: what the project is, and what its machine lacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.cli import command_line
from tests.cli.given import answer


def test_the_graph_is_printed_for_people(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "(after resolve, ingest, check_raw)" in answer(capsys, "graph")


def test_the_graph_is_printed_for_programs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(answer(capsys, "graph", "--format", "json"))
    assert ["gate", "register"] in found["edges"]
    assert {"name", "deps", "outs", "params"} == found["stages"][0].keys()


def test_the_graph_is_printed_for_drawing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = answer(capsys, "graph", "--format", "mermaid")
    assert drawn.startswith("flowchart LR\n")
    assert "  gate --> register" in drawn


def test_what_the_machine_lacks_is_told_with_its_remedy(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert command_line.main(["doctor"]) == 2
    lines = capsys.readouterr().out.splitlines()
    number = next(number for number, line in enumerate(lines) if line.startswith("✗ java"))
    assert "is missing (PATH has no java)" in lines[number]
    assert "→" in lines[number + 1]
    assert "apt-get install -y openjdk-" in lines[number + 1]


def test_what_the_machine_lacks_is_told_to_programs(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert command_line.main(["doctor", "--json"]) == 2
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert found["java"].keys() == {"name", "is_ok", "found", "remedy"}
    assert not found["java"]["is_ok"]
    assert found["git"]["is_ok"]
