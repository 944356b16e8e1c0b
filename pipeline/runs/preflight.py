"""What is checked before a run begins: what can be refused early."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import StorageError, UsageError

if TYPE_CHECKING:
    from pipeline.graph import Graph
    from pipeline.recipe.recipe import Recipe


def check_before(root: Path, graph: Graph, recipe: Recipe, environment: Mapping[str, str]) -> None:
    """Refuse a run with a checked recipe before anything is written.

    For its execution, source, contracts or set-up, or because its registry cannot be asked.
    """
    from pipeline.contracts.suites import read_suite
    from pipeline.doctor.examine import require_horovod, require_java
    from pipeline.recipe.execution import load_execution
    from pipeline.recipe.fitting import columns_of
    from pipeline.recipe.workers import require_equal_shares
    from pipeline.registry.reader import champion_of, open_reader
    from pipeline.registry.store import resolve_store

    execution = load_execution(root, environment)
    require_equal_shares(recipe.train.batch_size, execution.horovod.workers)
    source = root / recipe.data.path
    if not os.path.isdir(source):  # noqa: PTH112 - a path that is too long is no folder
        what = "is not a folder" if os.path.exists(source) else "does not exist"  # noqa: PTH110
        raise StorageError(f"data.path: {recipe.data.path} {what}; name the folder that holds the source")
    if root.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"data.path: {recipe.data.path} holds this project itself; give the source its own folder")
    for contract in graph.contracts:
        if not os.path.isfile(root / contract.path):  # noqa: PTH113
            raise UsageError(f"{contract.path} does not exist; the {contract.of} data need a contract (data.contracts)")
        try:
            read_suite(root / contract.path, columns_of(recipe, contract.of))
        except UsageError as error:
            raise UsageError(str(error).replace(f"{root}/", "")) from error
    if not os.access(root, os.W_OK):
        raise StorageError(f"{root}: not writable; run in a folder of your own")
    if graph.maker("champion") or graph.maker("registration"):
        champion_of(open_reader(resolve_store(root, execution.mlflow)), recipe.name)  # can it be asked at all?
    require_java()
    if execution.horovod.workers > 1:
        require_horovod()
