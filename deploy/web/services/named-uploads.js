import { AdapterError } from './adapter-error.js';
import { NAMED_UPLOADS_MAX } from './limits.js';

/**
 * @typedef {import('./enterprise-adapter').Attachment} Attachment
 * @typedef {import('./enterprise-adapter').MessageType} MessageType
 */

/** Completed uploads that no message has carried yet: a message that has only a file's name finds the file here. */
export class NamedUploads {
  /**
   * The newest last.
   *
   * @type {Attachment[]}
   */
  #files = [];

  /** @param {Attachment} file */
  add(file) {
    this.#files.push(file);
    if (this.#files.length > NAMED_UPLOADS_MAX) this.#files.shift();
  }

  /** @param {Attachment | null} file a message carries it */
  take(file) {
    this.#files = this.#files.filter((one) => one !== file && one.id !== file?.id);
  }

  clear() {
    this.#files = [];
  }

  /**
   * The file of a message.
   *
   * @param {string} text
   * @param {MessageType} type
   * @param {import('./enterprise-adapter').SendOptions} options
   * @returns {Attachment | null}
   * @throws {AdapterError} `file_not_uploaded`
   */
  of(text, type, { attachment, fileId }) {
    if (attachment) return attachment;
    if (fileId !== undefined) {
      const known = this.#files.find(({ id }) => id === fileId);
      const other = type === 'text' ? 'file' : type;
      return known ?? { id: fileId, name: text, type: other, size: 0, url: `/files/${fileId}` };
    }
    if (type === 'text') return null;
    const named = this.#files.filter(({ name }) => name === text).pop();
    if (named) return named;
    const rule = 'must be the name of an upload that was completed and not yet sent';
    throw new AdapterError('file_not_uploaded', `text: ${rule}`, { errors: [{ field: 'text', rule }] });
  }
}
