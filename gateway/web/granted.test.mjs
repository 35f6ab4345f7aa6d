// Subscriptions with tokens of their own, those that the gateway ends, and those that it makes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS, microtasks, namesOf, Rig } from "./testdata/fakes.mjs";

const nothing = () => {};
const codes = (rig) => rig.errors.map(({ code }) => code);
const subscribes = (rig) => rig.heard().filter(({ type }) => type === "subscribe");
const known = { user: "alice", expires_in_ms: 3_600_000, refresh_in_ms: 1000 };

// tokens is a getToken that gives NAME.1, NAME.2 and so on, and writes down what it was asked.
function tokens(answer = ({ channel }, n) => `${channel}.${n}`) {
  const getToken = (request) => {
    getToken.asked.push(`${request.reason} ${request.channel}`);
    getToken.signal = request.signal;
    return answer(request, getToken.asked.length);
  };
  getToken.asked = [];
  return getToken;
}

// withdraw has the gateway end a subscription by itself.
async function withdraw(rig, channel, code) {
  rig.say({ type: "unsubscribed", channel, code });
  await microtasks();
}

test("a subscription's token travels with its name, alone", async () => {
  const rig = await new Rig().open();
  const getToken = tokens();
  for (const name of ["a", "b"]) rig.client.subscribe(name, nothing);
  for (const name of ["x", "y"]) rig.client.subscribe(name, nothing, { getToken });
  for (const name of ["c", "d"]) rig.client.subscribe(name, nothing);
  await microtasks();
  assert.deepEqual(rig.heard().map(({ channel, channels, token }) => [channel ?? channels.join(), token]), [
    ["a,b,c,d", undefined], ["x", "x.1"], ["y", "y.2"],
  ]);
  assert.deepEqual(getToken.asked, ["subscribe x", "subscribe y"]);
});

test("a subscription's token is asked for anew with each connection", async () => {
  const rig = await new Rig().open();
  const getToken = tokens();
  await rig.live("x", nothing, { getToken });
  rig.client.subscribe("x", nothing, { getToken: assert.fail }); // it is subscribed
  for (let n = 2; n < 5; n++) {
    await rig.back();
    const [{ token, since }] = subscribes(rig);
    assert.deepEqual([token, since], [`x.${n}`, { epoch: "E1", offset: 0 }]);
    rig.say({ type: "subscribed", id: 0, channel: "x" }, { type: "unsubscribed", id: 0, channel: "x" }); // answers to nothing
  }
  assert.equal(getToken.asked.length, 4);
});

test("a few subscriptions are asked for at a time", async () => {
  const rig = await new Rig().open();
  const answers = [];
  const getToken = tokens(() => new Promise((resolve) => answers.push(resolve)));
  for (let n = 0; n < 20; n++) rig.client.subscribe(`x${n}`, nothing, { getToken });
  await microtasks();
  assert.equal(answers.length, 8);
  answers[3]("t");
  await microtasks();
  assert.equal(answers.length, 9);
  assert.deepEqual(subscribes(rig).map(({ channel, token }) => [channel, token]), [["x3", "t"]]);
  rig.client.close();
  assert.deepEqual([rig.clock.timers, getToken.signal.aborted], [0, true]);
});

test("a call that outlasts a connection is for the next one", async () => {
  const rig = await new Rig().open();
  const answers = [];
  const getToken = tokens(() => new Promise((resolve) => answers.push(resolve)));
  rig.client.subscribe("x", nothing, { getToken });
  await microtasks();
  await rig.back();
  rig.drop();
  answers[0]("t");
  await microtasks();
  rig.client.subscribe("y", nothing);
  await rig.attempt();
  await rig.open();
  assert.deepEqual([getToken.asked.length, subscribes(rig).map(({ channel, token }) => [channel, token])], [1, [["x", "t"], ["y", undefined]]]);
});

test("a subscription that is given up ends its call", async () => {
  const rig = await new Rig().open();
  const getToken = tokens(() => new Promise(nothing));
  const subscription = rig.client.subscribe("x", nothing, { getToken });
  await microtasks();
  subscription.unsubscribe();
  assert.ok(getToken.signal.aborted);
  assert.deepEqual([rig.client.subscriptions, subscribes(rig)], [[], []]);
});

