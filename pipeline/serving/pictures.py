"""From a picture's bytes to pixels, by the decoder of the data phase and within its limits, or a refusal."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from pipeline.data.decoding import Refused, Rules, decode
from pipeline.data.picture_headers import encoding_of, header_of
from pipeline.data.picture_reasons import NOT_A_PICTURE, TOO_LARGE
from pipeline.serving import refusals
from pipeline.serving.limits import Limits
from pipeline.serving.refusals import Refusal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pipeline.records.served_model import ServedInput

_QUICK_BYTES, _QUICK_PIXELS = 2**16, 2**16
_STATUS = {TOO_LARGE: refusals.TOO_LARGE, NOT_A_PICTURE: refusals.UNKNOWN_TYPE}


def of_bytes(content: bytes, taken: ServedInput, limits: Limits, where: str = "") -> npt.NDArray[np.uint8]:
    """Return a picture's pixels `[height, width, channel]`. Raises Refusal with the decoder's reason."""
    channels = taken.shape[-1]
    assert channels is not None
    height, width = taken.shape[:2]
    rules = Rules(channels, pixels_at_most=limits.pixels, height=height, width=width)
    if taken.background is not None:
        rules = rules._replace(background=taken.background)
    found = decode(content, encoding_of(content), rules)
    if isinstance(found, Refused):
        status = _STATUS.get(found.reason, refusals.BAD_REQUEST)
        raise Refusal(status, f"{where}{found.reason}: {found.detail}")
    return found


def of_base64(text: str, taken: ServedInput, limits: Limits, where: str = "") -> npt.NDArray[np.uint8]:
    """Return the pixels of a picture in base64 (RFC 4648, section 4), perhaps in a `data:` address; as `of_bytes`."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(refusals.BAD_REQUEST, f"{where}the text is no base64") from None
    return of_bytes(content, taken, limits, where)


def is_quick(content: bytes) -> bool:
    """Return whether decoding takes less time than handing it to another thread."""
    if len(content) > _QUICK_BYTES:
        return False
    header = header_of(content)
    return header is None or header.height * header.width <= _QUICK_PIXELS
