"""The type of a processor, out of what Linux tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.runtime.processor import parse_cpuinfo, processor

INTEL = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
stepping\t: 8
cpu MHz\t\t: 2699.998
flags\t\t: fpu sse4_1 avx avx2 fma avx512f amx_tile hypervisor

processor\t: 1
model name\t: another
flags\t\t: avx
"""
ARM = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm sve bf16
CPU implementer\t: 0x41
CPU variant\t: 0x1
CPU part\t: 0xd40
"""


def test_it_is_the_first_cores_name_with_its_numbers_and_instruction_sets() -> None:
    found = parse_cpuinfo(INTEL)
    assert found.name == "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz (family 6, model 143, stepping 8)"
    assert found.instructions == ("amx_tile", "avx", "avx2", "avx512f", "fma", "sse4_1")


def test_a_processor_without_a_name_has_its_numbers() -> None:
    found = parse_cpuinfo(ARM)
    assert found.name.endswith(" (implementer 0x41, part 0xd40, variant 0x1)")
    assert found.instructions == ("asimd", "bf16", "sve")


def test_how_fast_it_runs_now_is_no_part_of_its_type() -> None:
    assert parse_cpuinfo(INTEL.replace("2699.998", "1200.000")) == parse_cpuinfo(INTEL)


@pytest.mark.parametrize("text", ["", "no colon\n"])
def test_where_nothing_is_told_the_architecture_is_left(text: str) -> None:
    found = parse_cpuinfo(text)
    assert found.name
    assert found.instructions == ()


def test_a_system_that_hides_it_is_no_error(tmp_path: Path) -> None:
    assert processor(tmp_path / "cpuinfo").instructions == ()


def test_this_machine_has_a_type() -> None:
    assert processor().name
