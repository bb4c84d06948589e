import { el, fill } from '../shared/dom.js';
import { problemText } from '../shared/problems.js';

/**
 * @typedef {import('../shared/dom.js').Child} Child
 * @typedef {(key: any, values?: Record<string, string | number>) => string} Translate
 * @typedef {{rows: any[], next: string | null}} Page
 */

/** A table that is read page by page; on a narrow screen each row is a card. */
export class PagedTable {
  /** @type {string | null} */
  #next = null;
  #run = 0;

  /**
   * @param {object} parts
   * @param {Translate} parts.t
   * @param {string} parts.caption
   * @param {string[]} parts.columns their titles
   * @param {(cursor: string | null) => Promise<Page>} parts.read
   * @param {(row: any) => Child[]} parts.cells
   */
  constructor(parts) {
    this.parts = parts;
    const { t, caption, columns } = parts;
    this.body = el('tbody');
    this.state = el('p', { class: 'muted', role: 'status' });
    this.more = el('button', { type: 'button', hidden: true, onclick: () => void this.#read() }, t('more'));
    this.element = el('div', { class: 'table-box' },
      el('table', {}, el('caption', { class: 'unseen' }, caption),
        el('thead', {}, el('tr', {}, ...columns.map((title) => el('th', { scope: 'col' }, title)))), this.body),
      this.state, this.more);
  }

  /** Reads it anew. */
  async reload() {
    this.#next = null;
    this.#run += 1;
    await this.#read(true);
  }

  async #read(isFirst = false) {
    const { t, read } = this.parts;
    const run = this.#run;
    this.more.disabled = true;
    fill(this.state, t('loading'));
    try {
      const { rows, next } = await read(this.#next);
      if (run !== this.#run) return;
      if (isFirst) this.body.replaceChildren();
      for (const row of rows) this.body.append(this.#row(row));
      this.#next = next;
      this.more.hidden = next === null;
      fill(this.state, !this.body.childElementCount && t('none'));
    } catch (error) {
      if (run === this.#run) {
        fill(this.state, problemText(error), ' ',
          el('button', { type: 'button', class: 'plain', onclick: () => void this.#read(isFirst) }, t('retry')));
      }
    } finally {
      this.more.disabled = false;
    }
  }

  /** @param {any} row */
  #row(row) {
    const { columns, cells } = this.parts;
    return el('tr', {}, ...cells(row).map((cell, index) => el('td', { 'data-label': columns[index] }, cell)));
  }
}
