/**
 * @typedef {string | number | Node | null | undefined | false} Child
 * @typedef {Record<string, unknown>} Properties
 */

/**
 * An element. Strings become text, never markup; functions listen to the event that their name says (`onclick`); `true`
 * is an attribute without a value, and `false`, `null` and `undefined` are none.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Properties} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  append(element, ...children);
  return element;
}

/** @param {Node} parent @param {...Child} children */
export function append(parent, ...children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** @param {Element} parent @param {...Child} children the only ones from now on */
export function fill(parent, ...children) {
  parent.replaceChildren();
  append(parent, ...children);
}

/**
 * The element of that id.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

/**
 * Puts the focus on the first element of that selector, if there is one.
 *
 * @param {ParentNode} within
 * @param {string} selector
 */
export function focusOn(within, selector) {
  const found = within.querySelector(selector);
  if (found instanceof HTMLElement) found.focus();
}

/**
 * An icon that says nothing: whatever it stands in says it.
 *
 * @param {string} path of a 24 by 24 drawing
 */
export function icon(path) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  for (const [name, value] of [['viewBox', '0 0 24 24'], ['class', 'icon'], ['aria-hidden', 'true']]) {
    svg.setAttribute(name, value);
  }
  const drawing = document.createElementNS(space, 'path');
  drawing.setAttribute('d', path);
  svg.appendChild(drawing);
  return svg;
}

/**
 * A button that shows an icon alone, with its name for everybody who does not see it.
 *
 * @param {string} path
 * @param {string} label
 * @param {(event: Event) => void} onclick
 * @param {Properties} [properties]
 */
export function iconButton(path, label, onclick, properties = {}) {
  return el('button', { type: 'button', class: 'icon-button', 'aria-label': label, title: label, onclick,
    ...properties },
    icon(path));
}

/** The drawings of the icons that every conversation has. */
export const ICONS = {
  attach: 'M16.5 6v11.5a4 4 0 0 1-8 0V5a2.5 2.5 0 0 1 5 0v10.5a1 1 0 0 1-2 0V6H10'
    + 'v9.5a2.5 2.5 0 0 0 5 0V5a4 4 0 0 0-8 0v12.5a5.5 5.5 0 0 0 11 0V6z',
  send: 'M2 21 23 12 2 3v7l15 2-15 2z',
  close: 'M19 6.4 17.6 5 12 10.6 6.4 5 5 6.4 10.6 12 5 17.6 6.4 19 12 13.4 17.6 19 19 17.6 13.4 12z',
  sound: 'M3 9v6h4l5 5V4L7 9zm13.5 3A4.5 4.5 0 0 0 14 8v8a4.5 4.5 0 0 0 2.5-4zM14 3.2'
    + 'v2.1a7 7 0 0 1 0 13.4v2.1a9 9 0 0 0 0-17.6z',
  silence: 'M3 9v6h4l5 5V4L7 9zm13.6 3 2.7-2.7-1.4-1.4-2.7 2.7-2.7-2.7v2.8L14 12l-1.5 1.5v2.6l2.7-2.7 2.7 2.7 1.4-1.4z',
  leave: 'M10 17v-3H3v-4h7V7l5 5zm0-15h9a2 2 0 0 1 2 2v16a2 2 0 0 1-2 2h-9a2 2 0 0 1-2-2'
    + 'v-2h2v2h9V4h-9v2H8V4a2 2 0 0 1 2-2z',
  down: 'M7.4 8.6 12 13.2l4.6-4.6L18 10l-6 6-6-6z',
};

/**
 * Text for screen readers alone.
 *
 * @param {string} text
 */
export function unseen(text) {
  return el('span', { class: 'unseen' }, text);
}
