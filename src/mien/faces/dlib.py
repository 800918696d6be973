"""dlib's face recognition (King 2017) for ONNX Runtime: 128 numbers that tell people apart.

A ResNet (He et al. 2015, arXiv:1512.03385) of 29 convolutions, trained on three million faces of
7,485 people; https://github.com/davisking/dlib-models, CC0. Its graph is written in memory, as
protobuf lays out ONNX: neither dlib nor the package onnx is needed.
"""

from collections.abc import Iterable, Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

SIDE_PX = 150
WIDTH = 128
COLOURS = (122.782, 117.001, 104.298)
"""dlib subtracts these from (R, G, B), then divides by 256."""
LEVELS = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
"""Width and blocks of each."""
_OPSET, _IR = 10, 5
_FLOAT, _INTS = 1, 7

Values = NDArray[np.float32]


def read_layers(content: bytes, layer: bytes) -> Iterator[Values]:
    """The flat float32 parameters of each `layer` of dlib's serialisation, in order."""
    name = bytes([1, len(layer)]) + layer
    place = content.find(name)
    while place >= 0:
        values, place = _tensor(content, place + len(name))
        yield values
        place = content.find(name, place)


def _tensor(content: bytes, place: int) -> tuple[Values, int]:
    """The tensor at `place` and where it ends: a version, four sizes, float32 values."""
    sizes = []
    for _ in range(5):
        length = content[place]
        sizes.append(int.from_bytes(content[place + 1 : place + 1 + length], "little"))
        place += 1 + length
    values = np.frombuffer(content, "<f4", prod(sizes[1:]), place)
    return values, place + values.nbytes


def to_onnx(content: bytes) -> bytes:
    """The network of dlib's file: (N, 3, 150, 150) float32 RGB in 0-255 → (N, 128)."""
    graph = _Graph(content)
    end = graph.conv("faces", 32, 7, stride=2, relu=True)
    end = graph.node("MaxPool", end, kernel_shape=(3, 3), strides=(2, 2))
    inside, side = 32, 35
    for level, (width, blocks) in enumerate(LEVELS):
        if level > 0:
            end, side = graph.shrink(end, inside, width, side), side // 2
        for _ in range(blocks - (level > 0)):
            end = graph.block(end, width)
        inside = width
    end = graph.node("Flatten", graph.node("GlobalAveragePool", end))
    # A dense layer tells how many outputs and inputs it has before its tensor.
    (dense, _) = _tensor(content, content.index(b"fc_2\x01\x80\x02\x00\x01") + 9)
    return graph.model(graph.node("MatMul", end, graph.constant(dense.reshape(inside, WIDTH))))


class _Graph:
    """An ONNX graph, whose convolutions are those of dlib's file in their order."""

    def __init__(self, content: bytes) -> None:
        self._convs = read_layers(content, b"con_4")
        self._affines = read_layers(content, b"affine_")
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def block(self, start: str, width: int) -> str:
        """Two convolutions beside what they begin with."""
        end = self.conv(self.conv(start, width, 3, relu=True), width, 3)
        return self.node("Relu", self.node("Add", start, end))

    def shrink(self, start: str, inside: int, width: int, side: int) -> str:
        """The same with half the `side`, beside a mean; zeros where one of the two ends."""
        end = self.conv(self.conv(start, width, 3, stride=2, relu=True), width, 3)
        mean = self.node("AveragePool", start, kernel_shape=(2, 2), strides=(2, 2))
        lacks = side // 2 - (side - 1) // 2
        mean = self.node("Pad", mean, pads=(0, 0, 0, 0, 0, width - inside, 0, 0))
        end = self.node("Pad", end, pads=(0, 0, 0, 0, 0, 0, lacks, lacks))
        return self.node("Relu", self.node("Add", mean, end))

    def conv(self, start: str, width: int, side: int, stride: int = 1, relu: bool = False) -> str:
        """A convolution with what dlib multiplies and adds behind it."""
        values, (gain, shift) = next(self._convs), np.split(next(self._affines), 2)
        weight: Values = values[:-width].reshape(width, -1, side, side)
        bias: Values = values[-width:]
        if start == "faces":
            weight = np.multiply(weight, 1 / 256, dtype=np.float32)
            bias = bias - weight.sum((2, 3)) @ np.array(COLOURS, np.float32)
        learned = (
            self.constant(weight * gain[:, None, None, None]),
            self.constant(bias * gain + shift),
        )
        pads = (0 if stride > 1 else side // 2,) * 4
        end = self.node("Conv", start, *learned, strides=(stride, stride), pads=pads)
        return self.node("Relu", end) if relu else end

    def node(self, kind: str, *inputs: str, **options: Iterable[int]) -> str:
        """Add a node; the name of its output."""
        name = f"n{len(self._nodes)}"
        fields = [*(_field(1, one) for one in inputs), _field(2, name), _field(4, kind)]
        for option, values in options.items():
            ints = b"".join(_field(8, value) for value in values)
            fields.append(_field(5, _field(1, option) + ints + _field(20, _INTS)))
        self._nodes.append(_field(1, b"".join(fields)))
        return name

    def constant(self, values: Values) -> str:
        """Add a constant; its name."""
        name = f"c{len(self._constants)}"
        sizes = b"".join(_field(1, size) for size in values.shape)
        raw = np.ascontiguousarray(values, "<f4").tobytes()
        tensor = sizes + _field(2, _FLOAT) + _field(8, name) + _field(9, raw)
        self._constants.append(_field(5, tensor))
        return name

    def model(self, output: str) -> bytes:
        """The whole ONNX file."""
        ends = _value(11, "faces", (3, SIDE_PX, SIDE_PX)) + _value(12, output, (WIDTH,))
        graph = b"".join([*self._nodes, _field(2, "dlib"), *self._constants, ends])
        return _field(1, _IR) + _field(7, graph) + _field(8, _field(2, _OPSET))


def _value(number: int, name: str, sizes: Iterable[int]) -> bytes:
    """An input or output of a graph: N x `sizes` float32."""
    shape = _field(1, _field(2, "N")) + b"".join(_field(1, _field(1, size)) for size in sizes)
    tensor = _field(1, _FLOAT) + _field(2, shape)
    return _field(number, _field(1, name) + _field(2, _field(1, tensor)))


def _field(number: int, value: int | str | bytes) -> bytes:
    """A field of a protobuf message (https://protobuf.dev/programming-guides/encoding)."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    *low, high = [value >> shift & 127 for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([*(part | 128 for part in low), high])
