import { CACHED_ENTRIES_MAX } from './limits.js';

/** @typedef {import('./wire.js').Entry} Entry */

/**
 * As it is stored.
 *
 * @typedef {object} ConversationRow
 * @property {string} id
 * @property {number | null} cursor
 * @property {number | null} low
 * @property {number | null} high
 * @property {number} readSeq
 * @property {Record<string, {delivered: number, read: number}>} receipts
 * @property {number} touchedAt
 */

/**
 * What this page knows of one conversation: how far it was told (`cursor`), and the newest entries without a hole
 * (`low` to `high`). No I/O.
 */
export class Conversation {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    /**
     * The last `seq` that the page's listeners were told; what `Sync` says.
     *
     * @type {number | null}
     */
    this.cursor = null;
    /** @type {number | null} */
    this.low = null;
    /** @type {number | null} */
    this.high = null;
    /** The newest `seq` that is known to exist. */
    this.head = 0;
    this.readSeq = 0;
    /**
     * What the server counted, up to a `seq`.
     *
     * @type {{count: number, head: number} | null}
     */
    this.counted = null;
    /** @type {Record<string, {delivered: number, read: number}>} */
    this.receipts = {};
    /**
     * Between `low` and `high`; all of these once `isLoaded`.
     *
     * @type {Map<number, Entry>}
     */
    this.entries = new Map();
    this.isLoaded = true;
    this.touchedAt = 0;
    /**
     * `seq`s that are to be stored.
     *
     * @type {Set<number>}
     */
    this.dirty = new Set();
  }

  /** @param {ConversationRow} row */
  static fromRow(row) {
    const made = new Conversation(row.id);
    Object.assign(made, { ...row, receipts: { ...row.receipts } });
    made.head = Math.max(row.high ?? 0, row.cursor ?? 0);
    made.isLoaded = row.low === null;
    return made;
  }

  /** Whether the user is or was a member: others' conversations can be read, but the server takes no marks for them. */
  get isMember() {
    return this.cursor !== null || (this.counted?.count ?? 0) > 0;
  }

  /**
   * The next thing on the connection has this `seq`.
   *
   * @param {number} seq
   * @returns {'next' | 'old' | 'jump'} `jump`: there are entries between that were not told
   */
  advance(seq) {
    this.head = Math.max(this.head, seq);
    if (this.cursor !== null && seq <= this.cursor) return 'old';
    const isNext = this.cursor === null || seq === this.cursor + 1;
    this.cursor = seq;
    return isNext ? 'next' : 'jump';
  }

  /**
   * Everything up to `seq` was told, or is left out by the server's own word.
   *
   * @param {number} seq
   */
  skipTo(seq) {
    this.head = Math.max(this.head, seq);
    if (this.cursor === null || this.cursor < seq) this.cursor = seq;
  }

  /**
   * Takes entries that follow each other, live ones or a page's. What does not touch the entries that are there
   * replaces them if it is newer, and is left out if it is older.
   *
   * @param {Entry[]} entries
   */
  cover(entries) {
    if (!entries.length) return;
    const first = entries[0].seq;
    const last = entries[entries.length - 1].seq;
    this.head = Math.max(this.head, last);
    if (this.low !== null && this.high !== null && (first > this.high + 1 || last < this.low - 1)) {
      if (last < this.low) return;
      this.entries.clear();
      this.dirty.clear();
      this.isLoaded = true;
      this.low = this.high = null;
    }
    for (const entry of entries) this.#put(entry);
    this.low = Math.min(this.low ?? first, first);
    this.high = Math.max(this.high ?? last, last);
    // A recall of one in the same run.
    for (const entry of entries) if (entry.type === 'Recall') this.recall(entry.target_seq ?? 0);
    this.#trim();
  }

  /** @param {Entry} entry */
  #put(entry) {
    // What was recalled stays so, though an older copy of it may come.
    if (this.entries.get(entry.seq)?.recalled && !entry.recalled) return;
    this.entries.set(entry.seq, entry);
    this.dirty.add(entry.seq);
  }

  #trim() {
    if (this.low === null || this.high === null) return;
    const least = this.high - CACHED_ENTRIES_MAX + 1;
    for (; this.low < least; this.low += 1) {
      this.entries.delete(this.low);
      this.dirty.delete(this.low);
    }
  }

  /**
   * What was stored of it.
   *
   * @param {Entry[]} entries
   */
  load(entries) {
    for (const entry of entries) {
      const isWithin = this.low !== null && this.high !== null && entry.seq >= this.low && entry.seq <= this.high;
      if (isWithin && !this.entries.has(entry.seq)) this.entries.set(entry.seq, entry);
    }
    this.isLoaded = true;
    // Storage that has lost something is as good as none.
    if (this.low !== null && this.high !== null && this.entries.size !== this.high - this.low + 1) {
      let seq = this.high;
      while (this.entries.has(seq)) seq -= 1;
      if (seq === this.high) {
        this.low = this.high = null;
        this.entries.clear();
      } else {
        this.low = seq + 1;
        for (const one of this.entries.keys()) if (one < this.low) this.entries.delete(one);
      }
    }
  }

  /**
   * Takes the content out of a message.
   *
   * @param {number} target
   * @returns {Entry | null} as it is then; `null` if it is not here, or was recalled before
   */
  recall(target) {
    const entry = this.entries.get(target);
    if (!entry || entry.recalled) return null;
    const { content: _content, file: _file, ...rest } = entry;
    const recalled = { ...rest, recalled: true };
    this.entries.set(target, recalled);
    this.dirty.add(target);
    return recalled;
  }

  /** It is not what it was: everything known of it counts for nothing. */
  forget() {
    this.cursor = this.low = this.high = this.counted = null;
    this.head = this.readSeq = 0;
    this.entries.clear();
    this.dirty.clear();
    this.isLoaded = true;
  }

  /**
   * @param {number | undefined} before
   * @param {number} limit
   * @returns {Entry[] | null} oldest first; `null` when not all of the page is here
   */
  page(before, limit) {
    if (this.low === null || this.high === null || !this.isLoaded) return null;
    if (before === undefined && this.high < this.head) return null;
    const end = Math.min(before ?? Infinity, this.high + 1);
    if (before !== undefined && before > this.high + 1) return null;
    const start = Math.max(1, end - limit);
    if (start < this.low) return null;
    return this.between(start, end - 1);
  }

  /** @param {number} first @param {number} last @returns {Entry[]} */
  between(first, last) {
    const found = [];
    for (let seq = first; seq <= last; seq += 1) {
      const entry = this.entries.get(seq);
      if (entry) found.push(entry);
    }
    return found;
  }

  // Receipts

  /**
   * @param {string} userId
   * @param {'delivered' | 'read'} kind
   * @param {number} seq
   * @returns {number | null} where it stood before; `null` if that is no news
   */
  receipt(userId, kind, seq) {
    const known = this.receipts[userId] ?? { delivered: 0, read: 0 };
    const before = known[kind];
    if (seq <= before) return null;
    known[kind] = seq;
    this.receipts[userId] = known;
    return before;
  }

  /**
   * How far an own entry has come.
   *
   * @param {number} seq
   * @param {string} userId one's own
   * @returns {'sent' | 'delivered' | 'read'}
   */
  statusOf(seq, userId) {
    let status = /** @type {'sent' | 'delivered' | 'read'} */ ('sent');
    for (const [user, { delivered, read }] of Object.entries(this.receipts)) {
      if (user === userId) continue;
      if (read >= seq) return 'read';
      if (delivered >= seq) status = 'delivered';
    }
    return status;
  }

  /**
   * The user has read up to `seq`.
   *
   * @param {number} seq
   * @returns {boolean} whether that is news
   */
  read(seq) {
    if (seq <= this.readSeq) return false;
    this.readSeq = seq;
    this.counted = null;
    return true;
  }

  /** @param {string} userId one's own */
  unread(userId) {
    let count = this.counted?.count ?? 0;
    const since = Math.max(this.readSeq, this.counted?.head ?? 0);
    for (const [seq, entry] of this.entries) {
      if (seq > since && entry.type === 'Chat' && entry.from_user_id !== userId && !entry.recalled) count += 1;
    }
    return count;
  }

  /**
   * As it is to be stored: together with what another tab has stored meanwhile. Only what is in memory here, and what
   * the stored row says, is believed to be there: another tab may have replaced what this one has stored.
   *
   * @param {ConversationRow | undefined} stored
   * @returns {{row: ConversationRow, replaced: [number, number] | null, entries: Entry[]}} the stored entries that go,
   *   and those that are to be put
   */
  merged(stored) {
    const { low, high } = this.#span(stored);
    /** @type {ConversationRow} */
    const row = {
      id: this.id,
      cursor: this.cursor === null ? stored?.cursor ?? null : Math.max(this.cursor, stored?.cursor ?? 0),
      low,
      high,
      readSeq: Math.max(this.readSeq, stored?.readSeq ?? 0),
      receipts: structuredClone(this.receipts),
      touchedAt: Math.max(this.touchedAt, stored?.touchedAt ?? 0),
    };
    for (const [user, receipt] of Object.entries(stored?.receipts ?? {})) {
      const own = row.receipts[user] ?? { delivered: 0, read: 0 };
      row.receipts[user] = {
        delivered: Math.max(own.delivered, receipt.delivered),
        read: Math.max(own.read, receipt.read),
      };
    }
    if (low === null || high === null) return { row, replaced: null, entries: [] };
    const [storedLow, storedHigh] = [stored?.low ?? Infinity, stored?.high ?? -Infinity];
    const isLost = storedLow < low;
    return {
      row,
      replaced: isLost ? [storedLow, Math.min(storedHigh, low - 1)] : null,
      entries: this.between(low, high).filter(({ seq }) => this.dirty.has(seq) || seq < storedLow || seq > storedHigh),
    };
  }

  /**
   * @param {ConversationRow | undefined} stored
   * @returns {{low: number | null, high: number | null}} the newest entries without a hole, here and in the store
   */
  #span(stored) {
    const [storedLow, storedHigh] = [stored?.low ?? null, stored?.high ?? null];
    let low = (this.high ?? 0) + 1;
    while (this.entries.has(low - 1)) low -= 1;
    const high = this.high !== null && low <= this.high ? this.high : null;
    if (high === null) return { low: storedLow, high: storedHigh };
    if (storedLow === null || storedHigh === null || low > storedHigh + 1) return { low, high };
    if (storedLow > high + 1) return { low: storedLow, high: storedHigh };
    const last = Math.max(high, storedHigh);
    return { low: Math.max(Math.min(low, storedLow), last - CACHED_ENTRIES_MAX + 1), high: last };
  }
}
