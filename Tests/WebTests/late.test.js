import assert from 'node:assert/strict';
import test from 'node:test';

import { LateModule } from '../../deploy/web/services/late.js';
import { LOAD_TRIES_MAX } from '../../deploy/web/services/limits.js';

/** Pauses that take no time. */
function hurry(context) {
  const real = setTimeout;
  context.mock.method(globalThis, 'setTimeout', (work) => real(work, 0));
}

/** A module that comes at a try, from the first address or, when that one has failed, from another. */
function module(comesAt, remembers) {
  const asked = [];
  const answer = (address) => {
    asked.push(address);
    const isSpoilt = address === 'first' && remembers && asked.length > 1;
    const comes = !isSpoilt && asked.length >= comesAt;
    return comes ? Promise.resolve('it') : Promise.reject(new TypeError('failed to fetch'));
  };
  return { asked, late: new LateModule('it.js', () => answer('first'), (again) => answer(again)) };
}

test('a late module is asked for once', async () => {
  const { late, asked } = module(1, true);
  assert.deepEqual([await late.get(), await late.get(), asked], ['it', 'it', ['first']]);
});

test('one that did not come is asked for again, elsewhere if the browser remembers the first', async (context) => {
  hurry(context);
  const { late, asked } = module(4, true);
  assert.equal(await late.get(), 'it');
  assert.deepEqual(asked, ['first', 'first', 1, 'first', 2].slice(0, asked.length));
  const forgetful = module(2, false);
  assert.equal(await forgetful.late.get(), 'it');
  assert.deepEqual(forgetful.asked, ['first', 'first']);
});

test('one that does not come fails in words, and the next call tries again', async (context) => {
  hurry(context);
  const { late, asked } = module(2 * LOAD_TRIES_MAX, true);
  await assert.rejects(late.get(), (error) => {
    return error.code === 'network' && error.rule === 'it.js could not be loaded' && error.cause instanceof TypeError;
  });
  assert.equal(asked.length, 2 * LOAD_TRIES_MAX - 1);
  assert.equal(await late.get(), 'it');
});

test('whoever waits for it can end that', async () => {
  const { late } = module(Infinity, true);
  const ending = new AbortController();
  const got = late.get(ending.signal, Infinity);
  ending.abort();
  await assert.rejects(got, { code: 'aborted' });
});
