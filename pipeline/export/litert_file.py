"""A LiteRT file without what no runtime reads, which of a small network is a twelfth of a file of 8 bits.

The converter writes a buffer for every tensor, also where there is nothing to store, the names of all operations that
were fused into one, and a zero for each channel of each weight and each offset.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_IDENTIFIER = b"TFL3"
_ALIGNMENT_BYTES = 16  # of stored numbers: `force_align` in LiteRT's schema
_FUSED = b";"


def compacted(content: bytes) -> bytes:
    """Return a LiteRT file with the same graph, numbers, scales, signatures, and names of inputs and outputs.

    A tensor within keeps the first of the names that were fused. Tensors that store nothing have buffer 0, as the
    schema says; equal buffers, vectors and names are there once. A file so large that its numbers lie behind its graph
    stays as it is.
    """
    from ai_edge_litert.schema_py_generated import ModelT

    model = ModelT.InitFromPackedBuf(content, 0)
    operators = (operator for graph in model.subgraphs for operator in graph.operators or [])
    if any(buffer.offset for buffer in model.buffers) or any(each.largeCustomOptionsOffset for each in operators):
        return content
    _share_buffers(model)
    for graph in model.subgraphs:
        outside = {*graph.inputs, *graph.outputs}
        for place, tensor in enumerate(graph.tensors):
            if place not in outside and tensor.name is not None:
                tensor.name = tensor.name.split(_FUSED)[0]
    return _packed(model)


def _share_buffers(model: Any) -> None:
    from ai_edge_litert.schema_py_generated import BufferT

    kept, places, moved = [BufferT()], {None: 0}, []
    for buffer in model.buffers:
        stored = None if buffer.data is None else buffer.data.tobytes()
        if stored not in places:
            places[stored] = len(kept)
            kept.append(buffer)
        moved.append(places[stored])
    model.buffers = kept
    for user in (*(tensor for graph in model.subgraphs for tensor in graph.tensors), *(model.metadata or [])):
        user.buffer = moved[user.buffer]
    if model.metadataBuffer is not None:
        model.metadataBuffer = [moved[place] for place in model.metadataBuffer]


def _packed(model: Any) -> bytes:
    """Return a model's bytes; flatbuffers' own builder neither aligns stored numbers nor writes equal ones once."""
    import flatbuffers

    written: dict[Any, int] = {}

    class Builder(flatbuffers.Builder):  # type: ignore[misc]
        """One that does both."""

        def CreateNumpyVector(self, x: Any) -> int:  # noqa: N802
            key = (x.dtype.str, x.tobytes())
            if key not in written:
                if x.dtype == np.uint8:
                    self.Prep(_ALIGNMENT_BYTES, x.size)
                written[key] = super().CreateNumpyVector(x)
            return written[key]

        def CreateString(self, s: Any, *arguments: Any) -> int:  # noqa: N802
            if s not in written:
                written[s] = super().CreateString(s, *arguments)
            return written[s]

    builder = Builder(0)
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())
