"""Texts: words or characters, as padded numbers of a vocabulary, or as TF-IDF.

Recipe: `data: {features: {body: {kind: text, settings: {tokens: words, ngrams: [1, 2], most: 20000}}}}`.

A source delivers, for a feature `body`, a column `body`: the text as it stands there; null is missing. Clean rows hold
it in Unicode's form NFC, so that one text has one form, and equal rows are found by that. Served models are given NFC
too: no operation of TensorFlow makes it.

What is learned is the vocabulary: the terms that occur in most texts of the training part, and in how many. A prepared
text is `[length] int32` (0 is padding, 1 a term that is not in the vocabulary, 2 the first of it …), of which the
beginning is kept, or `[most] float32`: each term's TF-IDF, all 0 if it has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from pipeline.data.feature_kinds import Examined
    from pipeline.data.term_counts import TermCounts
    from pipeline.records.feature import FeatureSpec
    from pipeline.storage.shards import Columns

MISSING = "missing value"
NOT_UNICODE = "not Unicode"
TOO_LONG = "text too long"
EMPTY_TEXT = "empty text"
REASONS = (MISSING, NOT_UNICODE, TOO_LONG, EMPTY_TEXT)
UNKNOWN, FIRST = 1, 2  # numbers of a term that is not in the vocabulary, and of the first that is
_TYPICAL_BYTES = 4096  # of a clean text: some are longer, most are shorter


class Settings(Base):
    """Its settings in the recipe."""

    column: str | None = Field(
        default=None, min_length=1, max_length=1000, description="column of the source; null: called as the feature"
    )
    tokens: Literal["words", "characters"] = Field(default="words", description="what a text is made of")
    ngrams: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field(
        default=(1,), strict=False, min_length=1, max_length=5, description="tokens that follow each other in a term"
    )
    lowercase: bool = Field(default=True, description="whether capital letters are small ones")
    most: int = Field(default=20_000, ge=1, le=200_000, description="terms of the vocabulary at most")
    at_least: int = Field(default=2, ge=1, le=1_000_000, description="training texts that hold a term, at the least")
    form: Literal["ids", "tfidf"] = Field(
        default="ids", description="ids: the terms in their order, as numbers; tfidf: a weight for each of `most` terms"
    )
    length: int = Field(
        default=200, ge=1, le=10_000, description="terms that are kept of a text's beginning, in form ids"
    )
    missing: Literal["reject", "empty"] = Field(
        default="reject", description="a text that is missing, or empty: its row is rejected, or it has no term"
    )
    largest_characters: int = Field(
        default=1_000_000, ge=1, le=100_000_000, description="characters above which a text is rejected"
    )

    @field_validator("ngrams")
    @classmethod
    def _rises(cls, ngrams: tuple[int, ...]) -> tuple[int, ...]:
        if list(ngrams) != sorted(set(ngrams)):
            raise ValueError(f"must rise, each number once, like {sorted(set(ngrams))}")
        return ngrams


def raw_columns(name: str) -> dict[str, str]:
    """Return the column that a source delivers, with its Arrow type."""
    return {name: "string"}


def clean_columns(spec: FeatureSpec) -> dict[str, pa.DataType]:
    """Return the column of texts in form NFC; null is missing."""
    import pyarrow as pa

    return {spec.name: pa.string()}


def facts(name: str) -> dict[str, str]:
    """Return what stands beside a prepared text: how many terms it has, in form tfidf different ones."""
    return {f"{name}_tokens": "int32"}


def shape(settings: Settings) -> tuple[int, ...]:
    """Return the shape of a prepared text."""
    return (settings.length,) if settings.form == "ids" else (settings.most,)


def spec(name: str, settings: Settings) -> FeatureSpec:
    """Return the feature as it is prepared, not fitted yet."""
    from pipeline.records.feature import FeatureSpec

    return FeatureSpec(
        name=name,
        kind="text",
        dtype="int32" if settings.form == "ids" else "float32",
        shape=shape(settings),
        settings=settings.model_dump(mode="json"),
        facts=facts(name),
    )


def largest_size(settings: Settings) -> int:
    """Return how many numbers there may be in a prepared text of form ids: padding, unknown, and the vocabulary."""
    return settings.most + FIRST


def working_bytes(spec: FeatureSpec) -> int:
    """Return the bytes of a prepared text and of a clean one of usual length."""
    return spec.size_bytes + _TYPICAL_BYTES


def raw_digests(spec: FeatureSpec, rows: pa.Table) -> list[str]:
    """Return the digest of each text as it was delivered, `[row]`."""
    return [_digest(content) for content in _contents(rows[spec.name])]


def examine(spec: FeatureSpec, rows: pa.Table, digests: Sequence[str]) -> Examined:  # noqa: ARG001 - NFC has its own
    """Return why each text is unusable, the digest of its form NFC, and that form."""
    import unicodedata

    import numpy as np
    import pyarrow as pa

    from pipeline.data.feature_kinds import Examined

    settings = spec.settings
    reasons, details = np.full((2, rows.num_rows), None, np.object_)
    texts: list[str | None] = []
    for row, content in enumerate(_contents(rows[spec.name])):
        text = None
        if content is not None:
            try:
                text = str(content, "utf-8")
            except UnicodeDecodeError as error:
                reasons[row], details[row] = NOT_UNICODE, f"byte {error.start}: {error.reason}"
        elif settings["missing"] == "reject":
            reasons[row] = MISSING
        if text is not None and len(text) > settings["largest_characters"]:
            reasons[row] = TOO_LONG
            details[row] = f"{len(text)} characters, above {settings['largest_characters']}"
            text = None
        texts.append(text if text is None or text.isascii() else unicodedata.normalize("NFC", text))
    if settings["missing"] == "reject":
        for row in _without_tokens(spec, texts):
            reasons[row] = EMPTY_TEXT
            details[row] = f"no {settings['tokens'].removesuffix('s')} in it"
    held = [_digest(None if text is None else text.encode()) for text in texts]
    return Examined(reasons, details, held, {spec.name: pa.array(texts, pa.string())})


def learn(spec: FeatureSpec, rows: pa.Table) -> TermCounts:
    """Return in how many of these clean texts each term occurs; a missing text is one without terms."""
    from pipeline.data.characters import rule, table
    from pipeline.data.term_counts import TermCounts
    from pipeline.data.tokens import terms

    settings = spec.settings
    characters = table(rule(settings["tokens"], lowercase=settings["lowercase"]))
    return TermCounts.of(terms(_texts(spec, rows), characters, settings["tokens"], settings["ngrams"]))


def joined(spec: FeatureSpec, partials: Sequence[TermCounts]) -> TermCounts:  # noqa: ARG001 - as kinds are asked
    """Return the counts of several pieces together."""
    from pipeline.data.term_counts import TermCounts

    return TermCounts.total(partials)


def summary(spec: FeatureSpec, partials: Sequence[TermCounts]) -> dict[str, Any]:
    """Return how long the texts of the training part are, and the terms that occur in most of them."""
    from pipeline.data.column_summaries import of_texts
    from pipeline.data.term_counts import TermCounts

    fitted, settings = spec.fitted or {}, spec.settings
    is_words = settings["tokens"] == "words" and list(settings["ngrams"]) == [1]
    term = "word" if is_words else "term"
    return of_texts(TermCounts.total(partials).lengths, fitted["vocabulary"], fitted["frequencies"], term)


def fit(spec: FeatureSpec, partials: Sequence[TermCounts]) -> dict[str, Any]:
    """Return the vocabulary, in how many of how many documents each term occurs, and what becomes of characters.

    In form tfidf also the weight of each term. Raises DataError if no term occurs often enough.
    """
    from pipeline.data.characters import rule
    from pipeline.data.term_counts import TermCounts
    from pipeline.data.tf_idf import inverse_frequencies
    from pipeline.errors import DataError

    settings, total = spec.settings, TermCounts.total(partials)
    vocabulary = total.vocabulary(settings["most"], settings["at_least"])
    if not vocabulary:
        raise DataError(
            f"data.features.{spec.name}: no term occurs in {settings['at_least']} of the {total.documents} training "
            f"texts; lower data.features.{spec.name}.settings.at_least"
        )
    frequencies = [total.terms[term] for term in vocabulary]
    fitted = {
        "vocabulary": vocabulary,
        "frequencies": frequencies,
        "documents": total.documents,
        "characters": rule(settings["tokens"], lowercase=settings["lowercase"]),
    }
    if settings["form"] == "tfidf":
        fitted["weights"] = inverse_frequencies(total.documents, frequencies)
    return fitted


def prepare(spec: FeatureSpec, rows: pa.Table) -> npt.NDArray[Any]:
    """Return the texts of clean rows, `[row, length] int32` or `[row, most] float32`, by a fitted feature."""
    import numpy as np

    from pipeline.data.characters import table
    from pipeline.data.tf_idf import weighted
    from pipeline.data.tokens import terms
    from pipeline.errors import Bug

    if spec.fitted is None:
        raise Bug(f"feature {spec.name}: prepared before it was fitted")
    settings, fitted, is_ids = spec.settings, spec.fitted, spec.dtype == "int32"
    [width] = spec.shape
    found = terms(
        _texts(spec, rows),
        table(fitted["characters"]),
        settings["tokens"],
        settings["ngrams"],
        at_most=width if is_ids else None,
    )
    if is_ids:
        number = {term: id_ for id_, term in enumerate(fitted["vocabulary"], start=FIRST)}
        return _padded([[number.get(term, UNKNOWN) for term in of_row] for of_row in found], width)
    place = {term: number for number, term in enumerate(fitted["vocabulary"])}
    known = [[place[term] for term in of_row if term in place] for of_row in found]
    return weighted(known, np.array(fitted["weights"]), width)


def describe(spec: FeatureSpec, values: npt.NDArray[Any]) -> tuple[Columns, None]:
    """Return how many terms each prepared text has."""
    import numpy as np

    [name] = spec.facts
    return {name: np.count_nonzero(values, axis=1).astype(np.int32)}, None


def _padded(rows: Sequence[Sequence[int]], width: int) -> npt.NDArray[np.int32]:
    from itertools import chain

    import numpy as np

    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    padded = np.zeros((len(rows), width), np.int32)
    padded[np.arange(width) < lengths[:, None]] = np.fromiter(chain.from_iterable(rows), np.int32, int(lengths.sum()))
    return padded


def _contents(column: pa.ChunkedArray) -> list[bytes | None]:
    """Return the bytes of each text: whatever they are, if a source has not looked."""
    import pyarrow as pa

    contents: list[bytes | None] = column.cast(pa.binary()).to_pylist()
    return contents


def _texts(spec: FeatureSpec, rows: pa.Table) -> list[str]:
    texts: list[str] = rows[spec.name].fill_null("").to_pylist()
    return texts


def _digest(content: bytes | None) -> str:
    from hashlib import sha256

    return sha256(b"" if content is None else b"=" + content).hexdigest()


def _without_tokens(spec: FeatureSpec, texts: Sequence[str | None]) -> list[int]:
    """Return the rows of the texts, of those that there are, that hold no token."""
    from pipeline.data.characters import read, rule, table

    there = [(row, text) for row, text in enumerate(texts) if text is not None]
    characters = table(rule(spec.settings["tokens"], lowercase=spec.settings["lowercase"]))
    found = read([text for _, text in there], characters)
    return [row for (row, _), text in zip(there, found, strict=True) if not text.strip()]
