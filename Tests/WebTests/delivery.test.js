// Tabs of one customer against a server that forgets nothing, over connections that break, in pages that are killed:
// what is typed arrives once and in order, what is written to the customer is told once and in order.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Account } from '../../deploy/web/services/account.js';
import { MemoryDatabase } from '../../deploy/web/services/database.js';
import { forSeeds } from './random.js';

const USER = { id: 'a', name: 'A', role: 'customer', type: 'Kehu', isAdmin: false, isGuest: false };
const NAME = 'c:a';

/** As browsers have them: a tab that ends gives its locks back, and its waiting ends. */
class Locks {
  constructor() {
    this.queues = new Map();
  }

  request(name, { signal }, work) {
    return new Promise((resolve, reject) => {
      const entry = { signal, work, resolve, reject };
      signal.addEventListener('abort', () => {
        if (entry.isRunning) return;
        this.#remove(name, entry);
        reject(signal.reason);
      });
      this.queues.set(name, [...(this.queues.get(name) ?? []), entry]);
      this.#next(name);
    });
  }

  #remove(name, entry) {
    this.queues.set(name, this.queues.get(name).filter((one) => one !== entry));
  }

  #next(name) {
    const [first] = this.queues.get(name);
    if (!first || first.isRunning) return;
    first.isRunning = true;
    Promise.resolve().then(first.work).then(first.resolve, first.reject).finally(() => {
      this.#remove(name, first);
      this.#next(name);
    });
  }
}

/**
 * What pages keep, as IndexedDB does: a transaction waits for earlier ones only where both have a store in common, and
 * one that is not committed when its page is killed has not been.
 */
class Disk {
  constructor(below) {
    this.below = below;
    this.database = new MemoryDatabase();
    this.last = new Map();
  }

  /** One page's way to it. */
  opened() {
    const handle = {
      isLasting: true,
      isKilled: false,
      read: (names, work) => this.#run(handle, names, work),
      write: (names, work) => this.#run(handle, names, work),
      clear: () => this.database.clear(),
      close() {},
    };
    return handle;
  }

  #run(handle, names, work) {
    const earlier = names.map((name) => this.last.get(name));
    const result = Promise.all(earlier).then(async () => {
      for (let turns = this.below(6); turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
      if (handle.isKilled) throw new Error('the page is gone');
      return this.database.write(names, work);
    });
    for (const name of names) this.last.set(name, result.catch(() => {}));
    return result;
  }
}

/** The log of one conversation, and the connections to it (`PROTOCOL.md`). */
class Server {
  constructor(below) {
    this.below = below;
    this.log = [];
    this.byClientId = new Map();
    this.links = new Set();
  }

  append(entry, link) {
    const { client_id: clientId } = entry;
    let stored = clientId && this.byClientId.get(clientId);
    if (!stored) {
      const seq = this.log.length + 1;
      stored = { ...entry, seq, id: `id-${seq}`, conversation_id: NAME, timestamp: '' };
      this.log.push(stored);
      if (clientId) this.byClientId.set(clientId, stored);
    }
    if (link) {
      if (stored.seq <= link.position) link.down.push(ack(stored));
      else link.acks.add(stored.seq);
    }
    for (const one of this.links) this.flush(one);
  }

  take(link, frame) {
    if (frame.type === 'Sync') {
      link.position = frame.cursors[NAME] ?? this.log.length;
      this.flush(link);
      link.down.push({ type: 'Synced', heads: this.log.length ? { [NAME]: this.log.length } : {} });
    } else if (frame.type === 'Chat') {
      const { client_id, content } = frame;
      // A service behind it is away for a moment.
      const isAway = this.below(10) === 0;
      if (isAway) return void link.down.push({ type: 'Error', code: 'unavailable', message: '', client_id });
      this.append({ type: 'Chat', from_user_id: USER.id, content, content_type: 'Text', client_id }, link);
    }
  }

  flush(link) {
    if (link.position === null) return;
    for (; link.position < this.log.length; link.position += 1) {
      const entry = this.log[link.position];
      link.down.push(link.acks.delete(entry.seq) ? ack(entry) : entry);
    }
  }
}

const ack = ({ id, seq, client_id, timestamp }) => ({
  type: 'Ack', id, seq, client_id, conversation_id: NAME, timestamp,
});

