"""Masks of timm's DropBlock with given centres, for the test in crates/nn/src/drop_block.rs.

    python drop_block.py
"""
import torch
from timm.layers.drop import drop_block_2d

CASES = [(3, ["x....", ".....", "...x.", ".....", "....."]), (2, ["....", ".x..", "....", "...x"]), (5, ["x..", "..."])]


def main():
    for size, centres in CASES:
        mask = torch.tensor([[[[float(c == "x") for c in row] for row in centres]]], dtype=torch.float64)
        gammas = []

        def marked(self, gamma):
            gammas.append(gamma)
            return self.copy_(mask)

        torch.Tensor.bernoulli_ = marked
        out = drop_block_2d(torch.ones_like(mask), drop_prob=0.1, block_size=size)[0, 0]
        rows = ["".join("o" if v > 0 else "." for v in row) for row in out]
        print(size, rows, f"{out.max():.7f}", f"{gammas[0]:.9f}")


main()
