"""The digest of a slot's file: of what it does, not of what it says about it."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path
from typing import Any


def code_digest(file: Path) -> str:
    """Return `sha256:<hex>` of what a member's file does: comments, docstrings and descriptions make no difference."""
    tree = _WithoutWords().visit(ast.parse(file.read_bytes(), str(file)))
    return "sha256:" + hashlib.sha256(ast.dump(tree).encode()).hexdigest()


class _WithoutWords(ast.NodeTransformer):
    """Takes docstrings, and the descriptions of fields, out of a syntax tree."""

    def _without_docstring(self, node: Any) -> Any:
        self.generic_visit(node)
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _without_docstring  # noqa: N815

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "Field":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
        return node
