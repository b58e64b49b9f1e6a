"""The wheel's batch prediction from image files to classes, beside torchvision with a DataLoader and ONNX Runtime with
Pillow, in turns in one run.

    python wheel.py photographs FOLDER [--images 1000]
    python wheel.py speed FOLDER [--networks resnet18,resnet50] [--rounds 5] [--images 1000]
    python wheel.py start FOLDER [--network resnet18] [--rounds 9]

`photographs` writes distinct JPEGs of about 500x375 at quality 90 into FOLDER/images: blended crops of the images of CIFAR-10
(--source, a .tar.gz of JPEGs or a folder), enlarged without noise, so that their files are about as large as photographs'.
`speed` gives every contender the paths and takes classes: the median of the rounds, and the ratio to the best of the others
round by round. Weights are random from a seed, the same for all; the answers of all are compared first. `start` takes the time
from the start of a fresh process to the first answer, the interpreter included, and of the import alone.

Needs torch, torchvision, onnxruntime, Pillow and the wheel.
"""

import argparse
import io
import json
import pathlib
import statistics
import subprocess
import sys
import tarfile
import time

import numpy as np

BATCH = 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def photographs(folder, images, source):
    from PIL import Image

    if pathlib.Path(source).is_dir():
        files = [path.read_bytes() for path in sorted(pathlib.Path(source).rglob("*.jp*g"))[: 4 * images]]
    else:
        with tarfile.open(source) as archive:
            members = (member for member in archive if member.name.endswith((".jpg", ".jpeg", ".png")))
            files = [archive.extractfile(member).read() for member, _ in zip(members, range(4 * images))]
    out = folder / "images"
    out.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    total = 0
    for number in range(images):
        width, height = int(random.integers(460, 541)), int(random.integers(345, 406))
        parts = [Image.open(io.BytesIO(files[int(at)])).convert("RGB") for at in random.integers(0, len(files), 238)]
        picture = parts[0].resize((width, height), Image.BICUBIC)
        picture = Image.blend(picture, tiled(parts[1:13], 4, width, height, Image), 0.4)
        picture = Image.blend(picture, tiled(parts[13:], 17, width, height, Image), 0.5)
        path = out / f"{number:05}.jpg"
        picture.save(path, quality=90)
        total += path.stat().st_size
    print(f"{images} images, {total / images / 1024:.0f} KiB each, in {out}")


def tiled(parts, across, width, height, image):
    """Pictures side by side: edges and texture at the scale of objects, and as they are at that of pixels."""
    whole = image.new("RGB", (width, height))
    side = -(-width // across)
    for at, part in enumerate(parts):
        whole.paste(part.resize((side, side), image.BICUBIC), (at % across * side, at // across * side))
    return whole


def module_of(name):
    import torch
    import torchvision

    torch.manual_seed(0)
    return torchvision.models.get_model(name, weights=None).eval()


def prepare_files(folder, name):
    """The module's weights as every contender opens them."""
    import torch

    module = module_of(name)
    weights, graph = folder / f"{name}.pth", folder / f"{name}.onnx"
    if not weights.exists():
        torch.save(module.state_dict(), weights)
    if not graph.exists():
        import warnings

        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(2, 3, 224, 224),), str(graph), input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, dynamo=False, opset_version=18,
        )
    return weights, graph


def ours(weights, name, threads):
    from residual_nets import Classifier

    # torchvision's evaluation of its first weights; the tensors alone would get its second.
    preprocess = {"resize": {"shorter_side": 256}, "crop": [224, 224], "interpolation": "bilinear"}
    classifier = Classifier(weights, name, threads=threads, preprocess=preprocess)
    return lambda paths: classifier.predict(paths).logits


def in_torchvision(folder, name, workers, channels_last):
    """A DataLoader of Pillow and torchvision's transforms, and the traced and frozen module."""
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    usual = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), transforms.Normalize(MEAN, STD)
    ])

    class Files(Dataset):
        def __init__(self, paths):
            self.paths = paths

        def __len__(self):
            return len(self.paths)

        def __getitem__(self, at):
            return usual(Image.open(self.paths[at]).convert("RGB"))

    module = module_of(name)
    memory = torch.channels_last if channels_last else torch.contiguous_format
    with torch.inference_mode():
        example = torch.zeros(BATCH, 3, 224, 224).to(memory_format=memory)
        traced = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(module.to(memory_format=memory), example)))

    @torch.inference_mode()
    def call(paths):
        loader = DataLoader(Files(paths), batch_size=BATCH, num_workers=workers)
        return np.concatenate([traced(batch.to(memory_format=memory)).numpy() for batch in loader])

    return call


def in_onnxruntime(graph, threads, ahead):
    """Pillow and NumPy on a pool of threads, a batch ahead of the session."""
    import concurrent.futures

    import onnxruntime
    from PIL import Image

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)

    def ready(path):
        image = Image.open(path).convert("RGB")
        width, height = image.size
        short = min(width, height)
        image = image.resize((int(256 * width / short), int(256 * height / short)), Image.BILINEAR)
        left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
        values = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
        return ((values - mean) / std).transpose(2, 0, 1)

    def call(paths):
        parts = [paths[at : at + BATCH] for at in range(0, len(paths), BATCH)]
        with concurrent.futures.ThreadPoolExecutor(max(ahead, 1)) as pool:
            waiting, rows = [[pool.submit(ready, path) for path in part] for part in parts[:2]], []
            for at in range(len(parts)):
                batch = np.stack([one.result() for one in waiting.pop(0)])
                if at + 2 < len(parts):
                    waiting.append([pool.submit(ready, path) for path in parts[at + 2]])
                rows.append(session.run(["y"], {"x": batch})[0])
        return np.concatenate(rows)

    return call


