import { AdapterError } from './adapter-error.js';
import { backOff } from './back-off.js';
import { REQUEST_TIMEOUT_MS, REQUEST_TRIES_MAX, RETRY_AFTER_MS_MAX } from './limits.js';

/**
 * @typedef {object} RequestOptions
 * @property {unknown} [body] sent as JSON
 * @property {Record<string, string | number | undefined>} [query]
 * @property {Record<string, string>} [headers]
 * @property {boolean} [isPublic] without a session
 * @property {boolean} [isOnce] not tried again, though it only reads
 * @property {AbortSignal} [signal]
 */

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {(name: string) => string | null} header
 * @property {string} text
 */

/** The HTTP side: sessions by header, never by cookie; errors as `AdapterError`; what only reads is tried again. */
export class RestClient {
  /**
   * @param {string} baseUrl without a slash at its end
   * @param {object} session
   * @param {() => string | null} session.id
   * @param {(id: string) => boolean} session.onRefused the server does not know it (any more); whether there is another
   * @param {() => number} [random]
   */
  constructor(baseUrl, session, random = Math.random) {
    this.baseUrl = baseUrl;
    this.session = session;
    this.random = random;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<any>} the answer's JSON, `null` without one
   * @throws {AdapterError}
   */
  async json(method, path, options = {}) {
    const answer = await this.call(method, path, options);
    if (!answer.text) return null;
    try {
      return JSON.parse(answer.text);
    } catch (cause) {
      throw new AdapterError('bad_answer', `${path}: the answer is not JSON`, { status: answer.status, cause });
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<Answer>} a successful one
   * @throws {AdapterError}
   */
  async call(method, path, options = {}) {
    const triesMax = (method === 'GET' || method === 'HEAD') && !options.isOnce ? REQUEST_TRIES_MAX : 1;
    for (let failed = 1; ; failed += 1) {
      try {
        return await this.#authorized(method, path, options);
      } catch (error) {
        const wait = error instanceof AdapterError ? this.#waitBefore(error, failed) : null;
        if (wait === null || failed >= triesMax || options.signal?.aborted) throw error;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  /** @param {AdapterError} error @param {number} failed @returns {number | null} `null`: it does not pass by waiting */
  #waitBefore(error, failed) {
    if (error.code !== 'network' && error.status !== 429 && error.status !== 503) return null;
    const least = error.retryAfterMs ?? 0;
    return least > RETRY_AFTER_MS_MAX ? null : least + backOff(failed - 1, this.random, { base: 500, cap: 4000 });
  }

  /** @param {string} method @param {string} path @param {RequestOptions} options @returns {Promise<Answer>} */
  async #authorized(method, path, options) {
    if (options.isPublic) return this.#once(method, path, options, null);
    const id = this.session.id();
    if (id === null) throw AdapterError.notLoggedIn();
    try {
      return await this.#once(method, path, options, id);
    } catch (error) {
      if (!(error instanceof AdapterError) || error.status !== 401 || !this.session.onRefused(id)) throw error;
      return this.#once(method, path, options, this.session.id());
    }
  }

  /** @param {string} method @param {string} path @param {RequestOptions} options @param {string | null} session */
  async #once(method, path, options, session) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) query.set(name, String(value));
    }
    /** @type {Record<string, string>} */
    const headers = { ...options.headers };
    if (session !== null) headers['X-Session-Id'] = session;
    if (options.body !== undefined) headers['Content-Type'] = 'application/json';
    const { signal, done } = deadline(options.signal);
    /** @type {Answer} */
    let answer;
    try {
      const response = await fetch(this.baseUrl + path + (String(query) && `?${query}`), {
        method,
        headers,
        body: options.body === undefined ? undefined : JSON.stringify(options.body),
        // No cookie goes along, and none is taken: see README.md.
        credentials: 'omit',
        cache: 'no-store',
        signal,
      });
      answer = { status: response.status, header: (name) => response.headers.get(name), text: await response.text() };
    } catch (cause) {
      if (options.signal?.aborted) throw AdapterError.aborted(`${path}: the call was ended`);
      throw AdapterError.network(signal.aborted ? `no answer within ${REQUEST_TIMEOUT_MS} ms` : 'no connection', cause);
    } finally {
      done();
    }
    if (answer.status < 200 || answer.status >= 300) throw AdapterError.fromAnswer(answer);
    return answer;
  }
}

/**
 * A signal that also comes after the time-out.
 *
 * @param {AbortSignal} [outer]
 */
function deadline(outer) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, REQUEST_TIMEOUT_MS);
  outer?.addEventListener('abort', abort);
  if (outer?.aborted) abort();
  return {
    signal: controller.signal,
    done: () => {
      clearTimeout(timer);
      outer?.removeEventListener('abort', abort);
    },
  };
}

