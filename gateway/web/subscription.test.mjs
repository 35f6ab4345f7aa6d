// What subscribers and publishers see, on one connection and across several.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS, microtasks, namesOf, Rig } from "./testdata/fakes.mjs";

const nothing = () => {};

test("events reach their handlers with their place in the stream", async () => {
  const rig = await new Rig().open();
  const seen = [];
  const subscription = await rig.live("news", (...args) => seen.push(args), { offset: 17 });
  assert.deepEqual(subscription.position, { epoch: "E1", offset: 17 });
  rig.say({ type: "event", channel: "news", offset: 18, data: { a: 1 } });
  rig.say({ type: "event", channel: "other", offset: 1, data: 0 }, { type: "novelty" }, "7", "null");
  assert.deepEqual(seen, [[{ a: 1 }, { channel: "news", epoch: "E1", offset: 18, recovered: false }]]);
  assert.deepEqual(subscription.position, { epoch: "E1", offset: 18 });
  assert.deepEqual([rig.gaps, rig.errors], [[], []]);
});

test("subscriptions made together travel together, in bounded batches", async () => {
  const names = Array.from({ length: 300 }, (_, i) => `room:${i}`);
  const long = Array.from({ length: 20 }, (_, i) => `"${i}`.padEnd(127, "é"));
  for (const [limits, lengths] of [
    [{}, [320]],
    [{ names_per_command: 200 }, [200, 120]],
    [{ message_bytes: 4096 }, [303, 15, 2]],
    [{ message_bytes: 300 }, undefined],
  ]) {
    const rig = new Rig();
    rig.limits = { ...LIMITS, channels: 1000, ...limits };
    const subscriptions = [...names, ...long].map((name) => rig.client.subscribe(name, nothing));
    await rig.open();
    const sent = rig.heard();
    assert.deepEqual(sent.flatMap((m) => m.channels ?? m.channel), [...names, ...long]);
    const sizes = sent.map((m) => m.channels?.length ?? 1);
    if (lengths) assert.deepEqual(sizes, lengths);
    for (const m of sent) assert.ok(Buffer.byteLength(JSON.stringify(m)) <= rig.limits.message_bytes);
    for (const m of sent) rig.accept(m);
    for (const s of subscriptions) s.unsubscribe();
    await microtasks();
    const left = rig.heard();
    assert.deepEqual(left.map((m) => [m.type, m.channels?.length ?? 1]), sizes.map((n) => ["unsubscribe", n]));
    for (const m of left) assert.ok(Buffer.byteLength(JSON.stringify(m)) <= rig.limits.message_bytes);
  }
});

test("one channel is subscribed once for all of its handlers", async () => {
  const rig = await new Rig().open();
  const seen = [];
  const a = await rig.live("news", (d) => seen.push(`a${d}`));
  const b = rig.client.subscribe("news", (d) => seen.push(`b${d}`));
  await microtasks();
  rig.event("news", 1);
  a.unsubscribe();
  rig.event("news", 2);
  b.unsubscribe();
  b.unsubscribe();
  rig.event("news", 3);
  await microtasks();
  assert.deepEqual(seen, ["a1", "b1", "b2"]);
  assert.deepEqual(rig.heard().map((m) => [m.type, m.channel]), [["subscribe", "news"], ["unsubscribe", "news"]]);
});

test("a successor does not get what its predecessor left on the line", async () => {
  const rig = await new Rig().open();
  const seen = [];
  const first = await rig.live("news", nothing, { offset: 5 });
  first.unsubscribe();
  await microtasks();
  rig.client.subscribe("news", (d) => seen.push(d));
  await microtasks();
  rig.event("news", 6);
  const [, unsubscribe, ...more] = rig.heard();
  assert.deepEqual([unsubscribe.type, more], ["unsubscribe", []], "one command at a time");
  rig.accept(unsubscribe);
  rig.answer("news", 7);
  rig.event("news", 8);
  assert.deepEqual([seen, rig.gaps], [[8], []]);
});

