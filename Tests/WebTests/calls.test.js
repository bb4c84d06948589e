import assert from 'node:assert/strict';
import test from 'node:test';

import { checkedMessage, checkedPageQuery, checkedReceiver } from '../../deploy/web/services/arguments.js';
import { Emitter } from '../../deploy/web/services/emitter.js';
import { NAMED_UPLOADS_MAX } from '../../deploy/web/services/limits.js';
import { NamedUploads } from '../../deploy/web/services/named-uploads.js';
import { reportBody, withoutQuery } from '../../deploy/web/services/reports.js';
import { RestClient } from '../../deploy/web/services/rest-client.js';
import { DEFAULT_LIMITS } from '../../deploy/web/services/server-limits.js';
import { settingsFrom } from '../../deploy/web/services/settings.js';
import { isPassing } from '../../deploy/web/services/persist.js';
import { checkFile, uploadMetadata } from '../../deploy/web/services/uploads.js';
import { AdapterError } from '../../deploy/web/services/adapter-error.js';

const customer = { id: 'a', name: 'A', role: 'customer', type: 'Kehu', isAdmin: false, isGuest: false };
const broken = (field) => (error) => error.code === 'invalid_argument' && error.field === field;

test('texts are counted as the server counts them', () => {
  assert.equal(checkedMessage('😀'.repeat(10_000), 'text', DEFAULT_LIMITS), 'text');
  assert.throws(() => checkedMessage('😀'.repeat(10_001), 'text', DEFAULT_LIMITS), broken('text'));
  assert.throws(() => checkedMessage(5, 'text', DEFAULT_LIMITS), broken('text'));
});

test('receivers and pages', () => {
  assert.equal(checkedReceiver(null, customer, 'receiverId'), null);
  assert.throws(() => checkedReceiver(null, { ...customer, role: 'support' }, 'receiverId'), broken('receiverId'));
  for (const id of ['a', 'a b', '', 'x'.repeat(65), 7]) {
    assert.throws(() => checkedReceiver(id, customer, 'receiverId'), broken('receiverId'), String(id));
  }
  assert.deepEqual(checkedPageQuery('b', customer, DEFAULT_LIMITS), { with: 'b' });
  for (const [query, field] of [
    [{ before: 1, after: 1 }, 'before, after'], [{ before: 0 }, 'before'], [{ after: -1 }, 'after'],
    [{ limit: 0 }, 'limit'], [{ limit: 201 }, 'limit'], [{ limit: 1.5 }, 'limit'], [{ limit: '5' }, 'limit'],
  ]) assert.throws(() => checkedPageQuery(query, customer, DEFAULT_LIMITS), broken(field), JSON.stringify(query));
});

test('files are refused before a byte is sent', () => {
  const limits = { fileBytesMax: 100, imageBytesMax: 10, videoBytesMax: 100, voiceBytesMax: 100 };
  const file = (name, size = 1, type = 'text/plain') => checkFile({ name, size, type }, limits);
  file('图 1.png');
  file('a', 100);
  assert.throws(() => file('a', 101), broken('file.size'));
  assert.throws(() => file('a.png', 11, 'image/png'), broken('file.size'));
  for (const name of ['', '.', '..', 'a/b', 'a\\b', 'a\nb', 'a\u202Eb', 'x'.repeat(256)]) {
    assert.throws(() => file(name), broken('file.name'), JSON.stringify(name));
  }
});

test('uploads go on after what passes by waiting, and only then', () => {
  const passing = (status) => isPassing(new AdapterError('x', 'x', { status }));
  assert.ok(isPassing(AdapterError.network('x')));
  for (const status of [409, 423, 429, 460, 500, 503]) assert.ok(passing(status), String(status));
  for (const status of [400, 401, 403, 404, 410, 413, 422, 507]) assert.ok(!passing(status), String(status));
  assert.equal(uploadMetadata({ name: '图', type: 'a/b' }), 'filename 5Zu+,filetype YS9i');
});

test('a name means its newest upload, once', () => {
  const uploads = new NamedUploads();
  const file = (id, name = 'a') => ({ id, name, type: 'file', size: 1, url: '' });
  uploads.add(file('1'));
  uploads.add(file('2'));
  const take = () => {
    const found = uploads.of('a', 'file', {});
    uploads.take(found);
    return found.id;
  };
  assert.deepEqual([take(), take()], ['2', '1']);
  assert.throws(take, (error) => error.code === 'file_not_uploaded' && error.field === 'text');
  assert.equal(uploads.of('a', 'text', {}), null);
  assert.equal(uploads.of('a', 'file', { fileId: 'f' }).id, 'f');
  for (let count = 0; count <= NAMED_UPLOADS_MAX; count += 1) uploads.add(file(String(count), `n${count}`));
  assert.throws(() => uploads.of('n0', 'file', {}));
  assert.equal(uploads.of('n1', 'file', {}).id, '1');
});

