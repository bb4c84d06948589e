/** What a page remembers of its user's choices; browsers may refuse storage to a frame, which then forgets. */
export const memory = {
  /** @param {string} key @returns {string | null} */
  get(key) {
    try {
      return localStorage.getItem(`support-chat.${key}`);
    } catch {
      return null;
    }
  },
  /** @param {string} key @param {string | null} value `null`: nothing */
  set(key, value) {
    try {
      if (value === null) localStorage.removeItem(`support-chat.${key}`);
      else localStorage.setItem(`support-chat.${key}`, value);
    } catch {
      // It lasts as long as the page.
    }
  },
};
