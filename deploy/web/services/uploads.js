import { AdapterError } from './adapter-error.js';
import {
  CHUNK_BYTES, FILE_NAME_CHARACTERS_MAX, REMEMBERED_UPLOADS_MAX, UPLOAD_STALL_MS, UPLOAD_TRIES_MAX,
} from './limits.js';
import { isPassing, pauseAfter, persist } from './persist.js';
import { attachment, characterCount } from './wire.js';

/**
 * @typedef {import('./enterprise-adapter').Attachment} Attachment
 * @typedef {import('./enterprise-adapter').ServerLimits} ServerLimits
 * @typedef {import('./rest-client.js').RestClient} RestClient
 * @typedef {import('./rest-client.js').Answer} Answer
 */

const UPLOADS = '/api/files/uploads';
const TUS = { 'Tus-Resumable': '1.0.0' };

/**
 * What the server would refuse, before a byte is sent.
 *
 * @param {{name: string, size: number, type: string}} file
 * @param {Pick<ServerLimits, 'fileBytesMax' | 'imageBytesMax' | 'videoBytesMax' | 'voiceBytesMax'>} limits
 * @throws {AdapterError} `invalid_argument`
 */
export function checkFile(file, limits) {
  const characters = characterCount(file.name);
  if (characters < 1 || characters > FILE_NAME_CHARACTERS_MAX) {
    throw AdapterError.argument('file.name', `must have 1 to ${FILE_NAME_CHARACTERS_MAX} characters`);
  }
  if (/[/\\\p{Cc}\u202A-\u202E\u2066-\u2069]/u.test(file.name) || file.name === '.' || file.name === '..') {
    throw AdapterError.argument('file.name', 'must have no slash, control or direction character');
  }
  const kind = file.type.split('/')[0];
  const byKind = { image: limits.imageBytesMax, video: limits.videoBytesMax, audio: limits.voiceBytesMax };
  const most = Math.min(limits.fileBytesMax, byKind[/** @type {'image'} */ (kind)] ?? Infinity);
  if (file.size > most) throw AdapterError.argument('file.size', `must be at most ${most} bytes`);
}

/**
 * `Upload-Metadata` (tus 1.0.0).
 *
 * @param {{name: string, type: string}} file
 */
