import { AdapterError } from './adapter-error.js';
import { characterCount, MESSAGE_TYPES } from './wire.js';

/**
 * The rules of what a page gives to the adapter's methods, checked before anything is sent. Each throws
 * `invalid_argument`, which names the argument and the rule.
 *
 * @typedef {import('./enterprise-adapter').MessageType} MessageType
 * @typedef {import('./enterprise-adapter').ServerLimits} ServerLimits
 * @typedef {import('./enterprise-adapter').User} User
 * @typedef {{with?: string, conversationId?: string, before?: number, after?: number, limit?: number}} PageQuery
 */

const USER_ID = /^[\w.-]{1,64}$/;

/** @param {unknown} value @param {string} field @returns {string} */
export function checkedText(value, field) {
  if (typeof value !== 'string' || !value) throw AdapterError.argument(field, 'must not be empty');
  return value;
}

/** @param {unknown} role @returns {string | undefined} as it is on the wire */
export function checkedRole(role) {
  if (role === undefined) return undefined;
  if (role === 'customer') return 'Kehu';
  if (role === 'support') return 'Kefu';
  throw AdapterError.argument('role', 'must be customer or support');
}

/**
 * @param {unknown} text
 * @param {unknown} type
 * @param {ServerLimits} limits
 * @returns {MessageType}
 */
export function checkedMessage(text, type, limits) {
  if (typeof text !== 'string') throw AdapterError.argument('text', 'must be a string');
  const known = MESSAGE_TYPES.find((one) => one === type);
  if (!known) throw AdapterError.argument('type', `must be ${MESSAGE_TYPES.join(', ')}`);
  const most = limits.charactersMax;
  if (characterCount(text) > most) throw AdapterError.argument('text', `must have at most ${most} characters`);
  return known;
}

/** @param {unknown} id @param {User} user the one who writes @param {string} field @returns {string | null} */
export function checkedReceiver(id, user, field) {
  if (id === null || id === undefined) {
    if (user.role === 'support') throw AdapterError.argument(field, 'is required from an agent');
    return null;
  }
  if (typeof id !== 'string' || !USER_ID.test(id)) throw AdapterError.argument(field, "must be a user's id");
  if (id === user.id) throw AdapterError.argument(field, 'must be somebody else');
  return id;
}

/** @param {PageQuery | string} query @param {User} user @param {ServerLimits} limits @returns {PageQuery} */
export function checkedPageQuery(query, user, limits) {
  const asked = typeof query === 'string' ? { with: query } : query;
  if (asked.before !== undefined && asked.after !== undefined) {
    throw AdapterError.argument('before, after', 'give one of them');
  }
  if (asked.conversationId === undefined) checkedReceiver(asked.with, user, 'with');
  checkWholeNumber(asked.before, 'before', 1, Number.MAX_SAFE_INTEGER);
  checkWholeNumber(asked.after, 'after', 0, Number.MAX_SAFE_INTEGER);
  checkWholeNumber(asked.limit, 'limit', 1, limits.historyLimitMax);
  return asked;
}

/** @param {unknown} value @param {string} field @param {number} least @param {number} most */
function checkWholeNumber(value, field, least, most) {
  if (value === undefined) return;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return;
  const range = most === Number.MAX_SAFE_INTEGER ? `${least} on` : `${least} to ${most}`;
  throw AdapterError.argument(field, `must be a whole number from ${range}`);
}
