// How the client shows who its user is: tokens, tickets, refusals.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "./fleetcast.js";
import { microtasks, Rig } from "./testdata/fakes.mjs";

// tokens is a getToken that gives t1, t2 and so on, and writes down what it was asked.
function tokens(answer = (n) => `t${n}`) {
  const getToken = ({ reason, signal }) => {
    getToken.reasons.push(reason);
    getToken.signal = signal;
    return answer(getToken.reasons.length);
  };
  getToken.reasons = [];
  return getToken;
}

const HOUR = 3_600_000;
const hour = { user: "alice", expires_in_ms: HOUR, refresh_in_ms: HOUR / 2 };
const shown = (rig) => rig.socket.protocols.slice(1);
const authenticate = (rig) => rig.heard().find(({ type }) => type === "authenticate");
const refusals = (rig) => rig.errors.map(({ code, reason }) => [code, reason]);

// pass passes time on a connection that is alive.
async function pass(rig, ms) {
  for (const end = rig.clock.time + ms; rig.clock.time < end; ) {
    rig.say({ type: "event", channel: "none" });
    rig.clock.advance(Math.min(10_000, end - rig.clock.time));
  }
  await microtasks();
}

// reply answers the authenticate that the client has sent, and lets it be heard.
async function reply(rig, message) {
  const { id, token } = authenticate(rig);
  rig.say({ id, ...message });
  await microtasks();
  return token;
}

test("a token is asked for before the first attempt, and shown as a subprotocol", async () => {
  const getToken = tokens(async () => "a.b-c_d");
  const rig = new Rig({ getToken });
  await microtasks();
  assert.deepEqual(rig.socket.protocols, ["fleetcast.v1", "bearer.a.b-c_d"]);
  assert.deepEqual([rig.client.user, rig.client.expiresAt], [null, null]);
  await rig.open(hour);
  assert.deepEqual([rig.client.user, rig.client.expiresAt], ["alice", rig.clock.time + HOUR]);
  assert.deepEqual(rig.client.state, { state: "open", client: "c1", user: "alice" });
  assert.deepEqual([getToken.reasons, getToken.signal.aborted, rig.errors], [["connect"], false, []]);
  rig.drop();
  assert.equal(rig.client.user, "alice", "who it is stays while it connects again");
  rig.client.close();
  assert.deepEqual([rig.client.user, rig.client.expiresAt, rig.clock.timers], [null, null, 0]);
});

test("forced reconnects ask for no token while the one that is held is good", async () => {
  const getToken = tokens();
  const rig = await new Rig({ getToken }).open(hour);
  for (let n = 0; n < 50; n++) {
    await rig.back({ ...hour, expires_in_ms: HOUR - n * 1000 });
    assert.deepEqual(shown(rig), ["bearer.t1"]);
  }
  assert.deepEqual(getToken.reasons, ["connect"]);
});

test("a token that ends within a minute is replaced before a reconnect", async () => {
  for (const [left, want, reasons] of [[60_400, "bearer.t1", ["connect"]], [60_100, "bearer.t2", ["connect", "connect"]]]) {
    const getToken = tokens();
    const rig = await new Rig({ getToken }).open({ user: "alice", expires_in_ms: left });
    await rig.again(); // after 250 ms
    assert.deepEqual([shown(rig), getToken.reasons], [[want], reasons]);
  }
});

test("a ticket is shown instead of the token for as long as it lasts", async () => {
  const getToken = tokens();
  const rig = await new Rig({ getToken }).open({ ...hour, ticket: "fct1.a.1" });
  await rig.back({ ...hour, ticket: "fct1.a.2" });
  assert.deepEqual(shown(rig), ["bearer.fct1.a.1"]);
  await pass(rig, 280_000);
  await rig.again();
  assert.deepEqual(shown(rig), ["bearer.fct1.a.2"], "the last one");
  rig.clock.advance(9_100); // the first is 290.1 s old then, the second 289.85 s
  await rig.again();
  assert.deepEqual(shown(rig), ["bearer.t1"], "one that was got for a ticket lasts no longer than that");
  await rig.open(hour);
  await rig.again();
  assert.deepEqual([shown(rig), getToken.reasons], [["bearer.t1"], ["connect"]], "a welcome without a ticket");
});

