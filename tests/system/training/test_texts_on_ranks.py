"""Texts, as ids and as TF-IDF, and a picture on real Horovod ranks: two give the bytes of one, changed copies too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data.features import text as kind
from tests.models.made import image, text, text_rows
from tests.system.training_files import copy_code
from tests.system.training_project import CLASSES, ROWS, history_of, make_root, run_stages, tree
from tests.training.made import write_rows

WORDS = {0: ["cheap", "pills", "buy"], 1: ["noon", "lunch", "see"], 2: ["ball", "goal", "kick"]}
FILLING = ["the", "a", "you", "now", "of", "und", "é"]
LEARNED = [" ".join([*FILLING, *words]) for words in WORDS.values()]
FEATURES = {
    "photo": {"kind": "image", "settings": {"channels": 1, "height": 8, "width": 8}},
    "body": {"kind": "text", "settings": {"length": 12, "ngrams": [1, 2]}},
    "bag": {"kind": "text", "settings": {"form": "tfidf", "most": 30}},
}


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package whose source delivers pictures and texts."""
    folder = copy_code(tmp_path_factory.mktemp("code"))
    source = folder / "pipeline/data/sources/idx.py"
    delivers = 'FEATURES = {"image": "image"}'
    assert delivers in source.read_text()
    source.write_text(source.read_text().replace(delivers, 'FEATURES = {"photo": "image", "body": "text", "bag": "text"}'))
    return folder


def trained(root: Path, code: Path, workers: int, names: list[str], **recipe: Any) -> None:
    make_root(root, code=code, **recipe)
    for name in ("params.yaml",):
        content = (root / name).read_text()
        assert "features:" in content
    made = {"photo": image((8, 8, 1), name="photo")}
    made |= {
        name: text(name, LEARNED, **{**FEATURES[name]["settings"], "missing": "reject"}) for name in ("body", "bag")
    }
    for seed, (part, rows) in enumerate(ROWS.items(), 1):
        numbers = np.random.default_rng(seed)
        labels = numbers.integers(0, len(CLASSES), rows).astype(np.int32)
        texts = [" ".join(numbers.permutation([*numbers.choice(WORDS[label], 2), *numbers.choice(FILLING, 5)])) for label in labels]
        columns = {
            "photo": numbers.integers(0, 256, (rows, 8, 8, 1)).astype(np.uint8),
            **{name: kind.prepare(made[name], text_rows(name, texts)) for name in ("body", "bag")},
        }
        write_rows(root / part, [made[name] for name in names], columns, labels)
    done = run_stages(root, "resolve", "train", workers=workers, code=code)
    assert done.returncode == 0, done.stderr
