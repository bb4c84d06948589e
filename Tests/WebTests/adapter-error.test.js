import assert from 'node:assert/strict';
import test from 'node:test';

import { AdapterError, retryAfter } from '../../deploy/web/services/adapter-error.js';

const answer = (status, text, headers = {}) => ({ status, text, header: (name) => headers[name] ?? null });

test('a problem document becomes its code, field, rule and pause', () => {
  const body = { code: 'invalid_field', detail: 'user_name: must have 1 to 128 bytes', status: 422 };
  const error = AdapterError.fromAnswer(answer(422, JSON.stringify(body), { 'Retry-After': '3', 'X-Request-Id': 'r' }));
  assert.deepEqual(
    [error.code, error.status, error.field, error.rule, error.retryAfterMs, error.requestId],
    ['invalid_field', 422, 'user_name', 'must have 1 to 128 bytes', 3000, 'r'],
  );
});

test('every bad member of a 422 is listed', () => {
  const errors = [{ pointer: '#/capacity', detail: 'one' }, { pointer: '#/a/b', detail: 'two' }];
  const error = AdapterError.fromAnswer(answer(422, JSON.stringify({ code: 'invalid_field', detail: 'x', errors })));
  assert.deepEqual(error.errors, [{ field: 'capacity', rule: 'one' }, { field: 'a.b', rule: 'two' }]);
});

test('what is no problem document is told by its status', () => {
  const code = (status, text = '<html>') => AdapterError.fromAnswer(answer(status, text)).code;
  assert.deepEqual([401, 413, 429, 502, 418].map((status) => code(status)), [
    'session_ended', 'too_large', 'too_many_requests', 'unavailable', 'bad_answer',
  ]);
  for (const text of ['null', '[]', '1', '"a"', '{"errors":7}']) assert.equal(code(503, text), 'unavailable', text);
});

test('Retry-After is seconds or a date', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(retryAfter('120', now), 120_000);
  assert.equal(retryAfter('Thu, 01 Jan 2026 00:00:05 GMT', now), 5000);
  assert.equal(retryAfter('Thu, 01 Jan 2025 00:00:05 GMT', now), 0);
  for (const text of [null, '', 'soon', '-1']) assert.equal(retryAfter(text, now) ?? 0, 0, String(text));
});

test('it survives being stored', () => {
  const kept = JSON.parse(JSON.stringify(AdapterError.argument('text', 'must not be empty')));
  const error = AdapterError.fromJSON(kept);
  assert.deepEqual([error.code, error.field, error.rule], ['invalid_argument', 'text', 'must not be empty']);
});
