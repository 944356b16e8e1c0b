"""What a model was computed on: what may make two runs of the same recipe, data and code differ in their bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pipeline.records.record import Record


class ComputedOn(Record):
    """The device, the processor's type and the libraries of a training, as its first rank found them.

    `instructions` are the processor's instruction sets by which libraries choose their kernels, `gpu` is the model of
    the GPU with its compute capability ("" if the processor computed), `libraries` are versions by distribution.
    """

    device: Literal["cpu", "gpu"]
    processor: str
    instructions: tuple[str, ...]
    gpu: str = ""
    libraries: dict[str, str]

    def differences(self, other: ComputedOn) -> list[str]:
        """Return in words what keeps this and another training from agreeing bit for bit; empty if nothing here does.

        A GPU does not compute all of it: so the processor counts with one, too.
        """
        pairs = {
            "device": (self.device, other.device),
            "GPU": (self.gpu or "none", other.gpu or "none"),
            "processor": (self.processor, other.processor),
        }
        found = [f"{what} {ours}, not {theirs}" for what, (ours, theirs) in pairs.items() if ours != theirs]
        if more := sorted({*self.instructions} - {*other.instructions}):
            found.append(f"instructions {' '.join(more)} more")
        if fewer := sorted({*other.instructions} - {*self.instructions}):
            found.append(f"instructions {' '.join(fewer)} fewer")
        return [*found, *_other_versions(self.libraries, other.libraries)]


def _other_versions(ours: Mapping[str, str], theirs: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            yield f"{name} {ours.get(name, 'none')}, not {theirs.get(name, 'none')}"
