"""`reports/model_card.json`, and the same beside a registered version: what people should know of a model.

All of it is text, and what stands in it may come from the data: whoever shows it escapes every text.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from pipeline.records.record import Record

CARD_FILE = "model_card.json"
CARD_PAGE = "model_card.md"


class CardTable(Record):
    """A table with a title; every row has as many cells as there are columns."""

    title: str
    columns: tuple[str, ...] = Field(min_length=1)
    rows: tuple[tuple[str, ...], ...]

    @model_validator(mode="after")
    def _rows_fit(self) -> CardTable:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.title:.80}: a row of {len(row)} cells in {len(self.columns)} columns")
        return self


class CardPart(Record):
    """One part: facts by what they are, tables, sentences, and commands to type."""

    title: str
    facts: dict[str, str] = Field(default_factory=dict)
    tables: tuple[CardTable, ...] = ()
    sentences: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


class ModelCard(Record):
    """The card of a model. `version` is None until the registry has given it a number.

    `request` is a row as the service takes it, JSON; "" of a model that takes one picture.
    """

    name: str
    version: int | None = None
    digest: str
    request: str = ""
    parts: tuple[CardPart, ...]
