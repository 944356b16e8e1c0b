"""`ratchet quarantine`: the rows that stages have rejected, of the folder's last run or of another."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.command import Command, add_actions, add_json, project_root, say
from pipeline.errors import StorageError, UsageError, printable

if TYPE_CHECKING:
    from pipeline.graph import Rows
    from pipeline.report.quarantine import FoundRow, Reason

_FILES = 5  # of a reason, that a list shows
_ROWS = 6  # of a file
_LONGEST_VALUE = 200  # characters
_LABEL = 16


@dataclass(frozen=True)
class _Folder:
    """Rows that a stage has put aside, and what has become of them: `rejected` or `held back`."""

    path: str
    folder: Path
    fate: str


@dataclass(frozen=True)
class _Quarantine:
    """What one stage has put aside. `rows` are its data sets by their paths from the project on, which `find` finds."""

    stage: str
    rows: Rows
    folders: tuple[_Folder, ...]  # what is rejected is the first
    find: Callable[[str], Path]
    classes: tuple[str, ...]
    source: str

    @property
    def folder(self) -> Path:
        """Where the rejected rows are."""
        return self.folders[0].folder


def _fill(command: argparse.ArgumentParser) -> None:
    actions = add_actions(command)
    listing = actions.add_parser("list", help="how many rows were rejected, by reason and file")
    listing.set_defaults(handler=_list)
    showing = actions.add_parser("show", help="all that is known of one row, and where its bytes are")
    showing.add_argument("row", metavar="ROW", help="its id, the beginning of it, FILE or FILE:ROW, as the list has it")
    showing.set_defaults(handler=_show)
    exporting = actions.add_parser("export", help="write the rows and their payloads to a new folder")
    exporting.add_argument("folder", type=Path, metavar="FOLDER")
    exporting.add_argument("--reason", action="append", default=[], metavar="TEXT", help="rows of this reason; or more")
    exporting.set_defaults(handler=_export)
    for action in (listing, showing, exporting):
        action.add_argument("--run", metavar="ID", help="a run; without it, the data in this folder")
    for action in (listing, showing):
        add_json(action)


def _list(options: argparse.Namespace) -> int:
    from pipeline.report.quarantine import reasons

    with _opened(options.run) as found:
        most = None if options.json else _FILES
        counted = {
            folder.path: (folder.fate, reasons(folder.folder, most)) for each in found for folder in each.folders
        }
        if options.json:
            said = {path: [asdict(each) for each in rows] for path, (_, rows) in counted.items()}
            say(json.dumps(said, indent=2))
            return 0
        for path, (fate, rows) in counted.items():
            say("\n".join(_listed(path, fate, rows)))
    return 0


def _listed(path: str, fate: str, found: Sequence[Reason]) -> Iterator[str]:
    yield f"{path}: {_rows(sum(each.rows for each in found))} {fate}"
    for each in found:
        if each.reason:  # of what is held back there is none
            yield f"{each.rows:8}  {printable(each.reason)}" + (f" (column {each.column})" if each.column else "")
        for file in each.files:
            more = f" and {file.rows - _ROWS} more" if file.rows > _ROWS else ""
            yield f"          {printable(file.source)}: {', '.join(map(str, file.first[:_ROWS]))}{more}"
        if each.file_count > len(each.files):
            rest = each.rows - sum(file.rows for file in each.files)
            files = each.file_count - len(each.files)
            yield f"          and {files} more file{'' if files == 1 else 's'}, with {_rows(rest)}: --json has all"


def _show(options: argparse.Namespace) -> int:
    from pipeline.report.quarantine import equal_rows, find_row

    with _opened(options.run) as found:
        problems = []
        for each, folder in [(one, folder) for one in found for folder in one.folders]:
            try:
                row = find_row(folder.folder, options.row)
            except UsageError as error:
                problems.append(error)
                continue
            row = replace(row, values={"reason": folder.fate, **row.values})
            # What could not be read has the digest of nothing, as all others of its kind.
            digest = None if row.values.get("problem") else row.values.get("content_digest")
            own = row.values.get("id")
            equal = {"rejected": equal_rows(each.folder, digest, own)}
            with suppress(StorageError):  # of an old run, the cache may have the rejected rows alone
                equal = {"kept": equal_rows(each.find(each.rows.kept), digest, own), **equal}
            where = _where(each, folder, row)
            if options.json:
                said = {key: f"{len(v)} bytes" if isinstance(v, bytes) else v for key, v in row.values.items()}
                say(json.dumps({"stage": each.stage, **said, "where": where, "equal": equal}, indent=2))
            else:
                say("\n".join(_shown(each, row, where, equal)))
            return 0
    raise problems[0]


def _where(quarantine: _Quarantine, folder: _Folder, row: FoundRow) -> dict[str, str]:
    """Return where a row's bytes are: in the source, and in the shard of the folder that it was put into."""
    source = str(row.values.get("source"))
    file, _, member = source.partition("!")
    member = f", {member}" if member else ""
    return {
        "source": f"{quarantine.source}/{file}{member}, row {row.values.get('row')}",
        "shard": f"{folder.path}/{row.shard}, row {row.position}",
    }


