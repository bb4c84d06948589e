import { AdapterError, asAdapterError } from './adapter-error.js';
import { Conversations } from './conversations.js';
import { openDatabase } from './database.js';
import { Inbox } from './inbox.js';
import { RECEIPT_INTERVAL_MS, TYPING_INTERVAL_MS } from './limits.js';
import { acknowledgedEntry, Outbox, outboxMessage } from './outbox.js';
import { OutboxSender } from './outbox-sender.js';
import { randomId } from './random-id.js';
import { Tabs } from './tabs.js';
import { Waiters } from './waiters.js';
import { contentType, conversationWith, messageFromEntry } from './wire.js';

/**
 * @typedef {import('./enterprise-adapter').AdapterEvents} Events
 * @typedef {import('./enterprise-adapter').Message} Message
 * @typedef {import('./enterprise-adapter').MessagePage} MessagePage
 * @typedef {import('./enterprise-adapter').User} User
 * @typedef {import('./outbox.js').OutboxRecord} OutboxRecord
 * @typedef {import('./wire.js').Entry} Entry
 */

const PAGE_LIMIT = 50;

/**
 * @typedef {object} AccountParts
 * @property {string} name of what is kept, and of what the tabs share
 * @property {User} user
 * @property {import('./rest-client.js').RestClient} rest
 * @property {<E extends keyof Events>(event: E, data: Events[E]) => void} emit
 * @property {import('./connection.js').Connection} connection
 * @property {(frame: any) => void} onPresence
 * @property {(expiresAt: string) => void} onExpiring
 * @property {(milliseconds: number) => void} onAckTime
 */

/** One user's messages on this page: what comes, what goes, and what is kept of both. */
export class Account {
  /** @param {AccountParts} parts */
  static async open(parts) {
    const account = new Account(parts, await openDatabase(parts.name));
    await account.load();
    return account;
  }

