import { el, fill } from '../shared/dom.js';
import { duration, locale } from '../shared/i18n.js';
import { problemText } from '../shared/problems.js';
import { QueueTimes } from '../shared/queue-times.js';
import { Chart } from './chart.js';

/** @typedef {import('./table.js').Translate} Translate */

const INTERVAL_MS = 5000;
/** Ten minutes. */
const SAMPLES_MAX = 120;
/** What is read of a list at most. */
const PEOPLE_MAX = 5000;
const CONVERSATIONS_MAX = 200;
const QUEUE_MAX = 1000;
/** The most accounts that are asked for at once. */
const ASKED_MAX = 20;

/** The live figures, from what the services tell an administrator. */
export class Overview {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isClosed = false;
  /**
   * The heads of the conversations that were read before, and when.
   *
   * @type {{at: number, heads: Map<string, number>} | null}
   */
  #before = null;
  /**
   * How many conversations agents may have at once; `null`: as many as is usual. As it was when this was opened.
   *
   * @type {Map<string, number | null>}
   */
  #capacities = new Map();

  /** @param {import('./server.js').Server} server @param {Translate} t @param {HTMLElement} place */
  constructor(server, t, place) {
    this.server = server;
    this.t = t;
    this.times = new QueueTimes((id) => server.get(`/api/conversations/${id}/routing`, { limit: 1 }));
    const minutes = (SAMPLES_MAX * INTERVAL_MS) / 60_000;
    const chart = (/** @type {string} */ title,
      format = (/** @type {number} */ value) => value.toLocaleString(locale)) => new Chart({
      title, format, samplesMax: SAMPLES_MAX,
      describe: (now, most) => t('chart', { title, now, most, minutes }),
      range: (most) => t('most', { most, minutes }),
    });
    this.charts = {
      customers: chart(t('customers_online')),
      agents: chart(t('agents_online')),
      rate: chart(t('entries_rate'), (value) => value.toLocaleString(locale, { maximumFractionDigits: 1 })),
      queue: chart(t('queue_length')),
      wait: chart(t('queue_wait'), duration),
    };
    this.problem = el('p', { class: 'problem', role: 'alert' });
    this.agents = el('tbody');
    fill(place, el('h2', { class: 'unseen' }, t('overview')), this.problem,
      el('div', { class: 'figures' }, ...Object.values(this.charts).map(({ element }) => element)),
      el('section', {}, el('h3', {}, t('agents')), el('div', { class: 'table-box' }, el('table', {},
        el('thead', {}, el('tr', {}, ...['agent', 'status',
          'conversations_open'].map((one) => el('th', { scope: 'col' }, t(one))))), this.agents))),
      el('p', { class: 'hint' }, t('figures_note', { seconds: INTERVAL_MS / 1000, count: CONVERSATIONS_MAX })));
    void this.#loop();
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #loop() {
    if (document.visibilityState === 'visible') {
      try {
        await this.#read();
        fill(this.problem);
      } catch (error) {
        fill(this.problem, this.t('figures_failed', { problem: problemText(error) }));
      }
    }
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.#loop(), INTERVAL_MS);
  }

  async #read() {
    const [people, recent, open, queued] = await Promise.all([
      this.#all('/api/presence', 'users', { limit: 1000 }, PEOPLE_MAX),
      this.server.get('/api/conversations', { scope: 'all', limit: CONVERSATIONS_MAX }),
      this.#all('/api/conversations', 'conversations', { scope: 'all', state: 'open', limit: 200 }, QUEUE_MAX),
      this.#all('/api/conversations', 'conversations', { scope: 'all', state: 'queued', limit: 200 }, QUEUE_MAX),
    ]);
    if (this.#isClosed) return;
    const agents = people.filter(({ user_type: type }) => type === 'Kefu');
    const count = (/** @type {string} */ status) => agents.filter((one) => one.status === status).length;
    this.charts.customers.add(people.length - agents.length);
    this.charts.agents.add(agents.length,
      this.t('agents_by_status', { online: count('Online'), busy: count('Busy'), away: count('Away') }));
    const rate = this.#rate(recent.conversations);
    if (rate !== null) this.charts.rate.add(rate);
    this.charts.queue.add(queued.length);
    await this.times.learn(queued.map(({ conversation_id: id }) => id));
    const since = queued.map(({ conversation_id: id, updated_at: at }) => this.times.since(id) ?? Date.parse(at));
    this.charts.wait.add(since.length ? Math.max(0, Date.now() - Math.min(...since)) / 1000 : 0);
    await this.#learnCapacities(agents.map(({ user_id: id }) => id));
    this.#showAgents(agents, open);
  }

  /** @param {string[]} ids */
  async #learnCapacities(ids) {
    const unknown = ids.filter((id) => !this.#capacities.has(id)).slice(0, ASKED_MAX);
    await Promise.all(unknown.map(async (id) => {
      const account = await this.server.get(`/api/users/${encodeURIComponent(id)}`);
      this.#capacities.set(id, account.capacity ?? null);
    }));
  }

  /**
   * How many entries a second the conversations have got since they were last read; `null` at first.
   *
   * @param {any[]} conversations
   */
  #rate(conversations) {
    const now = { at: performance.now(),
      heads: new Map(conversations.map((one) => [one.conversation_id, Number(one.head)])) };
    const before = this.#before;
    this.#before = now;
    if (!before) return null;
    let entries = 0;
    for (const [id, head] of now.heads) {
      const known = before.heads.get(id);
      // One that was not among them is new if they were all; else it has got something, nobody knows how much.
      const least = before.heads.size < CONVERSATIONS_MAX ? head : Math.min(head, 1);
      entries += known === undefined ? least : Math.max(0, head - known);
    }
    return entries / ((now.at - before.at) / 1000);
  }

  /** @param {any[]} agents @param {any[]} open */
  #showAgents(agents, open) {
    const { t } = this;
    fill(this.agents, ...agents.map((one) => el('tr', {},
      el('td', { 'data-label': t('agent') }, `${one.user_name} (${one.user_id})`),
      el('td', { 'data-label': t('status') },
        el('span', {}, el('span', { class: `dot ${one.status}` }), ` ${t(one.status)}`)),
      el('td', { 'data-label': t('conversations_open') },
        this.#load(one.user_id, open)))),
    !agents.length && el('tr', {}, el('td', { colspan: '3' }, t('none'))));
  }

  /** @param {string} id @param {any[]} open */
  #load(id, open) {
    const count = open.filter(({ agent_id: agent }) => agent === id).length;
    const capacity = this.#capacities.get(id);
    return capacity ? this.t('of_capacity', { count, capacity }) : count;
  }

  /**
   * All pages of a list, up to a bound.
   *
   * @param {string} path
   * @param {string} member
   * @param {Record<string, string | number | undefined>} query
   * @param {number} most
   * @returns {Promise<any[]>}
   */
  async #all(path, member, query, most) {
    /** @type {any[]} */
    const found = [];
    let cursor;
    do {
      /** @type {any} */
      const page = await this.server.get(path, { ...query, cursor });
      found.push(...page[member]);
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined && found.length < most);
    return found;
  }
}
