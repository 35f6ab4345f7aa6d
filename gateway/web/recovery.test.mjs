// Events that were published while a client was away, or before it came.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeStreams, LIMITS, microtasks, Rig } from "./testdata/fakes.mjs";

const nothing = () => {};
const at = (offset, epoch = "E1") => ({ epoch, offset });
const refuse = (rig, type, code, more) => rig.say({ type: "error", id: rig.socket.all.findLast((m) => m.type === type).id, code, message: "", ...more });

// listening is options of a subscription that write down all that it is told.
function listening(log, options = {}) {
  return {
    onSubscribed: ({ offset, recovered }) => log.push(`at ${offset}${recovered ? " recovered" : ""}`),
    onGap: ({ from, to, reset }) => log.push(`gap ${from} ${to}${reset ? " reset" : ""}`),
    onReset: ({ previous, epoch, offset }) => log.push(`reset ${previous.epoch}:${previous.offset} ${epoch}:${offset}`),
    onRecovered: ({ recovered, lost, from, latest }) => log.push(`${recovered ? "recovered" : "not recovered"} ${from} ${latest}${lost ? ` lost ${lost.from} ${lost.to}` : ""}`),
    ...options,
  };
}

const handler = (log) => (data, { offset, recovered }) => log.push(recovered ? `old ${offset}` : `new ${offset}`);

// followed subscribes to "news" and has it get as far as offset 17.
async function followed(log, options) {
  const rig = await new Rig().open();
  const subscription = await rig.live("news", handler(log), { offset: 16, ...listening(log, options) });
  rig.event("news", 17);
  log.splice(0);
  return { rig, subscription };
}

// After a reconnect -------------------------------------------------------------------------------

// What a subscription that has E1:17 is told after a reconnect, by the gateway's answer.
const returns = [
  { name: "nothing was missed", answer: [17, "E1", { recovered: true, latest: 17 }], events: [18], told: ["at 17 recovered", "recovered 17 17", "new 18"] },
  { name: "all that was missed comes", answer: [17, "E1", { recovered: true, latest: 19 }], events: [18, 19, 20], told: ["at 17 recovered", "recovered 17 19", "old 18", "old 19", "new 20"] },
  {
    name: "a part is lost", answer: [17, "E1", { recovered: false, lost: { from: 18, to: 29 }, latest: 31 }], gap: [18, 29], events: [30, 31, 32],
    told: ["at 17", "not recovered 17 31 lost 18 29", "gap 18 29", "old 30", "old 31", "new 32"],
  },
  { name: "all is lost", answer: [17, "E1", { recovered: false, lost: { from: 18, to: 20 }, latest: 20 }], gap: [18, 20], events: [21], told: ["at 17", "not recovered 17 20 lost 18 20", "gap 18 20", "new 21"] },
  { name: "the answer goes on further on", answer: [20, "E1", { recovered: false, latest: 21 }], events: [21, 22], told: ["gap 18 20", "at 20", "not recovered 17 20 lost 18 20", "new 21", "new 22"] },
  { name: "another epoch, of which some events are still on their way", answer: [38, "E2", { recovered: false, latest: 40 }], events: [39, 40], told: ["reset E1:17 E2:38", "gap 1 38 reset", "at 38", "not recovered 38 38", "new 39", "new 40"] },
  { name: "another epoch", answer: [40, "E2", { recovered: false, latest: 40 }], events: [41], told: ["reset E1:17 E2:40", "gap 1 40 reset", "at 40", "not recovered 40 40", "new 41"] },
  { name: "beyond the top", answer: [3, "E1", { recovered: false, latest: 3 }], events: [4], told: ["reset E1:17 E1:3", "gap 1 3 reset", "at 3", "not recovered 3 3", "new 4"] },
  { name: "what comes twice is dropped", answer: [17, "E1", { recovered: true, latest: 19 }], events: [17, 18, 18, 19, 17, 20], told: ["at 17 recovered", "recovered 17 19", "old 18", "old 19", "new 20"] },
  { name: "trimmed while it comes", answer: [17, "E1", { recovered: true, latest: 40 }], events: [18], gap: [19, 38], then: [39, 40, 41], told: ["at 17 recovered", "recovered 17 40", "old 18", "gap 19 38", "old 39", "old 40", "new 41"] },
  { name: "a gateway without history", answer: [20, "E1", {}], events: [21], told: ["gap 18 20", "at 20", "not recovered 17 20 lost 18 20", "new 21"] },
  { name: "a gateway without history, and nothing was missed", answer: [17, "E1", {}], events: [18], told: ["at 17 recovered", "recovered 17 17", "new 18"] },
  { name: "a gateway without history that has started anew", answer: [0, "E2", {}], events: [1], told: ["reset E1:17 E2:0", "gap 1 0 reset", "at 0", "not recovered 0 0", "new 1"] },
];
for (const c of returns) {
  test(`after a reconnect: ${c.name}`, async () => {
    const log = [];
    const { rig, subscription } = await followed(log);
    await rig.back();
    assert.deepEqual(rig.heard().map(({ since }) => since), [at(17)]);
    rig.say({ type: "subscribed", id: 2, channel: "news", epoch: c.answer[1], offset: c.answer[0], ...c.answer[2] });
    const gap = () => c.gap && rig.say({ type: "gap", channel: "news", from: c.gap[0], to: c.gap[1] });
    if (!c.then) gap();
    for (const offset of c.events) rig.event("news", offset);
    if (c.then) gap();
    for (const offset of c.then ?? []) rig.event("news", offset);
    assert.deepEqual(log, c.told);
    assert.deepEqual(subscription.position, at((c.then ?? c.events).at(-1), c.answer[1]));
    assert.deepEqual(rig.errors, []);
  });
}