/** A page; `link` is its connection. */
class Page {
  constructor(server, disk, name) {
    this.server = server;
    this.database = disk.opened();
    this.told = [];
    this.leftOver = [];
    this.link = null;
    this.isOpen = false;
    const connection = {
      get isOpen() { return page.isOpen; },
      send: (frame) => page.link !== null && page.link.up.push(structuredClone(frame)) > 0,
      synced: () => {
        page.isOpen = true;
        page.account.connected();
      },
      probe() {},
      restart() {},
    };
    const page = this;
    this.account = new Account({
      name,
      user: USER,
      rest: { json: async (_method, _path, { query }) => this.#rest(query) },
      emit: (event, data) => this.told.push([event, data]),
      connection,
      onPresence() {},
      onExpiring() {},
      onAckTime() {},
    }, this.database);
  }

  connect() {
    if (this.link) return;
    this.link = { up: [], down: [{ type: 'Welcome' }], position: null, acks: new Set() };
    this.server.links.add(this.link);
  }

  cut() {
    if (!this.link) return;
    this.server.links.delete(this.link);
    this.link = null;
    this.isOpen = false;
    this.account.lost(1006);
  }

  kill() {
    this.database.isKilled = true;
    this.cut();
    this.account.close('killed');
  }

  /** @returns once it is kept */
  async type(content) {
    const acknowledged = this.account.send({ to: null, content, type: 'text', file: null });
    const stillUnsent = () => this.account.unsent().filter((message) => message.content === content);
    void acknowledged.then(() => this.leftOver.push(...stillUnsent()), () => {});
    const isKept = () => this.told.some(([event, data]) => event === 'messageUpdated' && data.content === content);
    while (!isKept()) await settled();
  }

  /** One frame one way or the other. */
  move(isUp) {
    if (!this.link) return false;
    const frame = (isUp ? this.link.up : this.link.down).shift();
    if (!frame) return false;
    if (isUp) this.server.take(this.link, frame);
    else this.account.inbox.take(structuredClone(frame));
    return true;
  }

  news() {
    return this.told.filter(([event]) => event === 'message').map(([, message]) => message.seq);
  }

  #rest({ before, limit }) {
    const end = Math.min(before ?? Infinity, this.server.log.length + 1);
    const messages = this.server.log.slice(Math.max(0, end - 1 - limit), end - 1);
    const [hasMore, head] = [(messages[0]?.seq ?? 1) > 1, this.server.log.length];
    return { conversation_id: NAME, messages: structuredClone(messages), has_more: hasMore, head };
  }
}

const settled = async () => {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

async function world(random, seedName) {
  Object.defineProperty(globalThis, 'navigator', { value: { locks: new Locks() }, configurable: true, writable: true });
  const below = (count) => Math.floor(random() * count);
  const server = new Server(below);
  const disk = new Disk(below);
  const pages = [];
  const open = async () => {
    const page = new Page(server, disk, seedName);
    await page.account.load();
    page.connect();
    return page;
  };
  try {
    for (let count = 1 + below(2); count > 0; count -= 1) pages.push(await open());
    await live(server, pages, below, open);
  } finally {
    for (const page of pages) page.account.close('end');
  }
  await settled();
}

async function live(server, pages, below, open) {
  const typed = [];
  for (let step = 0; step < 150; step += 1) {
    const index = below(pages.length);
    const page = pages[index];
    const choice = below(20);
    if (choice < 3) {
      const text = `typed ${typed.length}`;
      typed.push(text);
      await page.type(text);
    } else if (choice < 5) {
      server.append({ type: 'Chat', from_user_id: 'b', content: `said ${step}`, content_type: 'Text' });
    } else if (choice === 5) page.cut();
    else if (choice === 6) page.connect();
    else if (choice === 7 && below(3) === 0) {
      check(page, server);
      page.kill();
      pages[index] = await open();
    } else page.move(choice % 2 === 0);
    if (below(2)) await settled();
  }
  const deadline = Date.now() + 10_000;
  for (let quiet = 0; quiet < 5 && Date.now() < deadline;) {
    let isMoved = false;
    for (const page of pages) {
      page.connect();
      while (page.move(true) || page.move(false)) isMoved = true;
    }
    // Pauses of the sender are timers, if short ones.
    await new Promise((resolve) => setTimeout(resolve, 1));
    await settled();
    const isDone = !isMoved && pages.every(({ account }) => account.unsent().length === 0);
    quiet = isDone ? quiet + 1 : 0;
  }
  const said = server.log.filter((entry) => entry.from_user_id === USER.id).map(({ content }) => content);
  assert.deepEqual(said, typed, 'once, in the order in which they were typed');
  for (const page of pages) {
    check(page, server);
    assert.deepEqual(page.account.unsent(), [], 'nothing is left');
    const told = new Map(page.told.flatMap(([event, data]) => (event === 'messageUpdated' ? [[data.key, data]] : [])));
    assert.deepEqual([...told.values()].filter(({ seq }) => seq === null), [], 'what was sent is shown as sent');
    let shown = await page.account.page({ limit: 50 });
    const all = [...shown.messages];
    while (shown.hasMore) {
      shown = await page.account.page({ before: all[0].seq, limit: 50 });
      all.unshift(...shown.messages);
    }
    assert.deepEqual(all.map(({ seq }) => seq), server.log.map(({ seq }) => seq), 'history has no hole');
  }
}

/** What others wrote is told once, in order, without a hole; what was acknowledged is unsent no more. */
function check(page, server) {
  assert.deepEqual(page.leftOver, [], 'what was acknowledged is unsent no more');
  const news = page.news();
  for (const seq of news) assert.equal(server.log[seq - 1].from_user_id, 'b', 'one\'s own is no news');
  if (!news.length) return;
  const expected = server.log
    .filter(({ seq, from_user_id: from }) => from === 'b' && seq >= news[0] && seq <= news.at(-1))
    .map(({ seq }) => seq);
  assert.deepEqual(news, expected);
}

test('through lost connections and killed pages, in one tab and in two', async (context) => {
  // Pauses between attempts, which are random, are none.
  context.mock.method(Math, 'random', () => 0);
  let number = 0;
  await forSeeds(Number(process.env.WORLDS ?? 100), (random) => world(random, `world-${(number += 1)}-${process.pid}`));
});
