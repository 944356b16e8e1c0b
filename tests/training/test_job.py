from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.graph import load_graph
from pipeline.recipe.recipe import load_recipe
from pipeline.storage import artifacts
from pipeline.training import job as job_module
from pipeline.training.job import Job, architecture_of, check_job, job_key

ROOT = Path(__file__).parents[2]


def changed(job: Job, **groups: Any) -> Job:
    values = job.model_dump()
    for name, value in groups.items():
        values[name] = {**values[name], **value} if isinstance(value, dict) else value
    return Job.model_validate(values)


def test_a_job_survives_its_way_to_the_worker(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    artifacts.write_json(path, job.model_dump(mode="json"))
    assert Job.model_validate_json(path.read_bytes()) == job


def test_a_batch_that_cannot_be_shared_equally_is_refused(job: Job) -> None:
    with pytest.raises(UsageError, match="9 images cannot be shared equally by 2 workers; use 8"):
        check_job(changed(job, train={"batch_size": 9}))


def test_a_batch_of_more_than_all_images_is_refused(job: Job) -> None:
    with pytest.raises(UsageError, match="62 is more than the 60 training images"):
        check_job(changed(job, train={"batch_size": 62}))


def test_an_unknown_architecture_is_refused_with_the_nearest(job: Job) -> None:
    with pytest.raises(UsageError, match=r"no architecture 'cn' in pipeline/models.*did you mean 'cnn'"):
        check_job(changed(job, model={"name": "cn"}))


def test_an_empty_validation_part_is_refused(job: Job, write_images: Any) -> None:
    write_images("prepared/validation", 0)
    with pytest.raises(DataError, match="validation: no rows"):
        check_job(job)


def test_no_augmented_rows_are_fine(job: Job, write_images: Any) -> None:
    write_images("augmented", 0)
    check_job(job)


def test_the_architecture_has_the_shape_and_the_statistics_of_the_data(job: Job) -> None:
    found = architecture_of(job)
    assert (found.name, found.input_shape, found.classes) == ("mlp", (8, 8, 1), ("bright", "dark", "striped"))
    assert found.statistics == {"mean": (100.0,), "std": (50.0,)}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"rows": 1, "std": [1.0]}, "mean: Field required"),
        ({"rows": 1, "mean": 3.0, "std": [1.0]}, "mean: Input should be a valid"),
        ({"rows": 1, "mean": ["x"], "std": [1.0]}, "mean.0: Input should be a valid number"),
        ({"mean": [1.0], "std": [1.0]}, "rows: Field required"),
        ([], "must be a JSON object, not list"),
    ],
)
def test_statistics_that_are_none_are_refused(job: Job, content: Any, said: str) -> None:
    artifacts.write_json(Path(job.prepared) / "statistics.json", content)
    with pytest.raises(DataError, match=rf"statistics\.json: {said}"):
        architecture_of(job)


def test_missing_statistics_are_named(job: Job) -> None:
    (Path(job.prepared) / "statistics.json").unlink()
    with pytest.raises(StorageError, match=r"statistics\.json: cannot be read"):
        architecture_of(job)


@pytest.mark.parametrize(
    "change",
    [
        {"train": {"epochs": 3}},
        {"train": {"learning_rate": 0.02}},
        {"model": {"settings": {"units": [5], "dropout": 0.0}}},
        {"seed": 2},
        {"classes": ("bright", "dark", "dotted")},
        {"workers": 1},
        {"threads": 2},
    ],
)
def test_whatever_decides_the_result_changes_the_key(job: Job, change: dict[str, Any]) -> None:
    assert job_key(changed(job, **change)) != job_key(job)


def test_other_statistics_change_the_key(job: Job) -> None:
    before = job_key(job)
    artifacts.write_json(Path(job.prepared) / "statistics.json", {"rows": 40, "mean": [100.0], "std": [51.0]})
    assert job_key(job) != before


def test_other_data_changes_the_key(job: Job, write_images: Any) -> None:
    before = job_key(job)
    write_images("augmented", 21)
    assert job_key(job) != before


def test_where_it_is_kept_does_not_change_the_key(job: Job) -> None:
    assert job_key(changed(job, work="/elsewhere", tensorboard="/elsewhere")) == job_key(job)


def test_the_key_follows_the_code_that_dvc_yaml_declares_for_train() -> None:
    declared = load_graph(ROOT)["train"].deps
    code = {path.removeprefix("pipeline/") for path in declared if path.startswith("pipeline/")}
    own = {"stages/train.py", f"models/architectures/{load_recipe(ROOT).model.name}.py"}
    assert code - own == set(job_module._DECIDING_CODE)
