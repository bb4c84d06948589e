import { ICONS, el, iconButton } from './dom.js';

let opened = 0;

/**
 * A dialog over the page; Escape closes it, and the focus goes back to where it was.
 *
 * @param {string} title
 * @param {string} closeLabel
 * @param {...import('./dom.js').Child} children
 */
export function openDialog(title, closeLabel, ...children) {
  const id = `dialog-${(opened += 1)}`;
  /** @type {HTMLDialogElement} */
  const dialog = el('dialog', { 'aria-labelledby': id },
    el('div', { class: 'dialog-head' },
      el('h2', { id }, title),
      iconButton(ICONS.close, closeLabel, () => dialog.close())),
    ...children);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
