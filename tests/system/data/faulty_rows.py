"""Raw rows with every fault there is, and a project folder that holds them."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml
from PIL import Image

from pipeline.data.cleaning import CONFLICT, DUPLICATE, UNKNOWN_LABEL
from pipeline.data.feature_kinds import raw_schema, source_schema, specs
from pipeline.data.picture_reasons import NOT_A_PICTURE, TRUNCATED, WRONG_SIZE
from pipeline.data.source_rows import raw_shards
from pipeline.recipe.slots import Feature
from pipeline.records.contract_result import ContractResult
from pipeline.stages import resolve
from pipeline.stages.context import StageContext
from pipeline.storage import artifacts, shards
from pipeline.storage.record_files import write_record
from tests.system.project import ROOT

CLASSES = ["round", "square", "striped"]

SIDE = 12
SETTINGS = {"raw_height": SIDE, "raw_width": SIDE, "channels": 1, "height": 16, "width": 10}
FEATURES = specs({"image": Feature(kind="image", settings=SETTINGS)})

STAGES = ("clean", "split", "normalize", "augment")

Row = dict[str, Any]
UNLABELLED = 3
LINKED = "a link"


def row(pixels: np.ndarray, label: int | None, part: str = "train", encoding: str = "raw") -> Row:
    payload = pixels.tobytes()
    if encoding != "raw":
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, encoding.upper())
        payload = content.getvalue()
    height, width = pixels.shape
    return {
        "label": label,
        "part": part,
        "source": f"{part}-images",
        "image_height": height,
        "image_width": width,
        "image_channels": 1,
        "image_mode": "L",
        "image_encoding": encoding,
        "image": payload,
    }


def picture(number: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (side, side), np.uint8)


def rows_with_faults() -> tuple[list[Row], Counter[str]]:
    """Return 3 000 good rows, UNLABELLED and faulty ones strewn in, and how many are rejected for each reason."""
    parts = ["test" if n % 7 == 5 else "train" for n in range(3000)]
    good = [row(picture(n), n % 3, part, "png" if n in range(0, 300, 2) else "raw") for n, part in enumerate(parts)]
    good[7] = row(np.full((SIDE, SIDE), 99, np.uint8), 1, "train", "jpeg")
    damaged_png = row(picture(9001), 0, encoding="png")
    damaged_png["image"] = damaged_png["image"][:-30]
    damaged_jpeg = row(picture(9002), 0, encoding="jpeg")
    damaged_jpeg["image"] = b"\xff\xd8" + damaged_jpeg["image"][300:]
    faults: list[tuple[str, Row]] = [
        (TRUNCATED, damaged_png),
        (NOT_A_PICTURE, damaged_jpeg),
        (TRUNCATED, {**row(picture(9003), 0), "image": b"short"}),
        (NOT_A_PICTURE, {**row(picture(9004), 0), "image_encoding": "webp"}),
        (WRONG_SIZE, row(picture(9005, SIDE + 1), 0)),
        (WRONG_SIZE, row(picture(9006, SIDE - 1), 0, encoding="png")),
        (UNKNOWN_LABEL, row(picture(9007), 3)),
        (UNKNOWN_LABEL, row(picture(9008), -1)),
        (UNKNOWN_LABEL, row(picture(100), 8)),  # it equals a good row, which is none the worse for it
        (DUPLICATE, row(picture(19), 1)),  # of a test row: this one goes
        (DUPLICATE, row(picture(14), 2, encoding="png")),  # of a png
        (DUPLICATE, row(picture(14), 2)),
        (CONFLICT, row(picture(19), 2)),  # with a test row: this one goes
        (CONFLICT, row(picture(9009), 0)),
        (CONFLICT, row(picture(9009), 1)),
        (CONFLICT, row(picture(9010), 0, "test")),
        (CONFLICT, row(picture(9010), 1, "test")),
        (CONFLICT, row(picture(9010), 1)),
        (DUPLICATE, row(picture(200), None)),  # of a row that is kept: it must not come back under another name
        (DUPLICATE, row(picture(9011), None, "test")),  # of one that is held back, by the name of its file
        (CONFLICT, row(picture(9009), None)),
        (LINKED, {**row(picture(9012), None), "image": None, "problem": LINKED, "detail": "to ../elsewhere"}),
    ]
    unlabelled = [row(picture(9011), None, "a"), row(picture(9013), None), row(picture(9014), None, encoding="png")]
    for place, held_back in enumerate(unlabelled):
        good.insert(900 * place + 40, held_back)
    rows = list(good)
    for place, (_, fault) in enumerate(faults):
        rows.insert(130 * place + 50, fault)
    return rows, Counter(reason for reason, _ in faults)


def make_root(folder: Path, rows: list[Row], shard_rows: int, **recipe: Any) -> Path:
    """Make a project folder whose `data/raw` holds the rows in shards of a size."""
    for name in ("dvc.yaml", "execution.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(ROOT / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "data_contracts", folder / "data_contracts")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"] |= {"classes": CLASSES, "features": {"image": {"kind": "image", "settings": SETTINGS}}}
    overlay = {"name": "overlay", "settings": {"mixup": 0.3, "cutmix": 0.3}}
    params["augment"] |= {"copies": 2, "steps": [*params["augment"]["steps"], overlay]}
    prepared = folder / "data_contracts" / "fashion_mnist" / "prepared.yaml"  # lists all columns: these are two more
    prepared.write_text(prepared.read_text().replace("parts_with_row]", "parts_with_row, other_label, share]"))
    for key, value in recipe.items():
        params[key] |= value
    write_recipe(folder, params)
    named = [{**content, "row": number} for number, content in enumerate(rows)]
    source = pa.Table.from_pylist(named, source_schema(FEATURES))
    table = pa.concat_tables(raw_shards([source], FEATURES))
    raw = folder / "data" / "raw"
    raw.mkdir(parents=True)
    pieces = [table.slice(start, shard_rows) for start in range(0, table.num_rows, shard_rows)]
    entries = [shards.write_shard(raw, n, raw_schema(FEATURES), [piece]) for n, piece in enumerate(pieces)]
    shards.finish_dataset(raw, entries, raw_schema(FEATURES))
    write_record(
        folder / "reports/contracts/raw/result.json",
        ContractResult(suite="s", rows=1, outcome="pass", expectations=(), data_digest="sha256:00"),
    )
    return folder


def write_recipe(folder: Path, params: dict[str, Any]) -> None:
    """Write a project's recipe, and the complete one."""
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    resolve.run(StageContext.load(folder, "resolve"))


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): artifacts.digest_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table_of(folder: Path) -> pa.Table:
    return pa.concat_tables(list(shards.iter_tables(folder)))
