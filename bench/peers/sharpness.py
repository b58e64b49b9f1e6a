"""Two steps of sharpness-aware minimisation with PyTorch in float64, for crates/train/tests/expected/sam.txt.

    python sharpness.py > sam.txt

A residual network of two blocks, whose weights and images are the formula's values (crates/testkit/src/formula.rs) called
by the tensors' paths and `image N`; cross-entropy, SGD with momentum and weight decay around SAM (Foret et al. 2021,
algorithm 1) or ASAM (Kwon et al. 2021, equation 8).
"""
import torch
from torch.nn import functional as F

from optimisers import uniform

IMAGES, CLASSES, SIDE, STEPS = 9, 3, 8, 2
# Values of a tensor that are written, from its first one.
SHOWN = 16
CONVS = {
    "stem.conv0": (4, 3, 3), "stage1.block0.conv1": (4, 4, 3), "stage1.block0.conv2": (4, 4, 3),
    "stage2.block0.conv1": (8, 4, 3), "stage2.block0.conv2": (8, 8, 3), "stage2.block0.shortcut.conv": (8, 4, 1),
}
CASES = {"sgd": None, "sam": (0.5, False), "adaptive": (2.0, True)}


def parameters():
    shapes = {}
    for name, (out, ins, side) in CONVS.items():
        norm = name.replace("conv", "norm")
        shapes |= {f"{name}.weight": (out, ins, side, side), f"{norm}.weight": (out,), f"{norm}.bias": (out,)}
    shapes |= {"head.linear.weight": (CLASSES, 8), "head.linear.bias": (CLASSES,)}
    found = {}
    for name, shape in shapes.items():
        offset, scale = 0.0, 0.1
        if len(shape) > 1:
            scale = ((6 if len(shape) == 4 else 3) / torch.Size(shape[1:]).numel()) ** 0.5
        elif not name.endswith("bias"):
            offset = 1.0
        values = uniform(name, torch.Size(shape).numel(), rounded=False) * scale + offset
        found[name] = values.float().double().reshape(shape).requires_grad_()
    return found


def loss(p, images, labels):
    def conv_norm(x, name, stride=1):
        weight = p[f"{name}.weight"]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        norm = name.replace("conv", "norm")
        return F.batch_norm(x, None, None, p[f"{norm}.weight"], p[f"{norm}.bias"], training=True)

    x = F.relu(conv_norm(images, "stem.conv0"))
    branch = conv_norm(F.relu(conv_norm(x, "stage1.block0.conv1")), "stage1.block0.conv2")
    x = F.relu(branch + x)
    branch = conv_norm(F.relu(conv_norm(x, "stage2.block0.conv1", 2)), "stage2.block0.conv2")
    x = F.relu(branch + conv_norm(x, "stage2.block0.shortcut.conv", 2))
    logits = x.mean((2, 3)) @ p["head.linear.weight"].T + p["head.linear.bias"]
    return F.cross_entropy(logits, labels)


def gradients(p, images, labels):
    return torch.autograd.grad(loss(p, images, labels), list(p.values()))


def sam_gradients(p, images, labels, rho, adaptive):
    first = gradients(p, images, labels)
    with torch.no_grad():
        scaled = [w.abs() * g if adaptive else g for w, g in zip(p.values(), first)]
        norm = torch.sqrt(sum((g**2).sum() for g in scaled))
        steps = [rho * (w**2 if adaptive else 1.0) * g / norm for w, g in zip(p.values(), first)]
        worst = {name: (w + e).requires_grad_() for (name, w), e in zip(p.items(), steps)}
    return gradients(worst, images, labels)


def main():
    pixels = [((uniform(f"image {i}", 3 * SIDE * SIDE, rounded=False) + 1) * 128).floor() for i in range(IMAGES)]
    images = torch.stack(pixels).reshape(IMAGES, SIDE, SIDE, 3).permute(0, 3, 1, 2)
    images = (images / 255 - 0.5) / 0.25
    labels = torch.arange(IMAGES) % CLASSES
    for case, sam in CASES.items():
        p = parameters()
        optimiser = torch.optim.SGD(p.values(), lr=0.1, momentum=0.9, weight_decay=0.01)
        for _ in range(STEPS):
            found = sam_gradients(p, images, labels, *sam) if sam else gradients(p, images, labels)
            for parameter, gradient in zip(p.values(), found):
                parameter.grad = gradient
            optimiser.step()
        for name, values in p.items():
            print(case, name, *(f"{value:.7f}" for value in values.flatten()[:SHOWN].tolist()))


if __name__ == "__main__":
    main()
