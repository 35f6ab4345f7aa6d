// When the client connects, waits, gives a connection up and comes back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, Fleetcast } from "./fleetcast.js";
import { microtasks, Rig } from "./testdata/fakes.mjs";

const waiting = (rig) => rig.client.state.retryAt - rig.clock.time;

test("it is connecting, open, waiting and closed", async () => {
  const rig = await new Rig().open();
  assert.equal(rig.socket.url, "ws://gateway.test/ws");
  assert.deepEqual(rig.socket.protocols, ["fleetcast.v1"]);
  rig.drop(1013, "slow consumer");
  rig.client.close();
  assert.deepEqual(rig.client.state, { state: "closed" });
  await microtasks();
  assert.deepEqual(rig.states, [
    { state: "connecting" },
    { state: "open", client: "c1" },
    { state: "waiting", retryAt: 1_000_250, code: 1013, reason: "slow consumer" },
    { state: "closed" },
  ]);
  assert.equal(rig.clock.timers, 0);
});

test("a runtime that tells why an attempt failed is quoted", async () => {
  const rig = new Rig();
  await microtasks();
  rig.socket.onerror({ message: "Unexpected server response: 403" });
  rig.drop(1006, "");
  assert.equal(rig.client.state.reason, "Unexpected server response: 403");
  rig.clock.advance(60_000);
  await rig.open();
  rig.socket.onerror({ message: "read ECONNRESET" });
  rig.drop(1013, "slow consumer");
  assert.equal(rig.client.state.reason, "slow consumer", "the close's own reason comes first");
  rig.clock.advance(60_000);
  await rig.open();
  rig.socket.onerror({}); // a browser's
  rig.drop(1006, "");
  assert.equal(rig.client.state.reason, "", "not that of an earlier connection");
});

test("an attempt that fails without a close has failed", async () => {
  const rig = new Rig();
  await microtasks();
  rig.socket.onerror({ message: "connect ECONNREFUSED" });
  rig.clock.advance(999);
  assert.equal(rig.client.state.state, "connecting");
  rig.clock.advance(1);
  const { state, code, reason } = rig.client.state;
  assert.deepEqual([state, code, reason, rig.clock.timers], ["waiting", 0, "connect ECONNREFUSED", 1]);
  await rig.attempt();
  await rig.open();
  rig.socket.onerror({}); // of a connection that is open a close follows
  rig.clock.advance(1000);
  assert.equal(rig.client.state.state, "open");
});

test("failures double the range of the delay up to the cap", async () => {
  for (const random of [0, 0.5, 0.999]) {
    const rig = new Rig();
    rig.random = random;
    await microtasks();
    for (const most of [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]) {
      rig.drop();
      assert.equal(waiting(rig), random * most);
      const attempts = rig.sockets.length;
      if (random > 0) {
        rig.clock.advance(random * most - 0.1);
        assert.equal(rig.sockets.length, attempts, "too early");
      }
      rig.clock.advance(0.1);
      assert.equal(rig.sockets.length, attempts + 1);
    }
    assert.deepEqual(rig.errors, []);
  }
});

test("only a connection that stayed starts the back-off anew", async () => {
  for (const [stayed, most] of [[9_999, 2000], [10_000, 500]]) {
    const rig = new Rig();
    await microtasks();
    rig.drop();
    rig.clock.advance(250);
    rig.drop();
    rig.clock.advance(500);
    await rig.open();
    rig.clock.advance(stayed);
    rig.drop();
    assert.equal(waiting(rig), most / 2, `after ${stayed} ms`);
  }
});

