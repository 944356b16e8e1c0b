"""The contract stages on real Spark and real Great Expectations."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from pipeline.contracts import checking, documents, frames
from pipeline.contracts.suites import Suite, read_suite
from pipeline.errors import ContractError, DataError, UsageError
from pipeline.storage import shards

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[2]
SHAPE = (28, 28, 1)
ROWS = 200
AS_STAGES = """
import importlib, sys
from pathlib import Path
from pipeline.stages.context import StageContext
for name in sys.argv[1:]:
    stage = importlib.import_module(f"pipeline.stages.{name}")
    print(stage.run(StageContext.load(Path.cwd(), name)))
"""


def images(rows: int, seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 150, (rows, *SHAPE), np.uint8)


def raw_columns(rows: int = ROWS) -> dict[str, list[Any]]:
    payloads = [image.tobytes() for image in images(rows, 1)]
    return {
        "id": [hashlib.sha256(f"row {row}".encode()).hexdigest()[:32] for row in range(rows)],
        "label": [row % 10 for row in range(rows)],
        "part": ["train" if row < rows * 0.8 else "test" for row in range(rows)],
        "source": ["train-images-idx3-ubyte.gz"] * rows,
        "row": list(range(rows)),
        "height": [28] * rows,
        "width": [28] * rows,
        "channels": [1] * rows,
        "encoding": ["raw"] * rows,
        "payload_digest": [hashlib.sha256(payload).hexdigest() for payload in payloads],
        "payload": payloads,
    }


def write_raw(folder: Path, columns: dict[str, list[Any]]) -> Path:
    """Write columns of shards.RAW_SCHEMA as `data/raw`, in two shards."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns, schema=shards.RAW_SCHEMA)
    half = table.num_rows // 2
    entries = [
        shards.write_shard(folder, number, shards.RAW_SCHEMA, [piece])
        for number, piece in enumerate((table[:half], table[half:]))
    ]
    shards.finish_dataset(folder, entries, shards.RAW_SCHEMA)
    return folder


@dataclass
class Prepared:
    """Prepared parts as a test may change them: part → columns."""

    parts: dict[str, dict[str, list[Any]]]

    @classmethod
    def make(cls, copies: int = 1) -> Prepared:
        parts = {}
        for seed, (part, rows) in enumerate({"train": 120, "validation": 40, "test": 40}.items()):
            parts[part] = cls.columns([f"{part}{row}" for row in range(rows)], images(rows, seed))
        sources = parts["train"]["id"] * copies
        changed = cls.columns([f"{source}-{row}" for row, source in enumerate(sources)], images(len(sources), 9))
        parts["augmented"] = {**changed, "copy": [1] * len(sources), "source_id": sources}
        return cls(parts)

    @staticmethod
    def columns(ids: list[str], pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, list[Any]]:
        flat = pixels.reshape(len(ids), int(np.prod(SHAPE)))
        return {
            "id": ids,
            "label": [row % 10 for row in range(len(ids))],
            "pixels": [image.tobytes() for image in flat],
            "pixel_mean": [float(image.mean()) for image in flat],
            "pixel_std": [float(image.std()) for image in flat],
        }

    def write(self, data: Path) -> Path:
        for part, columns in self.parts.items():
            schema = shards.image_schema(SHAPE)
            if part == "augmented":
                schema = schema.append(pa.field("copy", pa.int32())).append(pa.field("source_id", pa.string()))
            folder = data / ("augmented" if part == "augmented" else f"prepared/{part}")
            folder.mkdir(parents=True, exist_ok=True)
            entry = shards.write_shard(folder, 0, schema, [pa.table(columns, schema=schema)])
            shards.finish_dataset(folder, [entry], schema, shape=SHAPE)
        return data


def write_suite(path: Path, *expectations: tuple[str, dict[str, Any]]) -> Path:
    declared = [("expect_table_row_count_to_be_between", {"min_value": 1, "max_value": 1000}), *expectations]
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"name": "tested", "expectations": [{"type": kind, "kwargs": kwargs} for kind, kwargs in declared]}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def shipped(name: str, folder: Path) -> Path:
    """Copy a shipped contract with the row count of the tests, and their brightness."""
    suite = yaml.safe_load((ROOT / "data_contracts" / "fashion_mnist" / name).read_text())
    for expectation in suite["expectations"]:
        if expectation["type"] == "expect_table_row_count_to_be_between":
            expectation["kwargs"] = {"min_value": 100, "max_value": 1000}
        if expectation["kwargs"].get("column") == "pixel_std" and "mean" in expectation["type"]:
            expectation["kwargs"] |= {"min_value": 30, "max_value": 60}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(yaml.safe_dump(suite))
    return folder / name


