import { Attention } from '../shared/attention.js';
import { connectionBar } from '../shared/connection-bar.js';
import { openDialog } from '../shared/dialog.js';
import { ICONS, el, fill, focusOn, iconButton } from '../shared/dom.js';
import { translator } from '../shared/i18n.js';
import { notice } from '../shared/notices.js';
import { People } from '../shared/people.js';
import { problemText } from '../shared/problems.js';
import { AGENT_ICONS } from './agent-icons.js';
import { AGENT_WORDS } from './agent-words.js';
import { ConversationLists } from './conversation-lists.js';
import { Pane } from './pane.js';
import { listenToShortcuts, openHelp } from './shortcuts.js';

/** @typedef {import('../services/enterprise-adapter').EnterpriseAdapter} EnterpriseAdapter */

const t = translator(AGENT_WORDS);
/** A pane needs this much room, in pixels. */
const PANE_PX = 460;
const SIDE_PX = 340;
const PANES_MAX = 3;
const STATUSES = /** @type {const} */ (['Online', 'Busy', 'Away']);

/** @type {Attention | null} */
let attention = null;

/** The agent's whole screen: lists at the side, up to three conversations beside each other. */
export class Console {
  /** @type {Pane[]} */
  #panes = [];
  /** @type {number | null} */
  #capacity = null;
  /** @type {Array<() => void>} */
  #ends = [];

  /** @param {EnterpriseAdapter} adapter @param {HTMLElement} place */
  constructor(adapter, place) {
    this.adapter = adapter;
    this.place = place;
    attention ??= new Attention();
    this.people = new People(adapter);
    const connection = connectionBar(adapter, t);
    this.load = el('p', { class: 'small muted' });
    this.status = el('select', { 'aria-label': t('status'), onchange: () => void this.#setStatus() },
      ...STATUSES.map((one) => el('option', { value: one }, t(one))));
    this.lists = new ConversationLists({
      adapter, t, people: this.people, onOpen: (id) => this.open(id), onTake: (id) => void this.take(id),
      onRead: () => this.#read(),
    });
    this.empty = el('div', { class: 'no-pane' }, el('p', {}, t('choose')),
      el('p', { class: 'small muted' }, t('choose_more')));
    this.panes = el('div', { class: 'panes' }, this.empty);
    fill(place,
      el('aside', { class: 'side', 'aria-label': t('title') },
        el('header', { class: 'side-head' },
          el('div', { class: 'me' }, el('h1', {}, adapter.user?.name ?? ''), this.load),
          attention.button(t),
          iconButton(AGENT_ICONS.help, t('help'), () => openHelp(t)),
          iconButton(ICONS.leave, t('log_out'), () => this.#askToLeave()),
          el('label', { class: 'status' }, el('span', { class: 'unseen' }, t('status')), this.status)),
        connection.bar,
        this.lists.element),
      this.panes);
    this.#ends = [connection.close, () => this.people.close()];
    this.#listen();
    attention.count(adapter.getUnread());
    this.lists.refresh();
    void this.#readSelf();
  }

  #listen() {
    const { adapter } = this;
    this.#ends.push(
      adapter.on('message', (message) => {
        if (!message.own) attention?.sound();
      }),
      adapter.on('unread', ({ total }) => attention?.count(total)),
      adapter.on('conversation', ({ conversationId, agentId, formerAgentId }) => {
        if (agentId !== adapter.user?.id || formerAgentId === agentId) return;
        void this.people.findName(conversationId.slice(2)).then((name) => notice(t('yours', { name })));
      }),
      adapter.on('presence', ({ id, status }) => {
        if (id === adapter.user?.id && STATUSES.some((one) => one === status)) this.status.value = status;
      }),
      listenToShortcuts({
        next: () => this.#step(1),
        previous: () => this.#step(-1),
        unread: () => this.#openUnread(),
        queue: () => this.lists.queue[0] && void this.take(this.lists.queue[0].id),
        take: () => void this.#active?.take(),
        transfer: () => void this.#active?.openTransfer(),
        close: () => this.#active?.openClose(),
        search: () => this.#active?.search.toggle(),
        routing: () => void this.#active?.openRouting(),
        replies: () => this.#active?.openReplies(),
        write: () => this.#active?.composer.focus(),
        help: () => openHelp(t),
      }),
    );
    const focused = (/** @type {FocusEvent} */ event) => {
      const pane = this.#panes.find(({ element }) => element.contains(/** @type {Node} */ (event.target)));
      if (pane && pane.id !== this.lists.active) this.#activate(pane);
    };
    this.panes.addEventListener('focusin', focused);
    this.#ends.push(() => this.panes.removeEventListener('focusin', focused));
  }

