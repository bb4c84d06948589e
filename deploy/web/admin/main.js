import { byId, el, fill } from '../shared/dom.js';
import { translatePage, translator } from '../shared/i18n.js';
import { problemText } from '../shared/problems.js';
import { Accounts } from './accounts.js';
import { ADMIN_WORDS } from './admin-words.js';
import { Audit } from './audit.js';
import { Overview } from './overview.js';
import { Server } from './server.js';

const t = translator(ADMIN_WORDS);
const server = new Server();

const SECTIONS = /** @type {const} */ ([['overview', Overview], ['accounts', Accounts], ['audit', Audit]]);

/** @type {{close(): void} | null} */
let shown = null;

function showSection() {
  if (!server.user) return;
  const wanted = location.hash.slice(1);
  const [name, Section] = SECTIONS.find(([one]) => one === wanted) ?? SECTIONS[0];
  shown?.close();
  fill(byId('sections'), ...SECTIONS.map(([one]) => el('a',
    { href: `#${one}`, 'aria-current': one === name ? 'page' : undefined }, t(one))));
  document.title = `${t(name)} · ${t('title')}`;
  shown = new Section(server, t, byId('section'));
}

function showAdmin() {
  byId('login-page').hidden = true;
  byId('admin').hidden = false;
  fill(byId('who'), server.user?.name);
  showSection();
}

/** @param {string} [problem] */
function showLogin(problem = '') {
  shown?.close();
  shown = null;
  fill(byId('section'));
  byId('admin').hidden = true;
  byId('login-page').hidden = false;
  fill(byId('login-problem'), problem);
  input('password').value = '';
  input('user-name').focus();
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
}

/** @param {string} id */
function input(id) {
  return /** @type {HTMLInputElement} */ (byId(id));
}

async function logIn() {
  const button = /** @type {HTMLButtonElement} */ (byId('login').querySelector('button'));
  button.disabled = true;
  try {
    if (await server.logIn(input('user-name').value.trim(), input('password').value)) showAdmin();
    else showLogin(t('not_admin'));
  } catch (error) {
    showLogin(problemText(error));
  } finally {
    button.disabled = false;
  }
}

translatePage(t);
document.title = t('title');
byId('sections').setAttribute('aria-label', t('sections'));
byId('login').addEventListener('submit', (event) => {
  event.preventDefault();
  void logIn();
});
byId('log-out').addEventListener('click', () => {
  void server.logOut();
  showLogin();
});
addEventListener('hashchange', () => {
  showSection();
  byId('section').focus();
});
server.onEnded = () => showLogin(problemText({ code: 'session_ended' }));
server.resume().then((isAdmin) => (isAdmin ? showAdmin() : showLogin()), () => showLogin());
