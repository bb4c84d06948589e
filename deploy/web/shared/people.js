/**
 * @typedef {import('../services/enterprise-adapter').EnterpriseAdapter} EnterpriseAdapter
 * @typedef {import('../services/enterprise-adapter').OnlineUser} OnlineUser
 */

/** The most people whose names are remembered; then the ones that were learnt first are asked for again. */
const PEOPLE_MAX = 2000;

/** Names and presence of whoever a page speaks of. */
export class People {
  /** @type {Map<string, OnlineUser>} */
  #known = new Map();
  /** @type {Set<string>} */
  #asked = new Set();
  /** @type {Set<(id: string) => void>} */
  #listeners = new Set();

  /** How often all were asked for again. */
  #round = 0;
  /** @type {Array<() => void>} */
  #ends;

  /** @param {EnterpriseAdapter} adapter */
  constructor(adapter) {
    this.adapter = adapter;
    this.#ends = [
      // Of those only that the page speaks of: an agent is told of everybody.
      adapter.on('presence', (user) => this.#asked.has(user.id) && this.#learn(user)),
      adapter.on('connected', () => void this.#askAgain()),
    ];
  }

  close() {
    this.#round += 1;
    for (const end of this.#ends) end();
  }

  /** What changed while there was no connection was not told: one after the other, those spoken of last first. */
  async #askAgain() {
    const round = (this.#round += 1);
    for (const id of [...this.#asked].reverse()) {
      if (round !== this.#round) return;
      await this.#ask(id);
    }
  }

  /**
   * What is known of somebody; what is not yet, is asked for.
   *
   * @param {string | null | undefined} id
   * @returns {OnlineUser | undefined}
   */
  get(id) {
    if (!id || id === 'system') return undefined;
    const known = this.#known.get(id);
    if (!known && !this.#asked.has(id)) {
      this.#asked.add(id);
      void this.#ask(id);
    }
    return known;
  }

  /**
   * The name that somebody goes by.
   *
   * @param {string | null | undefined} id
   */
  name(id) {
    const { user } = this.adapter;
    if (user && id === user.id) return user.name;
    return this.get(id)?.name ?? id ?? '';
  }

  /**
   * The name, once it is known.
   *
   * @param {string} id
   */
  async findName(id) {
    this.#asked.add(id);
    if (!this.#known.has(id)) await this.#ask(id);
    return this.name(id);
  }

  /**
   * Calls back when more, or something else, is known of somebody.
   *
   * @param {(id: string) => void} listener
   */
  onChange(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** @param {string} id */
  async #ask(id) {
    try {
      const { users } = await this.adapter.request('GET', `/api/presence/${encodeURIComponent(id)}`);
      const [one] = users;
      if (!one) return;
      this.#learn({
        id: String(one.user_id),
        name: String(one.user_name),
        role: one.user_type === 'Kefu' ? 'support' : 'customer',
        status: one.status,
        lastSeen: one.last_seen ?? null,
      });
    } catch {
      // The id stands for the name; the next connection asks again.
      if (!this.#known.has(id)) this.#asked.delete(id);
    }
  }

  /** @param {OnlineUser} user */
  #learn(user) {
    this.#known.delete(user.id);
    this.#known.set(user.id, user);
    if (this.#known.size > PEOPLE_MAX) {
      const [oldest] = this.#known.keys();
      this.#known.delete(oldest);
      this.#asked.delete(oldest);
    }
    for (const listener of this.#listeners) listener(user.id);
  }
}
