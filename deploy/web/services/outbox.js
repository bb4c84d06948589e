import { AdapterError } from './adapter-error.js';
import { OUTBOX_MESSAGES_MAX } from './limits.js';

/**
 * @typedef {import('./enterprise-adapter').FieldError} FieldError
 * @typedef {import('./enterprise-adapter').Message} Message
 * @typedef {import('./database.js').Database} Database
 */

/** @typedef {{code: string, message: string, status?: number, errors?: FieldError[]}} StoredError */

/**
 * A message that is not acknowledged yet.
 *
 * @typedef {object} OutboxRecord
 * @property {number} [number] the order of all tabs' messages; given by the database
 * @property {string} clientId
 * @property {string} conversationId as far as is known before the `Ack`
 * @property {string | null} to
 * @property {string} content
 * @property {import('./enterprise-adapter').MessageType} type
 * @property {import('./enterprise-adapter').Attachment | null} file
 * @property {string} typedAt RFC 3339
 * @property {'queued' | 'failed'} state
 * @property {StoredError | null} error
 */

/**
 * Which messages can be sent now: the first of each conversation, and only while no earlier one of it is under way,
 * so that none overtakes another even when one has to be tried again.
 *
 * @param {OutboxRecord[]} records in their order
 * @param {ReadonlySet<string>} underWay conversations
 * @returns {OutboxRecord[]}
 */
export function sendable(records, underWay) {
  const seen = new Set(underWay);
  return records.filter((record) => {
    if (record.state !== 'queued' || seen.has(record.conversationId)) return false;
    seen.add(record.conversationId);
    return true;
  });
}

/**
 * The frame of a message, the same at each attempt.
 *
 * @param {OutboxRecord} record
 * @param {string} contentType
 */
export function chatFrame(record, contentType) {
  /** @type {Record<string, string>} */
  const frame = { type: 'Chat', client_id: record.clientId, content: record.content, content_type: contentType };
  if (record.to !== null) frame.to_user_id = record.to;
  if (record.file) frame.file_id = record.file.id;
  return frame;
}

/**
 * @param {OutboxRecord} record
 * @param {string} userId
 * @param {boolean} isUnderWay
 * @returns {Message}
 */
export function outboxMessage(record, userId, isUnderWay) {
  /** @type {Message} */
  const message = {
    key: record.clientId,
    id: null,
    clientId: record.clientId,
    conversationId: record.conversationId,
    seq: null,
    kind: 'chat',
    from: userId,
    to: record.to,
    content: record.content,
    type: record.type,
    timestamp: record.typedAt,
    own: true,
    status: record.state === 'failed' ? 'failed' : isUnderWay ? 'sending' : 'queued',
    recalled: false,
  };
  if (record.file) message.file = record.file;
  if (record.error) message.error = AdapterError.fromJSON(record.error);
  return message;
}

/**
 * The entry that an `Ack` stands for.
 *
 * @param {OutboxRecord} record
 * @param {any} ack
 * @param {string} userId
 * @param {string} contentType
 * @returns {import('./wire.js').Entry}
 */
export function acknowledgedEntry(record, ack, userId, contentType) {
  /** @type {import('./wire.js').Entry} */
  const entry = {
    type: 'Chat',
    seq: ack.seq,
    id: ack.id,
    conversation_id: ack.conversation_id,
    from_user_id: userId,
    content: record.content,
    content_type: contentType,
    timestamp: ack.timestamp,
    client_id: record.clientId,
  };
  if (record.to !== null) entry.to_user_id = record.to;
  if (record.file) entry.file = fileMember(record.file);
  return entry;
}

/** @param {import('./enterprise-adapter').Attachment} file */
function fileMember(file) {
  return {
    file_id: file.id, url: file.url, file_name: file.name, file_type: file.type, size: file.size,
    ...(file.width && file.height ? { width: file.width, height: file.height } : {}),
  };
}

