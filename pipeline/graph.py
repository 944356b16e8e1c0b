"""The one graph: `dvc.yaml` read as Stage objects.

What other code must know of a stage stands in the stage's `meta`, so that nothing else names a stage or its files:

    makes     {role: path}                          what others look for, by its role (ROLES)
    contract  {of, path, result}                    the contract that the stage holds data to
    rows      {read, kept, rejected, held, …}       the data sets whose rows must add up
    volatile  [path]                                what it writes and DVC does not track
    warm      {libraries, spark, ahead, …}          what its process finds ready

`dags/derive.py` lists the other keys. Airflow's DAG processor imports this: standard library, PyYAML and pydantic only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import Field

from pipeline.errors import UsageError, nearest
from pipeline.recipe.graph_form import require_form
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.settings import Settings, validate
from pipeline.recipe.strict_yaml import parse_yaml

GRAPH_FILE = "dvc.yaml"
LOCK_FILE = "dvc.lock"
_CODE = "pipeline"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")

Role = Literal[
    "kept",
    "prepared",
    "served",
    "columns",
    "near_duplicates",
    "examples",
    "candidate",
    "metrics",
    "predictions",
    "plots",
    "champion",
    "verdict",
    "registration",
    "card",
    "exports",
]
ROLES: tuple[Role, ...] = get_args(Role)


class Contract(Settings):
    """`of` which data a contract is, the file that declares it (a dep), and the folder of its result (an out)."""

    of: str
    path: str
    result: str


class Rows(Settings):
    """The data sets between which a stage's rows must add up.

    Those it `read`s are those it `kept` and `rejected`, and those that it `held` back for lack of a label. Without
    `read` the rows are new. `note` says what they are; `proof`, what a proof in the manifest of `kept` proves.
    """

    read: str | None = None
    kept: str
    rejected: str | None = None
    held: str | None = None
    note: str = ""
    proof: str = ""


Library = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]{0,99}$")]
Libraries = Annotated[tuple[Library, ...], Field(strict=False, max_length=20)]


class Warm(Settings):
    """What the process of a stage finds ready, started or imported once for a run: see `runtime/warm`.

    `libraries` are imported; `optional` ones only where something has been made ready already. With `spark: shared` the
    stage works in the run's JVM, with `own` in one of its own. While the stage works, what the stage `ahead` needs is
    made ready; a stage that works `alone` gets the memory of all that is ready.
    """

    libraries: Libraries = ()
    optional: Libraries = ()
    spark: Literal["shared", "own"] | None = None
    ahead: str | None = None
    alone: bool = False


MetaT = TypeVar("MetaT", Contract, Rows, Warm)


@dataclass(frozen=True)
class Stage:
    """One stage as dvc.yaml declares it, with `${…}` resolved from the recipe.

    `params` are keys, whichever file they are read from; `param_files` are those files, params.yaml left out.
    `volatile` (from `meta`) lists what the stage may write but DVC does not track: readings, logs, the page;
    `uncached`, which outs DVC tracks but does not keep in its cache.
    """

    name: str
    command: str
    deps: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    param_files: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    uncached: tuple[str, ...] = ()
    makes: Mapping[str, str] = field(default_factory=dict)
    contract: Contract | None = None
    rows: Rows | None = None
    warm: Warm = field(default_factory=Warm)
    is_always_changed: bool = False
    description: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """All stages, in an order that respects their edges."""

    stages: tuple[Stage, ...]
    parent_names: Mapping[str, frozenset[str]]

    def __getitem__(self, name: str) -> Stage:
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise UsageError(f"{GRAPH_FILE}: no stage '{name}'{nearest(name, (stage.name for stage in self.stages))}")

    def maker(self, role: Role) -> Stage | None:
        """Return the stage that makes what has this role; None if none does."""
        return next((stage for stage in self.stages if role in stage.makes), None)

    def find(self, role: Role) -> str | None:
        """Return the path of what has this role; None if no stage makes it."""
        maker = self.maker(role)
        return maker.makes[role] if maker else None

    def artifact(self, role: Role) -> str:
        """Return the path of what has this role; raise UsageError, saying where to declare it, if no stage makes it."""
        if path := self.find(role):
            return path
        raise UsageError(f"{GRAPH_FILE}: no stage makes the {role}; the one that does says `makes: {{{role}: <path>}}`")

    @property
    def contracts(self) -> tuple[Contract, ...]:
        """Return the contracts that stages hold data to, in their order."""
        return tuple(stage.contract for stage in self.stages if stage.contract)

    @property
    def flow(self) -> tuple[tuple[str, Rows], ...]:
        """Return each stage through which rows flow, by its name, and the data sets before and after it."""
        return tuple((stage.name, stage.rows) for stage in self.stages if stage.rows)

    def parents(self, stage: Stage) -> tuple[Stage, ...]:
        """Return the stages whose outputs this stage reads."""
        return tuple(other for other in self.stages if other.name in self.parent_names[stage.name])

    def readers(self, name: str) -> tuple[Stage, ...]:
        """Return the stages that read what a stage makes, other than as parameters."""
        outs = self[name].outs
        return tuple(
            stage
            for stage in self.stages
            if any(covers(out, dep) or covers(dep, out) for out in outs for dep in stage.deps)
        )

    def needs(self, name: str, other: str) -> bool:
        """Return whether a stage is another one, or needs what that one makes, directly or not."""
        return name == other or any(self.needs(parent, other) for parent in self.parent_names[name])

    def is_past_spark(self, name: str, *, at_end: bool) -> bool:
        """Return whether all stages that work in the run's JVM are done when a stage begins, or when it has ended."""
        return all(
            self.needs(name, stage.name) and (at_end or stage.name != name)
            for stage in self.stages
            if stage.warm.spark == "shared"
        )

    @property
    def edges(self) -> frozenset[tuple[str, str]]:
        """Return `(parent, child)` for every edge."""
        return frozenset((parent.name, stage.name) for stage in self.stages for parent in self.parents(stage))


