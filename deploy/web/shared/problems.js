import { translator } from './i18n.js';
import { PROBLEM_WORDS } from './problem-words.js';

const t = translator(PROBLEM_WORDS);

/**
 * What people are told of an error.
 *
 * @param {any} error
 * @param {{name?: string}} [about] the file's name
 * @returns {string}
 */
export function problemText(error, about = {}) {
  const { code, field, rule, retryAfterMs } = error ?? {};
  const name = about.name ?? '';
  if (code === 'invalid_argument' || code === 'invalid_field') {
    if (field === 'text' || field === 'content') return t('too_long');
    if (field === 'file.size') return t('file_too_large', { name });
    if (field === 'file.name' || field === 'file_name') return t('file_name_bad', { name });
    return field ? t('rule', { field, rule: rule ?? '' }) : t('other', { code });
  }
  if (code === 'too_large') return t('file_too_large', { name });
  if (code === 'too_many_attempts') return t(code, { seconds: Math.ceil((retryAfterMs ?? 1000) / 1000) });
  return code in PROBLEM_WORDS
    ? t(/** @type {keyof typeof PROBLEM_WORDS} */ (code), { name }) : t('other', { code: code ?? String(error) });
}