  /** @param {AccountParts} parts @param {import('./database.js').Database} database */
  constructor(parts, database) {
    this.parts = parts;
    this.user = parts.user;
    this.database = database;
    this.waiters = new Waiters();
    /**
     * Recalls that wait for their answer, by `client_id`.
     *
     * @type {Map<string, (frame: any) => void>}
     */
    this.recalls = new Map();
    /**
     * Conversations read on this page: said again after a reconnection.
     *
     * @type {Set<string>}
     */
    this.readHere = new Set();
    /** @type {Map<string, number>} */
    this.deliveredDue = new Map();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.deliveredTimer = undefined;
    /** @type {Map<string, number>} */
    this.typedAt = new Map();
    /** @type {Map<string, number>} */
    this.sentAt = new Map();
    this.ending = new AbortController();
    this.tabs = new Tabs(parts.name, (message) => this.#onTab(message));
    this.outbox = new Outbox(database);
    this.conversations = new Conversations(database, this.user.id, (written) => this.#stored(written), this.#report);
    this.inbox = new Inbox({
      userId: this.user.id,
      conversations: this.conversations,
      emit: parts.emit,
      send: (frame) => parts.connection.send(frame),
      onSynced: () => parts.connection.synced(),
      onOwnEntry: (clientId, entry) => this.#ownEntry(clientId, entry),
      onAnswer: (frame) => this.#answered(frame),
      onPresence: parts.onPresence,
      onExpiring: parts.onExpiring,
    });
    this.sender = new OutboxSender({
      outbox: this.outbox,
      tabs: this.tabs,
      send: (frame) => parts.connection.isOpen && parts.connection.send(frame),
      probe: () => parts.connection.probe(),
      restart: () => parts.connection.restart(),
      onSending: (record) => {
        this.sentAt.set(record.clientId, performance.now());
        this.#update(record, true);
      },
      onLost: (record) => !this.isClosed && this.outbox.records.has(record.clientId) && this.#update(record, false),
      onAcknowledged: (record, ack) => this.#acknowledged(record, ack),
      onRefused: (record, error) => this.#refused(record, error),
      onError: this.#report,
    });
  }

  /** Takes up what earlier pages have left. */
  async load() {
    await this.conversations.load().catch(this.#report);
    await this.outbox.load();
    // What other tabs have ended while it was read.
    for (const clientId of this.inbox.settled) this.outbox.records.delete(clientId);
    for (const conversation of this.conversations.known.values()) this.inbox.count(conversation);
  }

  get isClosed() {
    return this.ending.signal.aborted;
  }

  // The connection

  connected() {
    for (const id of this.readHere) {
      const { isMember, readSeq: seq } = this.conversations.get(id);
      if (isMember) this.parts.connection.send({ type: 'Read', conversation_id: id, seq });
    }
    this.sender.start();
  }

  /** @param {number} code */
  lost(code) {
    this.sender.stop(code);
    for (const [clientId, settle] of this.recalls) {
      this.recalls.delete(clientId);
      settle(null);
    }
  }

  // Sending

  /**
   * @param {Pick<OutboxRecord, 'to' | 'content' | 'type' | 'file'>} message
   * @returns {Promise<Message>} at its `Ack`
   */
  async send(message) {
    const { to } = message;
    /** @type {OutboxRecord} */
    const record = {
      ...message,
      clientId: randomId(),
      conversationId: conversationWith(this.user, to, (id) => this.conversations.has(id)),
      typedAt: new Date().toISOString(),
      state: 'queued',
      error: null,
    };
    const isKept = await this.outbox.add(record);
    const acknowledged = this.waiters.wait(record.clientId);
    this.#update(record, false);
    this.tabs.tell({ what: 'queued', record });
    if (!isKept && this.database.isLasting) {
      const text = 'the browser keeps no more; the message is sent while this page is open';
      this.#report(new AdapterError('storage_full', text));
    }
    if (this.parts.connection.isOpen) this.sender.start();
    return acknowledged;
  }

  /** @param {string} key @returns {Promise<Message>} */
  async resend(key) {
    const record = this.outbox.records.get(key);
    if (record?.state !== 'failed') throw AdapterError.argument('key', 'names no message that was refused');
    const again = /** @type {OutboxRecord} */ ({ ...record, state: 'queued', error: null });
    await this.outbox.update(again).catch(this.#report);
    const acknowledged = this.waiters.wait(key);
    this.#update(again, false);
    this.tabs.tell({ what: 'queued', record: again });
    if (this.parts.connection.isOpen) this.sender.start();
    return acknowledged;
  }

  /** @param {string} key */
  async discard(key) {
    const record = this.outbox.records.get(key);
    if (!record) throw AdapterError.argument('key', 'names no unsent message');
    if (this.sender.isUnderWay(key)) throw AdapterError.argument('key', 'names a message that is being sent');
    await this.outbox.remove(record);
    this.tabs.tell({ what: 'discarded', clientId: key, conversationId: record.conversationId });
    this.#discarded(key, record.conversationId);
  }

  /** @param {string} conversationId @param {number} seq */
  recall(conversationId, seq) {
    const clientId = randomId();
    return new Promise((resolve, reject) => {
      this.recalls.set(clientId, (frame) => {
        if (!frame) return reject(AdapterError.network('the connection broke before the answer came'));
        if (frame.type === 'Error') return reject(AdapterError.fromFrame(frame));
        this.inbox.own({
          type: 'Recall', seq: frame.seq, id: frame.id, conversation_id: conversationId, from_user_id: this.user.id,
          target_seq: seq, timestamp: frame.timestamp,
        });
        resolve(undefined);
      });
      const frame = { type: 'Recall', conversation_id: conversationId, target_seq: seq, client_id: clientId };
      if (this.parts.connection.isOpen && this.parts.connection.send(frame)) return;
      this.recalls.delete(clientId);
      reject(AdapterError.network('there is no connection'));
    });
  }

  unsent() {
    return this.outbox.inOrder().map((record) => this.#message(record));
  }

  // Reading

  /**
   * @param {{with?: string, conversationId?: string, before?: number, after?: number, limit?: number}} query
   * @returns {Promise<MessagePage>}
   */
  async page(query) {
    const limit = query.limit ?? PAGE_LIMIT;
    const id = query.conversationId
      ?? conversationWith(this.user, query.with ?? null, (one) => this.conversations.has(one));
    /** @type {Record<string, string>} */
    const asked = query.conversationId === undefined && query.with !== undefined && this.user.role === 'support'
      ? { with: query.with } : { conversation_id: id };
    if (query.after === undefined) {
      const known = this.conversations.known.get(id);
      const entries = known && (await this.conversations.loaded(known).catch(() => known)).page(query.before, limit);
      const isShown = entries?.some(({ type }) => type !== 'Recall') || entries?.[0]?.seq === 1;
      if (known && entries && isShown) return this.#page(known, entries, query, entries[0].seq > 1);
    }
    try {
      return await this.#fetchPage(asked, query, limit);
    } catch (error) {
      if (asAdapterError(error).code !== 'network' || query.after !== undefined) throw error;
      const known = this.conversations.known.get(id);
      if (known?.low == null || known.high === null) throw error;
      // Without the server: what there is of it.
      const last = Math.min(known.high, (query.before ?? Infinity) - 1);
      const entries = known.between(Math.max(known.low, last - limit + 1), last);
      return this.#page(known, entries, query, (entries[0]?.seq ?? 1) > 1);
    }
  }

  /**
   * @param {Record<string, string>} asked
   * @param {{before?: number, after?: number}} query
   * @param {number} limit
   */
  async #fetchPage(asked, query, limit) {
    let { before, after } = query;
    /** @type {Entry[]} */
    let entries = [];
    for (;;) {
      const answer = await this.parts.rest.json('GET', '/api/messages', { query: { ...asked, before, after, limit } });
      const conversation = this.conversations.get(answer.conversation_id);
      conversation.head = Math.max(conversation.head, answer.head);
      await this.conversations.loaded(conversation).catch(() => {});
      conversation.cover(answer.messages);
      this.conversations.changed(conversation);
      entries = after === undefined ? [...answer.messages, ...entries] : [...entries, ...answer.messages];
      // A page of nothing but recalls shows nothing; whoever asked wants to see something.
      if (!answer.has_more || entries.some((entry) => entry.type !== 'Recall')) {
        return this.#page(conversation, entries, query, answer.has_more);
      }
      if (after === undefined) before = answer.messages[0].seq;
      else after = answer.messages.at(-1).seq;
    }
  }

  /**
   * @param {import('./conversation.js').Conversation} conversation
   * @param {Entry[]} entries
   * @param {{before?: number, after?: number}} query
   * @param {boolean} hasMore
   * @returns {MessagePage}
   */
  #page(conversation, entries, query, hasMore) {
    const messages = this.conversations.messages(conversation, entries);
    const isEnd = query.before === undefined && (query.after === undefined || !hasMore);
    if (isEnd) {
      const shown = new Set(messages.map(({ key }) => key));
      for (const record of this.outbox.inOrder(conversation.id)) {
        if (!shown.has(record.clientId)) messages.push(this.#message(record));
      }
    }
    return { conversationId: conversation.id, messages, hasMore, head: conversation.head };
  }

  /** @param {string} conversationId @param {number} [seq] */
  markRead(conversationId, seq) {
    const conversation = this.conversations.get(conversationId);
    const upTo = Math.min(seq ?? conversation.head, conversation.head);
    const { isMember } = conversation;
    if (!conversation.read(upTo)) return;
    if (isMember) {
      this.readHere.add(conversationId);
      this.parts.connection.send({ type: 'Read', conversation_id: conversationId, seq: upTo });
    }
    this.conversations.changed(conversation);
    this.inbox.count(conversation);
  }

  /**
   * What the server counts as unread, where this page has not seen the messages.
   *
   * @param {string} id
   * @param {number} unread
   * @param {number} head
   */
  counted(id, unread, head) {
    const conversation = this.conversations.get(id);
    if (conversation.readSeq >= head) return;
    conversation.counted = { count: unread, head };
    this.inbox.count(conversation);
  }

  /** @param {string | null} receiverId @param {boolean} isTyping */
  typing(receiverId, isTyping) {
    const now = Date.now();
    const key = receiverId ?? '';
    const last = this.typedAt.get(key);
    if (isTyping && last !== undefined && now - last < TYPING_INTERVAL_MS) return;
    if (!isTyping && last === undefined) return;
    this.typedAt.clear();
    if (isTyping) this.typedAt.set(key, now);
    const target = this.user.role === 'customer'
      ? { conversation_id: `c:${this.user.id}` } : { to_user_id: receiverId };
    if (this.parts.connection.isOpen) this.parts.connection.send({ type: 'Typing', ...target, is_typing: isTyping });
  }

  // The end

  /** Nothing is kept of the user. */
  async erase() {
    await this.database.clear().catch(this.#report);
  }

  /** @param {string} why */
  close(why) {
    if (this.isClosed) return;
    this.ending.abort();
    this.sender.stop();
    this.inbox.close();
    clearTimeout(this.deliveredTimer);
    this.tabs.close();
    void this.conversations.stored().finally(() => this.database.close());
    this.waiters.rejectAll(AdapterError.aborted(why));
    this.lost(1000);
  }

  // Inside

  /** @param {unknown} error */
  #report = (error) => {
    if (!this.isClosed) this.parts.emit('error', asAdapterError(error));
  };

  /** @param {OutboxRecord} record @param {boolean} [isUnderWay] */
  #message(record, isUnderWay = this.sender.isUnderWay(record.clientId)) {
    return outboxMessage(record, this.user.id, isUnderWay);
  }

  /** @param {OutboxRecord} record @param {boolean} isUnderWay */
  #update(record, isUnderWay) {
    this.parts.emit('messageUpdated', this.#message(record, isUnderWay));
    if (!isUnderWay) this.parts.emit('outbox', this.outbox.counts());
  }

  /** @param {any} frame */
  #answered(frame) {
    const recall = this.recalls.get(frame.client_id);
    if (recall) {
      this.recalls.delete(frame.client_id);
      recall(frame);
      return true;
    }
    return this.sender.answered(frame);
  }

  /** @param {OutboxRecord} record @param {any} ack */
  async #acknowledged(record, ack) {
    const began = this.sentAt.get(record.clientId);
    if (began !== undefined) this.parts.onAckTime(performance.now() - began);
    const entry = acknowledgedEntry(record, ack, this.user.id, contentType(record.type));
    this.inbox.own(entry);
    this.#sent(record.clientId, entry);
    await this.#settled(record, entry);
  }

  /**
   * @param {OutboxRecord} record
   * @param {Entry} entry
   */
  async #settled(record, entry) {
    // Else a page that is loaded again in between knows of neither, and is told its user's own message as news.
    await this.outbox.remove(record, this.conversations.stored()).catch(this.#report);
    // After it was removed: a tab that is just being opened has either not read it, or hears this.
    this.tabs.tell({ what: 'acknowledged', entry });
    this.parts.emit('outbox', this.outbox.counts());
  }

  /**
   * The entry of an own message has come, sent by another tab or before the connection broke.
   *
   * @param {string} clientId
   * @param {Entry} entry
   */
  #ownEntry(clientId, entry) {
    const record = this.outbox.records.get(clientId);
    if (!record) return false;
    this.#sent(clientId, entry);
    void this.#settled(record, entry);
    return true;
  }

