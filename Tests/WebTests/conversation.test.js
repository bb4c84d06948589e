import assert from 'node:assert/strict';
import test from 'node:test';

import { Conversation } from '../../deploy/web/services/conversation.js';
import { CACHED_ENTRIES_MAX } from '../../deploy/web/services/limits.js';
import { forSeeds } from './random.js';

const entry = (seq, more = {}) => ({
  type: 'Chat', seq, id: `id-${seq}`, conversation_id: 'c:a', from_user_id: 'b', content: `text ${seq}`, timestamp: '',
  ...more,
});
const run = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => entry(first + index));
const seqs = (entries) => entries?.map(({ seq }) => seq);

test('what comes next moves the cursor, what is old does not, and a hole is noticed', () => {
  const conversation = new Conversation('c:a');
  const steps = [5, 6, 6, 4, 9, 10].map((seq) => conversation.advance(seq));
  assert.deepEqual(steps, ['next', 'next', 'old', 'old', 'jump', 'next']);
});

test('a page is given when all of it is here', () => {
  const conversation = new Conversation('c:a');
  assert.equal(conversation.page(undefined, 5), null);
  conversation.cover(run(11, 30));
  assert.deepEqual(seqs(conversation.page(undefined, 5)), [26, 27, 28, 29, 30]);
  assert.deepEqual(seqs(conversation.page(16, 5)), [11, 12, 13, 14, 15]);
  assert.equal(conversation.page(15, 5), null);
  assert.equal(conversation.page(40, 5), null);
  conversation.head = 31;
  assert.equal(conversation.page(undefined, 5), null, 'there is a newer one');
  conversation.cover(run(1, 10));
  assert.deepEqual(seqs(conversation.page(3, 5)), [1, 2]);
});

test('entries that do not touch replace older ones, and are left out when they are older', () => {
  const conversation = new Conversation('c:a');
  conversation.cover(run(10, 20));
  conversation.cover(run(1, 3));
  assert.deepEqual([conversation.low, conversation.high], [10, 20]);
  conversation.cover(run(50, 60));
  assert.deepEqual([conversation.low, conversation.high, conversation.entries.size], [50, 60, 11]);
});

test('only the newest are kept', () => {
  const conversation = new Conversation('c:a');
  for (let seq = 1; seq <= 1000; seq += 1) conversation.cover([entry(seq)]);
  assert.equal(conversation.entries.size, CACHED_ENTRIES_MAX);
  assert.deepEqual([conversation.low, conversation.high], [1001 - CACHED_ENTRIES_MAX, 1000]);
  assert.ok(conversation.dirty.size <= CACHED_ENTRIES_MAX);
});

test('what was recalled stays so', () => {
  const conversation = new Conversation('c:a');
  conversation.cover(run(1, 3));
  conversation.cover([entry(4, { type: 'Recall', target_seq: 2 })]);
  assert.deepEqual([conversation.entries.get(2).content, conversation.entries.get(2).recalled], [undefined, true]);
  conversation.cover(run(1, 3));
  assert.equal(conversation.entries.get(2).recalled, true);
});

test('receipts only rise, and say what became of a message', () => {
  const conversation = new Conversation('c:a');
  assert.equal(conversation.receipt('b', 'delivered', 5), 0);
  assert.equal(conversation.receipt('b', 'delivered', 4), null);
  assert.equal(conversation.receipt('a', 'read', 9), 0);
  conversation.receipt('b', 'read', 3);
  assert.deepEqual([3, 5, 6].map((seq) => conversation.statusOf(seq, 'a')), ['read', 'delivered', 'sent']);
});

test('unread: others\' messages past what was read, and what the server counted before', () => {
  const conversation = new Conversation('c:a');
  conversation.cover([entry(5), entry(6, { from_user_id: 'a' }), entry(7), entry(8, { type: 'ConversationClosed' })]);
  assert.equal(conversation.unread('a'), 2);
  conversation.counted = { count: 4, head: 5 };
  assert.equal(conversation.unread('a'), 5);
  assert.equal(conversation.read(7), true);
  assert.equal(conversation.unread('a'), 0);
  assert.equal(conversation.read(7), false);
});

test('storage that has lost entries is believed only as far as it has no hole', () => {
  const row = { id: 'c:a', cursor: 10, low: 1, high: 10, readSeq: 0, receipts: {}, touchedAt: 0 };
  const conversation = Conversation.fromRow(row);
  conversation.load([...run(1, 4), ...run(6, 10)]);
  assert.deepEqual([conversation.low, conversation.high], [6, 10]);
  const empty = Conversation.fromRow(row);
  empty.load([]);
  assert.deepEqual([empty.low, empty.high, empty.cursor], [null, null, 10]);
});

test('whatever order pages and live entries come in, there is never a hole, and pages are right', async () => {
  await forSeeds(300, (random) => {
    const conversation = new Conversation('c:a');
    const head = 400;
    for (let step = 0; step < 60; step += 1) {
      const first = 1 + Math.floor(random() * head);
      conversation.cover(run(first, Math.min(head, first + Math.floor(random() * 60))));
      const { low, high, entries } = conversation;
      assert.equal(entries.size, high - low + 1);
      for (let seq = low; seq <= high; seq += 1) assert.ok(entries.has(seq));
      const before = 1 + Math.floor(random() * (head + 1));
      const page = conversation.page(before, 20);
      if (page) assert.deepEqual(seqs(page), seqs(run(Math.max(1, before - 20), before - 1)));
    }
  });
});

test('whatever two tabs store, what is stored has no hole', async () => {
  await forSeeds(300, (random) => {
    const head = 300;
    const tabs = [new Conversation('c:a'), new Conversation('c:a')];
    const stored = new Map();
    let row;
    for (let step = 0; step < 60; step += 1) {
      const tab = tabs[Math.floor(random() * 2)];
      const first = 1 + Math.floor(random() * head);
      tab.cover(run(first, Math.min(head, first + Math.floor(random() * 40))));
      const { row: next, replaced, entries } = tab.merged(row);
      tab.dirty.clear();
      if (replaced) for (let seq = replaced[0]; seq <= replaced[1]; seq += 1) stored.delete(seq);
      for (const one of entries) stored.set(one.seq, one);
      row = next;
      assert.ok(row.high - row.low < CACHED_ENTRIES_MAX);
      for (let seq = row.low; seq <= row.high; seq += 1) assert.ok(stored.has(seq), `${seq} of ${row.high}`);
      assert.ok(stored.size <= CACHED_ENTRIES_MAX, 'what is replaced goes');
    }
  });
});
