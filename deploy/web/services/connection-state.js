import { backOff } from './back-off.js';
import { closeMeaning, drainPause } from './close-codes.js';
import { OPENING_TIMEOUT_MS, PROBE_TIMEOUT_MS, STABLE_CONNECTION_MS, TIMER_LATENESS_MS } from './limits.js';

/** @typedef {import('./enterprise-adapter').DisconnectReason} DisconnectReason */

/** How soon after a hint that the network is back, or that the user is, another attempt begins; at random below it. */
const WAKE_MS = 1000;

/**
 * What to do next.
 *
 * @typedef {{type: 'open'}
 *   | {type: 'close'}
 *   | {type: 'heartbeat'}
 *   | {type: 'check-session', ended: boolean}
 *   | {type: 'connected'}
 *   | {type: 'disconnected', info: import('./enterprise-adapter').DisconnectInfo}
 * } ConnectionAction
 */

/**
 * The whole of a connection's life, without socket and without clock: what happens goes in with its time, what to do
 * comes out; `dueAt` is when `tick` wants to be called.
 *
 * A timer of a page in the background comes up to a minute late, one of a machine that slept hours. So nothing is
 * concluded from a deadline that was looked at late: the connection is asked again first.
 */
export class ConnectionState {
  /**
   * @param {{autoReconnect: boolean, heartbeatMs: number}} settings
   * @param {() => number} [random] at least 0, below 1
   */
  constructor(settings, random = Math.random) {
    this.settings = settings;
    this.random = random;
    /** @type {'idle' | 'opening' | 'open' | 'checking' | 'waiting' | 'stopped'} */
    this.phase = 'idle';
    /** Attempts that have failed since the last connection that lasted. */
    this.attempt = 0;
    /** @type {number | null} */
    this.retryAt = null;
    /** The server has named the earliest time; no hint makes it earlier. */
    this.isRetryFixed = false;
    /** @type {number | null} */
    this.deadline = null;
    /** @type {number | null} */
    this.heartbeatAt = null;
    /** @type {number | null} */
    this.openedAt = null;
    this.missedProbes = 0;
    this.hasReported = false;
    /** @type {{code: number, reason: DisconnectReason, pause: number | null} | null} */
    this.loss = null;
  }

  /** @returns {import('./enterprise-adapter').ConnectionState} */
  get name() {
    switch (this.phase) {
      case 'opening': return 'connecting';
      case 'open': return 'connected';
      case 'checking': return 'waiting';
      default: return this.phase;
    }
  }

  /** When to call `tick`; `null`: nothing is due. */
  get dueAt() {
    const times = [this.deadline, this.phase === 'open' ? this.heartbeatAt : null];
    if (this.phase === 'waiting') times.push(this.retryAt);
    const due = times.filter((time) => time !== null);
    return due.length ? Math.min(.../** @type {number[]} */ (due)) : null;
  }

  /**
   * The user wants to be connected, now.
   *
   * @param {number} now
   * @returns {ConnectionAction[]}
   */
  start(now) {
    if (this.phase === 'opening' || this.phase === 'open') return [];
    this.attempt = 0;
    this.hasReported = false;
    return this.#open(now);
  }

  /**
   * The user does not, or has no session any more.
   *
   * @param {'idle' | 'stopped'} phase
   * @param {DisconnectReason} [reason]
   * @returns {ConnectionAction[]}
   */
  stop(phase, reason = 'logout') {
    const hadSocket = this.phase === 'opening' || this.phase === 'open';
    const wasThere = this.phase !== 'idle' && this.phase !== 'stopped';
    this.#clear();
    this.phase = phase;
    /** @type {ConnectionAction[]} */
    const actions = hadSocket ? [{ type: 'close' }] : [];
    if (wasThere) actions.push(disconnected(1000, reason, false, null));
    return actions;
  }

  /**
   * The server has sent what was missed: messages go through.
   *
   * @param {number} now
   * @returns {ConnectionAction[]}
   */
  synced(now) {
    if (this.phase !== 'opening') return [];
    this.#clear();
    this.phase = 'open';
    this.openedAt = now;
    this.hasReported = false;
    if (this.settings.heartbeatMs > 0) this.heartbeatAt = now + this.settings.heartbeatMs;
    return [{ type: 'connected' }];
  }

  /**
   * A frame has come: the connection is alive, also while it still catches up.
   *
   * @param {number} now
   */
  heard(now) {
    if (this.phase === 'opening') this.deadline = now + OPENING_TIMEOUT_MS;
    if (this.phase !== 'open') return;
    this.deadline = null;
    this.missedProbes = 0;
  }

  /**
   * Asks whether the connection still lives: after waking up, or when an answer takes long.
   *
   * @param {number} now
   * @returns {ConnectionAction[]}
   */
  probe(now) {
    if (this.phase !== 'open' || this.deadline !== null) return [];
    this.deadline = now + PROBE_TIMEOUT_MS;
    if (this.settings.heartbeatMs > 0) this.heartbeatAt = now + this.settings.heartbeatMs;
    return [{ type: 'heartbeat' }];
  }

