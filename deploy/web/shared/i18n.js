/**
 * What a page says, in the languages that it speaks.
 *
 * @typedef {Record<string, readonly [en: string, zh: string]>} Words
 * @typedef {'en' | 'zh'} Language
 */

/** The first of the browser's languages that the pages speak; `?lang=` of the address wins, for embedded pages. */
export const language = chooseLanguage([new URLSearchParams(location.search).get('lang') ?? '',
  ...navigator.languages]);

/** As the platform's formats name it. */
export const locale = language === 'zh' ? 'zh-CN' : 'en-GB';

/**
 * @param {readonly string[]} wanted
 * @returns {Language}
 */
export function chooseLanguage(wanted) {
  for (const one of wanted) {
    const base = one.toLowerCase().split('-')[0];
    if (base === 'zh' || base === 'en') return base;
  }
  return 'en';
}

/**
 * The function that says a page's words; `{name}` in them is replaced.
 *
 * @template {Words} W
 * @param {W} words
 * @returns {(key: keyof W, values?: Record<string, string | number>) => string}
 */
export function translator(words) {
  const index = language === 'zh' ? 1 : 0;
  return (key, values = {}) =>
    words[key][index].replace(/\{(\w+)\}/g, (match, name) => (name in values ? String(values[name]) : match));
}

/**
 * Says in the page's own language what its HTML says in English: `data-t` names the words of an element's text.
 *
 * @param {(key: any) => string} t
 */
export function translatePage(t) {
  document.documentElement.lang = locale;
  for (const element of document.querySelectorAll('[data-t]')) {
    element.textContent = t(element.getAttribute('data-t'));
  }
}

const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat(locale, { dateStyle: 'full' });
const dayAndTime = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' });

/** @param {string | number | Date} time */
export function clockTime(time) {
  return clock.format(new Date(time));
}

/** @param {string | number | Date} time */
export function wholeDay(time) {
  return day.format(new Date(time));
}

/** @param {string | number | Date} time */
export function dateTime(time) {
  return dayAndTime.format(new Date(time));
}

/**
 * A time today by the clock, another by its date.
 *
 * @param {string} time
 */
export function shortTime(time) {
  const then = new Date(time);
  return then.toDateString() === new Date().toDateString()
    ? clock.format(then) : then.toLocaleDateString(locale, { month: 'short', day: 'numeric' });
}

/**
 * A size as people write it.
 *
 * @param {number} bytes
 */
export function fileSize(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  const step = Math.min(3, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const shown = bytes / 1024 ** step;
  return `${shown.toLocaleString(locale, { maximumFractionDigits: step && shown < 10 ? 1 : 0 })} ${units[step]}`;
}

/**
 * A span of time in minutes and seconds.
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0');
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