test("many channels go on from their positions in few messages, within the gateway's limits", async () => {
  const names = Array.from({ length: 300 }, (_, i) => `room:"é${i}`);
  for (const [limits, most] of [[{}, 1], [{ names_per_command: 100 }, 3], [{ message_bytes: 2000 }, 20], [{ message_bytes: 100 }, 300]]) {
    const rig = new Rig();
    rig.limits = { ...LIMITS, channels: 1000, ...limits };
    const got = new Map(names.map((name) => [name, []]));
    for (const name of names) rig.client.subscribe(name, (_, { offset, recovered }) => got.get(name).push([offset, recovered]));
    await rig.open();
    for (const command of rig.heard()) rig.accept(command);
    names.forEach((name, i) => rig.event(name, 1 + (i % 7)));
    rig.gaps.splice(0);
    await rig.back();
    const sent = rig.heard();
    assert.ok(sent.length <= most, `${sent.length} messages`);
    for (const command of sent) {
      assert.ok(Buffer.byteLength(JSON.stringify(command)) <= rig.limits.message_bytes);
      for (const element of command.channels ?? [command]) {
        const { channel, since: { epoch, offset } } = element;
        assert.equal(offset, 1 + (names.indexOf(channel) % 7));
        rig.say({ type: "subscribed", id: command.id, channel, epoch, offset, recovered: true, latest: offset + 1 });
        rig.event(channel, offset + 1);
      }
    }
    for (const events of got.values()) assert.deepEqual(events.map(([, recovered]) => recovered), [false, true]);
    assert.deepEqual([rig.gaps, rig.errors], [[], []]);
  }
});

