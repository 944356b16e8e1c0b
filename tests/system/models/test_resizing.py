"""The served model resizes as the data phase does: the same bits, whatever the size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.data.resizing import resize as resize_in_spark
from pipeline.models.resizing import SIDE_LIMIT, Rule, resize

SIDES = st.one_of(st.integers(1, 64), st.integers(65, 500), st.sampled_from([1, 2, 3, 1024, SIDE_LIMIT]))
TARGETS = st.one_of(st.integers(8, 64), st.sampled_from([8, 28, 224, 1024]))


def resized(
    pixels: npt.NDArray[np.uint8], height: int, width: int, rule: Rule = "stretch", background: int = 255
) -> npt.NDArray[np.uint8]:
    """Resize as a served model does: in a graph that knows neither the number nor the size of the images."""
    import tensorflow as tf

    taken = tf.TensorSpec([None, None, None, pixels.shape[-1]], tf.uint8)
    graph = tf.function(
        lambda given: resize(given, height, width, "image", rule, background), input_signature=[taken], autograph=False
    )
    answer: npt.NDArray[np.uint8] = graph(pixels).numpy()
    return answer


def noise(shape: tuple[int, ...], content: str, seed: int) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    levels = {"noise": (0, 256), "black": (0, 1), "white": (255, 256), "bright": (250, 256)}[content]
    if content == "noise" and seed % 2:
        return (255 * rng.integers(0, 2, shape)).astype(np.uint8)
    return rng.integers(*levels, shape).astype(np.uint8)


@settings(max_examples=60)
@given(
    source=st.tuples(SIDES, SIDES).filter(lambda sides: sides[0] * sides[1] <= 2**21),
    target=st.tuples(TARGETS, TARGETS).filter(lambda sides: sides[0] * sides[1] <= 2**18),
    rows=st.integers(0, 3),
    channels=st.sampled_from([1, 3]),
    content=st.sampled_from(["noise", "black", "white", "bright"]),
    seed=st.integers(0, 99),
    rule=st.sampled_from(["stretch", "crop", "pad"]),
)
@example(source=(1, 1), target=(28, 28), rows=2, channels=3, content="noise", seed=0, rule="pad")
@example(source=(1, 500), target=(64, 8), rows=1, channels=1, content="noise", seed=0, rule="crop")
@example(source=(SIDE_LIMIT, 1), target=(8, 1024), rows=1, channels=1, content="noise", seed=1, rule="stretch")
@example(source=(5000, 3), target=(8, 64), rows=1, channels=1, content="noise", seed=3, rule="pad")
@example(source=(3, 5000), target=(64, 8), rows=1, channels=3, content="noise", seed=3, rule="crop")
@example(source=(28, 28), target=(28, 28), rows=3, channels=1, content="noise", seed=0, rule="pad")
@example(source=(28, 29), target=(28, 28), rows=3, channels=3, content="noise", seed=1, rule="crop")
@example(source=(90, 260), target=(28, 28), rows=1, channels=1, content="noise", seed=0, rule="stretch")
def test_every_pixel_is_the_same_as_the_data_phase_makes_it(
    source: tuple[int, int], target: tuple[int, int], rows: int, channels: int, content: str, seed: int, rule: Rule
) -> None:
    pixels = noise((rows, *source, channels), content, seed)

    background = seed % 256
    found, expected = (each(pixels, *target, rule, background) for each in (resized, resize_in_spark))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("sides", [(0, 8), (8, 0), (0, 0), (SIDE_LIMIT + 1, 8), (8, SIDE_LIMIT + 1)])
def test_images_without_a_pixel_or_above_the_limit_are_refused_with_their_size(sides: tuple[int, int]) -> None:
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        resized(np.zeros((1, *sides, 1), np.uint8), 8, 8)
    assert f"[image: images have from 1 to {SIDE_LIMIT} pixels a side, not] [{sides[0]} {sides[1]}]" in str(error.value)


def test_images_of_the_size_already_are_passed_through_without_arithmetic() -> None:
    """Only the branch for other sizes multiplies: the operations of the graph outside it are a handful."""
    import tensorflow as tf

    taken = tf.TensorSpec([None, None, None, 1], tf.uint8)
    graph = tf.function(lambda given: resize(given, 28, 28, "image"), input_signature=[taken], autograph=False)
    operations: list[Any] = graph.get_concrete_function().graph.get_operations()
    assert not {"BatchMatMulV2", "MatMul", "ScatterNd", "TopKV2", "While", "StatelessWhile"} & {
        operation.type for operation in operations
    }
