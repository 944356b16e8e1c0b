"""`ratchet init` on real data: what it drafts runs at once, and says what it found."""

from __future__ import annotations

import io
import json
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline.cli import command_line
from pipeline.recipe.configs import CONFIGS, recipe_layers
from pipeline.recipe.strict_yaml import dump_yaml
from tests.hostile_tree import write_hostile_tree
from tests.system.conftest import RunHere
from tests.system.project import Project, copy_checkout, write_digits
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

STAGES = ("resolve", "ingest", "check_raw", "clean", "split", "normalize", "augment", "check_prepared")
Init = Callable[..., list[str]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("init") / "project"
    folder.mkdir()
    copy_checkout(folder)
    return folder


@pytest.fixture
def init(root: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Init:
    """Give the command in the project's folder; return the lines that it says."""
    monkeypatch.setattr(type(spark), "stop", lambda session: None)
    monkeypatch.chdir(root)

    def give(*arguments: str) -> list[str]:
        code = command_line.main(("init", *arguments))
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out.splitlines()

    return give


def run(root: Path, run_here: RunHere, name: str) -> list[str]:
    """Run the data stages and both contracts with a drafted config, as a run's workspace has it; undo that."""
    params = root / "params.yaml"
    shipped = params.read_bytes()
    try:
        values = recipe_layers(root, f"{CONFIGS}/{name}.yaml").values
        params.write_bytes(dump_yaml(values))
        return run_here(root, *STAGES)
    finally:
        params.write_bytes(shipped)


def config(root: Path, name: str) -> Any:
    return yaml.safe_load((root / CONFIGS / f"{name}.yaml").read_text())["recipe"]


def test_an_idx_folder_becomes_a_config_that_runs_at_once_and_the_same_each_time(
    root: Path, init: Init, run_here: RunHere
) -> None:
    write_digits(root / "digits")
    said = init("digits")
    assert len(said) <= 15
    assert said[0] == "digits: 1 797 rows, read as idx: 1 437 train, 360 test"
    assert said[1].startswith("10 classes (rows): 0 (178), 1 (182)")
    assert said[-1].endswith("then: ratchet run --config configs/digits.yaml")
    assert "unsure: the source has numbers and no names: name the classes in data.classes" in said
    recipe = config(root, "digits")
    assert recipe["data"]["classes"] == [str(number) for number in range(10)]
    assert recipe["augment"]["steps"][0]["settings"]["flip"] == 0
    assert recipe["split"]["method"] == "source"
    assert not (root / ".ratchet" / "init").exists()

    assert "expectations hold for 1 797 rows" in run(root, run_here, "digits")[2]

    init("digits", "--name", "again")
    for file in (f"{CONFIGS}/NAME.yaml", "data_contracts/NAME/raw.yaml", "data_contracts/NAME/prepared.yaml"):
        again = (root / file.replace("NAME", "again")).read_text()
        assert again.replace("path: digits", "").replace("again", "digits") == (
            (root / file.replace("NAME", "digits")).read_text().replace("path: digits", "").replace("again", "digits")
        )


def picture(seed: int, height: int, width: int, mode: str) -> Image.Image:
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 200, (height, width, 3), np.uint8)
    pixels[: height // 2] += np.uint8(seed % 50)
    return Image.fromarray(pixels).convert(mode)


def test_a_folder_of_pictures_of_all_sizes_and_modes_becomes_a_config_that_runs_at_once(
    root: Path, init: Init, run_here: RunHere
) -> None:
    folder = root / "my leaves"
    for number in range(240):
        name = ("oak", "1e5", "no")[number % 3]
        (folder / name).mkdir(parents=True, exist_ok=True)
        height, width = 20 + number % 17, 20 + number % 13
        mode, ending = (("L", "png"), ("RGB", "jpg"), ("RGB", "png"), ("P", "gif"))[number % 4]
        picture(number, height, width, mode).save(folder / name / f"{number}.{ending}")
    for number in range(12):  # each holds nothing: the same
        (folder / "oak" / f"empty {number}.png").write_bytes(b"")
    (folder / "oak" / "copy.png").write_bytes((folder / "oak" / "0.png").read_bytes())
    (folder / "no" / "broken.jpg").write_bytes((folder / "1e5" / "1.jpg").read_bytes()[:200])
    (folder / "oak" / "notes.png").write_text("no picture")

    said = init("my leaves")

    assert len(said) <= 15
    assert said[0].startswith("my leaves: 255 rows, read as image_folder: 255 train")
    recipe = config(root, "my_leaves")
    assert recipe["data"]["classes"] == ["1e5", "no", "oak"]
    settings = recipe["data"]["features"]["image"]["settings"]
    assert (settings["channels"], settings["raw_height"]) == (3, None)
    assert recipe["split"]["method"] == "stratified"
    assert "unsure: 13 of 255 rows cannot be used: 12 empty" in "\n".join(said)
    run(root, run_here, "my_leaves")


def test_classes_named_by_date_with_umlauts_in_the_name_from_an_address(
    root: Path, tmp_path: Path, init: Init, run_here: RunHere
) -> None:
    folder = tmp_path / "Böse_Blätter_2"
    for number in range(120):
        name = ("2024-01-01", "2024-02-01", "grün & blau")[number % 3]
        (folder / name).mkdir(parents=True, exist_ok=True)
        picture(number, 20, 20, "RGB").save(folder / name / f"{number}.png")

    said = init(f"file://{folder}")

    assert said[0].startswith("data/sources/bose_blatter_2: 120 rows, read as image_folder: 120 train")
    recipe = config(root, "bose_blatter_2")
    assert recipe["data"]["address"] == f"file://{folder}"
    assert recipe["data"]["classes"] == ["2024-01-01", "2024-02-01", "grün & blau"]
    assert recipe["ingest"] == {"as_of": None, "snapshots": False}
    assert "expectations hold" in "\n".join(run(root, run_here, "bose_blatter_2"))


def test_classes_of_two_pictures_are_too_few_to_divide_and_that_is_said(
    root: Path, monkeypatch: pytest.MonkeyPatch, spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(type(spark), "stop", lambda session: None)
    for number in range(4):
        (root / "pairs" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        picture(number, 20, 20, "L").save(root / "pairs" / "ab"[number % 2] / f"{number}.png")
    monkeypatch.chdir(root)
    assert command_line.main(("init", "pairs")) == 65
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("ratchet: pairs: a classification needs two classes of 4 rows that can be kept")
    assert not (root / CONFIGS / "pairs.yaml").exists()


def test_tiny_classes_and_an_archive_with_much_beside_the_set_become_a_config_that_runs_at_once(
    root: Path, init: Init, run_here: RunHere
) -> None:
    """As in a package of icons: a class of two, one of five with two alike, and more notes than pictures."""
    with zipfile.ZipFile(root / "icons.zip", "w") as archive:
        for number in range(66):
            name = "tiny" if number < 5 else "pair" if number < 7 else ("apps", "places")[number % 2]
            content = io.BytesIO()
            picture(min(number, 65) or 1, 16, 16, "RGB").save(content, "PNG")
            archive.writestr(f"package/icons/{name}/{number}.png", content.getvalue())
        for number in range(200):
            folder = "package/icons/apps" if number % 2 else "package/notes"
            archive.writestr(f"{folder}/{number}.txt", "notes")

    said = init("icons.zip")

    recipe = config(root, "icons")
    assert recipe["data"]["source"] == {"name": "archive", "settings": {"below": "package/icons"}}
    assert recipe["data"]["classes"] == ["apps", "places", "tiny"]
    assert recipe["split"]["frozen"] == "icons"
    assert any("left out, as fewer than 4 rows can be kept: pair (2)" in line for line in said)
    assert "splits/icons.yaml" in said[-2]
    _, _, raw, clean, *_ = run(root, run_here, "icons")
    assert "expectations hold for 266 rows" in raw
    assert clean == "63 of 266 rows kept, 203 rejected"


def test_a_folder_full_of_odd_files_becomes_a_config_that_runs_at_once_and_accounts_for_each_of_them(
    root: Path, init: Init, run_here: RunHere, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = write_hostile_tree(root / "odd", good=40, only_files=True)

    said = init("odd/pictures", "--name", "odd")

    assert any("left out, as fewer than 4 rows can be kept: Cats (1)" in line for line in said)
    assert any("rows equal one of another class, and none of them is kept" in line for line in said)
    assert config(root, "odd")["data"]["classes"] == ["cats", "dogs"]
    large = "cats/large.png"  # not too large for the largest that is read by default
    kept = {*tree.of("kept"), large}
    assert run(root, run_here, "odd")[3].startswith(f"{len(kept)} of ")
    capsys.readouterr()
    assert command_line.main(("quarantine", "list", "--json")) == 0
    listed = json.loads(capsys.readouterr().out)
    files = {path: {file["source"] for each in found for file in each["files"]} for path, found in listed.items()}
    assert files["data/quarantine"] == {*tree.of("problem"), *tree.of("rejected")} - {large}
    assert files["data/unlabelled"] == set(tree.of("held back"))


@pytest.mark.parametrize(("sent", "name"), [(signal.SIGKILL, "killed"), (signal.SIGINT, "interrupted")])
def test_one_that_is_ended_leaves_no_draft_and_the_next_one_begins_anew(
    root: Path, init: Init, sent: signal.Signals, name: str
) -> None:
    write_digits(root / name)
    with Project(root).start("ratchet", "init", name) as process:
        written = root / ".ratchet" / "init" / "raw" / "manifest.json"
        wait_for(lambda: written.exists() or process.poll() is not None, "raw rows")
        assert process.poll() is None
        process.send_signal(sent)
        process.wait()
    assert process.returncode == {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130}[sent]
    assert not (root / CONFIGS / f"{name}.yaml").exists()
    assert not (root / "data_contracts" / name).exists()
    init(name)
    assert (root / CONFIGS / f"{name}.yaml").exists()
    assert not (root / ".ratchet" / "init").exists()


def test_a_folder_with_one_class_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "oaks" / "oak").mkdir(parents=True)
    picture(1, 20, 20, "L").save(root / "oaks" / "oak" / "1.png")
    monkeypatch.chdir(root)
    assert command_line.main(("init", "oaks")) == 65
    assert "oaks: holds one class, 'oak'; a classification needs two" in capsys.readouterr().err


def test_the_settings_with_which_nothing_is_found_are_told(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(root / "oaks.zip", "w") as archive:
        archive.writestr("oak/1.png", b"")
    monkeypatch.chdir(root)
    assert command_line.main(("init", "oaks.zip", "--setting", "below=ashes")) == 65
    assert "oaks.zip: holds no row with a label, read as archive with below=ashes;" in capsys.readouterr().err


def test_a_table_with_missing_and_bad_values_becomes_a_config_that_runs_at_once_and_the_same_each_time(
    root: Path, init: Init, run_here: RunHere
) -> None:
    generator = np.random.default_rng(1)
    lines = ["Nr;Größe;Farbe;Stufe;Preis"]
    for row in range(300):
        size = "" if row % 9 == 0 else f"{generator.normal(20, 5):.2f}".replace(".", ",")
        colour = ("rot", "grün", "NA", "")[row % 4]
        price = "" if row % 50 == 49 else f"{generator.normal(100, 20):.2f}".replace(".", ",")
        lines.append(f"{row};{size};{colour};{row % 5};{price}")
    lines.insert(200, '7;"1,5;rot;2;3')
    (root / "häuser.csv").write_bytes("\r\n".join(lines).encode("cp1252"))
    said = init("häuser.csv", "--target", "Preis")
    assert len(said) <= 15
    assert said[0] == "häuser.csv: 301 rows, read as csv, 6 without a target"
    assert said[1] == "the target is a number: Preis"
    assert said[2] == "features: 1 number, 2 category: gro_e, farbe, stufe"
    assert any("a comma is taken to stand before a fraction" in line for line in said)
    assert any(line.startswith("unsure: 1 of 301 rows cannot be read:") for line in said)
    recipe = config(root, "hauser")
    assert recipe["task"] == "regression"
    assert recipe["data"]["roles"] == {"id": "Nr"}
    assert recipe["data"]["source"]["settings"]["target"] == {"column": "Preis", "decimal": ","}
    assert recipe["data"]["features"]["gro_e"]["settings"]["missing"] == "median"

    stages = run(root, run_here, "hauser")
    assert "expectations hold for 301 rows" in stages[2]
    assert "expectations hold for 294 rows" in stages[-1]

    init("häuser.csv", "--target", "Preis", "--name", "hausen")
    for file in (f"{CONFIGS}/NAME.yaml", "data_contracts/NAME/raw.yaml", "data_contracts/NAME/prepared.yaml"):
        again, first = ((root / file.replace("NAME", name)).read_text() for name in ("hausen", "hauser"))
        assert again.replace("hausen", "hauser") == first


def test_a_folder_of_documents_becomes_a_config_that_runs_at_once(root: Path, init: Init, run_here: RunHere) -> None:
    for name, words in (("jokes", "what did one say to another"), ("laws", "whoever does so shall be liable")):
        (root / "cookies" / name).mkdir(parents=True)
        for number in range(40):
            text = f"{words}, number {number}\n" * (1 + number % 3)
            (root / "cookies" / name / f"{number}.txt").write_text(text)
    (root / "cookies" / "jokes" / "empty.txt").write_text("")
    (root / "cookies" / "rare").mkdir()
    (root / "cookies" / "rare" / "1.txt").write_text("one alone")
    said = init("cookies")
    assert said[0] == "cookies: 82 rows, read as text_folder"
    assert said[1] == "2 classes (rows): jokes (40), laws (40)"
    assert any("too few rows to be classes, whose rows are rejected: rare (1)" in line for line in said)
    assert config(root, "cookies")["data"]["features"]["text"]["kind"] == "text"

    stages = run(root, run_here, "cookies")
    assert "expectations hold for 82 rows" in stages[2]
    assert "expectations hold for 80 rows" in stages[-1]


@pytest.mark.parametrize(
    ("table", "arguments", "code", "said"),
    [
        ("size,kind\n" + "1,a\n2,b\n" * 9, ("--target", "knd"), 2, "--target: there is no column 'knd' (did you mean"),
        ("size,kind\n" + "1,a\n2,a\n" * 9, (), 65, "column 'kind': a classification needs two values of 4 rows"),
        ("size,kind\n" + "1,7.5\n2,7.5\n" * 9, (), 65, "column 'kind': is 7.5 in every row"),
        ("kind\n" + "a\nb\n" * 9, ("--source", "csv"), 65, "no column beside the target 'kind' can be a feature"),
        ("size,kind\n", (), 65, "has a header and no rows"),
        ("size,kind\n1.5,a\n", (), 65, "a classification needs two values of 4 rows or more, and of 1 none has so"),
        ("size,size,kind\n" + "1,2,a\n" * 9, (), 65, "two columns are called 'size'"),
    ],
)  # fmt: skip
def test_a_table_that_nothing_can_be_learned_of_is_told_in_one_line_and_nothing_is_written(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    table: str,
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    (root / "poor").mkdir(exist_ok=True)
    (root / "poor" / "table.csv").write_text(table)
    monkeypatch.chdir(root)
    assert command_line.main(("init", "poor", *arguments)) == code
    error = capsys.readouterr().err
    assert said in error.splitlines()[-1]
    assert not (root / CONFIGS / "poor.yaml").exists()
    assert not (root / "data_contracts" / "poor").exists()
