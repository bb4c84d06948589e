import { el, fill } from '../shared/dom.js';
import { dateTime } from '../shared/i18n.js';
import { PagedTable } from './table.js';

/** @typedef {import('./table.js').Translate} Translate */

const EVENTS = [
  'login', 'login_failed', 'guest_login', 'exchange_login', 'logout', 'sessions_ended', 'user_created', 'user_updated',
  'user_deleted', 'password_changed', 'password_reset', 'conversation_read',
];
const LIMIT = 50;

/** Who did what to whom, the newest first. */
export class Audit {
  /** @param {import('./server.js').Server} server @param {Translate} t @param {HTMLElement} place */
  constructor(server, t, place) {
    const word = (/** @type {string} */ event) => {
      if (event === 'password_reset') return t('password_reset_event');
      return EVENTS.includes(event) ? t(event) : event;
    };
    const event = el('select', {}, el('option', { value: '' }, t('all')),
      ...EVENTS.map((one) => el('option', { value: one }, word(one))));
    const actor = el('input', { maxlength: '64', autocapitalize: 'none', spellcheck: 'false' });
    const user = el('input', { maxlength: '64', autocapitalize: 'none', spellcheck: 'false' });
    const from = el('input', { type: 'datetime-local' });
    const to = el('input', { type: 'datetime-local' });
    const time = (/** @type {HTMLInputElement} */ { value }) => (value ? new Date(value).toISOString() : undefined);
    const table = new PagedTable({
      t, caption: t('audit'),
      columns: ['at', 'event', 'actor', 'user', 'conversation', 'address', 'details'].map((one) => t(one)),
      read: async (cursor) => {
        const page = await server.get('/api/audit', {
          event: event.value || undefined, actor_id: actor.value.trim() || undefined,
          user_id: user.value.trim() || undefined, from: time(from), to: time(to), limit: LIMIT,
          cursor: cursor ?? undefined,
        });
        return { rows: page.entries, next: page.next_cursor ?? null };
      },
      cells: (one) => [
        dateTime(one.at), word(String(one.event)), one.actor_id ?? '–', one.user_id ?? '–',
        one.conversation_id ?? '–', one.remote_address ?? '–',
        Object.entries(one.details ?? {}).map(([name, value]) => `${name}: ${value}`).join(', '),
      ],
    });
    fill(place, el('h2', { class: 'unseen' }, t('audit')),
      el('form', { class: 'filters', onsubmit: (/** @type {Event} */ submitted) => {
        submitted.preventDefault();
        void table.reload();
      } }, el('label', {}, t('event'), event), el('label', {}, t('actor'), actor), el('label', {}, t('user'), user),
      el('label', {}, t('from'), from), el('label', {}, t('to'), to), el('button', { class: 'primary' }, t('filter'))),
      table.element);
    void table.reload();
  }

  close() {}
}
