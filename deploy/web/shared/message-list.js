import { el, fill } from './dom.js';
import { wholeDay } from './i18n.js';
import { messageView, summary } from './message-view.js';
import { announce, notice } from './notices.js';
import { problemText } from './problems.js';

/**
 * @typedef {import('../services/enterprise-adapter').EnterpriseAdapter} EnterpriseAdapter
 * @typedef {import('../services/enterprise-adapter').Message} Message
 * @typedef {import('./people.js').People} People
 * @typedef {import('./message-view.js').Translate} Translate
 * @typedef {{message: Message, node: HTMLElement, number: number}} Item
 */

const PAGE = 40;
/** This near to its end, in pixels, a list stays at its end when something comes. */
const END_PX = 60;
/** Messages of one person that are no further apart than this, in milliseconds, stand together. */
const TOGETHER_MS = 300_000;

/** A conversation's messages: pages of history as one scrolls up, and whatever comes, in its place. */
export class MessageList {
  /** @type {Map<string, Item>} */
  #items = new Map();
  /**
   * In the order in which they are shown.
   *
   * @type {Item[]}
   */
  #order = [];
  #number = 0;
  #hasMore = false;
  /** @type {Promise<void> | null} */
  #loading = null;
  /** How often the newest page was asked for. */
  #opened = 0;
  /**
   * Keys of what came while it is read.
   *
   * @type {Set<string> | null}
   */
  #cameMeanwhile = null;
  #isAtEnd = true;
  #newBelow = 0;
  #isClosed = false;
  /** @type {Array<() => void>} */
  #ends = [];

