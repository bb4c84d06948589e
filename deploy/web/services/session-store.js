/**
 * A session and whose it is. The id is as good as a password until it ends; there is never a password.
 *
 * @typedef {object} StoredSession
 * @property {string} id
 * @property {import('./enterprise-adapter').User} user
 * @property {string} expiresAt RFC 3339
 */

/** Where the session is kept between pages, or is not; browsers that refuse storage to a frame keep it in memory. */
export class SessionStore {
  /**
   * @param {'browser' | 'tab' | 'memory'} place
   * @param {string} key
   * @param {() => void} onChange another tab has changed it
   */
  constructor(place, key, onChange) {
    this.key = key;
    /** @type {StoredSession | null} */
    this.held = null;
    this.storage = place === 'memory' ? null : webStorage(place);
    /** @param {StorageEvent} event */
    this.listener = (event) => {
      if (event.storageArea === this.storage && (event.key === key || event.key === null)) onChange();
    };
    if (place === 'browser' && this.storage) addEventListener('storage', this.listener);
  }

  /** @returns {StoredSession | null} */
  read() {
    if (!this.storage) return this.held;
    try {
      const text = this.storage.getItem(this.key);
      const session = text ? JSON.parse(text) : null;
      return session && typeof session.id === 'string' && session.user?.id ? session : null;
    } catch {
      return this.held;
    }
  }

  /** @param {StoredSession | null} session */
  write(session) {
    this.held = session;
    try {
      if (session) this.storage?.setItem(this.key, JSON.stringify(session));
      else this.storage?.removeItem(this.key);
    } catch {
      // Full or refused: it then lasts as long as the page.
      this.storage = null;
    }
  }

  close() {
    removeEventListener('storage', this.listener);
  }
}

/** @param {'browser' | 'tab'} place @returns {Storage | null} */
export function webStorage(place) {
  try {
    return place === 'browser' ? globalThis.localStorage ?? null : globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}
