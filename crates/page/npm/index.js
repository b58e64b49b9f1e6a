// Networks in a worker each, so that the page stays responsive while they compute.
export class Network {
  #worker;
  #waiting = new Map();
  #next = 0;
  #onProgress;
  // Reason for which there are no more answers.
  #ended = null;

  constructor() {
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    this.#worker.onmessage = ({ data }) => this.#take(data);
    this.#worker.onerror = event => this.#end(new Error(event.message || 'the worker cannot be loaded'));
  }

  static async open(weights, { onProgress, signal, name, bytes } = {}) {
    signal?.throwIfAborted();
    const network = new Network();
    const abort = () => network.#end(signal.reason);
    signal?.addEventListener('abort', abort);
    network.#onProgress = onProgress;
    try {
      // A relative address is relative to the page, not to the worker.
      const address = typeof weights === 'string' || weights instanceof URL;
      const source = address ? new URL(weights, document.baseURI).href : weights;
      network.description = await network.#ask('open', source, { name, bytes });
    } catch (error) {
      network.close();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
    return network;
  }

  classify(image, options) { return this.#ask('classify', plain(image), options); }

  logits(values) { return this.#ask('logits', values); }

  embed(image) { return this.#ask('embed', image); }

  explain(image, options) { return this.#ask('explain', image, options); }

  close() { this.#end(new Error('the network is closed')); }

  #ask(question, ...values) {
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((done, failed) => {
      const id = this.#next++;
      this.#waiting.set(id, { done, failed });
      this.#worker.postMessage({ id, question, values });
    });
  }

  #take({ id, answer, error, isBroken, progress }) {
    if (progress) { this.#onProgress?.(...progress); return; }
    const { done, failed } = this.#waiting.get(id) ?? {};
    this.#waiting.delete(id);
    if (error === undefined) { done?.(answer); return; }
    failed?.(new Error(error));
    if (isBroken) this.#end(new Error('the engine has stopped: ' + error + '; help: open the network again'));
  }

  #end(reason) {
    if (this.#ended) return;
    this.#ended = reason;
    this.#worker.terminate();
    for (const { failed } of this.#waiting.values()) failed(reason);
    this.#waiting.clear();
  }
}

function plain(image) {
  return typeof ImageData !== 'undefined' && image instanceof ImageData
    ? { width: image.width, height: image.height, data: image.data } : image;
}
