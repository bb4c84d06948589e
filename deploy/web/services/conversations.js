import { Conversation } from './conversation.js';
import { CACHED_CONVERSATIONS_MAX } from './limits.js';
import { messageFromEntry } from './wire.js';

/**
 * @typedef {import('./wire.js').Entry} Entry
 * @typedef {import('./enterprise-adapter').Message} Message
 * @typedef {import('./database.js').Database} Database
 * @typedef {import('./conversation.js').ConversationRow} ConversationRow
 */

/** The conversations that this page knows, and their stored copies, which the user's other tabs write too. */
export class Conversations {
  /**
   * @param {Database} database
   * @param {string} userId
   * @param {(written: Map<string, number>) => void} onStored the last `seq` of each conversation that is stored now
   * @param {(error: unknown) => void} onError
   */
  constructor(database, userId, onStored, onError) {
    this.database = database;
    this.userId = userId;
    this.onStored = onStored;
    this.onError = onError;
    /** @type {Map<string, Conversation>} */
    this.known = new Map();
    /** @type {Set<string>} */
    this.dirty = new Set();
    /** @type {Promise<void> | null} */
    this.writing = null;
  }

  /** What earlier pages have stored; entries only where something is unread. */
  async load() {
    /** @type {ConversationRow[]} */
    const rows = await this.database.read(['conversations'], (stores) => stores.getAll('conversations'));
    for (const row of rows) {
      const conversation = Conversation.fromRow(row);
      this.known.set(row.id, conversation);
      if (row.high !== null && row.high > row.readSeq) await this.loaded(conversation);
    }
  }

  /** @param {string} id */
  has(id) {
    return this.known.has(id);
  }

  /** @param {string} id */
  get(id) {
    let conversation = this.known.get(id);
    if (!conversation) {
      conversation = new Conversation(id);
      this.known.set(id, conversation);
      this.#evict(id);
    }
    return conversation;
  }

  /**
   * With its stored entries.
   *
   * @param {Conversation} conversation
   */
  async loaded(conversation) {
    const { id, low, high } = conversation;
    if (conversation.isLoaded || low === null || high === null) return conversation;
    const entries = await this.database.read(['entries'], (stores) => stores.getAll('entries', [id, low], [id, high]));
    if (!conversation.isLoaded) conversation.load(entries);
    return conversation;
  }

  /** What `Sync` says. */
  cursors() {
    /** @type {Record<string, number>} */
    const cursors = {};
    for (const [id, { cursor }] of this.known) if (cursor !== null) cursors[id] = cursor;
    return cursors;
  }

  /** @param {Conversation} conversation @param {Entry} entry */
  message(conversation, entry) {
    return messageFromEntry(entry, this.userId, conversation.statusOf(entry.seq, this.userId));
  }

  /** @param {Conversation} conversation @param {Entry[]} entries @returns {Message[]} */
  messages(conversation, entries) {
    return entries.flatMap((entry) => this.message(conversation, entry) ?? []);
  }

  /** @param {Conversation} conversation */
  changed(conversation) {
    conversation.touchedAt = Date.now();
    this.dirty.add(conversation.id);
    // What came in one turn is stored in one transaction.
    this.writing ??= Promise.resolve().then(() => this.#write());
  }

  /** Once everything so far is stored. */
  async stored() {
    while (this.writing) await this.writing;
  }

  /** @param {string} id */
  async forget(id) {
    this.known.get(id)?.forget();
    this.dirty.delete(id);
    await this.#remove([id]);
  }

  /** @param {string[]} ids */
  async #remove(ids) {
    await this.database.write(['entries', 'conversations'], async (stores) => {
      for (const id of ids) {
        await stores.remove('entries', [id, 0], [id, Number.MAX_SAFE_INTEGER]);
        await stores.remove('conversations', id);
      }
    }).catch(this.onError);
  }

  /**
   * The one that was quiet longest makes room.
   *
   * @param {string} newest
   */
  #evict(newest) {
    if (this.known.size <= CACHED_CONVERSATIONS_MAX) return;
    /** @type {Conversation | null} */
    let oldest = null;
    for (const one of this.known.values()) {
      if (one.id !== newest && (!oldest || one.touchedAt < oldest.touchedAt)) oldest = one;
    }
    if (!oldest) return;
    this.known.delete(oldest.id);
    this.dirty.delete(oldest.id);
    void this.#remove([oldest.id]);
  }

  async #write() {
    /** @type {Map<string, number>} */
    const written = new Map();
    const due = [...this.dirty].flatMap((id) => this.known.get(id) ?? []);
    this.dirty.clear();
    try {
      await this.database.write(['entries', 'conversations'], async (stores) => {
        for (const conversation of due) await this.#writeOne(stores, conversation);
      });
    } catch (error) {
      // The cache is a convenience: the server has it all.
      this.onError(error);
    }
    for (const { id, cursor } of due) if (cursor !== null) written.set(id, cursor);
    this.writing = this.dirty.size ? this.#write() : null;
    this.onStored(written);
  }

  /** @param {import('./database.js').Stores} stores @param {Conversation} conversation */
  async #writeOne(stores, conversation) {
    const { id } = conversation;
    const { row, replaced, entries } = conversation.merged(await stores.get('conversations', id));
    conversation.dirty.clear();
    if (replaced) await stores.remove('entries', [id, replaced[0]], [id, replaced[1]]);
    for (const entry of entries) await stores.put('entries', entry);
    await stores.put('conversations', row);
  }
}
