import { el, fill } from './dom.js';

/**
 * @typedef {import('../services/enterprise-adapter').EnterpriseAdapter} EnterpriseAdapter
 */

/** A break in the connection shorter than this, in milliseconds, is not worth a word. */
const PATIENCE_MS = 1500;

/**
 * A line that says in words that there is no connection, and how many messages wait for it; nothing while there is one.
 *
 * @param {EnterpriseAdapter} adapter
 * @param {(key: any, values?: Record<string, string | number>) => string} t
 * @returns {{bar: HTMLElement, close: () => void}}
 */
export function connectionBar(adapter, t) {
  const bar = el('div', { class: 'connection-bar', role: 'status', hidden: true });
  let unsent = 0;
  let state = adapter.state;
  let closedBy = '';
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const show = () => {
    timer = undefined;
    bar.hidden = state === 'connected' || state === 'idle';
    if (bar.hidden) return;
    const waiting = unsent ? ` · ${t('unsent', { count: unsent })}` : '';
    if (state === 'connecting') return fill(bar, t('reconnecting') + waiting);
    const why = state === 'waiting' ? 'offline' : closedBy === 'replaced' ? 'stopped_replaced' : 'stopped';
    fill(bar, t(why) + waiting, ' ', el('button', { type: 'button', class: 'plain', onclick: () => adapter.connect() },
      t('connect')));
  };
  const changed = () => {
    if (state === 'connected' || !bar.hidden) {
      clearTimeout(timer);
      show();
    } else {
      timer ??= setTimeout(show, PATIENCE_MS);
    }
  };
  const ends = [
    adapter.on('state', (now) => {
      state = now.state;
      changed();
    }),
    adapter.on('disconnected', ({ reason }) => {
      closedBy = reason;
    }),
    adapter.on('outbox', (counts) => {
      unsent = counts.unsent;
      if (!bar.hidden) show();
    }),
  ];
  const close = () => {
    clearTimeout(timer);
    for (const end of ends) end();
  };
  return { bar, close };
}