def find_root(start: Path) -> Path:
    """Return the project's folder: the nearest one, from `start` upwards, that holds dvc.yaml and pipeline/.

    Raises UsageError if there is none.
    """
    for folder in (start, *start.parents):
        if os.path.lexists(folder / GRAPH_FILE) and (folder / "pipeline").is_dir():
            return folder
    raise UsageError(f"{start}: not inside a Ratchet project (no dvc.yaml here or above); change to its folder first")


def load_graph(root: Path) -> Graph:
    """Read `dvc.yaml` and resolve it against `params.yaml`, both under `root`."""
    return parse_graph(parse_yaml(root / GRAPH_FILE), parse_yaml(root / PARAMS_FILE))


def parse_graph(declared: Mapping[str, Any], params: Mapping[str, Any] | None) -> Graph:
    """Build the graph from the parsed content of `dvc.yaml` and `params.yaml`.

    Without params, references to them stay as they stand. Raises UsageError on a cycle, or naming stage and key.
    """
    require_form(declared)
    declared_stages = [_stage(name, body, params) for name, body in declared["stages"].items()]
    _check_roles(declared_stages)
    _check_warm(declared_stages)
    _check_outs(declared_stages)
    parent_names = _parent_names(declared_stages)
    return Graph(_in_order(declared_stages, parent_names), parent_names)


def _stage(name: str, body: Mapping[str, Any], params: Mapping[str, Any] | None) -> Stage:
    meta = body.get("meta") or {}

    def paths(*kinds: str) -> tuple[str, ...]:
        return tuple(resolve(_name(entry), params) for kind in kinds for entry in body.get(kind) or ())

    params_of_files = [_params(name, entry) for entry in body.get("params") or ()]
    deps, outs = paths("deps"), paths("outs", "metrics", "plots")
    volatile = tuple(resolve(path, params) for path in meta.get("volatile", ()))

    def declared(key: str, path: Any, among: Sequence[str]) -> str:
        found = resolve(str(path), params)
        if not any(covers(one, found) for one in among):
            where = f"{GRAPH_FILE}: stage '{name}': meta.{key}"
            raise UsageError(f"{where}: the stage does not declare {found}{nearest(found, among)}")
        return found

    def typed(key: str, kind: type[MetaT], **fields: Sequence[str]) -> MetaT | None:
        if meta.get(key) is None:
            return None
        found = validate(kind, meta[key], f"{GRAPH_FILE}: stage '{name}': meta.{key}")
        checked = {
            at: declared(f"{key}.{at}", getattr(found, at), among) for at, among in fields.items() if getattr(found, at)
        }
        return found.model_copy(update=checked)

    return Stage(
        name=name,
        command=resolve(body["cmd"], params),
        deps=deps,
        outs=outs,
        params=tuple(resolve(key, params) for _, keys in params_of_files for key in keys),
        param_files=tuple(dict.fromkeys(file for file, _ in params_of_files if file != PARAMS_FILE)),
        volatile=volatile,
        uncached=tuple(
            resolve(_name(entry), params)
            for kind in ("outs", "metrics", "plots")
            for entry in body.get(kind) or ()
            if isinstance(entry, Mapping) and (next(iter(entry.values())) or {}).get("cache") is False
        ),
        makes={
            role: declared(f"makes.{role}", path, (*outs, *volatile))
            for role, path in (meta.get("makes") or {}).items()
        },
        contract=typed("contract", Contract, path=deps, result=outs),
        rows=typed("rows", Rows, read=deps, kept=outs, rejected=outs, held=outs),
        warm=typed("warm", Warm) or Warm(),
        is_always_changed=bool(body.get("always_changed", False)),
        description=body.get("desc", ""),
        meta=meta,
    )


def _check_outs(stages: Sequence[Stage]) -> None:
    """Raise UsageError for an output outside of the project, and for one that two stages make, whole or in part."""
    makers: dict[str, str] = {}
    for stage in stages:
        for out in stage.outs:
            path = os.path.normpath(out)
            if path == "." or path.startswith(("../", "/")) or path == "..":
                raise UsageError(f"{GRAPH_FILE}: stage '{stage.name}': outs: {out} is not inside the project")
            for other in _with_folders(path):
                if makers.get(other, stage.name) != stage.name:
                    raise UsageError(f"{GRAPH_FILE}: stages '{makers[other]}' and '{stage.name}' both make {out}")
        makers |= dict.fromkeys(map(os.path.normpath, stage.outs), stage.name)
    for stage in stages:
        for out in stage.outs:
            above = _with_folders(os.path.normpath(out))[1:]
            maker = next((makers[path] for path in above if path in makers), stage.name)
            if maker != stage.name:
                raise UsageError(f"{GRAPH_FILE}: stages '{maker}' and '{stage.name}' both make {out}")


