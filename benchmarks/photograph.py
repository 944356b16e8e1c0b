"""A run's photograph and workspace, against what was asked: 0.3 s for the demo, 2 s where there are 10 000 files.

    python benchmarks/photograph.py

Measured in copies of this checkout in a temporary folder, in one process that has loaded what it needs: the first
photograph of files never seen before, a later one, and one after a file has changed; with the files of the demo, with
10 000 more in the source (read where they are), and with 10 000 more in the package (kept and linked). For
comparison, `git worktree add` of the same files, as runs used to begin. Only quiet rounds count (`quiet.py`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.checkouts import copy_checkout
from benchmarks.quiet import quiet_rounds
from pipeline.graph import load_graph
from pipeline.recipe.recipe import PARAMS_FILE, load_recipe
from pipeline.records.origin import Origin
from pipeline.runs import workspaces
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.hashes import Hashes
from pipeline.runs.photograph import take
from pipeline.runs.photograph_store import PhotographStore

ROOT = Path(__file__).parents[1]
REPEATS = 5
FILES = 10_000
FILE_BYTES = 2_000
ASKED_S = {"demo": 0.3, "source": 2.0, "package": 2.0}
IDENTITY = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")
MOMENTS = ("first", "later", "one file changed")


def open_once(root: Path, run_id: str) -> float:
    """Photograph a project and make a workspace of it; return the seconds that it took."""
    start_s = time.perf_counter()
    graph, source = load_graph(root), load_recipe(root).data.path
    params = (root / PARAMS_FILE).read_bytes() + f"# {run_id}\n".encode()
    taken = take(root, graph, source, Hashes(root), params)
    store = PhotographStore(cache_of(root))
    digest = store.keep(taken.photograph, root, {PARAMS_FILE: params})
    origin = Origin(home=".", run=run_id, photograph=digest)
    workspaces.make(root, run_id, store, taken.photograph, origin, known=taken.known)
    seconds = time.perf_counter() - start_s
    workspaces.remove(root, run_id)
    return seconds


def add_files(folder: Path) -> None:
    """Write many small files, each another one."""
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number:05}.dat").write_bytes(number.to_bytes(4) * (FILE_BYTES // 4))


def forget(root: Path) -> None:
    """Make a project one that has never been photographed."""
    for path in (root / ".ratchet", root / ".dvc" / "cache"):
        shutil.rmtree(path, ignore_errors=True)


def opened(root: Path) -> dict[str, float]:
    """Return the seconds of opening a run at each moment."""
    forget(root)
    cache_of(root)  # DVC is asked once, not once a run
    found = {"first": open_once(root, "first"), "later": open_once(root, "later")}
    code = root / "pipeline" / "errors.py"
    code.write_text(code.read_text() + "\n")
    return {**found, "one file changed": open_once(root, "changed")}


def worktree_s(root: Path) -> float:
    """Return the seconds of a git worktree of the project."""
    start_s = time.perf_counter()
    for command in (["add", "--quiet", "--detach", ".trees/x", "HEAD"], ["remove", "--force", ".trees/x"]):
        subprocess.run(["git", "worktree", *command], cwd=root, check=True)
        if command[0] == "add":
            seconds = time.perf_counter() - start_s
    return seconds


def main() -> None:
    """Measure each project in turn and print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patience-s", type=float, default=120.0, help="how long to put up with noise, seconds (120)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ratchet-benchmark-") as folder:
        projects = {name: copy_checkout(ROOT, Path(folder) / name) for name in ASKED_S}
        add_files(projects["source"] / load_recipe(ROOT).data.path / "more")
        add_files(projects["package"] / "pipeline" / "more")
        for project in projects.values():
            subprocess.run(["git", "add", "--all"], cwd=project, check=True)
            identity = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
            subprocess.run(
                ["git", *identity, "commit", "--quiet", "--allow-empty", "-m", "more"], cwd=project, check=True
            )
        os.chdir(folder)

        def measure(_: int) -> dict[str, dict[str, float]]:
            return {name: {**opened(root), "worktree": worktree_s(root)} for name, root in projects.items()}

        rounds = quiet_rounds(measure, REPEATS, arguments.patience_s)
    print(rounds.summary)
    for name, asked_s in ASKED_S.items():
        for moment in MOMENTS:
            seconds = statistics.median(each[name][moment] for each in rounds.results)
            against = statistics.median(each[name][moment] / each[name]["worktree"] for each in rounds.results)
            print(
                f"{name:8} {moment:17} {seconds:6.3f} s  ratio {seconds / asked_s:.2f} of what was asked "
                f"({asked_s} s), {against:.2f} of a git worktree"
            )


if __name__ == "__main__":
    main()
