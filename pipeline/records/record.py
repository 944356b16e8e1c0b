"""The base of all records: frozen, strict, and versioned.

From version 2 on, a record's file carries its version as `record_version`; a file without it has version 1. Whoever
changes a record's shape raises its class's VERSION and extends `upgraded` to read the earlier shape, so that files
of an earlier Ratchet are still read. Files of a later one are refused.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import DataError
from pipeline.recipe.settings import message_of

_VERSION_KEY = "record_version"
_UNION_MEMBERS = {"float", "int"}


class Record(BaseModel):
    """The content of a JSON file, declared once for its writers and its readers. Unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, defer_build=True)
    VERSION: ClassVar[int] = 1

    def changed(self, **values: Any) -> Self:
        """Return the record with some of its values replaced."""
        return type(self).model_validate({**dict(self), **values})

    def to_json(self) -> dict[str, Any]:
        """Return the record as it stands in its file."""
        version = {_VERSION_KEY: self.VERSION} if self.VERSION > 1 else {}
        return {**version, **self.model_dump(mode="json", by_alias=True)}

    @classmethod
    def from_json(cls, value: Any, where: str, way_out: str = "make it again") -> Self:
        """Build the record from a JSON value; raise DataError, led by `where`, if invalid or of a later version.

        `way_out` is what a person can do about one that is invalid.
        """
        if not isinstance(value, dict):
            raise DataError(f"{where}: must be a JSON object; {way_out}")
        values = dict(value)
        version = values.pop(_VERSION_KEY, 1)
        if type(version) is not int or version < 1:
            raise DataError(f"{where}: {_VERSION_KEY} is {version!r:.40}, not a whole number above 0; {way_out}")
        if version > cls.VERSION:
            raise DataError(f"{where}: written by a later Ratchet ({_VERSION_KEY} {version}); use that one, or update")
        values = cls.upgraded(values, version)
        try:
            record = cls.model_validate_json(json.dumps(values), strict=True, by_name=False, by_alias=True)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            # pydantic adds the member of a union that refused the value; the key is what people know.
            key = ".".join(str(part) for part in problem["loc"] if part not in _UNION_MEMBERS)
            raise DataError(f"{where}: {f'{key}: ' if key else ''}{message_of(problem)}; {way_out}") from error
        for key, value in values.items():  # where any JSON may stand, NaN has not been looked for
            try:
                json.dumps(value, allow_nan=False)
            except ValueError as error:
                raise DataError(f"{where}: {key}: holds a number that is not finite; {way_out}") from error
        return record

    @classmethod
    def upgraded(cls, values: dict[str, Any], version: int) -> dict[str, Any]:  # noqa: ARG003 - for records that have changed
        """Return the values of an earlier version in the shape of this one."""
        return values
