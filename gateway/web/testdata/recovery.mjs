// A client of a real gateway that counts what it gets of its channels. Its arguments are the gateway's
// URL and the number of channels. Its input are lines:
//
//	N        write what came since the last time, when all channels have got to offset N
//	late     subscribe to the first channel again, from several places, and write what comes
//	history  write how many events the pages of the first channel's history have
//	publish  publish to "chat" under conditions, and write what becomes of it
import { createInterface } from "node:readline";
import { connect } from "../fleetcast.js";

const [url, number] = process.argv.slice(2);
const channels = Array.from({ length: Number(number) }, (_, i) => `room:${i}`);
const none = { events: 0, recovered: 0, lost: 0, wrong: 0, commands: 0 };
let counts = { ...none };
let wanted = 0; // offset
const reached = new Map(channels.map((name) => [name, 0]));

const client = connect(url, {
  random: () => 0,
  WebSocket: class extends WebSocket {
    send(text) {
      counts.commands++;
      super.send(text);
    }
  },
});
client.on("error", ({ code }) => console.log("error", code));

function check() {
  if (wanted === 0 || [...reached.values()].some((offset) => offset < wanted)) return;
  wanted = 0;
  const { commands, ...rest } = counts;
  console.log(JSON.stringify({ ...rest, fewCommands: commands <= 4 }));
  counts = { ...none };
}

for (const name of channels) {
  client.subscribe(name, (data, { channel, offset, recovered }) => {
    if (data.n !== offset || offset !== reached.get(channel) + 1) counts.wrong++;
    counts.events++;
    counts.recovered += recovered;
    reached.set(channel, offset);
    check();
  }, {
    onGap({ channel, from, to }) {
      if (from !== reached.get(channel) + 1) counts.wrong++;
      counts.lost += to - from + 1;
      reached.set(channel, to);
      check();
    },
    onSubscribed: ({ channel }) => channel === channels.at(-1) && console.log("subscribed"),
  });
}

// follow subscribes to the first channel once more, and resolves to what came up to the offset.
function follow(until, options) {
  return new Promise((resolve) => {
    const got = [];
    const subscription = client.subscribe(channels[0], (_, { offset, recovered }) => {
      got.push(offset);
      if (offset < until) return;
      subscription.unsubscribe();
      const inOrder = got.every((offset, i) => offset === got[0] + i);
      resolve(`${got[0]}-${offset} ${inOrder ? "in order" : got} ${recovered ? "recovered" : "live"}`);
    }, { onGap: ({ from, to }) => got.push(`gap ${from}-${to}`), ...options });
  });
}

async function late() {
  const { epoch, offset } = client.subscriptions[0].position;
  const followers = [{ last: 20 }, { since: { epoch, offset: offset - 30 } }, { last: 1, recover: false }].map((options) => follow(offset, options));
  console.log("late", (await Promise.all(followers)).join(", "));
}

async function history() {
  const pages = [];
  const name = channels[0];
  let before;
  for (let more = true; more; ) {
    const page = await client.history(name, { before, limit: 40 });
    pages.push(page.events.length);
    before = page.events[0].offset;
    more = page.more;
  }
  const { epoch, latest, events } = await client.history(name, { limit: 1 });
  const since = { epoch, offset: latest - 7 };
  console.log("history", pages.join(), "since", (await client.history(name, { since })).events.length, "latest", events[0].data.n === latest);
}

async function publish() {
  const first = await client.publish("chat", 1, { idempotency: "one" });
  const again = await client.publish("chat", 1, { idempotency: "one" });
  const same = first.epoch === again.epoch && first.offset === again.offset;
  const next = await client.publish("chat", 2, { expect: { epoch: first.epoch, offset: first.offset } });
  const late = await client.publish("chat", 3, { expect: { epoch: first.epoch, offset: first.offset } }).catch(({ code, position }) => `${code} ${position.offset}`);
  console.log("published", first.duplicate, again.duplicate, same, next.offset, late);
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line === "late") void late();
    else if (line === "history") void history();
    else if (line === "publish") void publish();
    else wanted = Number(line);
    check();
  })
  .on("close", () => client.close());
client.on("state", ({ state }) => state === "closed" && console.log("closed"));
