"""Makes the expected values of the augmentations: operations with fixed parameters, as torchvision and Pillow compute them.

    python augment.py PHOTOGRAPH

Needs torch, torchvision, timm, Pillow and numpy. PHOTOGRAPH is any image of 260 x 260 pixels or more; a cut-out of it
is kept as `photo.png`. Written to crates/data/tests/fixtures/augment:

operations.txt  image, operation, parameters, FNV-1a of the pixels (HWC) of `torchvision.transforms.v2.functional` on
                PIL images, or of Pillow where torchvision has no such function
blur.txt        the same for `gaussian_blur`, which computes in floats: all pixels, in hexadecimal
tables.txt      magnitudes of the policies of `torchvision.transforms.v2`, bin by bin
policies.txt    magnitudes that a policy drew, and its result, for AugMix with the operations on PIL images
mix.txt         timm's Mixup: what it drew, and what came of it
"""

import sys
from pathlib import Path

import numpy as np
import PIL
import timm
import torch
import torchvision
from PIL import Image, ImageFilter
from timm.data import mixup as timm_mixup
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

HERE = Path(__file__).resolve().parents[2] / "crates/data/tests/fixtures/augment"
MASK = (1 << 64) - 1
MODES = {"nearest": InterpolationMode.NEAREST, "bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return f"{value:016x}"


def noise(width, height, seed):
    """Bytes of a linear congruential generator, RGB."""
    state, pixels = seed, bytearray()
    for _ in range(width * height * 3):
        state = (state * 6364136223846793005 + 1442695040888963407) & MASK
        pixels.append(state >> 56)
    return Image.frombytes("RGB", (width, height), bytes(pixels))


def gradient(width, height):
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 255 // (width - 1), y * 255 // (height - 1), (x * 3 + y * 5) % 256]
    return Image.fromarray(np.stack(planes, -1).astype(np.uint8), "RGB")


def images(photograph):
    photo = Image.open(photograph).convert("RGB").crop((60, 40, 260, 260)).resize((61, 47), Image.BILINEAR)
    photo.save(HERE / "photo.png", optimize=True)
    dim = photo.point(lambda value: 60 + value // 4)
    return {
        "photo": photo,
        "dim": dim,
        "grey": photo.convert("L").crop((3, 2, 40, 31)),
        "gradient": gradient(33, 20),
        "noise": noise(17, 31, 5),
        "square": noise(24, 24, 6),
        "wide": gradient(224, 3),
        "row": noise(9, 1, 7),
        "small": noise(2, 2, 8),
        "flat": Image.new("RGB", (5, 4), (10, 200, 30)),
    }


class Lines:
    def __init__(self, name):
        versions = f"torchvision {torchvision.__version__.split('+')[0]}, timm {timm.__version__}, Pillow {PIL.__version__}"
        self.path, self.lines = HERE / name, [f"# bench/peers/augment.py: {versions}"]

    def add(self, *parts):
        self.lines.append(" ".join(str(part) for part in parts))

    def write(self):
        self.path.write_text("\n".join(self.lines) + "\n")


def affine(image, mode, fill=None, angle=0.0, translate=(0, 0), scale=1.0, shear=(0.0, 0.0), center=None):
    return F.affine(image, angle, list(translate), scale, list(shear), MODES[mode], fill, center)


def geometry(lines, name, image):
    def add(operation, parameters, result):
        lines.add(name, operation, parameters, fnv(result.tobytes()))

    import math

    for mode in ("nearest", "bilinear"):
        for level in (0.03, -0.3, 0.99):
            shear = math.degrees(math.atan(level))
            add("shear_x", f"{level},{mode}", affine(image, mode, shear=(shear, 0.0), center=[0, 0]))
            add("shear_y", f"{level},{mode}", affine(image, mode, shear=(0.0, shear), center=[0, 0]))
        for pixels in (3, -7, 40):
            add("translate_x", f"{pixels},{mode}", affine(image, mode, translate=(pixels, 0)))
            add("translate_y", f"{pixels},{mode}", affine(image, mode, translate=(0, pixels)))
        for degrees in (0.0, 1.0, -30.0, 13.5, 90.0, 135.0, 180.0, -90.0):
            add("rotate", f"{degrees},{mode}", F.rotate(image, degrees, MODES[mode], fill=None))
        add("affine", f"20.0,3,-2,1.3,8.0,-5.0,{mode}", affine(image, mode, None, 20.0, (3, -2), 1.3, (8.0, -5.0)))
        add("affine", f"0.0,0,0,0.5,0.0,0.0,{mode}", affine(image, mode, None, 0.0, (0, 0), 0.5))
    add("horizontal_flip", "-", F.horizontal_flip(image))
    add("vertical_flip", "-", F.vertical_flip(image))
    for mode in ("bilinear", "bicubic"):
        if min(image.size) >= 20:
            add("resized_crop", f"2,3,15,11,14,10,{mode}", F.resized_crop(image, 2, 3, 15, 11, [14, 10], MODES[mode], True))


def colours(lines, name, image):
    def add(operation, parameters, result):
        lines.add(name, operation, parameters, fnv(result.tobytes()))

    for factor in (0.0, 0.01, 0.37, 0.91, 1.0, 1.27, 1.99):
        add("brightness", factor, F.adjust_brightness(image, factor))
        add("contrast", factor, F.adjust_contrast(image, factor))
        add("saturation", factor, F.adjust_saturation(image, factor))
        add("sharpness", factor, F.adjust_sharpness(image, factor))
    for factor in (-0.5, -0.13, 0.0, 0.004, 0.1, 0.5):
        add("hue", factor, F.adjust_hue(image, factor))
    for bits in (1, 3, 4, 8):
        add("posterize", bits, F.posterize(image, bits))
    for threshold in (0.0, 85.0, 127.5, 128.0, 255.0, 256.0):
        add("solarize", threshold, F.solarize(image, threshold))
    add("autocontrast", "-", F.autocontrast(image))
    add("equalize", "-", F.equalize(image))
    add("invert", "-", F.invert(image))
    if image.mode == "RGB":
        add("grayscale", "-", F.rgb_to_grayscale(image, 3))
    # DeiT III blurs by Pillow.
    for radius in (0.1, 0.5, 1.0, 1.37, 2.0, 6.5):
        add("pillow_blur", radius, image.filter(ImageFilter.GaussianBlur(radius)))


def erasures(lines, name, image):
    tensor = v2.PILToTensor()(image)
    height, width = tensor.shape[1:]
    for top, left, h, w in ((0, 0, 1, 2), (height // 2, width // 3, height - height // 2, width // 2)):
        value = torch.tensor([7, 130, 255], dtype=torch.uint8)[: tensor.shape[0], None, None]
        result = F.erase(tensor, top, left, h, w, value)
        lines.add(name, "erase", f"{top},{left},{h},{w}", fnv(result.permute(1, 2, 0).contiguous().numpy().tobytes()))


def blurs(pictures):
    lines = Lines("blur.txt")
    for name, kernel, sigma in (
        ("gradient", [3, 3], [0.1, 0.1]),
        ("gradient", [5, 9], [1.1, 2.0]),
        ("noise", [5, 5], [0.83, 0.83]),
        ("noise", [13, 13], [5.0, 5.0]),
        ("grey", [23, 23], [1.6, 1.6]),
    ):
        result = F.gaussian_blur(pictures[name], kernel, sigma)
        lines.add(name, f"{kernel[0]},{kernel[1]}", f"{sigma[0]},{sigma[1]}", result.tobytes().hex())
    lines.write()


def tables():
    lines = Lines("tables.txt")
    policies = {
        "rand_augment": (v2.RandAugment(), 31),
        "trivial_augment_wide": (v2.TrivialAugmentWide(), 31),
        "auto_augment": (v2.AutoAugment(), 10),
        "aug_mix": (v2.AugMix(), 10),
        "rand_augment_15": (v2.RandAugment(num_magnitude_bins=15), 15),
    }
    for policy, (transform, bins) in policies.items():
        for name, (magnitudes, signed) in transform._AUGMENTATION_SPACE.items():
            values = magnitudes(bins, 160, 224)
            # A range of fractions for Solarize: the threshold is that times 255.
            values = "-" if values is None else ",".join(str(np.float32(value)) for value in values)
            lines.add(policy, name, int(signed), values)
    for policy in ("imagenet", "cifar10", "svhn"):
        transform = v2.AutoAugment(getattr(v2.AutoAugmentPolicy, policy.upper()) if hasattr(v2, "AutoAugmentPolicy")
                                   else getattr(torchvision.transforms.AutoAugmentPolicy, policy.upper()))
        for pair in transform._policies:
            lines.add(policy, *(f"{name},{probability},{'-' if bin is None else bin}" for name, probability, bin in pair))
    lines.write()


class AugMixOnPictures(v2.AugMix):
    """torchvision's AugMix with the operations on PIL images, which notes what it drew."""

    def _sample_dirichlet(self, params):
        drawn = super()._sample_dirichlet(params)
        self.drawn.append(",".join(repr(float(value)) for value in drawn.flatten()))
        return drawn

    def _apply_image_or_video_transform(self, image, transform_id, magnitude, interpolation, fill):
        self.chain.append(f"{transform_id}:{magnitude!r}")
        # Pillow refuses 0 bits, which leave nothing on tensors.
        if transform_id == "Posterize" and magnitude == 0:
            return torch.zeros_like(image)
        picture = F.to_pil_image(image[0])
        result = super()._apply_image_or_video_transform(picture, transform_id, magnitude, interpolation, fill)
        return F.pil_to_tensor(result)[None]


def policies(pictures):
    lines = Lines("policies.txt")
    for seed, name in enumerate(["photo", "noise", "gradient", "grey"] * 3):
        torch.manual_seed(seed)
        transform = AugMixOnPictures(severity=1 + seed % 10, chain_depth=1 + seed % 3)
        transform.drawn, transform.chain = [], []
        result = transform(pictures[name])
        lines.add(name, *transform.drawn, transform.chain_depth, ";".join(transform.chain), fnv(result.tobytes()))
    lines.write()


def mixes():
    lines = Lines("mix.txt")
    for case in range(24):
        rng = np.random.RandomState(case)
        batch, height, width = (4, 6, 2, 8)[case % 4], (5, 8, 32)[case % 3], (7, 4, 30)[case % 3]
        lam, place = float(rng.beta(1.0, 1.0)), rng.rand(2)
        x = torch.arange(batch * height * width, dtype=torch.float32).reshape(batch, 1, height, width) / 7 - 3
        labels = torch.tensor(rng.randint(0, 3, batch))
        cut = case % 2 == 0
        drawn = iter([int(place[0] * height), int(place[1] * width)])
        np.random.randint = lambda low, high, size=None: next(drawn)
        box = "-"
        mixed = timm_mixup.Mixup(1.0, 1.0, label_smoothing=0.1, num_classes=3)
        mixed._params_per_batch = lambda: (lam, cut)
        y = x.clone()
        corrected = mixed._mix_batch(y)
        if cut:
            drawn = iter([int(place[0] * height), int(place[1] * width)])
            box = ",".join(str(int(edge)) for edge in timm_mixup.rand_bbox((1, height, width), lam))
        target = timm_mixup.mixup_target(labels, 3, corrected, 0.1)
        values = np.ascontiguousarray(y.numpy()).tobytes()
        lines.add(batch, height, width, "cutmix" if cut else "mixup", repr(lam), int(place[0] * height),
                  int(place[1] * width), box, repr(float(corrected)), ",".join(str(int(l)) for l in labels),
                  fnv(values), ",".join(str(v) for v in target.flatten().numpy()))
    lines.write()


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    pictures = images(sys.argv[1])
    lines = Lines("operations.txt")
    for name, image in pictures.items():
        if name not in ("flat", "dim"):
            geometry(lines, name, image)
        colours(lines, name, image)
        if name != "small" and name != "row":
            erasures(lines, name, image)
    lines.write()
    blurs(pictures)
    tables()
    policies(pictures)
    mixes()


if __name__ == "__main__":
    main()
