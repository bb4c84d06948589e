import { AdapterError } from './adapter-error.js';
import { TYPING_LIFETIME_MS } from './limits.js';
import { isEntry, onlineUser } from './wire.js';

/**
 * @typedef {import('./wire.js').Entry} Entry
 * @typedef {import('./conversation.js').Conversation} Conversation
 * @typedef {import('./enterprise-adapter').AdapterEvents} Events
 */

/** The most client ids that are remembered, so that an own message is not told twice. */
const SETTLED_MAX = 1000;

/** What the server sends, made into what the page is told. */
export class Inbox {
  /**
   * @param {object} parts
   * @param {string} parts.userId
   * @param {import('./conversations.js').Conversations} parts.conversations
   * @param {<E extends keyof Events>(event: E, data: Events[E]) => void} parts.emit
   * @param {(frame: object) => boolean} parts.send
   * @param {() => void} parts.onSynced
   * @param {(clientId: string, entry: Entry) => boolean} parts.onOwnEntry whether it was waiting to be acknowledged
   * @param {(frame: any) => boolean} parts.onAnswer an `Ack` or `Error` with a `client_id`: whether it was waited for
   * @param {(frame: any) => void} parts.onPresence
   * @param {(expiresAt: string) => void} parts.onExpiring
   */
  constructor(parts) {
    this.parts = parts;
    /** @type {Events['queue'] | null} */
    this.queue = null;
    /** @type {Map<string, ReturnType<typeof setTimeout>>} */
    this.typing = new Map();
    /** @type {Map<string, number>} */
    this.unread = new Map();
    /**
     * Conversations with something new by others.
     *
     * @type {Set<string>}
     */
    this.toConfirm = new Set();
    /** @type {Set<string>} */
    this.settled = new Set();
    /** Whether the cursors are being compared. */
    this.isSyncing = false;
  }

  /** @param {any} frame */
  take(frame) {
    switch (frame.type) {
      case 'Welcome':
        this.isSyncing = true;
        this.parts.send({ type: 'Sync', cursors: this.parts.conversations.cursors() });
        break;
      case 'Synced': this.#synced(frame); break;
      case 'Gap': this.#gap(frame); break;
      case 'Ack': if (!this.parts.onAnswer(frame)) this.#foreignAck(frame); break;
      case 'Error': if (!this.parts.onAnswer(frame)) this.#error(frame); break;
      case 'Delivered': this.#receipt(frame, 'delivered'); break;
      case 'Read': this.#receipt(frame, 'read'); break;
      case 'Typing': this.#typing(frame.conversation_id, frame.user_id, frame.is_typing === true); break;
      case 'Queued': this.#queued(frame, false); break;
      case 'NoAgentAvailable': this.#queued(frame, true); break;
      case 'UserJoined':
      case 'UserLeft':
      case 'Status':
        this.parts.onPresence(frame);
        this.parts.emit('presence', onlineUser(frame));
        break;
      case 'System':
        if (frame.code === 'session_expiring') this.parts.onExpiring(String(frame.expires_at));
        this.parts.emit('notice', { code: frame.code ?? null, message: String(frame.message ?? '') });
        break;
      default: if (isEntry(frame)) this.#entry(frame);
    }
  }

  /**
   * Its entry was told, so that it is not told again.
   *
   * @param {string} clientId
   */
  settle(clientId) {
    this.settled.add(clientId);
    const [oldest] = this.settled;
    if (this.settled.size > SETTLED_MAX) this.settled.delete(oldest);
  }

  /**
   * An own message or recall that was acknowledged: the `Ack` stands in its place.
   *
   * @param {Entry} entry
   */
  own(entry) {
    const conversation = this.parts.conversations.get(entry.conversation_id);
    const step = conversation.advance(entry.seq);
    if (step !== 'old') this.#cover(conversation, entry);
    if (step === 'jump') this.parts.emit('historyChanged', { conversationId: conversation.id });
    return conversation;
  }

  /**
   * Tells the count if it has changed.
   *
   * @param {Conversation} conversation
   */
  count(conversation) {
    const unread = conversation.unread(this.parts.userId);
    if (unread === (this.unread.get(conversation.id) ?? 0)) return;
    this.unread.set(conversation.id, unread);
    this.parts.emit('unread', { conversationId: conversation.id, unread, total: this.total() });
  }

  total() {
    return [...this.unread.values()].reduce((sum, one) => sum + one, 0);
  }

  close() {
    for (const timer of this.typing.values()) clearTimeout(timer);
    this.typing.clear();
  }

