import { asAdapterError } from './adapter-error.js';
import { SessionStore } from './session-store.js';

/**
 * @typedef {import('./session-store.js').StoredSession} StoredSession
 * @typedef {import('./enterprise-adapter').User} User
 * @typedef {import('./enterprise-adapter').Role} Role
 * @typedef {import('./rest-client.js').RestClient} RestClient
 */

/** A session that was lengthened by less than this is at its end for good. */
const EXPIRY_MARGIN_MS = 300_000;

/** The session of this page, which its other tabs may refresh, end or replace. */
export class Session {
  /**
   * @param {import('./settings.js').Settings} settings
   * @param {object} parts
   * @param {() => void} parts.onChange another tab has changed what is kept
   * @param {(reason: 'session_ended' | 'logout') => void} parts.onEnded the server does not know it any more
   */
  constructor(settings, parts) {
    this.parts = parts;
    this.key = `enterprise-adapter:${settings.apiUrl}:${settings.profile}`;
    this.store = new SessionStore(settings.sessionStorage, this.key, () => parts.onChange());
    /** @type {StoredSession | null} */
    this.current = null;
  }

  get id() {
    return this.current?.id ?? null;
  }

  /** What is kept, by this page or by another tab. */
  kept() {
    return this.store.read();
  }

  /** @param {StoredSession | null} session */
  set(session) {
    this.current = session;
    this.store.write(session);
  }

  /** Lets go of it without ending it. */
  close() {
    this.current = null;
    this.store.close();
  }

  /**
   * The server has refused an id.
   *
   * @param {string} id
   * @returns {boolean} whether there is another one to try
   */
  refused(id) {
    if (!this.current) return false;
    if (this.current.id !== id) return true;
    const kept = this.store.read();
    if (kept && kept.id !== id && kept.user.id === this.current.user.id) {
      this.current = kept;
      return true;
    }
    this.set(null);
    // The server may be quicker than the other tab's news: who logs out takes away what is kept first.
    this.parts.onEnded(kept ? 'session_ended' : 'logout');
    return false;
  }

  /** @param {any} answer of a login @param {RestClient} rest @returns {Promise<StoredSession>} */
  static async fromLogin(answer, rest) {
    /** @type {User} */
    const user = {
      id: String(answer.user_id),
      name: String(answer.user_name),
      role: answer.user_type === 'Kefu' ? 'support' : 'customer',
      type: answer.user_type === 'Kefu' ? 'Kefu' : 'Kehu',
      isAdmin: false,
      isGuest: String(answer.user_id).startsWith('guest-'),
    };
    const session = { id: String(answer.session_id), user, expiresAt: String(answer.expires_at) };
    if (user.role === 'support') {
      const headers = { 'X-Session-Id': session.id };
      user.isAdmin = (await rest.json('GET', '/auth/session', { headers, isPublic: true })).is_admin === true;
    }
    return session;
  }

  /**
   * Lengthens it; the sockets of all tabs go over by themselves.
   *
   * @param {RestClient} rest
   * @param {string} expiring when it ends
   * @param {number} now the server's time, in milliseconds
   * @returns {Promise<string | null>} when it ends all the same
   */
  async refresh(rest, expiring, now) {
    const { current } = this;
    if (!current) return null;
    const kept = this.store.read();
    if (kept && kept.id !== current.id && kept.user.id === current.user.id) {
      this.current = kept;
      return null;
    }
    try {
      const answer = await rest.json('POST', '/auth/session/refresh');
      this.set({ ...current, id: String(answer.session_id), expiresAt: String(answer.expires_at) });
    } catch (error) {
      if (asAdapterError(error).status === 401) return null;
      return expiring;
    }
    const left = Date.parse(this.current?.expiresAt ?? expiring) - now;
    return left < EXPIRY_MARGIN_MS ? this.current?.expiresAt ?? expiring : null;
  }
}
