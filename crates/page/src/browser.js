// The networks beside the page, in a worker of the browser.
import { Network } from './engine/index.js';

const backend = {
  inside: 'in the worker',
  together: 1,
  network: null,

  async models() {
    const response = await fetch('models.json');
    if (!response.ok) throw new Error('models.json: status ' + response.status);
    return (await response.json()).models;
  },

  // One network at a time: each takes some times the memory of its weights.
  async open(model, loading) {
    if (this.network) this.network.close();
    this.network = null;
    const network = await Network.open(new URL(model.file, location.href), { onProgress: loading, bytes: model.bytes });
    this.network = network;
    return { ...model, ...network.description };
  },

  async classify(model, picture, top) {
    const start = performance.now();
    const answer = await this.network.classify(picture, { top });
    return { answer, inside: performance.now() - start };
  },

  async explain(model, picture, more) {
    const { width, height, data } = await this.network.explain(picture, more);
    const canvas = document.createElement('canvas');
    canvas.width = width; canvas.height = height;
    canvas.getContext('2d').putImageData(new ImageData(data, width, height), 0, 0);
    return new Promise((done, failed) => canvas.toBlob(blob => blob ? done(blob) : failed(new Error('the picture cannot be drawn'))));
  },
};
