"""The changes that make a mutant, and those that make none."""

from __future__ import annotations

import ast

import pytest

from tests.mutants.mutating import changes, diff, is_mutant


def mutants(code: str) -> set[str]:
    """All mutants of some code."""
    return {changed for change in changes(code) if is_mutant(code, changed := change.of(code))}


@pytest.mark.parametrize(
    ("code", "among_them"),
    [
        ("a < b", "a <= b"),
        ("x = a - b", "x = a + b"),
        ("if a:\n    b()", "if not a:\n    b()"),
        ("x = f(a, 2)", "x = f(a, 3)"),
        ("x = f(a, b=2)", "x = f(a)"),
        (
            "try:\n    a()\nexcept b.c:\n    d()\nexcept e:\n    pass",
            "try:\n    a()\nexcept b.c:\n    d()\nexcept CosmicRayTestingException:\n    pass",
        ),
        ("x = f(b=2, c=3)", "x = f(c=3)"),
        ("x = f(b=2)", "x = f()"),
        ("x = [a, b, c]", "x = [b, c]"),
        ("x = [a, b, c]", "x = [a, b]"),
        ("x = {'ä': 1, 'b': c}", "x = {'ä': 1}"),
        ("f(x)", "pass"),
        ("def f():\n    raise x", "def f():\n    pass"),
        ("a.b = c", "pass"),
        ("a += b", "pass"),
        ("@wraps\ndef f(): return 1", "def f(): return 1"),
    ],
)
def test_a_fault_is_one_small_change(code: str, among_them: str) -> None:
    assert ast.dump(ast.parse(among_them)) in {ast.dump(ast.parse(mutant)) for mutant in mutants(code)}


@pytest.mark.parametrize(
    "code",
    [
        "def f(a: int | None) -> int | None:\n    '''Words: 1 + 1.'''",
        "if TYPE_CHECKING:\n    from a import b",
        "class A:\n    x: int | None",
        "class A(NamedTuple):\n    x: dict[str, int]",
        "class A(Protocol):\n    def f(self) -> int: return 1",
        "__all__ = ['a', 'b']",
        "x: int | None = a",
        "def f():\n    return None",
        "x = a",
        "from a import b, c",
        "def f(a, *, b=c): pass",
        "x = Field(description='how many')",
        "x = zip(a, b, strict=True)",
        "@dataclass(frozen=True)\nclass A:\n    'Words.'",
    ],
)
def test_what_no_test_can_see_has_no_mutant_but_a_decorator_that_is_gone(code: str) -> None:
    assert {mutant for mutant in mutants(code) if "@" in mutant or "@" not in code} == set()


def test_annotations_that_are_read_when_the_class_is_made_have_mutants() -> None:
    found = mutants("class A(Settings):\n    x: Annotated[int, Field(gt=0, lt=5)]")
    assert "class A(Settings):\n    x: Annotated[int, Field(gt=0)]" in found
    assert "class A(Settings):\n    x: Annotated[int, Field(gt=0, lt= 6)]" in found


def test_arithmetic_stays_arithmetic() -> None:
    assert not any(operator in mutant for mutant in mutants("x = a - b") for operator in ("<<", ">>", "|", "&", "^"))
    assert "x = a | b" in mutants("x = a & b")


def test_a_diff_has_the_lines_that_differ_without_their_indentation() -> None:
    assert diff("a\n    b\nc\n", "a\n    d\nc\n") == "- b\n+ d"
