"""Image files of every kind, and what Pillow makes of them against what `residual` does.

    python photographs.py write FOLDER
    cargo run --release -p residual-data --example pixels -- FOLDER/files FOLDER/found > FOLDER/found.txt
    python photographs.py compare FOLDER
    python photographs.py fixtures FOLDER crates/data/tests/fixtures/photographs

`write` makes a few hundred files with Pillow and tifffile, each format in its modes and options, and the eight
orientations, into FOLDER/files; beside them, in FOLDER/expected, the pixels of `Image.open(file).convert("RGB")`, of
`ImageOps.exif_transpose` and of a paste on white. `compare` prints a row for each format. A seed makes the same files
each time with the same libraries. `fixtures` takes the small ones that the tests read, with digests of the pixels. A JPEG
without its end marker is the one thing that Pillow 13 refuses and `residual` reads. Needs Pillow, NumPy and tifffile.
"""

import hashlib
import io
import pathlib
import struct
import sys
import zlib

import numpy as np
import tifffile
from PIL import Image, ImageOps


def photograph(width, height, channels=3, seed=1):
    """Something smooth with edges and noise, as photographs are."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for channel in range(channels):
        plane = 120 + 80 * np.sin(x / (7 + channel) + channel) * np.cos(y / (5 + channel))
        plane += 40 * ((x // 9 + y // 7) % 2) + random.normal(0, 8, (height, width))
        planes.append(plane)
    return np.clip(np.dstack(planes), 0, 255).astype(np.uint8)


SIZES = [(37, 23), (1, 1), (16, 16), (65, 40)]


class Writer:
    """Files, and Pillow's pixels of them."""

    def __init__(self, folder):
        self.files, self.expected = folder / "files", folder / "expected"
        for folder in (self.files, self.expected):
            folder.mkdir(parents=True, exist_ok=True)
        self.count = 0

    def add(self, name, data):
        path = self.files / name
        path.write_bytes(data)
        self.count += 1
        try:
            image = Image.open(path)
            image.load()
            rgb = image.convert("RGB")
        except Exception as error:  # noqa: BLE001: whatever Pillow says is the expectation
            (self.expected / f"{name}.error").write_text(str(error))
            return
        (self.expected / f"{name}.rgb").write_bytes(np.asarray(rgb).tobytes())
        upright = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        (self.expected / f"{name}.upright").write_bytes(np.asarray(upright).tobytes())
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            over = Image.open(path).convert("RGBA")
            white = Image.new("RGB", over.size, (255, 255, 255))
            white.paste(over, mask=over.getchannel("A"))
            (self.expected / f"{name}.white").write_bytes(np.asarray(white).tobytes())

    def save(self, name, image, kind, **options):
        data = io.BytesIO()
        try:
            image.save(data, kind, **options)
        except (OSError, ValueError, KeyError, SystemError) as error:
            print(f"not written: {name}: {error}", file=sys.stderr)
            return
        self.add(name, data.getvalue())

    def deep(self, name, values):
        """Values of more than 8 bits, by the file's own: `pixel / 65535`, or floats as they are."""
        values = np.asarray(values)
        scaled = values.astype(np.float32) / np.float32(65535) if values.dtype.kind == "u" else values
        if scaled.ndim == 2:
            scaled = np.dstack([scaled] * 3)
        (self.expected / f"{name}.f32").write_bytes(np.ascontiguousarray(scaled, np.float32).tobytes())


def exif(number):
    image = Image.new("L", (1, 1)).getexif()
    image[274] = number
    return image


def alpha_of(width, height):
    ramp = np.linspace(0, 255, width * height).astype(np.uint8).reshape(height, width)
    return np.where(ramp < 40, 0, ramp)


