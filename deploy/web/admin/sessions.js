import { openDialog } from '../shared/dialog.js';
import { el } from '../shared/dom.js';
import { dateTime } from '../shared/i18n.js';
import { notice } from '../shared/notices.js';
import { problemText } from '../shared/problems.js';
import { PagedTable } from './table.js';

/**
 * The dialog with a user's sessions.
 *
 * @param {import('./server.js').Server} server
 * @param {import('./table.js').Translate} t
 * @param {string} id the user's
 */
export function openSessions(server, t, id) {
  const path = `/api/users/${encodeURIComponent(id)}/sessions`;
  const table = new PagedTable({
    t, caption: t('sessions_of', { id }),
    columns: ['used', 'created', 'expires', 'address', 'browser', 'actions'].map((one) => t(one)),
    read: async () => ({ rows: (await server.get(path)).sessions, next: null }),
    cells: (one) => [
      dateTime(one.used_at), dateTime(one.created_at), dateTime(one.expires_at), one.remote_address ?? '–',
      browserName(one.user_agent ?? '–'),
      one.current ? t('this_one') : el('button', { type: 'button', class: 'plain',
        onclick: () => void end(`${path}/${encodeURIComponent(one.session)}`) }, t('end')),
    ],
  });
  /** @param {string} what */
  const end = async (what) => {
    try {
      const answer = await server.send('DELETE', what);
      notice(t('ended', { count: answer?.ended ?? 1 }));
      await table.reload();
    } catch (error) {
      notice(problemText(error));
    }
  };
  const isOwn = id === server.user?.id;
  openDialog(t('sessions_of', { id }), t('close'), table.element, el('div', { class: 'actions' },
    el('button', { type: 'button', class: 'danger', onclick: () => void end(path + (isOwn ? '?except=current' : '')) },
      t('end_all')))).classList.add('wide');
  void table.reload();
}

/**
 * What a browser calls itself, in short; all of it for whoever points at it.
 *
 * @param {string} text
 */
function browserName(text) {
  const browser = /(Edg|OPR|Firefox|Chrome|Version)\/(\d+)/.exec(text);
  const system = /Android|iPhone|iPad|Windows|Mac OS X|Linux/.exec(text);
  if (!browser || !system) return text;
  const name = { Edg: 'Edge', OPR: 'Opera', Version: 'Safari' }[browser[1]] ?? browser[1];
  return el('span', { title: text }, `${name} ${browser[2]}, ${system[0]}`);
}
