import { AdapterCore } from './adapter-core.js';
import { AdapterError } from './adapter-error.js';
import { checkedMessage, checkedPageQuery, checkedReceiver, checkedRole, checkedText } from './arguments.js';
import { LateModule } from './late.js';
import { RoutingCalls } from './routing-calls.js';
import { wellFormed } from './wire.js';

/**
 * @typedef {import('./enterprise-adapter').AdapterConfig} AdapterConfig
 * @typedef {import('./enterprise-adapter').AdapterEvents} Events
 * @typedef {import('./enterprise-adapter').Attachment} Attachment
 * @typedef {import('./enterprise-adapter').MessageType} MessageType
 * @typedef {import('./enterprise-adapter').OnlineUser} OnlineUser
 * @typedef {import('./enterprise-adapter').Role} Role
 * @typedef {import('./arguments.js').PageQuery} PageQuery
 */

const uploadsModule = new LateModule('uploads.js', () => import('./uploads.js'));

/**
 * The backend's client; README.md has every method, event and error.
 *
 * @implements {import('./enterprise-adapter').EnterpriseAdapter}
 */
export class EnterpriseAdapter {
  /** @type {EnterpriseAdapter | null} */
  static #shared = null;

  /** @param {AdapterConfig} [config] */
  static getInstance(config = {}) {
    const shared = (EnterpriseAdapter.#shared ??= new EnterpriseAdapter(config));
    shared.#core.configure(config);
    shared.#expose();
    return shared;
  }

  #core;
  #routing;

  /** @param {AdapterConfig} [config] */
  constructor(config = {}) {
    this.#core = new AdapterCore(config);
    this.#routing = new RoutingCalls(this.#core.rest, () => this.user?.id ?? '');
    this.#expose();
  }

  get config() {
    return Object.freeze({ ...this.#core.settings });
  }

  get user() {
    return this.#core.user;
  }

  get state() {
    return this.#core.connection.state.name;
  }

  get isConnected() {
    return this.#core.connection.isOpen;
  }

  get ws() {
    return this.#core.connection;
  }

  // Sessions

  /** @param {string} username @param {string} password @param {Role} [role] */
  async login(username, password, role) {
    return this.#core.logIn('/auth/login', {
      username: checkedText(username, 'username'),
      password: checkedText(password, 'password'),
      user_type: checkedRole(role),
    });
  }

  /** @param {string} [name] */
  async loginAsGuest(name) {
    return this.#core.logIn('/auth/guest', { user_name: name || undefined });
  }

  /** @param {string} token */
  async loginWithToken(token) {
    return this.#core.logIn('/auth/exchange', { token: checkedText(token, 'token') });
  }

  resume() {
    return this.#core.resume();
  }

  logout() {
    return this.#core.logOut();
  }

  connect() {
    if (!this.user) throw AdapterError.notLoggedIn();
    this.#core.connection.connect();
  }

  disconnect() {
    this.#core.connection.disconnect(this.user ? 'stopped' : 'idle', 'disconnect');
  }

  dispose() {
    this.#core.dispose();
    if (EnterpriseAdapter.#shared === this) EnterpriseAdapter.#shared = null;
  }

  // Messages

  /**
   * @param {string} text
   * @param {string | null} [receiverId]
   * @param {MessageType} [type]
   * @param {import('./enterprise-adapter').SendOptions} [options]
   */
  async sendMessage(text, receiverId, type, options = {}) {
    const account = this.#core.needAccount();
    const { limits, named } = this.#core;
    const kind = checkedMessage(text, type ?? options.attachment?.type ?? 'text', limits);
    const to = checkedReceiver(receiverId, account.user, 'receiverId');
    const file = named.of(text, kind, options);
    if (!file) checkedText(text, 'text');
    named.take(file);
    return account.send({ to, content: wellFormed(text), type: kind, file });
  }

  /** @param {string} key */
  async resend(key) {
    return this.#core.needAccount().resend(key);
  }

  /** @param {string} key */
  async discard(key) {
    await this.#core.needAccount().discard(key);
  }

  /** @param {{conversationId: string, seq: number | null}} message */
  async recall({ conversationId, seq }) {
    const account = this.#core.needAccount();
    if (seq === null) throw AdapterError.argument('message.seq', 'is not there before the message is sent: discard it');
    await account.recall(conversationId, seq);
  }

  async getUnsent() {
    return this.#core.needAccount().unsent();
  }

  /** @param {PageQuery | string} [query] */
  async getMessages(query = {}) {
    const account = this.#core.needAccount();
    return account.page(checkedPageQuery(query, account.user, this.#core.limits));
  }

  /** @param {string} conversationId @param {number} [seq] */
  markRead(conversationId, seq) {
    this.#core.needAccount().markRead(conversationId, seq);
  }

  /** @param {string} [conversationId] */
  getUnread(conversationId) {
    const inbox = this.#core.account?.inbox;
    if (!inbox) return 0;
    return conversationId === undefined ? inbox.total() : inbox.unread.get(conversationId) ?? 0;
  }

  /** @param {string | null} [receiverId] */
  sendTyping(receiverId, isTyping = true) {
    const account = this.#core.needAccount();
    account.typing(checkedReceiver(receiverId, account.user, 'receiverId'), isTyping);
  }

  // Files

  /** @param {File} file @param {(percent: number) => void} [progress] @param {{signal?: AbortSignal}} [options] */
  async uploadFile(file, progress = () => {}, options = {}) {
    const { named, limits, reports } = this.#core;
    const { ending, database } = this.#core.needAccount();
    if (!(file instanceof Blob) || typeof file.name !== 'string') throw AdapterError.argument('file', 'must be a File');
    // A file is its user's: it is not sent on as that of whoever logs in next.
    const signal = either(ending.signal, options.signal);
    const { checkFile, Uploads } = await uploadsModule.get(signal);
    checkFile(file, await this.getLimits().catch(() => limits));
    const uploads = new Uploads({ rest: this.#core.rest, database, threshold: this.config.chunkThreshold });
    const began = performance.now();
    const attachment = await uploads.upload(file, progress, signal);
    if (ending.signal.aborted) throw AdapterError.aborted('the user has logged out');
    named.add(attachment);
    reports.add({ kind: 'timing', message: 'upload', value: performance.now() - began });
    return attachment;
  }

  /** @param {string | Attachment} file */
  async fileUrl(file) {
    return this.#core.urls.get(typeof file === 'string' ? file : file.id);
  }

  // People

  /** @param {Role} [role] */
  async getOnlineUsers(role) {
    return (await this.#core.onlineUsers()).list(role);
  }

  /** @param {(users: OnlineUser[]) => void} callback @param {Role} [role] */
  subscribeToOnlineUsers(callback, role) {
    return this.#core.subscribeToOnlineUsers(callback, role);
  }

  /** @param {'Online' | 'Busy' | 'Away'} status */
  async setStatus(status) {
    await this.request('PUT', '/api/presence/me', { status });
  }

  // Conversations

  /** @param {{state?: 'queued' | 'open' | 'closed', scope?: 'own' | 'all', limit?: number, cursor?: string}} [query] */
  async getConversations(query = {}) {
    const page = await this.#routing.list(query);
    if (query.scope !== 'all') {
      for (const { id, unread, head } of page.conversations) this.#core.account?.counted(id, unread, head);
    }
    return page;
  }

  /** @param {string} conversationId */
  async getConversation(conversationId) {
    return this.#routing.get(conversationId);
  }

  /** @param {string} conversationId @param {string} [agentId] @param {string} [reason] */
  async assignConversation(conversationId, agentId, reason) {
    return this.#routing.change(conversationId, 'assign', { agent_id: agentId ?? this.user?.id, reason });
  }

  /**
   * @param {string} conversationId
   * @param {{agentId: string, reason?: string} | {queue: true, reason?: string}} to
   */
  async transferConversation(conversationId, to) {
    const target = 'agentId' in to ? { agent_id: to.agentId } : { queue: true };
    return this.#routing.change(conversationId, 'transfer', { ...target, reason: to.reason });
  }

  /** @param {string} conversationId @param {string} [reason] */
  async closeConversation(conversationId, reason) {
    return this.#routing.change(conversationId, 'close', { reason });
  }

  /** @param {string} conversationId */
  async getRouting(conversationId) {
    return this.#routing.routing(conversationId);
  }

  // The rest

  now() {
    return this.#core.now();
  }

  getLimits() {
    return this.#core.askLimits();
  }

  /** @param {string} method @param {string} path @param {unknown} [body] */
  async request(method, path, body) {
    if (!/^\/\S*$/.test(path)) throw AdapterError.argument('path', 'must begin with / and have no blanks');
    return this.#core.rest.json(method.toUpperCase(), path, { body });
  }

  /** @template {keyof Events} E @param {E} event @param {(data: Events[E]) => void} listener */
  on(event, listener) {
    return this.#core.events.on(event, listener);
  }

  /** @template {keyof Events} E @param {E} event @param {(data: Events[E]) => void} listener */
  once(event, listener) {
    return this.#core.events.once(event, listener);
  }

  /** @template {keyof Events} E @param {E} event @param {(data: Events[E]) => void} listener */
  off(event, listener) {
    this.#core.events.off(event, listener);
  }

  /** @param {{kind: 'error' | 'timing', message: string, source?: string, value?: number}} event */
  report(event) {
    this.#core.reports.add(event);
  }

  /** For the console. */
  #expose() {
    if (this.config.debug && typeof window !== 'undefined') /** @type {any} */ (window).adapter = this;
  }
}

/**
 * Aborted when one of two is.
 *
 * @param {AbortSignal} one
 * @param {AbortSignal} [other]
 */
function either(one, other) {
  const both = new AbortController();
  for (const signal of [one, other]) {
    if (signal?.aborted) both.abort();
    signal?.addEventListener('abort', () => both.abort(), { once: true, signal: both.signal });
  }
  return both.signal;
}

export { AdapterError };

// What `enterprise-adapter.d.ts` says is what there is.
/** @type {typeof import('./enterprise-adapter').EnterpriseAdapter} */
const _declared = EnterpriseAdapter;
void _declared;
