import { el, fill, focusOn, unseen } from '../shared/dom.js';
import { duration, shortTime } from '../shared/i18n.js';
import { summary } from '../shared/message-view.js';
import { QueueTimes } from '../shared/queue-times.js';

/**
 * @typedef {import('../services/enterprise-adapter').Conversation} Conversation
 * @typedef {import('../services/enterprise-adapter').EnterpriseAdapter} EnterpriseAdapter
 * @typedef {import('../shared/message-view.js').Translate} Translate
 * @typedef {import('../shared/people.js').People} People
 */

/** How often the queue is read, in milliseconds: agents are not told of it. */
const QUEUE_INTERVAL_MS = 5000;
/** The least time between two readings, in milliseconds, however much happens. */
const PAUSE_MS = 700;
/** What changes within this many milliseconds is drawn together. */
const TOGETHER_MS = 50;
const LIST_MAX = 100;

/** An agent's conversations, the queue, and on demand everybody's. */
export class ConversationLists {
  /** @type {Conversation[]} */
  mine = [];
  /** @type {Conversation[]} */
  queue = [];
  /** @type {Conversation[]} */
  others = [];
  /** @type {string | null} */
  active = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #due;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #showing;
  #isReading = false;
  /** @type {Array<() => void>} */
  #ends = [];

