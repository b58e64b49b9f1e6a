"""The table of crates/data/src/resize/pillow.txt: what Pillow's Image.resize gives for random pairs of sizes.

    python bench/peers/resizes.py > crates/data/src/resize/pillow.txt

The image is a formula of its size and a seed, so that the table needs no pixels: byte i of `width x height x channels`
is the top byte of a 64-bit linear congruential generator (Knuth's MMIX constants), half of the rows held at one value
for edges. A line: width, height, channels, seed, new width, new height, filter, FNV-1a of the result's bytes.
"""

import random

import PIL
from PIL import Image

MASK = (1 << 64) - 1
FILTERS = ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
MODES = {1: "L", 3: "RGB"}


def pixels(width, height, channels, seed):
    state, out = seed, bytearray()
    for row in range(height):
        line = bytearray()
        for _ in range(width * channels):
            state = (state * 6364136223846793005 + 1442695040888963407) & MASK
            line.append(state >> 56)
        if row % 4 == 3:
            line = bytes([line[0]]) * len(line)
        out += line
    return bytes(out)


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def side(generator):
    return generator.choice([1, 2, 3, generator.randint(4, 20), generator.randint(20, 90), generator.randint(90, 200)])


def main():
    generator = random.Random(18)
    print(f"# Pillow {PIL.__version__}; made by bench/peers/resizes.py")
    for number in range(1000):
        filter = FILTERS[number % len(FILTERS)]
        channels = generator.choice([1, 3])
        width, height, new_width, new_height = (side(generator) for _ in range(4))
        if number % 10 == 0:
            new_width = width
        if number % 10 == 5:
            new_height = height
        seed = generator.getrandbits(32)
        image = Image.frombytes(MODES[channels], (width, height), pixels(width, height, channels, seed))
        resized = image.resize((new_width, new_height), getattr(Image.Resampling, filter.upper()))
        print(width, height, channels, seed, new_width, new_height, filter, f"{fnv(resized.tobytes()):016x}")


main()
