"""A small project that can stand anywhere: real git, DVC and commands, and quick stages.

The stage `survey` is the tests' own. It writes what a stage sees of the project: the source's files, the contract, the
registry, the commit. What is the same wherever a run works is tracked; where it publishes is not.
"""

from __future__ import annotations

import compileall
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from tests.system.project import ROOT, Project, make_project

SURVEY = '''"""Writes down what a stage sees of the project."""

import os

from pipeline.recipe.recipe import load_recipe
from pipeline.storage.artifacts import digest_file, write_json


def run(stage):
    recipe = load_recipe(stage.out("reports/survey.json").parents[1])
    source, files = stage.dep(recipe.data.path), {}
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            files[ascii(os.path.relpath(path, source))] = os.stat(path).st_size
    contract = digest_file(stage.dep(f"{recipe.data.contracts}/raw.yaml"))
    write_json(stage.out("reports/survey.json"), {"source": files, "contract": contract, "seed": recipe.seed})
    store, commit = stage.store(), stage.commit()
    where = {
        "database": str(store.database),
        "artifacts": store.artifacts,
        "commit": commit.digest if commit else None,
        "workers": stage.execution.horovod.workers,
    }
    write_json(stage.volatile("reports/where.json"), where)
    return f"{len(files)} files"
'''
SHIPPED = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
ROOMS = ["pipeline/records", "pipeline/registry", "pipeline/storage"]
STAGES: dict[str, dict[str, Any]] = {
    "survey": {
        "deps": ["${data.path}", "${data.contracts}/raw.yaml", "pipeline/stages/survey.py", *ROOMS],
        "params": [{"params.yaml": None}],
        "outs": ["reports/survey.json"],
        "always_changed": True,
        "meta": {"volatile": ["reports/where.json"]},
    },
}
# There is no later stage to make ready.
INGEST = {**SHIPPED["ingest"], "meta": {**SHIPPED["ingest"]["meta"], "warm": {}}}
WITH_INGEST = {"resolve": SHIPPED["resolve"], "ingest": INGEST, **STAGES}

# What runs may write in the user's folder. DVC's settings are the user's: of `.dvc` only these two.
_OURS = (".ratchet", "runs", "data", "reports", "models", "registry", "dvc.lock", ".dvc/tmp", ".dvc/cache")
_FOREIGN = (
    "GIT_",
    "XDG_",
    "DVC_",
    "RATCHET_",
    "PYSPARK_",
    "SPARK_",
    "MLFLOW_",
    "PYTHON",
)  # what the machine of the tests may say must not matter
_GIT = (
    "git",
    *("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "safe.directory=*"),
    *("-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", "-c", "core.hooksPath=/dev/null"),
    *("-c", "filter.lfs.required=false", "-c", "filter.lfs.clean=cat", "-c", "filter.lfs.process="),
)


def git(folder: Path, *words: str) -> str:
    """Run git as somebody else does: without hooks, without filters, without the settings of this machine."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",
    }
    done = subprocess.run([*_GIT, *words], cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return os.fsdecode(done.stdout)


def commit_all(folder: Path) -> str:
    """Make a repository of a folder if it is none, and commit all that is there; return the commit."""
    git(folder, "init", "--quiet")
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "all")
    return git(folder, "rev-parse", "HEAD").strip()


@dataclass(frozen=True)
class Small(Project):
    """A small project, in the surroundings that its `variables` (None: not set), its user and its interpreter make."""

    variables: Mapping[str, str | None] = field(default_factory=dict)
    user: int | None = None
    umask: int = -1
    python: Path = Path(sys.executable)
    database: str = "registry/mlflow.db"
    stages: Sequence[str] = tuple(STAGES)

    @property
    def aside(self) -> Path:
        """A folder outside the project: the home and the temporary files of who works here."""
        return Path(str(self.variables["TMPDIR"])).parent

    @property
    def environment(self) -> dict[str, str]:
        """The environment of an activated `.venv`, without what this machine may set."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        kept |= {"PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(self.root)}
        for name, value in self.variables.items():
            kept.pop(name, None)
            if value is not None:
                kept[name] = value
        return kept

    def start(self, *command: str, **changes: str) -> subprocess.Popen[str]:
        """Start a command in the project's folder, as the user."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env={**self.environment, **changes},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
            user=self.user,
            group=self.user,
            umask=self.umask,
            extra_groups=None if self.user is None else [],
        )

    def call(self, *command: str, given: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever its end; `given` is its standard input."""
        with self.start(*command, **changes) as process:
            out, err = process.communicate(given)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def succeed(self, *words: str, given: str = "") -> str:
        """Run `ratchet …`, which must do it without a word on standard error but its progress; return what it says."""
        done = self.call("ratchet", *words, given=given)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        complaints = [line for line in done.stderr.splitlines() if line.startswith(("ratchet:", "Traceback", "fatal:"))]
        assert not complaints, (words, done.stderr)
        return done.stdout

    def runs(self) -> list[dict[str, Any]]:
        """What `ratchet runs list` says, oldest first."""
        return list(json.loads(self.succeed("runs", "list", "--json")))[::-1]

    def run(self, *changes: str) -> str:
        """`ratchet run`, with `--set` for each change; return the run's id."""
        known = set(self._ids())
        self.succeed("run", *(word for change in changes for word in ("--set", change)))
        [run_id] = set(self._ids()) - known
        return run_id

    def _ids(self) -> list[str]:
        return [path.parent.name for path in self.root.glob("runs/*/record.json")]

    def open(self, run_id: str, **request: Any) -> Path:
        """`ratchet runs open`; return the run's workspace."""
        said = self.succeed("runs", "open", "-", given=json.dumps({"id": run_id, **request}))
        [line] = [line for line in said.splitlines() if line.startswith(f"open: {run_id} in ")]
        return self.root / line.partition(" in ")[2]

    def run_in_steps(self, run_id: str, **request: Any) -> str:
        """Open a run, bring each stage up to date, close it; return its id."""
        self.open(run_id, **request)
        for stage in self.stages:
            self.succeed("runs", "stage", run_id, stage)
        self.succeed("runs", "close", run_id, "--state", "success")
        return run_id

    def kept(self, run_id: str, path: str) -> bytes:
        """Read one of the files that are kept of a run."""
        return (self.root / "runs" / run_id / path).read_bytes()

    def seen(self, run_id: str) -> dict[str, Any]:
        """What the stage `survey` of a run has seen: what is tracked, and what is not."""
        tracked, other = (json.loads(self.kept(run_id, f"reports/{name}.json")) for name in ("survey", "where"))
        return {**tracked, **other}

    def listing(self) -> dict[str, str]:
        """Everything in the user's folder that is not Ratchet's to write: kind, permissions and content, by path."""
        found, folders = {}, [self.root]
        while folders:
            for path in folders.pop().iterdir():
                name = path.relative_to(self.root)
                if path.name not in (".git", "__pycache__") and str(name) not in _OURS:
                    found[ascii(str(name))] = _looks(path)
                    folders += [path] if path.is_dir() and not path.is_symlink() else []
        return found

    def assert_listing(self, before: Mapping[str, str]) -> None:
        """Nothing is left behind in the user's folder, nothing changed, nothing gone."""
        changes = before.items() ^ self.listing().items()
        assert not changes, sorted(changes)

    def edit(self, name: str, old: str, new: str) -> None:
        """Change one place of a file by hand."""
        text = (self.root / name).read_text()
        assert text.count(old) == 1, (name, old)
        (self.root / name).write_text(text.replace(old, new))

    def with_variables(self, **variables: str | None) -> Small:
        """The same project in other surroundings."""
        return replace(self, variables={**self.variables, **variables})