  /**
   * @param {object} parts
   * @param {EnterpriseAdapter} parts.adapter
   * @param {Translate} parts.t
   * @param {People} parts.people
   * @param {(id: string) => void} parts.onOpen
   * @param {(id: string) => void} parts.onTake
   * @param {() => void} parts.onRead
   */
  constructor(parts) {
    this.parts = parts;
    const { adapter, t, people } = parts;
    this.times = new QueueTimes((id) => adapter.getRouting(id));
    const section = (/** @type {string} */ name, /** @type {string} */ title) => {
      const heading = el('h2', { id: `list-${name}` }, title);
      const list = el('ul', { class: 'conversations', 'aria-labelledby': `list-${name}` });
      return { heading, list, title };
    };
    this.views = { queue: section('queue', t('queue')), mine: section('mine', t('mine')),
      others: section('others', t('others')) };
    this.details = el('details', { ontoggle: () => this.refresh() },
      el('summary', {}, this.views.others.heading), this.views.others.list);
    this.element = el('div', { class: 'lists' },
      el('section', {}, this.views.mine.heading, this.views.mine.list),
      el('section', {}, this.views.queue.heading, this.views.queue.list), this.details);
    const soon = () => this.refresh();
    const timer = setInterval(() => document.visibilityState === 'visible' && this.refresh(), QUEUE_INTERVAL_MS);
    this.#ends = [
      () => clearInterval(timer),
      adapter.on('message', soon), adapter.on('messageUpdated',
        ({ seq }) => seq !== null && soon()), adapter.on('conversation', soon),
      adapter.on('connected', soon), adapter.on('unread', () => this.#showSoon()),
      people.onChange((id) => this.#speaksOf(id) && this.#showSoon()),
    ];
  }

  close() {
    clearTimeout(this.#due);
    clearTimeout(this.#showing);
    for (const end of this.#ends) end();
  }

  /** @param {string} userId */
  #speaksOf(userId) {
    return [this.mine, this.queue, this.others].some((list) =>
      list.some(({ id, customerId }) => (customerId ?? id) === userId));
  }

  /** However much is learnt at once, it is drawn once. */
  #showSoon() {
    this.#showing ??= setTimeout(() => this.show(), TOGETHER_MS);
  }

  /**
   * What is known of a conversation.
   *
   * @param {string} id
   */
  find(id) {
    return [...this.mine, ...this.queue, ...this.others].find((one) => one.id === id);
  }

  /** Reads the lists, soon. */
  refresh() {
    this.#due ??= setTimeout(() => void this.#read(), PAUSE_MS);
  }

  async #read() {
    if (this.#isReading) {
      this.#due = setTimeout(() => void this.#read(), PAUSE_MS);
      return;
    }
    this.#due = undefined;
    this.#isReading = true;
    const { adapter } = this.parts;
    try {
      const [mine, queue, others] = await Promise.all([
        adapter.getConversations({ state: 'open', limit: LIST_MAX }),
        adapter.getConversations({ state: 'queued', scope: 'all', limit: LIST_MAX }),
        this.details.open ? adapter.getConversations({ scope: 'all', limit: LIST_MAX }) : { conversations: [] },
      ]);
      const own = adapter.user?.id;
      this.mine = mine.conversations.filter((one) => one.agentId === own || one.customerId === null || one.unread > 0);
      await this.times.learn(queue.conversations.map(({ id }) => id));
      this.queue = queue.conversations.sort((a, b) => this.#waitsSince(a) - this.#waitsSince(b));
      const shown = new Set([...this.mine, ...this.queue].map(({ id }) => id));
      this.others = others.conversations.filter(({ id }) => !shown.has(id));
      this.show();
      this.parts.onRead();
    } catch {
      // The next reason to look is near.
    } finally {
      this.#isReading = false;
    }
  }

  /** @param {Conversation} conversation */
  #waitsSince({ id, updatedAt }) {
    return this.times.since(id) ?? Date.parse(updatedAt);
  }

  show() {
    clearTimeout(this.#showing);
    this.#showing = undefined;
    const { t } = this.parts;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.id;
    this.#fill(this.views.mine, this.mine, t('nothing_mine'));
    this.#fill(this.views.queue, this.queue, t('nothing_queue'));
    this.#fill(this.views.others, this.others, t('nothing_others'));
    if (focused && document.activeElement === document.body) {
      focusOn(this.element, `[data-id="${CSS.escape(focused)}"]`);
    }
  }

  /**
   * @param {{heading: HTMLElement, list: HTMLElement, title: string}} view
   * @param {Conversation[]} conversations
   * @param {string} nothing
   */
  #fill(view, conversations, nothing) {
    fill(view.heading, view.title, conversations.length > 0 && el('span', { class: 'count' },
      ` ${conversations.length}`));
    fill(view.list, ...(conversations.length ? conversations.map((one) => this.#item(one))
      : [el('li', { class: 'nothing muted small' }, nothing)]));
  }

  /** @param {Conversation} conversation */
  #item(conversation) {
    const { adapter, t, people, onOpen, onTake } = this.parts;
    const { id, customerId, state, lastMessage, updatedAt } = conversation;
    const who = customerId ?? id;
    const status = people.get(who)?.status ?? 'Offline';
    const unread = adapter.getUnread(id);
    const preview = lastMessage && (lastMessage.recalled ? t('recalled') : summary(lastMessage, t));
    return el('li', { class: id === this.active ? 'active' : '' },
      el('button', { type: 'button', class: 'conversation', 'data-id': id,
        'aria-current': id === this.active ? 'true' : undefined,
        onclick: () => onOpen(id) },
      el('span', { class: `dot ${status}` }), unseen(t(status)),
      el('span', { class: 'who' }, people.name(who)),
      el('span', { class: 'when small muted' }, state === 'queued'
        ? t('waits', { time: duration((Date.now() - this.#waitsSince(conversation)) / 1000) }) : shortTime(updatedAt)),
      el('span', { class: 'preview small muted' }, preview ?? ''),
      unread > 0 && el('span', { class: 'badge' }, el('span', { 'aria-hidden': 'true' }, unread > 99 ? '99+' : unread),
        unseen(t('unread', { count: unread })))),
      state === 'queued' && el('button', { type: 'button', class: 'take', 'data-id': `take ${id}`,
        'aria-label': `${t('take')}: ${people.name(who)}`, onclick: () => onTake(id) }, t('take')));
  }
}