def webp(w):
    for width, height in SIZES:
        rgb = photograph(width, height)
        rgba = np.dstack([rgb, alpha_of(width, height)])
        for quality in (1, 30, 60, 80, 100):
            w.save(f"webp_lossy_q{quality}_{width}x{height}.webp", Image.fromarray(rgb), "WEBP", quality=quality)
        w.save(f"webp_lossy_alpha_{width}x{height}.webp", Image.fromarray(rgba), "WEBP", quality=70)
        w.save(f"webp_lossless_{width}x{height}.webp", Image.fromarray(rgb), "WEBP", lossless=True)
        w.save(f"webp_lossless_alpha_{width}x{height}.webp", Image.fromarray(rgba), "WEBP", lossless=True)
        w.save(f"webp_exact_alpha_{width}x{height}.webp", Image.fromarray(rgba), "WEBP", lossless=True, exact=True)
        w.save(f"webp_alpha_q20_{width}x{height}.webp", Image.fromarray(rgba), "WEBP", quality=50, alpha_quality=20)
    for method in range(7):
        w.save(f"webp_method{method}.webp", Image.fromarray(photograph(90, 70)), "WEBP", quality=75, method=method)
    palette = Image.fromarray(photograph(40, 30)).quantize(12).convert("RGB")
    w.save("webp_lossless_few_colours.webp", palette, "WEBP", lossless=True)
    w.save("webp_grey.webp", Image.fromarray(photograph(40, 30, 1)[:, :, 0]), "WEBP", quality=80)
    frames = [Image.fromarray(photograph(50, 30, 3, seed)) for seed in (1, 2, 3)]
    for lossless in (False, True):
        kind = "lossless" if lossless else "lossy"
        w.save(f"webp_animated_{kind}.webp", frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=lossless)
    clear = [Image.fromarray(np.dstack([photograph(50, 30, 3, seed), alpha_of(50, 30)])) for seed in (1, 2)]
    w.save("webp_animated_alpha.webp", clear[0], "WEBP", save_all=True, append_images=clear[1:], lossless=True)
    w.save("webp_animated_alpha_lossy.webp", clear[0], "WEBP", save_all=True, append_images=clear[1:], quality=60)


def bmp(w):
    for width, height in SIZES:
        rgb = Image.fromarray(photograph(width, height))
        grey = rgb.convert("L")
        w.save(f"bmp_24_{width}x{height}.bmp", rgb, "BMP")
        w.save(f"bmp_8_grey_{width}x{height}.bmp", grey, "BMP")
        w.save(f"bmp_8_{width}x{height}.bmp", rgb.quantize(200), "BMP")
        w.save(f"bmp_1_{width}x{height}.bmp", grey.convert("1"), "BMP")
        w.save(f"bmp_32_{width}x{height}.bmp", Image.fromarray(np.dstack([np.asarray(rgb), alpha_of(width, height)])), "BMP")
        for bits, masks in ((16, None), (16, (0xF800, 0x7E0, 0x1F)), (16, (0x7C00, 0x3E0, 0x1F)), (32, None),
                            (32, (0xFF0000, 0xFF00, 0xFF)), (32, (0xFF000000, 0xFF0000, 0xFF00))):
            name = f"bmp_{bits}_{'plain' if masks is None else hex(masks[0])}_{width}x{height}.bmp"
            w.add(name, raw_bitmap(width, height, bits, masks))
            w.add(name.replace(".bmp", "_top.bmp"), raw_bitmap(width, -height, bits, masks))
        four = np.asarray(rgb.quantize(16))
        w.add(f"bmp_4_{width}x{height}.bmp", indexed_bitmap(four, 4))
        w.add(f"bmp_4_few_{width}x{height}.bmp", indexed_bitmap(four % 5, 4, colours=5))
        w.add(f"bmp_core_{width}x{height}.bmp", core_bitmap(width, height))
        w.add(f"bmp_rle8_{width}x{height}.bmp", rle_bitmap(np.asarray(rgb.quantize(9)), 8))
        w.add(f"bmp_rle4_{width}x{height}.bmp", rle_bitmap(np.asarray(rgb.quantize(9)), 4))


def bitmap(header, palette, pixels):
    offset = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + header + palette + pixels


def info(width, height, bits, compression=0, colours=0):
    return struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 2835, 2835, colours, 0)


def raw_bitmap(width, height, bits, masks):
    random = np.random.default_rng(width * 7 + bits)
    stride = (width * bits + 31) // 32 * 4
    pixels = random.integers(0, 256, stride * abs(height), dtype=np.uint8).tobytes()
    if masks is None:
        return bitmap(info(width, height, bits), b"", pixels)
    return bitmap(info(width, height, bits, 3), struct.pack("<III", *masks), pixels)


