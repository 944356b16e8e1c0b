"""The form of `dvc.yaml`: which keys there are and what may stand under each, as DVC's own schema has it.

DVC checks it only when a run has begun, and says it in its own words. Source: `dvc/schema.py` of DVC 3.67.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.errors import UsageError, nearest

_FILE = "dvc.yaml"
_NAME = re.compile(r"[A-Za-z0-9_.@-]+")
_FILE_KEYS = ("stages", "params", "metrics", "plots", "artifacts", "datasets")
_OF_DVC_ALONE = {  # what DVC has besides, and what to do instead
    "vars": "write the value into params.yaml",
    "wdir": "a stage works in the project's folder; write its paths from there",
    "foreach": "write a stage for each",
    "matrix": "write a stage for each",
    "do": "write a stage for each",
}


def require_form(declared: Mapping[str, Any]) -> None:
    """Raise UsageError, naming stage and key, unless the parsed content of `dvc.yaml` has the form of a graph."""
    _require_known(declared, _FILE_KEYS, _FILE)
    for key, value in declared.items():
        if problem := _FILE_VALUES[key](value) if key in _FILE_VALUES else "":
            raise UsageError(f"{_FILE}: {key}: {problem}")
    stages = declared.get("stages")
    if not isinstance(stages, Mapping) or not stages:
        raise UsageError(f"{_FILE}: declares no stages")
    for name, body in stages.items():
        where = f"{_FILE}: stage '{name:.80}'"
        if not _NAME.fullmatch(name):
            raise UsageError(f"{where}: a stage's name is made of letters, digits and . _ @ -")
        if not isinstance(body, Mapping):
            raise UsageError(f"{where}: a group of keys is needed, with its cmd, not {_kind(body)}")
        _require_known(body, tuple(_VALUES), where)
        if "cmd" not in body:
            raise UsageError(f"{where} has no cmd")
        for key, value in body.items():
            if not (value is None and key in _MAY_BE_NOTHING) and (problem := _VALUES[key](value)):
                raise UsageError(f"{where}: {key}: {problem}")


def _require_known(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in values:
        if key in _OF_DVC_ALONE:
            raise UsageError(f"{where}: {key} is DVC's, and not used here; {_OF_DVC_ALONE[key]}")
        if key not in known:
            raise UsageError(f"{where}: unknown key '{key:.80}'{nearest(key, known)}")


def _text(value: Any) -> str:
    return "" if isinstance(value, str) else f"a text is needed, not {_kind(value)}"


def _command(value: Any) -> str:
    if isinstance(value, list):
        return "one command is needed, not a list; a second one is another stage"
    return _text(value) or ("" if value.strip() else "is empty")


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else f"true or false is needed, not {_kind(value)}"


def _group(value: Any) -> str:
    return "" if isinstance(value, Mapping) else f"a group of keys is needed, not {_kind(value)}"


def _texts(value: Any) -> str:
    return _listed(value, _text)


def _listed(value: Any, check: Callable[[Any], str]) -> str:
    """Return what is wrong with a list, or with the first wrong entry of it."""
    if not isinstance(value, list):
        return f"a list is needed, not {_kind(value)}"
    problems = ((number, check(entry)) for number, entry in enumerate(value, start=1))
    return next((f"its entry {number}: {problem}" for number, problem in problems if problem), "")


def _outs(*options: str) -> Callable[[Any], str]:
    """Return the check of a list of outputs: paths, or each `{path: {option: value}}`."""

    def entry(value: Any) -> str:
        if isinstance(value, str):
            return ""
        if not isinstance(value, Mapping) or len(value) != 1:
            return f"a path is needed, or {{path: {{option: value}}}}, not {_kind(value)}"
        [said] = value.values()
        may_be_many = isinstance(said, list) and "template" in options
        for each in said if may_be_many else [said]:
            if not isinstance(each, Mapping):
                return f"options are needed after its path, not {_kind(each)}"
            for option, given in each.items():
                if option not in options:
                    return f"unknown option '{option:.80}'{nearest(option, options)}"
                if problem := _option(option, given):
                    return f"{option}: {problem}"
        return ""

    return lambda value: _listed(value, entry)


def _params(value: Any) -> str:
    def entry(value: Any) -> str:
        if isinstance(value, str):
            return ""
        if not isinstance(value, Mapping) or len(value) != 1:
            return f"a key, or {{file: [keys]}}, not {_kind(value)}"
        [keys] = value.values()
        return "" if keys is None else _texts(keys)

    return _listed(value, entry)


def _plots_of_the_file(value: Any) -> str:
    """Check what `dvc plots` draws: files, or each `{name: {x: …, y: …}}`."""

    def entry(value: Any) -> str:
        if isinstance(value, str):
            return ""
        if not isinstance(value, Mapping) or not value:
            return f"a path is needed, or {{name: {{option: value}}}}, not {_kind(value)}"
        for said in value.values():
            if said is not None and not isinstance(said, Mapping):
                return f"options are needed after its name, not {_kind(said)}"
            for option, given in (said or {}).items():
                if option not in _PLOT_DEFINITION:
                    return f"unknown option '{option:.80}'{nearest(option, _PLOT_DEFINITION)}"
                if problem := _columns(given, option == "y") if option in ("x", "y") else _text(given):
                    return f"{option}: {problem}"
        return ""

    return _listed(value, entry)


def _columns(value: Any, may_be_many: bool) -> str:
    """Check the column that an axis shows, or `{file: column}`; of the axis y, it may be a list of columns."""
    for each in value.values() if isinstance(value, Mapping) else [value]:
        if problem := _texts(each) if may_be_many and isinstance(each, list) else _text(each):
            return problem
    return ""


def _artifacts(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _group(value)
    for name, said in value.items():
        if not isinstance(said, Mapping):
            return f"'{name:.80}': {_group(said)}"
        if "path" not in said:
            return f"'{name:.80}': has no path"
        for key, given in said.items():
            if key not in _ARTIFACT:
                return f"'{name:.80}': unknown key '{key:.80}'{nearest(key, _ARTIFACT)}"
            if problem := _option(key, given):
                return f"'{name:.80}': {key}: {problem}"
    return ""


def _kind(value: Any) -> str:
    """Return what a value is, in YAML's words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    kinds = ((str, "a text"), (int | float, "a number"), (list, "a list"), (Mapping, "a group of keys"))
    return next((word for kind, word in kinds if isinstance(value, kind)), "a date")


