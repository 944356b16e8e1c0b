"""The ledger of a model's verdicts: lines that are added, never changed, each with the digest of the one before.

A line is a tag of the registered model, `ratchet.ledger.<number>.<digest's beginning>`: so it lives in whatever store
MLflow has, and moves with it. MLflow writes a tag whatever was there, but two machines never write the same one. Both
lines of two that write at once follow the same line; the next one follows both.

A line that does not have its digest, that follows one which is not there, that names another model, or to which a
version's tag points in vain: then the ledger is not whole, and nothing is read from it. Who may write to the registry
can make it up anew from its first line; against that helps only a copy elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.errors import DataError
from pipeline.records.ledger import LedgerLine
from pipeline.records.verdict import Verdict
from pipeline.registry.actor import Actor
from pipeline.registry.commands import RESTORE, promote_command
from pipeline.registry.reader import Reader
from pipeline.registry.versions import LEDGER, Version

_LINE = LEDGER + "."
_DIGITS = 6  # more follow a line of more
_DIGEST = slice(len("sha256:"), len("sha256:") + 16)


def read(reader: Reader, name: str) -> list[LedgerLine]:
    """Return a model's lines, oldest first. Raises DataError if they are not all there as they were written."""
    versions = reader.versions(name)  # first: a line that another machine's version names was there before it
    lines = in_tags(name, reader.model_tags(name))
    known = {line_tag(line): line for line in lines}
    for version in versions:
        named = version.tags.get(LEDGER)
        if named is not None and (named not in known or known[named].candidate != version.digest):
            raise _not_whole(name, f"v{version.version} was published by line {named[:80]}, which is not there")
    return lines


def in_tags(name: str, tags: Mapping[str, str]) -> list[LedgerLine]:
    """Return the lines among the tags of a registered model, oldest first; errors as `read`."""
    lines = [_parsed(name, key, text) for key, text in tags.items() if key.startswith(_LINE)]
    numbers = {line.digest: line.number for line in lines}
    for line in lines:
        gone = [digest for digest in line.before if digest not in numbers]
        if gone:
            raise _not_whole(name, f"line {line.number} follows {gone[0]:.80}, which is not there")
        if line.number != 1 + max((numbers[digest] for digest in line.before), default=0):
            raise _not_whole(name, f"line {line.number} does not follow the one before it")
    return sorted(lines, key=lambda line: (line.number, line.digest))


def find(lines: Iterable[LedgerLine], verdict: Verdict) -> LedgerLine | None:
    """Return the first line that holds a verdict."""
    judged = _line(verdict).judged
    return next((line for line in lines if line.judged == judged), None)


def another(lines: Iterable[LedgerLine], verdict: Verdict) -> LedgerLine | None:
    """Return the first line that holds another verdict on the same models, test rows and rule."""
    given = _line(verdict)
    return next((line for line in lines if line.contradicts(given)), None)


def require_no_other(lines: Iterable[LedgerLine], name: str, verdict: Verdict, own: Version | None) -> None:
    """Raise DataError if a line holds another verdict on the same models, test rows and rule.

    A verdict is a function of those, so one of the two is not true, and no one here knows which. `own` is the version
    that holds the candidate.
    """
    given, other = _line(verdict), another(lines, verdict)
    if other is not None:
        way_out = (
            f"{promote_command(own.version)} overrules both" if own else "another rule or other test rows may decide it"
        )
        raise DataError(
            f"model registry: the verdict ({_in_words(given)}) contradicts line {other.number} of the ledger of {name} "
            f"({_in_words(other)}) on the same models, rows and rule; run again; if both stay, {way_out}"
        )


def _in_words(line: LedgerLine) -> str:
    counts = [
        f"{beside.won} won, {beside.lost} lost" for beside in (line.against_champion, line.against_anchor) if beside
    ]
    moves = ["moves the anchor"] if line.moves_anchor else []
    return ", ".join([line.outcome, *dict.fromkeys(counts), *moves])


def is_recorded(version: Version, verdict: Verdict, tags: Mapping[str, str]) -> bool:
    """Return whether a line holds a verdict, and its candidate's version names that line, or a later one.

    Of the tags of the registered model, only lines that name the candidate are looked at: who adds one reads them all.
    """
    about = {key: text for key, text in tags.items() if key.startswith(_LINE) and verdict.candidate in text}
    line = find((_parsed(version.name, key, text) for key, text in about.items()), verdict)
    return line is not None and is_on_line(version, line)


def line_after(lines: Sequence[LedgerLine], name: str, verdict: Verdict, actor: Actor) -> LedgerLine:
    """Return the line that holds a verdict, after those there are."""
    followed = {digest for line in lines for digest in line.before}
    last = [line for line in lines if line.digest not in followed]
    return LedgerLine.of(
        verdict,
        name=name,
        number=1 + max((line.number for line in last), default=0),
        before=tuple(line.digest for line in last),
        by=actor.by,
        at_utc=actor.at_utc,
    )


def write(client: Any, line: LedgerLine) -> None:
    """Add a line, once; what MLflow's `client` raises is the caller's to name."""
    client.set_registered_model_tag(line.name, _key(line), json.dumps(line.to_json(), ensure_ascii=False))


def line_tag(line: LedgerLine) -> str:
    """Return a line's number and digest, as the tag of the version that it is about."""
    return f"{line.number} {line.digest}"


def is_on_line(version: Version, line: LedgerLine) -> bool:
    """Return whether a version's tag names this line, or a later one."""
    number = version.tags.get(LEDGER, "").partition(" ")[0]
    return number.isdecimal() and int(number) >= line.number


def verdicts_given(lines: Iterable[LedgerLine], verdict: Verdict) -> int:
    """Return how many verdicts, each counted once, were given against this one's anchor, on whatever test rows."""
    own = _line(verdict)
    return len({line.judged for line in lines if line.anchor == own.anchor})


def verdicts_on_rows(lines: Iterable[LedgerLine], verdict: Verdict) -> int:
    """Return how many verdicts, each counted once, were given on this one's very test rows, against whatever anchor."""
    return len({line.judged for line in lines if line.test == verdict.test_digest})


def _line(verdict: Verdict) -> LedgerLine:
    return LedgerLine.of(verdict, name="", number=0, before=(), by="", at_utc="")


def _key(line: LedgerLine) -> str:
    return f"{_LINE}{line.number:0{_DIGITS}d}.{line.digest[_DIGEST]}"


def _parsed(name: str, key: str, text: str) -> LedgerLine:
    where = f"tag {key[:80]} of {name}"
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _not_whole(name, f"{where} is not JSON") from error
    line = LedgerLine.from_json(values, f"{_closed(name)}: {where}", way_out=RESTORE)
    if _key(line) != key:
        raise _not_whole(name, f"{where} does not have the digest it was written with")
    if line.name != name:
        raise _not_whole(name, f"{where} is of another model: {line.name:.80}")
    return line


def _not_whole(name: str, why: str) -> DataError:
    return DataError(f"{_closed(name)}: {why}; {RESTORE}")


def _closed(name: str) -> str:
    return f"model registry: the ledger of {name} is not whole, so nothing is promoted by it"
