// What a program sees of its subscriptions, and how it steers the connection and its requests.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, Fleetcast } from "./fleetcast.js";
import { LIMITS, microtasks, Rig } from "./testdata/fakes.mjs";

const nothing = () => {};
const waiting = (rig) => rig.client.state.retryAt - rig.clock.time;

// Subscriptions -------------------------------------------------------------------------------

test("onSubscribed tells from where events come, before any of them, with each connection", async () => {
  const rig = await new Rig().open();
  const log = [];
  const subscription = rig.client.subscribe("news", (d) => log.push(d), {
    onSubscribed: (place) => log.push(place),
    onState: (state) => log.push(state),
    onGap: ({ from, to }) => log.push(`gap ${from} ${to}`),
  });
  assert.equal(subscription.state, "pending");
  await microtasks();
  rig.answer("news", 17);
  assert.equal(subscription.state, "subscribed");
  rig.event("news", 18);
  const place = { channel: "news", epoch: "E1", offset: 17, recovered: false };
  assert.deepEqual(log.splice(0), ["subscribed", place, 18]);
  for (const [epoch, offset, told] of [
    ["E1", 18, [{ ...place, offset: 18, recovered: true }]],
    ["E1", 20, ["gap 19 20", { ...place, offset: 20 }]],
    ["E1", 19, [{ ...place, offset: 20, recovered: true }]], // from a loop that lags behind
    ["E2", 0, ["gap 1 0", { ...place, epoch: "E2", offset: 0 }]],
  ]) {
    await rig.back();
    rig.answer("news", offset, epoch);
    assert.deepEqual(log.splice(0), ["pending", "subscribed", ...told]);
  }
  subscription.unsubscribe();
  await microtasks();
  assert.deepEqual([log, subscription.state, subscription.active], [["unsubscribed"], "unsubscribed", false]);
});

test("a subscription that joins a channel is told too, even if an event comes at once", async () => {
  const rig = await new Rig().open();
  await rig.live("news", nothing, { offset: 3 });
  const log = [];
  const joined = rig.client.subscribe("news", (d) => log.push(d), { onSubscribed: ({ offset }) => log.push(`at ${offset}`) });
  assert.deepEqual([joined.state, log], ["subscribed", []]);
  rig.event("news", 4); // before any microtask has run
  assert.deepEqual(log, ["at 3", 4]);
});

test("states follow the channel, and errors say why", async () => {
  const rig = await new Rig().open();
  const states = [];
  const subscription = rig.client.subscribe("secret", nothing, { onState: (s) => states.push(s) });
  await microtasks();
  rig.say({ type: "error", id: rig.heard()[0].id, code: "permission_denied", message: "no" });
  assert.deepEqual([subscription.state, subscription.error.code, subscription.error.message], ["refused", "permission_denied", "no"]);
  const second = rig.client.subscribe("secret", nothing); // has both tried again
  assert.deepEqual([subscription.state, second.state], ["pending", "pending"]);
  await microtasks();
  rig.accept(rig.heard()[0]);
  assert.deepEqual([subscription.state, subscription.error, second.state], ["subscribed", null, "subscribed"]);
  rig.drop();
  assert.equal(second.state, "pending");
  rig.client.close();
  await microtasks();
  assert.deepEqual(states, ["refused", "pending", "subscribed", "pending", "unsubscribed"]);
});

test("the client knows its subscriptions", async () => {
  const rig = new Rig();
  const [a, b, c] = ["x", "y", "x"].map((name) => rig.client.subscribe(name, nothing));
  assert.deepEqual(rig.client.subscriptions, [a, c, b]);
  a.unsubscribe();
  assert.deepEqual(rig.client.subscriptions, [c, b]);
  rig.client.subscriptions.pop(); // a copy
  assert.equal(rig.client.subscriptions.length, 2);
  await rig.open();
  c.unsubscribe();
  assert.deepEqual(rig.client.subscriptions, [b]);
  rig.client.close();
  assert.deepEqual([rig.client.subscriptions, b.active], [[], false]);
});

// Listeners ----------------------------------------------------------------------------------

test("there may be several listeners, and each can be removed", async () => {
  const rig = new Rig();
  const log = [];
  const first = (state) => log.push(`first ${state.state}`);
  const off = [rig.client.on("state", first), rig.client.on("state", (state) => log.push(`second ${state.state}`))];
  await rig.open();
  assert.deepEqual(log.splice(0), ["first connecting", "second connecting", "first open", "second open"]);
  assert.deepEqual(rig.states.map((s) => s.state), ["connecting", "open"], "the option's comes besides");
  off[1]();
  rig.drop();
  assert.deepEqual(log.splice(0), ["first waiting"]);
  rig.client.off("state", first);
  await rig.open();
  assert.deepEqual(log, []);
  assert.throws(() => rig.client.on("event", nothing), TypeError);
  assert.throws(() => rig.client.on("gap"), TypeError);
  assert.throws(() => new Fleetcast("ws://a.test/", { WebSocket: class {}, onGap: "x" }), TypeError);
});

