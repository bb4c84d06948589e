import { FILE_ICON } from './attachment-view.js';
import { ICONS, el, fill, icon, iconButton } from './dom.js';
import { fileSize } from './i18n.js';
import { notice } from './notices.js';
import { problemText } from './problems.js';

/**
 * @typedef {object} TrayParts
 * @property {import('../services/enterprise-adapter').EnterpriseAdapter} adapter
 * @property {import('./message-view.js').Translate} t
 * @property {string | null} receiver
 */

/** Files on their way up, each with its progress; one after the other, so that they arrive in their order. */
export class UploadTray {
  /** @type {Promise<void>} */
  #last = Promise.resolve();

  /** @param {TrayParts} parts @param {HTMLElement} list @param {HTMLElement} problem */
  constructor(parts, list, problem) {
    this.parts = parts;
    this.list = list;
    this.problem = problem;
  }

  /** @param {File} file */
  add(file) {
    const { t } = this.parts;
    const { name } = file;
    const preview = file.type.startsWith('image/') ? URL.createObjectURL(file) : null;
    const bar = el('progress', { max: '100', value: '0', 'aria-label': t('uploading', { name, percent: 0 }) });
    const said = el('span', { class: 'small muted' }, fileSize(file.size));
    const buttons = el('span', { class: 'tray-buttons' });
    const item = el('li', {},
      preview ? el('img', { src: preview, alt: '', width: '44', height: '44' }) : el('span', { class: 'tray-icon' },
        icon(FILE_ICON)),
      el('span', { class: 'tray-text' }, el('span', { class: 'file-name' }, name), said, bar), buttons);
    this.list.append(item);
    const remove = () => {
      if (preview) URL.revokeObjectURL(preview);
      item.remove();
    };
    const begin = () => {
      const aborting = new AbortController();
      bar.hidden = false;
      item.classList.remove('failed');
      fill(buttons, iconButton(ICONS.close, t('cancel_upload', { name }), () => {
        aborting.abort();
        remove();
      }));
      const onPercent = (/** @type {number} */ percent) => {
        bar.value = percent;
        bar.setAttribute('aria-label', t('uploading', { name, percent }));
        fill(said, `${percent} %`);
      };
      this.#last = this.#last.then(() => this.#send(file, onPercent, aborting.signal)).then(remove, (error) => {
        if (aborting.signal.aborted) return;
        // Whoever has left the conversation meanwhile is told all the same; whoever has logged out is not.
        if (!this.list.isConnected && error.code !== 'aborted') notice(`${name}: ${problemText(error, { name })}`);
        bar.hidden = true;
        item.classList.add('failed');
        fill(said, problemText(error, { name }));
        fill(buttons,
          el('button', { type: 'button', class: 'plain', 'aria-label': t('retry_upload', { name }), onclick: begin },
            t('retry')),
          iconButton(ICONS.close, t('remove_upload', { name }), remove));
      });
    };
    begin();
  }

  /** @param {File} file @param {(percent: number) => void} onPercent @param {AbortSignal} signal */
  async #send(file, onPercent, signal) {
    if (signal.aborted) return;
    const { adapter, receiver } = this.parts;
    const attachment = await adapter.uploadFile(file, onPercent, { signal });
    if (signal.aborted) return;
    // What becomes of the message stands in the list.
    adapter.sendMessage(attachment.name, receiver, attachment.type, { attachment })
      .catch((error) => error.code === 'invalid_argument' && fill(this.problem, problemText(error)));
  }
}
