"""Writes small valid ONNX files for the fuzzer into corpus/onnx: every group of operators and every way to store numbers.

`python3 onnx_seeds.py`, with the packages numpy and onnx. Broken files in the same folder were found by the fuzzer.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).parent / "corpus" / "onnx"


def node(kind, inputs, outputs="y", **attributes):
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def write(name, nodes, tensors, shape, version=13, outputs="y", kind=TensorProto.FLOAT):
    initializers = [t if isinstance(t, TensorProto) else numpy_helper.from_array(np.asarray(t), n) for n, t in tensors.items()]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in outputs.split()], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString())


def numbers(*shape):
    return np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    w, c4 = numbers(4, 2, 3, 3), numbers(4)
    column = numbers(2, 1, 1)
    write("convolution", [node("Conv", "x w b", pads=[1, 1, 1, 1], strides=[2, 2])], {"w": w, "b": c4}, ["n", 2, 6, 6])
    write("groups", [node("Conv", "x w", group=2, auto_pad="SAME_UPPER")], {"w": numbers(4, 1, 3, 3)}, [1, 2, 5, 5])
    write("transposed", [node("ConvTranspose", "x w", strides=[2, 2], output_padding=[1, 1])], {"w": numbers(2, 3, 3, 3)}, [1, 2, 3, 3])
    write("pools", [node("MaxPool", "x", "a", kernel_shape=[2, 2], ceil_mode=1), node("AveragePool", "a", "b", kernel_shape=[2, 2]),
                    node("GlobalAveragePool", "b")], {}, ["n", 2, 6, 6])
    write("head", [node("Flatten", "x", "a"), node("Gemm", "a w b", "c", transB=1, alpha=0.5), node("Softmax", "c")],
          {"w": numbers(3, 8), "b": numbers(3)}, ["n", 2, 2, 2])
    write("nhwc", [node("Transpose", "x", "a", perm=[0, 3, 1, 2]), node("Conv", "a w", "b"), node("Transpose", "b", perm=[0, 2, 3, 1])],
          {"w": w}, ["n", 4, 4, 2])
    write("shapes", [node("Shape", "x", "s"), node("Gather", "s i", "n"), node("Unsqueeze", "n z", "m"), node("Concat", "m r", "t", axis=0),
                     node("Reshape", "x t", "a"), node("MatMul", "a w", "b"), node("Add", "b c")],
          {"i": np.int64(0), "z": np.array([0]), "r": np.array([-1]), "w": numbers(8, 3), "c": numbers(3)}, ["n", 2, 2, 2])
    write("norm", [node("BatchNormalization", "x a b c d", epsilon=1e-3), ], {k: np.abs(numbers(2)) for k in "abcd"}, ["n", 2, 3, 3])
    write("parts", [node("Relu", "x", "r"), node("Sub", "r m", "a"), node("Div", "a v", "b"), node("Mul", "b m", "c"), node("Add", "c v")],
          {"m": column + 3, "v": column + 2}, ["n", 2, 3, 3])
    write("gate", [node("GlobalAveragePool", "x", "a"), node("Conv", "a w", "b"), node("Sigmoid", "b", "s"), node("Mul", "x s")],
          {"w": numbers(2, 2, 1, 1)}, ["n", 2, 4, 4])
    write("slices", [node("Split", "x", "a b", axis=1), node("Concat", "b a", "c", axis=1), node("Slice", "c s e k t")],
          {"s": np.array([0, 2**63 - 1]), "e": np.array([3, -2**63]), "k": np.array([2, 3]), "t": np.array([1, -1])}, ["n", 2, 4, 4])
    write("resize", [node("Resize", "x r s", "a", mode="linear"), node("Pad", "a p", mode="reflect")],
          {"r": numbers(0), "s": np.array([1, 1, 2, 1.5], np.float32), "p": np.array([0, 0, 1, 0, 0, 0, 0, 1])}, [1, 2, 4, 4])
    write("old", [node("Upsample", "x", "a", scales=[1.0, 1.0, 2.0, 2.0]), node("Clip", "a", "b", min=0.0, max=6.0), node("LRN", "b", size=3)],
          {}, [1, 2, 4, 4], version=7)
    write("activations", [node("LeakyRelu", "x", "a"), node("PRelu", "a s", "b"), node("HardSigmoid", "b", "c"), node("Mul", "b c", "d"),
                          node("Elu", "d", "e"), node("Tanh", "e", "f"), node("Max", "f z", "g"), node("Mean", "g x")],
          {"s": column, "z": np.float32(0)}, ["n", 2, 3, 3])
    half = helper.make_tensor("w", TensorProto.FLOAT16, [2, 2], [0.5, 1, 2, 3])
    typed = helper.make_tensor("v", TensorProto.DOUBLE, [2, 2], [0.5, 1, 2, 3])
    write("types", [node("MatMul", "x w", "a"), node("MatMul", "a v")], {"w": half, "v": typed}, ["n", 2])
    outside = numpy_helper.from_array(w, "w")
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../w")
    write("external", [node("Conv", "x w")], {"w": outside}, [1, 2, 4, 4])


if __name__ == "__main__":
    main()
