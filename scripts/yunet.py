"""Make `src/mien/faces/yunet.onnx` of OpenCV Zoo's file: the same network for any size of picture.

    python scripts/yunet.py face_detection_yunet_2023mar.onnx

Its weights are untouched. The shapes that were fixed to one picture of 640x640 px become symbols,
so that several pictures of any multiple of 32 px are searched in one run.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
OUT = Path(__file__).parents[1] / "src" / "mien" / "faces" / "yunet.onnx"


def main() -> None:
    data = Path(sys.argv[1]).read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        sys.exit(f"{sys.argv[1]} is another file: expected sha256 {SHA256}")
    OUT.write_bytes(for_any_size(onnx.load_from_string(data)).SerializeToString())


def for_any_size(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same, with symbols for the number, height and width of its pictures."""
    graph = model.graph
    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for value in graph.initializer:
        if value.name in shapes:  # (1, -1, k) becomes (as it comes, -1, k)
            _, rows, columns = numpy_helper.to_array(value)
            new = numpy_helper.from_array(np.array([0, rows, columns]), value.name)
            value.CopyFrom(new)
    number, _, height, width = graph.input[0].type.tensor_type.shape.dim
    number.dim_param, height.dim_param, width.dim_param = "pictures", "height", "width"
    for output in graph.output:
        number, cells, _ = output.type.tensor_type.shape.dim
        number.dim_param, cells.dim_param = "pictures", f"cells_{output.name.split('_')[1]}"
    del graph.value_info[:]
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    main()
