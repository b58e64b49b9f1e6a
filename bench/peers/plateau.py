"""Rates of PyTorch's ReduceLROnPlateau after each epoch, for the test in crates/train/src/schedules/plateau.rs.

    python plateau.py
"""
import torch

LOSSES = [1.0, 0.8, 0.79995, 0.81, 0.7, 0.71, 0.72, 0.7, 0.69996, 0.65, 0.66, 0.67, 0.68, 0.69, 0.7, 0.71]
LOSSES += [0.5] * 5
CASES = {
    "loss": ("min", dict(factor=0.1, patience=2, threshold=1e-4, cooldown=0, min_lr=0.0)),
    "top1": ("max", dict(factor=0.5, patience=1, threshold=1e-2, cooldown=2, min_lr=0.02)),
}


def main():
    for name, (mode, options) in CASES.items():
        optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, mode=mode, eps=0.0, **options)
        rates = []
        for loss in LOSSES:
            schedule.step(loss if mode == "min" else 1.0 - loss)
            rates.append(float(f"{optimiser.param_groups[0]['lr']:.12g}"))
        print(name, rates)


main()