export function uploadMetadata(file) {
  const encode = (/** @type {string} */ text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  return `filename ${encode(file.name)}` + (file.type ? `,filetype ${encode(file.type)}` : '');
}

/** Files on their way up: small ones in one request, large ones in parts that survive lost connections and reloads. */
export class Uploads {
  /**
   * @param {object} parts
   * @param {RestClient} parts.rest
   * @param {import('./database.js').Database} parts.database
   * @param {number} parts.threshold bytes
   * @param {() => number} [parts.random]
   */
  constructor({ rest, database, threshold, random = Math.random }) {
    this.rest = rest;
    this.database = database;
    this.threshold = threshold;
    this.random = random;
  }

  /**
   * @param {File} file
   * @param {(percent: number) => void} onPercent
   * @param {AbortSignal} [signal]
   * @returns {Promise<Attachment>}
   */
  async upload(file, onPercent, signal) {
    let shown = -1;
    // 100 is said when the server has all of it.
    const progress = (/** @type {number} */ sent) => {
      const percent = file.size ? Math.min(99, Math.floor((sent / file.size) * 100)) : 0;
      if (percent > shown) onPercent((shown = percent));
    };
    progress(0);
    const document = file.size > this.threshold
      ? await this.#inParts(file, progress, signal)
      : await this.#atOnce(file, progress, signal);
    onPercent(100);
    return attachment(document);
  }

  /** @param {File} file @param {(sent: number) => void} progress @param {AbortSignal} [signal] */
  async #atOnce(file, progress, signal) {
    const answer = await persist(() => {
      const body = new FormData();
      body.append('file', file, file.name);
      return this.#send('POST', '/api/files/upload', {}, body, progress, signal);
    }, this.#tries(signal));
    return JSON.parse(answer.text);
  }

  /** @param {File} file @param {(sent: number) => void} progress @param {AbortSignal} [signal] */
  async #inParts(file, progress, signal) {
    const fingerprint = [file.name, file.size, file.lastModified, file.type].join('\n');
    let id = await this.#remembered(fingerprint);
    let offset = id === null ? null : await this.#offset(id, signal);
    if (id === null || offset === null) {
      id = await this.#create(file, signal);
      offset = 0;
      await this.#remember(fingerprint, id);
    }
    try {
      await this.#sendParts(file, id, offset, progress, signal);
    } catch (error) {
      if (error instanceof AdapterError && error.code === 'aborted') {
        await this.#forget(fingerprint);
        await this.rest.call('DELETE', `${UPLOADS}/${id}`, { headers: TUS }).catch(() => {});
      }
      throw error;
    }
    const document = await this.rest.json('GET', `/api/files/${id}`, { signal });
    await this.#forget(fingerprint);
    return document;
  }

  /**
   * @param {File} file
   * @param {string} id
   * @param {number} offset
   * @param {(sent: number) => void} progress
   * @param {AbortSignal} [signal]
   */
  async #sendParts(file, id, offset, progress, signal) {
    let at = offset;
    let reached = offset;
    let failed = 0;
    while (at < file.size) {
      progress(at);
      try {
        const part = file.slice(at, at + CHUNK_BYTES);
        const headers = { ...TUS, 'Upload-Offset': String(at), 'Content-Type': 'application/offset+octet-stream' };
        const from = at;
        const onSent = (/** @type {number} */ sent) => progress(from + sent);
        const answer = await this.#send('PATCH', `${UPLOADS}/${id}`, headers, part, onSent, signal);
        at = this.#offsetOf(answer) ?? at + part.size;
        failed = 0;
      } catch (error) {
        if (!isPassing(error)) throw error;
        failed += 1;
        if (failed >= UPLOAD_TRIES_MAX) throw error;
        await pauseAfter(error, failed, { signal, random: this.random });
        const now = await this.#offset(id, signal).catch((/** @type {unknown} */ again) => {
          if (isPassing(again)) return at;
          throw again;
        });
        if (now === null) throw error;
        at = now;
        // What arrived before the connection broke counts as getting on.
        if (at > reached) failed = 0;
      }
      reached = Math.max(reached, at);
    }
  }

  /** @param {File} file @param {AbortSignal} [signal] @returns {Promise<string>} */
  async #create(file, signal) {
    const answer = await persist(() => this.rest.call('POST', UPLOADS, {
      headers: { ...TUS, 'Upload-Length': String(file.size), 'Upload-Metadata': uploadMetadata(file) },
      signal,
    }), this.#tries(signal));
    const id = (answer.header('Location') ?? '').split('/').pop();
    if (!id) throw new AdapterError('bad_answer', 'uploads: no Location', { status: answer.status });
    return id;
  }

  /**
   * How far it is; `null`: there is no such upload any more.
   *
   * @param {string} id
   * @param {AbortSignal} [signal]
   */
  async #offset(id, signal) {
    try {
      return this.#offsetOf(await this.rest.call('HEAD', `${UPLOADS}/${id}`, { headers: TUS, signal }));
    } catch (error) {
      if (error instanceof AdapterError && [403, 404, 410].includes(error.status)) return null;
      throw error;
    }
  }

  /** @param {Answer} answer */
  #offsetOf(answer) {
    const text = answer.header('Upload-Offset');
    return text === null ? null : Number(text);
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {Record<string, string>} headers
   * @param {Blob | FormData} body
   * @param {(sent: number) => void} onProgress
   * @param {AbortSignal} [signal]
   * @returns {Promise<Answer>}
   */
  async #send(method, path, headers, body, onProgress, signal) {
    for (let isAgain = false; ; isAgain = true) {
      const id = this.rest.session.id();
      if (id === null) throw AdapterError.notLoggedIn();
      const url = this.rest.baseUrl + path;
      const all = { ...headers, 'X-Session-Id': id };
      const answer = await uploadRequest({ method, url, headers: all, body, onProgress, signal });
      if (answer.status >= 200 && answer.status < 300) return answer;
      const error = AdapterError.fromAnswer(answer);
      // It was refreshed meanwhile.
      if (answer.status !== 401 || isAgain || !this.rest.session.onRefused(id)) throw error;
    }
  }

  /** @param {AbortSignal} [signal] */
  #tries(signal) {
    return { triesMax: UPLOAD_TRIES_MAX, signal, random: this.random };
  }

  // What is remembered of unfinished uploads is a convenience: without it they begin anew.

  /** @param {string} fingerprint @returns {Promise<string | null>} */
  async #remembered(fingerprint) {
    const read = this.database.read(['uploads'], (stores) => stores.get('uploads', fingerprint));
    return (await read.catch(() => null))?.id ?? null;
  }

  /** @param {string} fingerprint @param {string} id */
  async #remember(fingerprint, id) {
    await this.database.write(['uploads'], async (stores) => {
      await stores.put('uploads', { fingerprint, id, at: Date.now() });
      const all = await stores.getAll('uploads');
      const oldest = all.sort((a, b) => a.at - b.at).slice(0, Math.max(0, all.length - REMEMBERED_UPLOADS_MAX));
      for (const one of oldest) await stores.remove('uploads', one.fingerprint);
    }).catch(() => {});
  }

  /** @param {string} fingerprint */
  async #forget(fingerprint) {
    await this.database.write(['uploads'], (stores) => stores.remove('uploads', fingerprint)).catch(() => {});
  }
}

/**
 * One request with a body whose progress is told, which `fetch` does not do.
 *
 * @param {object} request
 * @param {string} request.method
 * @param {string} request.url
 * @param {Record<string, string>} request.headers
 * @param {Blob | FormData} request.body
 * @param {(sent: number) => void} request.onProgress bytes of the body
 * @param {AbortSignal} [request.signal]
 * @returns {Promise<import('./rest-client.js').Answer>} whatever the status
 * @throws {AdapterError} `network`, `aborted`
 */
function uploadRequest({ method, url, headers, body, onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    const abort = () => {
      end();
      request.abort();
      reject(AdapterError.aborted('the upload was ended'));
    };
    const watch = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        end();
        request.abort();
        reject(AdapterError.network(`nothing could be sent for ${UPLOAD_STALL_MS} ms`));
      }, UPLOAD_STALL_MS);
    };
    if (signal?.aborted) return abort();
    signal?.addEventListener('abort', abort);
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      watch();
      onProgress(event.loaded);
    };
    request.onload = () => {
      end();
      const { status, responseText: text } = request;
      resolve({ status, header: (name) => request.getResponseHeader(name), text });
    };
    request.onerror = () => {
      end();
      reject(AdapterError.network('the connection broke'));
    };
    watch();
    request.send(body);
  });
}
