/**
 * The client of the support-chat backend for web pages: sessions, messages, files, presence.
 *
 * README.md beside this file explains every method, event and error.
 */

/** `customer` is a `Kehu` on the wire, `support` a `Kefu`. */
export type Role = 'customer' | 'support';

export interface AdapterConfig {
  /** The edge, such as `https://api.example.com`; the page's own origin when left out. */
  apiUrl?: string;
  /** The WebSocket, such as `wss://api.example.com/ws`; `apiUrl` with `/ws` when left out. */
  wsUrl?: string;
  /** Writes to the console what happens (never a session id), and sets `window.adapter`. Default: `false`. */
  debug?: boolean;
  /** Whether a lost connection is made again by itself. Default: `true`. */
  autoReconnect?: boolean;
  /** Milliseconds between two `Heartbeat` frames, at least 1,000; 0 sends none. Default: 30,000. */
  heartbeatInterval?: number;
  /**
   * Whose session this is, so that a customer page and an agent console of one origin do not share one. 1 to 32 of
   * `A-Z a-z 0-9 _ -`. Default: `default`.
   */
  profile?: string;
  /**
   * Where the session id is kept: `browser` (localStorage: all tabs, survives a restart), `tab` (sessionStorage:
   * survives a reload), `memory` (neither). Default: `browser`. A password is never kept.
   */
  sessionStorage?: 'browser' | 'tab' | 'memory';
  /** Whether errors and timings of this page are reported to `/api/client-log`. Default: `true`. */
  reports?: boolean;
  /** Files larger than this, in bytes, go up in chunks that can be resumed. Default: 8 MiB. */
  chunkThreshold?: number;
}

export interface User {
  /** The `user_id`. */
  id: string;
  /** The display name. */
  name: string;
  role: Role;
  /** The role as it is on the wire. */
  type: 'Kehu' | 'Kefu';
  isAdmin: boolean;
  isGuest: boolean;
}

export type ConnectionState =
  /** Nobody is logged in. */
  | 'idle'
  /** A connection is being made. */
  | 'connecting'
  /** Messages go through. */
  | 'connected'
  /** The connection was lost; another attempt follows by itself. */
  | 'waiting'
  /** It ended for good; `connect()` tries again (`disconnected` says why). */
  | 'stopped';

export type MessageType = 'text' | 'image' | 'file' | 'voice' | 'video';

export type MessageStatus =
  /** Kept in the outbox until there is a connection. */
  | 'queued'
  /** Sent, not yet acknowledged. */
  | 'sending'
  /** On the server's disk. */
  | 'sent'
  /** A device of the other side has it. */
  | 'delivered'
  /** The other side has read it. */
  | 'read'
  /** Refused for good (`error` says why); `resend` or `discard` it. */
  | 'failed';

/** A file that lies on the server. */
export interface Attachment {
  id: string;
  name: string;
  type: 'image' | 'video' | 'voice' | 'file';
  contentType?: string;
  /** In bytes. */
  size: number;
  /** The path on the server; it needs a session, so show what `fileUrl(id)` answers instead. */
  url: string;
  /** In pixels, as it is to be shown; of images alone. */
  width?: number;
  height?: number;
}

export interface Message {
  /** Stays the same from the moment a message is typed: the `clientId` of own messages, else the server's id. */
  key: string;
  /** The server's id; `null` until it is acknowledged. */
  id: string | null;
  clientId: string | null;
  conversationId: string;
  /** The place in its conversation: 1, 2, 3 …; `null` until it is acknowledged. */
  seq: number | null;
  /** `chat`, or what routing did: an agent got the conversation, it was passed on, it was closed. */
  kind: 'chat' | 'assigned' | 'transferred' | 'closed';
  from: string;
  to: string | null;
  /** Text by somebody else: insert it as text, never as markup. Empty when recalled. */
  content: string;
  type: MessageType;
  file?: Attachment;
  /** The server's time, RFC 3339; before the `Ack` this device's. */
  timestamp: string;
  /** Whether the logged-in user wrote it, on this device or another. */
  own: boolean;
  status: MessageStatus;
  recalled: boolean;
  error?: AdapterError;
  /** Of routing entries: the agent now in charge (`null`: nobody, the customer waits), the former one, and why. */
  agentId?: string | null;
  formerAgentId?: string | null;
  reason?: string;
}

export interface MessagePage {
  conversationId: string;
  /** Oldest first; the page that reaches the end has the unsent ones last. */
  messages: Message[];
  /** Whether there are older ones (newer ones when asked with `after`). */
  hasMore: boolean;
  /** The newest `seq` that is known. */
  head: number;
}

export interface Conversation {
  id: string;
  customerId: string | null;
  agentId: string | null;
  state: 'queued' | 'open' | 'closed';
  lastMessage: Message | null;
  head: number;
  unread: number;
  updatedAt: string;
}

