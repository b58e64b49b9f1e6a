"""Small graphs as other tools write them, and their logits by onnxruntime, for crates/residual/tests/interop.rs.

    pip install torch==2.15.0 onnx==1.23.2 onnxruntime==1.32.0 onnxscript==0.7.2 timm==1.0.31
    python bench/peers/onnx_fixtures.py

The image is `sin(i)` for its numbers in the order of `[1, 3, 32, 32]`.
"""

import contextlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from timm.models.resnet import BasicBlock, Bottleneck, ResNet

import zoo_graphs
from published import randomise

FOLDER = Path(__file__).resolve().parents[2] / "crates/residual/tests/fixtures/onnx"
SIDE, CLASSES, BASE = 32, 3, 4
IMAGE = np.sin(np.arange(3 * SIDE * SIDE)).reshape(1, 3, SIDE, SIDE).astype(np.float32)


def logits(model: onnx.ModelProto) -> list[float]:
    """The output by onnxruntime; of a softmax what it reads."""
    last = model.graph.node[-1]
    if last.op_type == "Softmax":
        model = onnx.ModelProto.FromString(model.SerializeToString())
        del model.graph.output[:]
        model.graph.output.append(onnx.helper.make_tensor_value_info(last.input[0], 1, None))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    data = session.get_inputs()[0]
    image = IMAGE.transpose(0, 2, 3, 1) if data.shape[-1] == 3 else IMAGE
    return session.run(None, {data.name: np.ascontiguousarray(image)})[0][0].tolist()


def small(kind: str) -> torch.nn.Module:
    """A small network of timm, its stem deep and narrow."""
    from timm.layers import BlurPool2d

    narrow = dict(num_classes=CLASSES, stem_type="deep", stem_width=4)
    if kind == "se":
        model = ResNet(BasicBlock, [1, 1, 1, 1], channels=(4, 4, 8, 8), block_args=dict(attn_layer="se"), **narrow)
    elif kind == "blur":
        model = ResNet(Bottleneck, [1, 1, 1, 1], channels=(2, 2, 4, 4), aa_layer=BlurPool2d, **narrow)
    else:
        model = ResNet(Bottleneck, [1, 1, 1, 1], channels=(2, 2, 4, 4), avg_down=True, **narrow)
    randomise(model, len(kind))
    return model


def of_torch(kind: str, dynamo: bool, norms: bool) -> onnx.ModelProto:
    """A graph of one of torch's exporters."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path, image = Path(folder) / "x.onnx", torch.from_numpy(IMAGE)
        if dynamo:
            torch.onnx.export(small(kind), (image,), path, dynamo=True, optimize=not norms, external_data=False)
        else:
            mode = torch.onnx.TrainingMode.PRESERVE if norms else torch.onnx.TrainingMode.EVAL
            torch.onnx.export(small(kind), (image,), path, dynamo=False, training=mode, do_constant_folding=not norms)
        model = onnx.load(path)
    for node in model.graph.node:
        # Traces of the code that it comes from.
        node.doc_string = ""
        del node.metadata_props[:]
    for value in [*model.graph.value_info]:
        model.graph.value_info.remove(value)
    return model


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    size = (SIDE, CLASSES)
    found = {
        "caffe2": zoo_graphs.caffe2(8, *size, base=BASE),
        "mxnet_v1": zoo_graphs.mxnet_v1(8, *size, base=BASE),
        "mxnet_v2": zoo_graphs.mxnet_v2(6, *size, base=BASE),
        "keras": zoo_graphs.keras(8, *size, False, base=BASE),
        "keras_folded": zoo_graphs.keras(8, *size, True, base=BASE),
        "tensorflow_same": zoo_graphs.keras(8, *size, False, True, base=BASE),
    }
    for kind in ("se", "blur", "deep"):
        for dynamo in (False, True):
            for norms in (False, True):
                name = f"{kind}_{'dynamo' if dynamo else 'torchscript'}_{'norms' if norms else 'folded'}"
                found[name] = of_torch(kind, dynamo, norms)
    expected = {}
    for name, model in found.items():
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, FOLDER / f"{name}.onnx")
        expected[name] = logits(model)
        print(name, (FOLDER / f"{name}.onnx").stat().st_size, [round(logit, 4) for logit in expected[name]])
    (FOLDER / "logits.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
