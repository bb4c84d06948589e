/**
 * What is kept of one user: four stores, in IndexedDB or, where the browser gives none, in memory.
 *
 * @typedef {'outbox' | 'entries' | 'conversations' | 'uploads'} StoreName
 */

/**
 * A transaction. Its promises are the only ones that may be awaited in it.
 *
 * @typedef {object} Stores
 * @property {(store: StoreName, key: Key) => Promise<any>} get
 * @property {(store: StoreName, from?: Key, to?: Key) => Promise<any[]>} getAll in the order of keys, both ends too
 * @property {(store: StoreName, value: any) => Promise<any>} put its key
 * @property {(store: StoreName, from: Key, to?: Key) => Promise<void>} remove one, or all up to `to`
 * @property {(store: StoreName) => Promise<number>} count
 *
 * @typedef {string | number | [string, number]} Key
 *
 * @typedef {object} Database
 * @property {<T>(stores: StoreName[], work: (stores: Stores) => Promise<T>) => Promise<T>} read
 * @property {<T>(stores: StoreName[], work: (stores: Stores) => Promise<T>) => Promise<T>} write
 * @property {() => Promise<void>} clear
 * @property {() => void} close
 * @property {boolean} isLasting whether it outlives the page
 * @property {() => void} [onEmptied] the browser has deleted what was in it
 */

const VERSION = 1;
/** How often, and how long apart, a database that the browser has closed is asked for again; what needs it waits. */
const REOPENING_TRIES_MAX = 20;
const REOPENING_PAUSE_MS = 100;
/** @type {Record<StoreName, string | string[]>} */
const KEY_PATHS = {
  outbox: 'number', entries: ['conversation_id', 'seq'], conversations: 'id', uploads: 'fingerprint',
};
const STORES = /** @type {StoreName[]} */ (Object.keys(KEY_PATHS));

/**
 * @param {string} name
 * @returns {Promise<Database>}
 */
export async function openDatabase(name) {
  try {
    return new IndexedDatabase((await open(name)).database, name);
  } catch {
    // A private window, a frame whose storage is blocked, or a disk that is full.
    return new MemoryDatabase();
  }
}

/** @param {string} name */
export function deleteDatabase(name) {
  try {
    indexedDB.deleteDatabase(name);
  } catch {
    // There is none where nothing can be stored.
  }
}

/** @param {string} name @returns {Promise<{database: IDBDatabase, isNew: boolean}>} */
function open(name) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, VERSION);
    let isNew = false;
    request.onupgradeneeded = ({ oldVersion }) => {
      isNew = oldVersion === 0;
      for (const store of STORES) {
        request.result.createObjectStore(store, { keyPath: KEY_PATHS[store], autoIncrement: store === 'outbox' });
      }
    };
    request.onsuccess = () => resolve({ database: request.result, isNew });
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error('another version of this page holds the database'));
  });
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @implements {Database} */
class IndexedDatabase {
  isLasting = true;
  /** @type {(() => void) | undefined} */
  onEmptied;
  /** @type {Promise<void> | null} */
  #opening = null;

  /** @param {IDBDatabase} database @param {string} name */
  constructor(database, name) {
    this.name = name;
    this.database = this.#watched(database);
  }

