/** Where a tab keeps its session; whoever closes the tab is logged out of this page. */
const KEPT = 'support-chat.admin';
/** How long an answer is waited for, in milliseconds. */
const TIMEOUT_MS = 30_000;

/**
 * @typedef {{id: string, user: {id: string, name: string}}} Session
 * @typedef {Record<string, string | number | undefined>} Query
 */

/** What the server refused or did not answer, by the names that the adapter's errors have. */
export class ServerError extends Error {
  /** @param {string} code @param {number} status 0: there was no answer */
  constructor(code, status, { field = '', rule = '', retryAfterMs = /** @type {number | null} */ (null) } = {}) {
    super(`${code} (${status})`);
    this.code = code;
    this.status = status;
    this.field = field;
    this.rule = rule;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * The server as an administrator asks it: over HTTP alone. A socket would make an agent of them to whom customers are
 * given.
 */
export class Server {
  /** @type {() => void} */
  onEnded = () => {};
  /** @type {Session | null} */
  #session = null;

  get user() {
    return this.#session?.user ?? null;
  }

  /** @param {string} username @param {string} password @returns {Promise<boolean>} whether they are an administrator */
  async logIn(username, password) {
    const answer = await call('POST', '/auth/login', { body: { username, password } });
    /** @type {Session} */
    const session = { id: answer.session_id, user: { id: answer.user_id, name: answer.user_name } };
    const { is_admin: isAdmin } = await call('GET', '/auth/session', { session: session.id });
    if (isAdmin !== true) {
      await end(session);
      return false;
    }
    this.#keep(session);
    return true;
  }

  /** Takes up the session of this tab, if it has one that still lives. */
  async resume() {
    this.#session = kept();
    if (!this.#session) return false;
    const { is_admin: isAdmin } = await this.get('/auth/session');
    return isAdmin === true;
  }

  async logOut() {
    const session = this.#session;
    this.#keep(null);
    if (session) await end(session);
  }

  /** @param {string} path @param {Query} [query] @returns {Promise<any>} */
  get(path, query) {
    return this.#ask('GET', path, { query });
  }

  /** @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<any>} */
  send(method, path, body) {
    return this.#ask(method, path, { body });
  }

  /** @param {string} method @param {string} path @param {{query?: Query, body?: unknown}} given */
  async #ask(method, path, given) {
    const session = this.#session;
    try {
      return await call(method, path, { ...given, session: session?.id });
    } catch (error) {
      // Several requests may learn of the same end.
      if (/** @type {any} */ (error).status === 401 && session && session === this.#session) {
        this.#keep(null);
        this.onEnded();
      }
      throw error;
    }
  }

  /** @param {Session | null} session */
  #keep(session) {
    this.#session = session;
    try {
      if (session) sessionStorage.setItem(KEPT, JSON.stringify(session));
      else sessionStorage.removeItem(KEPT);
    } catch {
      // It lasts as long as the page.
    }
  }
}

/** @returns {Session | null} */
function kept() {
  try {
    const session = JSON.parse(sessionStorage.getItem(KEPT) ?? 'null');
    return typeof session?.id === 'string' && session.user ? session : null;
  } catch {
    return null;
  }
}

/** @param {Session} session */
async function end({ id }) {
  await call('POST', '/auth/logout', { body: { session_id: id } }).catch(() => {});
}

/**
 * One request; sessions go by header, and no cookie goes along.
 *
 * @param {string} method
 * @param {string} path
 * @param {{query?: Query, body?: unknown, session?: string}} given
 * @returns {Promise<any>} the answer's JSON, `null` without one
 * @throws {ServerError}
 */
async function call(method, path, { query = {}, body, session }) {
  const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  /** @type {Record<string, string>} */
  const headers = {};
  if (session) headers['X-Session-Id'] = session;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let status = 0;
  let text;
  let retryAfter;
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), TIMEOUT_MS);
  try {
    const answer = await fetch(given.length ? `${path}?${new URLSearchParams(given)}` : path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: 'omit',
      cache: 'no-store', signal: controller.signal,
    });
    status = answer.status;
    retryAfter = Number(answer.headers.get('Retry-After') ?? NaN);
    text = await answer.text();
  } catch {
    throw new ServerError('network', 0);
  } finally {
    clearTimeout(timer);
  }
  const content = parsed(text);
  if (status >= 200 && status < 300) return content;
  throw refusal(status, content ?? {}, Number.isFinite(retryAfter) ? retryAfter * 1000 : null);
}

/** @param {string} text @returns {any} `null`: it is not JSON, such as a proxy's own page */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * A problem document (RFC 9457) as an error.
 *
 * @param {number} status
 * @param {any} problem
 * @param {number | null} retryAfterMs
 */
function refusal(status, { code, detail, errors }, retryAfterMs) {
  const fallback = status === 401 ? 'session_ended' : status >= 500 ? 'unavailable' : 'bad_answer';
  const [first] = Array.isArray(errors) ? errors : [];
  // Texts without a list name the field before a colon.
  const [, field, rule] = /^([a-z_][\w.]*): (.+)$/s.exec(String(detail ?? '')) ?? [];
  return new ServerError(String(code ?? fallback), status, {
    field: first ? String(first.pointer ?? '').replace(/^#?\//, '') : field,
    rule: first ? String(first.detail ?? '') : rule,
    retryAfterMs,
  });
}