test("a ticket that is refused costs no token", async () => {
  for (const reason of ["ticket_invalid", "ticket_expired", "token_malformed"]) {
    const getToken = tokens();
    const rig = await new Rig({ getToken }).open({ ...hour, ticket: "fct1.a.1" });
    await rig.again();
    rig.drop(4401, reason);
    assert.equal(rig.client.state.retryAt, rig.clock.time, "at once");
    await rig.attempt();
    assert.deepEqual([shown(rig), getToken.reasons, rig.errors], [["bearer.t1"], ["connect"], []]);
  }
});

test("the gateway's time for a new token is kept, in the open connection", async () => {
  const getToken = tokens();
  const rig = await new Rig({ getToken }).open({ ...hour, refresh_in_ms: 1_800_000, ticket: "fct1.a.1" });
  rig.heard();
  await pass(rig, 1_799_999);
  assert.deepEqual(getToken.reasons, ["connect"]);
  rig.clock.advance(1);
  await microtasks();
  assert.equal(await reply(rig, { type: "authenticated", user: "alice", expires_in_ms: 600_000, refresh_in_ms: 400_000 }), "t2");
  assert.equal(rig.client.expiresAt, rig.clock.time + 600_000);
  await pass(rig, 400_000 - 1);
  assert.deepEqual(getToken.reasons, ["connect", "refresh"]);
  await rig.again();
  assert.deepEqual([shown(rig), rig.errors], [["bearer.t2"], []], "the ticket stood for the token before");
});

test("a token may last longer than a timer", async () => {
  const getToken = tokens();
  const rig = new Rig({ getToken, window: null });
  const { setTimeout } = rig.clock;
  let longest = 0;
  rig.clock.setTimeout = (callback, delay) => {
    longest = Math.max(longest, delay);
    return setTimeout(callback, delay);
  };
  await rig.open({ user: "a", expires_in_ms: 2 ** 33, refresh_in_ms: 2 ** 32 });
  for (let n = 0; n < 100; n++) {
    rig.say({ type: "event", channel: "none" });
    rig.clock.advance(40_000);
    await microtasks();
  }
  assert.ok(longest <= HOUR, `a timer of ${longest} ms`);
  assert.deepEqual(getToken.reasons, ["connect"]);
});

test("without a network no token is asked for, and its return catches up", async () => {
  const getToken = tokens();
  const rig = await new Rig({ getToken }).open({ ...hour, refresh_in_ms: 5000 });
  rig.page.go(false);
  rig.clock.advance(9000);
  await microtasks();
  assert.deepEqual(getToken.reasons, ["connect"]);
  rig.page.go(true);
  await microtasks();
  assert.deepEqual(getToken.reasons, ["connect", "refresh"]);

  const without = tokens();
  const other = new Rig({ getToken: without });
  other.page.navigator.onLine = false;
  await microtasks();
  other.clock.advance(HOUR);
  await microtasks();
  assert.deepEqual([without.reasons, other.client.state.retryAt], [[], null]);
});

test("a token that has ended is replaced at once, once", async () => {
  const getToken = tokens();
  const rig = await new Rig({ getToken }).open(hour);
  for (const delay of [0, 250, 500]) {
    rig.drop(4401, "token_expired");
    assert.equal(rig.client.state.retryAt - rig.clock.time, delay);
    assert.deepEqual([rig.client.state.code, rig.client.state.reason], [4401, "token_expired"]);
    await rig.attempt();
    await rig.open(hour);
  }
  assert.deepEqual(getToken.reasons, ["connect", "refused", "refused", "refused"]);
  rig.clock.advance(10_000);
  rig.drop(4401, "token_expired");
  assert.equal(rig.client.state.retryAt, rig.clock.time, "the connection had stayed");
});