/** The messages that are not acknowledged: those of all tabs, in the database, which has the last word. */
export class Outbox {
  /** @param {Database} database */
  constructor(database) {
    this.database = database;
    /**
     * Those that could not be stored: sent while the page is open.
     *
     * @type {OutboxRecord[]}
     */
    this.volatile = [];
    /**
     * As this tab knows them, by `clientId`.
     *
     * @type {Map<string, OutboxRecord>}
     */
    this.records = new Map();
    /**
     * Ended, and still in the database for a moment: `clientId`s.
     *
     * @type {Set<string>}
     */
    this.leaving = new Set();
    database.onEmptied = () => void this.#restore().catch(() => {});
  }

  async load() {
    for (const record of await this.all()) this.records.set(record.clientId, record);
  }

  /** @returns {Promise<OutboxRecord[]>} in their order */
  async all() {
    /** @type {OutboxRecord[] | null} */
    const stored = await this.database.read(['outbox'], (stores) => stores.getAll('outbox')).catch(() => null);
    // The browser has taken the database away: what this page knows of it is still to be sent.
    if (!stored) return this.inOrder();
    return [...stored, ...this.volatile].filter(({ clientId }) => !this.leaving.has(clientId));
  }

  /**
   * @param {OutboxRecord} record
   * @returns {Promise<boolean>} whether it outlives the page
   * @throws {AdapterError} `outbox_full`
   */
  async add(record) {
    const full = new AdapterError('outbox_full', `text: at most ${OUTBOX_MESSAGES_MAX} messages wait`, {
      errors: [{ field: 'text', rule: `at most ${OUTBOX_MESSAGES_MAX} messages wait` }],
    });
    if (this.volatile.length >= OUTBOX_MESSAGES_MAX) throw full;
    let isKept = this.database.isLasting;
    try {
      record.number = await this.database.write(['outbox'], async (stores) => {
        if (await stores.count('outbox') >= OUTBOX_MESSAGES_MAX) throw full;
        return stores.put('outbox', record);
      });
    } catch (error) {
      if (error === full) throw full;
      this.volatile.push(record);
      isKept = false;
    }
    this.records.set(record.clientId, record);
    return isKept;
  }

  /**
   * It was acknowledged, or is not to be sent.
   *
   * @param {OutboxRecord} record
   * @param {Promise<void>} [stored] what has to be stored before it is gone
   */
  async remove({ clientId, number }, stored) {
    this.records.delete(clientId);
    this.volatile = this.volatile.filter((one) => one.clientId !== clientId);
    if (number === undefined) return;
    // One that cannot be removed stays here: this page does not send it again.
    this.leaving.add(clientId);
    await stored;
    await this.database.write(['outbox'], (stores) => stores.remove('outbox', number));
    this.leaving.delete(clientId);
  }

  /** @param {OutboxRecord} record with another state */
  async update(record) {
    this.records.set(record.clientId, record);
    this.volatile = this.volatile.map((one) => (one.clientId === record.clientId ? record : one));
    const { number } = record;
    if (number === undefined) return;
    await this.database.write(['outbox'], async (stores) => {
      // Another tab may have ended it.
      if (await stores.get('outbox', number)) await stores.put('outbox', record);
    });
  }

  /** What this page knows of the messages that were deleted with the database. */
  async #restore() {
    const lost = this.inOrder().filter(({ number }) => number !== undefined);
    await this.database.write(['outbox'], async (stores) => {
      for (const record of lost) await stores.put('outbox', record);
    });
  }

  counts() {
    let unsent = 0;
    let failed = 0;
    for (const { state } of this.records.values()) {
      if (state === 'failed') failed += 1;
      else unsent += 1;
    }
    return { unsent, failed };
  }

  /** @param {string} [conversationId] */
  inOrder(conversationId) {
    return [...this.records.values()]
      .filter((record) => conversationId === undefined || record.conversationId === conversationId)
      .sort((a, b) => (a.number ?? Infinity) - (b.number ?? Infinity));
  }
}
