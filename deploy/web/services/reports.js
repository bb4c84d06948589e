import { REPORT_BYTES_MAX, REPORT_EVENTS_MAX, REPORT_INTERVAL_MS, REPORT_TEXT_CHARACTERS_MAX } from './limits.js';

/**
 * @typedef {object} ReportEvent
 * @property {'error' | 'timing'} kind
 * @property {string} message
 * @property {string} [source]
 * @property {number} [value_ms]
 * @property {string} at RFC 3339
 */

/**
 * What goes into one report, within the server's bounds: the first events that came; of the rest only how many.
 *
 * @param {ReportEvent[]} events
 * @param {number} dropped events that were not kept
 * @param {string} now
 * @returns {string} the request's body
 */
export function reportBody(events, dropped, now) {
  const encoder = new TextEncoder();
  const kept = [];
  let bytes = 200;
  for (const event of events) {
    bytes += encoder.encode(JSON.stringify(event)).length + 1;
    if (kept.length >= REPORT_EVENTS_MAX - 1 || bytes > REPORT_BYTES_MAX) break;
    kept.push(event);
  }
  const lost = dropped + events.length - kept.length;
  if (lost > 0) kept.push({ kind: 'error', message: `${lost} more events were not kept`, source: 'reports', at: now });
  return JSON.stringify({ events: kept });
}

/**
 * An address without its query, which may hold a session id or a signature.
 *
 * @param {string} text
 */
export function withoutQuery(text) {
  return text.replace(/[?#][^\s)"']*/g, '');
}

/** Errors and timings of the page, for the operator: gathered, and sent now and then. Nothing of what people write. */
export class Reports {
  /** @param {string} url @param {boolean} isOn */
  constructor(url, isOn) {
    this.url = url;
    this.isOn = isOn;
    /** @type {ReportEvent[]} */
    this.events = [];
    this.dropped = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.listeners = new AbortController();
    if (isOn && typeof window !== 'undefined') this.#listen();
  }

  /** @param {{kind: 'error' | 'timing', message: string, source?: string, value?: number}} event */
  add(event) {
    if (!this.isOn) return;
    if (this.events.length >= REPORT_EVENTS_MAX) {
      this.dropped += 1;
      return;
    }
    /** @type {ReportEvent} */
    const made = {
      kind: event.kind,
      message: cut(withoutQuery(event.message)),
      at: new Date().toISOString(),
    };
    if (event.source) made.source = cut(withoutQuery(event.source));
    if (event.value !== undefined && Number.isFinite(event.value)) made.value_ms = Math.max(0, Math.round(event.value));
    this.events.push(made);
    this.timer ??= setTimeout(() => this.flush(), REPORT_INTERVAL_MS);
  }

  flush() {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (!this.events.length) return;
    const body = reportBody(this.events, this.dropped, new Date().toISOString());
    this.events = [];
    this.dropped = 0;
    // `keepalive`: it also leaves when the page does. What does not arrive is lost.
    fetch(this.url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body,
      credentials: 'omit',
      keepalive: true,
    }).catch(() => {});
  }

  dispose() {
    this.listeners.abort();
    this.flush();
    this.isOn = false;
  }

  #listen() {
    const { signal } = this.listeners;
    addEventListener('error', (event) => {
      const place = event.filename ? `${event.filename}:${event.lineno}:${event.colno}` : undefined;
      this.add({ kind: 'error', message: event.message || 'error', source: place });
    }, { signal });
    addEventListener('unhandledrejection', (event) => {
      const { reason } = event;
      // Only an error's own text: anything else may be what somebody wrote.
      this.add({ kind: 'error', message: `unhandled: ${reason instanceof Error ? reason.message : typeof reason}` });
    }, { signal });
    addEventListener('pagehide', () => this.flush(), { signal });
    if (typeof PerformanceObserver !== 'function') return;
    // What the page itself has measured (`performance.measure`).
    const observer = new PerformanceObserver((list) => {
      for (const { name, duration } of list.getEntries()) this.add({ kind: 'timing', message: name, value: duration });
    });
    observer.observe({ entryTypes: ['measure'] });
    signal.addEventListener('abort', () => observer.disconnect());
  }
}

/** @param {string} text */
function cut(text) {
  return text.length > REPORT_TEXT_CHARACTERS_MAX ? `${text.slice(0, REPORT_TEXT_CHARACTERS_MAX - 1)}…` : text;
}
