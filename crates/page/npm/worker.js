// A network in a worker: index.js asks, one question at a time is answered.
import { Network } from './direct.js';

let network = null;

const questions = {
  async open(weights, options) {
    let last = 0;
    const onProgress = (done, total) => {
      // A few messages a second are enough for a bar.
      if (performance.now() - last < 50 && done !== total) return;
      last = performance.now();
      postMessage({ progress: [done, total] });
    };
    network = await Network.open(weights, { ...options, onProgress });
    return network.description;
  },
  classify: (...question) => network.classify(...question),
  logits: (...question) => network.logits(...question),
  embed: (...question) => network.embed(...question),
  explain: (...question) => network.explain(...question),
};

// Questions wait for each other, so that answers come in their order.
let before = Promise.resolve();

onmessage = ({ data: { id, question, values } }) => {
  before = before.then(async () => {
    try {
      const answer = await questions[question](...values);
      const buffer = answer?.data?.buffer ?? answer?.buffer;
      postMessage({ id, answer }, buffer ? [buffer] : []);
    } catch (error) {
      postMessage({ id, error: String(error?.message ?? error), isBroken: error instanceof WebAssembly.RuntimeError });
    }
  });
};