test("two new tokens that are refused are the end, until somebody asks", async () => {
  const getToken = tokens();
  const rig = new Rig({ getToken });
  await microtasks();
  await rig.again(4401, "token_invalid");
  assert.deepEqual(shown(rig), ["bearer.t2"]);
  rig.drop(4401, "token_wrong_audience");
  assert.deepEqual(rig.client.state, { state: "refused", code: 4401, reason: "token_wrong_audience" });
  await microtasks();
  assert.deepEqual(refusals(rig), [["refused", "token_wrong_audience"]]);
  rig.page.go(false);
  rig.page.go(true);
  rig.page.show();
  rig.clock.advance(10 * HOUR);
  await microtasks();
  assert.deepEqual([rig.sockets.length, rig.clock.timers, getToken.reasons], [2, 0, ["connect", "refused"]]);
  rig.client.reconnectNow();
  await microtasks();
  await rig.open(hour);
  assert.deepEqual([shown(rig), getToken.reasons.at(-1), rig.client.state.state], [["bearer.t3"], "connect", "open"]);
});

test("an old token that is refused does not count as a new one", async () => {
  const getToken = tokens();
  const rig = await new Rig({ getToken }).open(hour);
  await rig.again();
  await rig.again(4401, "token_expired"); // t1, at once
  rig.drop(4401, "token_invalid"); // t2
  assert.ok(rig.client.state.retryAt > rig.clock.time, "not at once again");
  await rig.attempt();
  assert.deepEqual(shown(rig), ["bearer.t3"]);
  rig.drop(4401, "token_invalid");
  assert.equal(rig.client.state.state, "refused");
  assert.deepEqual(getToken.reasons, ["connect", "refused", "refused"]);
});

test("a user that may not connect is not asked for a token again", async () => {
  const getToken = tokens();
  const rig = await new Rig({ getToken }).open(hour);
  const subscription = await rig.live("news", () => {});
  rig.drop(4403, "user_blocked");
  await microtasks();
  assert.deepEqual(rig.client.state, { state: "refused", code: 4403, reason: "user_blocked" });
  assert.deepEqual([refusals(rig), rig.client.user, subscription.state], [[["refused", "user_blocked"]], null, "pending"]);
  await assert.rejects(rig.client.publish("chat", 1), { code: "not_connected" });
  rig.clock.advance(HOUR);
  assert.deepEqual([rig.sockets.length, getToken.reasons], [1, ["connect"]]);
  rig.client.close();
  assert.equal(rig.client.state.state, "closed");
});

test("no token to be had is a refusal, before a connection and within", async () => {
  for (const none of [null, undefined]) {
    const rig = new Rig({ getToken: async () => none });
    await microtasks();
    assert.deepEqual(rig.client.state, { state: "refused", code: 0, reason: "no_token" });
    await microtasks();
    assert.deepEqual([refusals(rig), rig.sockets.length, rig.clock.timers], [[["refused", "no_token"]], 0, 0]);
  }
  const rig = await new Rig({ getToken: tokens((n) => (n === 1 ? "t1" : null)) }).open({ ...hour, refresh_in_ms: 1000 });
  rig.clock.advance(1000);
  await microtasks();
  assert.deepEqual([rig.client.state.reason, rig.socket.closed?.code, rig.client.user], ["no_token", 1000, null]);
});

test("a getToken that fails has the back-off of a reconnect", async () => {
  for (const [fail, says] of [
    [() => Promise.reject(new Error("signed out")), /failed: Error: signed out/],
    [() => { throw new Error("broken"); }, /failed: Error: broken/],
    [async () => 7, /no token: number/],
    [async () => "bad token", /no token: text/],
    [async () => "", /no token: text/],
  ]) {
    const getToken = tokens(fail);
    const rig = new Rig({ getToken });
    await microtasks();
    for (const most of [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]) {
      assert.equal(rig.client.state.retryAt - rig.clock.time, most / 2);
      assert.match(rig.client.state.reason, says);
      await rig.attempt();
    }
    assert.deepEqual([getToken.reasons.length, rig.sockets.length], [9, 0]);
    assert.equal(rig.errors[0].code, "get_token");
    assert.match(rig.errors[0].message, says);
    assert.doesNotMatch(rig.errors[0].message, /bad token/, "nothing of a token is shown");
  }
});

