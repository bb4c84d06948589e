/** The most conversations whose time is asked for at once. */
const ASKED_MAX = 20;

/** Since when conversations wait: their last "queued" decision, which stays while they do. */
export class QueueTimes {
  /** @type {Map<string, number>} */
  #since = new Map();

  /** @param {(id: string) => Promise<any>} getRouting a conversation's decisions, as the server writes them */
  constructor(getRouting) {
    this.getRouting = getRouting;
  }

  /**
   * When it began to wait, as `Date.now()` counts; `null`: not known (yet).
   *
   * @param {string} id
   */
  since(id) {
    return this.#since.get(id) ?? null;
  }

  /**
   * Learns the times of those who wait now, the first of them first.
   *
   * @param {string[]} ids
   */
  async learn(ids) {
    const waiting = new Set(ids);
    for (const id of this.#since.keys()) if (!waiting.has(id)) this.#since.delete(id);
    const unknown = ids.filter((id) => !this.#since.has(id)).slice(0, ASKED_MAX);
    await Promise.all(unknown.map(async (id) => {
      try {
        const { state, decisions } = await this.getRouting(id);
        const last = decisions[0];
        // One that was returned to the queue has waited since then.
        if (state === 'queued' && last && !last.agent_id) this.#since.set(id, Date.parse(last.at));
      } catch {
        // It is asked for again.
      }
    }));
  }
}