test("an older gateway that takes only names gets names, without a report", async () => {
  const rig = await new Rig().open();
  const gaps = [];
  for (const name of ["a", "b", "c"]) rig.client.subscribe(name, nothing, { onGap: ({ channel, from, to }) => gaps.push([channel, from, to]) });
  await microtasks();
  rig.accept(rig.heard()[0]);
  for (const again of ["first", "second"]) {
    await rig.back();
    const [{ id, channels, ...more }, ...others] = rig.heard();
    assert.deepEqual([channels.map((c) => c.channel), more, others], [["a", "b", "c"], { type: "subscribe" }, []], again);
    rig.say({ type: "error", id, code: "bad_request", message: "channels must be an array of strings" });
    const [plain] = rig.heard();
    assert.deepEqual(plain.channels, ["a", "b", "c"]);
    for (const channel of plain.channels) rig.say({ type: "subscribed", id: plain.id, channel, ...at(again === "first" ? 0 : 4) });
    await microtasks();
    assert.deepEqual(rig.heard(), [], "a history is not asked for");
  }
  assert.deepEqual(gaps, [["a", 1, 4], ["b", 1, 4], ["c", 1, 4]]);
  assert.deepEqual(rig.errors, []);
  assert.ok(rig.client.subscriptions.every(({ state }) => state === "subscribed"));
});

test("a gateway that refuses names too is not asked again and again", async () => {
  const rig = await new Rig().open();
  for (const name of ["a", "b"]) rig.client.subscribe(name, nothing, { since: at(3) });
  await microtasks();
  refuse(rig, "subscribe", "bad_request");
  refuse(rig, "subscribe", "bad_request");
  assert.deepEqual(rig.errors.map(({ code, channel }) => [code, channel]), [["bad_request", "a"], ["bad_request", "b"]]);
  assert.equal(rig.heard().length, 2);
});

test("recover: false goes on with live events, and is told what it does not get", async () => {
  const log = [];
  const { rig } = await followed(log, { recover: false });
  await rig.back();
  assert.deepEqual(rig.heard().map(({ since, last }) => [since, last]), [[undefined, undefined]]);
  rig.say({ type: "subscribed", id: 2, channel: "news", ...at(20) });
  rig.event("news", 21);
  assert.deepEqual(log, ["gap 18 20", "at 20", "new 21"]);
});

test("recover: false beside one that recovers", async () => {
  const log = [];
  const whole = [];
  const { rig } = await followed(log, { recover: false });
  rig.client.subscribe("news", handler(whole));
  await rig.back();
  rig.answer("news", 17, "E1", { recovered: false, lost: { from: 18, to: 18 }, latest: 20 });
  rig.say({ type: "gap", channel: "news", from: 18, to: 18 });
  for (const offset of [19, 20, 21]) rig.event("news", offset);
  assert.deepEqual(log, ["gap 18 20", "at 20", "new 21"]);
  assert.deepEqual(whole, ["old 19", "old 20", "new 21"]);
});

test("recover: false holds for reconnects, not for what is asked at first", async () => {
  const rig = await new Rig().open();
  for (const options of [{ since: at(4) }, { last: 3 }]) {
    const subscription = rig.client.subscribe("news", nothing, { ...options, recover: false });
    for (const again of ["before", "after"]) {
      await rig.back();
      const [{ id, since, last }] = rig.heard();
      assert.deepEqual({ since, last }, again === "before" ? { since: undefined, last: undefined, ...options } : { since: undefined, last: undefined });
      rig.say({ type: "subscribed", id, channel: "news", ...at(4), recovered: true, latest: 4 });
      await microtasks();
    }
    subscription.unsubscribe();
  }
});

// The latest events -------------------------------------------------------------------------------

test("last asks for the latest events, and then goes on from its position", async () => {
  const rig = await new Rig().open();
  const log = [];
  const subscription = rig.client.subscribe("news", handler(log), listening(log, { last: 3 }));
  await microtasks();
  assert.deepEqual([rig.socket.sent[0].last, subscription.position], [3, null]);
  rig.answer("news", 5, "E1", { latest: 7 }); // it has two
  for (const offset of [6, 7, 8]) rig.event("news", offset);
  assert.deepEqual(log, ["at 5", "recovered 5 7", "old 6", "old 7", "new 8"]);
  await rig.back();
  assert.deepEqual(rig.heard().map(({ last, since }) => [last, since]), [[undefined, at(8)]]);
});