def random_palette(colours, size=4):
    palette = np.random.default_rng(colours).integers(0, 256, (colours, size), dtype=np.uint8)
    if size == 4:
        palette[:, 3] = 0
    return palette.tobytes()


def indexed_bitmap(indices, bits, colours=16):
    height, width = indices.shape
    rows = b""
    for row in indices[::-1]:
        text = "".join(f"{int(value):0{bits}b}" for value in row)
        text += "0" * (-len(text) % 32)
        rows += int(text, 2).to_bytes(len(text) // 8, "big")
    return bitmap(info(width, height, bits, colours=colours), random_palette(colours), rows)


def core_bitmap(width, height):
    stride = (width * 8 + 31) // 32 * 4
    pixels = np.random.default_rng(3).integers(0, 256, stride * height, dtype=np.uint8).tobytes()
    return bitmap(struct.pack("<IHHHH", 12, width, height, 1, 8), random_palette(256, 3), pixels)


def rle_bitmap(indices, bits):
    """Runs, and every third piece an absolute one."""
    height, width = indices.shape
    data = b""
    for row in indices[::-1]:
        at, piece = 0, 0
        while at < width:
            piece += 1
            count = min(width - at, 3 + piece % 5)
            part = row[at:at + count]
            if count >= 3 and piece % 3 == 0:
                packed = bytes(part) if bits == 8 else bytes(
                    int(part[i]) << 4 | (int(part[i + 1]) if i + 1 < count else 0) for i in range(0, count, 2))
                data += bytes([0, count]) + packed + b"\0" * (len(packed) % 2)
            else:
                count = 1 if bits == 8 else min(2, width - at)
                pair = int(part[0]) if bits == 8 else int(part[0]) << 4 | int(row[at + 1] if count > 1 else 0)
                data += bytes([count, pair])
            at += count
        data += b"\0\0"
    return bitmap(info(width, height, bits, 1 if bits == 8 else 2, 16), random_palette(16), data + b"\0\1")


def gif(w):
    for width, height in SIZES:
        rgb = Image.fromarray(photograph(width, height))
        w.save(f"gif_{width}x{height}.gif", rgb.quantize(256), "GIF")
        w.save(f"gif_few_{width}x{height}.gif", rgb.quantize(5), "GIF")
        w.save(f"gif_grey_{width}x{height}.gif", rgb.convert("L"), "GIF")
        w.save(f"gif_plain_{width}x{height}.gif", rgb.quantize(64), "GIF", interlace=0)
        w.save(f"gif_transparent_{width}x{height}.gif", rgb.quantize(64), "GIF", transparency=3)
        w.save(f"gif_1_{width}x{height}.gif", rgb.convert("1"), "GIF")
    frames = [Image.fromarray(photograph(50, 30, 3, seed)).quantize(100) for seed in (1, 2, 3)]
    w.save("gif_animated.gif", frames[0], "GIF", save_all=True, append_images=frames[1:])
    w.add("gif_part.gif", gif_part(None))
    w.add("gif_part_transparent.gif", gif_part(2))


def gif_part(transparent):
    """A frame of 4x3 in a picture of 10x8, at (3, 2)."""
    whole = io.BytesIO()
    Image.fromarray(photograph(4, 3)).quantize(8).save(whole, "GIF", optimize=False)
    data = bytearray(whole.getvalue())
    data[6:10] = struct.pack("<HH", 10, 8)
    at = data.index(b",", 13 + 3 * (2 << (data[10] & 7)))
    data[at + 1:at + 5] = struct.pack("<HH", 3, 2)
    if transparent is not None:
        data[at:at] = b"!\xf9\x04\x01\0\0" + bytes([transparent]) + b"\0"
    return bytes(data)


def png(w):
    for width, height in SIZES:
        rgb = Image.fromarray(photograph(width, height))
        grey, palette = rgb.convert("L"), rgb.quantize(200)
        alpha = Image.fromarray(alpha_of(width, height))
        w.save(f"png_rgb_{width}x{height}.png", rgb, "PNG")
        w.save(f"png_grey_{width}x{height}.png", grey, "PNG")
        w.save(f"png_1_{width}x{height}.png", grey.convert("1"), "PNG")
        for bits in (1, 2, 4, 8):
            few = rgb.quantize(2**bits)
            w.save(f"png_palette{bits}_{width}x{height}.png", few, "PNG", bits=bits)
            w.save(f"png_palette{bits}_trns_{width}x{height}.png", few, "PNG", bits=bits, transparency=bytes([0, 90][:2**bits]))
            w.add(f"png_grey{bits}_{width}x{height}.png", raw_png(width, height, bits, 0))
        w.save(f"png_rgba_{width}x{height}.png", Image.merge("RGBA", (*rgb.split(), alpha)), "PNG")
        w.save(f"png_la_{width}x{height}.png", Image.merge("LA", (grey, alpha)), "PNG")
        w.save(f"png_rgb_trns_{width}x{height}.png", rgb, "PNG", transparency=rgb.getpixel((0, 0)))
        w.save(f"png_grey_trns_{width}x{height}.png", grey, "PNG", transparency=grey.getpixel((0, 0)))
        for kind, colour, channels in (("grey", 0, 1), ("rgb", 2, 3), ("la", 4, 2), ("rgba", 6, 4)):
            name = f"png_{kind}16_{width}x{height}.png"
            w.add(name, raw_png(width, height, 16, colour))
            values = raw_values(width, height, 16, channels).reshape(height, width, channels)
            w.deep(name, values[:, :, 0] if channels < 3 else values[:, :, :3])
    frames = [Image.fromarray(photograph(50, 30, 3, seed)) for seed in (1, 2, 3)]
    w.save("png_animated.png", frames[0], "PNG", save_all=True, append_images=frames[1:])


def raw_values(width, height, bits, channels):
    return np.random.default_rng(width + bits).integers(0, 2**bits, width * height * channels, dtype=np.uint16)


def raw_png(width, height, bits, colour):
    """A PNG of random samples: what Pillow does not write."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    values = raw_values(width, height, bits, channels).reshape(height, -1)
    rows = b""
    for row in values:
        text = "".join(f"{int(value):0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + int(text, 2).to_bytes(len(text) // 8, "big")
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def jpeg(w):
    for width, height in SIZES:
        rgb = Image.fromarray(photograph(width, height))
        for subsampling in (0, 1, 2):
            w.save(f"jpeg_{subsampling}_{width}x{height}.jpg", rgb, "JPEG", quality=85, subsampling=subsampling)
        w.save(f"jpeg_grey_{width}x{height}.jpg", rgb.convert("L"), "JPEG")
        w.save(f"jpeg_progressive_{width}x{height}.jpg", rgb, "JPEG", progressive=True)
        w.save(f"jpeg_cmyk_{width}x{height}.jpg", rgb.convert("CMYK"), "JPEG")
        w.save(f"jpeg_cmyk_420_{width}x{height}.jpg", rgb.convert("CMYK"), "JPEG", subsampling=2)
        data = io.BytesIO()
        rgb.save(data, "JPEG")
        w.add(f"jpeg_without_end_{width}x{height}.jpg", data.getvalue()[:-2])


def tiff(w):
    for width, height in SIZES:
        rgb = Image.fromarray(photograph(width, height))
        grey = rgb.convert("L")
        alpha = Image.fromarray(alpha_of(width, height))
        modes = {"rgb": rgb, "grey": grey, "1": grey.convert("1"), "palette": rgb.quantize(200),
                 "rgba": Image.merge("RGBA", (*rgb.split(), alpha)), "la": Image.merge("LA", (grey, alpha)),
                 "cmyk": rgb.convert("CMYK")}
        for mode, image in modes.items():
            for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
                if compression == "jpeg" and mode not in ("rgb", "grey"):
                    continue
                name = f"tiff_{mode}_{compression}_{width}x{height}.tif"
                w.save(name, image, "TIFF", **({"compression": compression} if compression else {}))
        w.save(f"tiff_inverted_{width}x{height}.tif", grey, "TIFF", tiffinfo={262: 0})
        pixels = np.asarray(rgb)
        for name, options in {
            "tiled": {"tile": (16, 32)}, "tiled_deflate": {"tile": (16, 16), "compression": "zlib"},
            "planar": {"planarconfig": "separate"}, "planar_deflate": {"planarconfig": "separate", "compression": "zlib"},
            "predictor": {"compression": "zlib", "predictor": True}, "big": {"bigtiff": True},
            "motorola": {"byteorder": ">"}, "strips": {"rowsperstrip": 5},
        }.items():
            data = io.BytesIO()
            source = np.moveaxis(pixels, 2, 0) if name.startswith("planar") else pixels
            try:
                tifffile.imwrite(data, source, photometric="rgb", **options)
            except (ImportError, KeyError, ValueError) as error:
                print(f"not written: {name}: {error}", file=sys.stderr)
                continue
            w.add(f"tiff_{name}_{width}x{height}.tif", data.getvalue())
        short = np.random.default_rng(width).integers(0, 65536, (height, width, 3), dtype=np.uint16)
        for name, values, options in (
            ("short_rgb", short, {"photometric": "rgb"}), ("short_grey", short[:, :, 0], {}),
            ("short_motorola", short, {"photometric": "rgb", "byteorder": ">"}),
            ("short_predictor", short, {"photometric": "rgb", "compression": "zlib", "predictor": True}),
            ("short_predictor_motorola", short[:, :, 0], {"compression": "zlib", "predictor": True, "byteorder": ">"}),
            ("float", (short[:, :, 0] / 65535).astype(np.float32), {}),
            ("float_rgb", (short / 65535).astype(np.float32), {"photometric": "rgb"}),
            ("float_predictor", (short[:, :, 0] / 65535).astype(np.float32), {"compression": "zlib", "predictor": True}),
        ):
            data = io.BytesIO()
            try:
                tifffile.imwrite(data, values, **options)
            except (ImportError, KeyError, ValueError) as error:
                print(f"not written: {name}: {error}", file=sys.stderr)
                continue
            name = f"tiff_{name}_{width}x{height}.tif"
            w.add(name, data.getvalue())
            w.deep(name, values)
    frames = [Image.fromarray(photograph(50, 30, 3, seed)) for seed in (1, 2, 3)]
    w.save("tiff_pages.tif", frames[0], "TIFF", save_all=True, append_images=frames[1:])


def npy(w):
    for name, values in (
        ("npy_rgb", photograph(37, 23)), ("npy_planes", np.moveaxis(photograph(37, 23), 2, 0)),
        ("npy_grey", photograph(37, 23, 1)[:, :, 0]),
    ):
        data = io.BytesIO()
        np.save(data, np.ascontiguousarray(values))
        (w.files / f"{name}.npy").write_bytes(data.getvalue())
        pixels = np.moveaxis(values, 0, 2) if name == "npy_planes" else values
        pixels = np.dstack([pixels] * 3) if pixels.ndim == 2 else pixels
        (w.expected / f"{name}.npy.rgb").write_bytes(np.ascontiguousarray(pixels).tobytes())
        w.count += 1


def turned(w):
    rgb = Image.fromarray(photograph(13, 7))
    for number in range(1, 9):
        for kind, ending, options in (("JPEG", "jpg", {"quality": 90}), ("PNG", "png", {}), ("WEBP", "webp", {"lossless": True}),
                                      ("TIFF", "tif", {})):
            w.save(f"turned_{kind.lower()}_{number}.{ending}", rgb, kind, exif=exif(number), **options)


FORMATS = [jpeg, png, webp, bmp, gif, tiff, npy, turned]


def write(folder):
    writer = Writer(folder)
    for make in FORMATS:
        make(writer)
    print(f"{writer.count} files")


def compare(folder):
    found = dict(line.rstrip("\n").split("\t", 1) for line in (folder / "found.txt").read_text().splitlines())
    rows = {}
    for path in sorted((folder / "files").iterdir()):
        name = path.name
        row = rows.setdefault(name.split("_")[0], {"files": 0, "equal": 0, "refused by both": 0})
        row["files"] += 1
        refused = (folder / "expected" / f"{name}.error").exists()
        if found.get(name, "error").startswith("error"):
            if refused:
                row["refused by both"] += 1
            else:
                print(f"{name}: {found.get(name)}")
            continue
        kinds = ["f32"] if (folder / "expected" / f"{name}.f32").exists() else ["rgb", "upright", "white"]
        different = []
        for kind in kinds:
            expected = folder / "expected" / f"{name}.{kind}"
            if expected.exists():
                want, have = expected.read_bytes(), (folder / "found" / f"{name}.{kind}").read_bytes()
                if want != have:
                    number = np.float32 if kind == "f32" else np.uint8
                    want, have = np.frombuffer(want, number), np.frombuffer(have, number)
                    by = "size" if want.shape != have.shape else np.abs(want.astype(float) - have).max()
                    different.append(f"{kind} by {by}")
        if different or (refused and kinds != ["f32"]):
            print(f"{name}: {', '.join(different) or 'Pillow refuses it'}")
        else:
            row["equal"] += 1
    print(f"{'':10} {'files':>6} {'equal':>6} {'refused by both':>16}")
    for kind, row in rows.items():
        print(f"{kind:10} {row['files']:6} {row['equal']:6} {row['refused by both']:16}")


FIXTURES = """
webp_lossy_q30_37x23.webp webp_lossy_q100_1x1.webp webp_lossy_alpha_16x16.webp webp_lossless_16x16.webp
webp_lossless_alpha_16x16.webp webp_exact_alpha_16x16.webp webp_grey.webp webp_animated_alpha_lossy.webp

bmp_24_1x1.bmp bmp_8_grey_1x1.bmp bmp_1_37x23.bmp bmp_4_16x16.bmp bmp_4_few_1x1.bmp bmp_core_1x1.bmp
bmp_rle8_16x16.bmp bmp_rle4_37x23.bmp bmp_16_plain_1x1.bmp bmp_16_0xf800_1x1.bmp bmp_16_0x7c00_16x16_top.bmp
bmp_32_plain_1x1.bmp bmp_32_0xff000000_16x16.bmp bmp_32_1x1.bmp
gif_few_16x16.gif gif_grey_1x1.gif gif_transparent_16x16.gif gif_part.gif gif_part_transparent.gif gif_1_37x23.gif
png_1_37x23.png png_palette2_16x16.png png_palette4_trns_16x16.png png_grey2_16x16.png png_grey4_37x23.png
png_la_16x16.png png_rgba_16x16.png png_rgb_trns_1x1.png png_grey16_16x16.png png_rgb16_1x1.png png_la16_1x1.png
jpeg_cmyk_420_16x16.jpg
tiff_rgb_None_1x1.tif tiff_rgb_tiff_lzw_16x16.tif tiff_rgb_tiff_adobe_deflate_16x16.tif tiff_grey_packbits_37x23.tif
tiff_rgb_jpeg_16x16.tif tiff_grey_jpeg_16x16.tif tiff_1_packbits_37x23.tif tiff_palette_tiff_lzw_1x1.tif
tiff_rgba_tiff_lzw_1x1.tif tiff_la_None_1x1.tif tiff_cmyk_tiff_adobe_deflate_1x1.tif tiff_inverted_16x16.tif
tiff_tiled_1x1.tif tiff_tiled_deflate_16x16.tif tiff_planar_1x1.tif tiff_predictor_16x16.tif tiff_big_1x1.tif
tiff_motorola_1x1.tif tiff_strips_16x16.tif tiff_short_rgb_1x1.tif tiff_short_motorola_1x1.tif
tiff_short_predictor_16x16.tif tiff_short_predictor_motorola_1x1.tif tiff_float_1x1.tif tiff_float_rgb_1x1.tif
"""


def fixtures(folder, target):
    target.mkdir(parents=True, exist_ok=True)
    turned = [f"turned_jpeg_{number}.jpg" for number in range(1, 9)]
    lines = []
    for name in FIXTURES.split() + turned + ["turned_png_6.png", "turned_webp_8.webp", "turned_tiff_5.tif"]:
        data = (folder / "files" / name).read_bytes()
        (target / name).write_bytes(data)
        deep = (folder / "expected" / f"{name}.f32").exists()
        for kind in ["f32"] if deep else ["rgb", "upright", "white"]:
            expected = folder / "expected" / f"{name}.{kind}"
            if expected.exists() and (kind != "upright" or name.startswith("turned")):
                lines.append(f"{name} {kind} {hashlib.sha256(expected.read_bytes()).hexdigest()[:16]}")
    head = f"# Pixels of Pillow {Image.__version__} (bench/peers/photographs.py): the first 16 digits of their SHA-256.\n"
    (target / "expected.txt").write_text(head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    {"write": write, "compare": compare, "fixtures": fixtures}[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))
