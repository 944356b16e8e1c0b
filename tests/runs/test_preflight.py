"""What can be refused before a run begins is refused then."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.frozen_split import HASHES, FrozenSplit
from pipeline.doctor import examine
from pipeline.errors import DataError, RatchetError, StorageError, UsageError
from pipeline.graph import Contract, load_graph, parse_graph
from pipeline.recipe.recipe import Recipe, load_recipe
from pipeline.runs.preflight import check_before
from tests.hostile_tree import picture
from tests.nvidia_smi import install_tensorflow_with_cuda, put_nvidia_smi

PROJECT = Path(__file__).parents[2]
GRAPH = load_graph(PROJECT)


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe(PROJECT)


@pytest.fixture
def root(tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a source and its contracts, on a machine that has everything."""
    (tmp_path / recipe.data.path).parent.mkdir(parents=True)
    (tmp_path / recipe.data.path).symlink_to(PROJECT / recipe.data.path)
    contracts = tmp_path / recipe.data.contracts
    contracts.mkdir(parents=True)
    for contract in GRAPH.contracts:
        shutil.copy(PROJECT / contract.path, tmp_path / contract.path)
    (tmp_path / "splits").mkdir()
    (tmp_path / "execution.yaml").write_text("horovod: {workers: 2}\n")
    for name in ("require_java", "require_horovod"):
        monkeypatch.setattr(examine, name, lambda: None)
    return tmp_path


def lacking(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    def refuse(*_: Any) -> None:
        raise UsageError("missing")

    monkeypatch.setattr(examine, what, refuse)


def test_where_nothing_is_missing_nothing_is_refused(root: Path, recipe: Recipe) -> None:
    check_before(root, GRAPH, recipe, {})


def test_a_source_that_is_missing_is_named(root: Path, recipe: Recipe) -> None:
    (root / recipe.data.path).unlink()
    with pytest.raises(StorageError, match=f"data.path: {recipe.data.path} does not exist"):
        check_before(root, GRAPH, recipe, {})


@pytest.mark.parametrize("contract", GRAPH.contracts, ids=lambda contract: contract.of)
def test_a_contract_that_is_missing_is_named(root: Path, recipe: Recipe, contract: Contract) -> None:
    (root / contract.path).unlink()
    with pytest.raises(UsageError, match=f"^{contract.path} does not exist; the {contract.of} data need a contract"):
        check_before(root, GRAPH, recipe, {})


def test_a_frozen_split_that_is_not_there_or_lacks_a_class_is_refused(root: Path, recipe: Recipe) -> None:
    named = recipe.model_copy(update={"split": recipe.split.model_copy(update={"frozen": "mine"})})
    with pytest.raises(
        UsageError, match=r"^split\.frozen: splits/mine\.yaml does not exist; bring it .*`ratchet split freeze --new`$"
    ):
        check_before(root, GRAPH, named, {})

    first, *others = recipe.data.classes
    frozen = FrozenSplit.of(recipe.split, recipe.seed, dict.fromkeys(others, (1, HASHES)))
    (root / "splits" / "mine.yaml").write_text(frozen.text)
    with pytest.raises(UsageError, match=rf"^splits/mine\.yaml: no thresholds of class '{first}'"):
        check_before(root, GRAPH, named, {})


def test_a_frozen_split_of_another_seed_is_noticed(root: Path, recipe: Recipe) -> None:
    named = recipe.model_copy(update={"split": recipe.split.model_copy(update={"frozen": "mine"})})
    for seed, noticed in ((recipe.seed, False), (recipe.seed + 1, True)):
        frozen = FrozenSplit.of(recipe.split, seed, dict.fromkeys(recipe.data.classes, (1, HASHES)))
        (root / "splits" / "mine.yaml").write_text(frozen.text)
        said = check_before(root, GRAPH, named, {})
        assert ("mine.yaml divides rows by its own seed" in said) is noticed


def test_a_missing_folder_of_frozen_splits_is_named(root: Path, recipe: Recipe) -> None:
    (root / "splits").rmdir()
    with pytest.raises(StorageError, match=r"^splits is no folder, and dvc\.yaml names it; make it"):
        check_before(root, GRAPH, recipe, {})


def test_an_export_format_that_there_is_not_is_named_before_any_work(root: Path, recipe: Recipe) -> None:
    (root / "execution.yaml").write_text("export: {formats: [saved_model, onix]}\n")
    with pytest.raises(UsageError, match=r"^execution\.yaml: export\.formats: no export format 'onix' .*onnx"):
        check_before(root, GRAPH, recipe, {})


def test_a_graph_that_checks_nothing_needs_no_contract(root: Path, recipe: Recipe) -> None:
    for contract in GRAPH.contracts:
        (root / contract.path).unlink()
    check_before(root, parse_graph({"stages": {"train": {"cmd": "x"}}}, {}), recipe, {})


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({}, "the source has"),
        ({"method": "hash", "train": 0.8, "validation": 0.1, "test": 0.1}, "the split gives at most about"),
    ],
)
def test_a_source_on_whose_test_rows_nothing_can_pass_is_refused(
    root: Path, recipe: Recipe, split: dict[str, Any], said: str
) -> None:
    def with_margin(margin: object) -> Recipe:
        values = recipe.model_dump()
        values["split"] |= split
        values["gate"]["rule"] = {"name": "better", "settings": {"total_margin": margin}}
        return Recipe.model_validate(values)

    with pytest.raises(UsageError, match=rf"^gate\.rule: better lets nothing through on fewer than 6607 .*{said}"):
        check_before(root, GRAPH, with_margin(0.002), {})
    for margin in (0.01, {"none": "a test"}):
        check_before(root, GRAPH, with_margin(margin), {})