def _option(name: str, value: Any) -> str:
    if name in _FLAGS:
        return _flag(value)
    if name == "labels":
        return _texts(value)
    return "" if name == "meta" else _text(value)


_FLAGS = ("cache", "persist", "checkpoint", "push", "header")
_OUT_OPTIONS = ("cache", "persist", "checkpoint", "remote", "push", "desc", "type", "labels", "meta")
_PLOT_OPTIONS = ("template", "x", "y", "x_label", "y_label", "title", "header")
_PLOT_DEFINITION = ("x", "y", "x_label", "y_label", "title", "template")
_ARTIFACT = ("path", "desc", "type", "labels", "meta")
_MAY_BE_NOTHING = ("meta",)
_FILE_VALUES: Mapping[str, Callable[[Any], str]] = {
    "params": _texts,
    "metrics": _texts,
    "plots": _plots_of_the_file,
    "artifacts": _artifacts,
}
_VALUES: Mapping[str, Callable[[Any], str]] = {
    "cmd": _command,
    "deps": _texts,
    "params": _params,
    "outs": _outs(*_OUT_OPTIONS),
    "metrics": _outs(*_OUT_OPTIONS),
    "plots": _outs(*_OUT_OPTIONS, *_PLOT_OPTIONS),
    "frozen": _flag,
    "always_changed": _flag,
    "meta": _group,
    "desc": _text,
}
