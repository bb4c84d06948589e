import { byId, fill, focusOn, iconButton, ICONS } from '../shared/dom.js';
import { translatePage, translator } from '../shared/i18n.js';
import { memory } from '../shared/memory.js';
import { START_WORDS } from './start-words.js';

/** Whether this browser has a session to take up: only then the conversation is loaded without being asked for. */
const STARTED = 'customer.started';

const t = translator(START_WORDS);
const isEmbedded = byId('app').classList.contains('embedded') && window.parent !== window;

/** The conversation, and the adapter below it, come when they are wanted: whoever only looks loads little. */
function load() {
  return import('./chat.js');
}

/** @param {(chat: typeof import('./chat.js')) => Promise<unknown>} begin */
async function start(begin) {
  const problem = byId('start-problem');
  const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (byId('start').querySelectorAll('button'));
  fill(problem);
  fill(byId('situation'), t('please_wait'));
  for (const button of buttons) button.disabled = true;
  try {
    await begin(await load());
  } catch (error) {
    const { problemText } = await import('../shared/problems.js');
    const isLoading = !(/** @type {any} */ (error).code);
    fill(problem, problemText(isLoading ? { code: 'network' } : error));
    if (/** @type {any} */ (error).code === 'guests_disabled') showLogin(true);
  } finally {
    fill(byId('situation'));
    for (const button of buttons) button.disabled = false;
  }
}

/** @param {boolean} isLogin */
function showLogin(isLogin) {
  byId('guest').hidden = isLogin;
  byId('login').hidden = !isLogin;
  fill(byId('other-way'), t(isLogin ? 'as_guest' : 'have_account'));
}

function showStart() {
  byId('start').hidden = false;
  // In a frame, only when asked to: its page is somebody else's.
  if (!isEmbedded) byId('guest-name').focus();
}

/** @param {string} id */
function input(id) {
  return /** @type {HTMLInputElement} */ (byId(id));
}

const events = {
  onShown: () => {
    memory.set(STARTED, 'yes');
    byId('start').hidden = true;
  },
  onLeft: () => {
    memory.set(STARTED, null);
    input('password').value = '';
    showStart();
  },
};

translatePage(t);
document.title = t('title');
byId('guest').addEventListener('submit', (event) => {
  event.preventDefault();
  void start((chat) => chat.asGuest(input('guest-name').value.trim(), events));
});
byId('login').addEventListener('submit', (event) => {
  event.preventDefault();
  void start((chat) => chat.asCustomer(input('user-name').value.trim(), input('password').value, events));
});
byId('other-way').addEventListener('click', () => {
  showLogin(byId('login').hidden);
  byId(byId('login').hidden ? 'guest-name' : 'user-name').focus();
});
// Whoever is about to begin need not wait for it then.
byId('start').addEventListener('pointerover', () => void load().catch(() => {}), { once: true });

if (isEmbedded) {
  byId('tools').append(iconButton(ICONS.down, t('minimise'), () => parent.postMessage({ supportChat: 'close' }, '*')));
  addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !document.querySelector('dialog[open]')) parent.postMessage({ supportChat: 'close' },
      '*');
  });
  addEventListener('message', ({ source, data }) => {
    if (source !== parent || data?.supportChat !== 'opened') return;
    focusOn(document, 'textarea, #start:not([hidden]) form:not([hidden]) input');
  });
  parent.postMessage({ supportChat: 'ready' }, '*');
}

if (memory.get(STARTED)) {
  fill(byId('situation'), t('please_wait'));
  load().then((chat) => chat.resume(events)).then((hasResumed) => !hasResumed && events.onLeft(), showStart)
    .finally(() => byId('situation').textContent === t('please_wait') && fill(byId('situation')));
} else {
  showStart();
}