test("a getToken that never ends is given up, told so, and asked again later", async () => {
  const getToken = tokens((n) => (n === 1 ? new Promise(() => {}) : "t2"));
  const rig = new Rig({ getToken });
  await microtasks();
  const { signal } = getToken;
  rig.client.reconnectNow();
  await microtasks();
  rig.clock.advance(29_999);
  await microtasks();
  assert.deepEqual([signal.aborted, getToken.reasons.length], [false, 1], "one call at a time");
  rig.clock.advance(1);
  await microtasks();
  assert.deepEqual([signal.aborted, rig.errors[0].code, rig.client.state.state], [true, "get_token", "waiting"]);
  await rig.attempt();
  assert.deepEqual(shown(rig), ["bearer.t2"]);
});

test("what ends the client or its attempt ends the call", async () => {
  for (const end of ["close", "pause"]) {
    let answer;
    const getToken = tokens(() => new Promise((resolve) => (answer = resolve)));
    const rig = new Rig({ getToken });
    await microtasks();
    rig.client[end]();
    assert.ok(getToken.signal.aborted);
    answer("late");
    await microtasks();
    assert.deepEqual([rig.sockets.length, rig.clock.timers, rig.errors], [0, 0, []]);
    if (end === "close") continue;
    rig.client.resume();
    await microtasks();
    assert.equal(getToken.reasons.length, 2);
  }
});

test("a connection that is lost during a refresh shares its call", async () => {
  let answer;
  const getToken = tokens((n) => (n === 1 ? "t1" : new Promise((resolve) => (answer = resolve))));
  const rig = await new Rig({ getToken }).open({ user: "alice", expires_in_ms: 60_000, refresh_in_ms: 5000 });
  rig.clock.advance(5000);
  await microtasks();
  await rig.again();
  assert.deepEqual([rig.sockets.length, rig.client.state.state], [1, "connecting"]);
  answer("t2");
  await microtasks();
  assert.deepEqual([shown(rig), getToken.reasons], [["bearer.t2"], ["connect", "refresh"]]);
});

test("what a refresh brings late is still shown", async () => {
  const getToken = tokens();
  const rig = await new Rig({ getToken }).open({ user: "alice", expires_in_ms: 2000, refresh_in_ms: 1000 });
  rig.clock.advance(1000);
  await microtasks();
  await rig.again(4401, "token_expired");
  assert.deepEqual([shown(rig), getToken.reasons], [["bearer.t2"], ["connect", "refresh"]]);
});

test("a refresh that fails is tried again with back-off, and the connection stays", async () => {
  const getToken = tokens((n) => (n === 1 || n > 8 ? `t${n}` : Promise.reject(new Error("down"))));
  const rig = await new Rig({ getToken }).open({ ...hour, refresh_in_ms: 1000 });
  rig.clock.advance(1000);
  await microtasks();
  for (const most of [500, 1000, 2000, 4000, 8000, 16000, 30000]) {
    const calls = getToken.reasons.length;
    rig.say({ type: "event", channel: "none" }); // a sign of life
    rig.clock.advance(most / 2 - 1);
    await microtasks();
    assert.equal(getToken.reasons.length, calls);
    rig.clock.advance(1);
    await microtasks();
    assert.equal(getToken.reasons.length, calls + 1);
  }
  assert.equal(await reply(rig, { type: "authenticated", ...hour }), "t9");
  assert.deepEqual([rig.sockets.length, rig.errors.length, rig.client.state.state], [1, 7, "open"]);
});