  /**
   * The network is back, or the user looks at the page again.
   *
   * @param {number} now
   * @returns {ConnectionAction[]}
   */
  wake(now) {
    if (this.phase === 'waiting' && !this.isRetryFixed && this.retryAt !== null) {
      this.retryAt = Math.min(this.retryAt, now + Math.floor(this.random() * WAKE_MS));
    }
    return this.probe(now);
  }

  /**
   * @param {number} now
   * @returns {ConnectionAction[]}
   */
  tick(now) {
    if (this.phase === 'waiting' && this.retryAt !== null && now >= this.retryAt) return this.#open(now);
    if (this.deadline !== null && now >= this.deadline) {
      const isLate = now - this.deadline > TIMER_LATENESS_MS;
      if (isLate && this.missedProbes === 0) {
        this.missedProbes = 1;
        if (this.phase === 'opening') {
          this.deadline = now + OPENING_TIMEOUT_MS;
          return [];
        }
        this.deadline = null;
        return this.probe(now);
      }
      return [{ type: 'close' }, ...this.closed(1006, '', now)];
    }
    if (this.phase === 'open' && this.heartbeatAt !== null && now >= this.heartbeatAt) return this.probe(now);
    return [];
  }

  /**
   * The socket is gone. (A socket that was closed by `close` is not to be told of again.)
   *
   * @param {number} code
   * @param {string} text
   * @param {number} now
   * @returns {ConnectionAction[]}
   */
  closed(code, text, now) {
    if (this.phase !== 'opening' && this.phase !== 'open') return [];
    const wasOpen = this.phase === 'open';
    if (wasOpen && this.openedAt !== null && now - this.openedAt >= STABLE_CONNECTION_MS) this.attempt = 0;
    const { reason, next } = closeMeaning(code);
    this.#clear();
    const pause = next === 'drain' ? drainPause(text, this.random) : null;
    this.loss = { code, reason, pause };
    if (next === 'stop' || (!this.settings.autoReconnect && next !== 'check-session')) {
      this.phase = 'stopped';
      return this.#report(code, reason, false);
    }
    // A browser does not tell why a handshake failed; an ordinary request does.
    if (next === 'check-session' || (!wasOpen && pause === null)) {
      this.phase = 'checking';
      return [{ type: 'check-session', ended: next === 'check-session' }];
    }
    return this.#wait(now, null);
  }

  /**
   * What an ordinary request has shown.
   *
   * @param {{isEnded: boolean, retryAfterMs?: number | null}} outcome
   * @param {number} now
   * @returns {ConnectionAction[]}
   */
  checked(outcome, now) {
    if (this.phase !== 'checking') return [];
    if (outcome.isEnded) {
      this.phase = 'stopped';
      return this.#report(4401, 'session_ended', false);
    }
    if (!this.settings.autoReconnect) {
      this.phase = 'stopped';
      return this.#report(this.loss?.code ?? 1006, this.loss?.reason ?? 'network', false);
    }
    return this.#wait(now, outcome.retryAfterMs ?? null);
  }

  /**
   * @param {number} now
   * @param {number | null} retryAfterMs
   * @returns {ConnectionAction[]}
   */
  #wait(now, retryAfterMs) {
    const { code, reason, pause } = this.loss ?? { code: 1006, reason: 'network', pause: null };
    this.phase = 'waiting';
    this.isRetryFixed = retryAfterMs !== null || pause !== null;
    // After `Retry-After` all would come back at once but for the pause that is added.
    this.retryAt = now + (pause ?? (retryAfterMs ?? 0) + backOff(this.attempt, this.random));
    if (pause === null) this.attempt += 1;
    return this.#report(code, reason, true);
  }

  /**
   * @param {number} code
   * @param {DisconnectReason} reason
   * @param {boolean} willReconnect
   * @returns {ConnectionAction[]}
   */
  #report(code, reason, willReconnect) {
    // One for each loss, however many attempts follow; the end of the attempts is told too.
    if (this.hasReported && willReconnect) return [];
    this.hasReported = true;
    return [disconnected(code, reason, willReconnect, this.retryAt)];
  }

  /**
   * @param {number} now
   * @returns {ConnectionAction[]}
   */
  #open(now) {
    this.#clear();
    this.phase = 'opening';
    this.deadline = now + OPENING_TIMEOUT_MS;
    return [{ type: 'open' }];
  }

  #clear() {
    this.retryAt = null;
    this.isRetryFixed = false;
    this.deadline = null;
    this.heartbeatAt = null;
    this.openedAt = null;
    this.missedProbes = 0;
  }
}

/**
 * @param {number} code
 * @param {DisconnectReason} reason
 * @param {boolean} willReconnect
 * @param {number | null} retryAt
 * @returns {ConnectionAction}
 */
function disconnected(code, reason, willReconnect, retryAt) {
  return { type: 'disconnected', info: { code, reason, willReconnect, retryAt } };
}
