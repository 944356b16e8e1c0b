"""What a stage may see of the world: exactly what dvc.yaml declares for it.

Asking for an undeclared path or parameter fails and names the line to add. When the stage is done, the modules of this
package that it has imported are held against its declared dependencies too: code that decides a result and is not
declared would leave a stale cache. So a cache can never be silently stale.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TypeVar

from pipeline import graph
from pipeline.errors import Bug
from pipeline.execution import Execution, load_execution
from pipeline.params import Recipe, load_recipe
from pipeline.progress import Progress

T = TypeVar("T")

# Modules that carry a stage but do not decide its result.
_CARRIERS = {
    "pipeline",
    "pipeline.cli",
    "pipeline.__main__",
    "pipeline.doctor",
    "pipeline.errors",
    "pipeline.execution",
    "pipeline.graph",
    "pipeline.params",
    "pipeline.processes",
    "pipeline.progress",
    "pipeline.stages",
    "pipeline.stages.context",
    "pipeline.workspace",
}


class StageContext:
    """The declared dependencies, outputs and parameters of one stage, and where and how it runs."""

    def __init__(self, root: Path, stage: graph.Stage, recipe: Recipe, execution: Execution) -> None:
        self.root = root
        self.name = stage.name
        self.execution = execution
        self.progress = Progress(stage.name)
        self._stage = stage
        self._recipe = recipe

    @classmethod
    def load(cls, root: Path, name: str) -> StageContext:
        """Read dvc.yaml, params.yaml and execution.yaml under `root`."""
        return cls(root, graph.load_graph(root)[name], load_recipe(root), load_execution(root))

    def dep(self, path: str) -> Path:
        """Return a declared dependency as a path to read."""
        return self._declared("deps", self._stage.deps, path)

    def out(self, path: str) -> Path:
        """Return a declared output as a path to publish."""
        return self._declared("outs", self._stage.outs, path)

    def volatile(self, path: str) -> Path:
        """Return a path that the stage may write and DVC does not track."""
        return self._declared("meta: volatile", self._stage.volatile, path)

    def param(self, key: str, kind: type[T]) -> T:
        """Return a declared parameter or group of parameters of the recipe: `param("train", TrainParams)`."""
        if not any(key == declared or key.startswith(declared + ".") for declared in self._stage.params):
            raise Bug(
                f"stage {self.name} asks for parameter '{key}': add it under params of stage {self.name} in dvc.yaml"
            )
        value: Any = self._recipe
        for part in key.split("."):
            value = getattr(value, part)
        if not isinstance(value, kind):
            raise Bug(f"stage {self.name}: parameter '{key}' is {type(value).__name__}, not {kind.__name__}")
        return value

    def check_imports(self) -> None:
        """Raise Bug if the stage imported a module of this package that its deps do not cover."""
        for name, module in sorted(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name in _CARRIERS or not name.startswith("pipeline.") or not file:
                continue
            path = Path(file).relative_to(self.root).as_posix()
            if Path(file).name == "__init__.py" and not Path(file).read_text().partition('"""\n')[2].strip():
                continue  # a package's docstring decides nothing
            if not any(graph.covers(declared, path) for declared in self._stage.deps):
                raise Bug(f"stage {self.name} used {path}: add it under deps of stage {self.name} in dvc.yaml")

    def _declared(self, where: str, declared: tuple[str, ...], path: str) -> Path:
        if not any(graph.covers(entry, path) for entry in declared):
            raise Bug(f"stage {self.name} asks for {path}: add it under {where} of stage {self.name} in dvc.yaml")
        return self.root / path
