import { AdapterError } from './adapter-error.js';
import { UPLOAD_STALL_MS } from './limits.js';

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
export function uploadRequest({ method, url, headers, body, onProgress, signal }) {
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