test("a subscription's token that is refused, or not to be had, refuses that subscription", async () => {
  const rig = await new Rig().open();
  const refused = rig.client.subscribe("x", nothing, { getToken: tokens() });
  const none = rig.client.subscribe("y", nothing, { getToken: async () => null });
  const other = await rig.live("z", nothing);
  const [{ id }] = rig.heard().filter(({ token }) => token);
  rig.say({ type: "error", id, code: "token_wrong_use", message: "of another channel" });
  await microtasks();
  assert.deepEqual([refused.state, refused.error.code], ["refused", "token_wrong_use"]);
  assert.deepEqual([none.state, none.error.code], ["refused", "no_token"]);
  assert.deepEqual([other.state, rig.client.state.state], ["subscribed", "open"]);
  assert.deepEqual(codes(rig), ["no_token", "token_wrong_use"]);
  await rig.back();
  assert.deepEqual(subscribes(rig).map(({ channel, token }) => [channel, token]), [["z", undefined], ["x", "x.2"]]);
});

test("a subscription's getToken that fails has a back-off, and waits while the page is hidden", async () => {
  const rig = await new Rig().open();
  const getToken = tokens((request, n) => (n > 4 ? "t" : Promise.reject(new Error("down"))));
  const subscription = rig.client.subscribe("x", nothing, { getToken });
  await microtasks();
  for (const [calls, delay] of [[1, 250], [2, 500], [3, 1000]]) {
    rig.clock.advance(delay - 1);
    await microtasks();
    assert.deepEqual([getToken.asked.length, subscription.state, subscription.error.code], [calls, "pending", "get_token"]);
    if (calls === 3) rig.page.document.visibilityState = "hidden";
    rig.clock.advance(1);
    await microtasks();
  }
  assert.deepEqual([getToken.asked.length, codes(rig)], [4, ["get_token"]], "it is told once");
  rig.clock.advance(40_000);
  await microtasks();
  assert.equal(getToken.asked.length, 4);
  rig.page.document.visibilityState = "visible";
  rig.page.show();
  rig.clock.advance(0);
  await microtasks();
  assert.deepEqual(subscribes(rig).map(({ token }) => token), ["t"]);
});

test("a subscription whose token has ended gets a new one, without haste", async () => {
  const rig = await new Rig().open();
  const getToken = tokens();
  const subscription = await rig.live("x", nothing, { getToken });
  rig.clock.advance(10_000);
  await withdraw(rig, "x", "token_expired");
  assert.deepEqual([subscription.state, getToken.asked.length], ["pending", 2]);
  rig.answer("x", 0);
  for (const [calls, delay] of [[2, 250], [3, 500]]) {
    await withdraw(rig, "x", "token_expired"); // at once
    assert.equal(getToken.asked.length, calls);
    rig.clock.advance(delay);
    await microtasks();
    assert.equal(getToken.asked.length, calls + 1);
    rig.answer("x", 0);
  }
  assert.deepEqual([subscription.state, codes(rig)], ["subscribed", []]);
});

// lasting subscribes with a token that the gateway wants another one for in ten seconds.
async function lasting(rig, handler, getToken) {
  const subscription = rig.client.subscribe("x", handler, { getToken });
  await microtasks();
  lastsOn(rig);
  return subscription;
}

// lastsOn lets the gateway accept a token, with a position.
function lastsOn(rig, offset = 0) {
  const { id } = subscribes(rig).at(-1);
  rig.say({ type: "subscribed", id, channel: "x", epoch: "E1", offset, expires_in_ms: 15_000, refresh_in_ms: 10_000 });
}

test("a subscription shows another token in time, and goes on", async () => {
  const rig = await new Rig().open();
  const got = [];
  const states = [];
  const getToken = tokens();
  const subscription = await lasting(rig, (data) => got.push(data), getToken);
  subscription.on("state", (state) => states.push(state));
  for (let n = 1; n < 4; n++) {
    rig.event("x", n);
    rig.clock.advance(9_999);
    await microtasks();
    assert.equal(getToken.asked.length, n);
    rig.clock.advance(1);
    await microtasks();
    assert.deepEqual(rig.heard().filter(({ type }) => type !== "ping").map(({ type, channel, token }) => [type, channel, token]), [["subscribe", "x", `x.${n + 1}`]]);
    rig.say({ type: "subscribed", id: n + 1, channel: "x", epoch: "E1", offset: n, expires_in_ms: 15_000, refresh_in_ms: 10_000 });
  }
  assert.deepEqual(getToken.asked, Array(4).fill("subscribe x"));
  assert.deepEqual([got, states, rig.gaps, codes(rig)], [[1, 2, 3], [], [], []]);
  subscription.unsubscribe();
  await microtasks();
  rig.accept(rig.heard().at(-1));
  rig.clock.advance(15_000);
  await microtasks();
  assert.equal(getToken.asked.length, 4); // no more for what has ended
  rig.client.close();
  assert.equal(rig.clock.timers, 0);
});

