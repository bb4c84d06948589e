/** How long the page around is waited for, in milliseconds: one that has another widget.js does not answer. */
const PATIENCE_MS = 1500;

/**
 * In a frame of another site's page, browsers may refuse all storage; each page of that site would then begin a new
 * conversation. That page, which the operator has named, keeps it instead: the session of a customer, nothing else.
 */
export async function borrowStorage() {
  if (isAllowed()) return;
  const items = await ask();
  const held = new Map(Object.entries(items));
  const keep = () => parent.postMessage({ supportChat: 'keep', items: Object.fromEntries(held) }, '*');
  const storage = {
    getItem: (/** @type {string} */ key) => held.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => {
      held.set(key, String(value));
      keep();
    },
    removeItem: (/** @type {string} */ key) => {
      if (held.delete(key)) keep();
    },
  };
  Object.defineProperty(window, 'localStorage', { value: storage, configurable: true });
}

function isAllowed() {
  try {
    return Boolean(window.localStorage);
  } catch {
    return false;
  }
}

/** @returns {Promise<Record<string, string>>} */
function ask() {
  return new Promise((resolve) => {
    addEventListener('message', ({ source, data }) => {
      if (source !== parent || data?.supportChat !== 'kept') return;
      const texts = Object.entries(data.items ?? {}).filter(([, value]) => typeof value === 'string');
      resolve(Object.fromEntries(texts));
    });
    setTimeout(() => resolve({}), PATIENCE_MS);
    parent.postMessage({ supportChat: 'storage' }, '*');
  });
}
