"""Graphs of residual networks as other tools than PyTorch write them, with random weights.

    pip install onnx==1.23.2 numpy

As far as their forms are known: Caffe2's (v1, stride on the first 1x1 convolution, `Sum`, `Reshape` and `Gemm`, old
operators), MXNet's v1 (biased 1x1 convolutions in front of batch norms, another epsilon) and v2 (a batch norm on the
image, pre-activation), and Keras' ResNet50 through tf2onnx (channels last behind transpositions, `Pad` in front of
convolutions and pools, biased convolutions, `MatMul` and `Add`), with batch norms and with them folded.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Blocks of each stage, and whether they are bottlenecks. The last two are for tests.
DEPTHS = {18: ([2, 2, 2, 2], False), 34: ([3, 4, 6, 3], False), 50: ([3, 4, 6, 3], True), 101: ([3, 4, 23, 3], True),
          152: ([3, 8, 36, 3], True), 6: ([1, 1], False), 8: ([1, 1], True)}


class Builder:
    """Nodes and constants of a graph as it is written."""

    def __init__(self, seed: int, epsilon: float):
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants, self.epsilon = [], [], epsilon

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def uniform(self, shape, low: float, high: float) -> str:
        return self.constant(self.random.uniform(low, high, shape).astype(np.float32))

    def node(self, op: str, *inputs: str, **attributes) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=f"{op}_{len(self.nodes)}", **attributes))
        return name

    def conv(self, x: str, inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = False, pad=None) -> str:
        deviation = (2 / (inputs * kernel * kernel)) ** 0.5
        weight = self.constant(self.random.normal(0, deviation, (outputs, inputs, kernel, kernel)).astype(np.float32))
        rest = [self.uniform(outputs, -0.2, 0.2)] if bias else []
        pads = [kernel // 2] * 4 if pad is None else pad
        return self.node("Conv", x, weight, *rest, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)

    def norm(self, x: str, channels: int, **attributes) -> str:
        gain, shift = self.uniform(channels, 0.3, 0.8), self.uniform(channels, -0.2, 0.2)
        mean, variance = self.uniform(channels, -0.2, 0.2), self.uniform(channels, 0.5, 1.5)
        return self.node("BatchNormalization", x, gain, shift, mean, variance, epsilon=self.epsilon, **attributes)

    def model(self, shape, output: str, outputs, opset: int) -> onnx.ModelProto:
        """The graph, its input free in the number of images."""
        value = helper.make_tensor_value_info
        graph = helper.make_graph(self.nodes, "graph", [value("data", TensorProto.FLOAT, ["N", *shape])],
                                  [value(output, TensorProto.FLOAT, ["N", *outputs])], self.constants)
        version = 3 if opset < 9 else 8
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=max(version, 4))


def blocks(depths, base: int, expansion: int):
    """Input channels, width, output channels and stride of each block."""
    channels = base
    for stage, count in enumerate(depths):
        width = base << stage
        for block in range(count):
            yield channels, width, width * expansion, 2 if stage > 0 and block == 0 else 1
            channels = width * expansion


def stem(b: Builder, x: str, base: int) -> str:
    """A 7x7 convolution of stride 2 and a pool."""
    x = b.node("Relu", b.norm(b.conv(x, 3, base, 7, 2), base))
    return b.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)


def linear(b: Builder, x: str, channels: int, classes: int) -> str:
    weight, bias = b.uniform((classes, channels), -0.05, 0.05), b.uniform(classes, -0.1, 0.1)
    return b.node("Gemm", x, weight, bias, transB=1)


def version_1(b: Builder, depth: int, base: int, add: str, bias: bool) -> tuple[str, int]:
    """Stem and blocks of v1, the stride on a bottleneck's first convolution, and the channels that come out."""
    depths, bottleneck = DEPTHS[depth]
    relu = lambda x: b.node("Relu", x)
    x = stem(b, "data", base)
    for channels, width, outputs, stride in blocks(depths, base, 4 if bottleneck else 1):
        if bottleneck:
            y = relu(b.norm(b.conv(x, channels, width, 1, stride, bias=bias), width))
            y = relu(b.norm(b.conv(y, width, width, 3), width))
            y = b.norm(b.conv(y, width, outputs, 1, bias=bias), outputs)
        else:
            y = relu(b.norm(b.conv(x, channels, width, 3, stride), width))
            y = b.norm(b.conv(y, width, outputs, 3), outputs)
        if stride != 1 or channels != outputs:
            x = b.norm(b.conv(x, channels, outputs, 1, stride), outputs)
        x = relu(b.node(add, y, x))
    return x, outputs