test("a subscription's next token that is refused is told once, and tried again", async () => {
  const rig = await new Rig().open();
  const getToken = tokens();
  const subscription = await lasting(rig, nothing, getToken);
  rig.clock.advance(10_000);
  await microtasks();
  for (const [calls, delay] of [[2, 250], [3, 500], [4, 1000]]) {
    rig.say({ type: "error", id: subscribes(rig).at(-1).id, code: "token_expired", message: "old" });
    assert.deepEqual([getToken.asked.length, subscription.state, codes(rig)], [calls, "subscribed", ["token_expired"]]);
    rig.clock.advance(delay - 1);
    await microtasks();
    assert.equal(getToken.asked.length, calls);
    rig.clock.advance(1);
    await microtasks();
    assert.equal(getToken.asked.length, calls + 1);
  }
  lastsOn(rig);
  rig.clock.advance(10_000);
  await microtasks();
  rig.say({ type: "error", id: subscribes(rig).at(-1).id, code: "not_available", message: "busy", retry_after_ms: 2000 });
  rig.clock.advance(2249);
  await microtasks();
  assert.equal(getToken.asked.length, 6);
  rig.clock.advance(1);
  await microtasks();
  assert.deepEqual([getToken.asked.length, codes(rig)], [7, ["token_expired"]]);
});

test("a subscription's next token that is not to be had in time", async () => {
  const rig = await new Rig().open();
  const getToken = tokens(({ channel }, n) => (n % 3 === 1 ? `${channel}.${n}` : n % 3 === 2 ? Promise.reject(new Error("down")) : null));
  const subscription = await lasting(rig, nothing, getToken);
  rig.clock.advance(10_000);
  await microtasks();
  assert.deepEqual([subscription.state, codes(rig)], ["subscribed", ["get_token"]]);
  rig.clock.advance(5_000);
  await microtasks();
  assert.equal(getToken.asked.length, 3); // without one the subscription stays until the gateway ends it
  assert.deepEqual([subscription.state, subscribes(rig)], ["subscribed", []]);
  await withdraw(rig, "x", "token_expired");
  assert.deepEqual(subscribes(rig).map(({ token }) => token), ["x.4"]);
  assert.deepEqual(codes(rig), ["get_token"]);
});

test("a subscription that ends while another token is shown begins anew", async () => {
  const rig = await new Rig().open();
  const got = [];
  const subscription = await lasting(rig, (data) => got.push(data), tokens());
  rig.event("x", 1);
  rig.clock.advance(10_000);
  await microtasks();
  const [{ id }] = subscribes(rig);
  await withdraw(rig, "x", "token_expired"); // has crossed the command
  rig.say({ type: "subscribed", id, channel: "x", epoch: "E1", offset: 3, refresh_in_ms: 10_000 });
  rig.event("x", 4);
  const [{ id: again, since }] = subscribes(rig);
  assert.deepEqual(since, { epoch: "E1", offset: 1 });
  rig.say({ type: "subscribed", id: again, channel: "x", epoch: "E1", offset: 1, recovered: true, latest: 4, refresh_in_ms: 10_000 });
  for (const offset of [2, 3, 4, 5]) rig.event("x", offset);
  await microtasks();
  assert.deepEqual([got, subscription.state], [[1, 2, 3, 4, 5], "subscribed"]);
  assert.deepEqual(rig.gaps, []);
  rig.client.close();
  assert.equal(rig.clock.timers, 0);
});

test("tokens of subscriptions that end together keep to the bounds", async () => {
  const rig = await new Rig().open();
  const answers = [];
  const getToken = tokens(({ channel }, n) => (n > 20 ? new Promise((resolve) => answers.push(resolve)) : `${channel}.${n}`));
  for (let n = 0; n < 20; n++) rig.client.subscribe(`x${n}`, nothing, { getToken });
  await microtasks();
  for (const { id, channel } of subscribes(rig)) rig.say({ type: "subscribed", id, channel, epoch: "E1", offset: 0, refresh_in_ms: 1000 });
  rig.clock.advance(1000);
  await microtasks();
  assert.equal(answers.length, 8);
  answers[3]("t");
  await microtasks();
  assert.equal(answers.length, 9);
  assert.deepEqual(subscribes(rig).map(({ channel, token }) => [channel, token]), [["x3", "t"]]);
  await rig.back();
  assert.equal(answers.length, 9); // those calls are for the new connection
  rig.client.close();
  assert.equal(rig.clock.timers, 0);
});

