"""The defaults that stand in a class of settings, and the same source with another default: by its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WORDS = "other words"


@dataclass(frozen=True)
class Default:
    """A default in a file: the class and the field that have it, and where its expression begins and ends there."""

    kind: str
    field: str
    node: ast.expr

    def replaced(self, text: str, expression: str) -> str:
        """Return the file's text with another expression in the default's place."""
        lines = text.splitlines(keepends=True)
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line.encode()))
        content = text.encode()
        assert self.node.end_lineno is not None
        assert self.node.end_col_offset is not None
        begin = starts[self.node.lineno - 1] + self.node.col_offset
        end = starts[self.node.end_lineno - 1] + self.node.end_col_offset
        return (content[:begin] + expression.encode() + content[end:]).decode()


def defaults_in(file: Path) -> Iterator[Default]:
    """Yield every default of the classes in a file; groups, made by a class, have theirs in that class."""
    for kind in ast.parse(file.read_text()).body:
        if not isinstance(kind, ast.ClassDef):
            continue
        for line in kind.body:
            if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name) or line.value is None:
                continue
            if (node := _default(line.value)) is not None:
                yield Default(kind.name, line.target.id, node)


def _default(value: ast.expr) -> ast.expr | None:
    if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "Field"):
        return value
    by_name = {keyword.arg: keyword.value for keyword in value.keywords}
    if "default" in by_name:
        return by_name["default"]
    factory = by_name.get("default_factory")
    return factory if isinstance(factory, ast.Name) and factory.id == "dict" else None


def with_other_words(text: str) -> str:
    """Return Python source with other docstrings, descriptions and comments, and the same code."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Expr(ast.Constant(_WORDS))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Field":
            for keyword in node.keywords:
                if keyword.arg == "description":
                    keyword.value = ast.Constant(_WORDS)
    return "# a comment\n" + ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def literal(value: Any) -> str:
    """Return the expression of a plain value as a default: a choice by its name, a list as a tuple."""
    if isinstance(value, list):
        return repr(tuple(value))
    return f"lambda: {value!r}" if isinstance(value, dict) else repr(value)