test("a channel that is left and wanted again at once is not left", async () => {
  const rig = await new Rig().open();
  const seen = [];
  const first = await rig.live("news", assert.fail, { offset: 5 });
  rig.heard();
  first.unsubscribe();
  rig.client.subscribe("news", (d) => seen.push(d));
  await microtasks();
  rig.event("news", 6);
  assert.deepEqual([seen, rig.gaps, rig.heard()], [[6], [], []]);
});

test("an answer to a subscription that was given up changes nothing", async () => {
  const rig = await new Rig().open();
  rig.client.subscribe("news", nothing).unsubscribe();
  await microtasks();
  assert.deepEqual(rig.heard(), []);
  const subscription = rig.client.subscribe("news", assert.fail);
  await microtasks();
  subscription.unsubscribe();
  await microtasks();
  rig.answer("news", 3);
  rig.event("news", 4);
  const [subscribe, unsubscribe] = rig.heard();
  assert.equal(unsubscribe.type, "unsubscribe");
  rig.say({ type: "error", id: unsubscribe.id, code: "not_subscribed", message: "" });
  assert.equal(subscribe.type, "subscribe");
  assert.deepEqual(rig.errors, []);
});

// Where a subscription that has seen E1:20 stands after a reconnect, by the gateway's answer.
const returns = [
  { name: "nothing was missed", epoch: "E1", offset: 20, gap: null, next: 21, at: 20 },
  { name: "events were missed", epoch: "E1", offset: 23, gap: { from: 21, to: 23, reset: false }, next: 24, at: 23 },
  { name: "another epoch", epoch: "E2", offset: 4, gap: { from: 1, to: 4, reset: true }, next: 5, at: 4 },
  { name: "another epoch that is empty", epoch: "E2", offset: 0, gap: { from: 1, to: 0, reset: true }, next: 1, at: 0 },
  { name: "a shard that lags behind", epoch: "E1", offset: 18, gap: null, next: 21, at: 20, repeats: [19, 20] },
];
for (const c of returns) {
  test(`after a reconnect: ${c.name}`, async () => {
    const rig = await new Rig().open();
    const seen = [];
    const gaps = [];
    const subscription = await rig.live("news", (d) => seen.push(d), { offset: 19, onGap: (g) => gaps.push(g) });
    rig.event("news", 20);
    await rig.back();
    assert.deepEqual(rig.heard().map(({ type, channel, since }) => ({ type, channel, since })), [
      { type: "subscribe", channel: "news", since: { epoch: "E1", offset: 20 } },
    ]);
    rig.say({ type: "subscribed", id: 2, channel: "news", epoch: c.epoch, offset: c.offset });
    assert.deepEqual(subscription.position, { epoch: c.epoch, offset: c.at });
    for (const offset of c.repeats ?? []) rig.event("news", offset);
    rig.event("news", c.next);
    assert.deepEqual(gaps, c.gap ? [{ channel: "news", ...c.gap }] : []);
    assert.deepEqual(rig.gaps, gaps);
    assert.deepEqual(seen, [20, c.next]);
  });
}

test("since goes out with the first subscribe, and a gap up to the answer is told", async () => {
  const rig = await new Rig().open();
  rig.client.subscribe("news", nothing, { since: { epoch: "E1", offset: 3 } });
  await microtasks();
  assert.deepEqual(rig.socket.sent[0].since, { epoch: "E1", offset: 3 });
  rig.answer("news", 5);
  assert.deepEqual(rig.gaps, [{ channel: "news", from: 4, to: 5, reset: false }]);
});

