import assert from "node:assert/strict";
import test from "node:test";
import { Course, History, MINUTE, REACH, grownBy, hookRows, identityFigures, imbalance, keptFigures, quantile, rates, restarted, shardRows, spread } from "./figures.js";

const histogram = (count, sum, ...counts) => ({ count, sum, buckets: counts.map((n, i) => ({ le: [0.001, 0.01, 0.1][i], count: n })) });
const sample = (at, total = {}, more = {}) => ({ at, stats: { total, publish: {}, ...more } });

test("quantiles", () => {
  for (const [name, h, q, want] of [
    ["nothing", null, 0.5, null],
    ["no observations", histogram(0, 0, 0, 0, 0), 0.5, null],
    ["within the first bucket", histogram(10, 0, 10, 10, 10), 0.5, { value: 0.0005, beyond: false }],
    ["between two bounds", histogram(10, 0, 0, 10, 10), 0.5, { value: 0.0055, beyond: false }],
    ["at a bound", histogram(10, 0, 5, 10, 10), 0.5, { value: 0.001, beyond: false }],
    ["empty buckets are passed over", histogram(10, 0, 0, 0, 10), 0.99, { value: 0.0991, beyond: false }],
    ["the very least", histogram(10, 0, 0, 10, 10), 0, { value: 0.001, beyond: false }],
    ["beyond the last bound", histogram(10, 0, 5, 5, 5), 0.99, { value: 0.1, beyond: true }],
    ["no buckets", { count: 3, sum: 1, buckets: [] }, 0.5, { value: 0, beyond: true }],
  ]) {
    const got = quantile(h, q);
    assert.deepEqual(got && { ...got, value: Number(got.value.toFixed(9)) }, want, name);
  }
});

test("what was observed between two histograms", () => {
  const before = histogram(10, 1, 2, 5, 10);
  assert.deepEqual(spread(before, histogram(13, 1.5, 2, 7, 13)), histogram(3, 0.5, 0, 2, 3));
  assert.deepEqual(spread(before, before), histogram(0, 0, 0, 0, 0));
  assert.equal(spread(before, histogram(9, 1, 2, 5, 9)), null, "a counter fell");
  assert.equal(spread(before, histogram(13, 1.5, 1, 7, 13)), null, "a bucket fell");
  assert.equal(spread(before, histogram(13, 1.5, 2, 7)), null, "other buckets");
  assert.equal(spread(undefined, before), null);
  assert.equal(spread(before, { count: 3 }), null);
});

test("rates", () => {
  const total = { deliveries: 100, writes: 50, bytes_out: 1000, client_published: 1, events_recovered: 7, publish_to_write_seconds: histogram(10, 1, 10, 10, 10) };
  const before = sample(1000, total, { publish: { events: 10 } });
  const after = sample(3000, { ...total, deliveries: 300, writes: 100, bytes_out: 5000, client_published: 2, events_recovered: 47 }, { publish: { events: 19 } });
  assert.deepEqual(rates(before, after), { seconds: 2, events: 5, deliveries: 100, deliveriesPerWrite: 4, bytesOut: 2000, recovered: 20, p50: null, p99: null });
  assert.equal(rates(before, { ...after, at: 1000 }), null, "no time passed");
  const bare = rates(sample(0), sample(1000));
  assert.deepEqual([bare.events, bare.deliveries, bare.bytesOut, bare.p99], [null, null, null, null], "figures are missing");
  assert.equal(rates(after, { ...before, at: 4000 }).deliveries, null, "never negative");
});

test("restarts", () => {
  const was = sample(0, { deliveries: 5 }, { started_at: "a", shards: [{}, {}] }).stats;
  for (const [name, is, want] of [
    ["the same", { ...was }, false],
    ["went on", { ...was, total: { deliveries: 9 } }, false],
    ["another start", { ...was, started_at: "b" }, true],
    ["a counter fell", { ...was, total: { deliveries: 4 } }, true],
    ["a figure is gone", { ...was, total: {} }, false],
    ["other shards", { ...was, shards: [{}] }, true],
  ]) assert.equal(restarted(was, is), want, name);
});

