"""`ratchet export`: write a version of the registry as a folder that is served, in the formats asked for."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.command import Command, add_json, project_root, say

if TYPE_CHECKING:
    from pipeline.records.served_model import ServedFormat, ServedModel

_MEBI, _KIBI = 2**20, 2**10


def _fill(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "version",
        nargs="?",
        default="",
        metavar="NAME[@VERSION]",
        help="a registered model and its version, a number or an alias (default: the champion of the recipe's name)",
    )
    command.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="the folder to make")
    command.add_argument(
        "--formats",
        default="saved_model",
        metavar="NAMES",
        help="files in pipeline/export/formats/, with commas between (default: saved_model, which is always there)",
    )
    add_json(command)
    command.set_defaults(handler=_export)


def _export(options: argparse.Namespace) -> int:
    from pipeline.export.forms import checked
    from pipeline.recipe.execution import load_execution
    from pipeline.recipe.recipe import load_recipe
    from pipeline.records.model_card import CARD_PAGE
    from pipeline.registry.store import resolve_store
    from pipeline.runs.exporting import export_version

    root = project_root()
    formats = checked(name.strip() for name in options.formats.split(",") if name.strip())
    name = options.version.partition("@")[0] or load_recipe(root).name
    store = resolve_store(root, load_execution(root).mlflow)
    served = export_version(root, store, options.version, options.to.absolute(), formats, name)
    if options.json:
        say(json.dumps(served.to_json(), indent=2))
        return 0
    for line in told(served, options.to):
        say(line)
    if not (options.to / CARD_PAGE).is_file():
        say(f"{'model card':12}  {'none':>9}  an earlier Ratchet has registered this version")
    return 0


def told(served: ServedModel, where: Path) -> list[str]:
    """Return what people are told of a served folder: of each form its figures, or why it is not there."""
    rows = "test rows" if served.golden == "test" else "made rows, since there are no test rows of its features here"
    lines = [f"{served.name} v{served.version} is in {where}, proven on {served.rows} {rows}"]
    lines += [f"{form.name:12}  {_size(form.size_bytes):>9}  {_proof(form)}{_speed(form)}" for form in served.formats]
    lines += [f"{name:12}  {'none':>9}  {reason}" for name, reason in served.refused.items()]
    return lines


def _size(size_bytes: int) -> str:
    return f"{size_bytes / _MEBI:.1f} MiB" if size_bytes >= _MEBI else f"{size_bytes / _KIBI:.1f} KiB"


def _proof(form: ServedFormat) -> str:
    same = "" if form.agreement is None else f", {form.agreement:.2%} the same class"
    return f"differs by {form.largest_difference or 0:.1e} at most{same}"


def _speed(form: ServedFormat) -> str:
    told = [f"{speed.rows} in {speed.p50_ms:.3g} ms (95 %: {speed.p95_ms:.3g})" for speed in form.speeds]
    return f"; rows on one thread: {', '.join(told)}" if told else ""


COMMAND = Command(
    "export",
    "write a published model as a folder that is served, proven on the test rows",
    "  ratchet export --to served\n"
    "  ratchet export fashion_mnist@3 --to served --formats saved_model,onnx,litert,litert_int8",
    _fill,
)
