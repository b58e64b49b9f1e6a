const state = { models: [], model: null, picture: null, name: '', url: '', answer: null, chosen: null, maps: new Map(), turn: 0 };

function say(text, bad) { at('status').textContent = text; at('status').className = bad ? 'bad' : 'soft'; }

function loading(done, total) {
  at('progress').hidden = false;
  if (total) at('progress').value = done / total; else at('progress').removeAttribute('value');
  const megabytes = bytes => (bytes / 1e6).toFixed(1);
  say('Loading the network: ' + megabytes(done) + (total ? ' of ' + megabytes(total) : '') + ' MB');
}

// An error shows as its message; where a token is missing, so does the field for it.
function fail(error) {
  at('progress').hidden = true;
  at('token-form').hidden = !error.needsToken;
  say(error.message, true);
}

async function begin() {
  try { state.models = await backend.models(); } catch (error) { fail(error); return; }
  at('token-form').hidden = true;
  at('model').replaceChildren(...state.models.map((model, index) => new Option(model.name + ', version ' + model.version, index)));
  await choose(0);
}

async function choose(index) {
  const turn = ++state.turn;
  let model;
  try { model = await backend.open(state.models[index], loading); } catch (error) { fail(error); return; }
  if (turn !== state.turn) return;
  state.model = model;
  if (!at('progress').hidden) { at('progress').hidden = true; say('No picture yet.'); }
  describe(model);
  if (state.picture) classify();
}

function describe(model) {
  at('facts').textContent = `${model.network}: input ${model.input.join(' x ')}, ${number(model.parameters)} parameters, ` +
    `${number(model.macs)} multiply-accumulates an image, ${model.classes.length} outputs, ${threads(model)}`;
  at('rows').replaceChildren(...tableRows(model.rows));
  at('layer').max = model.layers.length + 1;
  at('layer').value = model.layers.length + 1;
}

function threads(model) { return model.threads === 1 ? '1 thread' : model.threads + ' threads'; }

function forget() { state.maps.forEach(URL.revokeObjectURL); state.maps.clear(); }

function take(picture, name) {
  if (!picture) return;
  stopCamera();
  if (state.url) URL.revokeObjectURL(state.url);
  state.picture = picture; state.name = name || 'the picture';
  state.url = URL.createObjectURL(picture);
  at('empty').hidden = true;
  if (state.model) classify();
}

async function classify() {
  const turn = ++state.turn;
  forget();
  state.answer = null; state.chosen = null;
  at('layer').value = at('layer').max;
  at('shown').src = state.url; at('shown').alt = state.name; at('shown').hidden = false;
  say('Asking…');
  const start = performance.now();
  try {
    const { answer, inside } = await backend.classify(state.model, state.picture, 10);
    if (turn !== state.turn) return;
    state.answer = answer;
    const all = performance.now() - start;
    at('speed').textContent = (inside ? inside.toFixed(1) + ' ms ' + backend.inside + ', ' : '') + all.toFixed(1) + ' ms with the way there and back.';
    at('measure').hidden = false;
    draw();
    await show();
  } catch (error) {
    if (turn !== state.turn) return;
    at('classes').replaceChildren(); at('look').hidden = true; at('hint').hidden = true;
    fail(error);
  }
}

function draw() {
  const answer = state.answer, values = answer.values || [];
  const several = answer.labels ? new Set(answer.labels.map(label => label.class)) : null;
  at('classes').replaceChildren(...answer.top.map(({ class: name, probability }) => {
    const item = document.createElement('li'), button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('aria-pressed', 'false');
    const bar = document.createElement('span'), label = document.createElement('span'), share = document.createElement('span');
    bar.className = 'bar'; bar.style.width = (100 * probability).toFixed(2) + '%';
    label.className = 'name'; label.textContent = (several && several.has(name) ? '✓ ' : '') + name;
    share.className = 'share'; share.textContent = (100 * probability).toFixed(1) + ' %';
    button.append(bar, label, share);
    button.onclick = () => { state.chosen = name; at('layer').value = at('layer').max; show(); };
    item.append(button);
    return item;
  }), ...values.map(({ target, value }) => {
    const item = document.createElement('li');
    item.textContent = target + ': ' + value.toPrecision(5);
    return item;
  }));
  at('hint').hidden = !answer.top.length;
  at('look').hidden = false;
  const best = answer.top[0];
  say(best ? `${best.class}, ${(100 * best.probability).toFixed(1)} %` : values.map(v => v.target + ' ' + v.value.toPrecision(4)).join(', '));
}