  close() {
    for (const end of this.#ends) end();
    for (const pane of this.#panes) pane.close();
    this.#panes = [];
    this.lists.close();
    attention?.count(0);
    fill(this.place);
  }

  // Conversations

  get #active() {
    return this.#panes.find(({ id }) => id === this.lists.active) ?? null;
  }

  /**
   * Shows a conversation: where it is, in a place that is free, or in place of the active one.
   *
   * @param {string} id
   */
  open(id) {
    const shown = this.#panes.find((pane) => pane.id === id);
    if (shown) return this.#activate(shown, true);
    /** @type {Pane} */
    const pane = new Pane({
      adapter: this.adapter, t, people: this.people, id,
      onChange: () => this.lists.refresh(),
      onBack: () => {
        this.place.dataset.view = 'list';
        focusOn(this.lists.element, '[aria-current]');
      },
      onClose: () => this.#closePane(pane),
    });
    const most = Math.max(1, Math.min(PANES_MAX, Math.floor((innerWidth - SIDE_PX) / PANE_PX)));
    while (this.#panes.length > most) this.#drop(this.#panes[0]);
    if (this.#panes.length === most) {
      const old = this.#active ?? this.#panes[0];
      this.#panes.splice(this.#panes.indexOf(old), 1, pane);
      old.element.replaceWith(pane.element);
      old.close();
    } else {
      this.#panes.push(pane);
      this.panes.append(pane.element);
    }
    this.#activate(pane, true);
  }

  /** @param {Pane} pane @param {boolean} [takesFocus] */
  #activate(pane, takesFocus = false) {
    this.lists.active = pane.id;
    this.place.dataset.view = 'conversation';
    this.empty.hidden = true;
    for (const one of this.#panes) one.element.classList.toggle('active', one === pane);
    this.lists.show();
    if (takesFocus) pane.composer.focus();
  }

  /** @param {Pane} pane */
  #drop(pane) {
    this.#panes.splice(this.#panes.indexOf(pane), 1);
    pane.close();
  }

  /** @param {Pane} pane */
  #closePane(pane) {
    this.#drop(pane);
    this.lists.active = null;
    const [next] = this.#panes;
    if (next) return this.#activate(next, true);
    this.empty.hidden = false;
    this.place.dataset.view = 'list';
    this.lists.show();
    focusOn(this.lists.element, '.conversation');
  }

  /** @param {string} id */
  async take(id) {
    this.open(id);
    await this.#active?.take();
  }

  /** @param {number} by */
  #step(by) {
    const all = [...this.lists.mine, ...this.lists.queue, ...this.lists.others];
    if (!all.length) return;
    const at = all.findIndex(({ id }) => id === this.lists.active);
    this.open(all[(at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by + all.length) % all.length].id);
  }

  #openUnread() {
    const { lists, adapter } = this;
    const all = [...lists.mine, ...lists.queue];
    const from = all.findIndex(({ id }) => id === lists.active) + 1;
    const next = [...all.slice(from), ...all.slice(0, from)].find(({ id }) => adapter.getUnread(id) > 0);
    if (next) this.open(next.id);
  }

  #read() {
    for (const pane of this.#panes) pane.update(this.lists.find(pane.id));
    const count = this.lists.mine.filter(({ agentId }) => agentId === this.adapter.user?.id).length;
    fill(this.load, this.#capacity === null ? t('load_default', { count }) : t('load',
      { count, capacity: this.#capacity }));
  }

  // The agent

  async #readSelf() {
    const { adapter } = this;
    try {
      const [account, presence] = await Promise.all([
        adapter.request('GET', '/api/users/me'), adapter.request('GET', '/api/presence/me'),
      ]);
      this.#capacity = account.capacity ?? null;
      const status = presence.users[0]?.status;
      if (STATUSES.includes(status)) this.status.value = status;
      this.#read();
    } catch {
      // The lists are there all the same.
    }
  }

  async #setStatus() {
    try {
      await this.adapter.setStatus(/** @type {typeof STATUSES[number]} */ (this.status.value));
    } catch (error) {
      notice(problemText(error));
      void this.#readSelf();
    }
  }

  #askToLeave() {
    const dialog = openDialog(t('log_out_sure'), t('stay'), el('div', { class: 'actions' },
      el('button', { type: 'button', onclick: () => dialog.close() }, t('stay')),
      el('button', { type: 'button', class: 'primary', onclick: () => {
        dialog.close();
        void this.adapter.logout();
      } }, t('log_out'))));
  }
}
