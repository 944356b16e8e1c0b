"""Reads a dictionary of lists, texts and NumPy arrays of bytes out of a pickle, and executes nothing.

A pickle is a program; `pickle.load` would run whatever it says. Here a list of its instructions is allowed, those in
which the Python batches of CIFAR are written (https://www.cs.toronto.edu/~kriz/cifar.html; protocols 2 to 4), and the
names that they may use are held against a list and never looked up: an array becomes its shape and its bytes.

Only texts are hashed: a tuple in tuples takes Python's stack, or 2ⁿ steps where each holds the one before twice, and
whole numbers can be chosen to collide. Bytes that are made of texts are not more than the pickle has.
"""

from __future__ import annotations

import math
import pickletools
from typing import Any, NamedTuple

from pipeline.errors import DataError

_MOST_INSTRUCTIONS = 10_000_000
_MOST_KEYS = 100
_LONGEST_TEXT = 1000
_MOST_SIDES = 64  # of an array: as many as NumPy's have
_RECONSTRUCT = {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")}
_NDARRAY, _DTYPE, _ENCODE = ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")
_NAMES = _RECONSTRUCT | {_NDARRAY, _DTYPE, _ENCODE}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_ARGUMENTS = {"BININT", "BININT1", "BININT2", "LONG1", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
              "BINUNICODE", "SHORT_BINUNICODE"}  # fmt: skip
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_FILLING = {"APPEND": 1, "APPENDS": None, "SETITEM": 2, "SETITEMS": None}


class Bytes(NamedTuple):
    """An array of unsigned bytes: its shape, and its values in row-major order."""

    shape: tuple[int, ...]
    content: bytes


class _Name(NamedTuple):
    module: str
    name: str


class _Reduced:
    """What a name was called with, and the state that it was given after that: an array or its type."""

    def __init__(self, name: _Name, arguments: tuple[Any, ...]) -> None:
        self.name, self.arguments = name, arguments
        self.state: Any = None


_MARK = object()


def read_dictionary(content: bytes, where: str) -> dict[str, Any]:
    """Return the dictionary that a pickle holds: texts (keys too), whole numbers, lists and `Bytes`.

    Raises DataError for whatever else it holds, or if it is damaged.
    """
    try:
        return _plain_dictionary(_run(content, where))
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise DataError(f"{where}: no whole Python batch: {type(error).__name__}: {error!s:.100}") from error


def _run(content: bytes, where: str) -> Any:
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    encoded = 0
    for number, (code, argument, _) in enumerate(pickletools.genops(content)):
        name = code.name
        if number > _MOST_INSTRUCTIONS:
            raise DataError(f"{where}: more than {_MOST_INSTRUCTIONS} instructions")
        if name in _ARGUMENTS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "STOP":
            return stack.pop()
        elif name not in ("PROTO", "FRAME"):
            _build(stack, name, argument, where)
            if name == "REDUCE" and isinstance(stack[-1], bytes):
                encoded += len(stack[-1])
                if encoded > len(content):
                    raise ValueError("makes more bytes of texts than it has")
    raise ValueError("it has no end")


def _build(stack: list[Any], name: str, argument: Any, where: str) -> None:
    """Carry out an instruction that takes from the stack what it makes something of."""
    if name == "MARK":
        stack.append(_MARK)
    elif name == "EMPTY_DICT":
        stack.append({})
    elif name == "EMPTY_LIST":
        stack.append([])
    elif name in _TUPLES:
        count = _TUPLES[name]
        taken = tuple(stack[len(stack) - count :])
        if len(taken) != count:
            raise IndexError("its stack is empty")
        del stack[len(stack) - count :]
        stack.append(taken)
    elif name == "TUPLE":
        stack.append(tuple(_since_mark(stack)))
    elif name in _FILLING:
        _fill(stack, name)
    elif name in ("GLOBAL", "STACK_GLOBAL"):
        second, first = (stack.pop(), stack.pop()) if name == "STACK_GLOBAL" else reversed(argument.split(" ", 1))
        stack.append(_allowed(first, second, where))
    elif name == "REDUCE":
        arguments, called = stack.pop(), stack.pop()
        stack.append(_called(called, arguments))
    elif name == "BUILD":
        state = stack.pop()
        _of_type(stack, _Reduced).state = state
    else:
        raise DataError(f"{where}: refused: instruction {name}; a Python batch has no need of it")


def _allowed(first: Any, second: Any, where: str) -> _Name:
    if not isinstance(first, str) or not isinstance(second, str):
        raise TypeError("something is named that is no text")
    if (first, second) not in _NAMES:
        raise DataError(f"{where}: refused: it would call {first!s:.80}.{second!s:.80}; a Python batch has no need to")
    return _Name(first, second)


def _fill(stack: list[Any], name: str) -> None:
    """Put the values on top of the stack into the list or dictionary below them."""
    count = _FILLING[name]
    values = _since_mark(stack) if count is None else stack[len(stack) - count :]
    if count is not None:
        del stack[len(stack) - count :]
    if name.startswith("APPEND"):
        _of_type(stack, list).extend(values)
        return
    filled = _of_type(stack, dict)
    if not all(type(key) in (str, bytes) for key in values[::2]):
        raise TypeError("a key that is no text")
    filled.update(zip(values[::2], values[1::2], strict=True))


def _since_mark(stack: list[Any]) -> list[Any]:
    place = len(stack) - 1
    while stack[place] is not _MARK:
        if place <= 0:
            raise IndexError("a mark is missing")
        place -= 1
    taken = stack[place + 1 :]
    del stack[place:]
    return taken


def _of_type(stack: list[Any], kind: type) -> Any:
    if not isinstance(stack[-1], kind):
        raise TypeError(f"a {kind.__name__} is missing")
    return stack[-1]


def _called(name: Any, arguments: Any) -> Any:
    if not isinstance(name, _Name) or not isinstance(arguments, tuple):
        raise TypeError("something is called that is no name")
    if name == _ENCODE:  # how Python 3 writes bytes by protocol 2
        text, encoding = arguments
        if encoding != "latin1":
            raise ValueError("bytes of another encoding than latin1")
        return text.encode("latin-1")
    return _Reduced(name, arguments)


def _plain_dictionary(value: Any) -> dict[str, Any]:
    """Return what was read in plain types. What stands in it many times is made plain once: nothing multiplies."""
    if not isinstance(value, dict) or len(value) > _MOST_KEYS:
        raise ValueError(f"holds a {type(value).__name__}, expected a dictionary of at most {_MOST_KEYS} keys")
    made: dict[int, Any] = {}
    found = {}
    for key, each in value.items():
        if id(each) not in made:
            made[id(each)] = _plain(each)
        found[str(_scalar(key))] = made[id(each)]
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [each if type(each) is int else _scalar(each) for each in value]
    return _array(value) if isinstance(value, _Reduced) and value.name in _RECONSTRUCT else _scalar(value)


def _scalar(value: Any) -> str | int | None:
    if value is not None and not isinstance(value, str | bytes | int):
        raise ValueError(f"holds a {type(value).__name__}")
    if isinstance(value, str | bytes) and len(value) > _LONGEST_TEXT:
        raise ValueError(f"holds a text of {len(value)} letters")
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _array(value: _Reduced) -> Bytes:
    """Return an array from the state that NumPy's `ndarray.__reduce__` writes: version, shape, type, order, bytes."""
    _, shape, kind, is_by_columns, content = value.state
    if not isinstance(kind, _Reduced) or kind.name != _DTYPE or kind.arguments[0] not in ("u1", b"u1"):
        raise ValueError("an array of something else than unsigned bytes")
    if is_by_columns or not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError("an array that is not in row-major order")
    if len(shape) > _MOST_SIDES:
        raise ValueError(f"an array of {len(shape)} sides")
    content = content.encode("latin-1") if isinstance(content, str) else content
    if not isinstance(content, bytes) or len(content) != math.prod(shape):
        raise ValueError(f"an array of {shape} without its bytes")
    return Bytes(shape, content)