test("since on a channel that is already live, at a gateway without history", async () => {
  const rig = await new Rig().open();
  await rig.live("news", nothing, { offset: 6 });
  rig.event("news", 7);
  rig.say({ type: "gap", channel: "news", from: 8, to: 9 });
  rig.gaps.splice(0);
  rig.heard();
  const gaps = [];
  rig.client.subscribe("news", nothing, { since: { epoch: "E1", offset: 7 }, onGap: (g) => gaps.push(g) });
  assert.deepEqual(gaps, [], "not before subscribe has returned");
  rig.client.subscribe("news", nothing, { since: { epoch: "E2", offset: 7 }, onGap: assert.fail }).unsubscribe();
  await microtasks();
  const [{ type, id }] = rig.heard();
  assert.equal(type, "history");
  rig.say({ type: "error", id, code: "unknown_type", message: "" });
  assert.deepEqual(gaps, [{ channel: "news", from: 8, to: 9, reset: false }]);
  assert.deepEqual([rig.heard(), rig.errors], [[], []]);
  rig.event("news", 10);
  const late = rig.client.subscribe("news", nothing);
  assert.deepEqual(late.position, { epoch: "E1", offset: 10 });
});

test("of several positions the earliest is asked for, and each is settled", async () => {
  const rig = await new Rig().open();
  for (const offset of [8, 5, 7]) {
    rig.client.subscribe("news", nothing, { since: { epoch: "E1", offset } });
  }
  await microtasks();
  assert.deepEqual(rig.socket.sent[0].since, { epoch: "E1", offset: 5 });
  rig.answer("news", 8);
  assert.deepEqual(rig.gaps.map((g) => [g.from, g.to]), [[6, 8], [8, 8]]);
});

test("the gateway's gaps are told once, and so are offsets that it skips", async () => {
  const rig = await new Rig().open();
  const seen = [];
  const subscription = await rig.live("news", (d) => seen.push(d), { offset: 18 });
  rig.say({ type: "gap", channel: "news", from: 19, to: 40 });
  rig.say({ type: "gap", channel: "news", from: 30, to: 40 });
  assert.deepEqual(subscription.position, { epoch: "E1", offset: 40 });
  rig.event("news", 41);
  rig.event("news", 44);
  rig.event("news", 44);
  assert.deepEqual(seen, [41, 44]);
  assert.deepEqual(rig.gaps, [
    { channel: "news", from: 19, to: 40, reset: false },
    { channel: "news", from: 42, to: 43, reset: false },
  ]);
});

test("what is done while away is made good on return", async () => {
  const rig = await new Rig().open();
  const stays = await rig.live("stays", nothing);
  const goes = await rig.live("goes", nothing);
  rig.drop();
  goes.unsubscribe();
  rig.client.subscribe("new:a", nothing);
  rig.client.subscribe("new:b", nothing);
  rig.clock.advance(30_000);
  await rig.open();
  const sent = rig.heard();
  assert.deepEqual(sent.map((m) => m.channels), [[{ channel: "stays", since: { epoch: "E1", offset: 0 } }, "new:a", "new:b"]]);
  assert.equal(stays.position.offset, 0);
});

test("refusals name their channel, in batches too, and are tried on the next connection", async () => {
  const rig = new Rig();
  for (const name of ["a", "b", "c", "d"]) rig.client.subscribe(name, nothing);
  await rig.open();
  const [{ id }] = rig.heard();
  rig.say(
    { type: "subscribed", id, channel: "a", epoch: "E1", offset: 0 },
    { type: "error", id, code: "bad_channel", message: "no b" },
    { type: "subscribed", id, channel: "c", epoch: "E1", offset: 0 },
    { type: "error", id, code: "permission_denied", message: "no d" },
  );
  assert.deepEqual(rig.errors.map((e) => [e.code, e.channel, e.message]), [
    ["bad_channel", "b", "no b"],
    ["permission_denied", "d", "no d"],
  ]);
  rig.clock.advance(40_000);
  assert.deepEqual(rig.heard(), []);
  await rig.back();
  assert.deepEqual(rig.heard().map(namesOf), [["a", "b", "c", "d"]]);
});

