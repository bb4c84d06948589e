import { openDialog } from '../shared/dialog.js';
import { el, fill, focusOn } from '../shared/dom.js';
import { dateTime } from '../shared/i18n.js';
import { notice } from '../shared/notices.js';
import { problemText } from '../shared/problems.js';
import { openSessions } from './sessions.js';
import { PagedTable } from './table.js';

/**
 * @typedef {import('./server.js').Server} Server
 * @typedef {import('./table.js').Translate} Translate
 */

const LIMIT = 50;

/** The accounts: made, changed, disabled, with new passwords, and their sessions. */
export class Accounts {
  /** @param {Server} server @param {Translate} t @param {HTMLElement} place */
  constructor(server, t, place) {
    this.server = server;
    this.t = t;
    this.type = this.#choice({ '': t('all'), Kehu: t('Kehu'), Kefu: t('Kefu') });
    this.disabled = this.#choice({ '': t('all'), false: t('active'), true: t('disabled') });
    this.wanted = el('input', { type: 'search', maxlength: '64', autocapitalize: 'none', spellcheck: 'false' });
    this.table = new PagedTable({
      t, caption: t('accounts'),
      columns: ['user_id', 'display_name', 'role', 'capacity', 'state', 'created', 'actions'].map((one) => t(one)),
      read: (cursor) => this.#read(cursor),
      cells: (user) => this.#cells(user),
    });
    const reload = () => void this.table.reload();
    this.type.addEventListener('change', reload);
    this.disabled.addEventListener('change', reload);
    fill(place, el('h2', { class: 'unseen' }, t('accounts')),
      el('form', { class: 'filters', onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        reload();
      } }, el('label', {}, t('role'), this.type), el('label', {}, t('state'), this.disabled),
      el('label', {}, t('find_user'), this.wanted), el('button', {}, t('find')),
      el('button', { type: 'button', class: 'primary', onclick: () => this.#openNew() }, t('new_account'))),
      this.table.element);
    reload();
  }

  close() {}

  /** @param {Record<string, string>} options @returns {HTMLSelectElement} */
  #choice(options) {
    return el('select', {}, ...Object.entries(options).map(([value, text]) => el('option', { value }, text)));
  }

  /** @param {string | null} cursor */
  async #read(cursor) {
    const id = this.wanted.value.trim();
    if (id) {
      try {
        return { rows: [await this.server.get(`/api/users/${encodeURIComponent(id)}`)], next: null };
      } catch (error) {
        if (![404, 422, 400].includes(/** @type {any} */ (error).status)) throw error;
        notice(this.t('not_found', { id }));
        return { rows: [], next: null };
      }
    }
    const page = await this.server.get('/api/users', {
      user_type: this.type.value || undefined, disabled: this.disabled.value || undefined, limit: LIMIT,
      cursor: cursor ?? undefined,
    });
    return { rows: page.users, next: page.next_cursor ?? null };
  }

  /** @param {any} user */
  #cells(user) {
    const { t, server } = this;
    const { user_id: id } = user;
    const button = (/** @type {string} */ words, /** @type {() => void} */ onclick) =>
      el('button', { type: 'button', class: 'plain', 'aria-label': `${words}: ${id}`, onclick }, words);
    return [
      id, user.user_name, t(user.user_type) + (user.is_admin ? ` · ${t('administrator')}` : ''),
      user.user_type === 'Kefu' ? user.capacity ?? '–' : '',
      el('span', { class: user.disabled ? 'tag bad' : 'tag' },
        t(user.disabled ? 'disabled' : 'active')), dateTime(user.created_at),
      el('div', { class: 'row-actions' }, button(t('edit'), () => this.#openEdit(user)),
        button(t('reset_password'), () => this.#openReset(id)),
        button(t('sessions'), () => openSessions(server, t, id))),
    ];
  }

  /**
   * A dialog with a form; what the server refuses is said in it.
   *
   * @param {string} title
   * @param {string} submit
   * @param {import('../shared/dom.js').Child[]} fields
   * @param {() => Promise<string>} work what is said when it is done
   */
  #openForm(title, submit, fields, work) {
    const { t } = this;
    const problem = el('p', { class: 'problem', role: 'alert' });
    const button = el('button', { class: 'primary' }, submit);
    const dialog = openDialog(title, t('cancel'),
      el('form', { class: 'stack', onsubmit: async (/** @type {Event} */ event) => {
      event.preventDefault();
      button.disabled = true;
      fill(problem);
      try {
        notice(await work());
        dialog.close();
        void this.table.reload();
      } catch (error) {
        fill(problem, problemText(error));
      } finally {
        button.disabled = false;
      }
    } }, ...fields, problem, el('div', { class: 'actions' },
      el('button', { type: 'button', onclick: () => dialog.close() }, t('cancel')), button)));
    focusOn(dialog, 'form input, form select');
  }

