"""What a recipe is made of: params.yaml, a config on top, and what was asked for one run; and who says what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.recipe.changing import apply_overrides, layered
from pipeline.recipe.settings import copied, is_position, refuse_deep


class Layers(NamedTuple):
    """A recipe's plain values, and the layers they come from: each with the keys that it says, the lowest first."""

    values: dict[str, Any]
    layers: tuple[tuple[str, Mapping[str, Any]], ...]

    @classmethod
    def of(cls, values: Mapping[str, Any], where: str) -> Layers:
        """Return the lowest layer: params.yaml."""
        refuse_deep(values, where)
        return cls(dict(values), ((where, values),))

    @property
    def written(self) -> Mapping[str, Any]:
        """The lowest layer's values, as they are written."""
        return self.layers[0][1]

    def overlaid(self, overlay: Mapping[str, Any], where: str) -> Layers:
        """Return these with a config's changes on top; groups are merged, values and lists replaced."""
        refuse_deep(overlay, where)
        return Layers(layered(self.values, overlay), (*self.layers, (where, overlay)))

    def overridden(self, overrides: Mapping[str, Any], where: str) -> Layers:
        """Return these with values by dotted key on top; raise UsageError for a key that a recipe cannot have."""
        if not overrides:
            return self
        changed = apply_overrides(self.values, overrides, where)  # refuses what is too deep to be copied
        said: dict[str, Any] = {}
        for key, value in overrides.items():
            inner = said
            *groups, last = key.split(".")
            for group in groups:
                below = inner.setdefault(group, {})
                inner = below if isinstance(below, dict) else {}
            inner[last] = copied(value) if isinstance(value, Mapping) else value
        return Layers(changed, (*self.layers, (where, said)))

    def where(self, key: str) -> str:
        """Return where the value of a key stands: in the uppermost layer that says it, a part of it, or its group."""
        return next((where for where, said in reversed(self.layers) if _says(said, key)), self.layers[0][0])


def _says(values: Any, key: str) -> bool:
    """Whether a layer says a key's value: the key is in it, or what stands above the key is a value or a name there."""
    for part in key.split("."):
        if isinstance(values, Mapping):
            if part not in values:
                return part == "settings" and not {"name", "kind"}.isdisjoint(values)
            values = values[part]
        elif isinstance(values, list | tuple) and is_position(part) and int(part) < len(values):
            values = values[int(part)]
        else:
            return True
    return True
