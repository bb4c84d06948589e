import { el } from './dom.js';

/** How long a notice is shown, in milliseconds. */
const SHOWN_MS = 6000;
/** More than these would be in the way. */
const TOASTS_MAX = 2;

const toasts = el('div', { class: 'toasts', role: 'status' });
const spoken = el('div', { class: 'unseen', role: 'status' });
document.body.append(toasts, spoken);

/**
 * Shows something in passing, and has screen readers say it.
 *
 * @param {string} text
 */
export function notice(text) {
  const toast = el('div', { class: 'toast' }, text);
  toasts.append(toast);
  while (toasts.childElementCount > TOASTS_MAX) toasts.firstElementChild?.remove();
  setTimeout(() => toast.remove(), SHOWN_MS);
}

/**
 * Has screen readers say something that is shown elsewhere.
 *
 * @param {string} text
 */
export function announce(text) {
  const line = el('p', {}, text);
  spoken.append(line);
  setTimeout(() => line.remove(), SHOWN_MS);
}