test("listeners to gaps, errors and subscriptions", async (t) => {
  const consoleError = t.mock.method(console, "error", nothing);
  const rig = await new Rig({ onError: undefined, onGap: undefined }).open();
  const log = [];
  rig.client.on("gap", () => log.push("client's gap"));
  rig.client.on("error", ({ code }) => log.push(code));
  rig.client.on("error", () => {
    throw new Error("of a listener");
  });
  const subscription = await rig.live("news", nothing);
  subscription.on("gap", () => log.push("gap"));
  const off = subscription.on("state", (state) => log.push(state));
  subscription.on("subscribed", () => log.push("place"));
  rig.event("news", 2);
  rig.say("not JSON");
  await rig.back();
  rig.answer("news", 2);
  off();
  subscription.unsubscribe();
  await microtasks();
  assert.deepEqual(log, ["gap", "client's gap", "bad_message", "pending", "subscribed", "place"]);
  assert.deepEqual(consoleError.mock.calls.map((c) => c.arguments[0].message), ["of a listener"]);
});

// Pause, resume, reconnect --------------------------------------------------------------------

test("pause ends the connection, and resume goes on where it was", async () => {
  const rig = await new Rig().open();
  const seen = [];
  const subscription = await rig.live("news", (d) => seen.push(d), { offset: 4 });
  const lost = assert.rejects(rig.client.ping(), { code: "connection_lost" });
  rig.client.pause();
  rig.client.pause();
  await lost;
  assert.deepEqual([rig.client.state, subscription.state, rig.clock.timers], [{ state: "paused" }, "pending", 0]);
  assert.deepEqual(rig.socket.closed, { code: 1000, reason: "" });
  await assert.rejects(rig.client.publish("chat", 1), { code: "not_connected" });
  rig.page.go(false);
  rig.page.go(true);
  rig.page.show();
  rig.clock.advance(600_000);
  assert.equal(rig.sockets.length, 1);
  rig.client.resume();
  rig.client.resume();
  assert.equal(rig.client.state.state, "connecting");
  await rig.open();
  assert.equal(rig.sockets.length, 2);
  assert.deepEqual(rig.heard().map((m) => m.since), [{ epoch: "E1", offset: 4 }]);
  assert.deepEqual(rig.states.map((s) => s.state), ["connecting", "open", "paused", "connecting", "open"]);
});

test("a client may be paused before it has connected", async () => {
  const rig = new Rig();
  rig.client.pause();
  await microtasks();
  assert.equal(rig.sockets.length, 0);
  rig.client.resume();
  await rig.open();
  assert.equal(rig.client.state.state, "open");
});

test("resume keeps to a goodbye's time", async () => {
  const rig = await new Rig().open();
  rig.say({ type: "goodbye", reason: "draining", retry_after_ms: 5000 });
  rig.client.pause();
  rig.clock.advance(1000);
  rig.client.resume();
  await microtasks();
  assert.equal(waiting(rig), 4000);
  rig.clock.advance(4000);
  assert.equal(rig.sockets.length, 2);
});

test("reconnectNow waits for nothing", async () => {
  const rig = await new Rig().open();
  rig.client.reconnectNow();
  assert.deepEqual(rig.heard().map((m) => m.type), ["ping"], "an open connection is checked");
  rig.drop();
  rig.client.reconnectNow();
  rig.client.reconnectNow();
  assert.equal(rig.client.state.state, "connecting");
  await microtasks();
  assert.equal(rig.sockets.length, 2);
  rig.drop();
  assert.equal(waiting(rig), 500, "the back-off goes on");
  rig.page.go(false);
  rig.client.reconnectNow();
  await rig.open();
  assert.deepEqual([rig.sockets.length, rig.client.state.state], [3, "open"], "the browser may be wrong");
  rig.say({ type: "goodbye", reason: "draining", retry_after_ms: 60_000 });
  rig.page.go(true);
  rig.drop(1001);
  rig.client.reconnectNow();
  await microtasks();
  assert.equal(rig.sockets.length, 4);
  rig.client.pause();
  rig.client.reconnectNow();
  await microtasks();
  assert.equal(rig.sockets.length, 5);
  rig.client.close();
  for (const method of ["pause", "resume", "reconnectNow"]) assert.throws(() => rig.client[method](), { code: "closed" });
});

test("the back-off has bounds", async () => {
  const rig = new Rig({ backoff: { initial: 100, max: 300 } });
  rig.random = 0.5;
  await microtasks();
  for (const delay of [50, 100, 150, 150]) {
    rig.drop();
    assert.equal(waiting(rig), delay);
    rig.clock.advance(delay);
  }
  rig.client.close();
  for (const backoff of [{ initial: 0 }, { initial: -1 }, { max: 10 }, { initial: NaN }, { max: 1e9 }, { initial: "1" + "s" }]) {
    assert.throws(() => new Rig({ backoff }), TypeError, JSON.stringify(backoff));
  }
  new Rig({ backoff: { initial: 60_000 } }).client.close();
});

// Requests -----------------------------------------------------------------------------------

