"""What every rank's process is given before TensorFlow is imported. Ranks that train: tests/system."""

from __future__ import annotations

from pipeline.training.rank import rank_environment


def test_a_rank_computes_on_the_processor_unless_it_is_shown_a_gpu() -> None:
    assert rank_environment(2)["CUDA_VISIBLE_DEVICES"] == ""


def test_a_rank_has_the_threads_it_is_given_in_every_library() -> None:
    assert rank_environment(3)["OMP_NUM_THREADS"] == "3"
