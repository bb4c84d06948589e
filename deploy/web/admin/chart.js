import { el, fill } from '../shared/dom.js';

const SPACE = 'http://www.w3.org/2000/svg';
const SIZE = { width: 320, height: 96 };

/** A figure over the last minutes, as a line; what it shows is also said in words. */
export class Chart {
  /** @type {number[]} */
  #values = [];

  /**
   * @param {object} parts
   * @param {string} parts.title
   * @param {(value: number) => string} parts.format
   * @param {number} parts.samplesMax
   * @param {(now: string, most: string) => string} parts.describe for those who do not see the line
   * @param {(most: string) => string} parts.range
   */
  constructor(parts) {
    this.parts = parts;
    this.value = el('p', { class: 'value' }, '–');
    this.note = el('p', { class: 'small muted' });
    this.svg = shape('svg', { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, preserveAspectRatio: 'none', role: 'img' });
    this.area = shape('path', { class: 'area' });
    this.line = shape('path', { class: 'line', 'vector-effect': 'non-scaling-stroke' });
    this.svg.append(this.area, this.line);
    this.element = el('figure', { class: 'figure' }, el('figcaption', {}, parts.title), this.value, this.svg,
      this.note);
  }

  /** @param {number} value @param {string} [note] beside the range */
  add(value, note = '') {
    const { format, samplesMax, describe, range } = this.parts;
    this.#values.push(value);
    if (this.#values.length > samplesMax) this.#values.shift();
    const most = Math.max(...this.#values);
    fill(this.value, format(value));
    fill(this.note, [note, range(format(most))].filter(Boolean).join(' · '));
    this.svg.setAttribute('aria-label', describe(format(value), format(most)));
    const step = SIZE.width / (samplesMax - 1);
    const from = SIZE.width - (this.#values.length - 1) * step;
    const points = this.#values.map((one, index) =>
      `${(from + index * step).toFixed(1)} ${(SIZE.height - 3 - (one / (most || 1)) * (SIZE.height - 10)).toFixed(1)}`);
    this.line.setAttribute('d', `M${points.join('L')}`);
    this.area.setAttribute('d', `M${from.toFixed(1)} ${SIZE.height}L${points.join('L')}L${SIZE.width} ${SIZE.height}Z`);
  }
}

/** @param {string} name @param {Record<string, string>} attributes */
function shape(name, attributes) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
