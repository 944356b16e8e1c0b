"""The contract stages: what they publish."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import ContractError, DataError
from pipeline.stages import resolve
from pipeline.stages.context import StageContext
from pipeline.storage.manifests import read_manifest, write_manifest
from tests.system.conftest import RunHere
from tests.system.contracts.tables import Prepared, raw_columns, shipped, write_raw
from tests.system.project import ROOT, spark_cut_by

AS_STAGES = """
import importlib, sys
from pathlib import Path
from pipeline.stages.context import StageContext
for name in sys.argv[1:]:
    stage = importlib.import_module(f"pipeline.stages.{name}")
    print(stage.run(StageContext.load(Path.cwd(), name)))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("dvc.yaml", "params.yaml", "execution.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("raw.yaml", "prepared.yaml"):
        shipped(name, tmp_path / "data_contracts" / "fashion_mnist")
    resolve.run(StageContext.load(tmp_path, "resolve"))
    return tmp_path


def run_stages(project: Path, *stages: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", AS_STAGES, *stages],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), **changes},
        capture_output=True,
        text=True,
        check=False,
    )


def published(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_the_stages_publish_is_the_same_byte_for_byte_however_spark_cuts_it(
    project: Path, run_here: RunHere
) -> None:
    write_raw(project / "data" / "raw", raw_columns())
    Prepared.make().write(project / "data")
    reports = project / "reports" / "contracts"
    told = run_here(project, "check_raw", "check_prepared")
    assert told == ["28 expectations hold for 200 rows", "23 expectations hold for 320 rows"]
    before = published(reports)
    names = ("index.html", "result.json", "suite.html")
    assert sorted(before) == [f"{part}/{name}" for part in ("prepared", "raw") for name in names]
    assert not any(b"http" in page for page in before.values()), "a page asks the network for something"
    for number in (1, 7):
        shutil.rmtree(reports)
        changes = {"PYTHONHASHSEED": "2", **spark_cut_by(number)}
        again = run_stages(project, "check_raw", "check_prepared", **changes)
        assert again.returncode == 0, again.stderr
        assert published(reports) == before


def test_a_contract_that_is_not_kept_leaves_its_result_its_documents_and_its_rows(
    project: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    columns = raw_columns()
    columns["image_encoding"][0] = "png"
    write_raw(project / "data" / "raw", columns)
    with pytest.raises(ContractError) as failed:
        run_here(project, "check_raw")
    assert str(failed.value).startswith("data_contracts/fashion_mnist/raw.yaml: does not hold: ")
    assert "on column 'image_encoding': observed 1 of 200 rows unexpected" in str(failed.value)
    folder = project / "reports" / "contracts" / "raw"
    assert str(failed.value).endswith("; see reports/contracts/raw/index.html")
    result = json.loads((folder / "result.json").read_text())
    assert result["outcome"] == "fail"
    assert [entry["column"] for entry in result["expectations"] if entry["outcome"] == "fail"] == ["image_encoding"]
    assert b"png" in (folder / "index.html").read_bytes()
    [failed_one] = [entry for entry in result["expectations"] if entry["outcome"] == "fail"]
    assert failed_one["offending_rows"] == [{"id": columns["id"][0], "source": columns["source"][0], "row": 0}]
    assert f"; {columns['source'][0]}: 0; see " in str(failed.value)
    listed = f"id,source,row,image_encoding\n{columns['id'][0]},{columns['source'][0]},0,png\n"
    assert (folder / failed_one["listing"]).read_text() == listed


def test_rows_that_spark_reads_and_the_manifest_does_not_know_of_are_an_error(project: Path, run_here: RunHere) -> None:
    raw = write_raw(project / "data" / "raw", raw_columns())
    manifest = read_manifest(raw)
    [first, second] = manifest.files
    said = manifest.changed(rows=150, files=(first, second.changed(rows=50)))
    write_manifest(raw, said)
    with pytest.raises(DataError, match=r"fashion_mnist\.raw: Spark has read 200 rows, the manifests say 150"):
        run_here(project, "check_raw")
