import { ICONS, el, fill, icon, iconButton } from './dom.js';
import { problemText } from './problems.js';

/**
 * @typedef {import('../services/enterprise-adapter').EnterpriseAdapter} EnterpriseAdapter
 * @typedef {import('./message-view.js').Translate} Translate
 */

/** The count of what is left is shown from here on. */
const LEFT_SHOWN = 500;
const CHARACTERS_MAX = 10_000;

/** Where messages are written and files are chosen, dropped or pasted. */
export class Composer {
  #charactersMax = CHARACTERS_MAX;
  /** @type {Promise<import('./upload-tray.js').UploadTray> | null} */
  #tray = null;

  /**
   * @param {object} parts
   * @param {EnterpriseAdapter} parts.adapter
   * @param {Translate} parts.t
   * @param {string | null} parts.receiver
   * @param {Element} parts.dropArea files dropped here are meant for it
   */
  constructor(parts) {
    this.parts = parts;
    const { t, adapter } = parts;
    this.input = el('textarea', { rows: '1', placeholder: t('write_here'), 'aria-label': t('write'), dir: 'auto',
      autocomplete: 'off', oninput: () => this.#typed(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      onpaste: (/** @type {ClipboardEvent} */ event) => this.#pasted(event) });
    this.picker = el('input', { type: 'file', multiple: true, hidden: true, onchange: () => {
      this.addFiles(this.picker.files);
      this.picker.value = '';
    } });
    this.count = el('p', { class: 'small muted', 'aria-live': 'polite' });
    this.problem = el('p', { class: 'problem', role: 'alert' });
    this.tray = el('ul', { class: 'tray' });
    this.sendButton = el('button', { type: 'submit', class: 'primary send', 'aria-label': t('send'),
      title: t('send') }, icon(ICONS.send));
    this.element = el('form', { class: 'composer', onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#send();
    } },
    this.problem, this.tray, this.count,
    el('div', { class: 'composer-line' },
      iconButton(ICONS.attach, t('attach'), () => this.picker.click()), this.picker, this.input, this.sendButton));
    this.#acceptDrops();
    adapter.getLimits().then((limits) => (this.#charactersMax = limits.charactersMax), () => {});
  }

  get draft() {
    return this.input.value;
  }

  set draft(text) {
    this.input.value = text;
    this.#fit();
  }

  /**
   * Puts text where the cursor is.
   *
   * @param {string} text
   */
  insert(text) {
    const { selectionStart, selectionEnd } = this.input;
    this.input.setRangeText(text, selectionStart, selectionEnd, 'end');
    this.#fit();
    this.input.focus();
  }

  focus() {
    this.input.focus();
  }

  // Text

  #typed() {
    this.#fit();
    fill(this.problem);
    const { adapter, receiver } = this.parts;
    if (adapter.user) adapter.sendTyping(receiver, this.input.value.trim() !== '');
  }

  #fit() {
    const { t } = this.parts;
    this.input.rows = 1;
    const line = parseFloat(getComputedStyle(this.input).lineHeight) || 22;
    this.input.rows = Math.min(7, Math.max(1, Math.round((this.input.scrollHeight - 14) / line)));
    const left = this.#charactersMax - [...this.input.value].length;
    fill(this.count, left < 0 ? t('too_long_by', { count: -left }) : left < LEFT_SHOWN && t('characters_left',
      { count: left }));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    // Enter also chooses among what an input method offers.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#send();
  }

  #send() {
    const { adapter, receiver } = this.parts;
    const text = this.input.value.trim();
    fill(this.problem);
    if (!text) return this.input.focus();
    this.draft = '';
    this.input.focus();
    adapter.sendTyping(receiver, false);
    adapter.sendMessage(text, receiver).catch((error) => {
      // What the server refused stands in the list; what was never taken comes back here.
      if (!['invalid_argument', 'outbox_full', 'not_logged_in'].includes(error.code)) return;
      if (!this.draft) this.draft = text;
      fill(this.problem, problemText(error));
    });
  }

  // Files

  #acceptDrops() {
    const { dropArea } = this.parts;
    let depth = 0;
    const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files') ?? false;
    const over = (/** @type {boolean} */ isOver) => dropArea.classList.toggle('dropping', isOver);
    /** @type {Record<string, (event: DragEvent) => void>} */
    const listeners = {
      dragenter: () => over((depth += 1) > 0),
      dragleave: () => over((depth = Math.max(0, depth - 1)) > 0),
      dragover: () => {},
      drop: (event) => {
        over((depth = 0) > 0);
        this.addFiles(event.dataTransfer?.files);
      },
    };
    for (const [name, listener] of Object.entries(listeners)) {
      dropArea.addEventListener(name, (event) => {
        if (!hasFiles(/** @type {DragEvent} */ (event))) return;
        event.preventDefault();
        listener(/** @type {DragEvent} */ (event));
      });
    }
  }

  /** @param {ClipboardEvent} event */
  #pasted(event) {
    const files = event.clipboardData?.files;
    if (!files?.length) return;
    event.preventDefault();
    this.addFiles(files);
  }

  /**
   * Uploads and sends files, in the order in which they were chosen.
   *
   * @param {Iterable<File> | null | undefined} files
   */
  addFiles(files) {
    // A picker's list is emptied with it.
    const chosen = [...files ?? []];
    this.input.focus();
    // Few conversations have files: what uploads them comes with the first.
    this.#tray ??= import('./upload-tray.js').then(({ UploadTray }) => new UploadTray(this.parts, this.tray,
      this.problem));
    this.#tray.then((tray) => chosen.forEach((file) => tray.add(file)), () => {
      this.#tray = null;
      fill(this.problem, problemText({ code: 'network' }));
    });
  }
}
