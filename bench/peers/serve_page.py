"""The page of `residual serve` in headless Chromium, as people use it.

    apt-get install chromium; pip install playwright; npm install axe-core
    python bench/peers/serve_page.py --binary target/release/residual --weights FILE --photo photo.jpg \\
        [--axe node_modules/axe-core/axe.min.js] [--pictures FOLDER] [--static]

With --static it is the page of `residual page`, from a static server.

At 390 and 1280 pixels, light and dark: drops the photograph, reads the class beside `residual predict`'s, moves the slider
and holds that the heat map changes, chooses a class by keyboard; no error on the console, no request to anybody else, no
scrolling sideways; axe-core finds no serious fault. The page's policy is put aside, since it forbids the test's own scripts
too: crates/serve/tests/service/page.rs holds that the page works under it. Writes pictures of the page. Exit code 1 where one does not hold.
"""

import argparse
import base64
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

DROP = """async ([name, data]) => {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0)), transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: 'image/jpeg' }));
  document.getElementById('stage').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def main():
    parser = argparse.ArgumentParser()
    for name in ["binary", "weights", "photo"]:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--axe")
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--pictures", default=".")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    predict = [arguments.binary, "predict", "--weights", arguments.weights, "--json", arguments.photo]
    wanted = json.loads(subprocess.run(predict, check=True, capture_output=True, text=True).stdout)["top"][0]["class"]
    folder = tempfile.mkdtemp()
    if arguments.static:
        subprocess.run([arguments.binary, "page", "--weights", f"photos={arguments.weights}", "--out", folder], check=True)
        program = "import functools, http.server as h; s = h.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(h.SimpleHTTPRequestHandler, directory=%r)); print(f'http://127.0.0.1:{s.server_port}', flush=True); s.serve_forever()"
        command = [sys.executable, "-c", program % folder]
    else:
        command = [arguments.binary, "serve", "--weights", f"photos={arguments.weights}", "--port", "0", "--deadline-ms", "20000"]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    failed = []

    def check(what, holds, detail=""):
        print(f"{'ok  ' if holds else 'BAD '} {what} {detail}", flush=True)
        failed.extend([] if holds else [what])

    try:
        base = service.stdout.readline().strip()
        data = base64.b64encode(Path(arguments.photo).read_bytes()).decode()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
            for width, scheme in [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")]:
                said, asked = [], []
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
                page.on("console", lambda message: said.append(message.text))
                page.on("pageerror", lambda error: said.append(str(error)))
                page.on("request", lambda request: asked.append(request.url))
                page.goto(base + "/")
                page.wait_for_selector("#rows tr", state="attached")
                page.evaluate(DROP, ["dropped.jpg", data])
                page.wait_for_function("document.querySelector('#shown').alt.includes('is seen')")
                found = page.locator("#classes button .name").first.inner_text()
                check(f"{width} {scheme}: class", found == wanted, found)
                page.screenshot(path=str(Path(arguments.pictures) / f"serve-{width}-{scheme}.png"), full_page=True)
                sources = {page.locator("#shown").get_attribute("src")}
                page.focus("#layer")
                steps = int(page.locator("#layer").get_attribute("max"))
                for _ in range(min(3, steps - 1)):
                    before = page.locator("#shown").get_attribute("alt")
                    page.keyboard.press("ArrowLeft")
                    page.wait_for_function("before => document.querySelector('#shown').alt !== before", arg=before)
                    sources.add(page.locator("#shown").get_attribute("src"))
                check(f"{width} {scheme}: the heat map changes with the slider", len(sources) >= min(4, steps), len(sources))
                second = page.locator("#classes button").nth(1)
                second.focus()
                page.keyboard.press("Enter")
                page.wait_for_function("document.querySelectorAll('#classes button')[1].getAttribute('aria-pressed') === 'true'")
                check(f"{width} {scheme}: a class is chosen by keyboard", True)
                page.click("#measure")
                page.wait_for_function("document.querySelector('#speed').textContent.includes('images a second')")
                check(f"{width} {scheme}: speed", True, page.locator("#speed").inner_text())
                page.click("#network summary")
                check(f"{width} {scheme}: table", page.locator("#rows tr").count() > 2, page.locator("#rows tr").count())
                check(f"{width} {scheme}: not too wide", page.evaluate("document.documentElement.scrollWidth") <= width)
                if arguments.axe:
                    page.evaluate(Path(arguments.axe).read_text() + "; undefined")
                    faults = page.evaluate("axe.run().then(result => result.violations.map(v => [v.id, v.impact, v.nodes.length]))")
                    serious = [fault for fault in faults if fault[1] in ("serious", "critical")]
                    check(f"{width} {scheme}: accessibility", not serious, f"{len(faults)} lesser: {faults}" if faults else "")
                check(f"{width} {scheme}: nothing on the console", not said, said[:3])
                strange = [url for url in asked if not url.startswith((base, "blob:" + base, "data:"))]
                check(f"{width} {scheme}: nobody else is asked", not strange, strange[:3])
                page.close()
            page = browser.new_page(bypass_csp=True)
            page.goto(base + "/")
            page.wait_for_selector("#model option", state="attached")
            page.evaluate(DROP, ["broken.jpg", base64.b64encode(b"no image").decode()])
            page.wait_for_selector("#status.bad")
            check("a broken file is said", True, page.locator("#status").inner_text())
            browser.close()
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(30)
    sys.exit(1 if failed else 0)


main()