test("the back-off of a refresh holds for the reconnect, too", async () => {
  const getToken = tokens((n) => (n === 1 ? "t1" : Promise.reject(new Error("down"))));
  const rig = await new Rig({ getToken }).open({ user: "alice", expires_in_ms: 60_000, refresh_in_ms: 1000 });
  for (const delay of [1000, 250, 500]) {
    rig.clock.advance(delay);
    await microtasks();
  }
  await rig.again(); // after 250 ms of 1000
  assert.deepEqual([getToken.reasons.length, rig.client.state.retryAt - rig.clock.time], [4, 750]);
  await rig.attempt();
  assert.equal(getToken.reasons.length, 5);
  rig.client.reconnectNow();
  await microtasks();
  assert.equal(getToken.reasons.length, 6, "somebody wants it now");
});

test("a page that is hidden does not ask again and again, and goes on when it is seen", async () => {
  for (const opened of [false, true]) {
    const getToken = tokens((n) => (opened && n === 1 ? "t1" : Promise.reject(new Error("down"))));
    const rig = new Rig({ getToken });
    rig.page.document.visibilityState = "hidden";
    await microtasks();
    if (opened) {
      await rig.open({ ...hour, refresh_in_ms: 1000 });
      rig.clock.advance(1000);
      await microtasks();
    }
    const calls = getToken.reasons.length;
    for (let n = 0; n < 20; n++) {
      if (opened) rig.say({ type: "event", channel: "none" });
      rig.clock.advance(10_000);
      await microtasks();
    }
    assert.equal(getToken.reasons.length, calls, "in 200 s");
    rig.page.document.visibilityState = "visible";
    rig.page.show();
    rig.clock.advance(0);
    await microtasks();
    assert.equal(getToken.reasons.length, calls + 1);
    rig.page.show();
    rig.page.show();
    await microtasks();
    assert.equal(getToken.reasons.length, calls + 1, "the back-off holds");
  }
});

test("a new token that is refused in the open connection is replaced once at once", async () => {
  const getToken = tokens();
  const rig = await new Rig({ getToken }).open({ ...hour, refresh_in_ms: 1000 });
  rig.clock.advance(1000);
  await microtasks();
  await reply(rig, { type: "error", code: "token_invalid", message: "bad" });
  rig.clock.advance(0);
  await microtasks();
  assert.equal(await reply(rig, { type: "error", code: "token_invalid", message: "bad" }), "t3");
  rig.clock.advance(249);
  await microtasks();
  assert.deepEqual(getToken.reasons, ["connect", "refresh", "refused"]);
  rig.clock.advance(1);
  await microtasks();
  assert.equal(await reply(rig, { type: "authenticated", ...hour }), "t4");
  assert.deepEqual([rig.errors.map((e) => e.code), rig.sockets.length], [["token_invalid", "token_invalid"], 1]);
});

test("a gateway that cannot check a token now gets the same one later", async () => {
  const getToken = tokens();
  const rig = await new Rig({ getToken }).open({ ...hour, refresh_in_ms: 1000 });
  rig.clock.advance(1000);
  await microtasks();
  await reply(rig, { type: "error", code: "not_available", message: "keys", retry_after_ms: 2000 });
  rig.clock.advance(2249);
  await microtasks();
  assert.equal(authenticate(rig), undefined);
  rig.clock.advance(1);
  await microtasks();
  assert.equal(await reply(rig, { type: "authenticated", ...hour }), "t2");
  assert.deepEqual([getToken.reasons, rig.errors], [["connect", "refresh"], []]);
});

test("a new token of another user makes a new connection", async () => {
  const getToken = tokens();
  const rig = await new Rig({ getToken }).open({ ...hour, refresh_in_ms: 1000, ticket: "fct1.a.1" });
  rig.clock.advance(1000);
  await microtasks();
  await reply(rig, { type: "error", code: "permission_denied", message: "another user" });
  await rig.open({ ...hour, user: "bob" });
  assert.deepEqual([rig.sockets.length, shown(rig), rig.client.user, rig.errors], [2, ["bearer.t2"], "bob", []]);
});

