/**
 * @typedef {import('./enterprise-adapter').Message} Message
 * @typedef {{resolve: (message: Message) => void, reject: (error: Error) => void}} Waiter
 */

/** Who waits for what becomes of a message, by its `clientId`. */
export class Waiters {
  /** @type {Map<string, Waiter[]>} */
  #waiting = new Map();

  /** @param {string} clientId @returns {Promise<Message>} */
  wait(clientId) {
    return new Promise((resolve, reject) => {
      this.#waiting.set(clientId, [...(this.#waiting.get(clientId) ?? []), { resolve, reject }]);
    });
  }

  /** @param {string} clientId @param {(waiter: Waiter) => void} how */
  settle(clientId, how) {
    const waiters = this.#waiting.get(clientId) ?? [];
    this.#waiting.delete(clientId);
    waiters.forEach(how);
  }

  /** @param {Error} error */
  rejectAll(error) {
    for (const clientId of [...this.#waiting.keys()]) this.settle(clientId, ({ reject }) => reject(error));
  }
}