test('settings: what is given replaces what was, and the socket follows the API', () => {
  const first = settingsFrom({}, null, 'https://a.example');
  assert.deepEqual([first.apiUrl, first.wsUrl], ['https://a.example', 'wss://a.example/ws']);
  const second = settingsFrom({ apiUrl: 'http://b.example/', debug: true }, first, 'https://a.example');
  assert.deepEqual([second.apiUrl, second.wsUrl, second.debug], ['http://b.example', 'ws://b.example/ws', true]);
  const third = settingsFrom({ wsUrl: 'wss://c.example/ws' }, second, '');
  assert.deepEqual([third.apiUrl, third.wsUrl, third.debug], ['http://b.example', 'wss://c.example/ws', true]);
  for (const [given, field] of [
    [{ apiUrl: 'ftp://a' }, 'apiUrl'], [{ apiUrl: 'a' }, 'apiUrl'], [{ wsUrl: 'wss://a?b' }, 'wsUrl'],
    [{ heartbeatInterval: 10 }, 'heartbeatInterval'], [{ profile: 'a b' }, 'profile'],
    [{ sessionStorage: 'disk' }, 'sessionStorage'],
  ]) assert.throws(() => settingsFrom(given, null, 'https://a'), broken(field), JSON.stringify(given));
});

test('a late listener is told how things stand; one that throws harms nobody', async (context) => {
  const thrown = [];
  context.mock.method(globalThis, 'setTimeout', (work) => {
    try {
      work();
    } catch (error) {
      thrown.push(error.message);
    }
  });
  const emitter = new Emitter((event) => (event === 'state' ? 'now' : undefined));
  const heard = [];
  emitter.on('state', () => { throw new Error('mine'); });
  const end = emitter.on('state', (data) => heard.push(data));
  assert.deepEqual(heard, []);
  await null;
  await null;
  emitter.emit('state', 'then');
  end();
  emitter.emit('state', 'after');
  assert.deepEqual(heard, ['now', 'then']);
  assert.deepEqual(thrown, ['mine', 'mine', 'mine']);
  emitter.once('error', (data) => heard.push(data));
  emitter.emit('error', 1);
  emitter.emit('error', 2);
  assert.deepEqual(heard, ['now', 'then', 1]);
});

test('a report keeps within the server\'s bounds and says what it left out', () => {
  const events = Array.from({ length: 80 }, () => ({ kind: 'error', message: '图'.repeat(200), at: 't' }));
  const body = reportBody(events, 5, 't');
  const sent = JSON.parse(body).events;
  assert.ok(new TextEncoder().encode(body).length <= 16 * 1024 && sent.length <= 50);
  assert.equal(sent.at(-1).message, `${85 - (sent.length - 1)} more events were not kept`);
  assert.equal(withoutQuery('at f (https://a/b.js?session_id=x:1:2) and /c#d'), 'at f (https://a/b.js) and /c');
});

// REST

/** A client whose server gives these answers in turn. */
function client(context, answers, ids = ['s1']) {
  const calls = [];
  context.mock.method(globalThis, 'fetch', async (url, options) => {
    calls.push({ url, options });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return new Response(answer.body ?? '{}', { status: answer.status ?? 200, headers: answer.headers });
  });
  const waits = [];
  const { setTimeout: real } = globalThis;
  context.mock.method(globalThis, 'setTimeout', (work, milliseconds) => {
    if (milliseconds === 20_000) return undefined;
    waits.push(milliseconds);
    return real(work, 0);
  });
  const refused = [];
  const rest = new RestClient('http://b', {
    id: () => ids[0],
    onRefused: (id) => {
      refused.push(id);
      ids.shift();
      return ids.length > 0;
    },
  }, () => 0.5);
  return { rest, calls, waits, refused };
}

test('the session goes by header, and no cookie along', async (context) => {
  const { rest, calls } = client(context, [{ body: '{"a":1}' }]);
  assert.deepEqual(await rest.json('GET', '/api/x', { query: { a: 'b c', d: undefined } }), { a: 1 });
  const [{ url, options }] = calls;
  assert.equal(url, 'http://b/api/x?a=b+c');
  assert.deepEqual([options.headers['X-Session-Id'], options.credentials], ['s1', 'omit']);
});

test('what only reads is tried again, not before Retry-After', async (context) => {
  const busy = { status: 503, headers: { 'Retry-After': '4' }, body: '{"code":"unavailable"}' };
  const { rest, waits, calls } = client(context, [busy, new TypeError('failed'), { body: '7' }]);
  assert.equal(await rest.json('GET', '/api/x'), 7);
  assert.equal(calls.length, 3);
  assert.ok(waits[0] >= 4000 && waits[0] < 4500 && waits[1] < 1000, String(waits));
});

test('what writes is not repeated, and says when to come again', async (context) => {
  const busy = { status: 429, headers: { 'Retry-After': '9' }, body: '{"code":"too_many_attempts"}' };
  const { rest, calls } = client(context, [busy]);
  await assert.rejects(rest.json('POST', '/auth/login', { isPublic: true }), (error) => {
    return error.code === 'too_many_attempts' && error.retryAfterMs === 9000;
  });
  assert.equal(calls.length, 1);
});

test('a pause that is too long is the caller\'s to wait out', async (context) => {
  const { rest, calls } = client(context, [{ status: 503, headers: { 'Retry-After': '3600' } }]);
  await assert.rejects(rest.json('GET', '/api/x'), { code: 'unavailable', retryAfterMs: 3_600_000 });
  assert.equal(calls.length, 1);
});

test('a session that another tab has refreshed is used, one that has ended is reported', async (context) => {
  const ended = { status: 401, body: '{"code":"session_ended"}' };
  const { rest, calls, refused } = client(context, [ended, { body: '1' }, ended], ['s1', 's2']);
  assert.equal(await rest.json('POST', '/api/x'), 1);
  assert.deepEqual(calls.map(({ options }) => options.headers['X-Session-Id']), ['s1', 's2']);
  await assert.rejects(rest.json('POST', '/api/x'), { code: 'session_ended' });
  assert.deepEqual(refused, ['s1', 's2']);
});