  /** @param {IDBDatabase} database */
  #watched(database) {
    // The last tab to know wins: a newer page's upgrade, or a deletion, must not wait for this one.
    database.onversionchange = () => database.close();
    // The browser has closed it: its storage began anew, or somebody has deleted this site's data.
    database.onclose = () => {
      this.#opening = this.#openAgain().catch(() => {});
    };
    return database;
  }

  async #openAgain() {
    const { database, isNew } = await this.#opened();
    this.database = this.#watched(database);
    this.#opening = null;
    // Before whoever waits for it.
    if (isNew) this.onEmptied?.();
  }

  /** Browsers refuse it for a moment after they have closed it. */
  async #opened() {
    for (let failed = 1; ; failed += 1) {
      try {
        return await open(this.name);
      } catch (error) {
        if (failed === REOPENING_TRIES_MAX) throw error;
        await new Promise((resolve) => setTimeout(resolve, REOPENING_PAUSE_MS));
      }
    }
  }

  /** @template T @param {StoreName[]} stores @param {(stores: Stores) => Promise<T>} work */
  read(stores, work) {
    return this.#run(stores, 'readonly', work);
  }

  /** @template T @param {StoreName[]} stores @param {(stores: Stores) => Promise<T>} work */
  write(stores, work) {
    return this.#run(stores, 'readwrite', work);
  }

  /**
   * @template T
   * @param {StoreName[]} names
   * @param {IDBTransactionMode} mode
   * @param {(stores: Stores) => Promise<T>} work
   */
  async #run(names, mode, work) {
    if (this.#opening) await this.#opening;
    // A message that was typed is on the disk before it is said to be kept.
    const durability = names.includes('outbox') ? 'strict' : 'relaxed';
    const transaction = /** @type {any} */ (this.database).transaction(names, mode, { durability });
    const done = new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(undefined);
      transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was aborted'));
    });
    // Of two rejections only the first is of interest.
    done.catch(() => {});
    try {
      const result = await work(stores(transaction));
      await done;
      return result;
    } catch (error) {
      try {
        transaction.abort();
      } catch {
        // It has ended by itself.
      }
      throw error;
    }
  }

  async clear() {
    const transaction = this.database.transaction(STORES, 'readwrite');
    await Promise.all(STORES.map((store) => answer(transaction.objectStore(store).clear())));
  }

  close() {
    this.onEmptied = undefined;
    this.database.close();
  }
}

/** @param {IDBTransaction} transaction @returns {Stores} */
function stores(transaction) {
  /** @param {Key} [from] @param {Key} [to] */
  const range = (from, to) => (from === undefined || to === undefined ? undefined : IDBKeyRange.bound(from, to));
  return {
    get: (store, key) => answer(transaction.objectStore(store).get(key)),
    getAll: (store, from, to) => answer(transaction.objectStore(store).getAll(range(from, to))),
    put: (store, value) => answer(transaction.objectStore(store).put(value)),
    remove: (store, from, to) => answer(transaction.objectStore(store).delete(range(from, to) ?? from)),
    count: (store) => answer(transaction.objectStore(store).count()),
  };
}

/** @implements {Database} */
export class MemoryDatabase {
  isLasting = false;

  constructor() {
    /** @type {Map<StoreName, Map<string, {key: Key, value: any}>>} */
    this.maps = new Map(STORES.map((store) => [store, new Map()]));
    this.number = 0;
    /** @type {Promise<unknown>} */
    this.last = Promise.resolve();
  }

  /** @template T @param {StoreName[]} _names @param {(stores: Stores) => Promise<T>} work @returns {Promise<T>} */
  read(_names, work) {
    return this.write(_names, work);
  }

  /** @template T @param {StoreName[]} _names @param {(stores: Stores) => Promise<T>} work @returns {Promise<T>} */
  write(_names, work) {
    // One after the other, as IndexedDB's.
    const result = this.last.then(() => work(this.#stores()));
    this.last = result.catch(() => {});
    return result;
  }

  async clear() {
    for (const map of this.maps.values()) map.clear();
  }

  close() {}

  /** @returns {Stores} */
  #stores() {
    /** @param {StoreName} store */
    const map = (store) => /** @type {Map<string, {key: Key, value: any}>} */ (this.maps.get(store));
    /** @param {StoreName} store @param {Key} [from] @param {Key} [to] */
    const within = (store, from, to) =>
      [...map(store).values()]
        .filter(({ key }) => from === undefined || to === undefined || (order(from, key) <= 0 && order(key, to) <= 0))
        .sort((a, b) => order(a.key, b.key));
    return {
      get: async (store, key) => structuredClone(map(store).get(JSON.stringify(key))?.value),
      getAll: async (store, from, to) => within(store, from, to).map(({ value }) => structuredClone(value)),
      put: async (store, value) => {
        const copy = structuredClone(value);
        if (store === 'outbox' && copy.number === undefined) copy.number = this.number += 1;
        const path = KEY_PATHS[store];
        const key = Array.isArray(path) ? path.map((one) => copy[one]) : copy[path];
        map(store).set(JSON.stringify(key), { key, value: copy });
        return key;
      },
      remove: async (store, from, to) => {
        for (const { key } of within(store, from, to ?? from)) map(store).delete(JSON.stringify(key));
      },
      count: async (store) => map(store).size,
    };
  }
}

/** @param {Key} a @param {Key} b @returns {number} */
function order(a, b) {
  if (Array.isArray(a) && Array.isArray(b)) return order(a[0], b[0]) || order(a[1], b[1]);
  if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
  return 0;
}
