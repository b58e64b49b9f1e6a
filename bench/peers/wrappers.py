"""Checkpoints as people save them, written by the programs themselves: small files for tests and `residual inspect`.

    python wrappers.py FOLDER

A network of a few channels is saved in every wrapping that `docs/checkpoints.md` lists: by torch (zip and legacy,
state dict and whole module, torch.compile, DataParallel, averaged), by timm, by transformers, by Lightning. Beside each
file lies FILE.json with PyTorch's logits for one image, `{"input": [c, h, w], "logits": [...]}`; pixel `i` of the
image is `(7 i mod 256 - 128) / 64`, planes one behind the other.
"""

import collections
import json
import pathlib
import sys

import torch
from torch import nn


def image(channels, side):
    values = (torch.arange(channels * side * side) * 7 % 256 - 128).float() / 64
    return values.reshape(1, channels, side, side)


def settle(module, seed=0):
    """Weights and statistics that no test passes with by accident."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.copy_(1 + 0.2 * noise.abs())
        elif tensor.dim() == 1:
            tensor.copy_((1.0 if "weight" in name else 0.0) + 0.1 * noise)
        else:
            tensor.copy_(noise * (1.5 / tensor[0].numel()) ** 0.5)
    return module.eval()


def tiny():
    """torchvision's ResNet with a bottleneck in each of two stages, 4 channels in its stem."""
    from torchvision.models.resnet import Bottleneck, ResNet

    class Tiny(ResNet):
        def __init__(self):
            nn.Module.__init__(self)
            self._norm_layer, self.groups, self.base_width, self.dilation = nn.BatchNorm2d, 1, 64, 1
            self.inplanes = 4
            self.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
            self.bn1, self.relu = nn.BatchNorm2d(4), nn.ReLU(inplace=True)
            self.maxpool = nn.MaxPool2d(3, 2, 1)
            for stage in range(2):
                layer = self._make_layer(Bottleneck, 2 * (stage + 1), 1, stride=1 if stage == 0 else 2)
                setattr(self, f"layer{stage + 1}", layer)
            self.layer3, self.layer4 = nn.Identity(), nn.Identity()
            self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(16, 5)

    return settle(Tiny())


class Holder(nn.Module):
    """A network under another name, with a head beside it."""

    def __init__(self, name, network, head=None):
        super().__init__()
        setattr(self, name, network)
        if head is not None:
            network.fc = nn.Identity()
            self.fc = nn.Sequential(nn.Dropout(0.1), head)

    def forward(self, x):
        return x


class Folder:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.mkdir(parents=True, exist_ok=True)

    def note(self, name, network, side=64, channels=3):
        """Writes what PyTorch answers."""
        with torch.no_grad():
            logits = network(image(channels, side))
        logits = getattr(logits, "logits", logits).flatten().tolist()
        text = json.dumps({"input": [channels, side, side], "logits": logits})
        (self.path / f"{name}.json").write_text(text + "\n")

    def save(self, name, value, network, **options):
        torch.save(value, self.path / name, **options)
        self.note(name, network)


def of_torch(folder):
    network = tiny()
    state = network.state_dict()
    folder.save("plain.pth", state, network)
    folder.save("legacy.pth", state, network, _use_new_zipfile_serialization=False)
    folder.save("training.pth.tar", {"epoch": 3, "arch": "resnet", "state_dict": state, "best_acc1": torch.tensor(7.5)},
                network)
    average = torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    averaged = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=average)
    folder.save("ema.pt", {"model": state, "model_ema": averaged.state_dict()}, network)
    folder.save("parallel.pth", {"state_dict": nn.DataParallel(network).state_dict()}, network)
    folder.save("compiled.pth", torch.compile(network).state_dict(), network)
    halves = {name: t.half() if t.is_floating_point() else t for name, t in state.items()}
    folder.save("half.pth", halves, tiny_half(network))
    strided = collections.OrderedDict(
        (name, t.to(memory_format=torch.channels_last) if t.dim() == 4 else t) for name, t in state.items())
    folder.save("channels_last.pth", strided, network)
    folder.save("backbone.pth", Holder("backbone", tiny(), tiny().fc).state_dict(), network)
    # Named as torchvision's class, so that no class of this file is needed to read it in Python.
    module = tiny()
    module.__class__ = module.__class__.__mro__[1]
    folder.save("module.pth", module, network)
    without_sources()
    folder.save("module_legacy.pth", {"model": module}, network, _use_new_zipfile_serialization=False)
    torch.jit.script(module).save(str(folder.path / "scripted.pt"))


def without_sources():
    """The old format stores the source code of classes; whoever has none stores none."""
    def nothing(_):
        raise OSError("no source")

    torch.serialization.get_source_lines_and_file = nothing


def tiny_half(network):
    half = tiny()
    half.load_state_dict({name: t.half().float() if t.is_floating_point() else t
                          for name, t in network.state_dict().items()})
    return half


def of_timm(folder):
    import timm
    from timm.models import save_for_hf

    network = settle(timm.create_model("resnet10t", num_classes=5))
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    save_for_hf(network, folder.path / "timm", safe_serialization=True)
    folder.note("timm", network, side=96)


def of_transformers(folder):
    from transformers import ConvNextImageProcessor, ResNetConfig, ResNetForImageClassification

    for name in ["basic", "bottleneck", "bottleneck_v1"]:
        config = ResNetConfig(
            embedding_size=4, hidden_sizes=[8, 16], depths=[2, 1], layer_type=name.removesuffix("_v1"), num_labels=3,
            downsample_in_bottleneck=name.endswith("_v1"),
            id2label={0: "ant", 1: "bee", 2: "cat"}, label2id={"ant": 0, "bee": 1, "cat": 2})
        network = settle(ResNetForImageClassification(config))
        path = folder.path / f"transformers_{name}"
        network.save_pretrained(path)
        ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.5).save_pretrained(path)
        folder.note(path.name, network)
        sharded = folder.path / f"transformers_{name}_sharded"
        network.save_pretrained(sharded, max_shard_size="6KB")
        folder.note(sharded.name, network)
        pickled(network, folder.path / f"transformers_{name}_pickled")
        folder.note(f"transformers_{name}_pickled", network)


def pickled(network, path):
    """Shards as older versions of transformers wrote them."""
    path.mkdir()
    network.config.save_pretrained(path)
    items = list(network.state_dict().items())
    halves = [items[: len(items) // 2], items[len(items) // 2:]]
    weight_map = {}
    for number, half in enumerate(halves, 1):
        name = f"pytorch_model-{number:05}-of-{len(halves):05}.bin"
        torch.save(dict(half), path / name)
        weight_map.update({key: name for key, _ in half})
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (path / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def of_lightning(folder):
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = tiny()
            self.criterion = nn.CrossEntropyLoss(weight=torch.ones(5))

    module = Module()
    trainer = lightning.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", enable_progress_bar=False)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(folder.path / "lightning.ckpt", weights_only=True)
    folder.note("lightning.ckpt", module.model)


def main():
    folder = Folder(sys.argv[1])
    with torch.no_grad():
        for write in [of_torch, of_timm, of_transformers, of_lightning]:
            write(folder)
    for path in sorted(folder.path.rglob("*")):
        if path.is_file():
            print(f"{path.stat().st_size:9} {path.relative_to(folder.path)}")


if __name__ == "__main__":
    main()