test("last of several channels travels with their names", async () => {
  const rig = await new Rig().open();
  rig.client.subscribe("a", nothing, { last: 2 });
  rig.client.subscribe("b", nothing);
  rig.client.subscribe("c", nothing, { since: at(7), last: 5 });
  await microtasks();
  assert.deepEqual(rig.heard().map(({ channels }) => channels), [[{ channel: "a", last: 2 }, "b", { channel: "c", since: at(7) }]]);
});

test("last of a gateway without history is nothing", async () => {
  const rig = await new Rig().open();
  const log = [];
  await rig.live("news", handler(log), { offset: 7, ...listening(log, { last: 3 }) });
  rig.event("news", 8);
  await microtasks();
  assert.deepEqual(log, ["at 7", "recovered 7 7", "new 8"]);
  assert.equal(rig.heard().length, 1);
});

test("last holds again when the position is not known any more", async () => {
  const log = [];
  const { rig } = await followed(log, { last: 2 });
  await rig.back();
  rig.answer("news", 5, "E2", { recovered: false, latest: 5 });
  await microtasks();
  const [, { type, since, limit }] = rig.heard();
  assert.deepEqual([type, since, limit], ["history", at(3, "E2"), 1000]);
  rig.events("news", [4, 5], { epoch: "E2" });
  rig.event("news", 6);
  assert.deepEqual(log, ["reset E1:17 E2:3", "gap 1 3 reset", "at 3", "not recovered 3 5", "old 4", "old 5", "new 6"]);
});

test("subscriptions of one channel that begin in different places", async () => {
  const rig = await new Rig().open();
  const logs = [[], [], [], [], []];
  [{ since: at(10) }, { since: at(4) }, {}, { last: 3 }, { since: at(30) }].forEach((options, i) => {
    rig.client.subscribe("news", handler(logs[i]), listening(logs[i], options));
  });
  await microtasks();
  assert.deepEqual(rig.socket.sent[0].since, at(4));
  rig.answer("news", 4, "E1", { recovered: false, lost: { from: 5, to: 10 }, latest: 12 });
  rig.say({ type: "gap", channel: "news", from: 5, to: 10 });
  for (const offset of [11, 12, 13]) rig.event("news", offset);
  assert.deepEqual(logs, [
    ["at 10 recovered", "recovered 10 12", "old 11", "old 12", "new 13"],
    ["at 4", "not recovered 4 12 lost 5 10", "gap 5 10", "old 11", "old 12", "new 13"],
    ["at 12", "new 13"],
    ["at 10", "recovered 10 12", "old 11", "old 12", "new 13"],
    ["reset E1:30 E1:12", "gap 1 12 reset", "at 12", "not recovered 12 12", "new 13"],
  ]);
});

test("of positions in several epochs, those of the channel's last one are asked for", async () => {
  const log = [];
  const { rig } = await followed(log);
  rig.drop();
  rig.client.subscribe("news", nothing, { since: at(1, "E0") });
  await rig.attempt();
  await rig.open();
  assert.deepEqual(rig.heard().map(({ since }) => since), [at(17)]);
});

// Who comes to a live channel -----------------------------------------------------------------------

// joined has a subscription come to a channel whose events have got to 20.
async function joined(options, log = []) {
  const rig = await new Rig().open();
  const first = [];
  await rig.live("news", handler(first), { offset: 18 });
  for (const offset of [19, 20]) rig.event("news", offset);
  const subscription = rig.client.subscribe("news", handler(log), listening(log, options));
  await microtasks();
  return { rig, log, subscription, first };
}

test("who comes to a live channel gets earlier events in order, and the others notice nothing", async () => {
  for (const options of [{ last: 3 }, { since: at(17) }]) {
    const { rig, log, subscription, first } = await joined(options);
    assert.equal(subscription.state, "pending");
    const { since, limit } = rig.heard().at(-1);
    assert.deepEqual([since, limit], [at(17), 1000]);
    rig.event("news", 21); // live, and in the answer too
    assert.deepEqual(log, []);
    rig.events("news", [18, 19, 20, 21, 22]);
    for (const offset of [22, 23]) rig.event("news", offset);
    const began = options.last ? "at 17" : "at 17 recovered";
    assert.deepEqual(log, [began, "recovered 17 22", "old 18", "old 19", "old 20", "old 21", "old 22", "new 23"]);
    assert.deepEqual(first, ["new 19", "new 20", "new 21", "new 22", "new 23"]);
    assert.deepEqual([subscription.state, subscription.position, rig.gaps], ["subscribed", at(23), []]);
  }
});