def _shown(
    quarantine: _Quarantine, row: FoundRow, where: Mapping[str, str], equal: Mapping[str, Sequence[Any]]
) -> Iterator[str]:
    first = ("reason", "column", "detail", "problem", "label", "part", "id", "content_digest")
    values = row.values
    for name in (*(name for name in first if name in values), *(name for name in values if name not in first)):
        if name in ("source", "row"):
            continue
        value = values[name]
        if isinstance(value, bytes):
            yield _line(name, f"{len(value)} bytes, in column {name} of the shard")
        elif name == "label" and isinstance(value, int) and 0 <= value < len(quarantine.classes):
            yield _line(name, f"{value} ({quarantine.classes[value]})")
        else:
            yield _line(name, "–" if value is None else str(value))
    for name, text in where.items():
        yield _line(name, text)
    for what, rows in equal.items():
        for one in rows:
            yield _line(f"equals, {what}", f"{one['source']}:{one['row']}, label {one['label']}, id {one['id']}")


def _line(label: str, text: str) -> str:
    text = printable(text)
    return f"{label:{_LABEL}}  {text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + '…'}"


def _export(options: argparse.Namespace) -> int:
    from pipeline.report.quarantine_export import ROWS_FILE, export

    with _opened(options.run) as found:
        done = export([each.folder for each in found], options.folder, options.reason)
    say(f"{options.folder}: {_rows(done.rows)} in {ROWS_FILE}, {done.payloads} payloads in files of their own")
    return 0


@contextmanager
def _opened(run_id: str | None) -> Iterator[list[_Quarantine]]:
    """Open what the stages of the folder, or of a run, have rejected; raise UsageError or StorageError if none has."""
    from pipeline.graph import load_graph
    from pipeline.recipe.recipe import PARAMS_FILE
    from pipeline.recipe.strict_yaml import parse_yaml

    root = project_root()
    with ExitStack() as opened:
        begun_with, find = _of_run(root, run_id, opened) if run_id else (root, lambda path: root / path)
        graph, data = load_graph(begun_with), parse_yaml(begun_with / PARAMS_FILE).get("data")
        recipe = data if isinstance(data, Mapping) else {}
        classes = recipe.get("classes")
        found = []
        for stage, rows in graph.flow:
            if not rows.rejected:
                continue
            try:
                folder = _there(find(rows.rejected))
            except StorageError as error:
                if found:  # a later stage has not run, or the run is of before that stage rejected any
                    continue
                if run_id:
                    raise
                raise StorageError(
                    f"{rows.rejected}: nothing has been sorted out in this folder yet; first `ratchet run --until "
                    f"{stage}`, or name a run that had a folder of its own (--set, --config): --run{_newest(root)}"
                ) from error
            folders = [_Folder(rows.rejected, folder, "rejected")]
            if rows.held:
                with suppress(StorageError):  # of an old run, the cache may have the rejected rows alone
                    folders.append(_Folder(rows.held, _there(find(rows.held)), "held back"))
            found.append(
                _Quarantine(
                    stage=stage,
                    rows=rows,
                    folders=tuple(folders),
                    find=find,
                    classes=tuple(map(str, classes)) if isinstance(classes, list) else (),
                    source=str(recipe.get("path", "the source")),
                )
            )
        if not found:
            raise UsageError("dvc.yaml: no stage rejects rows; the one that does says `rows: {rejected: <path>}`")
        yield found


def _there(folder: Path) -> Path:
    if not folder.is_dir():
        raise StorageError(f"{folder}: is not there")
    return folder


def _of_run(root: Path, run_id: str, opened: ExitStack) -> tuple[Path, Callable[[str], Path]]:
    """Return the folder of what a run has begun with, and what finds a folder that it has made."""
    from pipeline.runs import history
    from pipeline.runs.run_outputs import folder_of_run

    record = history.read(root, run_id)
    return root / record.folder, lambda path: opened.enter_context(folder_of_run(root, record, path))


def _newest(root: Path) -> str:
    """Return the id of the newest run, for a command line; that of none is `ID`."""
    from pipeline.runs import history

    runs = history.list_runs(root)
    return f" {runs[0].id}" if runs else " ID"


def _rows(rows: int) -> str:
    return f"{rows} row{'' if rows == 1 else 's'}"


COMMAND = Command(
    "quarantine",
    "look at the rows that were rejected, and why, and at those held back",
    "  ratchet quarantine list\n  ratchet quarantine show cats/17.png:0\n"
    '  ratchet quarantine export rejected --reason "exact duplicate"\n  ratchet quarantine list --run ID',
    _fill,
)
