import { SIGNED_URL_MARGIN_MS, SIGNED_URLS_MAX } from './limits.js';

/** Signed addresses of files, each asked for once while it is good. */
export class FileUrls {
  /** @param {import('./rest-client.js').RestClient} rest @param {() => number} now the server's time */
  constructor(rest, now) {
    this.rest = rest;
    this.now = now;
    /** @type {Map<string, Promise<{url: string, expiresAt: number}>>} */
    this.known = new Map();
  }

  /** @param {string} id @returns {Promise<string>} */
  async get(id) {
    const held = this.known.get(id);
    if (held) {
      const { url, expiresAt } = await held;
      if (expiresAt - this.now() > SIGNED_URL_MARGIN_MS) return url;
    }
    const asked = this.#ask(id);
    this.known.delete(id);
    this.known.set(id, asked);
    if (this.known.size > SIGNED_URLS_MAX) this.known.delete(/** @type {string} */ (this.known.keys().next().value));
    asked.catch(() => this.known.get(id) === asked && this.known.delete(id));
    return (await asked).url;
  }

  clear() {
    this.known.clear();
  }

  /** @param {string} id */
  async #ask(id) {
    const answer = await this.rest.json('POST', `/api/files/${encodeURIComponent(id)}/url`);
    return { url: this.rest.baseUrl + answer.url, expiresAt: Date.parse(answer.expires_at) };
  }
}
