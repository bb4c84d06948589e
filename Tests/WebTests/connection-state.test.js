import assert from 'node:assert/strict';
import test from 'node:test';

import { backOff } from '../../deploy/web/services/back-off.js';
import { closeMeaning, drainPause } from '../../deploy/web/services/close-codes.js';
import { ConnectionState } from '../../deploy/web/services/connection-state.js';
import {
  BACK_OFF_CAP_MS, OPENING_TIMEOUT_MS, PROBE_TIMEOUT_MS, STABLE_CONNECTION_MS, TIMER_LATENESS_MS,
} from '../../deploy/web/services/limits.js';
import { forSeeds } from './random.js';

const HEARTBEAT = 30_000;

/** One whose pauses are as long as they get. */
function make(settings = {}, random = () => 0.999) {
  return new ConnectionState({ autoReconnect: true, heartbeatMs: HEARTBEAT, ...settings }, random);
}

/** One that is open since 0. */
function open(settings, random) {
  const state = make(settings, random);
  state.start(0);
  assert.deepEqual(types(state.synced(0)), ['connected']);
  return state;
}

const types = (actions) => actions.map(({ type }) => type);

test('back-off is full jitter below a bound that doubles up to the cap', () => {
  for (const [attempt, bound] of [[0, 1000], [1, 2000], [4, 16_000], [5, BACK_OFF_CAP_MS], [500, BACK_OFF_CAP_MS]]) {
    assert.equal(backOff(attempt, () => 0), 0);
    assert.equal(backOff(attempt, () => 0.9999999), bound - 1);
  }
});

test('the drain pause is within what the server says, or a second', () => {
  assert.equal(drainPause('reconnect in 200-1200 ms', () => 0), 200);
  assert.equal(drainPause('reconnect in 200-1200 ms', () => 0.9999), 1199);
  assert.equal(drainPause('', () => 0.9999), 999);
});

test('every close code of the catalogue', () => {
  const next = (code) => [closeMeaning(code).reason, closeMeaning(code).next];
  assert.deepEqual(next(1001), ['drain', 'drain']);
  for (const code of [1002, 1003, 1007]) assert.deepEqual(next(code), ['protocol', 'stop']);
  assert.deepEqual(next(1008), ['policy', 'stop']);
  assert.deepEqual(next(1009), ['too_large', 'back-off']);
  assert.deepEqual(next(1013), ['overloaded', 'back-off']);
  assert.deepEqual(next(4401), ['session_ended', 'check-session']);
  assert.deepEqual(next(4408), ['heartbeat', 'back-off']);
  assert.deepEqual(next(4409), ['replaced', 'stop']);
  for (const code of [1000, 1005, 1006, 1011, 1012, 3000]) assert.deepEqual(next(code), ['network', 'back-off']);
});

test('a lost connection is told once and made again after a pause', () => {
  const state = open();
  const [told] = state.closed(1006, '', 100);
  const info = { code: 1006, reason: 'network', willReconnect: true, retryAt: 1099 };
  assert.deepEqual(told, { type: 'disconnected', info });
  assert.equal(state.name, 'waiting');
  assert.deepEqual(state.tick(1098), []);
  assert.deepEqual(types(state.tick(1099)), ['open']);
  // It fails again: the next pause is longer, and nobody is told twice.
  assert.deepEqual(types(state.closed(1006, '', 1200)), ['check-session']);
  assert.deepEqual(state.checked({ isEnded: false }, 1300), []);
  assert.equal(state.retryAt, 1300 + 1998);
});

test('a handshake that fails asks for the session, and heeds Retry-After', () => {
  const state = make();
  state.start(0);
  assert.deepEqual(state.closed(1006, '', 10), [{ type: 'check-session', ended: false }]);
  const [{ info }] = state.checked({ isEnded: false, retryAfterMs: 7000 }, 20);
  assert.ok(info.retryAt >= 7020 && info.retryAt < 8020);
  // Neither the user nor the network makes that earlier.
  state.wake(30);
  assert.equal(state.retryAt, info.retryAt);
});

test('a session that has ended stops it', () => {
  for (const state of [make(), open()]) {
    state.start(0);
    assert.deepEqual(types(state.closed(4401, '', 1)), ['check-session']);
    const [{ info }] = state.checked({ isEnded: true }, 2);
    assert.deepEqual([info.code, info.reason, info.willReconnect], [4401, 'session_ended', false]);
    assert.equal(state.name, 'stopped');
    assert.equal(state.dueAt, null);
  }
});

test('4401 for an id that another tab has refreshed connects again', () => {
  const state = open();
  state.closed(4401, '', 1);
  const [{ info }] = state.checked({ isEnded: false }, 2);
  assert.equal(info.willReconnect, true);
});

