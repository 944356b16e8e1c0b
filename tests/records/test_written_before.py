"""What an earlier Ratchet wrote is read, and means the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.records.architecture import StoredArchitecture
from pipeline.records.champion import Champion
from pipeline.records.contract_result import ContractResult
from pipeline.records.identity import Identity
from pipeline.records.manifest import Manifest
from pipeline.records.record import Record
from pipeline.records.registration import Registration
from pipeline.records.run import RunRecord, RunReport
from pipeline.records.training_history import Training, history_csv, parse_history
from pipeline.records.verdict import Verdict
from pipeline.storage.artifacts import read_json
from pipeline.storage.record_files import read_record

HERE = Path(__file__).parent / "written_before"
KINDS: dict[str, type[Record]] = {
    "data/clean/manifest.json": Manifest,
    "data/quarantine/manifest.json": Manifest,
    "data/split/manifest.json": Manifest,
    "models/candidate/training.json": Training,
    "reports/contracts/prepared/result.json": ContractResult,
    "reports/registration.json": Registration,
    "reports/run.json": RunReport,
    "reports/verdict.json": Verdict,
    "runs/promoted/record.json": RunRecord,
    "runs/refused/record.json": RunRecord,
    "runs/refused/registration.json": Registration,
    "runs/refused/run.json": RunReport,
    "runs/refused/verdict.json": Verdict,
    "runs/failed/record.json": RunRecord,
    "runs/failed/run.json": RunReport,
}
# Their shape, by a new version (metrics: test_metrics).
CHANGED = {
    *("models/champion/champion.json", "models/candidate/architecture.json", "reports/metrics.json"),
    "runs/failed/result.json",
}
# What a new version says besides, of a file that an earlier one wrote.
BEGUN_WITH: dict[str, Any] = {"attempt": 1, "photograph": None, "commit": None, "is_dirty": None}
TIMES: dict[str, Any] = {f"{what}seconds": None for what in ("", "startup_", "work_", "waiting_")}
ADDED: dict[type[Record], dict[str, Any]] = {
    ContractResult: {"record_version": 2},
    Manifest: {"record_version": 2, "features": []},
    Registration: {
        "record_version": 3,
        **dict.fromkeys(("line", "verdicts", "verdicts_on_rows", "anchor")),
        "test": "",
    },
    Verdict: {
        "record_version": 4,
        **dict.fromkeys(("anchor", "against_champion", "against_anchor", "renewal")),
        **dict.fromkeys(("rule", "rule_digest", "test_digest", "shows", "over_use"), ""),
        "moves_anchor": False,
    },
    RunReport: {"record_version": 4, **BEGUN_WITH, **TIMES},
    Training: {"record_version": 2, "computed_on": []},
    RunRecord: {
        "record_version": 3,
        **BEGUN_WITH,
        "inputs": None,
        "until": None,
        "repeats": None,
        "device": None,
        "dag_id": "",
        "dag_run_id": "",
        "address": "",
    },
}


def test_every_file_here_is_read() -> None:
    found = {path.relative_to(HERE).as_posix() for path in HERE.rglob("*.json")}
    assert found == KINDS.keys() | CHANGED


@pytest.mark.parametrize("name", KINDS)
def test_a_record_gives_the_same_json_again(name: str) -> None:
    written = read_json(HERE / name)
    again = read_record(HERE / name, KINDS[name]).to_json()
    assert again == {**written, **ADDED.get(KINDS[name], {})}


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind is not RunReport])
def test_a_record_gives_the_same_order_again(name: str) -> None:
    again = read_record(HERE / name, KINDS[name]).to_json()
    known = {key: value for key, value in again.items() if key not in ADDED.get(KINDS[name], {})}
    assert _keys(known) == _keys(read_json(HERE / name))


def test_the_image_of_an_architecture_of_version_1_is_its_one_feature() -> None:
    architecture = read_record(HERE / "models/candidate/architecture.json", StoredArchitecture)
    [image] = architecture.features
    assert (image.name, image.kind, image.type) == ("image", "image", "uint8[8,8,1]")
    assert image.fitted == {"mean": [73.22870415057915], "std": [90.09579976898937]}
    assert architecture.task == "classification"


def test_a_training_history_gives_the_same_bytes_again() -> None:
    path = HERE / "models/candidate/history.csv"
    assert history_csv(parse_history(path.read_text(), str(path))) == path.read_text()


def test_the_digest_of_a_manifest_is_still_the_same() -> None:
    path = HERE / "data/clean/manifest.json"
    assert read_record(path, Manifest).digest == json.loads(path.read_text())["digest"]


def test_the_ids_of_a_broken_contract_of_version_1_are_rows_of_which_no_file_is_known() -> None:
    path = HERE / "runs/failed/result.json"
    before = [each for each in read_json(path)["expectations"] if "offending_ids" in each]
    now = [each for each in read_record(path, ContractResult).failed if each.offending_rows]
    assert [list(each.offending_ids) for each in now] == [each["offending_ids"] for each in before] != []
    assert {(row.source, row.row) for each in now for row in each.offending_rows} == {(None, None)}
    assert {each.listing for each in now} == {""}


def test_a_champion_of_version_1_is_read() -> None:
    champion = read_record(HERE / "models/champion/champion.json", Champion)
    digest = "sha256:89a0c2df6ac6a3f2c4f005754916946cf3023c326e07bc0d3f276bec482a141c"
    assert champion == Champion(identity=Identity(name="digits", version=1, digest=digest), registry="local")


def _keys(value: object) -> object:
    """Return a JSON value's keys in their order, with those of all values in it."""
    if isinstance(value, dict):
        return [(key, _keys(inner)) for key, inner in value.items()]
    return [_keys(inner) for inner in value] if isinstance(value, list) else None
