"""Looks for rows that look nearly the same in two parts."""

from __future__ import annotations

from functools import partial

from pipeline.data.feature_kinds import picture_of
from pipeline.data.near_duplicates import find_near_duplicates
from pipeline.recipe.recipe import NearDuplicateParams
from pipeline.runtime.progress import count
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import read_rows

_PARTS = ("train", "validation", "test")


def run(stage: StageContext) -> str:
    """Publish `data/near_duplicates`: rows that have a near-duplicate in an earlier part, each with its nearest one."""
    folders = {part: stage.dep(f"data/prepared/{part}") for part in _PARTS}
    scratch = stage.volatile(".ratchet/check_apart")
    scratch.mkdir(parents=True, exist_ok=True)
    with published_folder(stage.out("data/near_duplicates")) as folder:
        between = find_near_duplicates(
            {part: read_rows(path) for part, path in folders.items()},
            picture_of(read_manifest(folders["train"], verify=False).features),
            stage.param("near_duplicates", NearDuplicateParams),
            folder,
            scratch,
            on_progress=partial(stage.progress.advance, unit="rows"),
        )
    said = (f"{count(each.rows)} of {count(each.of)} {each.part} rows in {each.earlier}" for each in between)
    return f"near-duplicates: {', '.join(said) or 'not looked for'}"