test("a subscription that a hook has allowed for a time is asked for again, without haste", async () => {
  const rig = await new Rig().open();
  const subscription = await rig.live("x", nothing);
  rig.clock.advance(10_000);
  await withdraw(rig, "x", "permission_expired");
  rig.answer("x", 0);
  assert.equal(subscription.state, "subscribed");
  assert.equal(subscribes(rig).length, 2); // at first, and again
  await withdraw(rig, "x", "permission_expired"); // at once
  assert.equal(subscribes(rig).length, 0);
  rig.clock.advance(250);
  await microtasks();
  assert.equal(subscribes(rig).length, 1);
});

test("a subscription that grants do not cover any more is refused, with a reason", async () => {
  const rig = await new Rig({ getToken: tokens(() => "t") }).open(known);
  const states = [];
  const subscription = await rig.live("orders", (d) => states.push(d), { onState: (state) => states.push(state) });
  const stays = await rig.live("news", nothing);
  rig.heard();
  await withdraw(rig, "orders", "permission_denied");
  rig.event("orders", 1, "late");
  assert.deepEqual([subscription.state, subscription.active, subscription.error.code, subscription.error.channel], ["refused", true, "permission_denied", "orders"]);
  assert.deepEqual([states, codes(rig), stays.state, rig.heard()], [["subscribed", "refused"], ["permission_denied"], "subscribed", []]);

  // It is asked for again with a new token, and a refusal is not told again.
  for (const again of ["permission_denied", undefined]) {
    rig.clock.advance(1000);
    await microtasks();
    const { id } = rig.heard().find(({ type }) => type === "authenticate");
    rig.say({ type: "authenticated", id, ...known });
    if (again) rig.say({ type: "unsubscribed", channel: "news", code: "permission_denied" }); // right behind it
    await microtasks();
    const [command, ...more] = subscribes(rig);
    assert.deepEqual([namesOf(command), more], [again ? ["orders"] : ["orders", "news"], []], "not what the new token has ended");
    if (again) rig.say({ type: "error", id: command.id, code: again, message: "" });
    else rig.accept(command);
    await microtasks();
  }
  assert.deepEqual([subscription.state, subscription.error, codes(rig)], ["subscribed", null, ["permission_denied", "permission_denied"]]);
});

test("a subscription that an operator ends has ended", async () => {
  const rig = await new Rig().open();
  const heard = [];
  const [a, b] = [await rig.live("x", (d) => heard.push(d), { onState: (s) => heard.push(s) }), rig.client.subscribe("x", nothing)];
  rig.heard();
  await withdraw(rig, "x", "withdrawn");
  for (const { state, active, error } of [a, b]) assert.deepEqual([state, active, error.code], ["unsubscribed", false, "withdrawn"]);
  a.unsubscribe();
  assert.deepEqual([heard, codes(rig), rig.client.subscriptions], [["subscribed", "unsubscribed"], ["withdrawn"], []]);
  await rig.back();
  assert.deepEqual(subscribes(rig), []);
  rig.client.subscribe("x", nothing);
  await microtasks();
  assert.equal(subscribes(rig).length, 1, "the page may ask again");
});

test("a notice that crosses a command changes nothing", async () => {
  const rig = await new Rig().open();
  const subscription = await rig.live("x", nothing);
  rig.heard();
  subscription.unsubscribe();
  await microtasks();
  await withdraw(rig, "x", "permission_denied");
  const [{ id }] = rig.heard();
  rig.say({ type: "error", id, code: "not_subscribed", message: "" });
  await microtasks();
  await withdraw(rig, "never", "permission_denied");
  assert.deepEqual([subscription.state, codes(rig), rig.client.subscriptions], ["unsubscribed", [], []]);
});

test("a channel that the gateway leaves has room for another one", async () => {
  const rig = new Rig();
  rig.limits = { ...LIMITS, channels: 1 };
  await rig.open();
  await rig.live("x", nothing);
  const waits = rig.client.subscribe("y", nothing);
  await microtasks();
  assert.equal(waits.state, "refused");
  rig.heard();
  await withdraw(rig, "x", "permission_denied");
  assert.deepEqual(subscribes(rig).map(({ channel }) => channel), ["y"]);
});