Check = Callable[..., checking.Checked]


@pytest.fixture
def check_raw(spark: SparkSession, tmp_path: Path) -> Check:
    def check(columns: dict[str, list[Any]], *expectations: tuple[str, dict[str, Any]]) -> checking.Checked:
        path = write_suite(tmp_path / "raw.yaml", *expectations) if expectations else shipped("raw.yaml", tmp_path)
        suite = read_suite(path, frames.RAW_COLUMNS)
        raw = frames.open_raw(write_raw(tmp_path / "raw", columns))
        return checking.check(frames.raw_frame(spark, raw), suite, checking.bind(suite), raw.manifest.digest)

    return check


@pytest.fixture
def check_prepared(spark: SparkSession, tmp_path: Path) -> Check:
    def check(prepared: Prepared) -> checking.Checked:
        suite = read_suite(shipped("prepared.yaml", tmp_path), frames.PREPARED_COLUMNS)
        data = prepared.write(tmp_path / "data")
        parts = {part: frames.open_part(data / f"prepared/{part}") for part in ("train", "validation", "test")}
        parts["augmented"] = frames.open_part(data / "augmented")
        return checking.check(frames.prepared_frame(spark, parts), suite, checking.bind(suite), "sha256:00")

    return check


def failures(checked: checking.Checked) -> dict[tuple[str, Any], Any]:
    return {
        (verdict.expectation.type, verdict.expectation.column): verdict
        for verdict in checked.result.verdicts
        if verdict.outcome != "pass"
    }


def plain_outcomes(frame: Any, suite: Suite) -> list[bool]:
    """What a user of Great Expectations gets who follows its documentation, in the order of the suite."""
    gx = checking.load_library()
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_spark("spark").add_dataframe_asset("table")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    declared = [
        {"type": entry.type, "kwargs": dict(entry.kwargs), "meta": {"number": number}}
        for number, entry in enumerate(suite.expectations)
    ]
    results = batch.validate(gx.ExpectationSuite(name=suite.name, expectations=declared)).results
    outcomes = {result.expectation_config.meta["number"]: bool(result.success) for result in results}
    return [outcomes[number] for number in range(len(declared))]  # they come back grouped by column


def test_good_raw_data_keeps_the_shipped_contract(check_raw: Check) -> None:
    result = check_raw(raw_columns()).result
    assert result.problems == ()
    assert (result.outcome, result.rows) == ("pass", ROWS)
    assert len(result.verdicts) == len(result.suite.expectations)


def test_each_failed_expectation_about_rows_names_up_to_ten_of_them(check_raw: Check) -> None:
    columns = raw_columns()
    for row in range(20, 35):
        columns["label"][row] = 11
    columns["label"][7] = None
    columns["payload"][3] = b"too short"
    columns["id"][5] = columns["id"][4]
    columns["row"][9] = columns["row"][8]
    checked = check_raw(
        columns,
        ("expect_column_values_to_be_in_set", {"column": "label", "value_set": list(range(10))}),
        ("expect_column_values_to_not_be_null", {"column": "label"}),
        ("expect_column_values_to_be_between", {"column": "payload_bytes", "min_value": 784, "max_value": 784}),
        ("expect_column_values_to_be_unique", {"column": "id"}),
        ("expect_compound_columns_to_be_unique", {"column_list": ["source", "row"]}),
        ("expect_column_pair_values_to_be_equal", {"column_A": "height", "column_B": "label"}),
        ("expect_column_max_to_be_between", {"column": "label", "max_value": 9}),
        ("expect_column_values_to_be_in_set", {"column": "label", "value_set": list(range(10)), "mostly": 0.9}),
    )
    found = {(v.expectation.type, str(v.expectation.column), v.outcome): v for v in checked.result.verdicts}

    def ids(rows: Iterable[int]) -> tuple[str, ...]:
        return tuple(sorted(columns["id"][row] for row in rows))

    label = found["expect_column_values_to_be_in_set", "label", "fail"]
    assert (label.unexpected_rows, label.observed) == (15, "15 of 199 rows unexpected")
    assert label.offending_ids == ids(range(20, 35))[:10]
    assert found["expect_column_values_to_not_be_null", "label", "fail"].offending_ids == ids([7])
    assert found["expect_column_values_to_be_between", "payload_bytes", "fail"].offending_ids == ids([3])
    assert found["expect_column_values_to_be_unique", "id", "fail"].offending_ids == ids([4, 5])
    assert found["expect_compound_columns_to_be_unique", "['source', 'row']", "fail"].offending_ids == ids([8, 9])
    pair = found["expect_column_pair_values_to_be_equal", "['height', 'label']", "fail"]
    assert pair.offending_ids == ids(range(ROWS))[:10]
    highest = found["expect_column_max_to_be_between", "label", "fail"]
    assert (highest.observed, highest.unexpected_rows) == (11, None)
    # 15 of 199 are within what `mostly` allows, and are counted all the same.
    assert found["expect_column_values_to_be_in_set", "label", "pass"].unexpected_rows == 15

    with pytest.raises(ContractError) as raised:
        checked.result.require_pass(Path("index.html"))
    assert "on column 'label': observed 15 of 199 rows unexpected, expected {" in str(raised.value)
    assert "and 5 more; and 6 more; see index.html" in str(raised.value)
    assert "\n" not in str(raised.value)
    page = documents.render(checked)["index.html"].decode()
    assert "fail" in page
    assert columns["id"][4] in page