test("a goodbye's time is honoured to the millisecond", async () => {
  const rig = await new Rig().open();
  rig.say({ type: "goodbye", reason: "draining", retry_after_ms: 1234 });
  rig.clock.advance(34); // the close takes its time
  rig.drop(1001, "draining");
  assert.equal(waiting(rig), 1200);
  rig.page.go(false);
  rig.page.go(true); // does not cut it short
  assert.equal(waiting(rig), 1200);
  rig.clock.advance(1199);
  assert.equal(rig.sockets.length, 1);
  rig.clock.advance(1);
  assert.equal(rig.sockets.length, 2);
  rig.drop(); // it was about one return; failures after it back off
  assert.equal(waiting(rig), 250);
});

test("a goodbye is forgotten once the client is back", async () => {
  const rig = await new Rig().open();
  rig.say({ type: "goodbye", retry_after_ms: 1000 });
  rig.drop(1001);
  rig.clock.advance(1000);
  await rig.open();
  rig.clock.set(-60_000); // as if the goodbye's time were still to come
  rig.page.go(false);
  rig.drop();
  rig.page.go(true);
  assert.equal(rig.sockets.length, 3);
});

test("a goodbye without a usable time is a loss like any other", async () => {
  for (const retry_after_ms of [undefined, -1, "soon", null]) {
    const rig = await new Rig().open();
    rig.say({ type: "goodbye", retry_after_ms });
    rig.drop(1001);
    assert.equal(waiting(rig), 250, String(retry_after_ms));
  }
});

test("an attempt without a welcome ends", async () => {
  const rig = new Rig();
  await microtasks();
  rig.clock.advance(14_999);
  assert.equal(rig.socket.closed, null);
  rig.clock.advance(1);
  assert.deepEqual(rig.socket.closed, { code: 4000, reason: "no welcome in time" });
  assert.equal(rig.client.state.reason, "no welcome in time");
});

test("silence brings a ping, and no pong a new connection", async () => {
  const rig = await new Rig().open();
  rig.clock.advance(49_999);
  assert.deepEqual(rig.heard(), []);
  rig.clock.advance(1);
  const [ping, ...more] = rig.heard();
  assert.equal(ping.type, "ping");
  assert.deepEqual(more, []);
  rig.clock.advance(9_999);
  assert.equal(rig.client.state.state, "open");
  rig.clock.advance(1);
  assert.equal(rig.client.state.reason, "no pong in time");
  assert.deepEqual(rig.socket.closed, { code: 4000, reason: "no pong in time" });
});

test("a pong ends the check; other messages only prolong it", async () => {
  const rig = await new Rig().open();
  rig.clock.advance(55_000);
  assert.equal(rig.heard().length, 1);
  rig.say({ type: "event", channel: "x", offset: 1, data: 1 });
  rig.clock.advance(9_999);
  assert.equal(rig.client.state.state, "open");
  rig.say({ type: "pong" });
  rig.clock.advance(49_000);
  assert.deepEqual(rig.heard(), []);
  rig.clock.advance(11_000);
  assert.equal(rig.heard().length, 1, "the watch goes on");
});

test("ping measures the time to its own pong, and leaves the watch's alone", async () => {
  const rig = new Rig();
  await assert.rejects(rig.client.ping(), { code: "not_connected" });
  await rig.open();
  const times = [rig.client.ping(), rig.client.ping()];
  const [first, second] = rig.heard();
  assert.deepEqual([first.type, second.type], ["ping", "ping"]);
  rig.page.dispatchEvent(new Event("pageshow")); // has the watch send one, too
  rig.say({ type: "pong", id: second.id });
  assert.ok((await times[1]) >= 0);
  await new Promise((resolve) => setTimeout(resolve, 30));
  rig.say({ type: "pong", id: first.id });
  assert.ok((await times[0]) >= 25);
  rig.clock.advance(10_000);
  assert.equal(rig.client.state.reason, "no pong in time");
});

test("a ping whose connection ends is rejected", async () => {
  const rig = await new Rig().open();
  const lost = assert.rejects(rig.client.ping(), { code: "connection_lost" });
  rig.drop();
  await lost;
  rig.clock.advance(30_000);
  await rig.open();
  const closed = assert.rejects(rig.client.ping(), { code: "closed" });
  rig.client.close();
  await closed;
  await assert.rejects(rig.client.ping(), { code: "closed" });
});

