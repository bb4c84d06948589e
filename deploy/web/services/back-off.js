import { BACK_OFF_BASE_MS, BACK_OFF_CAP_MS } from './limits.js';

/**
 * Full jitter: anything between nothing and a bound that doubles with each failure, so that clients which lost their
 * server together do not come back together.
 *
 * @param {number} attempt how many attempts have failed, from 0
 * @param {() => number} random at least 0, below 1
 * @param {{base?: number, cap?: number}} [bounds] milliseconds
 * @returns {number} milliseconds
 */
export function backOff(attempt, random, bounds = {}) {
  const base = bounds.base ?? BACK_OFF_BASE_MS;
  const cap = bounds.cap ?? BACK_OFF_CAP_MS;
  return Math.floor(random() * Math.min(cap, base * 2 ** Math.min(attempt, 30)));
}
