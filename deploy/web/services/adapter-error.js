/** @typedef {import('./enterprise-adapter').FieldError} FieldError */

/** What every failed call rejects with; README.md lists the codes. */
export class AdapterError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{status?: number, errors?: FieldError[], retryAfterMs?: number | null, requestId?: string | null,
   *   cause?: unknown}} [details]
   */
  constructor(code, message, details = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'AdapterError';
    this.code = code;
    this.status = details.status ?? 0;
    this.errors = details.errors ?? [];
    this.field = this.errors[0]?.field ?? null;
    this.rule = this.errors[0]?.rule ?? null;
    this.retryAfterMs = details.retryAfterMs ?? null;
    this.requestId = details.requestId ?? null;
  }

  /**
   * An argument that breaks a rule, found before anything was sent.
   *
   * @param {string} field
   * @param {string} rule
   */
  static argument(field, rule) {
    return new AdapterError('invalid_argument', `${field}: ${rule}`, { errors: [{ field, rule }] });
  }

  static notLoggedIn() {
    return new AdapterError('not_logged_in', 'there is no session: log in first');
  }

  /** @param {string} what */
  static aborted(what) {
    return new AdapterError('aborted', what);
  }

  /**
   * No answer.
   *
   * @param {string} rule
   * @param {unknown} [cause]
   */
  static network(rule, cause) {
    return new AdapterError('network', `the server cannot be reached: ${rule}`, {
      errors: [{ field: 'network', rule }],
      cause,
    });
  }

  /**
   * An `Error` frame.
   *
   * @param {{code?: unknown, message?: unknown}} frame
   */
  static fromFrame(frame) {
    const message = String(frame.message ?? '');
    return new AdapterError(String(frame.code ?? 'bad_answer'), message, { errors: fieldErrors(message) });
  }

  /**
   * An HTTP answer that is no success: its problem document (RFC 9457), or what its status says.
   *
   * @param {{status: number, header(name: string): string | null, text: string}} answer
   */
  static fromAnswer(answer) {
    /** @type {Record<string, any>} */
    let problem = {};
    try {
      problem = Object(JSON.parse(answer.text));
    } catch {
      // A proxy's own page.
    }
    const detail = String(problem.detail ?? problem.title ?? `HTTP ${answer.status}`);
    const listed = Array.isArray(problem.errors)
      ? problem.errors.map((/** @type {any} */ one) => ({
          field: String(one.pointer ?? '').replace(/^#?\//, '').replaceAll('/', '.'),
          rule: String(one.detail ?? ''),
        }))
      : fieldErrors(detail);
    return new AdapterError(String(problem.code ?? statusCode(answer.status)), detail, {
      status: answer.status,
      errors: listed,
      retryAfterMs: retryAfter(answer.header('Retry-After')),
      requestId: answer.header('X-Request-Id'),
    });
  }

  /** As it is kept in the browser's storage. */
  toJSON() {
    return { code: this.code, message: this.message, status: this.status, errors: this.errors };
  }

  /** @param {{code: string, message: string, status?: number, errors?: FieldError[]}} kept */
  static fromJSON(kept) {
    return new AdapterError(kept.code, kept.message, kept);
  }
}

/**
 * @param {unknown} error
 * @returns {AdapterError}
 */
export function asAdapterError(error) {
  if (error instanceof AdapterError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new AdapterError('internal_error', text, { cause: error });
}

/**
 * The server's texts name the field before a colon.
 *
 * @param {string} text
 * @returns {FieldError[]}
 */
function fieldErrors(text) {
  const match = /^([a-z_A-Z][\w.\-, ]{0,63}): (.+)$/s.exec(text);
  return match ? [{ field: match[1], rule: match[2] }] : [];
}

/** @param {number} status */
function statusCode(status) {
  if (status === 401) return 'session_ended';
  if (status === 413) return 'too_large';
  if (status === 429) return 'too_many_requests';
  return status >= 500 ? 'unavailable' : 'bad_answer';
}

/**
 * `Retry-After` (RFC 9110 §10.2.3) in milliseconds: seconds, or a date.
 *
 * @param {string | null} text
 * @param {number} [now]
 * @returns {number | null}
 */
export function retryAfter(text, now = Date.now()) {
  if (!text) return null;
  if (/^\d{1,9}$/.test(text.trim())) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
