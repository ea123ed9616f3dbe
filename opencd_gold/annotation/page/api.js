/** The server, as the page sees it. */

/** What the server answered instead; ``status`` 0: there was no answer. */
export class ApiError extends Error {
  constructor(status, message, body = {}) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

export class Api {
  constructor(token) {
    this.token = token;
  }

  async #fetch(path, options = {}) {
    const headers = {'X-Token': this.token, ...options.headers};
    let response;
    try {
      response = await fetch(path, {...options, headers});
    } catch (error) {
      if (error.name === 'AbortError') {
        throw error;
      }
      throw new ApiError(0, 'The server does not answer.');
    }
    if (response.ok) {
      return response;
    }
    const body = await response.json().catch(() => ({}));
    throw new ApiError(response.status, body.error
      || `The server answered with status ${response.status}.`, body);
  }

  /** Call and read JSON. */
  async call(method, path, body, options = {}) {
    const request = {...options, method};
    if (body !== undefined) {
      request.body = JSON.stringify(body);
      request.headers = {'Content-Type': 'application/json'};
    }
    const response = await this.#fetch(`/api/${path}`, request);
    try {
      return await response.json();
    } catch (error) {
      if (error.name === 'AbortError') {
        throw error;
      }
      throw new ApiError(0, 'The answer of the server was cut off.');
    }
  }

  get(path, options) {
    return this.call('GET', path, undefined, options);
  }

  /** A tile, decoded, and whether a better one is to come. */
  async tile(path, signal) {
    const response = await this.#fetch(`/api/${path}`, {signal});
    const bitmap = await createImageBitmap(await response.blob());
    return {bitmap, final: response.headers.get('X-Preview') === null};
  }

  /** Calls that outlive the page; bodies over 60 kB are not sent. */
  last(method, path, body) {
    const text = JSON.stringify(body);
    if (text.length > 60000) {
      return;
    }
    fetch(`/api/${path}`, {
      method, body: text, keepalive: true,
      headers: {'X-Token': this.token, 'Content-Type': 'application/json'},
    }).catch(() => {});
  }
}

/** Token of the address, kept for this tab. */
export function readToken() {
  const given = new URLSearchParams(location.search).get('token');
  if (given) {
    sessionStorage.setItem('token', given);
  }
  return given || sessionStorage.getItem('token') || '';
}