test("shards", () => {
  const shard = (deliveries, turns) => ({ clients: 1, deliveries, turn_seconds: turns });
  const before = sample(0, {}, { shards: [shard(0, histogram(0, 0, 0, 0, 0)), shard(0)] });
  const after = sample(2000, {}, { shards: [shard(10, histogram(4, 0.5, 0, 4, 4)), shard(4)] });
  const [first, second] = shardRows(before, after);
  assert.equal(first.deliveries, 5);
  assert.equal(first.busy, 0.25);
  assert.equal(first.turn.value.toFixed(5), "0.00991");
  assert.deepEqual([second.deliveries, second.busy, second.turn, second.mailbox], [2, null, null, null]);
  assert.deepEqual([shardRows(null, after)[0].clients, shardRows(null, after)[0].deliveries], [1, null]);
  assert.deepEqual(shardRows(null, sample(0)), []);
});

test("imbalance", () => {
  for (const [values, want] of [
    [[], null], [[5], null], [[0, 0], null], [[null, null], null],
    [[1, 3], { index: 1, times: 1.5 }], [[2, null, 2], { index: 0, times: 1 }],
  ]) assert.deepEqual(imbalance(values), want);
});

test("counts by name", () => {
  assert.deepEqual({ ...grownBy({ a: 1, b: 5 }, { a: 3, b: 4, c: 2 }) }, { a: 2, b: 0, c: 2 });
  assert.deepEqual({ ...grownBy(undefined, undefined) }, {});
  assert.deepEqual({ ...grownBy(3, 7) }, { any: 4 });
  assert.equal(grownBy({}, JSON.parse('{"__proto__": 3}')).__proto__, 3, "names come from outside");
});

test("history", async (t) => {
  await t.test("counts the last minute", () => {
    const history = new History();
    for (let s = 0; s <= 100; s++) history.add(sample(s * 1000, { disconnects: { slow_consumer: s } }));
    assert.equal(history.minute().seconds, 60);
    assert.equal(history.minute().disconnects.slow_consumer, 60);
    assert.equal(history.since(10_000).at, 90_000);
    assert.equal(history.before.at, 99_000);
  });
  await t.test("of one sample has no past", () => {
    const history = new History();
    history.add(sample(0, { disconnects: { slow_consumer: 7 } }));
    assert.equal(history.minute().disconnects.slow_consumer, 0);
    assert.equal(history.before, null);
    assert.equal(history.since(0), null);
    assert.equal(history.always(0, () => true), false);
  });
  await t.test("starts anew with the process", () => {
    const history = new History();
    history.add(sample(0, { deliveries: 10 }));
    assert.equal(history.add(sample(1000, { deliveries: 3 })), true);
    assert.equal(history.before, null);
    assert.equal(history.add(sample(2000, { deliveries: 4 })), false);
    assert.equal(history.before.at, 1000);
  });
  await t.test("is not compared over a long time in which nobody looked", () => {
    const history = new History();
    history.add(sample(0));
    history.add(sample(30_000));
    assert.equal(history.before, null);
    history.add(sample(30_001 + MINUTE));
    assert.equal(history.since(MINUTE), null);
  });
  await t.test("is bounded", () => {
    const history = new History();
    for (let ms = 0; ms < 5000; ms++) history.add(sample(ms, { n: ms }));
    assert.equal(history.since(MINUTE).at, 4000);
  });
  await t.test("knows what always was", () => {
    const history = new History();
    for (const [s, paused] of [[0, 0], [1, 2], [2, 1], [3, 4]]) history.add(sample(s * 1000, { paused }));
    const paused = (stats) => stats.total.paused > 0;
    assert.deepEqual([history.always(2000, paused), history.always(3000, paused), history.always(4000, paused)], [true, false, false]);
  });
});

