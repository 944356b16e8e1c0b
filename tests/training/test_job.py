from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataError, UsageError
from pipeline.graph import load_graph
from pipeline.recipe.slots import Choice
from pipeline.records.architecture import Predicted
from pipeline.records.manifest import TARGET
from pipeline.storage import artifacts
from pipeline.storage.manifests import read_manifest, write_manifest
from pipeline.training.job import Job, architecture_of, check_job, checked_job, epoch_rows, job_key, versions
from tests.nvidia_smi import install_tensorflow_with_cuda
from tests.ranges import assert_ranges
from tests.training.made import image_spec

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


@pytest.mark.parametrize("workers", [3, 8])
def test_workers_that_cannot_share_the_virtual_workers_equally_are_refused(job: Job, workers: int) -> None:
    with pytest.raises(UsageError, match=f"{workers} workers cannot share 4 virtual workers equally; use 1, 2 or 4"):
        check_job(changed(job, workers=workers))


def test_a_batch_of_more_than_all_images_is_refused(job: Job) -> None:
    with pytest.raises(UsageError, match="64 is more than the 60 training rows"):
        check_job(changed(job, train={"batch_size": 64}))


def test_an_unknown_architecture_is_refused_with_the_nearest(job: Job) -> None:
    with pytest.raises(UsageError, match=r"no architecture 'cn' in pipeline/models/architectures.*did you mean 'cnn'"):
        check_job(changed(job, model={"name": "cn"}))


def test_an_empty_validation_part_is_refused(job: Job, write_images: Any) -> None:
    write_images("prepared/validation", 0)
    with pytest.raises(DataError, match="validation: no rows"):
        check_job(job)


def test_an_epoch_that_makes_its_own_copies_has_them_in_the_place_of_the_rows(job: Job, write_images: Any) -> None:
    write_images("augmented", 0)
    during = changed(job, augment={"when": "during", "copies": 3})
    assert [epoch_rows(each) for each in (job, during)] == [40, 120]
    check_job(changed(during, train={"batch_size": 120}))
    with pytest.raises(UsageError, match="124 is more than the 120 training rows"):
        check_job(changed(during, train={"batch_size": 124}))
    assert epoch_rows(changed(during, augment={"copies": 0})) == 40


