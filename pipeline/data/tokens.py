"""From texts to terms: words or characters, and runs of several of them that follow each other (n-grams).

`models/tokens.py` does the same inside what is served.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pipeline.data.characters import Table, read

BETWEEN = {"words": " ", "characters": ""}  # what stands between the tokens of a term


def terms(
    texts: Sequence[str], characters: Table, tokens: str, ngrams: Sequence[int], at_most: int | None = None
) -> Iterator[list[str]]:
    """Yield the terms of each text in the order in which they begin, of those that begin together the shorter first.

    `tokens` are words, or characters: then a single blank stands for all that separates two words. `ngrams` are the
    tokens of a term, rising. Of each text are given `at_most` terms, those at its beginning, or all.
    """
    longest = ngrams[-1]
    needed = None if at_most is None else at_most + longest - 1
    for text in read(texts, characters):
        if tokens == "words":
            found = text.split() if needed is None else text.split(None, needed)[:needed]
        else:
            found = list(" ".join(text.split())[:needed])
        yield list(_grams(found, ngrams, BETWEEN[tokens]))[:at_most]


def _grams(tokens: list[str], ngrams: Sequence[int], between: str) -> Iterable[str]:
    if list(ngrams) == [1]:
        return tokens
    of_each = [list(_of_length(tokens, length, between)) for length in ngrams]
    return (run[place] for place in range(len(tokens)) for run in of_each if place < len(run))


def _of_length(tokens: list[str], length: int, between: str) -> Iterable[str]:
    if length == 1:
        return tokens
    return map(between.join, zip(*(tokens[place:] for place in range(length)), strict=False))
