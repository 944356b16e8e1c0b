"""Reads YAML as DVC reads it, under limits: no tags, no aliases, no duplicate keys."""

from __future__ import annotations

import codecs
import os
import pickle
import re
import stat
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.recipe.settings import shown

_YAML_LIMIT_BYTES = 2**20
_NOT_UTF_8 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is much faster


class _StrictLoader(_SafeLoader):  # type: ignore[misc]
    """YAML without duplicate keys and without tags of its own."""


def _construct_mapping(loader: _StrictLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            raise yaml.constructor.ConstructorError(None, None, "merge keys are not used here", key_node.start_mark)
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(
                None, None, f"key {shown(key)} is not text; quote it", key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key '{key}' appears twice", key_node.start_mark)
        seen.add(key)
    mapping: dict[Any, Any] = _SafeLoader.construct_mapping(loader, node, deep=deep)
    return mapping


_SIGNS = re.compile(rb"[&*!]")  # of an anchor, an alias, a tag
_OPENINGS = re.compile(rb"[\[{?-]")  # of each group that may stand on one line with the group it is in
_DEPTH_LIMIT = 200  # groups in groups; the C loader recurses: a hundred thousand end the process
_BEGINS = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_ENDS = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


def _construct_scalar(loader: _StrictLoader, node: yaml.ScalarNode) -> Any:
    """Return a number or a date; refuse what only looks like one (0b_, 2026-13-45), and endless numbers.

    And what is one number to us and another, or text, to DVC: 010, 1:30.
    """
    if _READ_APART.fullmatch(node.value):
        what = f"{shown(node.value)} is read in several ways; write the number plainly, or text in quotes"
        raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
    try:
        value = _SafeLoader.yaml_constructors[node.tag](loader, node)
    except (ValueError, OverflowError) as error:
        what = f"{shown(node.value)} looks like a number or a date and is none; quote it if it is text"
        raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from error
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > _LONGEST_NUMBER_BITS:
        what = f"a number of {len(node.value)} digits is too long"
        raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
    return value


def _refuse_sign(_: _StrictLoader, node: yaml.Node) -> Any:
    sign = getattr(node, "value", "")
    raise yaml.constructor.ConstructorError(None, None, f"'{sign}' has a meaning of its own; quote it", node.start_mark)


_LONGEST_NUMBER_BITS = 1024  # the range of a double
_READ_APART = re.compile(r"[-+]?(?:0[0-9_]+|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)")  # YAML 1.1 and 1.2

_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)
for _tag in ("int", "float", "timestamp"):
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct_scalar)
for _tag in ("value", "merge"):  # a plain = and a plain <<
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{_tag}", _refuse_sign)


# PyYAML follows YAML 1.1, where 1e-6 is text; DVC reads the same file by YAML 1.2, where it is a number. So do we.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parse_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping. Duplicate keys, tags, aliases, files over 1 MiB are refused.

    Raises StorageError if the file cannot be read, DataError if it is no regular file, UsageError with file and line if
    it is not such a mapping.
    """
    return parse_yaml_text(_content(path), str(path))


def _content(path: Path) -> bytes:
    """Return a file's content, of one too large only its beginning; what may never end is not read at all."""
    try:
        with open(path, "rb", opener=_without_waiting) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise DataError(f"{path}: no regular file, so it may never end; put a file in its place")
            return stream.read(_YAML_LIMIT_BYTES + 1)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error


def parse_yaml_text(text: bytes | str, where: str) -> dict[str, Any]:
    """Parse a YAML mapping from text, as `parse_yaml` does from a file."""
    value = parse_yaml_value(text, where)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{where}: must be a mapping of keys to values, not {shown(value)}")
    return value


def dump_yaml(values: Any) -> bytes:
    """Return values as YAML that YAML 1.1 and 1.2 read alike: any text that is not a plain word stands in quotes."""
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    return text.encode()


def flow_yaml(value: Any) -> str:
    """Return a value as YAML on one line, quoted as `dump_yaml` does: for a file with comments."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return text.removesuffix("...\n").rstrip("\n")


class _Dumper(yaml.SafeDumper):
    """Quotes text: unquoted, `no` and `0o17` are other values to one reader than to another."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True  # an anchor is nothing we read; a value that stands twice is written twice


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    is_plain = _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_Dumper.add_representer(str, _represent_text)


def parse_yaml_value(text: bytes | str, where: str) -> Any:
    """Parse any YAML value from text, under the same limits; raise UsageError naming the line."""
    if len(text) > _YAML_LIMIT_BYTES:
        raise UsageError(f"{where}: larger than {_YAML_LIMIT_BYTES} bytes")
    if isinstance(text, bytes) and text.startswith(_NOT_UTF_8):  # PyYAML reads it, DVC does not
        raise UsageError(f"{where}: is UTF-16, not UTF-8; save it as UTF-8 text")
    try:
        return pickle.loads(_parsed(text))  # noqa: S301 - pickled here: each reader gets values of its own
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: not UTF-8 text") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}" if mark else ""
        raise UsageError(f"{where}{line}: {error.problem or error}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{where}: not valid YAML: {getattr(error, 'reason', error)}") from error
    except RecursionError as error:
        raise UsageError(f"{where}: nested too deeply") from error


@lru_cache(maxsize=16)  # a run reads the same few files again and again: its graph, its recipe, its configs
def _parsed(text: bytes | str) -> bytes:
    """Return the value of a YAML text, pickled."""
    # Where none of these characters stands there is nothing to refuse, and a second look at the text is saved.
    content = text if isinstance(text, bytes) else text.encode(errors="replace")
    if _SIGNS.search(content) or len(_OPENINGS.findall(content)) > _DEPTH_LIMIT:
        _refuse_tokens(text)
    return pickle.dumps(yaml.load(text, Loader=_StrictLoader))  # noqa: S506 - a SafeLoader that allows less


def _refuse_tokens(text: bytes | str) -> None:
    """Raise YAML's own error for an anchor, an alias, a tag, or groups in more than `_DEPTH_LIMIT` others."""
    depth, why = 0, ""
    for token in yaml.scan(text, Loader=_StrictLoader):
        depth += isinstance(token, _BEGINS) - isinstance(token, _ENDS)
        if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
            why = "anchors and aliases are not used here"
        elif isinstance(token, yaml.TagToken):
            why = "YAML tags are not allowed; write the value plainly"
        elif depth > _DEPTH_LIMIT:
            why = "nested too deeply"
        if why:
            raise yaml.constructor.ConstructorError(None, None, why, token.start_mark)


def _without_waiting(path: str, flags: int) -> int:
    """Open a file as `open` does; a FIFO without waiting for its writer."""
    return os.open(path, flags | os.O_NONBLOCK)
