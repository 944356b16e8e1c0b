"""Texts, as ids and as TF-IDF, and a picture on real Horovod ranks: two give the bytes of one, changed copies too."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.data.features import text as kind
from tests.models.made import image, text, text_rows
from tests.system.training_files import copy_code
from tests.system.training_project import CLASSES, ROWS, history_of, make_root, run_stages, tree
from tests.training.made import write_rows

WORDS = (["cheap", "pills", "buy"], ["noon", "lunch", "see"], ["ball", "goal", "kick"])
FILLING = ["the", "a", "you", "now", "of", "und", "é"]
LEARNED = [" ".join([*FILLING, *words]) for words in WORDS]
SETTINGS: dict[str, dict[str, Any]] = {
    "image": {"channels": 1, "height": 8, "width": 8},
    "body": {"length": 12, "ngrams": [1, 2]},
    "bag": {"form": "tfidf", "most": 30},
}
CHANGED = {
    "when": "during",
    "copies": 1,
    "steps": [
        {"name": "word_dropout", "settings": {"probability": 0.1}},
        {"name": "word_swap", "settings": {"probability": 0.1}},
    ],
}
CONTRACT = """
name: texts
expectations:
  - type: expect_table_row_count_to_be_between
    kwargs: {min_value: 1, max_value: 100000}
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package whose source delivers a picture and texts."""
    folder = copy_code(tmp_path_factory.mktemp("code"))
    source = folder / "pipeline/data/sources/idx.py"
    pictures = 'FEATURES = {"image": "image"}'
    assert pictures in source.read_text()
    both = 'FEATURES = {"image": "image", "body": "text", "bag": "text"}'
    source.write_text(source.read_text().replace(pictures, both))
    return folder


def trained(root: Path, code: Path, workers: int, model: dict[str, Any], names: tuple[str, ...]) -> Path:
    """Train a model of some of the features on so many ranks."""
    augment = {"copies": 0, "steps": []} if "bag" in names else CHANGED  # what has no order cannot be changed so
    make_root(root, code=code, model=model, train={"epochs": 2, "batch_size": 32}, augment=augment)
    recipe = yaml.safe_load((root / "params.yaml").read_text())
    kinds = {name: {"kind": "image" if name == "image" else "text", "settings": SETTINGS[name]} for name in names}
    recipe["data"] |= {"contracts": "own", "features": kinds}
    (root / "params.yaml").write_text(yaml.safe_dump(recipe))
    (root / "own").mkdir()
    for contract in ("raw", "prepared"):
        (root / "own" / f"{contract}.yaml").write_text(CONTRACT)
    made = {"image": image((8, 8, 1)), **{name: text(name, LEARNED, **SETTINGS[name]) for name in ("body", "bag")}}
    for seed, (part, rows) in enumerate(ROWS.items(), 1):
        numbers = np.random.default_rng(seed)
        labels = numbers.integers(0, len(CLASSES), rows).astype(np.int32)
        told = [[*numbers.choice(WORDS[label], 2), *numbers.choice(FILLING, 5)] for label in labels]
        texts = [" ".join(numbers.permutation(words)) for words in told]
        columns = {"image": numbers.integers(0, 256, (rows, 8, 8, 1)).astype(np.uint8)}
        columns |= {name: kind.prepare(made[name], text_rows(name, texts)) for name in ("body", "bag")}
        shutil.rmtree(root / part)
        write_rows(root / part, [made[name] for name in names], columns, labels)
    done = run_stages(root, "resolve", "train", workers=workers, code=code)
    assert done.returncode == 0, done.stderr
    return root


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ({"name": "gru", "settings": {"units": 8, "embedding": 8}}, ("body",)),
        ({"name": "joined", "settings": {"filters": [4], "phrases": 8, "widths": [1, 2]}}, ("image", "body", "bag")),
    ],
    ids=["gru", "joined"],
)
def test_two_ranks_give_the_bytes_of_one(
    model: dict[str, Any], names: tuple[str, ...], tmp_path: Path, code: Path
) -> None:
    one, two = (trained(tmp_path / str(workers), code, workers, model, names) for workers in (1, 2))
    assert tree(two / "models/candidate") == tree(one / "models/candidate")
    assert history_of(one) == history_of(two)
    assert history_of(one)[-1].validation["accuracy"] > 0.9
