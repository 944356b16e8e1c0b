"""Divides the kept rows into training, validation and test parts."""

from __future__ import annotations

from functools import partial

from pipeline.data.frozen_split import FOLDER, read_frozen
from pipeline.data.splitting import Division, split_dataset
from pipeline.recipe.recipe import SplitParams
from pipeline.runtime.progress import count
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder


def run(stage: StageContext) -> str:
    """Publish `data/split`: the part of each row of `data/clean`, shard by shard and row by row, with the proof."""
    params, classes = stage.param("split", SplitParams), stage.param("data.classes", tuple)
    frozen = read_frozen(stage.dep(FOLDER), params, classes)
    seed = stage.param("seed", int)
    division = Division.of(params, seed, classes, frozen)
    with published_folder(stage.out("data/split")) as split:
        by_part = split_dataset(
            stage.dep("data/clean"),
            stage.dep("data/quarantine"),
            split,
            classes=classes,
            params=params,
            division=division,
            on_progress=partial(stage.progress.advance, unit="rows"),
        )
    divided = ", ".join(f"{count(rows)} {part}" for part, rows in by_part.items())
    other = frozen.seed_in_force(seed, str(params.frozen)) if frozen else ""
    return "; ".join(filter(None, (divided, other)))
