// Random numbers that a seed repeats: SEED=… runs a failing test again.

/** @param {number} seed @returns {() => number} at least 0, below 1 (mulberry32) */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Runs a property many times; the seed of a failure is in its message.
 *
 * @param {number} times
 * @param {(random: () => number) => unknown} property
 */
export async function forSeeds(times, property) {
  const given = process.env.SEED;
  const first = given === undefined ? crypto.getRandomValues(new Uint32Array(1))[0] : Number(given);
  for (let count = 0; count < (given === undefined ? times : 1); count += 1) {
    try {
      await property(seeded(first + count));
    } catch (error) {
      error.message = `SEED=${first + count}: ${error.message}`;
      throw error;
    }
  }
}
