// The networks of the service that the page comes from.
const backend = {
  inside: 'in the service',
  together: 4,
  token: '',

  async ask(path, options = {}) {
    const headers = { ...options.headers };
    if (this.token) headers.Authorization = 'Bearer ' + this.token;
    const response = await fetch(path, { ...options, headers });
    if (response.ok) return response;
    const body = await response.json().catch(() => ({}));
    throw Object.assign(new Error(body.error || 'status ' + response.status), { needsToken: response.status === 401 });
  },

  send(address, model, picture, more) {
    const query = new URLSearchParams({ model: model.name, version: model.version, ...more });
    return this.ask(address + '?' + query, { method: 'POST', body: picture, headers: { 'Content-Type': 'application/octet-stream' } });
  },

  async models() { return (await (await this.ask('/v1/models')).json()).models; },

  async open(model) { return model; },

  async classify(model, picture, top) {
    const response = await this.send('/v1/classify', model, picture, { top });
    const answer = await response.json(), inside = /dur=([\d.]+)/.exec(response.headers.get('server-timing') || '');
    return { answer, inside: inside ? Number(inside[1]) : 0 };
  },

  async explain(model, picture, more) { return (await this.send('/v1/explain', model, picture, more)).blob(); },
};
