"""One champion, asked in every way that its users have: `make clients`, which prints how far the answers differ.

Of each shipped problem a champion is made of some 500 rows, or `--project` names a finished project with one. It is
exported in all forms that it can have and served; its golden rows are then asked by tritonclient, kserve, in TensorFlow
Serving's REST (the service has no gRPC), from the registry by mlflow.pyfunc, and from the exported files by a session,
as TensorFlow Serving loads them, by ONNX Runtime and by LiteRT. All that runs in .venv-clients, which has none of
Ratchet's code; see `asking`. The answers are held to the golden ones.

Exit codes: 0 all agree within BOUNDS, and what is refused is refused as docs/export.md says; 1 else.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from pipeline.export.parity import compare
from pipeline.export.served import golden_rows, read_served
from pipeline.recipe.execution import load_execution
from pipeline.records.served_model import ServedModel
from pipeline.registry.store import resolve_store
from tests.system.project import ROOT, Project
from tests.system.serving.load import serving
from tests.system.shipped import CONFIGS, make_shipped

PYTHON = ROOT / ".venv-clients" / "bin" / "python"
FORMS = "saved_model,onnx,litert,litert_int8"


class Bound(NamedTuple):
    """The largest difference of any number, by its size where that is above 1; the least share of the same classes."""

    difference: float | None
    agreement: float = 1.0


SAVED_MODEL = Bound(1e-5)
FURTHER_FORM = Bound(1e-4, 0.999)
BOUNDS: Mapping[str, Bound] = {
    "tritonclient": SAVED_MODEL,
    "kserve": SAVED_MODEL,
    "tensorflow_serving": SAVED_MODEL,
    "tensorflow_session": SAVED_MODEL,
    "mlflow_pyfunc": SAVED_MODEL,
    "onnxruntime": FURTHER_FORM,
    "litert": FURTHER_FORM,
    "litert_int8": Bound(None, 0.99),
}
# What a form is not for, as in docs/export.md: kinds of features; `regression`: a number as target.
NOT_FOR: Mapping[str, set[str]] = {
    "onnxruntime": {"text", "category"},
    "litert": {"text", "category"},
    "litert_int8": {"text", "category", "number", "regression"},
}
_WHY_NONE = "what a model learns of some 500 rows is nobody's question here"


class Line(NamedTuple):
    """What came of asking one champion by one client."""

    problem: str
    client: str
    said: str
    is_right: bool


def make_champion(folder: Path, config: str) -> Project:
    """Run a shipped config on few rows, with no bound to keep the first model from becoming champion."""
    project = make_shipped(folder, in_force=config)
    gate = yaml.safe_load((folder / "params.yaml").read_text())["gate"]
    bounds = {
        side: {metric: bound if bound is None else {"none": _WHY_NONE} for metric, bound in gate[side].items()}
        for side in ("minimum", "maximum")
    }
    project.change_recipe(gate=bounds)
    called(project, "run")
    return project


def called(project: Project, *arguments: str) -> str:
    """Run `ratchet …`; return what it prints, or raise SystemExit with what it says."""
    done = project.ratchet(*arguments)
    if done.returncode:
        raise SystemExit(f"ratchet {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def asked(project: Project, problem: str, scratch: Path) -> Iterator[Line]:
    """Export and serve a project's champion, ask it by every client, and yield what came of each."""
    served, answers = scratch / "served", scratch / "answers"
    answers.mkdir(parents=True)
    called(project, "export", "--to", str(served), "--formats", FORMS)
    record = read_served(served)
    store = resolve_store(project.root, load_execution(project.root).mlflow)
    with serving(served, scratch) as service:
        command = [PYTHON, ROOT / "tests/system/serving/asking.py", served, str(service.port), record.name, store.uri]
        done = subprocess.run([*command, answers], cwd=scratch, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{problem}: the clients ended with {done.returncode}:\n{done.stderr[-4000:]}")
    expected = golden_rows(served)[1]
    for client in BOUNDS:
        refusal = (answers / client).with_suffix(".txt")
        if refusal.exists():
            yield Line(problem, client, f"refused: {refusal.read_text()}", is_right=is_refused_rightly(client, record))
        else:
            yield judged(problem, client, np.load(answers / f"{client}.npy"), expected, record)


def judged(problem: str, client: str, found: Any, expected: Any, record: ServedModel) -> Line:
    """Hold a client's answers to the golden ones."""
    bound = BOUNDS[client]
    parity = compare(found, expected, has_classes=bool(record.classes), threshold=record.threshold)
    said = f"{parity.largest_difference:.1e}"
    is_right = bound.difference is None or parity.largest_difference <= bound.difference
    if parity.agreement is not None:
        said += f", {100 * parity.agreement:.1f} % the same class"
        is_right = is_right and parity.agreement >= bound.agreement
    return Line(problem, client, f"{said} of {len(expected)} rows", is_right)


def is_refused_rightly(client: str, record: ServedModel) -> bool:
    """Whether a form is not for a model of this kind."""
    kinds = {each.kind for each in record.inputs} | (set() if record.classes else {"regression"})
    return bool(kinds & NOT_FOR.get(client, set()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, help="a finished project instead, with a champion of its recipe's name")
    parser.add_argument("--only", nargs="*", choices=CONFIGS, default=CONFIGS, help="only these problems")
    chosen = parser.parse_args(arguments)
    if not PYTHON.exists():
        raise SystemExit(f"{PYTHON} is not there: scripts/setup_clients.sh makes it")
    for client, bound in BOUNDS.items():
        held = "any difference" if bound.difference is None else f"{bound.difference:g} at most"
        print(f"{client:20} {held}, of classes {100 * bound.agreement:g} % the same")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for problem in [chosen.project.name] if chosen.project else chosen.only:
            project = Project(chosen.project.absolute()) if chosen.project else make_champion(root / problem, problem)
            for line in asked(project, problem, root / f"{problem}-asked"):
                wrong += not line.is_right
                word = "" if line.is_right else "  WRONG"
                print(f"{line.problem:15} {line.client:20} {line.said}{word}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
