"""A LiteRT file without what no runtime reads: the graph, its numbers, scales and names outside stay."""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.export.litert_file import compacted

WEIGHTS = np.arange(48, dtype=np.uint8)
NOTE = np.arange(100, 116, dtype=np.uint8)
CHANNELS = 16


def tensor(name: str, buffer: int, scale: float | None = None) -> schema.TensorT:
    quantization = None
    if scale is not None:
        scales, zeros = np.full(CHANNELS, scale, np.float32), np.zeros(CHANNELS, np.int64)
        quantization = schema.QuantizationParametersT(scale=scales, zeroPoint=zeros)
    shape = np.array([CHANNELS, 3], np.int32)
    return schema.TensorT(
        name=name.encode(), buffer=buffer, shape=shape, type=schema.TensorType.INT8, quantization=quantization
    )


def packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def model(**first_buffer: int) -> schema.ModelT:
    """Return an input, two weights with equal numbers and zeros, one between, and an output, each with a buffer."""
    tensors = [
        tensor("asked;as:0", 1),
        tensor("first;add;convolution", 2, 0.5),
        tensor("second;add", 3, 0.25),
        tensor("first;add;convolution1", 4),
        tensor("answer;of:0", 5),
    ]
    buffers = [schema.BufferT(**first_buffer), *(schema.BufferT() for _ in range(5))]
    buffers[2].data, buffers[3].data = WEIGHTS, WEIGHTS.copy()
    buffers.append(schema.BufferT(data=NOTE))
    signature = schema.SignatureDefT(
        signatureKey=b"serving_default",
        inputs=[schema.TensorMapT(name=b"image", tensorIndex=0)],
        outputs=[schema.TensorMapT(name=b"probabilities", tensorIndex=4)],
    )
    graph = schema.SubGraphT(
        tensors=tensors, inputs=np.array([0], np.int32), outputs=np.array([4], np.int32), operators=[], name=b"main"
    )
    return schema.ModelT(
        version=3,
        operatorCodes=[],
        subgraphs=[graph],
        buffers=buffers,
        metadata=[schema.MetadataT(name=b"min_runtime_version", buffer=6)],
        signatureDefs=[signature],
    )


def read(content: bytes) -> schema.ModelT:
    assert content[4:8] == b"TFL3"
    return schema.ModelT.InitFromPackedBuf(content, 0)


def stored(of: schema.ModelT, buffer: int) -> bytes | None:
    data = of.buffers[buffer].data
    return None if data is None else data.tobytes()


def test_tensors_keep_their_numbers_scales_shapes_and_types() -> None:
    before, after = model(), read(compacted(packed(model())))
    assert len(after.subgraphs[0].tensors) == 5
    for old, new in zip(before.subgraphs[0].tensors, after.subgraphs[0].tensors, strict=True):
        assert stored(after, new.buffer) == stored(before, old.buffer)
        assert (new.type, new.shape.tolist()) == (old.type, old.shape.tolist())
        assert (new.quantization is None) == (old.quantization is None)
        if old.quantization is not None:
            assert new.quantization.scale.tolist() == old.quantization.scale.tolist()
            assert new.quantization.zeroPoint.tolist() == [0] * CHANNELS


def test_names_outside_stay_and_one_within_is_the_first_that_was_fused() -> None:
    after = read(compacted(packed(model())))
    names = [each.name for each in after.subgraphs[0].tensors]
    assert names == [b"asked;as:0", b"first", b"second", b"first", b"answer;of:0"]
    [signature] = after.signatureDefs
    assert signature.signatureKey == b"serving_default"
    assert [(each.name, each.tensorIndex) for each in signature.inputs] == [(b"image", 0)]
    assert [(each.name, each.tensorIndex) for each in signature.outputs] == [(b"probabilities", 4)]


def test_what_stores_nothing_has_buffer_0_and_equal_numbers_are_there_once() -> None:
    content = compacted(packed(model()))
    after = read(content)
    assert [each.buffer for each in after.subgraphs[0].tensors] == [0, 1, 1, 0, 0]
    assert stored(after, after.metadata[0].buffer) == NOTE.tobytes()
    assert len(after.buffers) == 3
    assert content.count(WEIGHTS.tobytes()) == 1
    assert content.count(b"\0" * CHANNELS * 8) == 1


def test_stored_numbers_are_aligned_as_the_schema_says() -> None:
    content = compacted(packed(model()))
    assert [content.index(each) % 16 for each in (WEIGHTS.tobytes(), NOTE.tobytes())] == [0, 0]


def test_it_is_smaller_and_nothing_is_left_to_take_away() -> None:
    content = compacted(packed(model()))
    assert len(content) < len(packed(model()))
    assert compacted(content) == content


def test_a_file_with_its_numbers_behind_the_graph_stays_as_it_is() -> None:
    content = packed(model(offset=4096, size=48))
    assert compacted(content) == content
