"""The type of this machine's processor, as far as it decides which kernels TensorFlow and oneDNN choose."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# Instruction sets by which oneDNN ("CPU dispatcher control") and Eigen choose: kernels of another set add in another
# order. By the names that Linux has for them, on x86 and on ARM.
_DECIDING = {
    "sse4_1", "avx", "avx2", "fma", "avx_vnni", "avx_vnni_int8",
    "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_tile", "amx_int8", "amx_bf16", "amx_fp16",
    "asimd", "asimdhp", "asimddp", "sve", "sve2", "bf16", "i8mm",
}  # fmt: skip
_NUMBERS = {
    "cpu family": "family",
    "model": "model",
    "stepping": "stepping",
    "CPU implementer": "implementer",
    "CPU part": "part",
    "CPU variant": "variant",
}


@dataclass(frozen=True)
class Processor:
    """A type of processor: its maker's name for it with the numbers that tell types apart, and its instruction sets."""

    name: str
    instructions: tuple[str, ...]


def processor(cpuinfo: Path = _CPUINFO) -> Processor:
    """Return the type of the first core; what the system does not tell is left out."""
    try:
        text = cpuinfo.read_text()
    except OSError:
        text = ""
    return parse_cpuinfo(text)


def parse_cpuinfo(text: str) -> Processor:
    """Return the type of the first core in the text of `/proc/cpuinfo`."""
    first = {key.strip(): value.strip() for key, value in re.findall(r"^([^:\n]+):(.*)$", text.split("\n\n")[0], re.M)}
    flags = (first.get("flags") or first.get("Features") or "").split()
    return Processor(_name(first), tuple(sorted(_DECIDING.intersection(flags))))


def _name(first: Mapping[str, str]) -> str:
    numbers = [f"{word} {first[key]}" for key, word in _NUMBERS.items() if key in first]
    name = first.get("model name") or platform.machine()
    return f"{name} ({', '.join(numbers)})" if numbers else name
