import { el, fill } from '../shared/dom.js';
import { dateTime } from '../shared/i18n.js';
import { problemText } from '../shared/problems.js';

/**
 * @typedef {import('../services/enterprise-adapter').EnterpriseAdapter} EnterpriseAdapter
 * @typedef {import('../services/enterprise-adapter').Message} Message
 * @typedef {import('../shared/message-view.js').Translate} Translate
 */

const PAGE = 200;
/** The most messages that are found at once. */
const FOUND_MAX = 100;

/** Searches a conversation's history, page by page from its end. */
export class Search {
  #run = 0;
  /**
   * What was read already, newest first.
   *
   * @type {Message[]}
   */
  #read = [];
  #hasMore = true;

  /**
   * @param {object} parts
   * @param {EnterpriseAdapter} parts.adapter
   * @param {Translate} parts.t
   * @param {string} parts.conversationId
   * @param {(id: string | null) => string} parts.nameOf
   * @param {(seq: number) => void} parts.onChosen
   */
  constructor(parts) {
    this.parts = parts;
    const { t } = parts;
    this.input = el('input', { type: 'search', 'aria-label': t('search_for'), placeholder: t('search_for'),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== 'Escape') return;
      event.stopPropagation();
      this.toggle(false);
    } });
    this.state = el('p', { class: 'small muted', role: 'status' });
    this.results = el('ul', { class: 'results' });
    this.element = el('form', { class: 'search', role: 'search', hidden: true,
      onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#search();
    } }, el('div', { class: 'search-line' }, this.input, el('button', {}, t('search_now'))), this.state, this.results);
  }

  /** @param {boolean} [isShown] */
  toggle(isShown = this.element.hidden) {
    this.element.hidden = !isShown;
    this.#run += 1;
    this.#read = [];
    this.#hasMore = true;
    fill(this.state);
    fill(this.results);
    if (isShown) this.input.focus();
  }

  async #search() {
    const { adapter, t, conversationId } = this.parts;
    const wanted = this.input.value.trim().toLowerCase();
    if (!wanted) return;
    const run = (this.#run += 1);
    fill(this.results);
    let found = 0;
    const look = (/** @type {Message[]} */ messages) => {
      for (const message of messages) {
        if (found >= FOUND_MAX || !holds(message, wanted)) continue;
        found += 1;
        this.results.append(this.#result(message));
      }
    };
    look(this.#read);
    try {
      while (this.#hasMore && found < FOUND_MAX) {
        fill(this.state, t('searching', { count: this.#read.length }));
        const before = this.#read.at(-1)?.seq ?? undefined;
        const page = await adapter.getMessages({ conversationId, limit: PAGE, before });
        if (run !== this.#run) return;
        const messages = page.messages.filter(({ seq }) => seq !== null).reverse();
        this.#read.push(...messages);
        this.#hasMore = page.hasMore && messages.length > 0;
        look(messages);
      }
      fill(this.state, t(found < FOUND_MAX ? 'found' : 'found_first', { count: found }));
    } catch (error) {
      if (run === this.#run) fill(this.state, problemText(error));
    }
  }

  /** @param {Message} message */
  #result(message) {
    const { nameOf, onChosen } = this.parts;
    return el('li', {}, el('button', { type: 'button', onclick: () => onChosen(message.seq ?? 0) },
      el('span', { class: 'small muted' }, `${nameOf(message.from)} · ${dateTime(message.timestamp)}`),
      el('span', { class: 'result-text' }, message.content || message.file?.name || '')));
  }
}

/** @param {Message} message @param {string} wanted in small letters */
function holds({ content, file, kind }, wanted) {
  return kind === 'chat' && `${content}\n${file?.name ?? ''}`.toLowerCase().includes(wanted);
}