test("a publish or a ping gives up in time, and late answers are nothing to report", async () => {
  const rig = await new Rig().open();
  for (const [request, channel] of [[() => rig.client.publish("chat", 1, { timeout: 500 }), "chat"], [() => rig.client.ping({ timeout: 500 })]]) {
    const failed = assert.rejects(request(), { code: "timeout", channel, message: /500 ms.*nobody knows/ });
    rig.clock.advance(499);
    const [{ id }] = rig.heard();
    rig.clock.advance(1);
    await failed;
    rig.say({ type: "error", id, code: "internal", message: "late" }, { type: "published", id, channel: "chat", offset: 1 });
  }
  const inTime = rig.client.publish("chat", 1, { timeout: 500 });
  rig.say({ type: "published", id: rig.heard()[0].id, channel: "chat", offset: 7 });
  assert.deepEqual(await inTime, { offset: 7 });
  assert.deepEqual([rig.errors, rig.clock.timers], [[], 1]);
});

test("a publish can be aborted, before and after it is sent", async () => {
  const rig = await new Rig().open();
  const reason = new Error("navigated away");
  await assert.rejects(rig.client.publish("chat", 1, { signal: AbortSignal.abort(reason) }), { code: "aborted", cause: reason, message: /nothing was sent/ });
  assert.deepEqual(rig.heard(), []);
  const controller = new AbortController();
  const aborted = rig.client.publish("chat", 1, { signal: controller.signal, timeout: 1000 });
  assert.equal(rig.heard().length, 1);
  controller.abort(reason);
  await assert.rejects(aborted, { code: "aborted", channel: "chat", cause: reason, message: /nobody knows/ });
  assert.equal(rig.clock.timers, 1, "the watch");
  const { signal } = new AbortController();
  const done = rig.client.publish("chat", 1, { signal });
  const removed = [];
  signal.removeEventListener = (name) => removed.push(name);
  rig.say({ type: "published", id: rig.heard()[0].id, channel: "chat", offset: 1 });
  await done;
  assert.deepEqual(removed, ["abort"]);
});

test("a publish may have a name and an expected position", async () => {
  const rig = await new Rig().open();
  const expect = { epoch: "E1", offset: 17 };
  for (const [options, asked, answer, want] of [
    [{ idempotency: 'a"é' }, { idempotency: 'a"é' }, { duplicate: true }, { epoch: "E1", offset: 18, duplicate: true }],
    [{ expect: { ...expect, more: 1 }, timeout: 500 }, { expect }, {}, { epoch: "E1", offset: 18, duplicate: false }],
    [{ idempotency: "x".repeat(64), expect }, { idempotency: "x".repeat(64), expect }, { epoch: undefined }, { epoch: undefined, offset: 18, duplicate: false }],
    [{ expect: null }, {}, {}, { offset: 18 }],
  ]) {
    const published = rig.client.publish("chat", { x: 1 }, options);
    const [{ id, ...command }] = rig.heard();
    assert.deepEqual(command, { type: "publish", channel: "chat", data: { x: 1 }, ...asked });
    rig.say({ type: "published", id, channel: "chat", epoch: "E1", offset: 18, ...answer });
    assert.deepEqual(await published, want);
  }
  const refused = assert.rejects(rig.client.publish("chat", 1, { expect }), { code: "conflict", channel: "chat", position: { epoch: "E1", offset: 18 } });
  rig.say({ type: "error", id: rig.heard()[0].id, code: "conflict", message: "", epoch: "E1", offset: 18 });
  await refused;
  for (const options of [{ idempotency: "" }, { idempotency: 7 }, { idempotency: "é".repeat(33) }, { idempotency: "\ud800" }, { expect: {} }, { expect: { epoch: "E1", offset: -1 } }]) {
    await assert.rejects(rig.client.publish("chat", 1, options), TypeError, JSON.stringify(options));
  }
  assert.deepEqual(rig.heard(), []);
});

test("options of requests are checked", async () => {
  const rig = await new Rig().open();
  for (const options of [{ timeout: 0 }, { timeout: -1 }, { timeout: NaN }, { timeout: "soon" }, { timeout: Infinity }, { signal: {} }, { signal: "x" }]) {
    await assert.rejects(rig.client.publish("chat", 1, options), TypeError, String(options.timeout));
    await assert.rejects(rig.client.ping(options), TypeError);
  }
  assert.deepEqual(rig.heard(), []);
});

// URLs ---------------------------------------------------------------------------------------

test("what is no URL for WebSocket throws, on a page too", (t) => {
  const options = { WebSocket: class {}, window: null };
  const bad = [undefined, null, 7, {}, "", "ftp://x/", "mailto:a@b", "javascript:0", "file:///x", "ws://", "ws://a.test/#x", "ws://a b/"];
  for (const url of [...bad, "/ws"]) assert.throws(() => connect(url, options), TypeError, String(url));
  globalThis.location = { href: "https://page.test/dir/" };
  t.after(() => delete globalThis.location);
  for (const url of bad) assert.throws(() => connect(url, options), TypeError, `${url} on a page`);
  for (const url of ["/ws", "ws", "//other.test/ws", new URL("http://a.test/ws")]) connect(url, options).close();
});
