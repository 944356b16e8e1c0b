"""What a person reads out of a sentence: the commands that it names."""

from __future__ import annotations

import re

_PROMOTE = re.compile(r"`ratchet registry promote (\d+)( --anchor)? --reason \"…\"`")


def commands_in(sentence: str) -> list[tuple[str, bool]]:
    """Return the promotions by hand that a sentence names, each with whether it moves the anchor."""
    assert "`ratchet registry promote" in sentence, sentence
    found = [(number, bool(is_anchor)) for number, is_anchor in _PROMOTE.findall(sentence)]
    assert len(found) == sentence.count("`ratchet"), f"a command that nobody can run: {sentence}"
    return found
