import { AdapterError } from './adapter-error.js';
import { backOff } from './back-off.js';
import { ACK_PROBE_MS, ACK_TIMEOUT_MS } from './limits.js';
import { chatFrame, sendable } from './outbox.js';
import { contentType } from './wire.js';

/** @typedef {import('./outbox.js').OutboxRecord} OutboxRecord */

/** Refusals that pass by waiting. */
const PASSING = new Set([
  'unavailable', 'internal_error', 'draining', 'too_many_requests', 'storage_full', 'queue_full',
]);

/** The connection went before the answer came. */
const LOST = Symbol('lost');

/**
 * Sends what is in the outbox while there is a connection and the turn is this tab's: one message of a conversation at
 * a time, in the order of all tabs.
 */
export class OutboxSender {
  /**
   * @param {object} parts
   * @param {import('./outbox.js').Outbox} parts.outbox
   * @param {import('./tabs.js').Tabs} parts.tabs
   * @param {(frame: object) => boolean} parts.send
   * @param {() => void} parts.probe
   * @param {() => void} parts.restart makes the connection anew
   * @param {(record: OutboxRecord) => void} parts.onSending
   * @param {(record: OutboxRecord) => void} parts.onLost it waits again: there is no connection
   * @param {(record: OutboxRecord, ack: any) => Promise<void>} parts.onAcknowledged
   * @param {(record: OutboxRecord, error: AdapterError) => Promise<void>} parts.onRefused
   * @param {(error: unknown) => void} parts.onError
   */
  constructor(parts) {
    this.parts = parts;
    /**
     * Answers that are waited for, by `clientId`.
     *
     * @type {Map<string, (answer: any) => void>}
     */
    this.waiting = new Map();
    /** @type {AbortController | null} */
    this.turn = null;
    /** Something was added since the outbox was last read. */
    this.isStale = false;
    this.wakeUp = () => {};
    /** @type {Promise<void>} */
    this.draining = Promise.resolve();
  }

  /**
   * Whether a message is on its way.
   *
   * @param {string} clientId
   */
  isUnderWay(clientId) {
    return this.waiting.has(clientId);
  }

  /** There is a connection, or something to send. */
  start() {
    this.isStale = true;
    this.wakeUp();
    if (this.turn) return;
    const turn = new AbortController();
    this.turn = turn;
    this.draining = this.parts.tabs.alone('outbox', turn.signal, () => this.#drain(turn.signal)).catch((error) => {
      if (!turn.signal.aborted) this.parts.onError(error);
    }).finally(() => {
      if (this.turn !== turn) return;
      this.turn = null;
      if (this.isStale) this.start();
    });
  }

  /**
   * There is no connection.
   *
   * @param {number} [code] why
   */
  stop(code) {
    this.isStale = false;
    this.turn?.abort();
    this.turn = null;
    this.wakeUp();
    for (const settle of [...this.waiting.values()]) settle(LOST);
    if (code === 1009) void this.#refuseLongest();
  }

  /**
   * An `Ack` or an `Error` with a `client_id`.
   *
   * @param {any} frame
   * @returns {boolean} whether it was waited for
   */
  answered(frame) {
    const settle = this.waiting.get(frame.client_id);
    settle?.(frame);
    return settle !== undefined;
  }

  /** A frame was too long, and only one of these can have been it. */
  async #refuseLongest() {
    const first = sendable(await this.parts.outbox.all(), new Set());
    const longest = first.sort((a, b) => b.content.length - a.content.length)[0];
    if (longest) await this.parts.onRefused(longest, AdapterError.argument('text', 'is longer than the server takes'));
  }

  /** @param {AbortSignal} signal */
  async #drain(signal) {
    /** @type {Map<string, Promise<void>>} */
    const underWay = new Map();
    while (!signal.aborted) {
      this.isStale = false;
      const records = await this.parts.outbox.all();
      if (signal.aborted) break;
      for (const record of sendable(records, new Set(underWay.keys()))) {
        const lane = record.conversationId;
        underWay.set(lane, this.#deliver(record, signal).finally(() => underWay.delete(lane)));
      }
      if (!underWay.size && !this.isStale) return;
      const added = new Promise((resolve) => {
        this.wakeUp = () => resolve(undefined);
      });
      if (this.isStale) continue;
      await Promise.race([...underWay.values(), added]);
    }
    await Promise.allSettled(underWay.values());
  }

  /** @param {OutboxRecord} record @param {AbortSignal} signal */
  async #deliver(record, signal) {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const answer = await this.#ask(record);
      if (answer === LOST) return this.parts.onLost(record);
      if (answer.type === 'Ack') return this.parts.onAcknowledged(record, answer);
      const error = AdapterError.fromFrame(answer);
      if (!PASSING.has(error.code)) return this.parts.onRefused(record, error);
      await pause(backOff(attempt + 1, Math.random), signal);
    }
  }

  /** @param {OutboxRecord} record @returns {Promise<any>} the answer's frame, or `LOST` */
  #ask(record) {
    const { clientId } = record;
    return new Promise((resolve) => {
      const probe = setTimeout(this.parts.probe, ACK_PROBE_MS);
      const timeout = setTimeout(this.parts.restart, ACK_TIMEOUT_MS);
      this.waiting.set(clientId, (answer) => {
        clearTimeout(probe);
        clearTimeout(timeout);
        this.waiting.delete(clientId);
        resolve(answer);
      });
      this.parts.onSending(record);
      if (!this.parts.send(chatFrame(record, contentType(record.type)))) this.waiting.get(clientId)?.(LOST);
    });
  }
}

/** @param {number} milliseconds @param {AbortSignal} signal @returns {Promise<void>} */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
