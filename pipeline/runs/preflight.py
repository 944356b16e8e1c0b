"""What is checked before a run begins: what can be refused early."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import DataError, RatchetError, StorageError, UsageError, nearest
from pipeline.graph import GRAPH_FILE, LOCK_FILE, covers
from pipeline.runs.photograph import walk

if TYPE_CHECKING:
    from pipeline.data.source_rows import Source
    from pipeline.graph import Graph
    from pipeline.recipe.recipe import Recipe
    from pipeline.recipe.slots import Choice


_READ_BY_DVC = (LOCK_FILE, ".dvc/config", ".dvc/config.local", ".dvcignore", ".gitignore")
_LARGEST_BYTES = 64 * 2**20  # of a file that DVC reads whole
_DEVIATIONS = 4  # of the number of rows that a hash puts into a part: more come once in 30 000 splits
_LONGEST_PATH, _LONGEST_NAME = 4095, 255  # bytes, on Linux
_OURS = ("pipeline", "dags", "tests", "runs", "registry", ".dvc", ".git", ".ratchet", ".airflow", ".venv")


def _check_files(root: Path) -> None:
    """Refuse what DVC would read and never come to an end with."""
    for name in _READ_BY_DVC:
        try:
            status = (root / name).stat()
            kind = status.st_mode
        except FileNotFoundError as error:
            if os.path.lexists(root / name):
                raise StorageError(f"{name}: a link that leads nowhere; remove it") from error
            continue
        except OSError as error:
            raise StorageError(f"{name}: cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(kind):
            raise DataError(f"{name}: no regular file; remove it")
        if status.st_size > _LARGEST_BYTES:
            raise DataError(f"{name}: larger than {_LARGEST_BYTES // 2**20} MiB; this is no file of DVC's")
        if not os.access(root / name, os.R_OK):
            raise StorageError(f"{name}: cannot be read: permission denied; make it readable")


def _check_places(root: Path, graph: Graph) -> None:
    """Refuse what stands where stages, DVC or we write and is neither a file nor a folder, or leads nowhere."""
    outs = {out for stage in graph.stages for out in (*stage.outs, *stage.volatile)}
    folders = {".dvc", ".dvc/tmp", ".ratchet", "runs", *(path.split("/")[0] for path in outs if "/" in path)}
    for name in sorted(outs | folders):
        path = root / name
        if not os.path.lexists(path):
            continue
        try:
            kind = path.stat().st_mode
        except OSError as error:
            raise StorageError(f"{name}: cannot be read: {error.strerror}; remove it") from error
        if not stat.S_ISDIR(kind) and (name in folders or not stat.S_ISREG(kind)):
            what = "no folder" if name in folders else "neither a file nor a folder"
            raise DataError(f"{name}: {what}, and stages write there; remove it")


def _check_formats(formats: Sequence[str]) -> None:
    from pipeline.export.forms import FORMAT
    from pipeline.recipe.execution import EXECUTION_FILE

    for name in formats:
        try:
            FORMAT.member(name)
        except UsageError as error:
            raise UsageError(f"{EXECUTION_FILE}: export.formats: {error}") from error


def check_source(root: Path, graph: Graph, named: str, choice: Choice | None) -> None:
    """Refuse a source, `data.path`, that is not there, or whose place is something else's.

    `choice` is the source that reads it; None if that is not known yet.
    """
    from pipeline.data.opening import instead, reads_a_file

    parts = os.fsencode(named).split(b"/")
    if "\0" in named or len(os.fsencode(named)) > _LONGEST_PATH or max(map(len, parts)) > _LONGEST_NAME:
        raise UsageError(f"data.path: {named}: no path, or longer than one can be; name the source's folder")
    source = root / named
    inside = os.path.normpath(os.path.relpath(os.path.realpath(source), os.path.realpath(root)))
    for stage in graph.stages:
        for out in stage.outs:
            if covers(out, inside) or covers(inside, out):
                raise UsageError(f"data.path: {named}: stage {stage.name} makes {out}; give the source its own folder")
    if inside.split("/")[0] in _OURS:
        raise UsageError(f"data.path: {named} is the project's own; give the source a folder of its own")
    try:
        if not source.exists():
            raise StorageError(f"data.path: {named} does not exist{_beside(source)}; name what holds the source")
        if choice and not source.is_dir() and not (reads_a_file(choice) and source.is_file()):
            advice = instead(source, choice.name)
            raise StorageError(f"data.path: {named} is not a folder; name the folder that holds the source{advice}")
    except OSError as error:
        raise StorageError(f"data.path: {named}: cannot be read: {error.strerror}") from error
    if root.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"data.path: {named} holds this project itself; give the source its own folder")
    for _ in walk(root, named):  # whatever has no end is found before anything reads it
        pass


def _beside(source: Path) -> str:
    """Return the nearest name beside a source that does not exist."""
    folder = source.parent
    names = [each.name for each in folder.iterdir()] if folder.is_dir() and os.access(folder, os.R_OK) else []
    found = nearest(source.name, names)
    return found if "did you mean" in found else ""


def _open_source(root: Path, recipe: Recipe) -> Source:
    """Refuse a source that cannot be read in the format that is named: its headers are read, no rows."""
    from pipeline.data.opening import open_source
    from pipeline.data.wanted import wanted

    data, ingest = recipe.data, recipe.ingest
    try:
        asked = wanted(data.classes, data.features, data.roles, ingest)
        return open_source(data.source, root / data.path, asked, ingest)
    except RatchetError as error:
        raise type(error)(str(error).replace(f"{root}/", "")) from error


def _check_test_rows(source: Source, recipe: Recipe) -> None:
    """Refuse a source with so few test rows that nothing could ever pass the gate's rule."""
    from pipeline.recipe.recipe import RULE
    from pipeline.recipe.task import task_of

    is_share = task_of(recipe.task, recipe.data.classes).scored_by.is_share  # of losses, rows alone decide nothing
    fewest = getattr(RULE.settings(recipe.gate.rule, "gate.rule"), "fewest_rows", 0) if is_share else 0
    if recipe.split.method == "source":
        most, of_source = source.test_rows, "the source has"
        if most == 0:
            raise UsageError(
                f"split.method: source, but {recipe.data.path} has no test rows of its own; set it to stratified, and "
                "give split.test a share"
            )
    elif source.rows is None:
        return
    else:  # by chance a few more than their share
        share = source.rows * recipe.split.test
        most, of_source = math.ceil(share + _DEVIATIONS * math.sqrt(share)), "the split gives at most about"
    if most is not None and most < fewest:
        raise UsageError(
            f"gate.rule: {recipe.gate.rule.name} lets nothing through on fewer than {fewest} test rows, and "
            f"{of_source} {most}; take more test rows, or a wider gate.rule.settings.total_margin, or another rule"
        )


