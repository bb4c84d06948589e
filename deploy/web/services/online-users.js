import { ONLINE_USERS_INTERVAL_MS, ONLINE_USERS_MAX } from './limits.js';
import { onlineUser } from './wire.js';

/**
 * @typedef {import('./enterprise-adapter').OnlineUser} OnlineUser
 * @typedef {import('./enterprise-adapter').Role} Role
 */

const PAGE = 500;

/** Who is online, for those who ask and for those who want to be told. */
export class OnlineUsers {
  /**
   * @param {import('./rest-client.js').RestClient} rest
   * @param {(error: unknown) => void} onError
   */
  constructor(rest, onError) {
    this.rest = rest;
    this.onError = onError;
    /** @type {Map<string, OnlineUser>} */
    this.users = new Map();
    /** @type {Set<{callback: (users: OnlineUser[]) => void, role: Role | undefined}>} */
    this.subscribers = new Set();
    this.isLoaded = false;
    /**
     * News that come while the list is read.
     *
     * @type {any[] | null}
     */
    this.meanwhile = null;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this.timer = undefined;
  }

  /** @param {Role} [role] @returns {Promise<OnlineUser[]>} */
  async list(role) {
    /** @type {OnlineUser[]} */
    const found = [];
    let cursor;
    do {
      /** @type {any} */
      const page = await this.rest.json('GET', '/api/presence', {
        query: { user_type: role && (role === 'support' ? 'Kefu' : 'Kehu'), limit: PAGE, cursor },
      });
      found.push(...page.users.map(onlineUser));
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined && found.length < ONLINE_USERS_MAX);
    return found.slice(0, ONLINE_USERS_MAX);
  }

  /**
   * @param {(users: OnlineUser[]) => void} callback
   * @param {Role} [role]
   * @returns {() => void}
   */
  subscribe(callback, role) {
    const subscriber = { callback, role };
    this.subscribers.add(subscriber);
    if (this.isLoaded) queueMicrotask(() => this.#tell(subscriber));
    else void this.refresh();
    return () => {
      this.subscribers.delete(subscriber);
      if (!this.subscribers.size) this.#rest();
    };
  }

  /** Reads the list, when anybody wants it: at first, and after each reconnection. */
  async refresh() {
    if (!this.subscribers.size || this.meanwhile) return;
    const news = (this.meanwhile = /** @type {any[]} */ ([]));
    try {
      const found = await this.list();
      if (this.meanwhile !== news) return;
      this.users = new Map(found.map((user) => [user.id, user]));
      this.isLoaded = true;
      for (const frame of news) this.#apply(frame);
      for (const subscriber of [...this.subscribers]) this.#tell(subscriber);
    } catch (error) {
      // It is read again when the connection is.
      this.onError(error);
    } finally {
      if (this.meanwhile === news) this.meanwhile = null;
    }
    // A customer is told of the one agent who serves them, and has to ask for the others.
    this.timer ??= setInterval(() => {
      if (globalThis.document?.visibilityState !== 'hidden') void this.refresh();
    }, ONLINE_USERS_INTERVAL_MS);
  }

  /**
   * `UserJoined`, `UserLeft`, `Status`.
   *
   * @param {any} frame
   */
  take(frame) {
    this.meanwhile?.push(frame);
    if (!this.isLoaded || !this.#apply(frame)) return;
    for (const subscriber of [...this.subscribers]) this.#tell(subscriber);
  }

  /** Another user, or none. */
  reset() {
    this.#rest();
    this.meanwhile = null;
  }

  #rest() {
    clearInterval(this.timer);
    this.timer = undefined;
    this.isLoaded = false;
    this.users.clear();
  }

  /** @param {any} frame @returns {boolean} */
  #apply(frame) {
    const user = onlineUser(frame);
    if (user.status === 'Offline') return this.users.delete(user.id);
    if (!this.users.has(user.id) && this.users.size >= ONLINE_USERS_MAX) return false;
    this.users.set(user.id, user);
    return true;
  }

  /** @param {{callback: (users: OnlineUser[]) => void, role: Role | undefined}} subscriber */
  #tell(subscriber) {
    if (!this.subscribers.has(subscriber)) return;
    const users = [...this.users.values()].filter(({ role }) => !subscriber.role || role === subscriber.role);
    try {
      subscriber.callback(users);
    } catch (error) {
      this.onError(error);
    }
  }
}
