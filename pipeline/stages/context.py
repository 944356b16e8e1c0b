"""What a stage may see of the world: exactly what dvc.yaml declares for it.

Asking for an undeclared path or parameter fails and names the line to add. When the stage is done, the modules of this
package that it and its processes have imported are checked against its declared dependencies too: undeclared code that
decides a result would leave a stale cache. So a cache can never be silently stale. And its rows are counted: every one
that it has read is kept, rejected or held back.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline import graph
from pipeline.errors import Bug, StorageError, UsageError
from pipeline.recipe.code_digest import code_digest
from pipeline.recipe.execution import Execution, load_execution
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.resolving import CODE, RESOLVED_FILE, load_checked
from pipeline.recipe.settings import flatten, validate
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.records.digests import digest_json
from pipeline.records.origin import Origin
from pipeline.records.run import RECORD_FILE, RunRecord
from pipeline.runtime.evidence import EVIDENCE_VARIABLE
from pipeline.runtime.git import Commit, commit_of, paths_of_run
from pipeline.runtime.imports import collect_imports, imported_modules
from pipeline.runtime.progress import Progress
from pipeline.storage.artifacts import digest_file, read_json
from pipeline.storage.data_sets import require_all_accounted
from pipeline.storage.home import find_origin, home_of
from pipeline.storage.record_files import find_record

if TYPE_CHECKING:
    from pipeline.registry.store import Store

_IMPORTS = Path(".ratchet") / "imports"

T = TypeVar("T")

# What carries a stage and decides no part of its result: reading the command and the recipe, whose values DVC tracks as
# parameters; driving a run; processes, progress and Spark's session; starting the ranks of a training. The names are
# prefixes: a room includes all of its modules.
_CARRIERS = (
    "pipeline.cli",
    "pipeline.errors",
    "pipeline.graph",
    "pipeline.launching",
    "pipeline.recipe",
    "pipeline.runs",
    "pipeline.runtime",
    "pipeline.stages.context",
    "pipeline.__main__",
)


class StageContext:
    """The declared dependencies, outputs and parameters of one stage, and where and how it runs."""

    def __init__(
        self,
        root: Path,
        stage: graph.Stage,
        recipe: Recipe | None,
        execution: Execution,
        code: Mapping[str, Any] | None = None,
    ) -> None:
        self._root = root
        self.name = stage.name
        self.execution = execution
        self.progress = Progress(stage.name)
        self._stage = stage
        self._recipe = recipe
        self._code = dict(code or {})
        self._imports = root / _IMPORTS / f"{stage.name}.txt"

    @classmethod
    def load(cls, root: Path, name: str) -> StageContext:
        """Read dvc.yaml, the complete recipe and execution.yaml under `root`.

        A stage that declares no keys gets no recipe, unless it asks for all of params.yaml.
        """
        stage = graph.load_graph(root)[name]
        if not stage.params:
            return cls(root, stage, None, load_execution(root))
        values = read_json(root / RESOLVED_FILE)
        code = values.pop(CODE, {}) if isinstance(values, dict) else {}
        return cls(root, stage, validate(Recipe, values, RESOLVED_FILE), load_execution(root), code)

    def dep(self, path: str) -> Path:
        """Return a declared dependency as a path to read."""
        return self._declared("deps", self._stage.deps, path)

    def out(self, path: str) -> Path:
        """Return a declared output as a path to publish."""
        return self._declared("outs", self._stage.outs, path)

    def volatile(self, path: str) -> Path:
        """Return a path that the stage may write and DVC does not track."""
        return self._declared("meta: volatile", self._stage.volatile, path)

    def shared(self, path: str) -> Path:
        """Return a volatile path in the project's folder: the same for all of its workspaces, and it outlives them."""
        return home_of(self._root) / self.volatile(path).relative_to(self._root)

    def param(self, key: str, kind: type[T]) -> T:
        """Return a declared parameter or group of parameters of the recipe: `param("train", TrainParams)`."""
        self._require_declared(key)
        value: Any = self._recipe
        for part in key.split("."):
            value = getattr(value, part)
        if not isinstance(value, kind):
            raise Bug(f"stage {self.name}: parameter '{key}' is {type(value).__name__}, not {kind.__name__}")
        return value

    def recipe(self) -> Recipe:
        """Return the recipe of params.yaml, checked: for the stage that completes it."""
        if self._stage.params:
            raise Bug(f"stage {self.name} asks for the whole recipe, but declares parameters: ask for those")
        return load_checked(self._root)

    def parameters(self) -> dict[str, Any]:
        """Return every parameter that dvc.yaml declares for this stage, as plain values by its declared key."""
        values = {**(self._recipe.model_dump(mode="json") if self._recipe else {}), CODE: self._code}
        return {key: reduce(getitem, key.split("."), values) for key in self._stage.params}

    def code(self) -> dict[str, str]:
        """Return the digest of each file of code that this stage declares, by path: deps, and members of slots."""
        files = {
            file
            for dep in self._stage.deps
            if graph.covers("pipeline", dep)
            for path in [self._root / dep]
            for file in (path.rglob("*.py") if path.is_dir() else [path])
        }
        digests = {file.relative_to(self._root).as_posix(): digest_file(file) for file in sorted(files)}
        return {**digests, **self._named_code()}

    def behaviour(self, *rooms: str) -> dict[str, str]:
        """Return the digest of what each file of code in declared rooms does, by path: comments make no difference."""
        files = [file for room in rooms for path in [self.dep(room)] for file in [path, *path.rglob("*.py")]]
        return {file.relative_to(self._root).as_posix(): code_digest(file) for file in sorted(files) if file.is_file()}

    def _named_code(self) -> dict[str, str]:
        """Return the members of slots that the recipe names and this stage declares, by path, with their digests.

        A slot of which a recipe names no member is an empty group.
        """
        declared = [key for key in self._stage.params if key == CODE or key.startswith(CODE + ".")]
        return {
            "pipeline/" + name.removeprefix(CODE + ".").replace(".", "/") + ".py": digest
            for name, digest in flatten({CODE: self._code}).items()
            if digest and any(graph.covers(key.replace(".", "/"), name.replace(".", "/")) for key in declared)
        }

    def _require_declared(self, key: str) -> None:
        if not any(key == declared or key.startswith(declared + ".") for declared in self._stage.params):
            raise Bug(
                f"stage {self.name} asks for parameter '{key}': add it under params of stage {self.name} in dvc.yaml"
            )

    def store(self) -> Store:
        """Return the model registry that execution.yaml names: the same for all workspaces of a project."""
        from pipeline.registry.store import resolve_store

        return resolve_store(self._root, self.execution.mlflow)

    def origin(self) -> Origin | None:
        """Return which run this is, and what it was made from; None if no run of ours drives the stage."""
        if origin := find_origin(self._root):
            return origin
        logs = os.environ.get(EVIDENCE_VARIABLE)  # a run in place: its record is beside its logs
        record = find_record(Path(logs).parent / RECORD_FILE, RunRecord) if logs else None
        return Origin.of(record) if record else None

    def lock_digest(self) -> str | None:
        """Return a digest of what DVC has recorded about the other stages; None if there is no dvc.lock.

        This stage's own entry is left out, because DVC writes it only after the stage: so the digest is the same
        however the graph is driven.
        """
        path = self._root / graph.LOCK_FILE
        if not path.is_file():
            return None
        return digest_json({k: v for k, v in parse_yaml(path).get("stages", {}).items() if k != self.name})

    def commit(self) -> Commit | None:
        """Return the commit of the run, and whether its files differ from it; None outside a repository.

        A run knows both from when it began.
        """
        if origin := self.origin():
            return Commit(origin.commit, origin.is_dirty) if origin.commit else None
        source = self._recipe.data.path if self._recipe else ""
        try:
            return commit_of(self._root, paths_of_run(graph.load_graph(self._root), source))
        except (StorageError, UsageError):
            return None

    def without_root(self, error: Exception) -> str:
        """Return an error's text for a tracked file: without the folder of this checkout."""
        return " ".join(str(error).replace(f"{self._root}/", "").split())

    def check_rows(self) -> None:
        """Raise Bug unless every row that the stage has read is in what it has made: `rows` in dvc.yaml says where."""
        if self._stage.rows:
            require_all_accounted(self._root, self.name, self._stage.rows)

    def watch_imports(self) -> None:
        """Make the processes of this stage (ranks, Spark's Python workers …) report what they import from now on."""
        collect_imports(self._imports)

    def check_imports(self) -> None:
        """Raise Bug if the stage or one of its processes imported a module of this package outside its deps."""
        named = self._named_code()
        for name in sorted(imported_modules(self._imports)):
            if any(name == carrier or name.startswith(f"{carrier}.") for carrier in _CARRIERS):
                continue
            file = self._root.joinpath(*name.split("."))
            path = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
            if path.name == "__init__.py" and _decides_nothing(path):
                continue
            relative = path.relative_to(self._root).as_posix()
            if relative in named or any(graph.covers(declared, relative) for declared in self._stage.deps):
                continue
            raise Bug(f"stage {self.name} used {relative}: add it under deps of stage {self.name} in dvc.yaml")

    def _declared(self, where: str, declared: tuple[str, ...], path: str) -> Path:
        # `data/prepared/../../x` lies elsewhere than it begins. A source may be declared so as it stands.
        climbs = ".." in path.split("/") and path not in declared
        if climbs or not any(graph.covers(entry, path) for entry in declared):
            raise Bug(f"stage {self.name} asks for {path}: add it under {where} of stage {self.name} in dvc.yaml")
        return self._root / path


def _decides_nothing(package: Path) -> bool:
    """Say whether a package's own file is absent, empty, or a docstring and nothing else."""
    if not package.is_file():
        return True
    body = ast.parse(package.read_text()).body
    return not body or (len(body) == 1 and ast.get_docstring(ast.Module(body, [])) is not None)
