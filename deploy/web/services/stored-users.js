import { deleteDatabase } from './database.js';
import { STORED_USERS_MAX } from './limits.js';
import { webStorage } from './session-store.js';

/**
 * Notes whose messages this browser keeps; those of whoever was here longest ago go.
 *
 * @param {string} profile the session's key: many guests of one page do not take away an agent's messages
 * @param {string} name of the database
 */
export function noteUser(profile, name) {
  const storage = webStorage('browser');
  const key = `${profile}:users`;
  try {
    const names = /** @type {unknown} */ (JSON.parse(storage?.getItem(key) ?? '[]'));
    const others = Array.isArray(names) ? names.filter((one) => typeof one === 'string' && one !== name) : [];
    storage?.setItem(key, JSON.stringify([name, ...others.slice(0, STORED_USERS_MAX - 1)]));
    others.slice(STORED_USERS_MAX - 1).forEach(deleteDatabase);
  } catch {
    // Without storage nothing is kept.
  }
}
