"""Five steps of PyTorch's and timm's optimisers in float64, for crates/kernels/tests/expected/optimisers.txt.

    python optimisers.py > optimisers.txt

Parameter and gradients are the formula's values (crates/testkit/src/formula.rs) called `parameter` and `gradient N`.
"""
import torch
from timm.optim.lamb import Lamb
from timm.optim.lars import Lars
from timm.optim.lion import Lion
from timm.optim.rmsprop_tf import RMSpropTF

LENGTH, STEPS, MASK = 40, 5, (1 << 64) - 1


def uniform(name, n, rounded=True):
    """SplitMix64 from the name's FNV-1a hash, in [-1, 1); rounded as the library's parameters, which are float32."""
    start = 0xCBF29CE484222325
    for byte in name.encode():
        start = ((start ^ byte) * 0x100000001B3) & MASK
    values = []
    for i in range(1, n + 1):
        z = (start + i * 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        values.append(((z ^ (z >> 31)) >> 11) * (2.0 / (1 << 53)) - 1.0)
    values = torch.tensor(values, dtype=torch.float64)
    return values.float().double() if rounded else values


CASES = {
    "sgd": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.05)),
    "nesterov": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.05, nesterov=True)),
    "adamw": (torch.optim.AdamW, dict(lr=0.01, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.05)),
    "lamb": (Lamb, dict(lr=0.01, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.05, max_grad_norm=None)),
    "lamb_without_decay": (Lamb, dict(lr=0.01, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.0, max_grad_norm=None)),
    "lars": (Lars, dict(lr=0.5, momentum=0.9, trust_coeff=0.02, eps=1e-8, weight_decay=0.05)),
    "lars_without_decay": (Lars, dict(lr=0.5, momentum=0.9, trust_coeff=0.02, eps=1e-8, weight_decay=0.0)),
    "lion": (Lion, dict(lr=0.01, betas=(0.9, 0.99), weight_decay=0.5)),
    "rms_prop": (RMSpropTF, dict(lr=0.01, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=0.05)),
}


def main():
    for name, (optimiser, options) in CASES.items():
        parameter = torch.nn.Parameter(uniform("parameter", LENGTH))
        optimiser = optimiser([parameter], **options)
        for step in range(STEPS):
            parameter.grad = uniform(f"gradient {step}", LENGTH)
            optimiser.step()
        print(name, *(f"{value:.9f}" for value in parameter.tolist()))


if __name__ == "__main__":
    main()
