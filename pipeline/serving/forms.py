"""Reads a form (multipart/form-data, RFC 7578): its fields in their order, as bytes, in memory where they are already.

Starlette's own reader puts files on a disk, and takes a form that is cut short for a whole one.
"""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pipeline.serving.refusals import BAD_REQUEST, TOO_LARGE, Refusal

_DISPOSITION = b"content-disposition"


def fields_of(content_type: str, body: bytes, most: int) -> list[tuple[str, bytes]]:
    """Return the fields of a form, name and content. Raises Refusal for a broken form, or one of more than `most`."""
    try:
        _, options = parse_options_header(content_type)
        reader = _Reader(most)
        parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": reader.begin,
                "on_part_data": reader.data,
                "on_part_end": reader.end,
                "on_header_field": reader.header_name,
                "on_header_value": reader.header_value,
                "on_header_end": reader.header_end,
                "on_end": reader.finish,
            },
        )
        parser.write(body)
        parser.finalize()
    except KeyError:
        raise Refusal(BAD_REQUEST, "the form's content type has no boundary") from None
    except (FormParserError, ValueError):
        raise Refusal(BAD_REQUEST, "the form is broken") from None
    if not reader.is_whole:
        raise Refusal(BAD_REQUEST, "the form is cut short")
    return reader.fields


class _Reader:
    def __init__(self, most: int) -> None:
        self.fields: list[tuple[str, bytes]] = []
        self.is_whole = False
        self._most = most
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value, self._content = b"", b"", bytearray()

    def begin(self) -> None:
        self._headers, self._content = {}, bytearray()

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def data(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]

    def end(self) -> None:
        _, options = parse_options_header(self._headers.get(_DISPOSITION))
        name = options.get(b"name")
        if name is None:
            raise Refusal(BAD_REQUEST, "the form has a field without a name")
        if len(self.fields) == self._most:
            raise Refusal(TOO_LARGE, f"the form has more than {self._most} fields")
        self.fields.append((name.decode("utf-8", "replace"), bytes(self._content)))

    def finish(self) -> None:
        self.is_whole = True
