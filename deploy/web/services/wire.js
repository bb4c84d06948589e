/**
 * @typedef {import('./enterprise-adapter').Message} Message
 * @typedef {import('./enterprise-adapter').MessageType} MessageType
 * @typedef {import('./enterprise-adapter').Attachment} Attachment
 * @typedef {import('./enterprise-adapter').OnlineUser} OnlineUser
 * @typedef {import('./enterprise-adapter').User} User
 */

/**
 * An entry of a conversation's log, as the server sends and stores it.
 *
 * @typedef {object} Entry
 * @property {string} type
 * @property {number} seq
 * @property {string} id
 * @property {string} conversation_id
 * @property {string} [from_user_id]
 * @property {string} [to_user_id]
 * @property {string} [content]
 * @property {string} [content_type]
 * @property {string} timestamp
 * @property {string} [client_id]
 * @property {any} [file]
 * @property {boolean} [recalled]
 * @property {number} [target_seq]
 * @property {string | null} [agent_id]
 * @property {string} [former_agent_id]
 * @property {string} [reason]
 */

/** @type {Record<string, Message['kind']>} */
const KINDS = { Chat: 'chat', AgentAssigned: 'assigned', Transferred: 'transferred', ConversationClosed: 'closed' };

/** @type {readonly MessageType[]} */
export const MESSAGE_TYPES = ['text', 'image', 'file', 'voice', 'video'];

/** @param {any} frame @returns {frame is Entry} */
export function isEntry(frame) {
  return (frame.type in KINDS || frame.type === 'Recall')
    && Number.isSafeInteger(frame.seq) && frame.seq > 0
    && typeof frame.id === 'string' && typeof frame.conversation_id === 'string';
}

/** @param {unknown} word @returns {MessageType} */
function messageType(word) {
  const type = String(word ?? 'text').toLowerCase();
  return MESSAGE_TYPES.find((one) => one === type) ?? 'text';
}

/** @param {MessageType} type */
export function contentType(type) {
  return type[0].toUpperCase() + type.slice(1);
}

/**
 * A file's document or the `file` of a message.
 *
 * @param {any} file
 * @returns {Attachment}
 */
export function attachment(file) {
  /** @type {Attachment} */
  const made = {
    id: String(file.file_id),
    name: String(file.file_name ?? ''),
    type: /** @type {Attachment['type']} */ (messageType(file.file_type ?? 'file')),
    size: Number(file.size ?? 0),
    url: String(file.url ?? `/files/${file.file_id}`),
  };
  if (file.content_type) made.contentType = String(file.content_type);
  if (file.width && file.height) {
    made.width = Number(file.width);
    made.height = Number(file.height);
  }
  return made;
}

/**
 * What a page shows of an entry; `null` for one that only changes another.
 *
 * @param {Entry} entry
 * @param {string} userId
 * @param {Message['status']} status of one's own
 * @returns {Message | null}
 */
export function messageFromEntry(entry, userId, status) {
  const kind = KINDS[entry.type];
  if (!kind) return null;
  const own = kind === 'chat' && entry.from_user_id === userId;
  const clientId = (own && entry.client_id) || null;
  /** @type {Message} */
  const message = {
    key: clientId ?? entry.id,
    id: entry.id,
    clientId,
    conversationId: entry.conversation_id,
    seq: entry.seq,
    kind,
    from: entry.from_user_id ?? 'system',
    to: entry.to_user_id ?? null,
    content: entry.recalled ? '' : entry.content ?? '',
    type: messageType(entry.content_type),
    timestamp: entry.timestamp,
    own,
    status: own ? status : 'sent',
    recalled: entry.recalled === true,
  };
  if (entry.file && !entry.recalled) message.file = attachment(entry.file);
  if (kind !== 'chat') {
    message.agentId = entry.agent_id ?? null;
    message.formerAgentId = entry.former_agent_id ?? null;
    message.reason = entry.reason ?? '';
  }
  return message;
}

/**
 * @param {any} user
 * @returns {OnlineUser}
 */
export function onlineUser(user) {
  return {
    id: String(user.user_id),
    name: String(user.user_name ?? user.user_id),
    role: user.user_type === 'Kefu' ? 'support' : 'customer',
    status: user.type === 'UserLeft' ? 'Offline' : user.status ?? 'Online',
    lastSeen: user.last_seen ?? user.timestamp ?? null,
  };
}

/**
 * What a message to `receiverId` belongs to, as far as can be told before its `Ack`.
 *
 * @param {User} user
 * @param {string | null} receiverId
 * @param {(conversationId: string) => boolean} isKnown
 */
export function conversationWith(user, receiverId, isKnown) {
  if (user.role === 'customer') return `c:${user.id}`;
  const between = `d:${[user.id, receiverId].sort().join(':')}`;
  return isKnown(between) ? between : `c:${receiverId}`;
}

/**
 * Without halves of characters, which no UTF-8 has: a text may have been cut in the middle of one.
 *
 * @param {string} text
 */
export function wellFormed(text) {
  return text.replace(/\p{Surrogate}/gu, '\uFFFD');
}

/**
 * Unicode scalars, as the server counts characters.
 *
 * @param {string} text
 */
export function characterCount(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