def test_a_machine_without_java_is_refused(root: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking(monkeypatch, "require_java")
    with pytest.raises(UsageError, match="missing"):
        check_before(root, GRAPH, recipe, {})


def test_a_recipe_for_gpus_is_refused_where_there_are_too_few(
    root: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_tensorflow_with_cuda(monkeypatch)
    on_gpus = recipe.model_copy(update={"train": recipe.train.model_copy(update={"device": "gpu"})})
    with pytest.raises(UsageError, match=r"^train\.device: gpu, but this machine has none"):
        check_before(root, GRAPH, on_gpus, put_nvidia_smi(tmp_path / "driver", 0))
    with pytest.raises(UsageError, match=r"^horovod\.workers: 2 ranks on this machine.*; use 1, or another"):
        check_before(root, GRAPH, on_gpus, put_nvidia_smi(tmp_path / "driver", 1))
    check_before(root, GRAPH, on_gpus, put_nvidia_smi(tmp_path / "driver", 2))


def test_horovod_is_asked_for_by_several_workers_only(
    root: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch, "require_horovod")
    check_before(root, GRAPH, recipe, {"RATCHET_HOROVOD__WORKERS": "1"})
    with pytest.raises(UsageError, match="missing"):
        check_before(root, GRAPH, recipe, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a suite"),
        ("name: x\nexpectations: []", "the suite has no expectations"),
        ("name: x\nexpectations: [{type: expect_column_to_exist, kwargs: {column: label}}]", "bounds the row count"),
        ("name: x\nexpectations: [{type: expect_colum_to_exist}]", "did you mean 'expect_column_to_exist'"),
        (
            "name: x\nexpectations: [{type: expect_column_to_exist, kwargs: {column: image_bites}}]",
            "unknown column 'image_bites' .did you mean 'image_bytes'",
        ),
    ],
)
@pytest.mark.parametrize("contract", GRAPH.contracts, ids=lambda contract: contract.of)
def test_a_contract_that_promises_nothing_is_refused_by_its_file(
    root: Path, recipe: Recipe, contract: Contract, text: str, said: str
) -> None:
    (root / contract.path).write_text(text)
    with pytest.raises(UsageError, match=f"^{contract.path}: .*{said}"):
        check_before(root, GRAPH, recipe, {})


def test_workers_that_cannot_share_the_virtual_workers_are_refused(root: Path, recipe: Recipe) -> None:
    with pytest.raises(
        UsageError, match=r"horovod\.workers: 3 workers cannot share 4 virtual workers equally; use 1, 2 or 4"
    ):
        check_before(root, GRAPH, recipe, {"RATCHET_HOROVOD__WORKERS": "3"})


def test_a_source_that_is_a_file_is_told_so(root: Path, recipe: Recipe) -> None:
    (root / recipe.data.path).unlink()
    (root / recipe.data.path).touch()
    with pytest.raises(StorageError, match=f"data.path: {recipe.data.path} is not a folder"):
        check_before(root, GRAPH, recipe, {})


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (".", "holds this project itself"),
        ("/", "holds this project itself"),
        ("dvc.yaml", "is not a folder"),
        ("a" * 300, "no path, or longer than one can be"),
        ("/".join(["abc"] * 2000), "no path, or longer than one can be"),
        ("a\0b", "no path, or longer than one can be"),
        ("data/raw", "makes data/raw"),
        ("data/raw/inside", "makes data/raw"),
        ("data", "give the source its own folder"),
        ("pipeline", "is the project's own"),
        (".dvc/cache", "is the project's own"),
        ("runs/x", "is the project's own"),
    ],
)
def test_a_place_that_is_no_sources_is_refused_in_a_line(root: Path, recipe: Recipe, path: str, says: str) -> None:
    (root / "dvc.yaml").touch()
    other = recipe.model_copy(update={"data": recipe.data.model_copy(update={"path": path})})
    with pytest.raises((UsageError, StorageError)) as refused:
        check_before(root, GRAPH, other, {})
    assert says in str(refused.value)
    assert str(refused.value).startswith("data.path: ")
    assert len(str(refused.value)) <= 300