test("refusals that may pass are tried again with back-off, and told once", async () => {
  const rig = await new Rig().open();
  rig.client.subscribe("news", nothing);
  await microtasks();
  for (const delay of [250, 500, 1000]) {
    const [{ id }] = rig.heard();
    rig.say({ type: "error", id, code: "not_available", message: "" });
    rig.clock.advance(delay - 1);
    assert.deepEqual(rig.heard(), []);
    rig.clock.advance(1);
  }
  const [{ id }] = rig.heard();
  assert.deepEqual(rig.errors.map((e) => e.code), ["not_available"]);
  rig.say({ type: "error", id, code: "internal", message: "" });
  assert.deepEqual(rig.errors.map((e) => e.code), ["not_available", "internal"]);
  await rig.back();
  rig.say({ type: "error", id: rig.heard()[0].id, code: "rate_limited", message: "" });
  assert.equal(rig.clock.timers, 2, "the watch and the retry");
  rig.clock.advance(250);
  const [again] = rig.heard();
  assert.equal(again?.type, "subscribe", "a new connection, a new back-off");
  rig.say({ type: "error", id: again.id, code: "rate_limited", message: "" });
  rig.client.close();
  assert.equal(rig.clock.timers, 0);
});

test("the pause that a refusal asks for is kept, the longest for all", async () => {
  const rig = await new Rig().open();
  for (const [name, pause] of [["a", 3000], ["b", 7000], ["c", 100], ["d", undefined]]) {
    rig.client.subscribe(name, nothing);
    await microtasks();
    const [{ id }] = rig.heard();
    rig.say({ type: "error", id, code: "internal", message: "", retry_after_ms: pause });
  }
  assert.deepEqual(rig.errors.map((e) => [e.channel, e.retryAfter]), [["a", 3000]]);
  rig.clock.advance(6_999);
  assert.deepEqual(rig.heard(), []);
  rig.clock.advance(1);
  const [{ id, channels }, ...more] = rig.heard();
  assert.deepEqual([channels, more], [["a", "b", "c", "d"], []]);
  rig.say({ type: "error", id, code: "not_available", message: "", retry_after_ms: 1e12 });
  for (const channel of ["b", "c", "d"]) rig.say({ type: "subscribed", id, channel, epoch: "E1", offset: 0 });
  assert.equal(rig.errors.at(-1).retryAfter, 3_600_000, "an hour at most");
  assert.equal(rig.errors.at(-1).channel, "a");
});

test("an unsubscribe that is refused is said again", async () => {
  const rig = await new Rig().open();
  const seen = [];
  (await rig.live("news", nothing)).unsubscribe();
  await microtasks();
  const refused = { type: "error", code: "rate_limited", message: "", retry_after_ms: 1000 };
  rig.say({ ...refused, id: rig.heard()[1].id });
  rig.event("news", 1); // still comes
  rig.clock.advance(1000);
  const [again] = rig.heard();
  assert.deepEqual([again.type, again.channel], ["unsubscribe", "news"]);
  rig.client.subscribe("news", (d) => seen.push(d)); // before the unsubscribe is through
  await microtasks();
  rig.event("news", 2); // of the subscription before
  rig.say({ ...refused, id: again.id });
  rig.clock.advance(10_000);
  assert.deepEqual(rig.heard(), [], "it is still subscribed");
  rig.event("news", 3);
  assert.deepEqual([seen, rig.gaps], [[3], []]);
  assert.deepEqual(rig.errors.map((e) => [e.code, e.channel]), [["rate_limited", "news"]]);
  assert.equal(rig.clock.timers, 1, "the watch");
});

test("a gateway that knows a subscription already is left, and asked anew", async () => {
  const rig = await new Rig().open();
  const seen = [];
  rig.client.subscribe("news", (d) => seen.push(d));
  await microtasks();
  rig.say({ type: "error", id: rig.heard()[0].id, code: "already_subscribed", message: "" });
  rig.event("news", 1);
  await microtasks();
  const [leave] = rig.heard();
  rig.accept(leave);
  const [subscribe] = rig.heard();
  assert.deepEqual([leave.type, subscribe.type], ["unsubscribe", "subscribe"]);
  rig.accept(subscribe);
  rig.event("news", 1);
  assert.deepEqual([seen, rig.errors], [[1], []]);
});

test("a publish or a ping that is refused tells for how long to wait", async () => {
  const rig = await new Rig().open();
  const failed = [rig.client.publish("chat", 1), rig.client.ping()];
  await microtasks();
  for (const { id } of rig.heard()) rig.say({ type: "error", id, code: "rate_limited", message: "too many", retry_after_ms: 250 });
  for (const promise of failed) await assert.rejects(promise, { code: "rate_limited", retryAfter: 250, message: /too many/ });
});

