"""All mutants of a file: cosmic-ray's operators, and deletions.

cosmic-ray replaces operators, comparisons, numbers, truth values and exceptions, negates conditions, empties loops and
removes decorators. It deletes nothing, so a write that is not synced or a key that lacks an entry would go unseen: a
statement, an element of a display and a keyword argument are deleted here (Deng, Offutt and Li, "Empirical Evaluation
of the Statement Deletion Mutation Operator", ICST 2013).
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Site = tuple[int, int]  # line and column
_UNSEEN = {"dataclass": "frozen", "zip": "strict", "Field": "description"}
_BITWISE = ("LShift", "RShift", "BitOr", "BitAnd", "BitXor")


@dataclass(frozen=True)
class Change:
    """One way to change a file, at one place: what is deleted, or an operator of cosmic-ray and its occurrence."""

    site: Site
    operator: str
    occurrence: int = 0
    replaced: tuple[int, int] = (0, 0)  # from and to, in bytes
    by: str = ""

    def of(self, code: str) -> str:
        """Return the changed code."""
        if self.operator.startswith("delete"):
            content, (begin, end) = code.encode(), self.replaced
            return (content[:begin] + self.by.encode() + content[end:]).decode()
        import cosmic_ray.plugins
        from cosmic_ray.mutating import mutate_code

        changed = mutate_code(code, cosmic_ray.plugins.get_operator(self.operator)(), self.occurrence)
        assert changed is not None
        return str(changed)


def changes(code: str) -> list[Change]:
    """Return every change of a file, in the order of their places."""
    found = [*_replacements(code), *_deletions(code)]
    return sorted(found, key=lambda change: (change.site, change.operator, change.occurrence, change.replaced))


def is_mutant(code: str, changed: str) -> bool:
    """Return whether changed code is code, and means something else when it runs."""
    try:
        return _meaning(changed) != _meaning(code)
    except SyntaxError:
        return False


def diff(code: str, changed: str) -> str:
    """Return the lines that a change takes out and puts in, stripped of their indentation."""
    lines = list(difflib.unified_diff(code.splitlines(), changed.splitlines(), lineterm="", n=0))[2:]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines if line[0] in "+-" and line[1:].strip())


def _replacements(code: str) -> Iterator[Change]:
    import cosmic_ray.plugins
    from cosmic_ray.ast import ast_nodes, get_ast

    nodes = list(ast_nodes(get_ast(code)))
    for name in cosmic_ray.plugins.operator_names():
        kind = cosmic_ray.plugins.get_operator(name)
        if kind.arguments() or _mixes(name):
            continue  # the former replace a variable of a given name
        operator = kind()
        places = [(node, begin) for node in nodes for begin, _ in operator.mutation_positions(node)]
        for occurrence, (node, site) in enumerate(places):
            if not _names_no_plain_exception(node):
                yield Change(site, name, occurrence)


def _names_no_plain_exception(node: Any) -> bool:
    """Return whether a handler catches `module.Error`: cosmic-ray replaces names alone, and stops at such a one."""
    return node.type == "except_clause" and "." in node.children[1].get_code()


def _mixes(operator: str) -> bool:
    """Return whether arithmetic would become logic of bits, or the other way round: of floats that is a TypeError."""
    _, _, became = operator.partition("ReplaceBinaryOperator_")
    return len({word in _BITWISE for word in became.split("_") if became}) > 1


def _deletions(code: str) -> Iterator[Change]:
    content = code.encode()
    starts = [0, *(at + 1 for at, byte in enumerate(content) if byte == ord("\n"))]

    def begin(node: Any) -> int:
        return starts[node.lineno - 1] + int(node.col_offset)

    def end(node: Any) -> int:
        return starts[node.end_lineno - 1] + int(node.end_col_offset)

    for node in ast.walk(ast.parse(code)):
        if _is_worth_deleting(node):
            yield Change((node.lineno, node.col_offset), "delete statement", 0, (begin(node), end(node)), "pass")
        parts = _parts(node)
        for number, (first, last, can_go) in enumerate(parts):
            if not can_go:
                continue
            if number:  # with the comma before it
                span = end(parts[number - 1][1]), end(last)
            elif len(parts) > 1:  # with the comma behind it
                span = begin(first), content.index(b",", end(last)) + 1
            else:
                span = begin(first), end(last)
            yield Change((first.lineno, first.col_offset), "delete part", 0, span)


def _is_worth_deleting(node: ast.AST) -> bool:
    """Return whether a statement can go without leaving a name unbound, as any test would see."""
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant)  # a docstring
    if isinstance(node, ast.Assign):
        return not any(isinstance(target, ast.Name | ast.Tuple) for target in node.targets)
    return isinstance(node, ast.AugAssign | ast.Raise | ast.Return | ast.Assert | ast.Continue | ast.Break)


def _parts(node: ast.AST) -> list[tuple[Any, Any, bool]]:
    """Return what an expression lists: the first and the last node of each part, and whether it can be taken out."""
    if isinstance(node, ast.List | ast.Set | ast.Tuple) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return [(element, element, len(node.elts) > 1) for element in node.elts]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return [(key or value, value, key is not None and len(node.keys) > 1) for key, value in pairs]
    if isinstance(node, ast.Call):
        words = [(word, word, word.arg is not None) for word in node.keywords]
        given = [(value, value, False) for value in node.args]
        return sorted([*given, *words], key=lambda part: (part[0].lineno, part[0].col_offset))
    return []


# What a name for a type is made of, which nothing reads when it runs; not those that pydantic does read.
_OF_TYPES = ("tuple", "dict", "list", "Mapping", "Sequence", "Callable")


class _Running(ast.NodeTransformer):
    """Takes out what no test can see: what never runs, what is words, and what only guards against this code itself.

    Annotations never run, but for those that pydantic reads, nor do imports for the type checker. `__all__` and
    protocols are read by the type checker alone. A setting's description is words, as for `recipe/code_digest.py`. That
    a data class is frozen, that zip is strict, that an argument must be given by its name refuse code that is not
    there. A function that ends returns None without saying so.
    """

    def __init__(self) -> None:
        self._is_read = [False]

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        bases = [ast.unparse(base) for base in node.bases]
        if "Protocol" in bases:
            return ast.Pass()
        is_read = bool(bases) and "NamedTuple" not in bases
        return self._within(node, is_read=is_read)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        if isinstance(node.body[-1], ast.Return) and ast.dump(node.body[-1]) == ast.dump(
            ast.Return(ast.Constant(None))
        ):
            node.body[-1] = ast.Pass()
        return self._within(node, is_read=False)

    def _within(self, node: ast.AST, *, is_read: bool) -> ast.AST:
        self._is_read.append(is_read)
        self.generic_visit(node)
        self._is_read.pop()
        return node

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        self.generic_visit(node)
        node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
        node.defaults = [*node.defaults, *(default for default in node.kw_defaults if default is not None)]
        node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if not self._is_read[-1]:
            node.annotation = ast.Constant(None)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        is_for_checkers = any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
        of = node.value.value if isinstance(node.value, ast.Subscript) else None
        is_alias = isinstance(of, ast.Name) and of.id in _OF_TYPES
        return ast.Pass() if is_for_checkers or is_alias else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        unseen = _UNSEEN.get(node.func.id, "") if isinstance(node.func, ast.Name) else ""
        node.keywords = [word for word in node.keywords if word.arg != unseen]
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        return ast.Pass() if "TYPE_CHECKING" in ast.dump(node.test) else self.generic_visit(node)


def _meaning(code: str) -> str:
    return ast.dump(_Running().visit(ast.parse(code)))