test("a refusal of the watch's ping is a sign of life", async () => {
  const rig = await new Rig().open();
  rig.clock.advance(55_000);
  const [{ id }] = rig.heard();
  rig.say({ type: "error", id, code: "rate_limited", message: "", retry_after_ms: 500 });
  rig.clock.advance(20_000);
  assert.equal(rig.client.state.state, "open");
  assert.deepEqual(rig.errors, []);
});

test("a late timer tells of sleep: the connection is checked at once", async () => {
  const rig = await new Rig().open();
  rig.clock.sleep(3_600_000);
  rig.clock.advance(0);
  assert.equal(rig.heard()[0].type, "ping");
  rig.clock.advance(10_000);
  assert.equal(rig.client.state.reason, "no pong in time");
});

test("a clock that is set back brings a check, no more", async () => {
  const rig = await new Rig().open();
  rig.clock.set(-3_600_000);
  rig.clock.advance(10_000);
  assert.deepEqual(rig.heard().map((m) => m.type), ["ping"]);
  rig.say({ type: "pong" });
  rig.clock.advance(49_000);
  assert.deepEqual(rig.heard(), []);
});

test("what a connection says after it was given up is not heard", async () => {
  const rig = await new Rig().open();
  rig.client.subscribe("news", assert.fail);
  await microtasks();
  const { socket, states } = rig;
  const { onmessage } = socket;
  rig.clock.advance(60_000);
  assert.equal(socket.onmessage, null);
  assert.notEqual(onmessage, null);
  const heard = states.length;
  socket.onclose?.({ code: 1006, reason: "" });
  assert.equal(states.length, heard);
  assert.equal(rig.clock.timers, 1, "of the next attempt");
});

test("a second welcome is ignored", async () => {
  const rig = await (await new Rig().open()).open();
  assert.deepEqual(rig.states.map((s) => s.state), ["connecting", "open"]);
  assert.equal(rig.clock.timers, 1);
});

test("a deadline that was slept through gives one more chance, not many", async () => {
  const rig = await new Rig().open();
  rig.page.show();
  rig.clock.sleep(60_000);
  rig.clock.advance(0);
  assert.equal(rig.client.state.state, "open");
  assert.equal(rig.heard().length, 2);
  rig.clock.sleep(60_000);
  rig.clock.advance(0);
  assert.equal(rig.client.state.reason, "no pong in time");
});

test("a page that is shown or resumed checks its connection once", async () => {
  const rig = await new Rig().open();
  rig.page.document.visibilityState = "hidden";
  rig.page.show();
  assert.deepEqual(rig.heard(), []);
  rig.page.document.visibilityState = "visible";
  rig.page.show();
  rig.page.dispatchEvent(new Event("pageshow"));
  rig.page.document.dispatchEvent(new Event("resume"));
  assert.deepEqual(rig.heard().map((m) => m.type), ["ping"]);
});

test("a page in the back-forward cache has no connection, and connects when it is shown", async () => {
  const rig = await new Rig().open();
  const hide = (persisted) => rig.page.dispatchEvent(Object.assign(new Event("pagehide"), { persisted }));
  hide(false);
  assert.equal(rig.client.state.state, "open");
  hide(true);
  assert.deepEqual(rig.client.state, { state: "waiting", retryAt: null });
  assert.equal(rig.clock.timers, 0);
  rig.clock.sleep(600_000);
  assert.equal(rig.sockets.length, 1);
  rig.page.dispatchEvent(new Event("pageshow"));
  assert.equal(rig.sockets.length, 2);
  rig.page.dispatchEvent(new Event("pageshow"));
  assert.equal(rig.sockets.length, 2);
  rig.client.pause();
  hide(true);
  rig.page.dispatchEvent(new Event("pageshow"));
  assert.equal(rig.client.state.state, "paused");
  rig.client.close();
  hide(true);
  assert.equal(rig.client.state.state, "closed");
  assert.equal(rig.sockets.length, 2);
});

