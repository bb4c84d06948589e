import { append, el, fill, unseen } from './dom.js';
import { clockTime, dateTime } from './i18n.js';
import { problemText } from './problems.js';

/**
 * @typedef {import('../services/enterprise-adapter').EnterpriseAdapter} EnterpriseAdapter
 * @typedef {import('../services/enterprise-adapter').Message} Message
 * @typedef {import('../services/enterprise-adapter').Attachment} Attachment
 * @typedef {(key: any, values?: Record<string, string | number>) => string} Translate
 */

/** How long an own message can be taken back, in milliseconds: the server's rule, less what the way there takes. */
export const RECALL_MS = 118_000;

/**
 * How the sender's marks look; the words beside them are for everybody else.
 *
 * @type {Record<string, string>}
 */
const MARKS = { queued: '○', sending: '○', sent: '✓', delivered: '✓✓', read: '✓✓', failed: '!' };

/**
 * What a view needs beside its message.
 *
 * @typedef {object} ViewParts
 * @property {EnterpriseAdapter} adapter
 * @property {Translate} t
 * @property {(id: string | null | undefined) => string} nameOf
 * @property {(message: Message) => void} onRecall
 * @property {(message: Message) => string} eventText what routing did, in words
 */

/**
 * One entry of a conversation.
 *
 * @param {Message} message
 * @param {ViewParts} parts
 */
export function messageView(message, parts) {
  const view = el('li', { class: 'entry', 'data-key': message.key });
  if (message.kind !== 'chat') {
    view.classList.add('event');
    append(view, el('p', {}, parts.eventText(message), ' ', time(message)));
    return view;
  }
  const { t } = parts;
  view.classList.add(message.own ? 'own' : 'other');
  view.append(el('p', { class: 'author' }, message.own ? unseen(t('you')) : parts.nameOf(message.from)));
  const bubble = el('div', { class: 'bubble' });
  if (message.recalled) {
    view.classList.add('recalled');
    append(bubble, el('p', { class: 'text' }, t(message.own ? 'recalled_own' : 'recalled')));
  } else {
    if (message.file) {
      view.classList.add(`has-${message.file.type}`);
      append(bubble, attachment(parts.adapter, message.file, t));
    }
    // The guide's clients send a file with its name as the text.
    if (message.content && message.content !== message.file?.name) append(bubble, text(message.content));
  }
  view.append(bubble, footer(message, parts));
  return view;
}

/** The box, in pixels, that pictures and films are fitted into. */
const BOX = { width: 280, height: 300 };

/**
 * The size at which a picture is shown, never larger than it is.
 *
 * @param {{width?: number, height?: number}} file
 */
export function shownSize({ width, height }) {
  if (!width || !height) return { width: 200, height: 150 };
  const scale = Math.min(1, BOX.width / width, BOX.height / height);
  return { width: Math.max(24, Math.round(width * scale)), height: Math.max(24, Math.round(height * scale)) };
}

/**
 * A message's file. What shows it comes with the first one; the room for it is there at once.
 *
 * @param {EnterpriseAdapter} adapter
 * @param {Attachment} file
 * @param {Translate} t
 */
function attachment(adapter, file, t) {
  const place = el('div', { class: 'attachment' });
  if (file.type === 'image') append(place, el('img', { ...shownSize(file), alt: file.name, class: 'picture' }));
  else append(place, el('span', { class: 'file-name' }, file.name));
  const show = () => import('./attachment-view.js').then(({ attachmentView }) => fill(place,
    attachmentView(adapter, file, t)));
  show().catch(() => addEventListener('online', () => void show().catch(() => {}), { once: true }));
  return place;
}

/**
 * What a line of news or a screen reader says of it.
 *
 * @param {Message} message
 * @param {Translate} t
 */
export function summary(message, t) {
  if (message.recalled) return t(message.own ? 'recalled_own' : 'recalled');
  return message.content || (message.file ? message.file.name : '');
}

/**
 * Text with its web addresses as links.
 *
 * @param {string} content
 */
function text(content) {
  const line = el('p', { class: 'text', dir: 'auto' });
  let from = 0;
  for (const match of content.matchAll(/https?:\/\/[^\s<>"'（），。；！？]+/g)) {
    append(line, content.slice(from, match.index),
      el('a', { href: match[0], target: '_blank', rel: 'noopener noreferrer nofollow' }, match[0]));
    from = (match.index ?? 0) + match[0].length;
  }
  append(line, content.slice(from));
  return line;
}

/** @param {Message} message */
function time(message) {
  return el('time', { datetime: message.timestamp, title: dateTime(message.timestamp) }, clockTime(message.timestamp));
}

/** @param {Message} message @param {ViewParts} parts */
function footer(message, { adapter, t, onRecall }) {
  const line = el('div', { class: 'footer' });
  const { status, key } = message;
  const isWaiting = status === 'queued' || status === 'sending';
  if (message.own && status === 'failed') {
    const why = message.error ? `: ${problemText(message.error, { name: message.file?.name })}` : '';
    append(line, el('span', { class: 'why' }, t('failed') + why),
      el('button', { type: 'button', class: 'plain', onclick: () => adapter.resend(key).catch(() => {}) }, t('resend')),
      el('button', { type: 'button', class: 'plain', onclick: () => adapter.discard(key).catch(() => {}) },
        t('discard')));
    return line;
  }
  const left = Date.parse(message.timestamp) + RECALL_MS - adapter.now();
  if (message.own && message.seq !== null && !message.recalled && left > 0) {
    const button = el('button', { type: 'button', class: 'plain recall', onclick: () => onRecall(message) },
      t('recall'));
    append(line, button);
    setTimeout(() => button.remove(), left);
  }
  if (message.own && status === 'queued') {
    append(line, el('button', { type: 'button', class: 'plain', onclick: () => adapter.discard(key).catch(() => {}) },
      t('discard')));
  }
  append(line, time(message));
  if (message.own && !message.recalled) {
    append(line, isWaiting ? el('span', {}, t(status)) : el('span', { class: `marks ${status}`, title: t(status) },
      el('span', { 'aria-hidden': 'true' }, MARKS[status]), unseen(t(status))));
  }
  return line;
}