// auto has the gateway subscribe the client by itself.
const auto = (rig, offset = 5) => rig.say({ type: "subscribed", channel: "inbox", epoch: "E1", offset });

test("a channel that comes by itself is told, and taken without a command or a hole", async () => {
  const heard = [];
  const rig = await new Rig({
    onAuto(place) {
      heard.push(place);
      rig.client.subscribe(place.channel, (data, { offset }) => heard.push([data, offset]), { onSubscribed: ({ recovered }) => heard.push(recovered) });
    },
  }).open();
  auto(rig);
  rig.event("inbox", 6, "first");
  await microtasks();
  assert.deepEqual(heard, [{ channel: "inbox", epoch: "E1", offset: 5 }, false, ["first", 6]]);
  await rig.open();
  assert.deepEqual([rig.heard(), rig.gaps], [[], []]);
});

test("a channel that comes by itself may be taken later, and is left when the page is done", async () => {
  const rig = await new Rig().open();
  const stop = rig.client.on("auto", nothing);
  auto(rig);
  rig.event("inbox", 6);
  await microtasks();
  assert.deepEqual([rig.heard(), rig.client.subscriptions], [[], []], "it stays");
  const seen = [];
  const subscription = rig.client.subscribe("inbox", (d) => seen.push(d));
  assert.deepEqual([subscription.state, subscription.position], ["subscribed", { epoch: "E1", offset: 6 }]);
  rig.event("inbox", 7);
  subscription.unsubscribe();
  await microtasks();
  assert.deepEqual([seen, rig.heard().map(({ type, channel }) => [type, channel])], [[7], [["unsubscribe", "inbox"]]]);
  stop();
});

test("a channel that the page has already is taken as it comes", async () => {
  const autos = [];
  const rig = new Rig({ onAuto: ({ channel }) => autos.push(channel) });
  const seen = [];
  const subscription = rig.client.subscribe("inbox", (d) => seen.push(d));
  await rig.open(); // the client asks for it
  auto(rig);
  rig.event("inbox", 6);
  const [{ id }] = rig.heard();
  rig.say({ type: "error", id, code: "already_subscribed", message: "" });
  rig.event("inbox", 7);
  await microtasks();
  assert.deepEqual([seen, subscription.state, codes(rig), rig.heard(), autos], [[6, 7], "subscribed", [], [], []]);

  // With the next connection it continues where it was: the client asks for what was missed.
  await rig.back();
  auto(rig, 9);
  await microtasks();
  rig.event("inbox", 10); // while the question is under way
  rig.events("inbox", [8, 9, 10]);
  rig.event("inbox", 11);
  assert.deepEqual([seen, rig.gaps], [[6, 7, 8, 9, 10, 11], []]);
  subscription.unsubscribe();
  await microtasks();
  const [command, question, ...more] = rig.heard();
  assert.deepEqual([command.type, question.since, more], ["subscribe", { epoch: "E1", offset: 7 }, []], "its answer is awaited first");
  rig.say({ type: "error", id: command.id, code: "already_subscribed", message: "" });
  await microtasks();
  assert.deepEqual(rig.heard().map(({ type }) => type), ["unsubscribe"]);
});

test("a channel that comes by itself and is ended while the page asks for it", async () => {
  const rig = new Rig();
  const subscription = rig.client.subscribe("inbox", nothing);
  await rig.open();
  auto(rig);
  await withdraw(rig, "inbox", "permission_denied");
  assert.equal(subscription.state, "pending");
  rig.answer("inbox", 8);
  await microtasks();
  rig.events("inbox", [7, 8]);
  assert.deepEqual([subscription.state, subscription.position.offset], ["subscribed", 8]);
  assert.deepEqual(rig.gaps.map(({ from, to }) => [from, to]), [[6, 6]], "what is not kept any more");
});

test("a channel that comes by itself stays, although the page has given up to ask for it", async () => {
  const autos = [];
  const rig = new Rig({ onAuto: ({ channel }) => autos.push(channel) });
  const subscription = rig.client.subscribe("inbox", nothing);
  await rig.open();
  subscription.unsubscribe();
  auto(rig);
  const [{ id }] = rig.heard();
  rig.say({ type: "error", id, code: "already_subscribed", message: "" });
  await microtasks();
  assert.deepEqual([autos, rig.heard(), codes(rig)], [["inbox"], [], []]);
});
