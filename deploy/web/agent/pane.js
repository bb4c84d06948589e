import { Composer } from '../shared/composer.js';
import { openDialog } from '../shared/dialog.js';
import { ICONS, el, fill, iconButton } from '../shared/dom.js';
import { dateTime, shortTime } from '../shared/i18n.js';
import { MessageList } from '../shared/message-list.js';
import { notice } from '../shared/notices.js';
import { problemText } from '../shared/problems.js';
import { AGENT_ICONS } from './agent-icons.js';
import { openCannedReplies } from './canned-replies.js';
import { reasonText, routingText } from './routing-text.js';
import { Search } from './search.js';

/**
 * @typedef {import('../services/enterprise-adapter').Conversation} Conversation
 * @typedef {import('../services/enterprise-adapter').EnterpriseAdapter} EnterpriseAdapter
 * @typedef {import('../services/enterprise-adapter').OnlineUser} OnlineUser
 * @typedef {import('../shared/message-view.js').Translate} Translate
 * @typedef {import('../shared/people.js').People} People
 */

/**
 * What was written and not sent, by agent and conversation: it outlasts its pane.
 *
 * @type {Map<string, string>}
 */
const drafts = new Map();

/** One conversation as an agent works on it. */
export class Pane {
  /** @type {Conversation | null} */
  #conversation = null;
  /** @type {Array<() => void>} */
  #ends = [];

