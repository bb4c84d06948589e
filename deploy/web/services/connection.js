import { ConnectionState } from './connection-state.js';

/** @typedef {import('./enterprise-adapter').DisconnectReason} DisconnectReason */

/** The longest that `setTimeout` counts. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * The socket, as its state machine has it: opens, closes and times it, and listens to what the browser says of the
 * network and of the page.
 */
export class Connection {
  /**
   * @param {object} parts
   * @param {{autoReconnect: boolean, heartbeatMs: number}} parts.settings
   * @param {() => string | null} parts.url with the session; `null` without one
   * @param {(frame: any) => void} parts.onFrame
   * @param {() => Promise<{isEnded: boolean, retryAfterMs?: number | null}>} parts.checkSession
   * @param {() => void} parts.onConnected
   * @param {(info: import('./enterprise-adapter').DisconnectInfo) => void} parts.onDisconnected
   * @param {(code: number) => void} parts.onLost the socket is gone, each time
   * @param {() => void} parts.onState
   * @param {(text: string, detail?: unknown) => void} parts.trace
   */
  constructor(parts) {
    this.parts = parts;
    this.state = new ConnectionState(parts.settings);
    /**
     * The browser's own.
     *
     * @type {WebSocket | null}
     */
    this.ws = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.shown = '';
    this.listeners = new AbortController();
    this.#listen();
  }

  get isOpen() {
    return this.state.phase === 'open';
  }

  connect() {
    this.#perform(this.state.start(Date.now()));
  }

  /** @param {'idle' | 'stopped'} phase @param {DisconnectReason} [reason] */
  disconnect(phase, reason) {
    this.#perform(this.state.stop(phase, reason));
  }

  /** Everything missed has been sent. */
  synced() {
    this.#perform(this.state.synced(Date.now()));
  }

  /** Asks whether it still lives. */
  probe() {
    this.#perform(this.state.probe(Date.now()));
  }

  /** Makes it anew. */
  restart() {
    if (this.state.phase !== 'open') return;
    this.#close();
    this.#lost(1006, '');
  }

  /** @param {object} frame @returns {boolean} whether there is an open socket to take it */
  send(frame) {
    if (this.ws?.readyState !== WebSocket.OPEN) return false;
    this.ws.send(JSON.stringify(frame));
    return true;
  }

  dispose() {
    this.listeners.abort();
    this.disconnect('idle');
    clearTimeout(this.timer);
  }

  #listen() {
    if (typeof window === 'undefined') return;
    const { signal } = this.listeners;
    const wake = () => this.#perform(this.state.wake(Date.now()));
    addEventListener('online', wake, { signal });
    addEventListener('pageshow', wake, { signal });
    document.addEventListener('resume', wake, { signal });
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && wake(), { signal });
  }

  /** @param {import('./connection-state.js').ConnectionAction[]} actions */
  #perform(actions) {
    for (const action of actions) {
      switch (action.type) {
        case 'open': this.#open(); break;
        case 'close': this.#close(); this.parts.onLost(1006); break;
        case 'heartbeat': this.send({ type: 'Heartbeat', timestamp: new Date().toISOString() }); break;
        case 'check-session': void this.#check(); break;
        case 'connected': this.parts.onConnected(); break;
        case 'disconnected': this.parts.onDisconnected(action.info); break;
      }
    }
    this.#showState();
    this.#arm();
  }

  #showState() {
    const { name, attempt, retryAt } = this.state;
    const shown = `${name} ${attempt} ${retryAt}`;
    if (shown === this.shown) return;
    this.shown = shown;
    this.parts.onState();
  }

  #arm() {
    clearTimeout(this.timer);
    const { dueAt } = this.state;
    if (dueAt === null) return;
    const delay = Math.min(Math.max(dueAt - Date.now(), 0), TIMER_MS_MAX);
    this.timer = setTimeout(() => this.#perform(this.state.tick(Date.now())), delay);
  }

  #open() {
    const url = this.parts.url();
    if (url === null) return this.disconnect('idle');
    const socket = new WebSocket(url);
    this.ws = socket;
    this.parts.trace('connecting');
    socket.onmessage = (event) => {
      if (this.ws !== socket) return;
      this.state.heard(Date.now());
      let frame;
      try {
        frame = Object(JSON.parse(event.data));
      } catch {
        this.parts.trace('a frame that is not JSON');
        return;
      }
      this.parts.trace('received', frame);
      this.parts.onFrame(frame);
      // What was due may have come.
      this.#arm();
    };
    socket.onclose = (event) => {
      if (this.ws !== socket) return;
      this.ws = null;
      this.parts.trace('closed', { code: event.code, reason: event.reason });
      this.#lost(event.code, event.reason);
    };
  }

  /** @param {number} code @param {string} text */
  #lost(code, text) {
    this.parts.onLost(code);
    this.#perform(this.state.closed(code, text, Date.now()));
  }

  #close() {
    const socket = this.ws;
    this.ws = null;
    socket?.close(1000);
  }

  async #check() {
    const outcome = await this.parts.checkSession();
    this.#perform(this.state.checked(outcome, Date.now()));
  }
}
