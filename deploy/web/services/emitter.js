/**
 * @typedef {import('./enterprise-adapter').AdapterEvents} Events
 * @typedef {keyof Events} EventName
 */

/** Listeners of the adapter's events. One that throws stops neither the others nor the adapter. */
export class Emitter {
  /** @param {(event: EventName) => unknown} current what a late listener is told; `undefined`: nothing */
  constructor(current) {
    /** @type {Map<EventName, Set<(data: any) => void>>} */
    this.listeners = new Map();
    this.current = current;
  }

  /**
   * @template {EventName} E
   * @param {E} event
   * @param {(data: Events[E]) => void} listener
   * @returns {() => void} ends it
   */
  on(event, listener) {
    if (typeof listener !== 'function') throw new TypeError(`${event}: the listener must be a function`);
    const set = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, set.add(listener));
    if (this.current(event) !== undefined) {
      // After `on` has returned; by then things may stand otherwise.
      queueMicrotask(() => {
        const data = this.current(event);
        if (data !== undefined && set.has(listener)) this.#call(listener, data);
      });
    }
    return () => void set.delete(listener);
  }

  /**
   * @template {EventName} E
   * @param {E} event
   * @param {(data: Events[E]) => void} listener
   */
  once(event, listener) {
    const end = this.on(event, (data) => {
      end();
      listener(data);
    });
    return end;
  }

  /**
   * @template {EventName} E
   * @param {E} event
   * @param {(data: Events[E]) => void} listener
   */
  off(event, listener) {
    this.listeners.get(event)?.delete(listener);
  }

  /**
   * @template {EventName} E
   * @param {E} event
   * @param {Events[E]} data
   */
  emit(event, data) {
    for (const listener of [...(this.listeners.get(event) ?? [])]) this.#call(listener, data);
  }

  clear() {
    this.listeners.clear();
  }

  /**
   * @param {(data: any) => void} listener
   * @param {unknown} data
   */
  #call(listener, data) {
    try {
      listener(data);
    } catch (error) {
      // As if the browser had called it: the page's own handlers of errors hear of it.
      setTimeout(() => {
        throw error;
      });
    }
  }
}