  #fields() {
    const { t } = this;
    const name = el('input', { maxlength: '128' });
    const type = this.#choice({ Kehu: t('Kehu'), Kefu: t('Kefu') });
    const admin = el('input', { type: 'checkbox' });
    const capacity = el('input', { type: 'number', min: '1', max: '1000', inputmode: 'numeric' });
    const ofAgents = el('div', { class: 'stack' },
      el('label', { class: 'check' }, admin, t('administrator')),
      el('label', {}, t('capacity'), capacity, el('span', { class: 'hint' }, t('capacity_hint'))));
    const showAgents = () => (ofAgents.hidden = type.value !== 'Kefu');
    type.addEventListener('change', showAgents);
    return {
      name, type, admin, capacity, showAgents,
      rows: [el('label', {}, t('display_name'), name), el('label', {}, t('role'), type), ofAgents],
    };
  }

  #openNew() {
    const { t, server } = this;
    const id = el('input', { required: true, maxlength: '64', pattern: '[A-Za-z0-9_.\\-]+', autocapitalize: 'none',
      spellcheck: 'false', autocomplete: 'off' });
    const password = el('input', { required: true, type: 'password', minlength: '8', autocomplete: 'new-password' });
    const { name, type, admin, capacity, showAgents, rows } = this.#fields();
    showAgents();
    this.#openForm(t('new_account'), t('create'), [
      el('label', {}, t('user_id'), id), el('label', {}, t('password'), password,
        el('span', { class: 'hint' }, t('password_new_hint'))), ...rows,
    ], async () => {
      const isAgent = type.value === 'Kefu';
      await server.send('POST', '/api/users', {
        user_id: id.value.trim(), password: password.value, user_type: type.value,
        user_name: name.value.trim() || undefined, is_admin: isAgent && admin.checked ? true : undefined,
        capacity: isAgent && capacity.value ? Number(capacity.value) : undefined,
      });
      return t('created_now', { id: id.value.trim() });
    });
  }

  /** @param {any} user */
  #openEdit(user) {
    const { t, server } = this;
    const { name, type, admin, capacity, showAgents, rows } = this.#fields();
    const disabled = el('input', { type: 'checkbox' });
    name.value = user.user_name;
    name.required = true;
    type.value = user.user_type;
    admin.checked = user.is_admin;
    capacity.value = user.capacity ?? '';
    disabled.checked = user.disabled;
    showAgents();
    this.#openForm(t('edit_of', { id: user.user_id }), t('save'), [
      ...rows, el('label', { class: 'check' }, disabled, t('disabled')), el('p', { class: 'hint' }, t('disable_hint')),
    ], async () => {
      const isAgent = type.value === 'Kefu';
      /** @type {Record<string, unknown>} */
      const now = {
        user_name: name.value.trim(), user_type: type.value, is_admin: isAgent && admin.checked,
        disabled: disabled.checked, capacity: isAgent && capacity.value ? Number(capacity.value) : null,
      };
      const changed = Object.entries(now).filter(([member, value]) => value !== (user[member] ?? null));
      if (changed.length) await server.send('PATCH', `/api/users/${encodeURIComponent(user.user_id)}`,
        Object.fromEntries(changed));
      return t('saved');
    });
  }

  /** @param {string} id */
  #openReset(id) {
    const { t, server } = this;
    const password = el('input', { required: true, type: 'password', minlength: '8', autocomplete: 'new-password' });
    this.#openForm(t('reset_of', { id }), t('reset_password'), [
      el('label', {}, t('new_password'), password, el('span', { class: 'hint' }, t('password_hint'))),
    ], async () => {
      await server.send('PUT', `/api/users/${encodeURIComponent(id)}/password`, { new_password: password.value });
      return t('password_reset');
    });
  }
}
