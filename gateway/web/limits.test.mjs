// How the client keeps to the gateway's limits, and what it does when it is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeGateway, LIMITS, microtasks, Rig } from "./testdata/fakes.mjs";

const nothing = () => {};
const rooms = (n) => Array.from({ length: n }, (_, i) => `room:${i}`);

// A rig with a gateway that keeps to one rate and tells another, or none.
async function crowd({ channels, told, rate, room = channels, history = true }) {
  const rig = new Rig();
  rig.limits = told && { ...LIMITS, commands_per_second: told.perSecond, commands_burst: told.burst, channels: room };
  const subscriptions = rooms(channels).map((name) => rig.client.subscribe(name, nothing));
  await rig.open();
  const gateway = Object.assign(new FakeGateway(rig, { ...rate, channels: room }), { history });
  return { rig, gateway, subscriptions };
}

// However many there are, the number of messages and of reports is bounded.
const crowds = [
  { name: "as told", channels: 3000, told: { perSecond: 100, burst: 2000 }, rate: { perSecond: 100, burst: 2000 }, messages: 50, reports: 0, ms: 12_000 },
  { name: "without history", history: false, channels: 3000, told: { perSecond: 100, burst: 2000 }, rate: { perSecond: 100, burst: 2000 }, messages: 60, reports: 0, ms: 12_000 },
  { name: "without a rate", channels: 5000, told: {}, rate: {}, messages: 5, reports: 0, ms: 0 },
  { name: "one a second", channels: 20, told: { perSecond: 1, burst: 1 }, rate: { perSecond: 1, burst: 1 }, messages: 20, reports: 0, ms: 20_000 },
  { name: "a high rate and a small burst", channels: 500, told: { perSecond: 1000, burst: 10 }, rate: { perSecond: 1000, burst: 10 }, messages: 70, reports: 0, ms: 1000 },
  { name: "lower than told", channels: 3000, told: { perSecond: 1000, burst: 5000 }, rate: { perSecond: 100, burst: 2000 }, messages: 50, reports: 1, ms: 22_000 },
  { name: "not told", channels: 5000, told: undefined, rate: { perSecond: 100, burst: 2000 }, messages: 100, reports: 1, ms: 35_000 },
  { name: "not told, with a small burst", channels: 1000, told: undefined, rate: { perSecond: 100, burst: 10 }, messages: 150, reports: 1, ms: 15_000 },
];
for (const c of crowds) {
  test(`channels beyond the rate are asked for as the rate allows: ${c.name}`, async () => {
    const { rig, gateway, subscriptions } = await crowd(c);
    const all = () => gateway.channels.size === c.channels;
    for (const connection of ["first", "second"]) {
      gateway.heard = [];
      gateway.refused = 0;
      const took = await gateway.until(all);
      const facts = `${connection}: ${gateway.heard.length} messages, ${gateway.refused} refusals, ${rig.errors.length} reports, ${took} ms`;
      assert.ok(gateway.heard.length <= c.messages, facts);
      assert.ok(rig.errors.length <= c.reports, facts);
      assert.ok(took <= c.ms * 1.1 + 100, facts);
      if (c.reports === 0) assert.equal(gateway.refused, 0, facts);
      assert.ok(subscriptions.every((s) => s.state === "subscribed"));
      rig.errors = [];
      await rig.back();
    }
    rig.client.close();
    assert.equal(rig.clock.timers, 0);
  });
}

test("messages that are late on their way are not sent too soon one after the other", async () => {
  const rig = new Rig();
  rig.limits = { ...LIMITS, commands_per_second: 10, commands_burst: 1 };
  for (const name of rooms(20)) rig.client.subscribe(name, nothing);
  await rig.open();
  const gateway = new FakeGateway(rig, { perSecond: 10, burst: 1 });
  for (let late = 0; gateway.channels.size < 20; late = 90 - late) {
    while (rig.socket.sent.length === 0) rig.clock.advance(1);
    rig.clock.advance(late);
    gateway.serve();
  }
  assert.deepEqual([gateway.refused, gateway.heard.length], [0, 20]);
});

test("no more than a burst is on its way", async () => {
  const { rig, gateway } = await crowd({ channels: 60, told: { perSecond: 1000, burst: 10 }, rate: { perSecond: 1000, burst: 10 } });
  for (let i = 0; i < 50; i++) rig.clock.advance(1); // nothing arrives so long
  await gateway.until(() => gateway.channels.size === 60, { step: 50 });
  assert.deepEqual([gateway.refused, rig.errors], [0, []]);
});

test("a publish finds room between subscriptions that wait for the rate", async () => {
  const { rig, gateway } = await crowd({ channels: 3000, told: { perSecond: 100, burst: 2000 }, rate: { perSecond: 100, burst: 2000 } });
  gateway.serve();
  const published = Array.from({ length: 50 }, () => rig.client.publish("chat", 1));
  await gateway.until(() => gateway.channels.size === 3000);
  await Promise.all(published);
  assert.deepEqual([gateway.refused, rig.errors], [0, []]);
});