def with_source(recipe: Recipe, source: str, path: str, **settings: Any) -> Recipe:
    values = recipe.model_dump()
    values["data"] |= {"source": {"name": source, "settings": settings}, "path": path}
    values["split"] = {"method": "stratified", "train": 0.6, "validation": 0.1, "test": 0.3}
    values["gate"]["rule"] = {"name": "better", "settings": {"total_margin": {"none": "a test"}}}
    return Recipe.model_validate(values)


@pytest.fixture
def pictures(root: Path, recipe: Recipe) -> Path:
    """A folder of class folders, its classes those of the recipe: 300 pictures."""
    for number in range(300):
        path = root / "pictures" / recipe.data.classes[number % 10].replace("/", "-") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    return root / "pictures"


def test_class_folders_and_archives_are_accepted(root: Path, recipe: Recipe, pictures: Path) -> None:
    check_before(root, GRAPH, with_source(recipe, "image_folder", "pictures"), {})
    for kind in ("zip", "gztar"):
        name = Path(shutil.make_archive(str(root / "archive"), kind, pictures)).name
        check_before(root, GRAPH, with_source(recipe, "archive", name), {})


@pytest.mark.long
@pytest.mark.parametrize(
    ("source", "settings", "said"),
    [
        ("idx", {}, "no training files, but .png files; expected the idx files .*; it looks like .*: image_folder$"),
        ("archive", {}, "no archive in it; expected .*; it looks like data.source: image_folder$"),
        ("cifar", {}, "no training batches; expected .*; it looks like data.source: image_folder$"),
        ("annotations", {"format": "csv", "train": "labels.csv"}, "labels.csv does not exist; name the annotations"),
        ("annotations", {"fromat": "csv"}, r"unknown key .*fromat' \(did you mean 'data.source.settings.format'"),
        ("image_folders", {}, r"no source 'image_folders' .*\(did you mean 'image_folder'\?\)"),
    ],
)
def test_a_source_that_is_of_another_format_is_told_so(
    root: Path, recipe: Recipe, pictures: Path, source: str, settings: dict[str, str], said: str
) -> None:
    with pytest.raises(RatchetError, match=said):
        check_before(root, GRAPH, with_source(recipe, source, "pictures", **settings), {})


def test_a_source_that_is_not_there_is_named_with_the_nearest_beside_it(
    root: Path, recipe: Recipe, pictures: Path
) -> None:
    with pytest.raises(StorageError, match=r"^data\.path: picture does not exist \(did you mean 'pictures'\?\); name"):
        check_before(root, GRAPH, with_source(recipe, "image_folder", "picture"), {})
    (root / "empty").mkdir()
    with pytest.raises(DataError, match=r"^empty: nothing in it; expected a folder for each class, with pictures$"):
        check_before(root, GRAPH, with_source(recipe, "image_folder", "empty"), {})
    (root / "all.zip").write_bytes(b"")
    with pytest.raises(StorageError, match=r"^data\.path: all\.zip is not a folder; name the folder that holds"):
        check_before(root, GRAPH, with_source(recipe, "image_folder", "all.zip"), {})
    with pytest.raises(DataError, match=r"^all\.zip: neither a zip nor a tar archive"):
        check_before(root, GRAPH, with_source(recipe, "archive", "all.zip"), {})


def test_a_source_without_test_rows_cannot_give_the_test_part(root: Path, recipe: Recipe, pictures: Path) -> None:
    values = with_source(recipe, "image_folder", "pictures").model_dump()
    values["split"] = recipe.split.model_dump()
    with pytest.raises(
        UsageError, match=r"^split\.method: source, but pictures has no test rows of its own; set it to"
    ):
        check_before(root, GRAPH, Recipe.model_validate(values), {})