def check_before(root: Path, graph: Graph, recipe: Recipe, environment: Mapping[str, str]) -> str:
    """Refuse a run with a checked recipe before anything is written; return what is to be noticed, or "".

    For its execution, source, contracts, frozen split or set-up, or because its registry cannot be asked.
    """
    from pipeline.contracts.suites import read_suite
    from pipeline.data.frozen_split import FOLDER, read_frozen
    from pipeline.doctor.examine import require_horovod, require_java
    from pipeline.launching.devices import device_variables, slots_of
    from pipeline.recipe.execution import load_execution
    from pipeline.recipe.fitting import columns_of, mixed_columns
    from pipeline.recipe.workers import require_equal_blocks
    from pipeline.registry.reader import champion_of, open_reader
    from pipeline.registry.store import resolve_store

    execution = load_execution(root, environment)
    require_equal_blocks(recipe.train.virtual_workers, execution.horovod.workers)
    device_variables(recipe.train.device, slots_of(execution.horovod), environment)
    _check_formats(execution.export.formats)
    _check_files(root)
    _check_places(root, graph)
    check_source(root, graph, recipe.data.path, recipe.data.source)
    for contract in graph.contracts:
        for _ in walk(root, contract.path):  # one that nobody may read is not one that is missing
            pass
        if not os.path.lexists(root / contract.path):
            raise UsageError(f"{contract.path} does not exist; the {contract.of} data need a contract (data.contracts)")
        try:
            read_suite(root / contract.path, columns_of(recipe, contract.of), mixed_columns(recipe, contract.of))
        except UsageError as error:
            raise UsageError(str(error).replace(f"{root}/", "")) from error
    if any(FOLDER in stage.deps for stage in graph.stages) and not (root / FOLDER).is_dir():
        raise StorageError(f"{FOLDER} is no folder, and {GRAPH_FILE} names it; make it, empty or with frozen splits")
    noticed = ""
    if frozen := read_frozen(root / FOLDER, recipe.split, recipe.data.classes):
        frozen.of_classes(recipe.data.classes, str(recipe.split.frozen))
        noticed = frozen.seed_in_force(recipe.seed, str(recipe.split.frozen))
    if not os.access(root, os.W_OK):
        raise StorageError(f"{root}: not writable; run in a folder of your own")
    if graph.maker("champion") or graph.maker("registration"):
        champion_of(open_reader(resolve_store(root, execution.mlflow)), recipe.name)  # can it be asked at all?
    source = _open_source(root, recipe)
    if graph.maker("verdict"):
        _check_test_rows(source, recipe)
    require_java()
    if execution.horovod.workers > 1:
        require_horovod()
    return noticed