test("thousands of unsubscribes are a few messages, and keep to the rate too", async () => {
  const { rig, gateway, subscriptions } = await crowd({ channels: 1500, told: { perSecond: 100, burst: 2000 }, rate: { perSecond: 100, burst: 2000 } });
  await gateway.until(() => gateway.channels.size === 1500);
  gateway.heard = [];
  for (const s of subscriptions) s.unsubscribe();
  await gateway.until(() => gateway.channels.size === 0);
  assert.ok(gateway.heard.length < 50, `${gateway.heard.length} messages`);
  assert.deepEqual([gateway.refused, rig.errors, rig.client.subscriptions], [0, [], []]);
});

test("several refused messages are waited for together", async () => {
  const rig = new Rig();
  rig.limits = { ...LIMITS, names_per_command: 2 };
  for (const name of ["a", "b", "c", "d"]) rig.client.subscribe(name, nothing);
  await rig.open();
  for (const { id } of rig.heard()) {
    const refusal = { type: "error", id, code: "rate_limited", message: "too many" };
    rig.say({ ...refusal, retry_after_ms: 1000 }, { ...refusal, retry_after_ms: 2000 });
  }
  assert.deepEqual(rig.errors.map((e) => [e.code, e.channels, e.retryAfter]), [["rate_limited", ["a", "b"], 2000]]);
  rig.client.subscribe("e", nothing); // does not go ahead
  await microtasks();
  rig.clock.advance(3999);
  assert.deepEqual(rig.heard(), []);
  rig.clock.advance(1);
  for (const names of [["a", "b"], ["c", "d"], "e"]) {
    const [command, ...more] = rig.heard();
    assert.deepEqual([command.channels ?? command.channel, more], [names, []], "one message at a time from here");
    rig.accept(command);
  }
  assert.ok(rig.client.subscriptions.every((s) => s.state === "subscribed" && s.error === null));
  rig.client.subscribe("f", nothing);
  await microtasks();
  rig.say({ type: "error", id: rig.heard()[0].id, code: "rate_limited", message: "too many", retry_after_ms: 1 });
  assert.equal(rig.errors.length, 2, "all was well in between");
});

test("a clock that is set back holds nothing up", async () => {
  const rig = new Rig();
  rig.limits = { ...LIMITS, commands_per_second: 1, commands_burst: 1 };
  rig.client.subscribe("a", nothing);
  rig.client.subscribe("b", nothing);
  await rig.open();
  rig.accept(rig.heard()[0]);
  rig.clock.set(-3_600_000);
  rig.clock.advance(2100);
  const [{ id, channel }] = rig.heard();
  assert.equal(channel, "b");
  rig.say({ type: "error", id, code: "rate_limited", message: "", retry_after_ms: 1000 });
  rig.clock.set(-3_600_000);
  rig.client.subscribe("c", nothing);
  await microtasks();
  rig.clock.advance(1000);
  assert.deepEqual(rig.heard().map((m) => m.channels), [["b", "c"]]);
});

// Room --------------------------------------------------------------------------------------

for (const told of [true, false]) {
  test(`subscriptions without room are tried when another is removed, the limit is ${told ? "" : "not "}told`, async () => {
    const { rig, gateway, subscriptions } = await crowd({ channels: 5, told: told ? {} : undefined, rate: {}, room: 5 });
    await gateway.until(() => gateway.channels.size === 5);
    const more = ["x", "y", "z"].map((name) => rig.client.subscribe(name, nothing));
    await microtasks();
    gateway.serve();
    assert.deepEqual(rig.errors.map((e) => [e.code, e.channels]), [["limit_exceeded", ["x", "y", "z"]]]);
    assert.deepEqual(more.map((s) => [s.state, s.error.code, s.error.channel]), ["x", "y", "z"].map((name) => ["refused", "limit_exceeded", name]));
    rig.clock.advance(40_000);
    gateway.serve();
    assert.deepEqual(more.map((s) => s.state), ["refused", "refused", "refused"]);
    subscriptions[0].unsubscribe();
    more[1].unsubscribe(); // needs no room any more
    await gateway.until(() => more[0].state === "subscribed");
    assert.deepEqual(more.map((s) => [s.channel, s.state]), [["x", "subscribed"], ["y", "unsubscribed"], ["z", "refused"]]);
    subscriptions[1].unsubscribe();
    await gateway.until(() => more[2].state === "subscribed");
    assert.equal(more[2].error, null);
    assert.equal(rig.errors.length, 1);
    assert.deepEqual([...gateway.channels].sort(), ["room:2", "room:3", "room:4", "x", "z"]);
  });
}

test("one that replaces another at the limit is not refused", async () => {
  const { rig, gateway, subscriptions } = await crowd({ channels: 5, told: {}, rate: {} });
  await gateway.until(() => gateway.channels.size === 5);
  subscriptions[0].unsubscribe();
  const next = rig.client.subscribe("next", nothing);
  await gateway.until(() => next.state === "subscribed");
  assert.deepEqual(rig.errors, []);
});

