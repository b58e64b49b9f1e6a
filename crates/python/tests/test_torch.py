"""Modules of torchvision and timm on this engine, beside themselves."""

import numpy as np
import pytest

import residual_nets as rn

torch = pytest.importorskip("torch")


def modules():
    try:
        import torchvision

        yield "resnet18", lambda: torchvision.models.resnet18()
        yield "resnet50", lambda: torchvision.models.resnet50(num_classes=7)
        yield "wide_resnet50_2", lambda: torchvision.models.wide_resnet50_2()
    except ImportError:
        pass
    try:
        import timm

        yield "resnet26d", lambda: timm.create_model("resnet26d")
        yield "resnetv2_50", lambda: timm.create_model("resnetv2_50", num_classes=5)
        yield "seresnext26t_32x4d", lambda: timm.create_model("seresnext26t_32x4d")
    except ImportError:
        pass


@pytest.mark.parametrize("name, make", list(modules()))
def test_logits_are_the_modules(name, make):
    from residual_nets import torch as engine_of

    torch.manual_seed(0)
    module = make().train()
    with torch.no_grad():
        # Statistics and scales as a training leaves them: nothing of the network is the identity.
        for tensor_name, tensor in module.state_dict().items():
            if "running_mean" in tensor_name:
                tensor.normal_(0, 0.1)
            elif "running_var" in tensor_name:
                tensor.uniform_(0.5, 1.5)
    engine = engine_of.load(module)
    assert engine.model == name and engine.difference < 1e-4
    assert module.training
    module.eval()
    x = torch.randn(3, 3, 192, 224)
    with torch.no_grad():
        expected = module(x)
    found = engine(x)
    assert found.dtype == torch.float32 and found.shape == expected.shape
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-4
    # 17 images are more than go through together.
    small = torch.randn(17, 3, 64, 64)
    with torch.no_grad():
        expected = module(small)
    assert float((engine(small) - expected).abs().max() / expected.abs().max()) < 1e-4


def test_what_is_no_residual_network_is_refused():
    from residual_nets import torch as engine_of

    with pytest.raises(rn.ModelError, match="residual network"):
        engine_of.load(torch.nn.Linear(3, 4))
    with pytest.raises(rn.InputError, match="torch.nn.Module"):
        engine_of.load({})


def test_a_network_that_computes_something_else_is_refused():
    torchvision = pytest.importorskip("torchvision")
    from residual_nets import torch as engine_of

    class Scaled(torchvision.models.ResNet):
        def forward(self, x):
            return super().forward(2 * x)

    module = Scaled(torchvision.models.resnet.BasicBlock, [2, 2, 2, 2])
    with pytest.raises(rn.ModelError, match="differ by"):
        engine_of.load(module)
    engine = engine_of.load(module, check=False)
    assert engine.difference is None
    for wrong in (torch.zeros(3, 32, 32), torch.zeros(1, 3, 32, 32, dtype=torch.float64), np.zeros((1, 3, 32, 32))):
        with pytest.raises(rn.InputError, match="expected a float32 tensor"):
            engine(wrong)
    assert engine(torch.zeros(0, 3, 32, 32)).shape == (0, 1000)
