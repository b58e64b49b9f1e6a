"""Load on `residual serve`, on loopback and bounded, every answer compared; beside onnxruntime behind FastAPI.

    pip install numpy pillow aiohttp fastapi uvicorn python-multipart onnxruntime
    python bench/peers/serve_load.py --binary target/release/residual --weights resnet18.safetensors --photos FOLDER \\
        [--seconds 20] [--onnx resnet18.onnx]

First as fast as it goes with as many requests under way as give the best throughput (closed loop), then at twice that
rate (open loop), JPEG bodies both times. Of the accepted requests: percentiles of the time to the answer, and how many
were answered otherwise than by `residual predict` (more than 1e-5 apart). Of the rest: 503, 504, lost. The service's
memory before and after. With --onnx, the same closed loop against onnxruntime behind FastAPI and uvicorn, two workers of
a thread each, in turns with ours.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import aiohttp
import numpy as np

PEER = '''
import io
import numpy as np, onnxruntime
from fastapi import FastAPI, Request
from PIL import Image
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession({onnx!r}, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
app = FastAPI()
def answer(body):
    image = Image.open(io.BytesIO(body)).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    values = (np.float32(image.crop((left, top, left + 224, top + 224))) / 255 - mean) / std
    logits = session.run(None, {{name: values.transpose(2, 0, 1)[None]}})[0][0]
    shifted = np.exp(logits - logits.max())
    best = int(logits.argmax())
    return {{"top": [{{"class": str(best), "probability": float(shifted[best] / shifted.sum())}}]}}
@app.post("/v1/classify")
async def classify(request: Request):
    body = await request.body()
    from starlette.concurrency import run_in_threadpool
    return await run_in_threadpool(answer, body)
@app.get("/v2/health/ready")
def ready():
    return {{"ready": True}}
'''


class Tally:
    def __init__(self, wanted):
        self.wanted, self.times, self.statuses, self.wrong, self.lost = wanted, [], {}, 0, 0

    async def ask(self, session, url, body, number):
        begin = time.perf_counter()
        try:
            async with session.post(url, data=body, headers={"Content-Type": "image/jpeg"}) as response:
                answer = await response.json()
        except (aiohttp.ClientError, asyncio.TimeoutError):
            self.lost += 1
            return
        self.statuses[response.status] = self.statuses.get(response.status, 0) + 1
        if response.status == 200:
            self.times.append(time.perf_counter() - begin)
            if self.wanted:
                best, wanted = answer["top"][0], self.wanted[number]
                self.wrong += best["class"] != wanted["class"] or abs(best["probability"] - wanted["probability"]) > 1e-5
        elif response.status == 503 and "Retry-After" not in response.headers:
            self.lost += 1

    def line(self, name, seconds):
        times = np.sort(self.times) if self.times else np.array([np.nan])
        at = lambda share: 1000 * times[min(len(times) - 1, int(share * len(times)))]
        return (f"{name}: {len(self.times) / seconds:.1f} images/s, p50 {at(0.5):.0f} ms, p99 {at(0.99):.0f} ms, "
                f"status {dict(sorted(self.statuses.items()))}, wrong {self.wrong}, lost {self.lost}")


async def closed(url, bodies, wanted, width, seconds):
    tally, end = Tally(wanted), time.perf_counter() + seconds
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=width)) as session:
        async def client(first):
            number = first
            while time.perf_counter() < end:
                await tally.ask(session, url, bodies[number % len(bodies)], number % len(bodies))
                number += width
        await asyncio.gather(*(client(first) for first in range(width)))
    return tally


async def open_loop(url, bodies, wanted, rate, seconds):
    """At most 1,000 requests under way."""
    tally, running, begin = Tally(wanted), set(), time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1000)) as session:
        for number in range(int(rate * seconds)):
            wait = begin + number / rate - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            while len(running) >= 1000:
                await asyncio.sleep(0.001)
            task = asyncio.create_task(tally.ask(session, url, bodies[number % len(bodies)], number % len(bodies)))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)
    return tally


def memory(process):
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def peer(onnx, folder):
    Path(folder, "peer.py").write_text(PEER.format(onnx=str(Path(onnx).resolve())))
    command = [sys.executable, "-m", "uvicorn", "peer:app", "--workers", "2", "--port", "8973", "--log-level", "warning"]
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"})
    for _ in range(200):
        try:
            urllib.request.urlopen("http://127.0.0.1:8973/v2/health/ready").read()
            return process
        except OSError:
            time.sleep(0.2)
    sys.exit("the peer does not start")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--photos", required=True)
    parser.add_argument("--onnx")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=16, help="requests under way in the closed loop")
    parser.add_argument("--deadline-ms", type=int, default=2000)
    arguments = parser.parse_args()
    photos = sorted(path for path in Path(arguments.photos).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[:64]
    bodies = [path.read_bytes() for path in photos]
    command = [arguments.binary, "predict", "--weights", arguments.weights, "--json", *map(str, photos)]
    begin = time.perf_counter()
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    wanted = [json.loads(line)["top"][0] for line in lines]
    print(f"{len(photos)} photographs, {sum(map(len, bodies)) / len(bodies) / 1024:.0f} KiB each; load average {os.getloadavg()[0]:.1f}")
    service = subprocess.Popen([arguments.binary, "serve", "--weights", f"photos={arguments.weights}", "--port", "0", "--log", "off",
                                "--deadline-ms", str(arguments.deadline_ms)], stdout=subprocess.PIPE, text=True)
    other = None
    try:
        url = service.stdout.readline().strip() + "/v1/classify"
        asyncio.run(closed(url, bodies, wanted, 4, 3))
        if arguments.onnx:
            with tempfile.TemporaryDirectory() as folder:
                other = peer(arguments.onnx, folder)
        before, ours, theirs = memory(service), [], []
        for _ in range(arguments.rounds):
            seconds = arguments.seconds / arguments.rounds
            if other:
                tally = asyncio.run(closed("http://127.0.0.1:8973/v1/classify", bodies, None, arguments.width, seconds))
                theirs.append(len(tally.times) / seconds)
                print(tally.line("onnxruntime, FastAPI, 2 workers", seconds), flush=True)
            tally = asyncio.run(closed(url, bodies, wanted, arguments.width, seconds))
            ours.append(len(tally.times) / seconds)
            print(tally.line("residual serve, as fast as it goes", seconds), flush=True)
        if other:
            other.send_signal(signal.SIGTERM)
            print(f"times as fast, round by round: {', '.join(f'{a / b:.2f}' for a, b in zip(ours, theirs))}")
        rate = 2 * float(np.median(ours))
        tally = asyncio.run(open_loop(url, bodies, wanted, rate, arguments.seconds))
        print(tally.line(f"residual serve, asked {rate:.0f} times a second", arguments.seconds))
        print(f"memory {before:.0f} MiB before, {memory(service):.0f} MiB after; load average {os.getloadavg()[0]:.1f}")
        late = sum(time > arguments.deadline_ms / 1000 for time in tally.times)
        print(f"answers after the deadline of {arguments.deadline_ms} ms: {late}")
    finally:
        service.send_signal(signal.SIGTERM)
        if other:
            other.terminate()
    print(f"end: exit code {service.wait(30)}")


main()
