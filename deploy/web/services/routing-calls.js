import { messageFromEntry } from './wire.js';

/**
 * @typedef {import('./enterprise-adapter').Conversation} Conversation
 * @typedef {import('./rest-client.js').RestClient} RestClient
 */

/** Conversations as lists and as agents pass them on. */
export class RoutingCalls {
  /**
   * @param {RestClient} rest
   * @param {() => string} userId one's own
   */
  constructor(rest, userId) {
    this.rest = rest;
    this.userId = userId;
  }

  /** @param {{state?: string, scope?: string, limit?: number, cursor?: string}} query */
  async list(query) {
    const page = await this.rest.json('GET', '/api/conversations', { query });
    return {
      conversations: page.conversations.map((/** @type {any} */ one) => this.#conversation(one)),
      nextCursor: page.next_cursor === undefined || page.next_cursor === null ? null : String(page.next_cursor),
    };
  }

  /** @param {string} id */
  async get(id) {
    return this.#conversation(await this.rest.json('GET', path(id)));
  }

  /** @param {string} id @param {'assign' | 'transfer' | 'close'} what @param {Record<string, unknown>} body */
  async change(id, what, body) {
    return this.#conversation(await this.rest.json('POST', `${path(id)}/${what}`, { body }));
  }

  /** @param {string} id */
  routing(id) {
    return this.rest.json('GET', `${path(id)}/routing`);
  }

  /** @param {any} one @returns {Conversation} */
  #conversation(one) {
    return {
      id: one.conversation_id,
      customerId: one.customer_id ?? null,
      agentId: one.agent_id ?? null,
      state: one.state,
      lastMessage: one.last_message ? messageFromEntry(one.last_message, this.userId(), 'sent') : null,
      head: one.head,
      unread: one.unread,
      updatedAt: one.updated_at,
    };
  }
}

/** @param {string} id */
function path(id) {
  // The colon stands for itself in a path; nothing else of an id needs escaping.
  return `/api/conversations/${encodeURIComponent(id).replaceAll('%3A', ':')}`;
}