async function show() {
  if (!state.answer) return;
  const place = Number(at('layer').value), layers = state.model.layers, turn = state.turn;
  const best = state.answer.top[0], chosen = state.chosen || (best && best.class);
  const last = place === layers.length + 1;
  const words = place === 0 ? 'the picture alone' : last ? (chosen ? 'where “' + chosen + '” is seen' : 'what speaks for the first number') : 'where ' + layers[place - 1] + ' is active';
  at('layer-name').textContent = words;
  at('layer').setAttribute('aria-valuetext', words);
  for (const button of document.querySelectorAll('#classes button')) {
    button.setAttribute('aria-pressed', String(last && button.querySelector('.name').textContent.replace('✓ ', '') === chosen));
  }
  if (place === 0) { at('shown').src = state.url; at('shown').alt = state.name; return; }
  const more = last ? (chosen ? { class: chosen } : { class: 0 }) : { layer: layers[place - 1] };
  const key = JSON.stringify(more);
  try {
    if (!state.maps.has(key)) {
      const map = URL.createObjectURL(await backend.explain(state.model, state.picture, more));
      if (turn !== state.turn) { URL.revokeObjectURL(map); return; }
      state.maps.set(key, map);
    }
  } catch (error) { fail(error); return; }
  // The slider may have moved meanwhile.
  if (Number(at('layer').value) === place) { at('shown').src = state.maps.get(key); at('shown').alt = state.name + ', ' + words; }
}

async function measure() {
  const button = at('measure'), count = 32;
  button.disabled = true;
  let left = count, failed = 0;
  const start = performance.now();
  await Promise.all(Array.from({ length: backend.together }, async () => {
    while (left-- > 0) await backend.classify(state.model, state.picture, 5).catch(() => { failed++; });
  }));
  const seconds = (performance.now() - start) / 1000;
  at('speed').textContent = `${((count - failed) / seconds).toFixed(1)} images a second, ${backend.together} at a time, on ${threads(state.model)}.` + (failed ? ` ${failed} without an answer.` : '');
  button.disabled = false;
}

async function openCamera() {
  if (!navigator.mediaDevices) { at('capture').click(); return; }
  if (at('video').srcObject) { stopCamera(); return; }
  try {
    at('video').srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  } catch (error) { say('No camera: ' + error.message, true); return; }
  at('video').hidden = false; at('shoot').hidden = false; at('shown').hidden = true; at('empty').hidden = true;
  at('camera').textContent = 'Close the camera';
  await at('video').play();
}

function stopCamera() {
  const stream = at('video').srcObject;
  if (stream) stream.getTracks().forEach(track => track.stop());
  at('video').srcObject = null; at('video').hidden = true; at('shoot').hidden = true;
  at('camera').textContent = 'Camera';
  at('shown').hidden = !state.picture; at('empty').hidden = Boolean(state.picture);
}

function shoot() {
  const video = at('video'), canvas = document.createElement('canvas');
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  canvas.getContext('2d').drawImage(video, 0, 0);
  canvas.toBlob(picture => take(picture, 'picture of the camera'), 'image/jpeg', 0.95);
}

const files = list => Array.from(list || []).find(file => file.type.startsWith('image/') || !file.type);
at('file').onchange = event => { const file = files(event.target.files); if (file) take(file, file.name); event.target.value = ''; };
at('capture').onchange = at('file').onchange;
at('camera').onclick = openCamera;
at('shoot').onclick = shoot;
at('measure').onclick = measure;
at('model').onchange = event => choose(Number(event.target.value));
at('layer').oninput = show;
at('token-form').onsubmit = event => { event.preventDefault(); backend.token = at('token').value.trim(); begin(); };
addEventListener('paste', event => { const file = files(event.clipboardData && event.clipboardData.files); if (file) take(file, file.name); });
addEventListener('dragover', event => { event.preventDefault(); at('stage').classList.add('over'); });
addEventListener('dragleave', () => at('stage').classList.remove('over'));
addEventListener('drop', event => {
  event.preventDefault();
  at('stage').classList.remove('over');
  const file = files(event.dataTransfer.files);
  if (file) take(file, file.name); else say('That is no picture.', true);
});
begin();
