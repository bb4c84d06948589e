import { ICONS, icon, iconButton } from './dom.js';
import { memory } from './memory.js';

/** The least time between two sounds, in milliseconds. */
const SOUND_INTERVAL_MS = 1500;

/** What draws a user back to the page: a sound, and the count of unread messages in its title. */
export class Attention {
  /** @type {AudioContext | null} */
  #audio = null;
  #isOn = memory.get('sound') !== 'off';
  #last = 0;
  #title = document.title;

  constructor() {
    // Browsers let a page sound only after its user has done something.
    const unlock = () => {
      if (this.#isOn) this.#audio ??= new AudioContext();
    };
    addEventListener('pointerdown', unlock, { once: true });
    addEventListener('keydown', unlock, { once: true });
  }

  /** Two short tones, made on the spot. */
  sound() {
    const now = Date.now();
    if (!this.#isOn || !this.#audio || now - this.#last < SOUND_INTERVAL_MS) return;
    this.#last = now;
    const audio = this.#audio;
    [880, 1174].forEach((frequency, index) => {
      const at = audio.currentTime + index * 0.12;
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      tone.frequency.value = frequency;
      volume.gain.setValueAtTime(0, at);
      volume.gain.linearRampToValueAtTime(0.08, at + 0.01);
      volume.gain.exponentialRampToValueAtTime(0.0005, at + 0.18);
      tone.connect(volume).connect(audio.destination);
      tone.start(at);
      tone.stop(at + 0.2);
    });
  }

  /** @param {number} unread */
  count(unread) {
    document.title = unread ? `(${unread}) ${this.#title}` : this.#title;
  }

  /**
   * The button that turns the sound off and on.
   *
   * @param {(key: 'sound_on' | 'sound_off') => string} t
   */
  button(t) {
    const button = iconButton(ICONS.sound, '', () => {
      this.#isOn = !this.#isOn;
      memory.set('sound', this.#isOn ? null : 'off');
      if (this.#isOn) this.#audio ??= new AudioContext();
      show();
    });
    const show = () => {
      const label = t(this.#isOn ? 'sound_on' : 'sound_off');
      button.setAttribute('aria-label', label);
      button.title = label;
      button.replaceChildren(icon(this.#isOn ? ICONS.sound : ICONS.silence));
    };
    show();
    return button;
  }
}
