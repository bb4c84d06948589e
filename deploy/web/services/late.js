import { AdapterError } from './adapter-error.js';
import { LOAD_TRIES_MAX } from './limits.js';
import { persist } from './persist.js';

/**
 * A module of the adapter that most pages' first load does without. Nothing else of what it imports may be late, so
 * that there is one file that can fail to come.
 *
 * @template T
 */
export class LateModule {
  /**
   * @param {string} file beside this one
   * @param {() => Promise<T>} load its `import()`, as bundlers find it
   * @param {(again: number) => Promise<T>} [loadAgain] the same from another address
   */
  constructor(file, load, loadAgain = (again) => import(/* @vite-ignore */ `./${file}?again=${again}`)) {
    this.file = file;
    this.load = load;
    this.loadAgain = loadAgain;
    this.failed = 0;
    /** @type {T | null} */
    this.loaded = null;
  }

  /**
   * @param {AbortSignal} [signal] ends the waiting
   * @param {number} [triesMax]
   * @returns {Promise<T>}
   * @throws {AdapterError} `network`: calling again tries again
   */
  async get(signal, triesMax = LOAD_TRIES_MAX) {
    return this.loaded ?? (this.loaded = await persist(() => this.#try(), { triesMax, signal }));
  }

  async #try() {
    try {
      return await this.load().catch((error) => {
        // Many browsers keep in mind that a module did not come, for as long as the page is there; from another address
        // it is another one to them.
        if (this.failed) return this.loadAgain(this.failed);
        throw error;
      });
    } catch (cause) {
      this.failed += 1;
      throw AdapterError.network(`${this.file} could not be loaded`, cause);
    }
  }
}