def test_a_missing_class_is_seen_though_every_label_is_a_known_one(check_raw: Check) -> None:
    columns = raw_columns()
    columns["label"] = [label if label != 3 else 4 for label in columns["label"]]
    failed = failures(check_raw(columns))
    assert list(failed) == [("expect_column_kl_divergence_to_be_less_than", "label")]
    assert failed["expect_column_kl_divergence_to_be_less_than", "label"].observed > 0.02


def test_a_table_without_rows_does_not_pass(check_raw: Check) -> None:
    empty: dict[str, list[Any]] = {name: [] for name in shards.RAW_SCHEMA.names}
    checked = check_raw(empty, ("expect_column_values_to_be_unique", {"column": "id"}))
    assert checked.result.rows == 0
    # Great Expectations passes it: of no rows, all keep to whatever is asked.
    assert checked.result.verdicts[1].outcome == "pass"
    with pytest.raises(ContractError, match="the table has no rows"):
        checked.result.require_pass(Path("index.html"))


def test_an_expectation_that_raises_is_no_pass_and_leaves_the_others_alone(check_raw: Check) -> None:
    checked = check_raw(
        raw_columns(),
        ("expect_column_mean_to_be_between", {"column": "id", "min_value": 0, "max_value": 1}),
        ("expect_column_kl_divergence_to_be_less_than", {"column": "label", "partition_object": {}, "threshold": 1}),
        ("expect_column_values_to_be_unique", {"column": "id"}),
    )
    assert [verdict.outcome for verdict in checked.result.verdicts] == ["pass", "error", "error", "pass"]
    assert "numeric" in checked.result.verdicts[1].error
    assert "partition_object" in checked.result.verdicts[2].error
    with pytest.raises(ContractError, match="on column 'id': could not be evaluated"):
        checked.result.require_pass(Path("index.html"))
    assert documents.render(checked)


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"colunm": "label", "value_set": [1]}, "'colunm' (did you mean 'column'?)"),
        ({"column": "label"}, "argument 'value_set' is missing"),
        ({"column": "label", "value_set": 3}, "argument 'value_set'"),
        ({"column": "label", "value_set": [1], "mostly": 2}, "argument 'mostly'"),
    ],
)
def test_a_wrong_argument_is_refused_with_file_and_expectation(
    tmp_path: Path, kwargs: dict[str, Any], said: str
) -> None:
    path = write_suite(tmp_path / "raw.yaml", ("expect_column_values_to_be_in_set", kwargs))
    with pytest.raises(UsageError) as refused:
        checking.bind(read_suite(path, frames.RAW_COLUMNS))
    assert f"{path}: expectation 2, expect_column_values_to_be_in_set: " in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize("is_good", [True, False])
def test_the_outcomes_are_those_of_plain_great_expectations(spark: SparkSession, tmp_path: Path, is_good: bool) -> None:
    columns = raw_columns()
    if not is_good:
        columns["label"][:30] = [12] * 30
        columns["part"] = ["train"] * ROWS
        columns["payload_digest"] = [columns["payload_digest"][0]] * ROWS
        columns["id"][1] = columns["id"][0]
    suite = read_suite(shipped("raw.yaml", tmp_path), frames.RAW_COLUMNS)
    frame = frames.raw_frame(spark, frames.open_raw(write_raw(tmp_path / "raw", columns)))
    checked = checking.check(frame, suite, checking.bind(suite), "sha256:00")
    ours = [verdict.outcome == "pass" for verdict in checked.result.verdicts]
    assert ours == plain_outcomes(frame, suite)
    assert all(ours) is is_good


