import { AdapterError } from './adapter-error.js';
import { CHUNK_THRESHOLD_BYTES } from './limits.js';

/**
 * @typedef {import('./enterprise-adapter').AdapterConfig} AdapterConfig
 * @typedef {Required<AdapterConfig>} Settings
 */

const HEARTBEAT_MS_MIN = 1000;
const PLACES = ['browser', 'tab', 'memory'];

/**
 * The settings that follow from what is given and what was so far.
 *
 * @param {AdapterConfig} given
 * @param {Settings | null} former
 * @param {string} origin the page's
 * @returns {Settings}
 * @throws {AdapterError} `invalid_argument`
 */
export function settingsFrom(given, former, origin) {
  const apiUrl = given.apiUrl === undefined ? former?.apiUrl ?? origin : address(given.apiUrl, 'apiUrl', /^https?:$/);
  const isMoved = former !== null && apiUrl !== former.apiUrl;
  const wsUrl = given.wsUrl !== undefined
    ? address(given.wsUrl, 'wsUrl', /^(wss?|https?):$/).replace(/^http/, 'ws')
    : former && !isMoved ? former.wsUrl : `${apiUrl.replace(/^http/, 'ws')}/ws`;
  /** @type {Settings} */
  const settings = {
    apiUrl,
    wsUrl,
    debug: given.debug ?? former?.debug ?? false,
    autoReconnect: given.autoReconnect ?? former?.autoReconnect ?? true,
    heartbeatInterval: given.heartbeatInterval ?? former?.heartbeatInterval ?? 30_000,
    profile: given.profile ?? former?.profile ?? 'default',
    sessionStorage: given.sessionStorage ?? former?.sessionStorage ?? 'browser',
    reports: given.reports ?? former?.reports ?? true,
    chunkThreshold: given.chunkThreshold ?? former?.chunkThreshold ?? CHUNK_THRESHOLD_BYTES,
  };
  const { heartbeatInterval, profile, sessionStorage, chunkThreshold } = settings;
  if (!Number.isFinite(heartbeatInterval) || (heartbeatInterval !== 0 && heartbeatInterval < HEARTBEAT_MS_MIN)) {
    throw AdapterError.argument('heartbeatInterval', `must be 0 or at least ${HEARTBEAT_MS_MIN} ms`);
  }
  if (!/^[\w-]{1,32}$/.test(profile)) throw AdapterError.argument('profile', 'must be 1 to 32 of A-Z a-z 0-9 _ -');
  if (!PLACES.includes(sessionStorage)) throw AdapterError.argument('sessionStorage', `must be ${PLACES.join(', ')}`);
  if (!Number.isFinite(chunkThreshold) || chunkThreshold < 0) {
    throw AdapterError.argument('chunkThreshold', 'must be a number of bytes');
  }
  return settings;
}

/**
 * Whether a session of the one is none of the other.
 *
 * @param {Settings} a
 * @param {Settings} b
 */
export function isElsewhere(a, b) {
  return a.apiUrl !== b.apiUrl || a.wsUrl !== b.wsUrl || a.profile !== b.profile
    || a.sessionStorage !== b.sessionStorage;
}

/** @param {unknown} text @param {string} field @param {RegExp} schemes @returns {string} without a slash at its end */
function address(text, field, schemes) {
  try {
    const url = new URL(String(text));
    if (!schemes.test(url.protocol) || url.search || url.hash || url.username) throw new Error('not one of ours');
    return url.href.replace(/\/+$/, '');
  } catch {
    throw AdapterError.argument(field, 'must be an absolute address without query');
  }
}
