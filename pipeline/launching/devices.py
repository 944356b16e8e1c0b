"""Which device each rank computes on: `train.device`, resolved, and the environment that gives a rank its own GPU.

A rank takes the GPU of its number among the ranks of its host. Of this machine it is known which those are; a rank on
another host looks itself when it starts (`training.device`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.errors import UsageError
from pipeline.launching.hosts import Slot, assign_slots, is_local, parse_hosts
from pipeline.recipe.execution import HorovodSettings
from pipeline.recipe.recipe import Device
from pipeline.runtime import gpus


def resolved(device: Device, environment: Mapping[str, str]) -> tuple[Device, str]:
    """Return `cpu` or `gpu`, and why; `auto` is `gpu` where TensorFlow can use at least one here."""
    if device != "auto":
        return device, "the recipe says so"
    seen = gpus.look(environment)
    return ("gpu", seen.in_words()) if seen.usable else ("cpu", seen.problem or seen.in_words())


def slots_of(settings: HorovodSettings) -> list[Slot]:
    """Return the slot of each rank that the settings ask for, by rank; raise UsageError for hosts with too few."""
    return assign_slots(parse_hosts(settings.hosts, settings.workers), settings.workers)


def device_variables(device: Device, slots: Sequence[Slot], environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Return, for each rank, the environment variables that show it its GPU and no other; none for the processor.

    Raises UsageError if the ranks of this machine do not find a GPU each.
    """
    if device != "gpu":
        return [{} for _ in slots]
    local = {host: is_local(host) for host in {slot.host for slot in slots}}
    here = [slot.rank for slot in slots if local[slot.host]]
    usable = _require_enough(len(here), environment) if here else ()
    return [
        {gpus.VISIBLE: usable[here.index(slot.rank)].name}
        if local[slot.host]
        else {gpus.VISIBLE: str(slot.local_rank), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        for slot in slots
    ]


def _require_enough(ranks: int, environment: Mapping[str, str]) -> Sequence[gpus.Gpu]:
    seen = gpus.look(environment)
    if seen.problem:
        raise UsageError(
            f"train.device: gpu, but this machine has none that training can use: {seen.problem}; "
            "use cpu, or a machine with one"
        )
    if ranks > len(seen.usable):
        raise UsageError(
            f"horovod.workers: {ranks} ranks on this machine, each on a GPU of its own, but there are "
            f"{seen.in_words()}; use {len(seen.usable)}, or another host in horovod.hosts"
        )
    return seen.usable