test("what is refused for now keeps its token", async () => {
  const getToken = tokens();
  const rig = await new Rig({ getToken }).open(hour);
  for (const reason of ["verification_busy", "user_full", "keys_unavailable"]) {
    await rig.again(1013, reason);
    assert.deepEqual(shown(rig), ["bearer.t1"]);
  }
  assert.deepEqual([getToken.reasons, rig.errors], [["connect"], []]);
});

test("a token of the options is shown, and is all there is without getToken", async () => {
  const rig = await new Rig({ token: "fixed" }).open({ ...hour, ticket: "fct1.a.1" });
  await rig.again();
  assert.deepEqual(shown(rig), ["bearer.fct1.a.1"]);
  await rig.again(4401, "ticket_expired");
  assert.deepEqual(shown(rig), ["bearer.fixed"]);
  rig.drop(4401, "token_expired");
  assert.deepEqual(rig.client.state, { state: "refused", code: 4401, reason: "token_expired" });
  rig.client.reconnectNow();
  await microtasks();
  assert.deepEqual(shown(rig), ["bearer.fixed"]);

  const getToken = tokens();
  const both = await new Rig({ token: "first", getToken }).open({ ...hour, refresh_in_ms: 1000 });
  assert.deepEqual([shown(both), getToken.reasons], [["bearer.first"], []]);
  both.clock.advance(1000);
  await microtasks();
  assert.deepEqual(getToken.reasons, ["refresh"]);
});

test("who has no token may have a cookie, or must have one", async () => {
  const cookie = await new Rig().open({ ...hour, ticket: "fct1.a.1" });
  assert.equal(cookie.client.user, "alice");
  cookie.drop(4401, "token_expired");
  assert.equal(cookie.client.state.state, "waiting", "there may be a new cookie");
  await cookie.attempt();
  assert.deepEqual(shown(cookie), [], "the cookie says who it is, not the ticket");

  const stranger = await new Rig().open({ authenticate_within_ms: 10_000 });
  assert.deepEqual(stranger.client.state, { state: "refused", code: 4401, reason: "authentication_required" });
  assert.deepEqual(refusals(stranger), [["refused", "authentication_required"]]);
});

test("what is no token is told at once, and shows nothing of it", () => {
  for (const options of [{ token: "a b" }, { token: "" }, { token: 7 }, { getToken: "t1" }]) {
    assert.throws(() => connect("ws://gateway.test/ws", { WebSocket: class {}, ...options }), (error) => error instanceof TypeError && !error.message.includes("a b"));
  }
});

test("a page in the back-forward cache asks for nothing, and does so when it is back", async () => {
  let answer;
  const getToken = tokens(() => new Promise((resolve) => (answer = resolve)));
  const rig = new Rig({ getToken });
  await microtasks();
  rig.page.dispatchEvent(Object.assign(new Event("pagehide"), { persisted: true }));
  answer("late");
  await microtasks();
  assert.deepEqual([rig.sockets.length, getToken.signal.aborted], [0, true]);
  rig.page.dispatchEvent(new Event("pageshow"));
  await microtasks();
  answer("t2");
  await microtasks();
  assert.deepEqual(shown(rig), ["bearer.t2"]);
});

test("the developer is told once of a gateway that takes no notice of tokens", async (t) => {
  const warn = t.mock.method(console, "warn", () => {});
  const warned = async (options, welcome) => {
    warn.mock.resetCalls();
    const rig = await new Rig(options).open(welcome);
    await rig.back(welcome);
    assert.deepEqual(rig.errors, []);
    return warn.mock.callCount();
  };
  assert.equal(await warned({ getToken: tokens() }, {}), 1);
  assert.match(warn.mock.calls[0].arguments[0], /token-secret, issuers or connect-hook/);
  assert.equal(await warned({ token: "t1" }, {}), 1);
  assert.equal(await warned({}, {}), 0, "it has shown none");
  assert.equal(await warned({ getToken: tokens() }, hour), 0);
  assert.equal(await warned({ getToken: tokens() }, { expires_in_ms: HOUR }), 0, "a token without a user");
  assert.equal(await warned({ getToken: tokens() }, { ticket: "fct1.a.1" }), 0, "a hook that names no user");
});
