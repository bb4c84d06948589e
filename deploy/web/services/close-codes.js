/**
 * What a close code means for the client (the catalogue of `Services/gateway/PROTOCOL.md`).
 *
 * @typedef {object} CloseMeaning
 * @property {import('./enterprise-adapter').DisconnectReason} reason
 * @property {'drain' | 'back-off' | 'check-session' | 'stop'} next
 */

/** @type {Map<number, CloseMeaning>} */
const CATALOGUE = new Map([
  [1001, { reason: 'drain', next: 'drain' }],
  [1002, { reason: 'protocol', next: 'stop' }],
  [1003, { reason: 'protocol', next: 'stop' }],
  [1007, { reason: 'protocol', next: 'stop' }],
  [1008, { reason: 'policy', next: 'stop' }],
  [1009, { reason: 'too_large', next: 'back-off' }],
  [1013, { reason: 'overloaded', next: 'back-off' }],
  // Another tab may have refreshed the session meanwhile; only if not it has ended.
  [4401, { reason: 'session_ended', next: 'check-session' }],
  [4408, { reason: 'heartbeat', next: 'back-off' }],
  [4409, { reason: 'replaced', next: 'stop' }],
]);

/**
 * Codes that are not listed (1005, 1006, 1011, 1012 …) are accidents of the network or of a proxy.
 *
 * @param {number} code
 * @returns {CloseMeaning}
 */
export function closeMeaning(code) {
  return CATALOGUE.get(code) ?? { reason: 'network', next: 'back-off' };
}

/**
 * The pause that a server which drains asks for, `reconnect in 0-1000 ms`.
 *
 * @param {string} text the close frame's reason
 * @param {() => number} random
 * @returns {number} milliseconds
 */
export function drainPause(text, random) {
  const match = /(\d{1,6})-(\d{1,6}) ms/.exec(text);
  const [least, most] = match ? [Number(match[1]), Number(match[2])] : [0, 1000];
  return least + Math.floor(random() * Math.max(0, most - least));
}
