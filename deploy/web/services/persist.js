import { AdapterError } from './adapter-error.js';
import { backOff } from './back-off.js';

/**
 * Whether trying again may help: lost connections, a server that is away, and parts of an upload that began at the
 * wrong place.
 *
 * @param {unknown} error
 * @returns {error is AdapterError}
 */
export function isPassing(error) {
  if (!(error instanceof AdapterError)) return false;
  if (error.code === 'network') return true;
  return [409, 423, 429, 460].includes(error.status) || (error.status >= 500 && error.status !== 507);
}

/**
 * Tries until it succeeds, or fails in a way that waiting does not mend.
 *
 * @template T
 * @param {() => Promise<T>} work
 * @param {object} how
 * @param {number} how.triesMax
 * @param {AbortSignal} [how.signal] ends it
 * @param {() => number} [how.random]
 * @returns {Promise<T>}
 */
export async function persist(work, { triesMax, signal, random }) {
  for (let failed = 1; ; failed += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error) || failed >= triesMax) throw error;
      await pauseAfter(error, failed, { signal, random });
    }
  }
}

/**
 * @param {AdapterError} error
 * @param {number} failed how often in a row
 * @param {{signal?: AbortSignal, random?: () => number}} how
 * @returns {Promise<void>}
 * @throws {AdapterError} `aborted`
 */
export function pauseAfter(error, failed, { signal, random = Math.random }) {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(AdapterError.aborted('it was ended before it was done'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, (error.retryAfterMs ?? 0) + backOff(failed, random));
    if (signal?.aborted) return abort();
    signal?.addEventListener('abort', abort);
  });
}
