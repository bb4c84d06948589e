import { EnterpriseAdapter } from '../services/enterprise-adapter.js';
import { byId, fill } from '../shared/dom.js';
import { translatePage, translator } from '../shared/i18n.js';
import { memory } from '../shared/memory.js';
import { problemText } from '../shared/problems.js';
import { AGENT_WORDS } from './agent-words.js';
import { Console } from './console.js';

const t = translator(AGENT_WORDS);
const adapter = EnterpriseAdapter.getInstance({
  profile: 'agent',
  sessionStorage: memory.get('agent.shared') ? 'tab' : 'browser',
  debug: new URLSearchParams(location.search).has('debug'),
});

/** @type {Console | null} */
let shown = null;

function showConsole() {
  byId('login-page').hidden = true;
  byId('console').hidden = false;
  shown?.close();
  shown = new Console(adapter, byId('console'));
}

/** @param {string} [problem] */
function showLogin(problem = '') {
  shown?.close();
  shown = null;
  byId('console').hidden = true;
  byId('login-page').hidden = false;
  fill(byId('login-problem'), problem);
  input('password').value = '';
  input('user-name').focus();
}

/** @param {string} id */
function input(id) {
  return /** @type {HTMLInputElement} */ (byId(id));
}

async function logIn() {
  const button = /** @type {HTMLButtonElement} */ (byId('login').querySelector('button'));
  button.disabled = true;
  fill(byId('login-problem'));
  try {
    const isShared = input('shared').checked;
    memory.set('agent.shared', isShared ? 'yes' : null);
    EnterpriseAdapter.getInstance({ sessionStorage: isShared ? 'tab' : 'browser' });
    await adapter.login(input('user-name').value.trim(), input('password').value, 'support');
  } catch (error) {
    showLogin(problemText(error));
  } finally {
    button.disabled = false;
  }
}

translatePage(t);
document.title = t('title');
input('shared').checked = memory.get('agent.shared') !== null;
byId('login').addEventListener('submit', (event) => {
  event.preventDefault();
  void logIn();
});
adapter.on('logout', ({ reason }) =>
  showLogin(reason === 'session_ended' ? problemText({ code: 'session_ended' }) : ''));
// Also when it is another tab where somebody logs in.
adapter.on('login', showConsole);
adapter.resume().then((user) => user ?? showLogin(), () => showLogin());