  /** @param {any} frame */
  #synced(frame) {
    for (const [id, head] of Object.entries(frame.heads ?? {})) {
      const conversation = this.parts.conversations.get(id);
      const before = conversation.cursor;
      conversation.skipTo(Number(head));
      if (conversation.cursor !== before) this.parts.conversations.changed(conversation);
    }
    this.isSyncing = false;
    this.parts.onSynced();
  }

  /** @param {any} frame */
  #gap(frame) {
    const conversation = this.parts.conversations.get(String(frame.conversation_id));
    conversation.skipTo(Number(frame.to));
    this.parts.conversations.changed(conversation);
    this.parts.emit('historyChanged', { conversationId: conversation.id });
  }

  /** @param {Entry} entry */
  #entry(entry) {
    const { conversations, userId, emit } = this.parts;
    const conversation = conversations.get(entry.conversation_id);
    const step = conversation.advance(entry.seq);
    const isOwn = entry.type === 'Chat' && entry.from_user_id === userId;
    if (step === 'old') return;
    this.#cover(conversation, entry);
    if (isOwn && entry.client_id && this.parts.onOwnEntry(entry.client_id, entry)) return;
    if (!isOwn) this.toConfirm.add(conversation.id);
    const message = conversations.message(conversation, entry);
    const isTold = isOwn && entry.client_id !== undefined && this.settled.has(entry.client_id);
    if (isOwn && entry.client_id) this.settle(entry.client_id);
    if (message && !isTold) {
      this.#typing(conversation.id, message.from, false);
      emit('message', message);
    }
    if (message && message.kind !== 'chat') this.#routed(message);
    // What an agent has passed on, or was taken away, is not theirs to read any more.
    if (entry.former_agent_id === userId && entry.agent_id !== userId) conversation.read(entry.seq);
    this.count(conversation);
    if (step === 'jump') emit('historyChanged', { conversationId: conversation.id });
  }

  /** @param {Conversation} conversation @param {Entry} entry */
  #cover(conversation, entry) {
    const { conversations } = this.parts;
    const target = entry.type === 'Recall' ? entry.target_seq ?? 0 : 0;
    conversation.cover([entry]);
    conversations.changed(conversation);
    if (target) void this.#recalled(conversation, target);
  }

  /** @param {Conversation} conversation @param {number} target */
  async #recalled(conversation, target) {
    const { conversations, emit } = this.parts;
    if (!conversation.entries.has(target) && !conversation.isLoaded) {
      await conversations.loaded(conversation);
      conversation.recall(target);
      conversations.changed(conversation);
    }
    const entry = conversation.entries.get(target);
    const message = entry && conversations.message(conversation, entry);
    if (message) emit('messageUpdated', message);
    this.count(conversation);
  }

  /** @param {import('./enterprise-adapter').Message} message */
  #routed({ conversationId, kind, agentId, formerAgentId, reason }) {
    const state = kind === 'closed' ? 'closed' : agentId ? 'open' : 'queued';
    this.parts.emit('conversation', {
      conversationId, state, agentId: agentId ?? null, formerAgentId: formerAgentId ?? null, reason: reason ?? null,
    });
    if (state !== 'queued' && this.queue?.conversationId === conversationId) {
      this.queue = null;
      this.parts.emit('queue', { conversationId, position: null, reason: null, noAgent: false });
    }
  }

  /** @param {any} frame @param {boolean} noAgent */
  #queued(frame, noAgent) {
    this.queue = {
      conversationId: String(frame.conversation_id),
      position: Number(frame.position),
      reason: frame.reason ?? null,
      noAgent,
    };
    this.parts.emit('queue', this.queue);
  }

  /**
   * Of something that this adapter did not send: by `ws.ws`, or before it was discarded.
   *
   * @param {any} frame
   */
  #foreignAck(frame) {
    if (typeof frame.conversation_id !== 'string' || !Number.isSafeInteger(frame.seq)) return;
    const conversation = this.parts.conversations.get(frame.conversation_id);
    if (conversation.advance(frame.seq) === 'old') return;
    this.parts.conversations.changed(conversation);
    this.parts.emit('historyChanged', { conversationId: conversation.id });
  }

  /** @param {any} frame */
  #error(frame) {
    const id = frame.conversation_id;
    const isOfCursor = this.isSyncing && ['cursor_out_of_range', 'conversation_unknown'].includes(frame.code);
    if (isOfCursor && typeof id === 'string') {
      // The server is another one, or its data are: what is kept here is of no use.
      void this.parts.conversations.forget(id);
      this.parts.emit('historyChanged', { conversationId: id });
      return;
    }
    this.parts.emit('error', AdapterError.fromFrame(frame));
  }

  /** @param {any} frame @param {'delivered' | 'read'} kind */
  #receipt(frame, kind) {
    const { conversations, userId, emit } = this.parts;
    const conversation = conversations.get(String(frame.conversation_id));
    const seq = Number(frame.seq);
    const reader = String(frame.user_id);
    if (reader === userId) {
      // Another device of one's own.
      if (kind === 'read' && conversation.read(seq)) {
        conversations.changed(conversation);
        this.count(conversation);
      }
      return;
    }
    const before = conversation.receipt(reader, kind, seq);
    if (before === null) return;
    conversations.changed(conversation);
    emit('receipt', { conversationId: conversation.id, userId: reader, kind, seq });
    const first = Math.max(before + 1, conversation.low ?? Infinity);
    for (const entry of conversation.between(first, Math.min(seq, conversation.high ?? 0))) {
      const message = conversations.message(conversation, entry);
      if (message?.own) emit('messageUpdated', message);
    }
  }

  /** @param {string} conversationId @param {string} userId @param {boolean} isTyping */
  #typing(conversationId, userId, isTyping) {
    const key = `${conversationId}\n${userId}`;
    const running = this.typing.get(key);
    if (running === undefined && !isTyping) return;
    clearTimeout(running);
    this.typing.delete(key);
    if (isTyping) {
      this.typing.set(key, setTimeout(() => this.#typing(conversationId, userId, false), TYPING_LIFETIME_MS));
    }
    this.parts.emit('typing', { conversationId, userId, isTyping });
  }
}
