import assert from "node:assert/strict";
import test from "node:test";
import * as format from "./format.js";
import { History } from "./figures.js";
import { judge, steady } from "./verdict.js";

const histogram = (count, value) => ({
  count, sum: count * value, buckets: [0.001, 0.01, 0.1, 1].map((le) => ({ le, count: value <= le ? count : 0 })),
});
const well = () => ({
  ready: true, limits: { max_clients: 100, max_publishers: 10, max_channels: 100, credits_bytes: 1000 },
  total: { connections: 50, clients: 50, backlog_bytes: 0, lagging: 0, disconnects: {}, handshake_failures: {} },
  publish: { publishers: 1, streams: 1, paused: 0, requests: 0, errors: {}, refused: {}, credits_used_bytes: 0 },
});

// after is the verdict on twelve seconds of a gateway that change makes unwell,
// given its answer and the second.
function after(change, more = {}) {
  const history = new History();
  for (let s = 0; s <= 12; s++) {
    const stats = well();
    change?.(stats, s);
    history.add({ at: s * 1000, stats });
  }
  return judge({ history, silence: null, laggards: null, ...more });
}

test("all is well", () => {
  assert.deepEqual(after(), []);
  assert.deepEqual(judge({ history: new History(), silence: null, laggards: null }), []);
  // Of an old gateway little is known.
  assert.deepEqual(after((s) => { for (const key of Object.keys(s)) if (key !== "total") delete s[key]; s.total = {}; }), []);
});

test("what is not well", () => {
  for (const [id, level, text, change, more] of [
    ["unready", "bad", "starting or draining", (s) => { s.ready = false; }],
    ["limit-clients", "warn", "90 of 100 (90 %)", (s) => { s.total.connections = 90; }],
    ["limit-clients", "bad", "100 of 100", (s) => { s.total.connections = 100; }],
    ["limit-channels", "warn", "95 of 100", (s) => { s.publish.streams = 95; }],
    ["limit-publishers", "bad", "10 of 10", (s) => { s.publish.publishers = 10; }],
    ["paused", "warn", "2 wait", (s) => { s.publish.paused = 2; }],
    ["paused", "warn", "1 waits", (s) => { s.total.paused = 1; }],
    ["credits", "warn", "900 B", (s) => { s.publish.credits_used_bytes = 900; }],
    ["backlog", "warn", "grows: 12 MiB", (s, t) => { s.backlog_memory_bytes = t << 20; }],
    ["backlog", "warn", "grows: 12 MiB of 100 MiB", (s, t) => { s.backlog_memory_bytes = t << 20; s.limits.backlog_memory_bytes = 100 << 20; }],
    ["limit-backlog", "bad", "91 MiB of 100 MiB (91 %)", (s) => { s.backlog_memory_bytes = 91 << 20; s.limits.backlog_memory_bytes = 100 << 20; }],
    ["lagging", "warn", "12 clients lag", (s) => { s.total.lagging = 40; }, { laggards: { laggards: [], total: 12 } }],
    ["lagging", "warn", "10 clients lag (20 %", (s) => { s.total.lagging = 10; }],
    ["oldest", "warn", "12 s", null, { laggards: { laggards: [{ oldest_seconds: 12 }, {}], total: 2 } }],
    ["slow", "warn", "12 clients were disconnected as too slow in the last 12 s", (s, t) => { s.total.disconnects.slow_consumer = t; }],
    ["lost", "warn", "12 clients", (s, t) => { s.total.disconnects.ping_timeout = t; }],
    ["handshakes", "bad", "full 12", (s, t) => { s.total.handshake_failures.full = t; }],
    ["handshakes", "bad", "full 12, not_found 24", (s, t) => { Object.assign(s.total.handshake_failures, { full: t, not_found: 2 * t }); }],
    ["handshakes", "warn", "forbidden_origin 1", (s, t) => { s.total.handshake_failures.forbidden_origin = Number(t > 5); }],
    ["handshakes", "warn", "too_slow 12", (s, t) => { s.total.handshake_failures.too_slow = t; }],
    ["handshakes", "warn", "constructor 12", (s, t) => { s.total.handshake_failures.constructor = t; }],
    ["publish", "warn", "limit_exceeded 1", (s, t) => { s.publish.errors.limit_exceeded = Number(t > 5); }],
    ["publish", "warn", "bad_request 12", (s, t) => { s.publish.errors.bad_request = t; }],
    ["refused", "warn", "full 12", (s, t) => { s.publish.refused.full = t; }],
    ["history", "warn", "12 channels lost the history early in the last 12 s", (s, t) => { s.publish.history_evicted = t; }],
    ["history", "warn", "1 channel lost", (s, t) => { s.publish.history_evicted = 7 + Number(t > 5); }],
    ["latency", "warn", "p99 991 ms", (s, t) => { s.total.publish_to_write_seconds = histogram(t, 0.5); }],
    ["latency", "warn", "p99 > 1 s", (s, t) => { s.total.publish_to_write_seconds = histogram(t, 5); }],
    ["turns", "warn", "shard 1, p99 99.1 ms", (s, t) => { s.shards = [{ turn_seconds: histogram(t, 0.001) }, { turn_seconds: histogram(t, 0.05) }]; }],
    ["busy", "warn", "1 shard is busy all the time: shard 1", (s, t) => { s.shards = [{ turn_seconds: histogram(t, 0.001) }, { turn_seconds: histogram(t * 1000, 0.00095) }]; }],
  ]) {
    const found = after(change, more);
    assert.deepEqual(found.map((item) => [item.id, item.level]), [[id, level]], `${id} ${text}`);
    assert.ok(found[0].text.includes(text), `${found[0].text} has no ${text}`);
    assert.ok(found[0].advice.length > 10);
  }
});

