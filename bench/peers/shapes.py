"""The convolutions that residual networks are made of."""

from dataclasses import dataclass

FORWARD, DATA, WEIGHTS = PASSES = ("forward", "data", "weights")

# Channels in, channels out, size, stride.
STRIDE_1 = [(64, 64, 56, 1), (128, 128, 28, 1), (256, 256, 14, 1), (512, 512, 7, 1)]
STRIDE_2 = [
    (64, 128, 56, 2),
    (128, 128, 56, 2),
    (128, 256, 28, 2),
    (256, 256, 28, 2),
    (256, 512, 14, 2),
    (512, 512, 14, 2),
]
POINTWISE = [
    (64, 64, 56, 1),
    (64, 256, 56, 1),
    (256, 64, 56, 1),
    (256, 128, 56, 1),
    (128, 512, 28, 1),
    (512, 128, 28, 1),
    (512, 256, 28, 1),
    (256, 1024, 14, 1),
    (1024, 256, 14, 1),
    (1024, 512, 14, 1),
    (512, 2048, 7, 1),
    (2048, 512, 7, 1),
    (64, 128, 56, 2),
    (128, 256, 28, 2),
    (256, 512, 14, 2),
    (256, 512, 56, 2),
    (512, 1024, 28, 2),
    (1024, 2048, 14, 2),
]
SMALL = [(32, 32, 32, 1), (64, 64, 16, 1), (128, 128, 8, 1)]
SMALL_STRIDE_2 = [(32, 64, 32, 2), (64, 128, 16, 2)]


@dataclass(frozen=True)
class Layer:
    """A square convolution, padded by half its kernel."""

    group: str
    batch: int
    ins: int
    outs: int
    size: int
    kernel: int
    stride: int

    @property
    def padding(self) -> int:
        """Zeros on each side."""
        return self.kernel // 2

    @property
    def out_size(self) -> int:
        """Rows and columns of the output."""
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def operations(self) -> int:
        """Multiplications and additions of the direct computation; padding counts as work."""
        taps = self.kernel**2
        return 2 * self.batch * self.outs * self.ins * taps * self.out_size**2

    def __str__(self) -> str:
        kernel = f"{self.kernel}x{self.kernel}/{self.stride}"
        return f"{self.batch}x{self.ins}->{self.outs}@{self.size} {kernel}"


def layers() -> list[Layer]:
    """ResNet-18, 34 and 50 at batch 16 and 1, and the small network at batch 128."""
    found = []
    for batch in (16, 1):
        for kind, kernel, sizes in [("3x3", 3, STRIDE_1), ("3x3/2", 3, STRIDE_2), ("1x1", 1, POINTWISE)]:
            group = f"{kind} batch {batch}"
            found += [Layer(group, batch, i, o, size, kernel, stride) for i, o, size, stride in sizes]
        found.append(Layer(f"stem batch {batch}", batch, 3, 64, 224, 7, 2))
    for kind, kernel, sizes in [("3x3", 3, SMALL), ("3x3/2", 3, SMALL_STRIDE_2), ("1x1", 1, SMALL_STRIDE_2)]:
        group = f"{kind} small network"
        found += [Layer(group, 128, i, o, size, kernel, stride) for i, o, size, stride in sizes]
    found.append(Layer("stem small network", 128, 3, 32, 32, 3, 1))
    return found
