"""The draft of a config: the recipe that was chosen, each choice with its reason beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.drafting.expectations import Expected, Section
from pipeline.recipe.strict_yaml import flow_yaml

_LINE = 110  # characters of a comment
_SUITE = "A draft of `ratchet init`, yours to edit, in Great Expectations' own suite format."
_RULES = "docs/decisions/0034-drafts.md"


@dataclass(frozen=True)
class Draft:
    """What a config is to say: `recipe` as plain values; `reasons` by dotted key, of those that need one."""

    name: str
    description: str
    recipe: Mapping[str, Any]
    reasons: Mapping[str, str]
    unsure: Sequence[str] = ()
    tags: Sequence[str] = ("images",)


def config_text(draft: Draft) -> str:
    """Return a config as YAML with comments."""
    intro = "A draft of `ratchet init`, yours to edit: nothing in it is looked up again."
    head = [
        *_comment(f"{intro} `ratchet run --config configs/{draft.name}.yaml` runs it.", 0),
        *(line for each in draft.unsure for line in _comment(f"Unsure: {each}", 0)),
        f"description: {flow_yaml(draft.description)}",
        "owner: ratchet",
        'schedule: null # UTC, as in cron: "0 2 * * *"',
        f"tags: {flow_yaml(list(draft.tags))}",
        "recipe:",
    ]
    return "\n".join([*head, *_group(draft.recipe, draft.reasons, "", 1)]) + "\n"


def suite_text(name: str, of: str, table: str, sections: Sequence[Section]) -> str:
    """Return a contract as YAML with comments; `of` is raw or prepared, `table` says what it is about."""
    lines = [
        *_comment(f"{_SUITE} The table is {table}. Bounds are what was found, widened: {_RULES} says how.", 0),
        f"name: {name}.{of}",
        "expectations:",
    ]
    for number, section in enumerate(sections):
        lines += [*([""] if number else []), f"  # {section.title}"]
        for expected in section.expectations:
            lines += _expectation(expected)
    return "\n".join(lines) + "\n"


def _expectation(expected: Expected) -> Iterator[str]:
    yield f"  - type: expect_{expected.type}"
    yield f"    kwargs: {flow_yaml(expected.kwargs)}"
    if expected.notes:
        yield f"    notes: {flow_yaml(expected.notes)}"


def _group(values: Mapping[str, Any], reasons: Mapping[str, str], above: str, depth: int) -> Iterator[str]:
    """Yield the lines of a group: what fits stands on one line, unless there is a reason to tell inside of it."""
    for name, value in values.items():
        key, indent = f"{above}{name}", "  " * depth
        if reason := reasons.get(key):
            yield from _comment(reason, depth)
        line = f"{indent}{flow_yaml(name)}: {flow_yaml(value)}"
        has_reasons = any(each.startswith(f"{key}.") for each in reasons)
        if not value or not isinstance(value, Mapping | list) or (len(line) <= _LINE and not has_reasons):
            yield line
            continue
        yield f"{indent}{flow_yaml(name)}:"
        if isinstance(value, Mapping):
            yield from _group(value, reasons, f"{key}.", depth + 1)
        else:
            yield from (f"{indent}  - {flow_yaml(each)}" for each in value)


def _comment(text: str, depth: int) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + len(word) >= _LINE - 2 * depth:
            yield f"{'  ' * depth}# {line}"
            line = ""
        line = f"{line} {word}".strip()
    yield f"{'  ' * depth}# {line}"