def _looks(path: Path) -> str:
    status = path.lstat()
    if path.is_symlink():
        return f"-> {str(path.readlink())!a}"
    content = hashlib.md5(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    return f"{status.st_mode:o} {status.st_uid} {content}"


def make_template(folder: Path) -> Path:
    """Make the small project once, its code compiled: the others are copies of it. It is under no version control."""
    project = make_project(folder)
    shutil.rmtree(folder / ".git")
    for name in ("configs", "dags", "docker", "benchmarks", "scripts", ".ci"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "pipeline" / "stages" / "survey.py").write_text(SURVEY)
    compileall.compile_dir(folder / "pipeline", quiet=1)
    write_graph(project.root, STAGES)
    return folder


def write_graph(root: Path, stages: Mapping[str, Mapping[str, Any]]) -> None:
    """Write dvc.yaml with these stages."""
    declared = {name: {"cmd": f"ratchet stage {name}", **body} for name, body in stages.items()}
    (root / "dvc.yaml").write_text(json.dumps({"stages": declared}, indent=2))  # YAML, too, and without aliases


def works(small: Small) -> dict[str, Any]:
    """Run a recipe in a run of its own, which leaves nothing behind; return what its stages have seen.

    That is the way with most to go wrong: it photographs the project. Whatever differs from another case only in what
    it photographs needs no other way.
    """
    listing = small.listing()
    seen = small.seen(small.run("seed=7"))
    small.assert_listing(listing)
    assert seen["seed"] == 7
    left = [*small.root.glob(".ratchet/workspaces/*"), *small.root.glob(".worktrees/*"), *small.aside.glob("*/*")]
    assert not left, left
    return seen


def works_in_every_way(small: Small) -> dict[str, Any]:
    """Run the same recipe in a run of its own, in steps and in place, and hold all that is promised of the three.

    Return what the stages of all three have seen.
    """
    listing = small.listing()
    own = small.run("seed=7")
    steps = small.run_in_steps("in-steps", overrides={"seed": 7}, is_forced=True)
    small.assert_listing(listing)
    small.edit("params.yaml", "seed: 20261101", "seed: 7")
    listing = small.listing()
    place = small.run()
    small.assert_listing(listing)

    told = [(run["id"], run["driver"], run["state"]) for run in small.runs()]
    assert told == [(own, "ratchet", "success"), (steps, "airflow", "success"), (place, "ratchet", "success")], told
    lock = (small.root / "dvc.lock").read_bytes()
    assert list(yaml.safe_load(lock)["stages"]) == list(small.stages)
    seen = small.seen(place)
    assert seen["seed"] == 7
    assert Path(seen["database"]) == small.root.resolve() / small.database
    for run_id in (own, steps, place):
        assert small.kept(run_id, "dvc.lock") == lock, run_id
        assert yaml.safe_load(small.kept(run_id, "params.yaml"))["seed"] == 7, run_id
        assert small.seen(run_id) == seen, run_id
    left = [*small.root.glob(".ratchet/workspaces/*"), *small.root.glob(".worktrees/*"), *small.aside.glob("*/*")]
    assert not left, left
    return seen