  /**
   * @param {object} parts
   * @param {EnterpriseAdapter} parts.adapter
   * @param {Translate} parts.t
   * @param {People} parts.people
   * @param {string} parts.id
   * @param {() => void} parts.onChange
   * @param {() => void} parts.onBack
   * @param {() => void} parts.onClose
   */
  constructor(parts) {
    this.parts = parts;
    const { adapter, t, people, id, onBack, onClose } = parts;
    this.id = id;
    this.customer = otherOf(id, adapter.user?.id ?? '');
    this.name = el('h2', { tabindex: '-1' });
    this.situation = el('p', { class: 'small muted situation' });
    this.buttons = el('div', { class: 'pane-actions' });
    this.element = el('section', { class: 'pane', 'aria-label': t('conversation') });
    this.list = new MessageList({ adapter, t, people, conversationId: id,
      eventText: (message) => routingText(message, t, (one) => people.name(one)) });
    this.composer = new Composer({ adapter, t, receiver: this.customer, dropArea: this.element });
    this.composer.element.querySelector('.composer-line')?.prepend(
      el('button', { type: 'button', class: 'icon-button replies-button', 'aria-label': t('replies'),
        title: t('replies'), onclick: () => this.openReplies() }, '⚡'),
    );
    this.search = new Search({ adapter, t, conversationId: id, nameOf: (one) => people.name(one),
      onChosen: (seq) => void this.list.goTo(seq) });
    this.element.append(
      el('header', { class: 'pane-head' },
        iconButton(AGENT_ICONS.back, t('back'), onBack, { class: 'icon-button back' }),
        el('div', { class: 'pane-title' }, this.name, this.situation),
        this.buttons,
        iconButton(AGENT_ICONS.search, t('search'), () => this.search.toggle()),
        iconButton(AGENT_ICONS.info, t('routing'), () => void this.openRouting()),
        iconButton(ICONS.close, t('close_pane'), onClose, { class: 'icon-button close-pane' })),
      this.search.element, this.list.element, this.composer.element,
    );
    this.draftKey = `${adapter.user?.id} ${id}`;
    this.composer.draft = drafts.get(this.draftKey) ?? '';
    this.#ends = [
      people.onChange((who) => (who === this.customer || who === this.#conversation?.agentId) && this.show()),
      adapter.on('conversation', (change) => change.conversationId === id && void this.refresh()),
    ];
    this.show();
    void this.list.open();
    void this.refresh();
  }

  close() {
    for (const end of this.#ends) end();
    if (this.composer.draft) drafts.set(this.draftKey, this.composer.draft);
    else drafts.delete(this.draftKey);
    this.list.close();
    this.element.remove();
  }

  get customerName() {
    return this.parts.people.name(this.customer);
  }

  async refresh() {
    try {
      this.#conversation = await this.parts.adapter.getConversation(this.id);
    } catch {
      // What the list knows of it has to do.
    }
    this.show();
  }

  /**
   * What another look at the lists has brought.
   *
   * @param {Conversation | undefined} conversation
   */
  update(conversation) {
    if (!conversation) return;
    this.#conversation = conversation;
    this.show();
  }

  show() {
    const { t, people, adapter } = this.parts;
    const person = people.get(this.customer);
    const status = person?.status ?? 'Offline';
    fill(this.name, this.customerName);
    const lastSeen = status === 'Offline' ? person?.lastSeen : null;
    const seen = lastSeen ? ` · ${t('last_seen', { time: shortTime(lastSeen) })}` : '';
    const state = this.#stateText();
    fill(this.situation, el('span', { class: `dot ${status}` }), ` ${t(status)}${seen}${state ? ` · ${state}` : ''}`);
    const { state: now, agentId } = this.#conversation ?? {};
    const isMine = now === 'open' && agentId === adapter.user?.id;
    const isRouted = this.id.startsWith('c:') && this.#conversation !== null;
    // Of what another agent does, only administrators dispose.
    const isFree = !isMine && (now !== 'open' || adapter.user?.isAdmin === true);
    const key = `${isRouted}${now}${isMine}`;
    // Whoever is at a button stays there.
    if (this.buttons.dataset.key === key) return;
    this.buttons.dataset.key = key;
    fill(this.buttons,
      isRouted && isFree && el('button', { type: 'button', class: 'primary', onclick: () => void this.take() },
        t('take')),
      isRouted && now === 'open' && (isMine || adapter.user?.isAdmin) && el('button',
        { type: 'button', onclick: () => void this.openTransfer() }, t('transfer')),
      isRouted && now === 'open' && (isMine || adapter.user?.isAdmin) && el('button',
        { type: 'button', onclick: () => this.openClose() }, t('close_conversation')));
  }

  #stateText() {
    const { t, people, adapter } = this.parts;
    if (!this.#conversation || !this.id.startsWith('c:')) return '';
    const { state, agentId } = this.#conversation;
    if (state === 'queued') return t('state_queued');
    if (state === 'closed') return t('state_closed');
    return agentId === adapter.user?.id ? t('state_open_own') : t('state_open_other', { agent: people.name(agentId) });
  }

  // What an agent does

  async take() {
    await this.#do(() => this.parts.adapter.assignConversation(this.id));
    this.composer.focus();
  }

  openReplies() {
    openCannedReplies(this.parts.t, this.customerName, (text) => this.composer.insert(text));
  }

  /** @param {() => Promise<Conversation>} work @param {string} [done] what is said then */
  async #do(work, done) {
    try {
      this.update(await work());
      if (done) notice(done);
      this.parts.onChange();
    } catch (error) {
      notice(problemText(error));
      void this.refresh();
    }
  }

  openClose() {
    const { adapter, t } = this.parts;
    const reason = el('input', { maxlength: '200' });
    const dialog = openDialog(t('close_sure', { name: this.customerName }), t('cancel'),
      el('form', { class: 'stack', onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        dialog.close();
        void this.#do(() => adapter.closeConversation(this.id, reason.value.trim() || undefined),
          t('closed_by_you', { name: this.customerName }));
      } }, el('label', {}, t('reason'), reason), el('div', { class: 'actions' },
        el('button', { type: 'button', onclick: () => dialog.close() }, t('cancel')),
        el('button', { class: 'primary' }, t('close_conversation')))));
    reason.focus();
  }

  async openTransfer() {
    const { adapter, t, people } = this.parts;
    const agents = await adapter.getOnlineUsers('support').catch(() => /** @type {OnlineUser[]} */ ([]));
    const others = agents.filter(({ id }) => id !== this.#conversation?.agentId);
    const choice = el('select', {},
      ...others.map(({ id, name, status }) => el('option', { value: id }, `${name} (${t(status)})`)),
      el('option', { value: '' }, t('to_queue')));
    const reason = el('input', { maxlength: '200' });
    const dialog = openDialog(t('transfer_to', { name: people.name(this.customer) }), t('cancel'),
      el('form', { class: 'stack', onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        dialog.close();
        const note = reason.value.trim() || undefined;
        void this.#do(() => adapter.transferConversation(this.id,
          choice.value ? { agentId: choice.value, reason: note } : { queue: true,
          reason: note }), t('transferred_now'));
      } }, !others.length && el('p', { class: 'muted' }, t('nobody_else')),
      el('label', {}, t('to_whom'), choice), el('label', {}, t('reason'), reason), el('div', { class: 'actions' },
        el('button', { type: 'button', onclick: () => dialog.close() }, t('cancel')),
        el('button', { class: 'primary' }, t('transfer')))));
    choice.focus();
  }

  async openRouting() {
    const { adapter, t } = this.parts;
    try {
      /** @type {any} */
      const { decisions } = await adapter.getRouting(this.id);
      openDialog(t('routing_of', { name: this.customerName }), t('close'), decisions.length
        ? el('ol', { class: 'decisions', reversed: true },
          ...decisions.map((/** @type {any} */ one) => this.#decision(one)))
        : el('p', {}, t('no_routing')));
    } catch (error) {
      notice(problemText(error));
    }
  }

  /** @param {any} decision as the server writes it */
  #decision({ kind, agent_id: agentId, reason, requested_by: by, note, at }) {
    const { t, people } = this.parts;
    const agent = people.name(agentId ?? null);
    const what = kind === 'transferred' && !agentId ? t('decision_requeued') : t(`decision_${kind}`, { agent });
    return el('li', {}, el('strong', {}, what), ` · ${reasonText(String(reason), t)}`,
      by && ` · ${t('decision_by', { agent: people.name(by) })}`,
      note && el('q', { class: 'note' }, note), el('span', { class: 'small muted' }, dateTime(at)));
  }
}

/**
 * Whose conversation it is: a customer's, or the other one's of two agents.
 *
 * @param {string} id
 * @param {string} self
 */
function otherOf(id, self) {
  if (id.startsWith('c:')) return id.slice(2);
  const [a, b] = id.slice(2).split(':');
  return a === self ? b : a;
}
