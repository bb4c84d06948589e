import { RestClient } from '../services/rest-client.js';
import { Session } from '../services/session.js';
import { settingsFrom } from '../services/settings.js';

/**
 * The server as an administrator asks it: over HTTP alone. A socket would make an agent of them to whom customers are
 * given.
 */
export class Server {
  /** @type {() => void} */
  onEnded = () => {};
  #session;
  #rest;

  constructor() {
    const settings = settingsFrom({ profile: 'admin', sessionStorage: 'tab' }, null, location.origin);
    this.#session = new Session(settings, { onChange: () => {}, onEnded: () => this.onEnded() });
    this.#rest = new RestClient(settings.apiUrl, {
      id: () => this.#session.id,
      onRefused: (id) => this.#session.refused(id),
    });
  }

  get user() {
    return this.#session.current?.user ?? null;
  }

  /** @param {string} username @param {string} password */
  async logIn(username, password) {
    const answer = await this.#rest.json('POST', '/auth/login', { body: { username, password }, isPublic: true });
    const session = await Session.fromLogin(answer, this.#rest);
    if (!session.user.isAdmin) {
      await this.#rest.json('POST', '/auth/logout',
        { body: { session_id: session.id }, isPublic: true }).catch(() => {});
      return false;
    }
    this.#session.set(session);
    return true;
  }

  /** Takes up the session of this tab, if it has one that still lives. */
  async resume() {
    const kept = this.#session.kept();
    if (!kept) return false;
    this.#session.current = kept;
    const { is_admin: isAdmin } = await this.#rest.json('GET', '/auth/session');
    return isAdmin === true;
  }

  async logOut() {
    const { id } = this.#session;
    this.#session.set(null);
    if (id) await this.#rest.json('POST', '/auth/logout', { body: { session_id: id }, isPublic: true }).catch(() => {});
  }

  /** @param {string} path @param {Record<string, string | number | undefined>} [query] @returns {Promise<any>} */
  get(path, query) {
    return this.#rest.json('GET', path, { query });
  }

  /** @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<any>} */
  send(method, path, body) {
    return this.#rest.json(method, path, { body });
  }
}
