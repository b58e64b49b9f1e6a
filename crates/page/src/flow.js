// Gradient norms of a network, in a worker.
import init, { blockGradients } from './engine/residual.js';

onmessage = async ({ data: { text, values } }) => {
  try {
    await init();
    postMessage({ chart: blockGradients(text, values) });
  } catch (error) { postMessage({ error: error.message }); }
};