test("courses", () => {
  const course = new Course(2);
  course.add(10, [1, undefined]);
  course.gap(11);
  course.add(11, [9, 9]); // at the same time
  course.add(9, [9, 9]); // the clock was set back
  course.add(12, [0, 3]);
  assert.deepEqual(course.columns, [[10, 11, 12], [1, null, 0], [null, null, 3]]);
  course.mark(12);
  course.add(11.5 + REACH / 1000, [5, 6]);
  assert.deepEqual(course.columns, [[12, 311.5], [0, 5], [3, 6]]);
  assert.deepEqual(course.marks, [12]);
  course.add(13 + REACH / 1000, [5, 6]);
  assert.deepEqual(course.marks, []);
  for (let i = 0; i < 3000; i++) course.add(1000 + i / 1000, [i, i]);
  assert.equal(course.columns[2].length, 1000);
});

test("hooks", () => {
  const hook = (allowed, refused, failed, open, seconds) => ({ requests: { allowed, refused, hook_failed: failed, hook_open: 0 }, waiting: 2, open, seconds });
  const before = { at: 0, stats: { connect_hook: hook(10, 1, 0, 0, histogram(0, 0, 0, 0, 0)), subscribe_hooks: { rooms: hook(0, 0, 0, 0) } } };
  const after = { at: 10_000, stats: { connect_hook: hook(28, 2, 1, 1, histogram(10, 0, 0, 10, 10)), subscribe_hooks: { rooms: hook(5, 0, 0, 0), clubs: hook(1, 1, 1, 0) } } };
  const rows = hookRows(before, after);
  assert.deepEqual(rows.map(({ name }) => name), ["", "rooms", "clubs"]);
  const [connect, rooms, clubs] = rows;
  assert.deepEqual([connect.asked, connect.refused, connect.failed, connect.open, connect.waiting, connect.p99.beyond], [2, 1, 1, true, 2, false]);
  assert.deepEqual([rooms.asked, rooms.refused, rooms.failed, rooms.open, rooms.p99], [0.5, 0, 0, false, null]);
  assert.deepEqual([clubs.asked, clubs.failed, clubs.p99], [null, null, null], "it was not there before");
  assert.equal(hookRows(null, after)[0].asked, null);
  assert.deepEqual(hookRows(null, { at: 0, stats: { connect_hook: { requests: null } } }), [], "no hook is configured");
});

test("what is kept of events", () => {
  assert.equal(keptFigures({ publish: { events: 3 }, total: {} }), null, "an older gateway");
  const publish = { history_events: 5, history_bytes: 640, history_evicted: 1 };
  assert.deepEqual(keptFigures({ publish, total: { catching_up: 2, events_recovered: 9 }, limits: { history_memory_bytes: 4096 } }),
    { events: 5, bytes: 640, most: 4096, evicted: 1, catching: 2, recovered: 9 });
  const history = new History();
  for (const [s, lost] of [[0, 1], [30, 4]]) history.add(sample(s * 1000, { recoveries: { lost } }, { publish: { history_evicted: 2 * lost } }));
  assert.deepEqual([history.minute().recoveries.lost, history.minute().evicted], [3, 6]);
});

test("who clients are", () => {
  assert.equal(identityFigures({ tokens: { refused: null }, connect_hook: { requests: null }, subscribe_hooks: {}, users_blocked: 0 }), null);
  assert.equal(identityFigures({}), null, "an older gateway");
  assert.equal(identityFigures({ users_blocked: 2 }).blocked, 2);
  const tokens = { refused: { token_expired: 0 }, accepted: 7, verifications: 3, cache_hits: 3, cache_misses: 1, waiting: 0, issuers_failing: 1 };
  assert.deepEqual(identityFigures({ tokens, users_blocked: 0 }), { accepted: 7, verifications: 3, cached: 0.75, waiting: 0, failing: 1, blocked: 0 });
});
