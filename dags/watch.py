"""Watches the sources: `watch_<config>` updates the asset of a source that has really changed.

A look costs a listing of the source's files (name, size, time). Only if that differs from the last event are the bytes
read, so that a file that was merely touched starts nothing. What was seen last is stored in the asset's last event.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from airflow.sdk import DAG, BaseOperator  # noqa: E402
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException  # noqa: E402

from dags import assets  # noqa: E402
from dags.schedules import cron  # noqa: E402
from pipeline.errors import RatchetError  # noqa: E402
from pipeline.recipe.configs import Config, config_files, load_config  # noqa: E402
from pipeline.recipe.layers import Layers  # noqa: E402
from pipeline.recipe.recipe import PARAMS_FILE  # noqa: E402
from pipeline.recipe.strict_yaml import parse_yaml  # noqa: E402
from pipeline.records.digests import digest_json  # noqa: E402
from pipeline.storage.artifacts import digest_file  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context


class Look(BaseOperator):
    """Looks at a source; succeeds, and so updates its asset, only if the content has changed since the last look."""

    def __init__(self, *, config: str, path: str, **arguments: Any) -> None:
        self.asset = assets.source(config)
        super().__init__(inlets=[self.asset], outlets=[self.asset], **arguments)
        self.path = path

    def execute(self, context: Context) -> None:
        """Look once."""
        last: Mapping[str, Any] = {}
        for event in context["inlet_events"][self.asset].ascending(False).limit(1):
            last = event.extra or {}
        seen = look(ROOT / self.path, last)
        if seen is None:
            raise AirflowSkipException(f"{self.path} has not changed")
        self.log.info("%s has changed: %d files, %d bytes", self.path, seen["files"], seen["bytes"])
        context["outlet_events"][self.asset].extra = seen


def look(folder: Path, last: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a source's folder, or archive, holds now, by listing and by content; None if it has not changed."""
    if not folder.exists():
        raise AirflowFailException(f"{folder} does not exist; name the folder that holds the source in data.path")
    try:
        listing = sorted(_entries(folder, folder))
        by_listing = digest_json(listing)
        if by_listing == last.get("listing"):
            return None
        by_content = digest_json([[name, digest_file(folder / name)] for name, *_ in listing])
    except OSError as error:  # a dangling link; a file that vanished meanwhile
        raise AirflowFailException(f"{error.filename}: {error.strerror}; {folder} cannot be read completely") from error
    if by_content == last.get("content"):
        return None
    return {
        "listing": by_listing,
        "content": by_content,
        "version": by_content,
        "files": len(listing),
        "bytes": sum(size for _, size, _ in listing),
    }


def _entries(top: Path, folder: Path) -> list[tuple[str, int, int]]:
    if folder.is_file():
        status = folder.stat()
        return [("", status.st_size, status.st_mtime_ns)]
    found: list[tuple[str, int, int]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                found += _entries(top, Path(entry.path))
            else:
                status = entry.stat()
                found.append((str(Path(entry.path).relative_to(top)), status.st_size, status.st_mtime_ns))
    return found


def _build_all() -> tuple[list[DAG], list[str]]:
    """Return the DAGs, and each `watch` that is no cron expression; retrain.py reports all else wrong with a config."""
    built: list[DAG] = []
    wrong: list[str] = []
    try:
        below = Layers.of(parse_yaml(ROOT / PARAMS_FILE), PARAMS_FILE)
    except RatchetError:
        return built, wrong
    for path in config_files(ROOT):
        try:
            config = load_config(path)
            if config.watch is None or not path.stem.isidentifier():
                continue
            source = str(below.overlaid(config.recipe, path.name).values["data"]["path"])
        except (RatchetError, KeyError, TypeError):
            continue
        try:
            built.append(_dag(path.stem, source, config, config.watch))
        except RatchetError as error:
            wrong.append(str(error))
        except ValueError:
            continue
    return built, wrong


def _dag(name: str, source: str, config: Config, watch: str) -> DAG:
    dag = DAG(
        f"watch_{name}",
        schedule=cron(watch, f"configs/{name}.yaml: watch"),
        catchup=False,
        max_active_runs=1,
        description=f"updates the asset {name}_source when {source} has changed",
        tags=[*config.tags, "ratchet"],
        default_args={"owner": config.owner},
    )
    Look(task_id="look", config=name, path=source, dag=dag)
    return dag


_built, problems = _build_all()
globals().update({f"dag_{index}": dag for index, dag in enumerate(_built)})
