"""Whole networks in PyTorch, ONNX Runtime and OpenVINO: one call each, which gives the logits.

    python bench/peers/whole.py PEER NETWORK BATCH THREADS MODEL.onnx INPUT.raw

runs one of them alone and prints the MiB that the process held at most: a library is imported when it is
asked for, so nothing of another's is counted.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy

PEERS = ["torch", "torch channels_last", "onnxruntime", "openvino"]

Call = Callable[[], numpy.ndarray]


def prepare(peer: str, name: str, threads: int, model: Path, x: numpy.ndarray) -> Call:
    """The call of a peer for the network called `name`, whose ONNX model is `model`."""
    if peer.startswith("torch"):
        return in_torch(name, x, threads, last="channels_last" in peer)
    return {"onnxruntime": in_onnxruntime, "openvino": in_openvino}[peer](model, x, threads)


def in_torch(name: str, x: numpy.ndarray, threads: int, *, last: bool) -> Call:
    """Traced and frozen, batch norms folded."""
    import torch
    from networks import NETWORKS, made

    torch.set_num_threads(threads)
    memory = torch.channels_last if last else torch.contiguous_format
    network = next(network for network in NETWORKS if network.name == name)
    with torch.inference_mode():
        images, module = torch.from_numpy(x).to(memory_format=memory), made(network).to(memory_format=memory)
        module = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(module, images)))

    @torch.inference_mode()
    def call() -> numpy.ndarray:
        return module(images).numpy()

    return call


def in_onnxruntime(model: Path, x: numpy.ndarray, threads: int) -> Call:
    """All optimisations, input bound beforehand."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Its threads spin between the operations of a run, and not on into the next contender's turn.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(["y"], {"x": x})[0]


def in_openvino(model: Path, x: numpy.ndarray, threads: int) -> Call:
    """A compiled model in float32."""
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    core = openvino.Core()
    request = core.compile_model(core.read_model(str(model)), "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(numpy.ascontiguousarray(x)))

    def call() -> numpy.ndarray:
        request.start_async()
        request.wait()
        return request.get_output_tensor().data

    return call


def peak_mib() -> float:
    """What this process held at most. Not `getrusage`: its figure is the starting process's where that is larger."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return float(line.split()[1]) / 1024


def main() -> None:
    """The process that has one peer and nothing else."""
    peer, name, batch, threads, model, raw = sys.argv[1:]
    values = numpy.fromfile(raw, dtype=numpy.float32)
    size = round((values.size / int(batch) / 3) ** 0.5)
    call = prepare(peer, name, int(threads), Path(model), values.reshape(int(batch), 3, size, size))
    for _ in range(3):
        call()
    print(peak_mib())


if __name__ == "__main__":
    main()