  /**
   * @param {object} parts
   * @param {EnterpriseAdapter} parts.adapter
   * @param {Translate} parts.t
   * @param {People} parts.people
   * @param {string} parts.conversationId
   * @param {(message: Message) => string} parts.eventText what routing did, in words
   */
  constructor(parts) {
    this.parts = parts;
    const { t, adapter, people, eventText } = parts;
    this.viewParts = {
      adapter, t, eventText, nameOf: (/** @type {string | null | undefined} */ id) => people.name(id),
      onRecall: (/** @type {Message} */ message) =>
        void adapter.recall(message).catch((error) => notice(problemText(error))),
    };
    this.more = el('button', { type: 'button', class: 'more', hidden: true, onclick: () => void this.#older() },
      t('earlier'));
    this.state = el('p', { class: 'list-state muted' });
    this.list = el('ol', { class: 'entries' });
    this.typing = el('p', { class: 'typing small muted' });
    // New messages are said by `announce`, so that a page of history is not read out.
    this.scroller = el('div', { class: 'scroller', role: 'log', 'aria-live': 'off', 'aria-label': t('messages'),
      tabindex: '0',
      onscroll: () => this.#scrolled() }, this.more, this.state, this.list, this.typing);
    this.toEnd = el('button', { type: 'button', class: 'to-end', hidden: true, onclick: () => this.scrollToEnd() });
    this.element = el('div', { class: 'message-list' }, this.scroller, this.toEnd);
    this.#listen();
  }

  #listen() {
    const { adapter, people, conversationId } = this.parts;
    const seen = () => this.#markRead();
    addEventListener('focus', seen);
    document.addEventListener('visibilitychange', seen);
    const top = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) void this.#older();
    }, { root: this.scroller, rootMargin: '400px 0px 0px' });
    top.observe(this.more);
    const size = new ResizeObserver(() => {
      if (this.#isAtEnd) this.scrollToEnd();
      seen();
    });
    size.observe(this.scroller);
    size.observe(this.list);
    this.#ends.push(
      () => removeEventListener('focus', seen),
      () => document.removeEventListener('visibilitychange', seen),
      () => top.disconnect(),
      () => size.disconnect(),
      adapter.on('message', (message) => message.conversationId === conversationId && this.#came(message)),
      adapter.on('messageUpdated', (message) => message.conversationId === conversationId && this.#changed(message)),
      adapter.on('messageRemoved', ({ key }) => this.#remove(key)),
      adapter.on('historyChanged', (change) => change.conversationId === conversationId && void this.open()),
      adapter.on('typing', (news) => news.conversationId === conversationId && this.#typed(news)),
      people.onChange((id) => this.#renamed(id)),
    );
  }

  close() {
    this.#isClosed = true;
    for (const end of this.#ends) end();
  }

  /** Whether nothing is in it. */
  get isEmpty() {
    return this.#order.length === 0;
  }

  /** Reads the newest page, in place of what is shown. */
  async open() {
    const { adapter, t, conversationId } = this.parts;
    const number = (this.#opened += 1);
    this.#cameMeanwhile ??= new Set();
    if (this.isEmpty) fill(this.state, t('loading'));
    try {
      const page = await adapter.getMessages({ conversationId, limit: PAGE });
      // A later reading knows more.
      if (this.#isClosed || number !== this.#opened) return;
      this.#show(page.messages);
      this.#setMore(page.hasMore);
      fill(this.state);
      this.scrollToEnd();
    } catch (error) {
      if (number === this.#opened) this.#cameMeanwhile = null;
      if (/** @type {any} */ (error).code === 'conversation_unknown') return fill(this.state);
      fill(this.state, t('load_failed'), ' ',
        el('button', { type: 'button', class: 'plain', onclick: () => void this.open() }, t('retry')));
    }
  }

  /**
   * A page in place of what is shown, but for what is unsent and what came while it was read.
   *
   * @param {Message[]} page
   */
  #show(page) {
    const shown = this.#order.map(({ message }) => message);
    const kept = shown.filter(({ key, seq }) => seq === null || this.#cameMeanwhile?.has(key));
    this.#cameMeanwhile = null;
    this.#items.clear();
    this.#order = [];
    this.list.replaceChildren();
    for (const message of page) this.#put(message);
    for (const message of kept) if (message.seq !== null || !this.#items.has(message.key)) this.#put(message);
  }

  scrollToEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#isAtEnd = true;
    this.#newBelow = 0;
    this.toEnd.hidden = true;
    this.#markRead();
  }

  /**
   * Brings a message into view, reading history until it is there.
   *
   * @param {number} seq
   */
  async goTo(seq) {
    while (this.#hasMore && this.#first() > seq) await this.#older();
    const item = this.#order.find(({ message }) => message.seq === seq);
    if (!item) return;
    item.node.scrollIntoView({ block: 'center' });
    item.node.classList.add('found');
    setTimeout(() => item.node.classList.remove('found'), 2500);
  }

  // What comes

  /** @param {Message} message */
  #came(message) {
    const wasAtEnd = this.#isAtEnd;
    this.#cameMeanwhile?.add(message.key);
    this.#put(message);
    if (!message.own) {
      const { people, t } = this.parts;
      announce(message.kind === 'chat'
        ? t('new_message_from', { name: people.name(message.from), text: summary(message, t) })
        : this.viewParts.eventText(message));
    }
    if (wasAtEnd || message.own) return this.scrollToEnd();
    this.#newBelow += 1;
    this.#showToEnd();
  }

  /** @param {Message} message */
  #changed(message) {
    const isNew = !this.#items.has(message.key);
    // One of a page that is not shown.
    if (isNew && message.seq !== null && message.seq < this.#first()) return;
    const wasAtEnd = this.#isAtEnd;
    this.#cameMeanwhile?.add(message.key);
    this.#put(message);
    if (wasAtEnd || (isNew && message.own)) this.scrollToEnd();
  }

  /** @param {{userId: string, isTyping: boolean}} news */
  #typed({ userId, isTyping }) {
    const { people, t, adapter } = this.parts;
    if (userId === adapter.user?.id) return;
    fill(this.typing, isTyping && t('typing', { name: people.name(userId) }));
    if (this.#isAtEnd) this.scrollToEnd();
  }

  /** @param {string} id */
  #renamed(id) {
    for (const item of this.#order) {
      const { from, agentId, formerAgentId } = item.message;
      if (from === id || agentId === id || formerAgentId === id) this.#draw(item);
    }
  }

  // Items in their order

  /** @param {Message} message */
  #put(message) {
    const known = this.#items.get(message.key);
    if (known) {
      const isPlaced = known.message.seq === message.seq;
      known.message = message;
      this.#draw(known);
      if (isPlaced) return;
      this.#order.splice(this.#order.indexOf(known), 1);
      this.#place(known);
      return;
    }
    const item = { message, node: messageView(message, this.viewParts), number: (this.#number += 1) };
    this.#items.set(message.key, item);
    this.#place(item);
  }

  /** @param {Item} item */
  #place(item) {
    let index = this.#order.length;
    while (index > 0 && isBefore(item, this.#order[index - 1])) index -= 1;
    this.#order.splice(index, 0, item);
    this.list.insertBefore(item.node, this.#order[index + 1]?.node ?? null);
    this.#dress(index);
    this.#dress(index + 1);
  }

  /** @param {string} key */
  #remove(key) {
    const item = this.#items.get(key);
    if (!item) return;
    const index = this.#order.indexOf(item);
    this.#items.delete(key);
    this.#order.splice(index, 1);
    item.node.remove();
    this.#dress(index);
  }

  /** @param {Item} item */
  #draw(item) {
    const node = messageView(item.message, this.viewParts);
    const hadFocus = item.node.contains(document.activeElement);
    // A picture that is there already does not blink.
    const file = item.node.querySelector('.attachment');
    if (file) node.querySelector('.attachment')?.replaceWith(file);
    item.node.replaceWith(node);
    item.node = node;
    this.#dress(this.#order.indexOf(item));
    if (hadFocus) this.scroller.focus({ preventScroll: true });
  }

  /**
   * What an item shows because of the one before it: the day, and whose it is.
   *
   * @param {number} index
   */
  #dress(index) {
    const item = this.#order[index];
    if (!item) return;
    const before = this.#order[index - 1]?.message;
    const { message, node } = item;
    const [then, now] = [before && new Date(before.timestamp), new Date(message.timestamp)];
    const isNewDay = !then || then.toDateString() !== now.toDateString();
    node.querySelector('.day')?.remove();
    if (isNewDay) node.prepend(el('p', { class: 'day' }, wholeDay(now)));
    node.classList.toggle('follows', !isNewDay && before?.kind === 'chat' && before.from === message.from
      && now.getTime() - then.getTime() < TOGETHER_MS);
  }

  // History

  #first() {
    return this.#order[0]?.message.seq ?? Infinity;
  }

  /** @param {boolean} hasMore */
  #setMore(hasMore) {
    this.#hasMore = hasMore;
    this.more.hidden = !hasMore;
  }

  #older() {
    if (!this.#hasMore || this.#isClosed) return Promise.resolve();
    this.#loading ??= this.#readOlder().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #readOlder() {
    const { adapter, conversationId } = this.parts;
    this.more.disabled = true;
    try {
      const page = await adapter.getMessages({ conversationId, before: this.#first(), limit: PAGE });
      if (this.#isClosed) return;
      const { scrollHeight, scrollTop } = this.scroller;
      for (const message of page.messages.reverse()) this.#put(message);
      this.#setMore(page.hasMore && page.messages.length > 0);
      // What was in view stays where it was.
      if (!this.#isAtEnd) this.scroller.scrollTop = scrollTop + this.scroller.scrollHeight - scrollHeight;
    } catch (error) {
      // The button is still there; what scrolls does not ask again by itself at once.
      notice(problemText(error));
      this.#hasMore = false;
      setTimeout(() => this.#setMore(true), 5000);
    } finally {
      this.more.disabled = false;
    }
  }

  // Where one is

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < END_PX;
    if (this.#isAtEnd) {
      this.#newBelow = 0;
      this.#markRead();
    }
    this.#showToEnd();
  }

  #showToEnd() {
    const { t } = this.parts;
    this.toEnd.hidden = this.#isAtEnd;
    if (!this.#isAtEnd) fill(this.toEnd, '↓ ',
      this.#newBelow ? t('new_messages', { count: this.#newBelow }) : t('newest'));
  }

  /** Whoever sees the end of a conversation has read it. */
  #markRead() {
    const { adapter, conversationId } = this.parts;
    const isSeen = document.visibilityState === 'visible' && document.hasFocus() && this.scroller.clientHeight > 0;
    if (!isSeen || !this.#isAtEnd || this.#isClosed || !adapter.user) return;
    let last = 0;
    for (const { message } of this.#order) last = Math.max(last, message.seq ?? 0);
    if (last) adapter.markRead(conversationId, last);
  }
}

/** @param {Item} a @param {Item} b */
function isBefore(a, b) {
  const [one, other] = [a.message.seq ?? Infinity, b.message.seq ?? Infinity];
  return one === other ? a.number < b.number : one < other;
}

