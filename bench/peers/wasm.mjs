// Images a second in WebAssembly, on one thread, beside ONNX Runtime Web with SIMD: in Node and in Chromium.
//
//     npm install onnxruntime-web playwright-core          # in some folder, MODULES
//     residual page --weights small=runs/small --weights resnet18=resnet18.safetensors --out page
//     residual export --weights runs/small --out page/small.onnx --fixed-size    # and resnet18.onnx
//     node bench/peers/wasm.mjs --page page --modules MODULES/node_modules [--rounds 15] [--chromium /usr/bin/chromium]
//
// The networks are those of page/models.json; each has a graph of its name beside it. The same normalised values go through
// both; the largest difference of their logits is printed. Rounds are interleaved, and medians given.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const flags = process.argv.slice(2), value = (name, usual) => flags.includes(name) ? flags[flags.indexOf(name) + 1] : usual;
const page = resolve(value('--page', 'page')), modules = resolve(value('--modules', 'node_modules'));
const rounds = Number(value('--rounds', 15)), chromium = value('--chromium', '/usr/bin/chromium');

// Runs in Node and in the page: `load` gives the bytes of a file of the page.
async function measure({ Network, ort, models, load, rounds }) {
  ort.env.wasm.numThreads = 1;
  const median = values => values.sort((a, b) => a - b)[values.length >> 1];
  const lines = [];
  for (const { name, file } of models) {
    const network = await Network.open(await load(file));
    const session = await ort.InferenceSession.create(await load(name + '.onnx'), { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
    const [channels, height, width] = network.description.input;
    const values = Float32Array.from({ length: channels * height * width }, (_, place) => Math.sin(place * 0.37) * 1.5);
    const ours = () => network.logits(values);
    const theirs = async () => {
      const feeds = { [session.inputNames[0]]: new ort.Tensor('float32', values, [1, channels, height, width]) };
      return (await session.run(feeds))[session.outputNames[0]].data;
    };
    const [a, b] = [await ours(), await theirs()];
    const size = Math.max(...b.map(Math.abs)), difference = Math.max(...a.map((logit, place) => Math.abs(logit - b[place]))) / size;
    // As many images a round as take a fifth of a second.
    const once = async body => { const start = performance.now(); await body(); return performance.now() - start; };
    for (let warm = 0; warm < 5; warm++) { await ours(); await theirs(); }
    const count = Math.max(1, Math.round(200 / await once(ours)));
    const times = [[], []];
    for (let round = 0; round < rounds; round++) {
      for (const [place, body] of [ours, theirs].entries()) {
        const start = performance.now();
        for (let image = 0; image < count; image++) await body();
        times[place].push((performance.now() - start) / count);
      }
    }
    const ratios = times[0].map((time, round) => times[1][round] / time);
    const [mine, other] = times.map(median);
    lines.push(`${name}: ${(1000 / mine).toFixed(1)} images/s, onnxruntime-web ${(1000 / other).toFixed(1)}; ratio ${median(ratios).toFixed(2)} ` +
      `(${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}), logits within ${difference.toExponential(1)}`);
    network.close();
    await session.release();
  }
  return lines;
}

const models = JSON.parse(await readFile(join(page, 'models.json'))).models;

async function inNode() {
  const { Network } = await import(pathToFileURL(join(page, 'engine/direct.js')));
  const ort = await import(pathToFileURL(join(modules, 'onnxruntime-web/dist/ort.wasm.min.mjs')));
  ort.env.wasm.wasmPaths = pathToFileURL(join(modules, 'onnxruntime-web/dist')) + '/';
  return measure({ Network, ort, models, load: file => readFile(join(page, file)), rounds });
}

async function inChromium() {
  const { chromium: browsers } = createRequire(join(modules, 'x.js'))('playwright-core');
  const kinds = { mjs: 'text/javascript', js: 'text/javascript', wasm: 'application/wasm', html: 'text/html' };
  const server = createServer(async ({ url }, response) => {
    const path = url.startsWith('/ort/') ? join(modules, 'onnxruntime-web/dist', url.slice(5)) : join(page, url);
    const bytes = url === '/blank.html' ? '<!DOCTYPE html>' : await readFile(path).catch(() => null);
    response.writeHead(bytes === null ? 404 : 200, { 'Content-Type': kinds[url.split('.').pop()] ?? 'application/octet-stream' });
    response.end(bytes);
  });
  await new Promise(done => server.listen(0, '127.0.0.1', done));
  const browser = await browsers.launch({ executablePath: chromium, args: ['--no-sandbox'] });
  try {
    const tab = await browser.newPage();
    tab.setDefaultTimeout(0);
    await tab.goto(`http://127.0.0.1:${server.address().port}/blank.html`);
    const lines = await tab.evaluate(async ({ source, models, rounds }) => {
      const [{ Network }, ort] = [await import('/engine/direct.js'), await import('/ort/ort.wasm.min.mjs')];
      ort.env.wasm.wasmPaths = location.origin + '/ort/';
      const load = async file => new Uint8Array(await (await fetch('/' + file)).arrayBuffer());
      return (0, eval)('(' + source + ')')({ Network, ort, models, load, rounds });
    }, { source: measure.toString(), models, rounds });
    return [`Chromium ${browser.version()}`, ...lines];
  } finally {
    await browser.close();
    server.close();
  }
}

console.log(`Node ${process.version}, V8 ${process.versions.v8}`);
for (const line of await inNode()) console.log('  ' + line);
if (chromium !== 'none') for (const [place, line] of (await inChromium()).entries()) console.log((place ? '  ' : '') + line);