test("what is no reason for alarm", () => {
  for (const [name, change] of [
    ["a moment of waiting", (s, t) => { s.publish.paused = t % 4; }],
    ["old counts", (s) => { s.total.disconnects.slow_consumer = 9; s.total.handshake_failures.full = 9; s.publish.errors.limit_exceeded = 9; }],
    ["histories that were given up before", (s) => { s.publish.history_evicted = 9; }],
    ["few probes", (s, t) => { s.total.handshake_failures.not_found = t >> 2; }],
    ["drained handshakes", (s, t) => { s.total.handshake_failures.draining = t * 9; }],
    ["a backlog that shrinks", (s, t) => { s.backlog_memory_bytes = (20 - t) << 20; }],
    ["fast loops", (s, t) => { s.total.publish_to_write_seconds = histogram(t, 0.01); s.shards = [{ turn_seconds: histogram(t, 0.01) }]; }],
  ]) assert.deepEqual(after(change), [], name);
});

test("silence", () => {
  const since = new Date(2026, 1, 3, 4, 5, 6).getTime();
  const [item, ...rest] = after((s) => { s.ready = false; }, { silence: { ms: 100, since, message: "no connection" } });
  assert.deepEqual([item.id, item.level, rest.length], ["silent", "bad", 0]);
  assert.ok(item.text.includes("since 04:05:06 (no connection)"), item.text);
  assert.equal(after(null, { silence: { ms: 3000, since } })[0].id, "silent");
  assert.deepEqual(after(null, { silence: { ms: 2999, since } }), []);
});

test("the worst comes first", () => {
  const found = after((s, t) => { s.ready = false; s.publish.paused = 1; s.total.handshake_failures.full = t; });
  assert.deepEqual(found.map(({ id }) => id), ["unready", "handshakes", "paused"]);
});

test("what has gone is kept for a while", () => {
  const seen = new Map(), item = (id) => ({ id, level: "warn", text: "", advice: "" });
  const ids = (found, now) => steady(found, seen, now, 5000).map(({ id }) => id);
  assert.deepEqual(ids([item("a")], 0), ["a"]);
  assert.deepEqual(ids([item("b")], 1000), ["a", "b"]);
  assert.deepEqual(ids([item("silent")], 2000), ["silent"]);
  assert.deepEqual(ids([], 3000), ["a", "b"]);
  assert.deepEqual(ids([], 5000), ["b"]);
  assert.deepEqual(ids([], 6000), []);
  assert.equal(seen.size, 0);
});

test("numbers and names are written for people", () => {
  for (const [got, want] of [
    [format.count(undefined), "–"], [format.count(0), "0"], [format.count(1_000_000), "1,000,000"], [format.count(12_345_678), "12.3M"],
    [format.measure(NaN), "–"], [format.measure(0.1234), "0.123"], [format.measure(1234.5), "1,235"], [format.measure(1e7), "10M"],
    [format.bytes(0), "0 B"], [format.bytes(999), "999 B"], [format.bytes(1 << 20), "1 MiB"], [format.bytes(1e18), "909,000 TiB"],
    [format.seconds(0), "0 s"], [format.seconds(0.000012), "12 µs"], [format.seconds(0.0123), "12.3 ms"], [format.seconds(3700), "1 h 1 min"],
    [format.quantile(null), "–"], [format.quantile({ value: 10, beyond: true }), "> 10 s"],
    [format.age(59.9), "59 s"], [format.age(61), "1 min 1 s"], [format.age(90_000), "1 d 1 h"], [format.age(-3), "0 s"],
    [format.percent(0.999), "99 %"], [format.percent(0.0049), "0.5 %"], [format.percent(null), "–"],
    [format.clock("nonsense"), "–"],
    [format.name("a\u202eb\n<b>"), "a\\u202eb\\u000a<b>"], [format.name(undefined), "–"], [format.name("wörld 🌍"), "wörld 🌍"],
  ]) assert.equal(got, want);
});