test('stopped for good by codes that say so, and begun again by hand', () => {
  const state = open();
  const [{ info }] = state.closed(4409, '', 1);
  assert.deepEqual([info.willReconnect, state.name, state.dueAt], [false, 'stopped', null]);
  assert.deepEqual(state.wake(2), []);
  assert.deepEqual(types(state.start(3)), ['open']);
});

test('without autoReconnect it stops', () => {
  const state = open({ autoReconnect: false });
  const [{ info }] = state.closed(1006, '', 1);
  assert.deepEqual([info.willReconnect, state.name], [false, 'stopped']);
});

test('a drain waits as long as it is told to, and is no failure', () => {
  const state = open();
  state.closed(1001, 'reconnect in 0-1000 ms', 5);
  assert.equal(state.retryAt, 5 + 999);
  assert.equal(state.attempt, 0);
});

test('a connection that lasted ends the series of failures, a short one does not', () => {
  const state = open();
  state.attempt = 4;
  state.closed(1006, '', STABLE_CONNECTION_MS - 1);
  assert.equal(state.attempt, 5);
  state.tick(state.retryAt);
  state.synced(50_000);
  state.closed(1006, '', 50_000 + STABLE_CONNECTION_MS);
  assert.equal(state.attempt, 1);
});

test('a heartbeat that stays unanswered ends the connection', () => {
  const state = open();
  assert.equal(state.dueAt, HEARTBEAT);
  assert.deepEqual(types(state.tick(HEARTBEAT)), ['heartbeat']);
  assert.deepEqual(types(state.tick(HEARTBEAT + PROBE_TIMEOUT_MS)), ['close', 'disconnected']);
});

test('any frame answers a heartbeat', () => {
  const state = open();
  state.tick(HEARTBEAT);
  state.heard(HEARTBEAT + 1);
  assert.deepEqual(state.tick(HEARTBEAT + PROBE_TIMEOUT_MS), []);
  assert.equal(state.dueAt, 2 * HEARTBEAT);
});

test('a late timer asks again before it concludes anything', () => {
  const state = open();
  state.tick(HEARTBEAT);
  const late = HEARTBEAT + PROBE_TIMEOUT_MS + TIMER_LATENESS_MS + 1;
  assert.deepEqual(types(state.tick(late)), ['heartbeat']);
  // That one counts.
  assert.deepEqual(types(state.tick(late + PROBE_TIMEOUT_MS)), ['close', 'disconnected']);
});

test('a tab whose timers come once a minute never ends a connection that answers', () => {
  const state = open();
  for (let minute = 1; minute < 100; minute += 1) {
    const now = minute * 60_000;
    const actions = types(state.tick(now));
    assert.ok(!actions.includes('close'), `minute ${minute}`);
    // The answer comes at once; the script hears of it at once.
    if (actions.includes('heartbeat')) state.heard(now + 50);
  }
});

test('waking up asks whether the connection lives', () => {
  const state = open();
  assert.deepEqual(types(state.wake(1000)), ['heartbeat']);
  assert.deepEqual(state.wake(1001), []);
});

test('an opening that stands still is given up', () => {
  const state = make();
  state.start(0);
  state.heard(OPENING_TIMEOUT_MS - 1);
  assert.deepEqual(state.tick(OPENING_TIMEOUT_MS), []);
  assert.deepEqual(types(state.tick(2 * OPENING_TIMEOUT_MS)), ['close', 'check-session']);
});

test('whatever happens: it waits for something unless it is idle or stopped, and tells each loss once', async () => {
  await forSeeds(300, (random) => {
    const state = make({ autoReconnect: true }, random);
    const codes = [1001, 1006, 1008, 1009, 1013, 4401, 4408, 4409];
    let now = 0;
    let isTold = true;
    const note = (actions) => {
      for (const { type, info } of actions) {
        if (type === 'connected') isTold = false;
        if (type === 'disconnected' && info.willReconnect) {
          assert.equal(isTold && state.hasReported && info.code === undefined, false);
          isTold = true;
        }
      }
    };
    for (let step = 0; step < 200; step += 1) {
      now += Math.floor(random() * 40_000);
      const choice = Math.floor(random() * 8);
      if (choice === 0) note(state.start(now));
      else if (choice === 1) note(state.synced(now));
      else if (choice === 2) note(state.closed(codes[Math.floor(random() * codes.length)], '', now));
      else if (choice === 3) note(state.checked({ isEnded: random() < 0.1 }, now));
      else if (choice === 4) state.heard(now);
      else if (choice === 5) note(state.wake(now));
      else note(state.tick(now));
      const { phase } = state;
      // While the session is asked for, the request's own time-out ends the waiting.
      if (['idle', 'stopped', 'checking'].includes(phase)) assert.equal(state.dueAt, null);
      else assert.notEqual(state.dueAt, null, phase);
      if (phase === 'open') assert.equal(isTold, false, 'an open connection has been told of');
    }
  });
});