test("earlier events that come in several answers", async () => {
  const { rig, log } = await joined({ since: at(10) });
  rig.events("news", [12, 13], { latest: 20, more: true });
  rig.event("news", 21);
  rig.say({ type: "gap", channel: "news", from: 22, to: 22 });
  await microtasks();
  assert.deepEqual(rig.heard().at(-1).since, at(13));
  rig.events("news", [14, 15, 16, 18, 19, 20, 21, 22], { latest: 22 });
  rig.event("news", 23);
  assert.deepEqual(log, ["gap 11 11", "at 11", "not recovered 10 20 lost 11 11", "old 12", "old 13", "old 14", "old 15", "old 16", "gap 17 17", "old 18", "old 19", "old 20", "old 21", "old 22", "new 23"]);
});

test("earlier events that are not to be had are a gap for who has a position, and nothing for others", async () => {
  const answers = {
    "nothing is kept": (rig) => rig.events("news", [], { latest: 20 }),
    "an answer of another epoch": (rig) => rig.events("news", [1, 2], { epoch: "E2" }),
    "an answer without events": (rig) => rig.say({ type: "history", id: 2, channel: "news", epoch: "E1" }),
    refused: (rig) => refuse(rig, "history", "permission_denied"),
    malformed: (rig) => refuse(rig, "history", "bad_request"),
    "an older gateway": (rig) => refuse(rig, "history", "unknown_type"),
  };
  for (const [name, answer] of Object.entries(answers)) {
    for (const [options, told] of [[{ since: at(17) }, ["gap 18 20", "at 20", "not recovered 17 20 lost 18 20"]], [{ last: 3 }, ["at 20", "recovered 20 20"]]]) {
      const { rig, log } = await joined(options);
      answer(rig);
      rig.event("news", 21);
      assert.deepEqual([log, rig.errors], [[...told, "new 21"], []], name);
    }
  }
});

test("an older gateway is asked for a history once", async () => {
  const { rig } = await joined({ last: 3 });
  refuse(rig, "history", "unknown_type");
  rig.client.subscribe("news", nothing, { last: 3 });
  await microtasks();
  assert.equal(rig.heard().filter(({ type }) => type === "history").length, 1);
});

test("a question for earlier events that the rate refuses is asked again", async () => {
  const { rig, log } = await joined({ last: 1 });
  refuse(rig, "history", "rate_limited", { retry_after_ms: 1000 });
  rig.heard();
  rig.clock.advance(999);
  assert.deepEqual(rig.heard(), []);
  rig.clock.advance(1);
  rig.events("news", [20]);
  assert.deepEqual([log, rig.errors], [["at 19", "recovered 19 20", "old 20"], []]);
});

test("who is not to be had by the stream that comes joins it", async () => {
  const rig = await new Rig().open();
  await rig.live("news", nothing, { since: at(0) });
  await rig.back();
  rig.answer("news", 0, "E1", { recovered: true, latest: 40 });
  rig.event("news", 1);
  const logs = [[], [], []];
  [{ last: 2 }, { since: at(39) }, {}].forEach((options, i) => rig.client.subscribe("news", handler(logs[i]), options));
  for (let offset = 2; offset < 42; offset++) rig.event("news", offset);
  assert.deepEqual(logs, [["old 39", "old 40", "new 41"], ["old 40", "new 41"], ["new 41"]]);
  assert.deepEqual(rig.heard().map(({ type }) => type), ["subscribe"]);
});

