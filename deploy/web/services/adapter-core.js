import { Account } from './account.js';
import { asAdapterError, AdapterError } from './adapter-error.js';
import { Connection } from './connection.js';
import { Emitter } from './emitter.js';
import { FileUrls } from './file-urls.js';
import { LateModule } from './late.js';
import { NamedUploads } from './named-uploads.js';
import { Reports } from './reports.js';
import { RestClient } from './rest-client.js';
import { DEFAULT_LIMITS, serverLimits } from './server-limits.js';
import { Session } from './session.js';
import { isElsewhere, settingsFrom } from './settings.js';
import { noteUser } from './stored-users.js';

/**
 * @typedef {import('./enterprise-adapter').AdapterConfig} AdapterConfig
 * @typedef {import('./enterprise-adapter').AdapterEvents} Events
 * @typedef {import('./enterprise-adapter').DisconnectInfo} DisconnectInfo
 * @typedef {import('./enterprise-adapter').OnlineUser} OnlineUser
 * @typedef {import('./enterprise-adapter').Role} Role
 * @typedef {import('./enterprise-adapter').ServerLimits} ServerLimits
 * @typedef {import('./enterprise-adapter').User} User
 * @typedef {import('./session-store.js').StoredSession} StoredSession
 */

const onlineUsersModule = new LateModule('online-users.js', () => import('./online-users.js'));

/** What takes longer is told to the operator. */
const SLOW_MS = 1000;

/** The parts of an adapter, and what joins them: the session, the socket that goes with it, the user's messages. */
export class AdapterCore {
  /** @type {Account | null} */
  account = null;
  named = new NamedUploads();
  /** @type {ServerLimits} */
  limits = DEFAULT_LIMITS;
  /** @type {Promise<ServerLimits> | null} */
  #limitsAsked = null;
  /** @type {DisconnectInfo | null} */
  #loss = null;
  /**
   * Once anybody has asked for it.
   *
   * @type {import('./online-users.js').OnlineUsers | null}
   */
  #online = null;
  /** Whether a session that another tab begins is this page's too. */
  #isWanted = false;
  #connectingSince = 0;
  /** How far the server's clock is ahead of this computer's, in milliseconds. */
  #clockOffset = 0;
  #isDisposed = false;
  /**
   * Logins, logouts and what comes of them, one after the other.
   *
   * @type {Promise<unknown>}
   */
  #turn = Promise.resolve();

  /** @param {AdapterConfig} config */
  constructor(config) {
    this.settings = settingsFrom(config, null, pageOrigin());
    this.events = new Emitter((event) => this.#current(event));
    this.session = this.#makeSession();
    this.rest = new RestClient(this.settings.apiUrl, {
      id: () => this.session.id,
      onRefused: (id) => this.session.refused(id),
    });
    this.connection = this.#makeConnection();
    this.urls = new FileUrls(this.rest, () => this.now());
    this.reports = new Reports(`${this.settings.apiUrl}/api/client-log`, this.settings.reports);
  }

  get user() {
    return this.session.current?.user ?? null;
  }

  now() {
    return Date.now() + this.#clockOffset;
  }

  needAccount() {
    if (!this.account || !this.user) throw AdapterError.notLoggedIn();
    return this.account;
  }

  // Settings

  /** @param {AdapterConfig} config */
  configure(config) {
    const former = this.settings;
    const settings = settingsFrom(config, former, pageOrigin());
    this.settings = settings;
    Object.assign(this.connection.parts.settings, connectionSettings(settings));
    if (isElsewhere(former, settings)) this.#move();
    if (former.apiUrl !== settings.apiUrl || former.reports !== settings.reports) {
      this.reports.dispose();
      this.reports = new Reports(`${settings.apiUrl}/api/client-log`, settings.reports);
    }
  }

  /** @returns {Promise<ServerLimits>} */
  askLimits() {
    this.#limitsAsked ??= this.rest.json('GET', '/api/config', { isPublic: true }).then(
      (config) => (this.limits = serverLimits(config)),
      (error) => {
        this.#limitsAsked = null;
        throw error;
      },
    );
    return this.#limitsAsked;
  }

