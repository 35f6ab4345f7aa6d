// A client that runs into every limit of a real gateway, and writes a line for what it hears.
// Its argument is the gateway's URL. The gateway allows two channels, messages of 1,000 bytes,
// data of 500, and three publishes to "chat".
import { connect } from "../fleetcast.js";

const say = (...words) => console.log(words.join(" "));

const client = connect(process.argv[2], {
  random: () => 0,
  onState: ({ state }) => say(state),
  onError: ({ code, channels, channel }) => say("error", code, channels ?? channel),
});
const subscribed = (name) =>
  new Promise((resolve) => {
    const subscription = client.subscribe(name, () => {}, {
      onSubscribed({ channel, offset, recovered }) {
        say("subscribed", channel, offset, recovered ? "recovered" : "new");
        resolve(subscription);
      },
    });
  });
const publish = async (data, options) => {
  try {
    say("published", (await client.publish("chat", data, options)).offset);
  } catch ({ code, retryAfter }) {
    say("not published:", code, retryAfter > 0 ? "later" : "");
  }
};

const first = await subscribed("a");
await subscribed("b");
const third = subscribed("c");
await new Promise((resolve) => client.on("error", resolve));
first.unsubscribe();
await third;

await publish("x".repeat(498)); // with its quotes as long as may be
await publish("x".repeat(499));
await publish(Array(300).fill("x"));
await publish("é".repeat(250));
await publish(1, { signal: AbortSignal.abort() });
await publish(1, { timeout: 10_000 });
await publish(2);
await publish(3);

client.pause();
client.resume();
client.on("state", async ({ state }) => {
  if (state === "open") say("has", client.subscriptions.length, "of", client.limits.channels);
});

process.stdin.on("end", () => client.close()).resume();
