// `services/README.md` against what the adapter declares and throws: nothing is missing, nothing is there no more.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';

const SERVICES = new URL('../../deploy/web/services/', import.meta.url);
const read = (name) => readFileSync(new URL(name, SERVICES), 'utf8');
const readme = read('README.md');
const declared = read('enterprise-adapter.d.ts').replace(/\/\*\*.*?\*\//gs, '');

/** What stands under a heading. */
const section = (title) => readme.split(/^## /m).find((one) => one.startsWith(`${title}\n`));
/** The first cells of its tables. */
const rows = (text) => [...text.matchAll(/^\| (`.+?) \|/gm)].map(([, cell]) => cell.replace(/\\\|/g, '|'));
const words = (text) => [...text.matchAll(/`([^`]+)`/g)].map(([, word]) => word);
const sorted = (names) => [...new Set(names)].sort();

/** The body of a declaration. */
function body(head) {
  const start = declared.indexOf(`${head} {`);
  assert.notEqual(start, -1, head);
  return declared.slice(declared.indexOf('{', start) + 1, declared.indexOf('\n}', start));
}

/** The names of its members, of the first depth. */
const members = (head) =>
  [...body(head).matchAll(/^ {2}(?:static |readonly )*(\w+)\??(?:<.*?>)?[(:]/gm)].map(([, name]) => name);
const alternatives = (type) => {
  const [, text] = new RegExp(`export type ${type} =([^;]+);`).exec(declared);
  return [...text.matchAll(/'(\w+)'/g)].map(([, word]) => word);
};

test('every method and property', () => {
  const text = section('Methods');
  const calls = rows(text).flatMap(words).map((call) => call.replace(/^new EnterpriseAdapter/, 'constructor'));
  const methods = calls.map((call) => call.replace(/^EnterpriseAdapter\./, '').replace(/\(.*/, ''));
  const properties = words(text.slice(text.indexOf('Properties:'))).filter((word) => /^\w+$/.test(word));
  const all = members('export class EnterpriseAdapter');
  assert.ok(all.length > 35, String(all));
  for (const name of all) assert.ok([...methods, ...properties, 'ws'].includes(name), `${name} is not in README.md`);
  for (const name of methods) assert.ok(all.includes(name), `${name} is in README.md alone`);
});

test('every setting', () => {
  assert.deepEqual(sorted(rows(section('Settings')).flatMap(words)), sorted(members('export interface AdapterConfig')));
});

test('every event, reason and status', () => {
  const text = section('Events');
  const [events, reasons] = text.split('| `reason` |');
  assert.deepEqual(sorted(rows(events).flatMap(words)), sorted(members('export interface AdapterEvents')));
  assert.deepEqual(sorted(rows(reasons).flatMap(words)), sorted(alternatives('DisconnectReason')));
  const stated = words(text);
  for (const word of [...alternatives('ConnectionState'), ...alternatives('MessageStatus')]) {
    assert.ok(stated.includes(word), word);
  }
});

test('every error that the adapter itself makes', () => {
  const sources = readdirSync(SERVICES).filter((name) => name.endsWith('.js')).map(read).join('\n');
  const made = [...sources.matchAll(/new AdapterError\(\s*'(\w+)'/g)].map(([, code]) => code);
  const [, byStatus] = /function statusCode\(status\) \{(.*?)\n\}/s.exec(sources);
  made.push(...[...byStatus.matchAll(/'(\w+)'/g)].map(([, code]) => code));
  assert.ok(made.length > 10, String(made));
  assert.deepEqual(sorted(rows(section('Errors')).flatMap(words)), sorted(made));
  for (const name of members('export class AdapterError extends Error')) {
    assert.ok(section('Errors').includes(`\`${name}\``), `AdapterError.${name}`);
  }
});

test('every limit that it names has its number', () => {
  const limits = read('limits.js');
  const value = (name) => Number(new RegExp(`${name} = ([\\d_]+);`).exec(limits)[1].replace('_', ''));
  for (const [what, name] of [
    ['unsent messages of a user', 'OUTBOX_MESSAGES_MAX'], ['messages kept of a conversation', 'CACHED_ENTRIES_MAX'],
    ['conversations kept', 'CACHED_CONVERSATIONS_MAX'], ['uploads that wait', 'NAMED_UPLOADS_MAX'],
    ['unfinished uploads', 'REMEMBERED_UPLOADS_MAX'], ['online users', 'ONLINE_USERS_MAX'],
    ['signed addresses', 'SIGNED_URLS_MAX'], ['users of a browser', 'STORED_USERS_MAX'],
  ]) {
    const [, number] = new RegExp(`^\\| ${what}[^|]*\\| ([\\d,]+) \\|`, 'm').exec(readme);
    assert.equal(Number(number.replace(',', '')), value(name), what);
  }
});
