"""Memory that ran out is recognised, and the next try is given less to hold at once."""

from __future__ import annotations

import pytest

from pipeline.recipe.execution import Execution, HorovodSettings, SparkSettings, load_execution
from pipeline.runs import out_of_memory


@pytest.mark.parametrize(
    "text",
    [
        "java.lang.OutOfMemoryError: Java heap space",
        "bug: MemoryError: ",
        "ResourceExhaustedError: OOM when allocating tensor with shape[1024]",
        "fork: Cannot allocate memory",
        "terminate called after throwing an instance of 'std::bad_alloc'",
    ],
)
def test_the_words_of_memory_are_known(text: str) -> None:
    assert out_of_memory.is_sign(text)


def test_other_failures_are_not_taken_for_it() -> None:
    assert not out_of_memory.is_sign("the contract raw does not hold: column label")


def test_the_kernel_counts_what_it_kills() -> None:
    assert out_of_memory.kills() >= 0


@pytest.mark.parametrize(
    ("master", "workers", "changed"),
    [
        ("local[4]", 4, {"RATCHET_HOROVOD__WORKERS": "2", "RATCHET_SPARK__MASTER": "local[2]"}),
        ("local[1]", 1, {"RATCHET_HOROVOD__WORKERS": "1", "RATCHET_SPARK__MASTER": "local[1]"}),
        ("spark://host:7077", 3, {"RATCHET_HOROVOD__WORKERS": "1"}),
    ],
)
def test_half_the_parallelism_is_what_the_execution_reads(
    tmp_path: object, master: str, workers: int, changed: dict[str, str]
) -> None:
    execution = Execution(spark=SparkSettings(master=master), horovod=HorovodSettings(workers=workers))
    assert out_of_memory.less_parallel(execution) == changed
    from pathlib import Path

    loaded = load_execution(Path(str(tmp_path)), changed)
    assert loaded.horovod.workers == max(1, workers // 2)
