// A client of a real gateway that shows tokens, and writes a line for all that concerns them, until
// its input ends. Its arguments are the gateway's URL, the URL where tokens are, and channels. The
// token for a channel whose name begins with "orders" is got there too. "again" as input is
// somebody who wants to connect now.
import { connect } from "../fleetcast.js";

const [url, tokens, ...channels] = process.argv.slice(2);
const say = (...words) => console.log(words.join(" "));

async function getToken({ reason, channel = "", signal }) {
  const answer = await fetch(`${tokens}?${new URLSearchParams({ reason, channel })}`, { signal });
  if (answer.status === 204) return null;
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.text();
}

const client = connect(url, {
  getToken,
  backoff: { initial: 20, max: 100 },
  WebSocket: class extends WebSocket {
    constructor(address, protocols) {
      super(address, protocols);
      say("shows", protocols[1]?.startsWith("bearer.fct1.") ? "a ticket" : protocols.length > 1 ? "a token" : "nothing");
    }
  },
  onState(s) {
    if (s.state === "open") say("open", s.user, client.expiresAt > Date.now());
    if (s.state === "refused" || (s.state === "waiting" && s.code >= 4000)) say(s.state, s.code, s.reason);
    if (s.state === "closed") say("closed");
  },
  onError: ({ code, reason = "", channel = "" }) => code !== "get_token" && say("error", code, reason || channel),
  onGap: ({ channel, from, to, reset }) => !reset && say("gap", channel, from, to),
  onAuto({ channel }) {
    say("auto", channel);
    subscribe(channel);
  },
});

function subscribe(channel) {
  const subscription = client.subscribe(channel, (data) => say("event", channel, JSON.stringify(data)), {
    getToken: channel.startsWith("orders") ? getToken : undefined,
    onState(state) {
      if (state !== "pending" && (subscription.active || subscription.error)) say(channel, state);
    },
  });
}
for (const channel of channels) subscribe(channel);

process.stdin.on("data", (text) => String(text).includes("again") && client.reconnectNow());
process.stdin.on("end", () => client.close());