test("a wait that was slept through ends when the page wakes", async () => {
  const rig = await new Rig().open();
  rig.drop();
  rig.page.show();
  assert.equal(rig.sockets.length, 1, "not before its time");
  rig.clock.sleep(60_000);
  rig.page.show();
  assert.equal(rig.sockets.length, 2);
  rig.clock.advance(0);
  assert.equal(rig.sockets.length, 2);
});

test("nothing is tried while offline, and at once when online", async () => {
  const rig = await new Rig().open();
  rig.page.go(false);
  assert.equal(rig.client.state.state, "open");
  rig.drop();
  assert.deepEqual(rig.client.state, { state: "waiting", retryAt: null, code: 1006, reason: "" });
  rig.clock.advance(600_000);
  assert.equal(rig.sockets.length, 1);
  rig.page.go(true);
  assert.equal(rig.sockets.length, 2);
  rig.drop();
  rig.page.go(true); // no outage before it
  assert.equal(rig.sockets.length, 2);
  assert.equal(waiting(rig), 500);
});

test("going offline stops a wait; an open connection is checked when it is over", async () => {
  const rig = await new Rig().open();
  rig.page.go(false);
  rig.page.go(true);
  assert.deepEqual(rig.heard().map((m) => m.type), ["ping"]);
  rig.drop();
  rig.page.go(false);
  assert.equal(rig.client.state.retryAt, null);
  assert.equal(rig.clock.timers, 0);
});

test("a client that starts offline waits for the network", async () => {
  const rig = new Rig();
  rig.page.navigator.onLine = false;
  await microtasks();
  assert.equal(rig.sockets.length, 0);
  rig.page.go(true);
  assert.equal(rig.sockets.length, 1);
});

test("a WebSocket that cannot be made is reported and tried again", async () => {
  let attempts = 0;
  class Broken {
    constructor() {
      attempts++;
      throw new Error("mixed content");
    }
  }
  const rig = new Rig({ WebSocket: Broken });
  await microtasks();
  assert.equal(rig.errors[0].code, "connect");
  rig.clock.advance(250);
  assert.equal(attempts, 2);
});

test("close lets go of everything, also from within a callback", async () => {
  const rig = new Rig({ onState: (s) => s.state === "open" && rig.client.close() });
  await rig.open();
  assert.deepEqual(rig.socket.closed, { code: 1000, reason: "" });
  rig.page.go(false);
  rig.page.go(true);
  rig.clock.advance(100_000);
  assert.equal(rig.sockets.length, 1);
  assert.equal(rig.clock.timers, 0);
  assert.equal(rig.page.listeners, 0);
  assert.throws(() => rig.client.subscribe("a", () => {}), { code: "closed" });
  await assert.rejects(rig.client.publish("a", 1), { code: "closed" });
});

test("URLs are checked, resolved, and turned from http to ws", async () => {
  assert.throws(() => new Fleetcast("/ws", { WebSocket: class {} }), TypeError);
  for (const [given, used] of [
    ["https://a.test/ws", "wss://a.test/ws"],
    ["http://a.test:8080/ws?x=1", "ws://a.test:8080/ws?x=1"],
  ]) {
    let url;
    class Recorder {
      constructor(u) {
        url = u;
      }
      close() {}
    }
    const client = connect(given, { WebSocket: Recorder });
    await microtasks();
    assert.equal(url, used);
    client.close();
  }
});

test("a runtime without WebSocket is told so", { skip: "WebSocket" in globalThis }, () => {
  assert.throws(() => new Fleetcast("ws://a.test/ws"), { code: "no_websocket" });
});