def contenders(folder, name, threads):
    weights, graph = prepare_files(folder, name)
    return {
        "residual-nets": ours(weights, name, threads),
        "torchvision, DataLoader": in_torchvision(folder, name, threads, False),
        "torchvision, DataLoader, channels_last": in_torchvision(folder, name, threads, True),
        "onnxruntime, Pillow": in_onnxruntime(graph, threads, threads),
    }


def speed(folder, networks, rounds, images, threads):
    paths = sorted(str(path) for path in (folder / "images").glob("*.jpg"))[:images]
    report = {"images": len(paths), "threads": threads, "rounds": rounds, "networks": {}}
    for name in networks:
        calls = contenders(folder, name, threads)
        answers = {who: call(paths[:64]) for who, call in calls.items()}
        compare(name, answers)
        seconds = {who: [] for who in calls}
        for turn in range(rounds):
            order = list(calls) if turn % 2 == 0 else list(calls)[::-1]
            for who in order:
                began = time.perf_counter()
                calls[who](paths)
                seconds[who].append(time.perf_counter() - began)
            print(f"  {name}, round {turn + 1}: " + ", ".join(f"{who} {seconds[who][-1]:.2f} s" for who in calls), flush=True)
        others = [who for who in calls if who != "residual-nets"]
        ratios = [min(seconds[who][turn] for who in others) / seconds["residual-nets"][turn] for turn in range(rounds)]
        medians = {who: statistics.median(times) for who, times in seconds.items()}
        print(f"{name}, {len(paths)} JPEGs, {threads} threads")
        for who, median in medians.items():
            print(f"  {who:40} {median:7.2f} s  {len(paths) / median:7.1f} images/s")
        print(f"  times as fast as the best of the others: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        report["networks"][name] = {"seconds": seconds, "ratio": statistics.median(ratios)}
    print(json.dumps(report))


def compare(name, answers):
    """Each contender's classes and logits against torchvision's: the same images, the same network."""
    expected = answers["torchvision, DataLoader"]
    for who, logits in answers.items():
        difference = np.abs(logits - expected).max() / np.abs(expected).max()
        same = (logits.argmax(1) == expected.argmax(1)).mean()
        print(f"  {name}: {who}: logits within {difference:.1e} of torchvision's greatest, classes the same of {100 * same:.0f}%")


OURS = """
import sys
from residual_nets import Classifier
print(Classifier(sys.argv[1], sys.argv[2], preprocess={"resize": {"shorter_side": 256}, "crop": [224, 224], "interpolation": "bilinear"}).predict(sys.argv[3]).index)
"""
THEIRS = """
import sys
import numpy as np
import onnxruntime
from PIL import Image
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
image = Image.open(sys.argv[3]).convert("RGB")
short = min(image.size)
image = image.resize((int(256 * image.width / short), int(256 * image.height / short)), Image.BILINEAR)
left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
values = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
values = (values - np.array((0.485, 0.456, 0.406), np.float32)) / np.array((0.229, 0.224, 0.225), np.float32)
print(session.run(["y"], {"x": values.transpose(2, 0, 1)[None]})[0].argmax())
"""


def start(folder, name, rounds):
    weights, graph = prepare_files(folder, name)
    image = sorted((folder / "images").glob("*.jpg"))[0]
    programs = {
        "residual-nets, first answer": ["-c", OURS, str(weights), name, str(image)],
        "onnxruntime, first answer": ["-c", THEIRS, str(graph), name, str(image)],
        "residual-nets, import": ["-c", "import residual_nets"],
        "onnxruntime and Pillow, import": ["-c", "import onnxruntime, PIL.Image"],
        "the interpreter and NumPy": ["-c", "import numpy"],
    }
    seconds, said = {who: [] for who in programs}, {}
    for _ in range(rounds):
        for who, program in programs.items():
            began = time.perf_counter()
            done = subprocess.run([sys.executable, *program], check=True, capture_output=True, text=True)
            seconds[who].append(time.perf_counter() - began)
            said[who] = done.stdout.strip()
    print(f"{name}, answers {said['residual-nets, first answer']} and {said['onnxruntime, first answer']}")
    for who, times in seconds.items():
        print(f"  {who:32} {statistics.median(times):6.3f} s ({min(times):.3f} to {max(times):.3f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["photographs", "speed", "start"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--source", default="cifar10-images.tar.gz")
    parser.add_argument("--networks", default="resnet18,resnet50")
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.what == "photographs":
        photographs(arguments.folder, arguments.images, arguments.source)
    elif arguments.what == "speed":
        import torch

        torch.set_num_threads(arguments.threads)
        speed(arguments.folder, arguments.networks.split(","), arguments.rounds, arguments.images, arguments.threads)
    else:
        start(arguments.folder, arguments.network, arguments.rounds)


if __name__ == "__main__":
    main()