test("publish answers with the offset or rejects with the code", async () => {
  const rig = await new Rig().open();
  const good = rig.client.publish("chat", { x: 1 });
  const bad = rig.client.publish("news", "text");
  await microtasks();
  const [first, second] = rig.heard();
  assert.deepEqual(first, { type: "publish", id: first.id, channel: "chat", data: { x: 1 } });
  rig.say({ type: "published", id: first.id, channel: "chat", offset: 18 });
  rig.say({ type: "error", id: second.id, code: "permission_denied", message: "no" });
  assert.deepEqual(await good, { offset: 18 });
  await assert.rejects(bad, { name: "FleetcastError", code: "permission_denied", message: "no", channel: "news" });
});

test("publishes that cannot be, or whose answer never comes, are rejected", async () => {
  const rig = new Rig();
  await assert.rejects(rig.client.publish("chat", 1), { code: "not_connected" });
  await rig.open();
  const loop = {};
  loop.loop = loop;
  for (const data of [undefined, nothing, loop, 1n]) {
    await assert.rejects(rig.client.publish("chat", data), { code: "bad_request" });
  }
  assert.deepEqual(rig.heard(), []);
  const lost = assert.rejects(rig.client.publish("chat", 1), { code: "connection_lost" });
  rig.drop();
  await lost;
  rig.clock.advance(250);
  await rig.open();
  assert.deepEqual(rig.heard(), [], "never sent twice");
  const closed = assert.rejects(rig.client.publish("chat", 1), { code: "closed" });
  rig.client.close();
  await closed;
});

test("nothing that a callback throws breaks the client", async () => {
  const boom = () => {
    throw new Error("boom");
  };
  const rig = await new Rig({ onState: boom }).open();
  const seen = [];
  await rig.live("news", boom, { onGap: boom });
  rig.client.subscribe("news", async () => boom());
  rig.client.subscribe("news", (d) => seen.push(d));
  rig.event("news", 2);
  rig.event("news", 3);
  await microtasks();
  assert.deepEqual(seen, [2, 3]);
  assert.equal(rig.errors.length, 7); // 2 states, 1 gap, 2 thrown, 2 rejected
  for (const e of rig.errors) assert.deepEqual([e.code, e.cause.message], ["callback", "boom"]);
});

test("without onError, or when it throws, the console is told", async (t) => {
  const error = t.mock.method(console, "error", nothing);
  const thrown = new Error("in onError");
  for (const onError of [undefined, () => { throw thrown; }]) {
    const rig = await new Rig({ onError }).open();
    rig.say("not JSON");
    assert.equal(rig.client.state.state, "open");
  }
  assert.deepEqual(error.mock.calls.map((c) => c.arguments[0].code ?? c.arguments[0]), ["bad_message", thrown]);
});

test("a handler may unsubscribe and close from within", async () => {
  const rig = await new Rig().open();
  const seen = [];
  const first = await rig.live("news", () => second.unsubscribe());
  const second = rig.client.subscribe("news", (d) => seen.push(d));
  rig.client.subscribe("news", () => rig.client.close());
  rig.client.subscribe("news", (d) => seen.push(d));
  rig.event("news", 1);
  rig.event("news", 2);
  assert.deepEqual(seen, []);
  first.unsubscribe();
  assert.equal(rig.client.state.state, "closed");
});

test("misuse is told at once", () => {
  const { client } = new Rig();
  for (const name of ["", 7, undefined, "\ud800", "é".repeat(128)]) {
    assert.throws(() => client.subscribe(name, nothing), { code: "bad_channel" });
  }
  assert.throws(() => client.subscribe("a"), TypeError);
  for (const since of [{}, { epoch: "E", offset: -1 }, { epoch: 1, offset: 1 }]) {
    assert.throws(() => client.subscribe("a", nothing, { since }), TypeError);
  }
});