export interface OnlineUser {
  id: string;
  name: string;
  role: Role;
  status: PresenceStatus;
  /** RFC 3339. */
  lastSeen: string | null;
}

export type PresenceStatus = 'Online' | 'Busy' | 'Away' | 'Offline';

/** What `/api/config` announces; counts are characters (Unicode scalars), sizes bytes, times milliseconds. */
export interface ServerLimits {
  fileBytesMax: number;
  base64BytesMax: number;
  imageBytesMax: number;
  videoBytesMax: number;
  voiceBytesMax: number;
  charactersMax: number;
  historyLimitMax: number;
  heartbeatInterval: number;
  pingInterval: number;
  guests: boolean;
}

/** What each event tells its listeners. */
export interface AdapterEvents {
  /** A message that this tab did not write: once each, in the order of its conversation. */
  message: Message;
  /** An own message is new, or any message has changed (status, recall, error); find it by `key`. */
  messageUpdated: Message;
  /** A message was taken out: discarded here or in another tab. */
  messageRemoved: { key: string; conversationId: string };
  /** What is shown of a conversation has a hole or is out of date: read it again with `getMessages`. */
  historyChanged: { conversationId: string };
  connected: { user: User };
  disconnected: DisconnectInfo;
  /** Every change of `adapter.state`. */
  state: { state: ConnectionState; attempt: number; retryAt: number | null };
  login: User;
  /** The user logged out here or in another tab, or the session ended (`reason` `session_ended`). */
  logout: { reason: 'logout' | 'session_ended' | 'replaced_login' };
  /** The session ends at this time and could not be lengthened: have the user log in again. */
  sessionExpiring: { expiresAt: string };
  /** How many messages wait to be sent, and how many were refused. */
  outbox: { unsent: number; failed: number };
  typing: { conversationId: string; userId: string; isTyping: boolean };
  /** Somebody came, left, or changed their status; a customer hears of the agent who serves them. */
  presence: OnlineUser;
  /** The customer waits: the place in the queue, 1 being next; `noAgent`: nobody is there at all. */
  queue: { conversationId: string; position: number | null; reason: string | null; noAgent: boolean };
  /** Routing has changed a conversation (its entry also comes as `message`). */
  conversation: {
    conversationId: string;
    state: 'queued' | 'open' | 'closed';
    agentId: string | null;
    formerAgentId: string | null;
    reason: string | null;
  };
  /** Somebody has received or read a conversation up to `seq`. */
  receipt: { conversationId: string; userId: string; kind: 'delivered' | 'read'; seq: number };
  unread: { conversationId: string; unread: number; total: number };
  /** A notice of the server. */
  notice: { code: string | null; message: string };
  /** Something failed that no call waits for. */
  error: AdapterError;
}

export type DisconnectReason =
  | 'network' | 'drain' | 'overloaded' | 'heartbeat' | 'too_large' | 'session_ended' | 'replaced' | 'protocol'
  | 'policy' | 'disconnect' | 'logout' | 'replaced_login';

export interface DisconnectInfo {
  /** The close code, 1006 when the connection broke or could not be made. */
  code: number;
  /** Why, in a word; README.md says what each means. */
  reason: DisconnectReason;
  willReconnect: boolean;
  /** When the next attempt is due, as `Date.now()` counts. */
  retryAt: number | null;
}

export interface SendOptions {
  /** A file that was uploaded; without it `sendMessage(attachment.name, to, 'file')` finds it by its name. */
  fileId?: string;
  attachment?: Attachment;
}

export interface UploadOptions {
  /** Ends the upload, on the server too; the promise then rejects with `aborted`. */
  signal?: AbortSignal;
}

export interface FieldError {
  /** The argument or the member of the request's body, such as `text` or `file.size`. */
  field: string;
  /** What it breaks, such as `must have at most 10000 characters`. */
  rule: string;
}

/** What every failed call rejects with. */
export class AdapterError extends Error {
  /** A stable word: one of README.md's table, or the server's `code`. */
  readonly code: string;
  /** The HTTP status, 0 when there was no answer or none was asked for. */
  readonly status: number;
  /** The first of `errors`. */
  readonly field: string | null;
  readonly rule: string | null;
  readonly errors: FieldError[];
  /** How long to wait before trying again, where the server says so. */
  readonly retryAfterMs: number | null;
  /** The server's `X-Request-Id`, for its operator. */
  readonly requestId: string | null;
}

/** The socket below; `ws` is the browser's own WebSocket, another one after each reconnection. */
export interface SocketHolder {
  readonly ws: WebSocket | null;
}

export class EnterpriseAdapter {
  /** A further adapter beside the shared one, such as for a second account (with a `profile` of its own). */
  constructor(config?: AdapterConfig);

  /** The page's one adapter. Called again it takes over what is given and differs; another server ends the session. */
  static getInstance(config?: AdapterConfig): EnterpriseAdapter;