  /** @param {string} clientId @param {Entry} entry */
  #sent(clientId, entry) {
    this.sentAt.delete(clientId);
    // Also one that was told already: it may have been sent once more meanwhile, which was told, too.
    this.inbox.settle(clientId);
    const known = this.conversations.known.get(entry.conversation_id);
    const message = known
      ? this.conversations.message(known, entry) : messageFromEntry(entry, this.user.id, 'sent');
    if (!message) return;
    this.parts.emit('messageUpdated', message);
    this.waiters.settle(clientId, ({ resolve }) => resolve(message));
  }

  /** @param {OutboxRecord} record @param {AdapterError} error */
  async #refused(record, error) {
    const failed = /** @type {OutboxRecord} */ ({ ...record, state: 'failed', error: error.toJSON() });
    await this.outbox.update(failed).catch(this.#report);
    this.tabs.tell({ what: 'refused', record: failed });
    this.#failedHere(failed, error);
  }

  /** @param {OutboxRecord} record @param {AdapterError} error */
  #failedHere(record, error) {
    this.sentAt.delete(record.clientId);
    this.#update(record, false);
    this.waiters.settle(record.clientId, ({ reject }) => reject(error));
  }

  /** @param {string} clientId @param {string} conversationId */
  #discarded(clientId, conversationId) {
    this.parts.emit('messageRemoved', { key: clientId, conversationId });
    this.parts.emit('outbox', this.outbox.counts());
    this.waiters.settle(clientId, ({ reject }) => reject(AdapterError.aborted('the message was discarded')));
  }

  /**
   * What another tab of the user has done.
   *
   * @param {any} message
   */
  #onTab(message) {
    if (this.isClosed) return;
    switch (message.what) {
      case 'queued':
        if (this.inbox.settled.has(message.record.clientId)) break;
        this.outbox.records.set(message.record.clientId, message.record);
        this.#update(message.record, false);
        if (this.parts.connection.isOpen) this.sender.start();
        break;
      case 'acknowledged': {
        const clientId = message.entry.client_id;
        if (!this.outbox.records.delete(clientId)) {
          this.inbox.settle(clientId);
          break;
        }
        this.#sent(clientId, message.entry);
        this.parts.emit('outbox', this.outbox.counts());
        break;
      }
      case 'refused':
        this.outbox.records.set(message.record.clientId, message.record);
        this.#failedHere(message.record, AdapterError.fromJSON(message.record.error));
        break;
      case 'discarded':
        this.inbox.settle(message.clientId);
        if (this.outbox.records.delete(message.clientId)) this.#discarded(message.clientId, message.conversationId);
        break;
    }
  }

  /** @param {Map<string, number>} written */
  #stored(written) {
    for (const [id, seq] of written) {
      if (this.inbox.toConfirm.delete(id)) this.deliveredDue.set(id, seq);
    }
    if (!this.deliveredDue.size || this.isClosed) return;
    const { connection } = this.parts;
    this.deliveredTimer ??= setTimeout(() => {
      this.deliveredTimer = undefined;
      for (const [id, seq] of this.deliveredDue) connection.send({ type: 'Delivered', conversation_id: id, seq });
      this.deliveredDue.clear();
    }, RECEIPT_INTERVAL_MS);
  }
}