test("a catch-up that is cut goes on where it was", async () => {
  const { rig, log, subscription } = await joined({ last: 5 });
  rig.events("news", [16, 17], { latest: 20, more: true });
  await rig.back(); // before the rest
  assert.deepEqual(rig.heard().map(({ since }) => since), [at(17)]);
  assert.equal(subscription.state, "pending");
  rig.answer("news", 17, "E1", { recovered: true, latest: 21 });
  for (const offset of [18, 19, 20, 21]) rig.event("news", offset);
  assert.deepEqual(log, ["at 15", "recovered 15 20", "old 16", "old 17", "at 17 recovered", "recovered 17 21", "old 18", "old 19", "old 20", "old 21"]);
});

test("a catch-up that is cut before its first event begins anew", async () => {
  const { rig } = await joined({ last: 5 });
  rig.client.subscriptions[0].unsubscribe();
  await rig.back();
  assert.deepEqual(rig.heard().map(({ last, since }) => [last, since]), [[5, undefined]]);
});

test("a subscription that ends while it catches up gets nothing more", async () => {
  for (const how of ["unsubscribe", "within", "pause"]) {
    const log = [];
    const { rig, subscription } = await joined({ since: at(17) }, log);
    if (how === "unsubscribe") subscription.unsubscribe();
    else subscription.on("subscribed", () => (how === "within" ? subscription.unsubscribe() : rig.client.pause()));
    rig.events("news", [18, 19, 20]);
    rig.event("news", 21);
    assert.deepEqual(log, how === "unsubscribe" ? [] : how === "within" ? ["at 17 recovered"] : ["at 17 recovered", "recovered 17 20"], how);
    if (how !== "pause") continue;
    rig.client.resume();
    await rig.open();
    assert.deepEqual(rig.heard().map(({ since }) => since), [at(17)]);
  }
});

test("pause in the middle of recovered events, and resume", async () => {
  const log = [];
  const { rig, subscription } = await followed(log);
  await rig.back();
  rig.answer("news", 17, "E1", { recovered: true, latest: 20 });
  rig.event("news", 18);
  rig.client.pause();
  assert.deepEqual([subscription.state, subscription.position], ["pending", at(18)]);
  rig.client.resume();
  await rig.open();
  assert.deepEqual(rig.heard().map(({ since }) => since), [at(18)]);
});

test("unsubscribe in the middle of recovered events, and subscribe again from there", async () => {
  const log = [];
  const { rig, subscription } = await followed(log);
  await rig.back();
  rig.answer("news", 17, "E1", { recovered: true, latest: 20 });
  rig.event("news", 18);
  rig.heard();
  subscription.unsubscribe();
  await microtasks();
  const next = [];
  rig.client.subscribe("news", handler(next), { since: subscription.position });
  rig.event("news", 19); // was on its way
  const [leave] = rig.heard();
  rig.accept(leave);
  assert.deepEqual(rig.socket.sent[0].since, at(18));
  rig.answer("news", 18, "E1", { recovered: true, latest: 20 });
  for (const offset of [19, 20, 21]) rig.event("news", offset);
  assert.deepEqual(next, ["old 19", "old 20", "new 21"]);
  assert.deepEqual(log.at(-1), "old 18");
});

// What the page is told, and misuse ---------------------------------------------------------------

test("the client's listeners hear of all subscriptions", async () => {
  const heard = [];
  const rig = await new Rig({ onReset: ({ channel }) => heard.push(`reset ${channel}`), onRecovered: ({ channel }) => heard.push(`recovered ${channel}`) }).open();
  rig.client.on("recovered", ({ epoch }) => heard.push(epoch));
  await rig.live("news", nothing, { since: at(3), offset: 3, epoch: "E2" });
  await microtasks();
  assert.deepEqual(heard, ["reset news", "recovered news", "E2"]);
});

