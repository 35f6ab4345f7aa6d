// A client of a real gateway that writes a line for all it hears, until its input ends.
// Its argument is the gateway's URL. It publishes what comes on "news" with an echo to "chat".
import { connect } from "../fleetcast.js";

const say = (...words) => console.log(words.join(" "));

const client = connect(process.argv[2], {
  random: () => 0.1, // the test waits for it
  onState(s) {
    if (s.state === "open") say("open");
    if (s.state === "waiting" && s.code !== 1006) say("waiting", s.code, s.reason);
    if (s.state === "closed") say("closed");
  },
  onReset: ({ channel, previous, offset }) => say("reset", channel, previous.offset, offset),
  onGap: (gap) => say("gap", gap.channel, gap.from, gap.to, gap.reset ? "reset" : "missed"),
  onError: (error) => say("error", error.code, error.channel),
});

client.subscribe("news", async (data, { channel, offset, recovered }) => {
  say(recovered ? "recovered" : "event", channel, offset, JSON.stringify(data));
  if (!data.echo) return;
  const { offset: published } = await client.publish("chat", data);
  say("published", published);
  await client.publish("secret", data).catch((error) => say("refused", error.code, error.channel));
});
client.subscribe("chat", (data, { channel, offset }) => say("event", channel, offset, JSON.stringify(data)));
client.subscribe("no channel", () => {});

process.stdin.on("end", () => client.close()).resume();