def caffe2(depth: int, side: int, classes: int, base: int = 64) -> onnx.ModelProto:
    """v1 with the stride on the first 1x1 convolution and `Sum`, opset 9."""
    b = Builder(depth, 1e-5)
    x, channels = version_1(b, depth, base, "Sum", False)
    last = side // (2 << len(DEPTHS[depth][0]))
    x = b.node("AveragePool", x, kernel_shape=[last, last], strides=[1, 1])
    x = b.node("Reshape", x, b.constant(np.array([-1, channels], np.int64)))
    return b.model([3, side, side], b.node("Softmax", linear(b, x, channels, classes), axis=1), [classes], 9)


def mxnet_v1(depth: int, side: int, classes: int, base: int = 64) -> onnx.ModelProto:
    """Gluon's ResNetV1: biased 1x1 convolutions, stride on the first."""
    b = Builder(depth + 1000, 1e-5)
    x, channels = version_1(b, depth, base, "Add", True)
    x = b.node("Flatten", b.node("GlobalAveragePool", x))
    return b.model([3, side, side], linear(b, x, channels, classes), [classes], 11)


def mxnet_v2(depth: int, side: int, classes: int, base: int = 64) -> onnx.ModelProto:
    """Gluon's ResNetV2: a batch norm on the image, pre-activation."""
    depths, bottleneck = DEPTHS[depth]
    b = Builder(depth + 2000, 2e-5)
    relu = lambda x: b.node("Relu", x)
    x = stem(b, b.norm("data", 3), base)
    for channels, width, outputs, stride in blocks(depths, base, 4 if bottleneck else 1):
        h = relu(b.norm(x, channels))
        if stride != 1 or channels != outputs:
            x = b.conv(h, channels, outputs, 1, stride)
        if bottleneck:
            y = b.conv(h, channels, width, 1)
            y = b.conv(relu(b.norm(y, width)), width, width, 3, stride)
            y = b.conv(relu(b.norm(y, width)), width, outputs, 1)
        else:
            y = b.conv(h, channels, width, 3, stride)
            y = b.conv(relu(b.norm(y, width)), width, outputs, 3)
        x = b.node("Add", y, x)
    x = b.node("Flatten", b.node("GlobalAveragePool", relu(b.norm(x, outputs))))
    return b.model([3, side, side], linear(b, x, outputs, classes), [classes], 11)


def keras(depth: int, side: int, classes: int, folded: bool, uneven: bool = False, base: int = 64) -> onnx.ModelProto:
    """keras.applications' ResNet50 through tf2onnx. `uneven`: TensorFlow's SAME padding in the stem."""
    depths, _ = DEPTHS[depth]
    b = Builder(depth + 3000 + folded + 2 * uneven, 1.001e-5)
    norm = lambda x, channels: x if folded else b.norm(x, channels)
    relu = lambda x: b.node("Relu", x)
    pad = lambda x, by: b.node("Pad", x, b.constant(np.array([0, 0, by, by, 0, 0, by, by], np.int64)))
    x = b.node("Transpose", "data", perm=[0, 3, 1, 2])
    x = b.conv(x, 3, base, 7, 2, True, [2, 2, 3, 3]) if uneven else b.conv(pad(x, 3), 3, base, 7, 2, True, [0] * 4)
    x = pad(relu(norm(x, base)), 1)
    x = b.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    for channels, width, outputs, stride in blocks(depths, base, 4):
        shortcut = norm(b.conv(x, channels, outputs, 1, stride, True), outputs) if channels != outputs else x
        y = relu(norm(b.conv(x, channels, width, 1, stride, True), width))
        y = relu(norm(b.conv(y, width, width, 3, 1, True), width))
        y = norm(b.conv(y, width, outputs, 1, 1, True), outputs)
        x = relu(b.node("Add", shortcut, y))
    # The mean is taken channels last.
    x = b.node("Transpose", x, perm=[0, 2, 3, 1])
    x = b.node("ReduceMean", x, axes=[1, 2], keepdims=0)
    x = b.node("MatMul", x, b.uniform((outputs, classes), -0.05, 0.05))
    x = b.node("Add", x, b.uniform(classes, -0.1, 0.1))
    return b.model([side, side, 3], b.node("Softmax", x, axis=-1), [classes], 13)


def graphs(side: int = 64, classes: int = 10):
    """Names and graphs, one at a time."""
    for depth in (18, 34, 50, 101, 152):
        yield f"caffe2 resnet{depth} v1", lambda depth=depth: caffe2(depth, side, classes)
        yield f"mxnet resnet{depth} v1", lambda depth=depth: mxnet_v1(depth, side, classes)
        yield f"mxnet resnet{depth} v2", lambda depth=depth: mxnet_v2(depth, side, classes)
    yield "keras resnet50, tf2onnx", lambda: keras(50, side, classes, False)
    yield "keras resnet50, tf2onnx, folded", lambda: keras(50, side, classes, True)
    yield "keras resnet101, tf2onnx", lambda: keras(101, side, classes, False)
    yield "tensorflow resnet50, SAME padding", lambda: keras(50, side, classes, False, True)