test("options that ask for events are checked", () => {
  const { client } = new Rig();
  for (const last of [0, -1, 1.5, "20", 1_000_001, null]) assert.throws(() => client.subscribe("a", nothing, { last }), TypeError, String(last));
  for (const recover of [0, null, "no"]) assert.throws(() => client.subscribe("a", nothing, { recover }), TypeError);
  assert.throws(() => client.subscribe("a", nothing, { since: at(1, "\ud800") }), TypeError);
  client.subscribe("a", nothing, { since: null, last: 1, recover: true });
});

// History -----------------------------------------------------------------------------------------

test("history asks for a part of what is kept", async () => {
  const rig = await new Rig().open();
  for (const [options, asked] of [
    [{}, {}],
    [undefined, {}],
    [{ since: { ...at(3), more: 1 }, limit: 10 }, { since: at(3), limit: 10 }],
    [{ before: 41, timeout: 1000, since: null }, { before: 41 }],
  ]) {
    const answer = rig.client.history("news", options);
    const [{ id, ...command }] = rig.heard();
    assert.deepEqual(command, { type: "history", channel: "news", ...asked });
    const page = { epoch: "E1", latest: 9, events: [{ offset: 8, data: { a: 1 } }, { offset: 9, data: null }], more: true };
    rig.say({ type: "history", id, channel: "news", ...page, novelty: 1 });
    assert.deepEqual(await answer, page);
  }
  assert.equal(rig.clock.timers, 1, "the watch");
});

test("history is rejected as other requests are", async () => {
  const rig = new Rig();
  await assert.rejects(rig.client.history("news"), { code: "not_connected" });
  await rig.open();
  for (const options of [{ limit: 0 }, { limit: 1001 }, { limit: "all" }, { before: 0 }, { before: -1 }, { since: {} }, { since: at(1), before: 2 }, { timeout: 0 }, { signal: {} }]) {
    await assert.rejects(rig.client.history("news", options), TypeError, JSON.stringify(options));
  }
  await assert.rejects(rig.client.history(""), { code: "bad_channel" });
  await assert.rejects(rig.client.history("news", { signal: AbortSignal.abort() }), { code: "aborted" });
  assert.deepEqual(rig.heard(), []);
  const late = assert.rejects(rig.client.history("news", { timeout: 500 }), { code: "timeout", channel: "news" });
  rig.clock.advance(500);
  await late;
  rig.events("news", [1]);
  for (const code of ["permission_denied", "unknown_type", "not_available"]) {
    const refused = assert.rejects(rig.client.history("news"), { code, channel: "news" });
    refuse(rig, "history", code);
    await refused;
  }
  const lost = assert.rejects(rig.client.history("news"), { code: "connection_lost" });
  rig.drop();
  await lost;
  assert.deepEqual(rig.errors, []);
  rig.client.close();
  await assert.rejects(rig.client.history("news"), { code: "closed" });
});

test("history keeps to the gateway's limits", async () => {
  const rig = new Rig();
  rig.limits = { ...LIMITS, commands_per_second: 1, commands_burst: 1, message_bytes: 128 };
  await rig.open();
  await assert.rejects(rig.client.history("x".repeat(128)), { code: "limit_exceeded" });
  rig.client.history("news").catch(nothing);
  await assert.rejects(rig.client.history("news"), { code: "rate_limited", retryAfter: 1021 });
  rig.client.close();
});

// Random sequences --------------------------------------------------------------------------------

