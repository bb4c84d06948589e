import { deleteDatabase } from './database.js';
import { STORED_USERS_MAX } from './limits.js';
import { webStorage } from './session-store.js';

const KEY = 'enterprise-adapter:users';

/**
 * Notes whose messages this browser keeps; those of whoever was here longest ago go.
 *
 * @param {string} name of the database
 */
export function noteUser(name) {
  const storage = webStorage('browser');
  try {
    const names = /** @type {unknown} */ (JSON.parse(storage?.getItem(KEY) ?? '[]'));
    const others = Array.isArray(names) ? names.filter((one) => typeof one === 'string' && one !== name) : [];
    storage?.setItem(KEY, JSON.stringify([name, ...others.slice(0, STORED_USERS_MAX - 1)]));
    others.slice(STORED_USERS_MAX - 1).forEach(deleteDatabase);
  } catch {
    // Without storage nothing is kept.
  }
}
