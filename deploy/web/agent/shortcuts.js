import { openDialog } from '../shared/dialog.js';
import { el } from '../shared/dom.js';

/** @typedef {import('../shared/message-view.js').Translate} Translate */

/**
 * Which key, with Alt, does what; all with a modifier, so that no text field loses a letter.
 *
 * @type {Array<[code: string, shown: string, words: string, action: string]>}
 */
const KEYS = [
  ['ArrowDown', '↓', 'key_next', 'next'],
  ['ArrowUp', '↑', 'key_previous', 'previous'],
  ['KeyN', 'N', 'key_unread', 'unread'],
  ['KeyQ', 'Q', 'key_queue', 'queue'],
  ['KeyT', 'T', 'take', 'take'],
  ['KeyP', 'P', 'transfer', 'transfer'],
  ['KeyC', 'C', 'close_conversation', 'close'],
  ['KeyS', 'S', 'search', 'search'],
  ['KeyI', 'I', 'routing', 'routing'],
  ['KeyR', 'R', 'replies', 'replies'],
  ['KeyW', 'W', 'key_write', 'write'],
  ['KeyH', 'H', 'help', 'help'],
];

/**
 * Has Alt and a key do something, by the key's place (with Alt some keyboards write other letters).
 *
 * @param {Record<string, () => void>} actions
 * @returns {() => void} what ends it
 */
export function listenToShortcuts(actions) {
  const listener = (/** @type {KeyboardEvent} */ event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey || event.isComposing) return;
    if (document.querySelector('dialog[open]')) return;
    const found = KEYS.find(([code]) => code === event.code);
    if (!found) return;
    event.preventDefault();
    actions[found[3]]?.();
  };
  addEventListener('keydown', listener);
  return () => removeEventListener('keydown', listener);
}

/** @param {Translate} t */
export function openHelp(t) {
  const row = (/** @type {string[]} */ keys, /** @type {string} */ what) => el('tr', {},
    el('td', {}, ...keys.flatMap((key, index) => [index ? ' + ' : '', el('kbd', {}, key)])), el('td', {}, what));
  openDialog(t('help'), t('close'), el('table', { class: 'keys' }, el('tbody', {},
    ...KEYS.map(([, shown, words]) => row(['Alt', shown], t(words))),
    row(['Enter'], t('key_send')), row(['Shift', 'Enter'], t('key_line')))));
}
