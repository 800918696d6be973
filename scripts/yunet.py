"""Make `src/mien/faces/yunet.onnx` of OpenCV Zoo's file: the same network for any size of picture.

    python scripts/yunet.py face_detection_yunet_2023mar.onnx

Its weights are untouched. The shapes that were fixed to one picture of 640x640 px become symbols,
so that several pictures of any multiple of 32 px are searched in one run. The four heads of a scale
become one, which takes 10 to 20 % less time: what the network says is the same, before sigmoids.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.helper import make_node, make_tensor_value_info

SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
STRIDES = (8, 16, 32)
HEADS = ("cls", "obj", "bbox", "kps")
OUT = Path(__file__).parents[1] / "src" / "mien" / "faces" / "yunet.onnx"


def main() -> None:
    data = Path(sys.argv[1]).read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        sys.exit(f"{sys.argv[1]} is another file: expected sha256 {SHA256}")
    OUT.write_bytes(for_any_size(with_one_head(onnx.load_from_string(data))).SerializeToString())


def with_one_head(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same, with one output a scale, (pictures, 16, rows, columns): what `HEADS` say, in their
    order."""
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    values = {value.name: value for value in graph.initializer}
    for stride in STRIDES:
        wide = [_conv_before(makers, f"{head}_{stride}") for head in HEADS]
        ones = [makers[conv.input[0]] for conv in wide]
        for name, convs in ((f"ones_{stride}", ones), (f"wide_{stride}", wide)):
            for place, kind in ((1, "weights"), (2, "bias")):
                parts = [numpy_helper.to_array(values[conv.input[place]]) for conv in convs]
                joined = numpy_helper.from_array(np.concatenate(parts), f"{name}_{kind}")
                graph.initializer.append(joined)
        seen, out = ones[0].input[0], f"told_{stride}"
        inputs = [seen, f"ones_{stride}_weights", f"ones_{stride}_bias"]
        graph.node.append(make_node("Conv", inputs, [f"ones_{stride}"], kernel_shape=[1, 1]))
        inputs = [f"ones_{stride}", f"wide_{stride}_weights", f"wide_{stride}_bias"]
        wide_conv = make_node(
            "Conv", inputs, [out], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=16
        )
        graph.node.append(wide_conv)
    del graph.output[:]
    for stride in STRIDES:
        shape: list[str | int | None]
        shape = ["pictures", 16, f"rows_{stride}", f"columns_{stride}"]
        graph.output.append(make_tensor_value_info(f"told_{stride}", TensorProto.FLOAT, shape))
    return _without_unused(model)


def _conv_before(makers: dict[str, onnx.NodeProto], output: str) -> onnx.NodeProto:
    node = makers[output]
    while node.op_type != "Conv":
        node = makers[node.input[0]]
    return node


def _without_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = model.graph
    needed = {output.name for output in graph.output}
    nodes = []
    for node in reversed(list(graph.node)):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(node.input)
    values = [value for value in graph.initializer if value.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(values)
    return model


def for_any_size(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same, with symbols for the number, height and width of its pictures."""
    number, _, height, width = model.graph.input[0].type.tensor_type.shape.dim
    number.dim_param, height.dim_param, width.dim_param = "pictures", "height", "width"
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    main()
