/**
 * The chat as a corner of any page: `<script src="https://chat.example.com/widget.js" async></script>`.
 *
 * `data-lang` (`en`, `zh`) and `data-side` (`left`, `right`) of the tag are optional. The conversation is a frame of
 * the server's own origin, which has to allow this page to frame it; the page and the frame tell each other no more
 * than "ready", "opened", "close" and the number of unread messages. Whose conversation it is, and its session, stay in the
 * frame.
 */
(() => {
  const script = /** @type {HTMLScriptElement | null} */ (document.currentScript);
  if (!script || document.querySelector('support-chat-widget')) return;
  const { origin } = new URL(script.src);
  const { lang = '', side = 'right' } = script.dataset;
  const words = (lang || navigator.language).toLowerCase().startsWith('zh')
    ? { open: '打开在线客服', close: '收起在线客服', title: '在线客服', unread: '条未读' }
    : { open: 'Open the support chat', close: 'Close the support chat', title: 'Support chat', unread: 'unread' };
  // Whoever has used it before is told of unread messages without opening it again.
  const USED = 'support-chat.widget';

  const host = document.createElement('support-chat-widget');
  const root = host.attachShadow({ mode: 'closed' });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host { all: initial; position: fixed; z-index: 2147483000; inset: auto 16px 16px auto; color-scheme: normal; }
    :host(.left) { inset: auto auto 16px 16px; }
    button {
      position: relative; width: 56px; height: 56px; border: 0; border-radius: 50%; background: #0b6b5a; color: #fff;
      cursor: pointer; box-shadow: 0 2px 12px rgb(0 0 0 / 35%); display: grid; place-items: center; margin-left: auto;
    }
    :host(.left) button { margin-left: 0; }
    button:focus-visible { outline: 3px solid #0a58ca; outline-offset: 3px; }
    svg { width: 28px; height: 28px; fill: currentColor; }
    span {
      position: absolute; top: -4px; right: -4px; min-width: 22px; height: 22px; box-sizing: border-box; padding: 0 6px;
      border-radius: 11px; background: #b3261e; color: #fff; font: 700 12px/22px system-ui, sans-serif;
      text-align: center;
    }
    iframe {
      display: block; width: min(380px, calc(100vw - 32px)); height: min(640px, calc(100dvh - 104px));
      margin-bottom: 12px; border: 1px solid #7d8a86; border-radius: 16px; background: #fff;
      box-shadow: 0 8px 32px rgb(0 0 0 / 30%);
    }
    [hidden] { display: none; }
    @media (max-width: 480px) {
      iframe { position: fixed; inset: 0; width: 100vw; height: 100dvh; margin: 0; border: 0; border-radius: 0; }
      iframe.ready:not([hidden]) ~ button { display: none; }
    }
    @media (prefers-color-scheme: dark) { iframe { background: #171d1b; } }
  `);
  root.adoptedStyleSheets = [sheet];
  host.classList.toggle('left', side === 'left');

  const button = document.createElement('button');
  button.type = 'button';
  const space = 'http://www.w3.org/2000/svg';
  const drawing = document.createElementNS(space, 'svg');
  drawing.setAttribute('viewBox', '0 0 24 24');
  drawing.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', 'M4 3h16a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2h-8l-6 5v-5H4a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2z');
  drawing.append(path);
  const badge = document.createElement('span');
  badge.hidden = true;
  badge.setAttribute('aria-hidden', 'true');
  button.append(drawing, badge);
  root.append(button);

  /** @type {HTMLIFrameElement | null} */
  let frame = null;
  let isLoaded = false;
  let unread = 0;
  const isOpen = () => frame !== null && !frame.hidden;

  const label = () => {
    const text = isOpen() ? words.close : words.open;
    button.setAttribute('aria-label', unread ? `${text} (${unread} ${words.unread})` : text);
    button.setAttribute('aria-expanded', String(isOpen()));
    badge.hidden = !unread || isOpen();
    badge.textContent = unread > 99 ? '99+' : String(unread);
  };

  /** @param {boolean} isHidden */
  const makeFrame = (isHidden) => {
    frame = document.createElement('iframe');
    frame.title = words.title;
    frame.src = `${origin}/widget/${lang ? `?lang=${encodeURIComponent(lang)}` : ''}`;
    frame.allow = 'autoplay; clipboard-write';
    frame.hidden = isHidden;
    root.prepend(frame);
    frame.addEventListener('load', () => {
      isLoaded = true;
      opened();
    });
  };
  // So that it takes the focus to where one writes.
  const opened = () => isOpen() && isLoaded && frame?.contentWindow?.postMessage({ supportChat: 'opened' }, origin);

  const open = () => {
    try {
      localStorage.setItem(USED, 'yes');
    } catch {
      // This page keeps nothing: on the next one the frame comes when it is asked for.
    }
    if (frame) frame.hidden = false;
    else makeFrame(false);
    label();
    frame?.focus();
    opened();
  };
  const close = () => {
    if (frame) frame.hidden = true;
    label();
    button.focus();
  };

  button.addEventListener('click', () => (isOpen() ? close() : open()));
  root.addEventListener('keydown', (event) => {
    if (/** @type {KeyboardEvent} */ (event).key === 'Escape' && isOpen()) close();
  });
  addEventListener('message', ({ source, origin: from, data }) => {
    if (!frame || source !== frame.contentWindow || from !== origin) return;
    // From here on it can be closed from within; until then, and if it does not load, by the button.
    if (data?.supportChat === 'ready') frame.classList.add('ready');
    if (data?.supportChat === 'close') close();
    if (data?.supportChat === 'unread') {
      unread = Number(data.unread) || 0;
      label();
    }
  });

  const begin = () => {
    document.body.append(host);
    label();
    try {
      if (localStorage.getItem(USED)) makeFrame(true);
    } catch {
      // As above.
    }
  };
  if (document.body) begin();
  else addEventListener('DOMContentLoaded', begin);
})();
