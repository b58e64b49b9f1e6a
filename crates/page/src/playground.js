import init, { checkNetwork, networkPresets } from './engine/residual.js';

function show(network) {
  at('fault').hidden = true;
  at('drawing').style.opacity = '';
  at('status').textContent = `${network.name}: ${number(network.parameters)} parameters, ${number(network.macs)} multiply-accumulates an image`;
  at('facts').textContent = `Input ${network.input.join(' x ')}.`;
  at('rows').replaceChildren(...tableRows(network.rows));
  // The drawing is the engine's own, names in it are escaped there.
  at('drawing').innerHTML = network.drawing;
}

// What was right before stays, faded.
function complain({ line, place, found, help }) {
  at('status').textContent = 'Not a network' + (line ? ', at line ' + line : '') + '.';
  at('drawing').style.opacity = '.35';
  at('fault').hidden = false;
  at('line').hidden = !line;
  at('line').textContent = 'line ' + line;
  at('line').onclick = () => select(line);
  at('found').textContent = (place ? place + ': ' : '') + found;
  at('help').textContent = help ? 'Help: ' + help : '';
}

function select(line) {
  const lines = at('text').value.split('\n'), start = lines.slice(0, line - 1).join('\n').length + (line > 1 ? 1 : 0);
  at('text').focus();
  at('text').setSelectionRange(start, start + (lines[line - 1] || '').length);
  at('text').scrollTop = (line - 4) * parseFloat(getComputedStyle(at('text')).lineHeight);
}

function check() {
  const { network, fault } = JSON.parse(checkNetwork(at('text').value));
  if (network) show(network); else complain(fault);
}

// Pixels of a picture at the size of the network's input; without one, of a sky, a hill and a sun.
async function pixels([, height, width], file) {
  const canvas = document.createElement('canvas');
  canvas.width = width; canvas.height = height;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (file) {
    const picture = await createImageBitmap(file);
    context.drawImage(picture, 0, 0, width, height);
  } else {
    const sky = context.createLinearGradient(0, 0, 0, height);
    sky.addColorStop(0, '#3b7dd8'); sky.addColorStop(1, '#f6d9a8');
    context.fillStyle = sky; context.fillRect(0, 0, width, height);
    context.fillStyle = '#ffef9e'; context.beginPath(); context.arc(width * 0.72, height * 0.28, width * 0.12, 0, 7); context.fill();
    context.fillStyle = '#2f6b3a'; context.beginPath(); context.ellipse(width * 0.35, height * 1.02, width * 0.55, height * 0.42, 0, 0, 7); context.fill();
  }
  return context.getImageData(0, 0, width, height).data;
}

// In a worker: it takes seconds. A new question ends the one before.
let worker = null;
async function measure(file) {
  const text = at('text').value, { network, fault } = JSON.parse(checkNetwork(text));
  if (fault) { at('flow-status').textContent = 'Not a network yet.'; return; }
  at('flow-status').textContent = 'Measuring…';
  let values;
  try { values = await pixels(network.input, file); } catch { at('flow-status').textContent = 'That is no picture.'; return; }
  if (worker) worker.terminate();
  worker = new Worker('flow.js', { type: 'module' });
  worker.onmessage = ({ data: { chart, error } }) => {
    at('flow-status').textContent = error ? error : network.name + (file ? ', on ' + file.name : '') + '.';
    at('flow').hidden = !chart;
    if (chart) at('flow').innerHTML = chart;
  };
  worker.onerror = event => { at('flow-status').textContent = event.message || 'The engine cannot be loaded.'; };
  worker.postMessage({ text, values });
}

async function begin() {
  try { await init(); } catch (error) { at('status').textContent = 'The engine cannot be loaded: ' + error.message; return; }
  const presets = JSON.parse(networkPresets());
  at('preset').replaceChildren(...presets.map((preset, index) => new Option(preset.name, index)));
  const choose = () => {
    const preset = presets[at('preset').value];
    at('note').textContent = preset.note[0].toUpperCase() + preset.note.slice(1) + '.';
    at('text').value = preset.text;
    check();
  };
  at('preset').onchange = choose;
  at('text').oninput = check;
  at('measure').onclick = () => measure();
  at('file').onchange = event => { const [file] = event.target.files; if (file) measure(file); event.target.value = ''; };
  choose();
}

begin();