def test_good_prepared_data_keeps_the_shipped_contract(check_prepared: Check) -> None:
    result = check_prepared(Prepared.make()).result
    assert result.problems == ()
    assert result.rows == 120 + 40 + 40 + 120


def test_prepared_data_may_have_no_changed_copies(check_prepared: Check) -> None:
    result = check_prepared(Prepared.make(copies=0)).result
    assert (result.outcome, result.rows) == ("pass", 200)


def test_what_leaks_between_parts_is_found_with_its_ids(check_prepared: Check) -> None:
    prepared = Prepared.make()
    train, test, augmented = (prepared.parts[part] for part in ("train", "test", "augmented"))
    test["id"][0] = train["id"][0]
    test["pixels"][1] = train["pixels"][1]
    augmented["source_id"][2] = test["id"][2]
    augmented["source_id"][3] = "nowhere"
    failed = failures(check_prepared(prepared))
    assert failed["expect_column_values_to_be_unique", "id"].offending_ids == (train["id"][0],) * 2
    twins = failed["expect_column_values_to_be_between", "parts_with_pixels"]
    assert twins.offending_ids == (test["id"][1], train["id"][1])
    strangers = failed["expect_column_values_to_be_in_set", "source_part"]
    # The copy of the image whose id now stands in two parts is one of them.
    assert strangers.offending_ids == tuple(sorted(augmented["id"][row] for row in (0, 2, 3)))
    assert len(failed) == 3


def test_a_part_that_is_missing_is_seen(check_prepared: Check) -> None:
    prepared = Prepared.make()
    prepared.parts["validation"] = {name: [] for name in prepared.parts["validation"]}
    assert list(failures(check_prepared(prepared))) == [("expect_column_distinct_values_to_contain_set", "part")]


def test_data_of_another_layout_is_refused_before_spark_reads_it(tmp_path: Path) -> None:
    schema = shards.RAW_SCHEMA.remove(shards.RAW_SCHEMA.get_field_index("label"))
    columns = {name: values for name, values in raw_columns(10).items() if name != "label"}
    entry = shards.write_shard(tmp_path, 0, schema, [pa.table(columns, schema=schema)])
    shards.finish_dataset(tmp_path, [entry], schema)
    with pytest.raises(DataError, match="column 'label' is missing, expected int32"):
        frames.open_raw(tmp_path)


# The stages, each in a process of its own, as DVC runs them


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("dvc.yaml", "params.yaml", "execution.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("raw.yaml", "prepared.yaml"):
        shipped(name, tmp_path / "data_contracts" / "fashion_mnist")
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


def test_what_the_stages_publish_is_the_same_byte_for_byte_in_another_process(project: Path) -> None:
    write_raw(project / "data" / "raw", raw_columns())
    Prepared.make().write(project / "data")
    reports = project / "reports" / "contracts"
    first = run_stages(project, "check_raw", "check_prepared", PYTHONHASHSEED="1")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == ["26 expectations kept by 200 rows", "23 expectations kept by 320 rows"]
    before = published(reports)
    names = ("index.html", "result.json", "suite.html")
    assert sorted(before) == [f"{part}/{name}" for part in ("prepared", "raw") for name in names]
    assert not any(b"http" in page for page in before.values()), "a page asks the network for something"
    shutil.rmtree(reports)
    again = run_stages(project, "check_raw", "check_prepared", PYTHONHASHSEED="2", RATCHET_SPARK__MASTER="local[1]")
    assert again.returncode == 0, again.stderr
    assert published(reports) == before


def test_a_contract_that_is_not_kept_leaves_its_result_and_its_documents(project: Path) -> None:
    columns = raw_columns()
    columns["encoding"][0] = "png"
    write_raw(project / "data" / "raw", columns)
    failed = run_stages(project, "check_raw")
    assert f"ContractError: {project}/data_contracts/fashion_mnist/raw.yaml: not kept: " in failed.stderr
    assert "on column 'encoding': observed 1 of 200 rows unexpected" in failed.stderr
    folder = project / "reports" / "contracts" / "raw"
    assert f"ids {columns['id'][0]}; see {folder}/index.html" in failed.stderr
    result = json.loads((folder / "result.json").read_text())
    assert result["outcome"] == "fail"
    assert [entry["column"] for entry in result["expectations"] if entry["outcome"] == "fail"] == ["encoding"]
    assert b"png" in (folder / "index.html").read_bytes()
