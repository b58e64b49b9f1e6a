"""ONNX Runtime and OpenVINO, on ONNX models made here."""

import numpy
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper
from openvino.preprocess import PrePostProcessor

from shapes import Layer
from timing import Contender, runs_of

# Convolutions of the model that spreads the cost of its in- and output over several.
BRANCHES = 4


def contenders(layer: Layer, threads: int) -> dict[str, Contender]:
    """Each runtime on one convolution, and on several whose results are added up.

    A runtime that computes in a layout of its own rearranges what goes in and comes out, which within a
    network happens only at its ends. The convolutions of the second model share that; the time is one
    convolution's part of it. OpenVINO is also given NHWC, in which it need not rearrange anything.
    """
    single, several = model(layer, 1), model(layer, BRANCHES)
    return {
        "onnxruntime": in_onnxruntime(single, layer, threads, 1),
        "onnxruntime shared": in_onnxruntime(several, layer, threads, BRANCHES),
        "openvino": in_openvino(single, layer, threads, 1, nhwc=False),
        "openvino nhwc": in_openvino(single, layer, threads, 1, nhwc=True),
        "openvino shared": in_openvino(several, layer, threads, BRANCHES, nhwc=True),
    }


def model(layer: Layer, branches: int) -> onnx.ModelProto:
    """`y = conv_1(x) + ... + conv_n(x)`, weights and biases constant."""
    rng = numpy.random.default_rng(1)
    nodes, constants, total = [], [], None
    for branch in range(branches):
        shapes = {"w": (layer.outs, layer.ins, layer.kernel, layer.kernel), "b": (layer.outs,)}
        for name, shape in shapes.items():
            values = rng.standard_normal(shape, dtype=numpy.float32)
            constants.append(numpy_helper.from_array(values, f"{name}{branch}"))
        inputs, output = ["x", f"w{branch}", f"b{branch}"], f"conv{branch}"
        sizes = {"kernel_shape": [layer.kernel] * 2, "strides": [layer.stride] * 2, "pads": [layer.padding] * 4}
        nodes.append(helper.make_node("Conv", inputs, [output], **sizes))
        if total:
            nodes.append(helper.make_node("Add", [total, output], [f"sum{branch}"]))
            output = f"sum{branch}"
        total = output
    value = helper.make_tensor_value_info
    x = value("x", TensorProto.FLOAT, [layer.batch, layer.ins, layer.size, layer.size])
    y = value(total, TensorProto.FLOAT, [layer.batch, layer.outs, layer.out_size, layer.out_size])
    graph = helper.make_graph(nodes, "layer", [x], [y], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def image(layer: Layer) -> numpy.ndarray:
    """The input, NCHW."""
    shape = (layer.batch, layer.ins, layer.size, layer.size)
    return numpy.random.default_rng(2).standard_normal(shape, dtype=numpy.float32)


def part(contender: Contender, branches: int) -> Contender:
    """One branch's part of the time."""
    return lambda runs: contender(runs) / branches


def in_onnxruntime(made: onnx.ModelProto, layer: Layer, threads: int, branches: int) -> Contender:
    """A session whose in- and output are bound to memory beforehand."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Its threads spin between the operations of a run, and not on into the next contender's turn.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    shape = (layer.batch, layer.outs, layer.out_size, layer.out_size)
    binding = session.io_binding()
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(v) for v in (image(layer), numpy.zeros(shape, "f4"))]
    binding.bind_ortvalue_input("x", values[0])
    binding.bind_ortvalue_output(made.graph.output[0].name, values[1])
    return part(runs_of(lambda: session.run_with_iobinding(binding)), branches)


def in_openvino(made: onnx.ModelProto, layer: Layer, threads: int, branches: int, *, nhwc: bool) -> Contender:
    """A compiled model in float32; with `nhwc`, in- and output lie so."""
    core = openvino.Core()
    read = core.read_model(made.SerializeToString())
    x = image(layer)
    if nhwc:
        processor = PrePostProcessor(read)
        processor.input().tensor().set_layout(openvino.Layout("NHWC"))
        processor.input().model().set_layout(openvino.Layout("NCHW"))
        processor.output().tensor().set_layout(openvino.Layout("NHWC"))
        processor.output().model().set_layout(openvino.Layout("NCHW"))
        read = processor.build()
        x = numpy.ascontiguousarray(x.transpose(0, 2, 3, 1))
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        # Otherwise a machine with bfloat16 computes in that.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(read, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x))

    def call() -> None:
        request.start_async()
        request.wait()

    return part(runs_of(call), branches)
