// What TypeScript must accept, as an ES module (as use.mts) and as CommonJS (as use.cts).
import { connect, Fleetcast, FleetcastError, type Gap, type History, type Position, type Recovery, type Reset, type State, type Subscribed, type Subscription, type SubscriptionState, type TokenRequest } from "fleetcast";

interface Message {
  text: string;
}

const client: Fleetcast = connect(new URL("wss://push.example.com/ws"), {
  onState(state: State) {
    if (state.state === "waiting") console.log(state.retryAt?.toFixed(), state.code);
  },
  getToken: async ({ reason, signal }: TokenRequest) => (reason === "refused" || signal.aborted ? null : "token"),
  onReset: ({ previous }) => console.log(previous.epoch),
  onAuto: ({ channel, offset }) => console.log(channel, offset.toFixed()),
  backoff: { initial: 100, max: 1000 },
  window: null,
});
const subscription: Subscription = client.subscribe<Message>("chat", (data, { channel, epoch, offset, recovered }) => {
  console.log(data.text.length, channel, epoch, offset.toFixed(), recovered);
}, {
  since: { epoch: "x", offset: 1 },
  last: 20,
  recover: true,
  onRecovered: ({ recovered, lost, from, latest }: Recovery) => console.log(recovered, lost?.to.toFixed(), latest - from),
  onReset: ({ epoch, offset, previous }: Reset) => console.log(epoch, previous.offset - offset),
  onSubscribed: ({ recovered, offset }: Subscribed) => console.log(recovered, offset),
  onGap: (gap: Gap) => console.log(gap.reset),
  getToken: ({ channel }) => `for-${channel}`,
});
const stop: () => void = subscription.on("state", (state: SubscriptionState) => console.log(state));
client.on("error", (error) => {
  if (error.code === "refused") console.log(error.reason, client.user?.length, client.expiresAt?.toFixed());
  if (error.code === "rate_limited") console.log(error.retryAfter, error.channels?.join());
});
const position: Position | null = subscription.position;
const most: number | undefined = client.limits?.channels;
client.publish("chat", { text: "hello" }, { timeout: 1000, signal: new AbortController().signal }).then(
  ({ offset }) => console.log(offset, position, most),
  (error: unknown) => {
    if (error instanceof FleetcastError) console.log(error.code, error.cause);
  },
);
client.publish("chat", { text: "hello" }, { idempotency: "9b2e", timeout: 1000 }).then(({ epoch, duplicate }) => console.log(epoch?.length, duplicate));
client.publish("chat", 1, { expect: { epoch: "x", offset: 1 } }).catch((error: FleetcastError) => console.log(error.position?.offset));
client.history<Message>("chat", { before: 41, limit: 10 }).then(({ epoch, latest, events, more }: History<Message>) => {
  for (const { offset, data } of events) console.log(epoch, latest - offset, data.text, more);
});
client.on("recovered", ({ channel }) => console.log(channel));
for (const { channel, error } of client.subscriptions) console.log(channel, error?.code);
stop();
client.pause();
client.resume();
client.reconnectNow();
client.close();

// And what it must refuse.
// @ts-expect-error: there is no such listener
client.on("event", () => {});
// @ts-expect-error: the handler is missing
client.subscribe("chat");
// @ts-expect-error: last is a number
client.subscribe("chat", () => {}, { last: "20" });
// @ts-expect-error: a number is no URL
connect(7);
// @ts-expect-error: a token is text
connect("/ws", { token: 7 });
// @ts-expect-error: it is read-only
subscription.channel = "other";
