"""A kind of feature is added as files of its name, and a source that delivers it: all stages take both.

Nothing of the package is edited. `added/` holds what is laid beside its files.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.models import stored
from pipeline.records.registration import Registration
from pipeline.records.verdict import Verdict
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest
from pipeline.storage.record_files import read_record
from tests.system.contracts.tables import write_suite
from tests.system.data.faulty_rows import table_of
from tests.system.data.test_same_result import run_stages
from tests.system.project import ROOT

ADDED = Path(__file__).parent / "added"
STAGES = ("resolve", "ingest", "check_raw", "clean", "split", "normalize", "augment", "check_prepared")
ROWS = 120

RAW = [
    ("expect_column_values_to_be_between", {"column": "weight", "min_value": 0, "max_value": 10, "mostly": 0.9}),
    ("expect_column_values_to_be_between", {"column": "image_bytes", "min_value": 64, "max_value": 64}),
]
PREPARED = [
    ("expect_column_values_to_be_between", {"column": "weight", "min_value": 0, "max_value": 10}),
    ("expect_column_values_to_be_between", {"column": "image_bytes", "min_value": 64, "max_value": 64}),
    ("expect_column_values_to_be_between", {"column": "parts_with_row", "min_value": 1, "max_value": 1}),
    (
        "expect_table_columns_to_match_set",
        {
            "column_set": [
                *("id", "label", "image_mean", "image_std", "image_bytes", "weight"),
                *("part", "copy", "source_id", "source_part", "parts_with_row"),
            ],
            "exact_match": True,
        },
    ),
]


def lines() -> list[str]:
    """Return the source's rows: good ones, a twin in its image alone, a whole twin, one too heavy, one without."""
    part = ["test" if row % 3 == 0 else "train" for row in range(ROWS)]
    good = [f"{row % 2},{part[row]},{row},{row % 19 / 2}" for row in range(ROWS)]
    return [*good, "1,train,1,9.5", "1,train,1,0.5", "0,train,1000,11.5", "0,train,1001,"]


def recipe() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    image = {"raw_height": 8, "raw_width": 8, "channels": 1, "height": 8, "width": 8}
    values["data"] |= {
        "source": "measured",
        "path": "measured",
        "contracts": "contracts",
        "classes": ["even", "odd"],
        "features": {
            "image": {"kind": "image", "settings": image},
            "weight": {"kind": "number", "settings": {"lowest": 0.0, "highest": 10.0}},
        },
    }
    values["model"] = {"name": "mlp", "settings": {"units": [8], "dropout": 0.0}}
    values["train"] |= {"epochs": 2, "batch_size": 32}
    values["gate"] |= {"minimum": {"accuracy": {"none": "two epochs"}}, "maximum": {}}
    return values


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the added files beside those of the package, whose data stages have run."""
    root = tmp_path_factory.mktemp("added") / "project"
    without_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pipeline", root / "pipeline", ignore=without_caches)
    shutil.copytree(ADDED, root / "pipeline", ignore=without_caches, dirs_exist_ok=True)
    for name in ("dvc.yaml", "execution.yaml"):
        shutil.copy(ROOT / name, root / name)
    (root / "params.yaml").write_text(yaml.safe_dump(recipe(), sort_keys=False))
    (root / "measured").mkdir()
    (root / "measured" / "rows.csv").write_text("\n".join(["label,part,seed,weight", *lines(), ""]))
    write_suite(root / "contracts" / "raw.yaml", *RAW)
    write_suite(root / "contracts" / "prepared.yaml", *PREPARED)
    run_stages(root, *STAGES, cut_by=2)
    return root


def test_a_row_is_rejected_for_what_its_kind_finds_wrong(done: Path) -> None:
    rejected = table_of(done / "data/quarantine").select(["reason", "column", "detail"]).to_pylist()
    assert sorted(map(list, map(dict.values, rejected)), key=str) == [
        ["exact duplicate", None, "of rows.csv row 1"],
        ["missing", "weight", "it is nan"],
        ["out of range", "weight", "it is 11.5"],
    ]


def test_rows_are_equal_only_if_all_of_their_features_are(done: Path) -> None:
    kept = table_of(done / "data/clean")
    images = Counter(kept["image"].to_pylist())
    assert [count for count in images.values() if count > 1] == [2]
    assert kept.num_rows == ROWS + 1


def test_the_feature_is_prepared_and_fitted_on_the_training_part(done: Path) -> None:
    weight_of = dict(zip(*(table_of(done / "data/clean")[name].to_pylist() for name in ("id", "weight")), strict=True))
    for part in ("train", "validation", "test"):
        rows = shards.read_rows(done / "data/prepared" / part)
        assert rows.columns["weight"][:].tolist() == [weight_of[row_id] for row_id in rows.ids]
    weights = shards.read_rows(done / "data/prepared/train").columns["weight"][:]
    found = read_manifest(done / "data/prepared/test").feature("weight")
    assert found.fitted == {"smallest": weights.min(), "largest": weights.max()}


def test_steps_for_images_leave_it_as_it_is(done: Path) -> None:
    training = shards.read_rows(done / "data/prepared/train")
    weight_of = dict(zip(training.ids, training.columns["weight"][:].tolist(), strict=True))
    augmented = table_of(done / "data/augmented")
    assert augmented["weight"].to_pylist() == [weight_of[row_id] for row_id in augmented["source_id"].to_pylist()]
    changed = shards.read_rows(done / "data/augmented").columns["image"][:]
    assert not np.array_equal(changed, training.columns["image"][:])


def test_a_model_of_both_features_is_trained_judged_and_published(done: Path) -> None:
    execution = yaml.safe_load((done / "execution.yaml").read_text())
    (done / "execution.yaml").write_text(yaml.safe_dump({**execution, "horovod": {"workers": 1}}))
    (done / "requirements").mkdir()
    shutil.copy(ROOT / "requirements" / "pipeline.txt", done / "requirements")
    run_stages(done, "check_apart", "train", "evaluate", "champion", "gate", "register", cut_by=1)
    features = stored.read_architecture(done / "models/candidate").features
    assert [(spec.name, spec.kind) for spec in features] == [("image", "image"), ("weight", "number")]
    verdict = read_record(done / "reports/verdict.json", Verdict)
    assert verdict.promotes, verdict.reason
    assert read_record(done / "reports/registration.json", Registration).outcome == "promoted"
    weights = stored.read_weights(done / "models/candidate")
    kernel = next(array for name, array in weights.items() if name.endswith("dense_0/kernel"))
    assert kernel.shape == (8 * 8 + 1, 8)
