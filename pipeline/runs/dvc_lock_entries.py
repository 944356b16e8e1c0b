"""Writes one stage's entry into `dvc.lock` as DVC does, byte for byte, without parsing and writing all the others.

After every stage, DVC parses the whole file so that comments survive, and writes the whole of it, in pure Python: a
second in a run of the shipped graph. Here the text of the other entries stays as it is, if it is what DVC itself would
write again. That is found out once for a file, and once for each new entry. In any other case DVC does it all.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.runs.dvc_lock import entries_of
from pipeline.storage.artifacts import write_file

_HEAD = "schema: '2.0'\nstages:\n"
# A comment, which DVC moves or drops with an entry; a name for a value, which counts across entries; an end of entries.
_NOT_PLAIN = re.compile(r"#|[&*]id\d|^\S", re.MULTILINE)


def apply() -> None:
    """Make DVC write so in this process."""
    from dvc.dvcfile import Lockfile
    from dvc.stage.serialize import to_lockfile

    dump_stages = Lockfile.dump_stages
    known: dict[str, str] = {}  # what DVC would write of a file, which is what stands in it

    def dump(lockfile: Any, stages: Sequence[Any], **arguments: Any) -> None:
        path = str(lockfile.path)
        text = _text(path)
        if text is None or len(stages) != 1 or not (known.get(path) == text or _is_as_written(text)):
            dump_stages(lockfile, stages, **arguments)
            return
        entry = _entry(to_lockfile(stages[0], **arguments))
        if entry is None:
            dump_stages(lockfile, stages, **arguments)
            return
        known[path] = with_entry(text, entry)
        if known[path] != text:
            logging.getLogger("dvc.dvcfile").info("Updating lock file '%s'", lockfile.relpath)
            lockfile.repo.scm_context.track_file(lockfile.relpath)
            write_file(Path(path), known[path].encode())

    Lockfile.dump_stages = dump


def with_entry(text: str, entry: str) -> str:
    """Return a lock with an entry in the place of the one of the same name, or after the last."""
    head, entries = entries_of(text)
    named = entry[: entry.index("\n") + 1]
    bodies = [body for _, body in entries]
    places = [place for place, body in enumerate(bodies) if body.startswith(named)]
    place = places[0] if places else len(bodies)
    return head + "".join([*bodies[:place], entry, *bodies[place + 1 :]])


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", newline="") as stream:  # noqa: PTH123 - no line's end is read as another
            return stream.read()
    except (OSError, UnicodeDecodeError):
        return None


def _is_as_written(text: str) -> bool:
    """Say whether the text is the one that DVC would write of what stands in it, and its entries stand alone."""
    return text.startswith(_HEAD) and not _NOT_PLAIN.search(text, len(_HEAD)) and _again(text) == text


def _entry(data: dict[str, Any]) -> str | None:
    """Return the text of an entry; None if it does not stand alone, or DVC would write it otherwise the next time."""
    from dvc.utils.serialize import dumps_yaml

    text = dumps_yaml({"schema": "2.0", "stages": data})
    return text[len(_HEAD) :] if _is_as_written(text) and len(entries_of(text)[1]) == 1 else None


def _again(text: str) -> str | None:
    from dvc.exceptions import DvcException
    from dvc.utils.serialize import dumps_yaml
    from dvc.utils.serialize._yaml import parse_yaml_for_update

    try:
        written: str = dumps_yaml(parse_yaml_for_update(text, os.devnull))
    except DvcException:
        return None
    return written