test("a refusal of another channel makes room", async () => {
  const rig = new Rig();
  rig.limits = { ...LIMITS, channels: 2 };
  for (const name of ["a", "b", "c"]) rig.client.subscribe(name, nothing);
  await rig.open();
  const [{ id }] = rig.heard();
  rig.say({ type: "error", id, code: "permission_denied", message: "" });
  rig.accept({ type: "subscribe", id, channel: "b" });
  assert.deepEqual(rig.heard().map((m) => m.channel), ["c"]);
});

test("a gateway that is full is tried again with back-off, and when another is removed", async () => {
  const rig = await new Rig().open();
  const first = await rig.live("first", nothing);
  const more = rig.client.subscribe("more", nothing);
  await microtasks();
  const refuse = () => {
    const { id, channel } = rig.heard().at(-1);
    assert.equal(channel, "more");
    rig.say({ type: "error", id, code: "limit_exceeded", message: "the gateway is full" });
  };
  refuse();
  assert.equal(more.state, "pending");
  rig.clock.advance(250);
  refuse();
  assert.deepEqual(rig.errors.map((e) => [e.code, e.channel]), [["limit_exceeded", "more"]]);
  first.unsubscribe();
  await microtasks();
  rig.accept(rig.heard()[0]);
  rig.accept(rig.heard()[0]);
  assert.equal(more.state, "subscribed");
});

// Sizes -------------------------------------------------------------------------------------

test("what is too long for the gateway is refused before it is sent", async () => {
  const rig = new Rig();
  rig.limits = { ...LIMITS, message_bytes: 200, event_bytes: 100 };
  await rig.open();
  const publish = async (channel, data) => {
    const promise = rig.client.publish(channel, data);
    promise.catch(nothing);
    await microtasks();
    for (const m of rig.heard()) rig.say({ type: "published", id: m.id, channel, offset: 1 });
    return promise;
  };
  assert.deepEqual(await publish("chat", "x".repeat(98)), { offset: 1 });
  assert.deepEqual(await publish("chat", "é".repeat(49)), { offset: 1 });
  for (const data of ["x".repeat(99), "é".repeat(50), "€".repeat(33)]) {
    await assert.rejects(publish("chat", data), { code: "limit_exceeded", channel: "chat", message: /data has 10[0-9] bytes.*takes 100.*nothing was sent/ });
  }
  await assert.rejects(publish("c".repeat(70), "x".repeat(98)), { code: "limit_exceeded", message: /message has .*takes 200/ });
  assert.deepEqual(rig.heard(), []);
  assert.equal(rig.client.state.state, "open");
});

test("a channel whose name no message can hold is refused, others are not", async () => {
  const rig = new Rig();
  rig.limits = { ...LIMITS, message_bytes: 128 };
  const long = rig.client.subscribe("x".repeat(200), nothing);
  const short = rig.client.subscribe("y".repeat(40), nothing, { since: { epoch: "e".repeat(50), offset: 1 } });
  await rig.open();
  assert.deepEqual(rig.heard().map((m) => [m.channel, m.since]), [[short.channel, undefined]]);
  assert.deepEqual([long.state, long.error.code], ["refused", "limit_exceeded"]);
  assert.deepEqual(rig.errors, [long.error]);
});

// Rates of publishes --------------------------------------------------------------------------

test("publishes beyond the rate are refused at once, with the time to wait", async () => {
  const rig = new Rig();
  rig.limits = { ...LIMITS, publishes_per_second: 10, publishes_burst: 3 };
  await rig.open();
  const results = [1, 2, 3, 4].map((n) => rig.client.publish("chat", n));
  const refused = assert.rejects(results[3], { code: "rate_limited", channel: "chat", retryAfter: 103, message: /nothing was sent/ });
  await refused;
  assert.deepEqual(rig.heard().map((m) => m.data), [1, 2, 3]);
  rig.clock.advance(103);
  rig.client.publish("chat", 5).catch(nothing);
  await microtasks();
  assert.deepEqual(rig.heard().map((m) => m.data), [5]);
  rig.client.close();
  await Promise.allSettled(results);
});

test("pings count as commands", async () => {
  const rig = new Rig();
  rig.limits = { ...LIMITS, commands_per_second: 1, commands_burst: 2 };
  await rig.open();
  const pings = [rig.client.ping(), rig.client.ping()];
  await assert.rejects(rig.client.ping(), { code: "rate_limited", retryAfter: 1021 });
  for (const { id } of rig.heard()) rig.say({ type: "pong", id });
  await Promise.all(pings);
});

test("the limits of the connection can be seen", async () => {
  const rig = new Rig();
  assert.equal(rig.client.limits, null);
  await rig.open();
  assert.equal(rig.client.limits.channels, 128);
  assert.equal(rig.client.limits.messageBytes, 65536);
  rig.limits = { channels: "many", message_bytes: -1, commands_per_second: 0, event_bytes: 1 };
  await rig.back();
  assert.deepEqual(Object.entries(rig.client.limits).filter(([, value]) => value !== undefined), [["eventBytes", 1]]);
  rig.drop();
  assert.equal(rig.client.limits, null);
});
