import { openDialog } from '../shared/dialog.js';
import { el, fill, focusOn } from '../shared/dom.js';
import { memory } from '../shared/memory.js';

/** @typedef {import('../shared/message-view.js').Translate} Translate */

const KEY = 'agent.replies';
const REPLIES_MAX = 100;
const CHARACTERS_MAX = 2000;

/** @returns {string[]} */
function kept() {
  try {
    const replies = JSON.parse(memory.get(KEY) ?? '[]');
    return Array.isArray(replies) ? replies.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}

/** @param {string[]} replies */
function keep(replies) {
  memory.set(KEY, JSON.stringify(replies.slice(0, REPLIES_MAX)));
}

/**
 * The dialog in which an agent chooses a canned reply, or changes them.
 *
 * @param {Translate} t
 * @param {string} customer their name
 * @param {(text: string) => void} onChosen
 */
export function openCannedReplies(t, customer, onChosen) {
  const list = el('ul', { class: 'replies' });
  const field = el('textarea', { rows: '2', maxlength: String(CHARACTERS_MAX), 'aria-label': t('new_reply'),
    placeholder: t('new_reply') });
  const form = el('form', { class: 'stack', onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return;
    keep([...kept(), text]);
    field.value = '';
    show();
  } }, field, el('p', { class: 'hint' }, t('replies_hint')),
  el('div', { class: 'actions' }, el('button', {}, t('add'))));
  const dialog = openDialog(t('replies'), t('close'), list, form);
  const show = () => {
    const replies = kept();
    fill(list, ...replies.map((text, index) => el('li', {},
      el('button', { type: 'button', class: 'reply', onclick: () => {
        dialog.close();
        onChosen(text.replaceAll('{name}', customer));
      } }, text),
      el('button', { type: 'button', class: 'plain', 'aria-label': `${t('remove')}: ${text}`, onclick: () => {
        keep(replies.filter((_, other) => other !== index));
        show();
        field.focus();
      } }, t('remove')))), !replies.length && el('li', { class: 'muted' }, t('replies_none')));
  };
  show();
  focusOn(dialog, '.reply, form textarea');
}
