import { EnterpriseAdapter } from '../services/enterprise-adapter.js';
import { Attention } from '../shared/attention.js';
import { Composer } from '../shared/composer.js';
import { connectionBar } from '../shared/connection-bar.js';
import { openDialog } from '../shared/dialog.js';
import { byId, el, fill, iconButton, ICONS } from '../shared/dom.js';
import { translator } from '../shared/i18n.js';
import { MessageList } from '../shared/message-list.js';
import { notice } from '../shared/notices.js';
import { People } from '../shared/people.js';
import { problemText } from '../shared/problems.js';
import { CUSTOMER_WORDS } from './customer-words.js';

/**
 * @typedef {import('../services/enterprise-adapter').AdapterEvents} AdapterEvents
 * @typedef {{onShown: () => void, onLeft: () => void}} PageEvents
 * @typedef {import('../services/enterprise-adapter').Message} Message
 */

const t = translator(CUSTOMER_WORDS);
const adapter = EnterpriseAdapter.getInstance({ profile: 'customer',
  debug: new URLSearchParams(location.search).has('debug') });

/** @param {string} name @param {PageEvents} events */
export async function asGuest(name, events) {
  // Another tab may have begun meanwhile: nobody gets back into a guest's conversation that was replaced.
  if (await resume(events)) return;
  await adapter.loginAsGuest(name || undefined);
  await show(events);
}

/** @param {string} username @param {string} password @param {PageEvents} events */
export async function asCustomer(username, password, events) {
  await adapter.login(username, password, 'customer');
  await show(events);
}

/** @param {PageEvents} events @returns {Promise<boolean>} whether there was a session */
export async function resume(events) {
  if (!(await adapter.resume())) return false;
  await show(events);
  return true;
}

/**
 * What is shown of the user who is logged in.
 *
 * @type {Promise<void> | null}
 */
let shown = null;
let isFollowing = false;

/**
 * Shows the conversation of whoever is logged in, in this tab or in another one.
 *
 * @param {PageEvents} events
 */
async function show(events) {
  if (!isFollowing) adapter.on('login', () => void show(events));
  isFollowing = true;
  if (adapter.user) await (shown ??= draw(events, adapter.user));
}

/** @type {Attention | null} */
let attention = null;
/** @type {People | null} */
let people = null;
/** @type {HTMLElement | null} */
let bar = null;

/** @param {PageEvents} events @param {import('../services/enterprise-adapter').User} user */
async function draw(events, user) {
  attention ??= new Attention();
  people ??= new People(adapter);
  bar ??= connectionBar(adapter, t).bar;
  const place = byId('chat');
  const list = new MessageList({ adapter, t, people, conversationId: `c:${user.id}`, eventText });
  const composer = new Composer({ adapter, t, receiver: null, dropArea: place });
  const situation = new Situation(people);
  const tools = [
    attention.button(t),
    iconButton(ICONS.leave, t(user.isGuest ? 'leave_guest' : 'leave'), () => askToLeave(user.isGuest)),
  ];
  byId('tools').prepend(...tools);
  fill(place, bar, list.element, composer.element);
  place.hidden = false;
  events.onShown();
  const ends = [
    adapter.on('message', (message) => {
      if (!message.own) attention?.sound();
    }),
    adapter.on('unread', ({ total }) => count(total)),
    adapter.on('error', (error) => {
      if (error.code === 'storage_full') notice(problemText(error));
    }),
  ];
  ends.push(adapter.on('logout', ({ reason }) => {
    for (const end of ends) end();
    shown = null;
    list.close();
    situation.close();
    for (const tool of tools) tool.remove();
    place.hidden = true;
    fill(place);
    count(0);
    events.onLeft();
    if (reason === 'session_ended') fill(byId('start-problem'), problemText({ code: 'session_ended' }));
  }));
  // What earlier visits have left unread was told before anybody listened.
  count(adapter.getUnread());
  await list.open();
  if (document.hasFocus()) composer.focus();
}

/** @param {Message} message what routing did */
function eventText({ kind, agentId }) {
  if (kind === 'closed') return t('closed');
  if (!agentId) return t('requeued');
  return t(kind === 'assigned' ? 'assigned' : 'transferred', { agent: people?.name(agentId) ?? agentId });
}

/** @param {number} unread */
function count(unread) {
  attention?.count(unread);
  if (window.parent !== window) window.parent.postMessage({ supportChat: 'unread', unread }, '*');
}

/** @param {boolean} isGuest */
function askToLeave(isGuest) {
  const dialog = openDialog(t('leave_sure'), t('stay'), isGuest && el('p', {}, t('leave_guest_more')),
    el('div', { class: 'actions' },
      el('button', { type: 'button', onclick: () => dialog.close() }, t('stay')),
      el('button', { type: 'button', class: 'primary', onclick: () => {
        dialog.close();
        void adapter.logout();
      } }, t('leave'))));
}

/** The line that says who serves the customer, or how long the queue is. */
class Situation {
  /** @type {{state: string, agentId: string | null} | null} */
  #conversation = null;
  /** @type {AdapterEvents['queue'] | null} */
  #queue = null;
  /** @type {Array<() => void>} */
  #ends;

  /** @param {People} people */
  constructor(people) {
    this.people = people;
    this.#ends = [
      adapter.on('queue', (queue) => {
        this.#queue = queue.position === null ? null : queue;
        this.#show();
      }),
      adapter.on('conversation', ({ state, agentId }) => {
        this.#conversation = { state, agentId };
        if (state !== 'queued') this.#queue = null;
        this.#show();
      }),
      adapter.on('connected', () => void this.#ask()),
      people.onChange((id) => id === this.#conversation?.agentId && this.#show()),
    ];
    void this.#ask();
  }

  close() {
    for (const end of this.#ends) end();
    fill(byId('situation'));
  }

  async #ask() {
    try {
      const { conversations } = await adapter.getConversations({ limit: 1 });
      const [one] = conversations;
      this.#conversation = one ? { state: one.state, agentId: one.agentId } : null;
    } catch {
      // The next connection asks again.
    }
    this.#show();
  }

  #show() {
    const text = this.#text();
    // Said once, not at each of the reasons to look.
    if (byId('situation').textContent !== text) fill(byId('situation'), text);
  }

  #text() {
    const queue = this.#queue;
    if (queue?.noAgent) return t('nobody');
    if (queue?.position) return queue.position === 1 ? t('next') : t('waiting_at', { position: queue.position });
    const { state, agentId } = this.#conversation ?? { state: null, agentId: null };
    if (state === 'closed') return t('is_closed');
    if (agentId) {
      return t('served_by', { agent: this.people.name(agentId),
        status: t(this.people.get(agentId)?.status ?? 'Offline') });
    }
    return state === 'queued' ? t('waiting') : t('write_to_us');
  }
}
