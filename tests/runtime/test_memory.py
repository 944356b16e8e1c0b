"""The readings of the most memory that processes have held."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline.runtime import memory

HOLDS = "import sys; x = bytearray(b'1' * 60_000_000); print('holds', flush=True); sys.stdin.read()"
STARTS = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDS!r}])"


def test_the_peak_of_a_process_of_a_process_is_noted_while_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_noted_mib", {})
    command = [sys.executable, "-c", STARTS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"holds\n"
        memory.note_descendants()
        process.communicate(b"")
    readings = memory.peaks()
    assert readings["peak_memory_of_workers_mib"] > 57
    assert readings["peak_memory_of_children_mib"] >= readings["peak_memory_of_workers_mib"]
    assert "peak_memory_of_jvm_mib" not in readings


def test_without_such_processes_there_is_no_such_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_noted_mib", {})
    assert set(memory.peaks()) == {"peak_memory_mib", "peak_memory_of_children_mib"}