// mulberry32 returns a generator of numbers from 0 to 1.
function mulberry32(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// One subscription's view: each event comes once, at its place, or is in a gap, or before a reset.
class View {
  log = [];
  lost = 0; // events and resets

  constructor(client, channel, options) {
    this.channel = channel;
    this.at = options.since ?? null;
    this.subscription = client.subscribe(channel, (data, { epoch, offset }) => this.#event(data, epoch, offset), {
      ...options,
      onReset: ({ previous }) => this.#check(previous, this.at, "reset"),
      onGap: (gap) => this.#gap(gap),
      onSubscribed: ({ epoch, offset }) => this.#subscribed(epoch, offset),
      onRecovered: ({ recovered, lost, latest, from }) => {
        assert.ok(latest >= from && (recovered ? lost === null : lost === null || lost.to <= latest), JSON.stringify({ recovered, lost, latest, from }));
      },
    });
  }

  #event(data, epoch, offset) {
    this.log.push(`${epoch}:${offset}`);
    this.#check({ epoch, offset: offset - 1 }, this.at, "event");
    assert.equal(data, `${this.channel} ${epoch} ${offset}`);
    this.at = { epoch, offset };
  }

  #gap({ from, to, reset }) {
    this.log.push(`gap ${from} ${to} ${reset}`);
    this.lost++;
    if (reset) this.at = null;
    else this.#check(from - 1, this.at.offset, "gap");
    if (!reset) this.at = { ...this.at, offset: to };
  }

  #subscribed(epoch, offset) {
    this.log.push(`at ${epoch}:${offset}`);
    if (this.at) this.#check({ epoch, offset }, this.at, "subscribed");
    this.at = { epoch, offset };
  }

  #check(got, want, what) {
    assert.deepEqual(got, want, `${what} after ${this.log.slice(-8)}`);
  }
}

// What happens at random: the weights of publish, answer, deliver, subscribe, unsubscribe, cut, pause
// and the loss of a stream.
async function randomly(seed, { keep, losses }) {
  const random = mulberry32(seed);
  const pick = (n) => Math.floor(random() * n);
  const names = ["a", "b", "c"];
  const rig = new Rig();
  const streams = new FakeStreams(rig, names, keep);
  const views = [];
  await rig.open();
  const steps = [
    [30, () => streams.publish(names[pick(3)])],
    [15, () => streams.answer()],
    [30, () => streams.deliver(names[pick(3)])],
    [8, () => {
      const name = names[pick(3)];
      const { epoch, top } = streams.channels.get(name);
      const options = [{}, { last: 1 + pick(10) }, { since: at(pick(top + 1), epoch) }, { recover: false }][pick(4)];
      views.push(new View(rig.client, name, options));
    }],
    [4, () => views[pick(views.length)]?.subscription.unsubscribe()],
    [3, () => rig.back()],
    [1, async () => {
      rig.client.pause();
      await microtasks();
      for (let n = pick(5); n > 0; n--) streams.publish(names[pick(3)]);
      rig.client.resume();
      await rig.open();
    }],
    // Its gateway has ended, and the connections with it.
    [losses ? 1 : 0, async () => {
      streams.restart(names[pick(3)]);
      await rig.back();
    }],
  ];
  const total = steps.reduce((sum, [weight]) => sum + weight, 0);
  for (let n = 0; n < 150; n++) {
    let at = random() * total;
    await steps.find(([weight]) => (at -= weight) < 0)[1]();
    if (pick(3) === 0) await microtasks();
  }
  for (let quiet = 0; quiet < 3; quiet++) { // until nothing more happens
    await microtasks();
    while (streams.answer() || names.some((name) => streams.deliver(name))) quiet = 0;
  }
  for (const { subscription, channel, log } of views) {
    if (!subscription.active) continue;
    const { epoch, top } = streams.channels.get(channel);
    assert.deepEqual([subscription.state, subscription.position], ["subscribed", at(top, epoch)], `${channel}: ${log}`);
  }
  const errors = rig.errors.map(({ code, cause }) => cause?.message ?? code);
  assert.deepEqual(errors, []);
  rig.client.close();
  assert.equal(rig.clock.timers, 0);
  return views;
}

const SEEDS = 300;

test("whatever happens, nothing comes twice and nothing is missed unsaid", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    await randomly(seed, { keep: 4, losses: true }).catch((error) => {
      throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
    });
  }
});

test("whatever happens, nothing is missed of what the gateway keeps", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const views = await randomly(seed, { keep: Infinity, losses: false });
    for (const { lost, subscription, log } of views) {
      if (lost > 0) assert.equal(subscription._wish, null, `seed ${seed}: only who does without recovery misses something, not ${log}`);
    }
  }
});
