"""The order of `dvc.lock`: DVC appends each stage as it ends, so parallel stages would leave the order to chance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import DataError, StorageError
from pipeline.graph import LOCK_FILE, Graph
from pipeline.storage.artifacts import dump_json, read_json, write_file

_KNOWN = Path(".ratchet") / "known_stages.json"  # in a workspace: the stages in the user's own lock, in its order
_STAGES = "stages:\n"
_NAME = re.compile(r"^  (\S.*):$", re.MULTILINE)


def entries_of(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return what comes before a lock's first entry, and each stage's name and entry."""
    head, separator, body = text.partition(_STAGES)
    starts = [*_NAME.finditer(body)]
    if not starts:
        return text, []
    ends = [match.start() for match in starts[1:]] + [len(body)]
    entries = [(match[1], body[match.start() : end]) for match, end in zip(starts, ends, strict=True)]
    if not entries[-1][1].endswith("\n"):
        entries[-1] = (entries[-1][0], entries[-1][1] + "\n")
    return head + separator + body[: starts[0].start()], entries


def stage_names(text: str) -> list[str]:
    """Return the stages of a lock, in its order."""
    return [name for name, _ in entries_of(text)[1]]


def in_order(text: str, known: Sequence[str], order: Sequence[str]) -> str:
    """Return a lock with its stages as one `dvc repro` would have left them.

    Those `known` before the run keep their positions, as DVC rewrites them in place; the others follow in `order`.
    What is not a stage keeps its position.
    """
    head, entries = entries_of(text)
    ranks = {name: rank for rank, name in enumerate(dict.fromkeys([*known, *order]))}
    entries.sort(key=lambda entry: ranks.get(entry[0], len(ranks)))
    return head + "".join(body for _, body in entries)


def known(stages: Sequence[str]) -> dict[str, bytes]:
    """Return the file, by its path in a workspace, that says which stages were in the lock before, in its order."""
    return {str(_KNOWN): dump_json(list(stages))}


def put_in_order(workspace: Path, graph: Graph) -> None:
    """Bring a workspace's lock, if there is one, into the order that one `dvc repro` would have left."""
    path = workspace / LOCK_FILE
    if path.is_file():
        try:
            before = [str(name) for name in read_json(workspace / _KNOWN)]
        except (DataError, StorageError):
            before = []  # none were noted
        write_file(path, in_order(path.read_text(), before, [stage.name for stage in graph.stages]).encode())