  /**
   * @param {AbortSignal} [signal]
   * @param {number} [triesMax]
   */
  async onlineUsers(signal, triesMax) {
    const { OnlineUsers } = await onlineUsersModule.get(signal, triesMax);
    return (this.#online ??= new OnlineUsers(this.rest, this.report));
  }

  /**
   * @param {(users: OnlineUser[]) => void} callback
   * @param {Role} [role]
   * @returns {() => void}
   */
  subscribeToOnlineUsers(callback, role) {
    const subscription = new AbortController();
    const { signal } = subscription;
    // For as long as it wants to be told.
    this.onlineUsers(signal, Infinity).then((online) => {
      if (signal.aborted || this.#isDisposed) return;
      signal.addEventListener('abort', online.subscribe(callback, role));
    }, (error) => signal.aborted || this.report(error));
    return () => subscription.abort();
  }

  /** To another server, or to another user's place: the session stays where it is. */
  #move() {
    const hadUser = this.user !== null;
    this.#leave('the adapter was given another configuration');
    this.connection.disconnect('idle');
    this.session.close();
    this.session = this.#makeSession();
    this.rest.baseUrl = this.settings.apiUrl;
    this.limits = DEFAULT_LIMITS;
    this.#limitsAsked = null;
    this.#forgetUser();
    if (hadUser) this.events.emit('logout', { reason: 'logout' });
  }

  dispose() {
    this.#isDisposed = true;
    this.#leave('the adapter was disposed of');
    this.connection.dispose();
    this.session.close();
    this.#forgetUser();
    this.reports.dispose();
    this.events.clear();
  }

  // Sessions

  /**
   * @param {string} path
   * @param {Record<string, string | undefined>} body
   * @returns {Promise<User>}
   */
  logIn(path, body) {
    return this.#inTurn(async () => {
      this.#isWanted = true;
      const began = performance.now();
      const answer = await this.rest.json('POST', path, { body, isPublic: true });
      const session = await Session.fromLogin(answer, this.rest);
      this.reports.add({ kind: 'timing', message: 'login', value: performance.now() - began });
      const former = this.session.current;
      // Also one that only other tabs have taken up: they go over to the new one.
      const replaced = former ?? this.session.kept();
      if (former && former.user.id !== session.user.id) this.#end('replaced_login');
      await this.#begin(session);
      if (replaced && replaced.id !== session.id) await this.#endOnServer(replaced.id);
      return session.user;
    });
  }

  /** @returns {Promise<User | null>} */
  resume() {
    return this.#inTurn(async () => {
      this.#isWanted = true;
      if (this.user) return this.user;
      const kept = this.session.kept();
      if (!kept) return null;
      try {
        const headers = { 'X-Session-Id': kept.id };
        const now = await this.rest.json('GET', '/auth/session', { headers, isPublic: true });
        kept.user = { ...kept.user, name: String(now.user_name), isAdmin: now.is_admin === true };
      } catch (error) {
        if (asAdapterError(error).status === 401) {
          // Unless another tab has refreshed or replaced it meanwhile.
          if (this.session.kept()?.id === kept.id) this.session.set(null);
          return null;
        }
        // Without the server the page still shows what it has, and goes on by itself.
      }
      await this.#begin(kept);
      return kept.user;
    });
  }

  /** @returns {Promise<void>} */
  logOut() {
    return this.#inTurn(async () => {
      const { id } = this.session;
      if (id === null) return;
      this.connection.disconnect('idle');
      await this.account?.erase();
      this.session.set(null);
      this.#end('logout');
      await this.#endOnServer(id);
    });
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  #inTurn(work) {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  #makeSession() {
    return new Session(this.settings, {
      onChange: () => void this.#inTurn(() => this.#changedElsewhere()),
      onEnded: (reason) => this.#end(reason),
    });
  }

  /** @param {StoredSession} session */
  async #begin(session) {
    const { user } = session;
    this.session.set(session);
    if (this.account?.user.id !== user.id) {
      this.#leave('another user has logged in');
      const name = `${this.session.key}:${user.id}`;
      noteUser(this.session.key, name);
      this.account = await Account.open({
        name,
        user,
        rest: this.rest,
        emit: (event, data) => this.events.emit(event, data),
        connection: this.connection,
        onPresence: (frame) => this.#online?.take(frame),
        onExpiring: (expiresAt) => void this.#refresh(expiresAt).catch(this.report),
        onAckTime: (value) => this.#slow('acknowledged', value),
      });
    }
    this.askLimits().catch(() => {});
    // A socket of the former session would be closed with it.
    this.connection.disconnect('idle');
    this.#loss = null;
    this.events.emit('login', user);
    this.connection.connect();
  }

  /**
   * The user is gone from this page.
   *
   * @param {Events['logout']['reason']} reason
   */
  #end(reason) {
    // After `session_ended` the same user may come back, and finds what waits to be sent.
    if (reason !== 'session_ended') this.#leave('the user has logged out');
    this.session.current = null;
    // A connection that is just asking whether the session lives draws the conclusion itself.
    if (this.connection.state.phase !== 'checking') this.connection.disconnect('idle', reason);
    this.#forgetUser();
    this.events.emit('logout', { reason });
  }

  #forgetUser() {
    this.urls.clear();
    this.#online?.reset();
    this.named.clear();
  }

  /** @param {string} why */
  #leave(why) {
    this.account?.close(why);
    this.account = null;
  }

  /** @param {string} id */
  async #endOnServer(id) {
    await this.rest.json('POST', '/auth/logout', { body: { session_id: id }, isPublic: true }).catch(this.report);
  }

  async #changedElsewhere() {
    const kept = this.session.kept();
    const { current } = this.session;
    if (kept?.id === current?.id) return;
    if (kept && current && kept.user.id === current.user.id) {
      this.session.current = kept;
      return;
    }
    if (current) this.#end(kept ? 'replaced_login' : 'logout');
    if (kept && this.#isWanted) await this.#begin(kept);
  }

  /** @param {string} expiresAt */
  async #refresh(expiresAt) {
    const work = () => this.session.refresh(this.rest, expiresAt, this.now());
    const tabs = this.account?.tabs;
    // One tab asks; the others find its answer.
    const end = await (tabs ? tabs.alone('session', new AbortController().signal, work) : work());
    if (end !== null) this.events.emit('sessionExpiring', { expiresAt: end });
  }

  // The connection

  /** @returns {Connection} */
  #makeConnection() {
    return new Connection({
      settings: connectionSettings(this.settings),
      url: () => this.#socketUrl(),
      onFrame: (frame) => {
        if (frame.type === 'Welcome') this.#clockOffset = Date.parse(frame.server_time) - Date.now() || 0;
        this.account?.inbox.take(frame);
      },
      checkSession: () => this.#checkSession(),
      onConnected: () => this.#connected(),
      onDisconnected: (info) => {
        this.#loss = info;
        this.events.emit('disconnected', info);
      },
      onLost: (code) => this.account?.lost(code),
      onState: () => this.events.emit('state', this.#state()),
      trace: this.#trace,
    });
  }

  #socketUrl() {
    const { current } = this.session;
    if (!current) return null;
    this.#connectingSince = performance.now();
    const query = new URLSearchParams({
      user_id: current.user.id, session_id: current.id, user_type: current.user.type, sync: '1',
    });
    return `${this.settings.wsUrl}?${query}`;
  }

  async #checkSession() {
    try {
      await this.rest.json('GET', '/auth/session', { isOnce: true });
    } catch (error) {
      const { retryAfterMs } = asAdapterError(error);
      return { isEnded: !this.user, retryAfterMs };
    }
    return { isEnded: false };
  }

  #connected() {
    const { user } = this;
    if (!user) return;
    this.reports.add({ kind: 'timing', message: 'connected', value: performance.now() - this.#connectingSince });
    this.#loss = null;
    this.account?.connected();
    void this.#online?.refresh();
    this.events.emit('connected', { user });
  }

  /** @returns {Events['state']} */
  #state() {
    const { name, attempt, retryAt } = this.connection.state;
    return { state: name, attempt, retryAt };
  }

  // What is told

  /** @param {unknown} error that no call waits for */
  report = (error) => {
    const told = asAdapterError(error);
    this.reports.add({ kind: 'error', message: `${told.code}: ${told.message}`, source: 'adapter' });
    this.events.emit('error', told);
  };

  /**
   * @param {string} message
   * @param {number} value milliseconds
   */
  #slow(message, value) {
    if (value >= SLOW_MS) this.reports.add({ kind: 'timing', message, value });
  }

  /**
   * @param {string} text
   * @param {unknown} [detail]
   */
  #trace = (text, detail) => {
    if (this.settings.debug) console.debug(`[adapter] ${text}`, ...(detail === undefined ? [] : [detail]));
  };

  /**
   * What a late listener is told.
   *
   * @param {keyof Events} event
   * @returns {unknown}
   */
  #current(event) {
    const { user } = this;
    switch (event) {
      case 'login': return user ?? undefined;
      case 'state': return this.#state();
      case 'connected': return this.connection.isOpen && user ? { user } : undefined;
      case 'disconnected': return this.#loss ?? undefined;
      case 'outbox': return this.account?.outbox.counts();
      case 'queue': return this.account?.inbox.queue ?? undefined;
      default: return undefined;
    }
  }
}

function pageOrigin() {
  return globalThis.location?.origin ?? 'http://localhost';
}

/** @param {import('./settings.js').Settings} settings */
function connectionSettings({ autoReconnect, heartbeatInterval }) {
  return { autoReconnect, heartbeatMs: heartbeatInterval };
}