def test_an_epoch_that_adds_copies_by_class_has_as_many_rows(job: Job, write_images: Any) -> None:
    folder = write_images("prepared/train", 40)
    by_class = dict(zip(job.classes, (20, 15, 5), strict=False))
    write_manifest(folder, read_manifest(folder).changed(counts={"classes": by_class}))
    during = changed(job, augment={"when": "during", "copies": 2, "steps": ["oversample"]})

    assert epoch_rows(during) == sum(rows * -(-40 // rows) for rows in by_class.values()) > 2 * 20
    assert epoch_rows(changed(during, augment={"when": "before"})) == 60


def test_no_augmented_rows_are_fine(job: Job, write_images: Any) -> None:
    write_images("augmented", 0)
    check_job(job)


@pytest.mark.parametrize("slot", ["optimizer", "schedule", "loss"])
def test_an_unknown_file_of_a_slot_is_refused_by_its_key(job: Job, slot: str) -> None:
    with pytest.raises(UsageError, match=rf"train\.{slot}: no {slot} 'nothing' in pipeline/training"):
        check_job(changed(job, train={slot: "nothing"}))


def test_the_architecture_has_the_features_of_the_data(job: Job) -> None:
    found = architecture_of(job)
    assert (found.name, found.task, found.classes) == ("mlp", "classification", ("bright", "dark", "striped"))
    assert found.features == (image_spec((8, 8, 1)),)


def test_of_classes_without_a_column_nothing_more_is_said(job: Job) -> None:
    assert architecture_of(job).predicts is None


def test_the_architecture_says_which_column_is_predicted_and_in_which_unit(job: Job) -> None:
    folder = job.training_folders[0]
    column = {"column": "arr_delay", "edges": [0.0, 30.0]}
    write_manifest(folder, read_manifest(folder).changed(counts={TARGET: column}))
    of_classes = architecture_of(job).predicts
    assert of_classes == Predicted(column="arr_delay", edges=(0.0, 30.0))

    number = Choice(name="regression", settings={"unit": "min"})
    write_manifest(folder, read_manifest(folder).changed(counts={TARGET: {**column, "edges": []}}))
    of_number = architecture_of(job.model_copy(update={"task": number, "classes": ()})).predicts
    assert of_number == Predicted(column="arr_delay", unit="min")


def test_a_validation_part_of_other_features_is_refused(job: Job, write_images: Any) -> None:
    write_images("prepared/validation", 8, spec=image_spec((8, 8, 1), std=51.0))
    with pytest.raises(DataError, match=r"prepared/validation: other features than .*prepared/train"):
        architecture_of(job)


def test_a_target_is_no_input(job: Job, write_images: Any) -> None:
    target = image_spec((8, 8, 1)).changed(role="target")
    for name in ("prepared/train", "prepared/validation", "augmented"):
        write_images(name, 8, spec=target)
    assert architecture_of(job).features == ()


@pytest.mark.parametrize(
    "change",
    [
        {"train": {"epochs": 3}},
        {"train": {"learning_rate": 0.02}},
        {"train": {"device": "gpu"}},
        {"model": {"settings": {"units": [5], "dropout": 0.0}}},
        {"seed": 2},
        {"classes": ("bright", "dark", "dotted")},
        {"train": {"virtual_workers": 2}},
        {"train": {"exact": False}},
        {"augment": {"when": "during"}},
        {"augment": {"steps": ({"name": "warp"},)}},
    ],
)
def test_whatever_decides_the_result_changes_the_key(job: Job, change: dict[str, Any]) -> None:
    assert job_key(changed(job, **change)) != job_key(job)


def test_other_fitted_state_changes_the_key(job: Job, write_images: Any) -> None:
    before = job_key(job)
    write_images("prepared/train", 40, spec=image_spec((8, 8, 1), std=51.0))
    assert job_key(job) != before


def test_other_data_changes_the_key(job: Job, write_images: Any) -> None:
    before = job_key(job)
    write_images("augmented", 21)
    assert job_key(job) != before


@pytest.mark.parametrize(
    "change", [{"work": "/elsewhere", "tensorboard": "/elsewhere"}, {"workers": 1}, {"workers": 4}, {"threads": 2}]
)
def test_where_and_by_how_many_it_is_done_does_not_change_the_key(job: Job, change: dict[str, Any]) -> None:
    assert job_key(changed(job, **change)) == job_key(job)


def test_a_change_in_code_that_is_used_changes_the_key(job: Job) -> None:
    other = {**job.code, "pipeline/training/losses/cross_entropy.py": "sha256:03"}
    assert job_key(changed(job, code=other)) != job_key(job)


@pytest.mark.parametrize(
    "library", ["tensorflow-cpu", "tensorflow", "keras", "numpy", "nvidia-cudnn-cu12", "nvidia-cublas-cu12"]
)
def test_another_version_of_a_library_that_decides_changes_the_key(
    job: Job, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, version = job_key(job), importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0" if name == library else version(name))
    assert job_key(job) != before


def test_the_two_names_of_tensorflow_are_two_libraries(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    before = job_key(job)
    install_tensorflow_with_cuda(monkeypatch)
    assert "tensorflow" in versions()
    assert "tensorflow-cpu" not in versions()
    assert job_key(job) != before


def test_train_declares_each_file_of_its_room_and_no_slots_folder() -> None:
    declared = {dep for dep in load_graph(ROOT)["train"].deps if dep.startswith("pipeline/training")}
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pipeline/training").glob("*.py")}
    assert declared == files - {"pipeline/training/__init__.py"}


def test_each_thing_that_decides_the_result_changes_the_key(job: Job) -> None:
    task = {"name": "classification", "settings": {"calibration_bins": 20}}
    for change in (
        {"task": task},
        {"model": {"name": "cnn"}},
        {"code": {"x": "sha256:00"}},
        {"train": {"batch_size": 4}},
    ):
        values = {**job.model_dump(), **{k: v for k, v in change.items() if k in ("task", "code")}}
        changed_job = Job.model_validate(values) if change.keys() & {"task", "code"} else changed(job, **change)
        assert job_key(changed_job) != job_key(job), change


@pytest.mark.parametrize("name", ["prepared/train", "prepared/validation", "augmented"])
def test_other_rows_of_any_data_set_change_the_key(job: Job, write_images: Any, name: str) -> None:
    before = job_key(job)
    write_images(name, 13)
    assert job_key(job) != before


def test_a_library_that_is_absent_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert versions() == {}


def test_a_key_is_sixteen_digits_of_a_digest_and_a_job_works_in_a_folder_of_that_name(job: Job) -> None:
    key = job_key(job)
    assert re.fullmatch(r"[0-9a-f]{16}", key)
    assert checked_job(job) == job.model_copy(update={"work": f"{job.work}/{key}"})


def test_a_job_that_cannot_be_trained_has_no_folder(job: Job) -> None:
    with pytest.raises(UsageError, match="more than the 60 training rows"):
        checked_job(changed(job, train={"batch_size": 64}))


def test_a_batch_of_exactly_all_rows_is_fine(job: Job) -> None:
    check_job(changed(job, train={"batch_size": 60}))


def test_the_data_sets_of_a_job_are_in_its_folders(job: Job) -> None:
    assert [path.name for path in job.training_folders] == ["train", "augmented"]
    assert job.validation_folder == Path(job.prepared) / "validation"
    assert job.training_folders[0].parent == Path(job.prepared)


@pytest.mark.parametrize("key", ["workers", "threads"])
def test_a_job_has_at_least_one_worker_and_thread(job: Job, key: str) -> None:
    assert_ranges(Job, job.model_dump(), **{key: (1, 100, 0, None)})


def test_neither_the_key_nor_the_check_reads_the_data(job: Job) -> None:
    key = job_key(job)
    for folder in (*job.training_folders, job.validation_folder):
        for shard in folder.glob("*.parquet"):
            shard.write_bytes(b"x" * shard.stat().st_size)
    assert job_key(job) == key
    check_job(job)
