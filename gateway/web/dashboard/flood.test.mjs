import assert from "node:assert/strict";
import test from "node:test";
import { findFlood } from "./flood.js";
import { History } from "./figures.js";
import { judge } from "./verdict.js";

const channel = (name, events, bytes, deliveries) => ({ channel: name, events_per_second: events, bytes_per_second: bytes, deliveries_per_second: deliveries });
const answer = (events, bytes, deliveries, ...channels) => ({ channels, total: { channels: 9, events_per_second: events, bytes_per_second: bytes, deliveries_per_second: deliveries } });
const sender = (more) => ({ publisher: "17", protocol: "resp2", address: "192.0.2.1:5", events_per_second: 9000, bytes_per_second: 1, ...more });
const sentBy = (publisher, all = 9100) => ({ publishers: [publisher], total: { publishers: 3, events_per_second: all, bytes_per_second: 1e9 } });

test("a flood is one channel that is most of all, and loud", () => {
  for (const [name, loud, want] of [
    ["nothing is known", [null, undefined, {}], null],
    ["no channels", [answer(0, 0, 0)], null],
    ["by events", [answer(10_000, 1000, 0, channel("a", 9700, 900, 0))], "a: 9,700 events/s, 97 % of all events"],
    ["by bytes", [answer(600, 1 << 21, 0, channel("b", 100, 1 << 20 | 1 << 19, 0), channel("a", 300, 9, 0))], "b: 1.5 MiB/s, 75 % of all bytes"],
    ["by deliveries", [answer(600, 0, 2e5, channel("c", 20, 0, 18e4))], "c: 180K deliveries/s, 90 % of all deliveries"],
    ["by the largest share of several lists", [answer(1000, 0, 0, channel("a", 600, 0, 0)), answer(0, 1e6, 0, channel("b", 0, 9e5, 0))], "b: 879 KiB/s, 90 % of all bytes"],
    ["half is not most", [answer(10_000, 0, 0, channel("a", 5000, 0, 0))], null],
    ["little harms nobody", [answer(100, 1000, 900, channel("a", 100, 1000, 900))], null],
    ["a list that is older than its sum", [answer(1000, 0, 0, channel("a", 2000, 0, 0))], "a: 2,000 events/s, 100 % of all events"],
  ]) {
    const found = findFlood(loud, null);
    assert.equal(found && `${found.channel}: ${found.text}`, want, name);
  }
});

test("who sends most is named", () => {
  const loud = [answer(10_000, 0, 0, channel("a", 9700, 0, 0))];
  for (const [senders, want] of [
    [null, null],
    [sentBy(sender(), 20_000), null],
    [sentBy(sender()), "publisher 17 at 192.0.2.1:5 (9,000 events/s, 98 % of all)"],
    [sentBy(sender({ name: "price\u202efeed" })), 'publisher 17 "price\\u202efeed" at 192.0.2.1:5 (9,000 events/s, 98 % of all)'],
    [sentBy(sender({ publisher: "5f0cb31ad2a40a7e", protocol: "websocket" })), "the client 5f0cb31ad2a40a7e at 192.0.2.1:5 (9,000 events/s, 98 % of all)"],
    [sentBy(sender({ publisher: "api", protocol: "http" })), "the API at 192.0.2.1:5 (9,000 events/s, 98 % of all)"],
  ]) assert.equal(findFlood(loud, senders).sender, want);
});

test("the verdict blames the flood and not its victims", () => {
  const flood = { channel: "loud<b>\u0000", text: "9,700 events/s, 97 % of all events", sender: "publisher 17" };
  const verdict = (change, more) => {
    const history = new History();
    for (let s = 0; s <= 12; s++) {
      const stats = { ready: true, limits: {}, total: { clients: 50, lagging: 0, disconnects: {}, handshake_failures: {} }, publish: { errors: {}, refused: {} } };
      change(stats, s);
      history.add({ at: s * 1000, stats });
    }
    return judge({ history, silence: null, laggards: null, flood, ...more });
  };
  assert.deepEqual(verdict(() => {}), [], "a loud channel that harms nobody");
  const unrelated = verdict((s, t) => { s.total.handshake_failures.full = t; });
  assert.deepEqual(unrelated.map(({ id }) => id), ["handshakes"]);
  const change = (s, t) => { s.total.disconnects.slow_consumer = t; s.total.lagging = 20; s.publish.paused = 1; s.total.handshake_failures.full = t; };
  const found = verdict(change);
  assert.deepEqual(found.map(({ id }) => id), ["handshakes", "flood", "paused", "lagging", "slow"]);
  const [full, told, ...victims] = found;
  assert.equal(told.text, "The channel loud<b>\\u0000 is flooded: 9,700 events/s, 97 % of all events.");
  assert.ok(told.advice.includes("Most is sent by publisher 17:"), told.advice);
  assert.ok(full.advice.includes("--max-clients"));
  for (const { id, advice } of victims) assert.equal(advice, "An effect of the flooded channel: see there first.", id);
  const over = verdict(change, { flood: { ...flood, sender: null, until: new Date(2026, 1, 3, 4, 5, 6).getTime() } })[1];
  assert.ok(over.text.includes("was flooded until 04:05:06:"), over.text);
  assert.ok(over.advice.startsWith("Several publishers send:"), over.advice);
  for (const { advice } of verdict(change, { flood: null })) assert.ok(!advice.includes("--backlog,") && !advice.includes("flooded"), advice);
});
