/** The tabs of one user in one browser: who may do what only one may do, and what they tell each other. */
export class Tabs {
  /**
   * @param {string} name the user's, in this browser
   * @param {(message: any) => void} onMessage
   */
  constructor(name, onMessage) {
    this.name = name;
    this.channel = typeof BroadcastChannel === 'function' ? new BroadcastChannel(name) : null;
    if (this.channel) this.channel.onmessage = (event) => onMessage(event.data);
  }

  /**
   * To the other tabs.
   *
   * @param {{what: string, [member: string]: unknown}} message
   */
  tell(message) {
    try {
      this.channel?.postMessage(message);
    } catch {
      // Closed meanwhile.
    }
  }

  /**
   * Does what one tab at a time may do; waits for its turn. A tab that ends, however it ends, gives it back. Where the
   * browser has no locks (pages that came by plain http from another machine) there is no turn to wait for: each tab
   * then sends all that waits, in its order, and the `client_id`s see to it that it arrives once.
   *
   * @template T
   * @param {string} what
   * @param {AbortSignal} signal ends the waiting
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async alone(what, signal, work) {
    if (!globalThis.navigator?.locks) return work();
    return navigator.locks.request(`${this.name}:${what}`, { signal }, work);
  }

  close() {
    this.channel?.close();
    this.channel = null;
  }
}
