"""What a settings class takes and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError


def assert_ranges(kind: type[BaseModel], given: Mapping[str, Any], **ranges: tuple[Any, Any, Any, Any]) -> None:
    """Hold each setting to its least and its most value, and to what is refused below and above; None: no end there."""
    for key, (least, most, below, above) in ranges.items():
        for value in (least, most):
            if value is not None:
                assert getattr(kind.model_validate({**given, key: value}), key) == value
        for value in (below, above):
            if value is not None:
                with pytest.raises(ValidationError):
                    kind.model_validate({**given, key: value})