  readonly config: Readonly<Required<AdapterConfig>>;
  readonly user: User | null;
  readonly state: ConnectionState;
  readonly isConnected: boolean;
  readonly ws: SocketHolder;

  /** Logs in and opens the socket. */
  login(username: string, password: string, role?: Role): Promise<User>;
  /** A session without a password, where the server allows it. */
  loginAsGuest(name?: string): Promise<User>;
  /** A session for a token that the site's own backend has signed. */
  loginWithToken(token: string): Promise<User>;
  /** Takes up the session that this browser has kept and opens the socket; `null` without a live one. */
  resume(): Promise<User | null>;
  /** Ends the session, here and in other tabs, and forgets what was kept of the user, unsent messages included. */
  logout(): Promise<void>;
  /** Connects now instead of waiting, or after `stopped`. */
  connect(): void;
  /** Closes the socket and stays away until `connect()`; the session and the outbox stay. */
  disconnect(): void;
  /** Lets go of everything (socket, timers, locks, listeners); the session and the outbox stay. */
  dispose(): void;

  /** Sends; resolves with the message once it is acknowledged, however long that takes. */
  sendMessage(text: string, receiverId?: string | null, type?: MessageType, options?: SendOptions): Promise<Message>;
  /** Tries a `failed` message again. */
  resend(key: string): Promise<Message>;
  /** Forgets a message that was not acknowledged. */
  discard(key: string): Promise<void>;
  /** Takes an own message back, within two minutes. */
  recall(message: Pick<Message, 'conversationId' | 'seq'>): Promise<void>;
  /** Everything unsent, oldest first. */
  getUnsent(): Promise<Message[]>;

  /**
   * A page of history, from the cache when it has it. Without `before` and `after` the newest; a customer may leave
   * out whose conversation.
   */
  getMessages(query?: {
    with?: string;
    conversationId?: string;
    before?: number;
    after?: number;
    limit?: number;
  } | string): Promise<MessagePage>;
  /** Says that the user has read a conversation, up to `seq` or its end. */
  markRead(conversationId: string, seq?: number): void;
  getUnread(conversationId?: string): number;
  /** Says that the user types (or has stopped); at most once in 2 s goes out. */
  sendTyping(receiverId?: string | null, isTyping?: boolean): void;

  /** Uploads a file; `progress` gets whole percents that never fall. */
  uploadFile(file: File, progress?: (percent: number) => void, options?: UploadOptions): Promise<Attachment>;
  /** An address for `<img>`, `<video>` and links, good for some minutes without a session. */
  fileUrl(file: string | Attachment): Promise<string>;

  getOnlineUsers(role?: Role): Promise<OnlineUser[]>;
  /** Calls back with the list now and after each change; returns what ends it. */
  subscribeToOnlineUsers(callback: (users: OnlineUser[]) => void, role?: Role): () => void;
  /** An agent's own status. */
  setStatus(status: 'Online' | 'Busy' | 'Away'): Promise<void>;

  getConversations(query?: {
    state?: 'queued' | 'open' | 'closed';
    scope?: 'own' | 'all';
    limit?: number;
    cursor?: string;
  }): Promise<{ conversations: Conversation[]; nextCursor: string | null }>;
  getConversation(conversationId: string): Promise<Conversation>;
  /** Gives a conversation to an agent: to oneself when left out. */
  assignConversation(conversationId: string, agentId?: string, reason?: string): Promise<Conversation>;
  transferConversation(
    conversationId: string,
    to: { agentId: string; reason?: string } | { queue: true; reason?: string }
  ): Promise<Conversation>;
  closeConversation(conversationId: string, reason?: string): Promise<Conversation>;
  /** The recorded decisions, as the server writes them. */
  getRouting(conversationId: string): Promise<Record<string, unknown>>;

  getLimits(): Promise<ServerLimits>;
  /** The server's time, in milliseconds since 1970, as far as it has said it: the clocks of computers may be wrong. */
  now(): number;
  /**
   * Any route with this session, for what has no method of its own (accounts, audit): the JSON that it answers,
   * `null` for an empty answer. `path` begins with `/`.
   */
  request(method: string, path: string, body?: unknown): Promise<any>;

  /** Listens; returns what ends it. Late listeners of `connected`, `login`, `state` … are told how things stand. */
  on<E extends keyof AdapterEvents>(event: E, listener: (data: AdapterEvents[E]) => void): () => void;
  once<E extends keyof AdapterEvents>(event: E, listener: (data: AdapterEvents[E]) => void): () => void;
  off<E extends keyof AdapterEvents>(event: E, listener: (data: AdapterEvents[E]) => void): void;

  /** Adds an error or a timing to the next report. */
  report(event: { kind: 'error' | 'timing'; message: string; source?: string; value?: number }): void;
}
