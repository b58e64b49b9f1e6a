// Networks on the thread that asks: for Node, and for a worker of one's own. In a page use index.js, whose worker keeps
// the page responsive.
import init, { Network as Engine, instructionSet } from './residual.js';

let ready = null;

// The module is compiled once for all networks.
function prepare() {
  ready ??= (async () => {
    const address = new URL('./residual_bg.wasm', import.meta.url);
    if (address.protocol !== 'file:') return init({ module_or_path: address });
    const { readFile } = await import('node:fs/promises');
    return init({ module_or_path: await readFile(address) });
  })().catch(error => { ready = null; throw error; });
  return ready;
}

// Bytes of a response, with the progress of their arrival; `expected` is their number where the server does not say it.
async function download(address, { onProgress, signal, bytes: expected }) {
  const response = await fetch(address, { signal });
  if (!response.ok) throw new Error(`${address}: status ${response.status}`);
  // A body that is compressed on its way has another length than its header says.
  const encoded = response.headers.get('content-encoding');
  const total = expected || (encoded ? 0 : Number(response.headers.get('content-length'))) || 0;
  if (!response.body) return new Uint8Array(await response.arrayBuffer());
  let buffer = new Uint8Array(total || 1 << 20), done = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const needed = done + part.value.length;
    if (needed > buffer.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * buffer.length));
      larger.set(buffer.subarray(0, done));
      buffer = larger;
    }
    buffer.set(part.value, done);
    done = needed;
    if (onProgress) onProgress(done, total);
  }
  return buffer.subarray(0, done);
}

async function bytesOf(source, options = {}) {
  if (typeof source === 'string' || source instanceof URL) return download(source, options);
  if (typeof Blob !== 'undefined' && source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  throw new TypeError('expected an address, a Blob, an ArrayBuffer or a typed array');
}

function isPixels(image) {
  return image && typeof image === 'object' && 'data' in image && 'width' in image && 'height' in image;
}

export { instructionSet };

export class Network {
  #engine;

  static async open(weights, options = {}) {
    const [bytes] = await Promise.all([bytesOf(weights, options), prepare()]);
    const network = new Network();
    network.#engine = new Engine(bytes, options.name);
    network.description = JSON.parse(network.#engine.description());
    return network;
  }

  async classify(image, { top = 5, logits = false } = {}) {
    if (isPixels(image)) {
      return JSON.parse(this.#open.classifyPixels(image.data, image.width, image.height, top, logits));
    }
    const bytes = await bytesOf(image);
    return JSON.parse(this.#open.classify(bytes, top, logits));
  }

  async logits(values) { return this.#open.logits(values); }

  async embed(image) {
    const bytes = await bytesOf(image);
    return this.#open.embed(bytes);
  }

  async explain(image, { class: name, layer } = {}) {
    const bytes = await bytesOf(image);
    const picture = this.#open.explain(bytes, name === undefined ? undefined : String(name), layer);
    try {
      const { width, height } = picture, pixels = picture.pixels();
      return { width, height, data: new Uint8ClampedArray(pixels.buffer, pixels.byteOffset, pixels.byteLength) };
    } finally { picture.free(); }
  }

  close() {
    if (this.#engine) this.#engine.free();
    this.#engine = null;
  }

  get #open() {
    if (!this.#engine) throw new Error('the network is closed');
    return this.#engine;
  }
}
