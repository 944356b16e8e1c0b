"""What every rank's process is given before TensorFlow is imported. Ranks that train: tests/system."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from pipeline.training.rank import rank_environment, side_by_side


def test_a_rank_computes_on_the_processor_unless_it_is_shown_a_gpu() -> None:
    assert rank_environment(2)["CUDA_VISIBLE_DEVICES"] == ""


def test_a_rank_has_the_threads_it_is_given_in_every_library() -> None:
    assert rank_environment(3)["OMP_NUM_THREADS"] == "3"


def test_what_is_computed_side_by_side_comes_in_order_and_is_not_made_before_its_turn() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(7):
            made.append(number)
            yield number

    with ThreadPoolExecutor(3) as pool:
        results = side_by_side(pool, 3, lambda a, b: (a, b), numbers(), "abcdefg")
        assert next(results) == (0, "a")
        assert made == [0, 1, 2]
        assert list(results) == list(zip(range(1, 7), "bcdefg", strict=True))