def _check_roles(stages: Sequence[Stage]) -> None:
    makers: dict[str, str] = {}
    for stage in stages:
        for role in stage.makes:
            where = f"{GRAPH_FILE}: stage '{stage.name}': meta.makes"
            if role not in ROLES:
                raise UsageError(f"{where}: unknown role '{role}'{nearest(role, ROLES)}")
            if role in makers:
                raise UsageError(f"{where}: stage '{makers[role]}' makes the {role} already")
            makers[role] = stage.name


def _check_warm(stages: Sequence[Stage]) -> None:
    """Raise UsageError for a later stage that is not there, and for a library that is the project's own code."""
    names = [stage.name for stage in stages]
    for stage in stages:
        for library in (*stage.warm.libraries, *stage.warm.optional):
            if library.partition(".")[0] == _CODE:
                where = f"{GRAPH_FILE}: stage '{stage.name}': meta.warm"
                raise UsageError(f"{where}: {library} is the project's own code, which each stage imports as it stands")
        if stage.warm.ahead is not None and stage.warm.ahead not in names:
            where = f"{GRAPH_FILE}: stage '{stage.name}': meta.warm.ahead"
            raise UsageError(f"{where}: no stage '{stage.warm.ahead:.80}'{nearest(stage.warm.ahead, names)}")


def _params(stage: str, entry: str | Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    """Return the file and the keys of an entry under `params`: `seed`, or `{reports/recipe.json: [seed, train]}`.

    `{params.yaml: null}` is all of the file's values, by which DVC compares it then: they have no key of their own.
    """
    if isinstance(entry, str):
        return PARAMS_FILE, [entry]
    file, keys = next(iter(entry.items()))
    if keys is None and file != PARAMS_FILE:
        raise UsageError(f"{GRAPH_FILE}: stage '{stage}': params: name the keys of {file} that the stage may read")
    keys = keys or ()
    return str(file), [keys] if isinstance(keys, str) else [str(key) for key in keys]


def resolve(text: str, params: Mapping[str, Any] | None) -> str:
    """Replace `${data.path}` with the recipe's value, as DVC's templating does; raise UsageError if it has none."""
    if params is None:
        return text

    def value(match: re.Match[str]) -> str:
        found: Any = params
        for part in match[1].split("."):
            if not isinstance(found, Mapping) or part not in found:
                raise UsageError(f"{GRAPH_FILE}: ${{{match[1]}}} is not in {PARAMS_FILE}")
            found = found[part]
        return str(found)

    return _REFERENCE.sub(value, text)


def covers(declared: str, path: str) -> bool:
    """Return whether a declared file or folder is, or contains, a path: both relative to the root, or both absolute."""
    return path == declared or path.startswith(declared.rstrip("/") + "/")


def _with_folders(path: str) -> list[str]:
    """Return a path and every folder above it."""
    parts = path.rstrip("/").split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _name(entry: str | Mapping[str, Any]) -> str:
    return entry if isinstance(entry, str) else str(next(iter(entry)))


def _parent_names(stages: Sequence[Stage]) -> dict[str, frozenset[str]]:
    # Indexed by path and by each folder above it, not every dep compared with every out: Airflow runs this every parse.
    writers_within: dict[str, set[str]] = {}  # path → the stages that write it, or something in it
    writers: dict[str, set[str]] = {}  # path → the stages that write exactly it
    for stage in stages:
        for out in stage.outs:
            writers.setdefault(out.rstrip("/"), set()).add(stage.name)
            for path in _with_folders(out):
                writers_within.setdefault(path, set()).add(stage.name)
    found = {}
    for stage in stages:
        names: set[str] = set()
        for dep in (*stage.deps, *stage.param_files):  # DVC, too, waits for whoever writes a parameter file
            names |= writers_within.get(dep.rstrip("/"), set())
            for folder in _with_folders(dep):
                names |= writers.get(folder, set())
        found[stage.name] = frozenset(names - {stage.name})
    return found


def _in_order(stages: Sequence[Stage], parent_names: Mapping[str, frozenset[str]]) -> tuple[Stage, ...]:
    ordered, placed = list[Stage](), set[str]()
    while len(ordered) < len(stages):
        ready = next((s for s in stages if s.name not in placed and parent_names[s.name] <= placed), None)
        if ready is None:
            rest = ", ".join(s.name for s in stages if s.name not in placed)
            raise UsageError(f"{GRAPH_FILE}: these stages wait for each other in a circle: {rest}")
        ordered.append(ready)  # one at a time, so that stages keep the order of dvc.yaml where edges allow it
        placed.add(ready.name)
    return tuple(ordered)
