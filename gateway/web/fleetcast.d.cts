// Written from fleetcast.d.ts: change that, and run go test -run Written -update.
/** A place in a channel's stream: the event of that offset, within that epoch. */
export interface Position {
  epoch: string;
  offset: number;
}

/** Where an event came from. */
export interface EventInfo extends Position {
  channel: string;
  /** It was published before the subscription was made, or made again; otherwise it is live. */
  recovered: boolean;
}

/**
 * Events that this subscription will not get: from..to, both included. With reset the stream
 * began anew: they are those of the new epoch (none if to is 0), and nobody knows how many of
 * the old one were missed. See Reset, too.
 */
export interface Gap {
  channel: string;
  from: number;
  to: number;
  reset: boolean;
}

/**
 * The stream has begun anew, or the gateway does not know the position: what was missed since
 * previous cannot be named. Events after offset follow.
 */
export interface Reset extends Position {
  channel: string;
  previous: Position;
}

/**
 * What became of the events that a subscription has asked for, told before the first of them. Those
 * after from, up to latest, follow: each as an event with recovered, or in a gap.
 */
export interface Recovery {
  channel: string;
  epoch: string;
  /** Nothing was missed. Always so without a position, with last. */
  recovered: boolean;
  /** The events that the gateway has no more, both included; null if there are none, or after a reset. */
  lost: { from: number; to: number } | null;
  from: number;
  /** The offset of the latest event. */
  latest: number;
}

/**
 * Where the connection stands. retryAt is the time of the next attempt as Date.now() counts, or
 * null until the network is back, or until a page in the back-forward cache is shown. code and reason are those of the WebSocket's close; code 0
 * means that the client itself gave the connection up. Without a reason of the close it is what the
 * runtime says of the failure: the package ws tells, browsers do not. refused: the client may not
 * connect, and tries nothing until reconnectNow; code is 4401 or 4403 with the gateway's reason, or 0
 * with the reason no_token.
 */
export type State =
  | { state: "connecting" }
  | { state: "open"; client: string; user?: string }
  | { state: "waiting"; retryAt: number | null; code?: number; reason?: string }
  | { state: "refused"; code: number; reason: string }
  | { state: "paused" }
  | { state: "closed" };

/**
 * Where a subscription stands. pending: not at the gateway yet, or for now not any more; it will
 * be asked for. refused: error says why; tried again with the next connection or, for want of room,
 * when another channel is left. unsubscribed: by the page or, if there is an error, by an operator.
 */
export type SubscriptionState = "pending" | "subscribed" | "refused" | "unsubscribed";

/** From where a subscription goes on: its handler gets the events after offset. */
export interface Subscribed extends Position {
  channel: string;
  /** It goes on from its own position, and no event is missed. */
  recovered: boolean;
}

/** A channel to which the gateway has subscribed the client by itself, because its token says so. */
export interface Auto extends Position {
  channel: string;
}

/**
 * Why a token is asked for. connect: there is none, or it ends soon. refresh: the open connection
 * needs the next one. refused: the gateway has refused the last one, or it has ended. subscribe: it
 * is for a subscription.
 */
export type TokenReason = "connect" | "refresh" | "refused" | "subscribe";

/** What getToken is told. */
export interface TokenRequest {
  readonly reason: TokenReason;
  /** The channel, for the token of a subscription. */
  readonly channel?: string;
  /** Aborted when nobody waits any more: after 30 s, or when the client is closed or paused. */
  readonly signal: AbortSignal;
}

/** Gets a token; null or undefined is that there is none to be had, as for a person who has signed out. */
export type GetToken = (request: TokenRequest) => string | null | undefined | Promise<string | null | undefined>;

/** What a gateway allows one connection. What is undefined has no limit, or the gateway does not tell it. */
export interface Limits {
  readonly commandsPerSecond?: number;
  readonly commandsBurst?: number;
  readonly publishesPerSecond?: number;
  readonly publishesBurst?: number;
  readonly channels?: number;
  readonly namesPerCommand?: number;
  readonly messageBytes?: number;
  readonly eventBytes?: number;
  readonly channelBytes?: number;
}

/** The client's own codes; the others are the protocol's. */
export type ErrorCode =
  | "not_connected"
  | "connection_lost"
  | "closed"
  | "connect"
  | "bad_message"
  | "callback"
  | "no_websocket"
  | "refused"
  | "get_token"
  | "no_token"
  | "withdrawn"
  | "authentication_required"
  | "token_expired"
  | "timeout"
  | "aborted"
  | "bad_request"
  | "unknown_type"
  | "bad_channel"
  | "already_subscribed"
  | "not_subscribed"
  | "permission_denied"
  | "limit_exceeded"
  | "conflict"
  | "not_available"
  | "rate_limited"
  | "internal";

export interface FleetcastError extends Error {
  readonly name: "FleetcastError";
  /** Later gateways may send codes that are not listed. */
  readonly code: ErrorCode | (string & {});
  /** The channel that it is about, if it is one. */
  readonly channel?: string;
  /** All channels that it is about, where it may be about several. */
  readonly channels?: readonly string[];
  readonly cause?: unknown;
  /** For how many milliseconds the gateway asks not to try again, if it does. */
  readonly retryAfter?: number;
  /** With the code refused: the gateway's reason, or no_token. */
  readonly reason?: string;
  /** With the code conflict: where the channel is. */
  readonly position?: Position;
}

export const FleetcastError: {
  new (code: string, message: string, details?: { channel?: string; channels?: readonly string[]; cause?: unknown; retryAfter?: number; reason?: string; position?: Position }): FleetcastError;
  readonly prototype: FleetcastError;
};

export interface Clock {
  /** Milliseconds; must go on during sleep, as Date.now() does. */
  now(): number;
  setTimeout(callback: () => void, delay: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** The part of a page's window that the client listens to. */
export interface PageWindow {
  addEventListener?(name: string, listener: () => void): void;
  removeEventListener?(name: string, listener: () => void): void;
  readonly navigator?: { readonly onLine?: boolean };
  readonly document?: {
    readonly visibilityState?: string;
    addEventListener(name: string, listener: () => void): void;
    removeEventListener(name: string, listener: () => void): void;
  };
}

/** What the client uses of a WebSocket; browsers', Node's and that of package ws fit. */
export interface WebSocketLike {
  onmessage: ((event: any) => any) | null;
  onclose: ((event: any) => any) | null;
  onerror: ((event: any) => any) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export interface Options {
  /** Every change of the connection's state. */
  onState?(state: State): void;
  /** Every gap of every subscription, after the subscription's own onGap. */
  onGap?(gap: Gap): void;
  /** Every reset of every subscription, after the subscription's own onReset. */
  onReset?(reset: Reset): void;
  /** The same for what becomes of earlier events. */
  onRecovered?(recovery: Recovery): void;
  /** Refused subscriptions and what callbacks throw. Without any listener: console.error. */
  onError?(error: FleetcastError): void;
  /** The gateway has subscribed the client by itself, to a channel for which there is no subscription. */
  onAuto?(place: Auto): void;
  /** Gets the tokens that show the gateway who the client is. Called once at a time. */
  getToken?: GetToken;
  /** The first token, or the only one if there is no getToken. */
  token?: string;
  /** Bounds of the wait between attempts, in milliseconds: 500 and 30,000 by default. */
  backoff?: { initial?: number; max?: number };
  /** The runtime's own by default. */
  WebSocket?: new (url: string, protocols: string[]) => WebSocketLike;
  /** The page, for online, offline and visibility; null ignores them. globalThis by default. */
  window?: PageWindow | null;
  /** For tests. */
  clock?: Clock;
  /** For tests: a number from 0 up to, not including, 1. */
  random?(): number;
}

export interface SubscribeOptions {
  /** The last event already seen. What came since is delivered, or told as a gap. */
  since?: Position | null;
  /** So many of the latest events are wanted, up to 1,000,000, if there is no since, or its epoch is over. */
  last?: number;
  /** false: after a reconnect it goes on with live events; what it does not get is told as a gap. true by default. */
  recover?: boolean;
  onGap?(gap: Gap): void;
  /** Told before the gap that says the same. */
  onReset?(reset: Reset): void;
  /** After each answer to a subscription that has asked for earlier events: before any of them. */
  onRecovered?(recovery: Recovery): void;
  /** The gateway has confirmed, with each connection anew: before any event that comes from there. */
  onSubscribed?(place: Subscribed): void;
  /** Every change of the subscription's state. */
  onState?(state: SubscriptionState): void;
  /** Gets a token for this subscription, before each time that it is made at the gateway. */
  getToken?: GetToken;
}

export interface SubscriptionListeners {
  gap(gap: Gap): void;
  reset(reset: Reset): void;
  recovered(recovery: Recovery): void;
  subscribed(place: Subscribed): void;
  state(state: SubscriptionState): void;
}

export interface ClientListeners {
  state(state: State): void;
  gap(gap: Gap): void;
  reset(reset: Reset): void;
  recovered(recovery: Recovery): void;
  error(error: FleetcastError): void;
  auto(place: Auto): void;
}

export interface RequestOptions {
  /** Milliseconds after which the promise is rejected with code timeout. */
  timeout?: number;
  /** Rejects the promise with code aborted. */
  signal?: AbortSignal;
}

/** Conditions of a publish, of which it has one at least. */
export interface PublishConditions extends RequestOptions {
  /** A name of the event, random text of 1 to 64 bytes: the same one within 5 minutes publishes nothing. */
  idempotency?: string;
  /** The event is published only if the channel's latest event is at this position. */
  expect?: Position;
}

/** Where an event is that was published under conditions. */
export interface Published {
  /** undefined: the gateway is an older one, and has taken no notice of the conditions. */
  epoch: string | undefined;
  offset: number;
  /** It was published before under its name. */
  duplicate: boolean;
}

export interface HistoryOptions extends RequestOptions {
  /** The events behind this position, in order. All that are kept, if its epoch is over. */
  since?: Position | null;
  /** The events right before this offset, in order. Not with since. */
  before?: number;
  /** How many events at most, up to 1,000; 100 by default. */
  limit?: number;
}

/** A part of the events that the gateway keeps of a channel. */
export interface History<T = unknown> {
  epoch: string;
  /** The offset of the channel's latest event, kept or not. */
  latest: number;
  /** In order. */
  events: { offset: number; data: T }[];
  /** There are more: behind the last one with since, otherwise before the first one. */
  more: boolean;
}

export interface Subscription {
  readonly channel: string;
  readonly state: SubscriptionState;
  /** The last refusal, until it is subscribed, or why the gateway has ended it; otherwise null. */
  readonly error: FleetcastError | null;
  /** False after unsubscribe, and when the client is closed. */
  readonly active: boolean;
  /** The last event seen, which the next since may be; null until the gateway has answered. A copy. */
  readonly position: Position | null;
  /** Adds a listener, beside those of the options. Returns the function that removes it. */
  on<Name extends keyof SubscriptionListeners>(name: Name, listener: SubscriptionListeners[Name]): () => void;
  off<Name extends keyof SubscriptionListeners>(name: Name, listener: SubscriptionListeners[Name]): void;
  /** No handler is called after it. May be called twice. */
  unsubscribe(): void;
}

export class Fleetcast {
  /** Connects at once and stays connected. Relative URLs and http(s) ones are allowed. */
  constructor(url: string | URL, options?: Options);
  readonly state: State;
  /** What the gateway allows this connection; null without a connection, or if the gateway does not tell. */
  readonly limits: Limits | null;
  /** The user as whom the gateway knows the client; null if there is none. It stays while the client connects again. */
  readonly user: string | null;
  /** When that ends without a new token, as Date.now() counts; null: never, or not known. */
  readonly expiresAt: number | null;
  /** All subscriptions that have not ended. A copy. */
  readonly subscriptions: Subscription[];
  /** Adds a listener, beside those of the options. Returns the function that removes it. */
  on<Name extends keyof ClientListeners>(name: Name, listener: ClientListeners[Name]): () => void;
  off<Name extends keyof ClientListeners>(name: Name, listener: ClientListeners[Name]): void;
  subscribe<T = unknown>(
    channel: string,
    handler: (data: T, info: EventInfo) => void,
    options?: SubscribeOptions,
  ): Subscription;
  /** Rejected with a FleetcastError. Never sent twice. */
  publish(channel: string, data: unknown, options: PublishConditions & ({ idempotency: string } | { expect: Position })): Promise<Published>;
  publish(channel: string, data: unknown, options?: RequestOptions): Promise<{ offset: number }>;
  /** Events that the gateway keeps: behind since, before an offset, or the latest. Rejected with a FleetcastError. */
  history<T = unknown>(channel: string, options?: HistoryOptions): Promise<History<T>>;
  /** The round trip to the gateway in milliseconds. Rejected with a FleetcastError if there is no connection. */
  ping(options?: RequestOptions): Promise<number>;
  /** Ends the connection until resume. Subscriptions stay, with their positions. */
  pause(): void;
  /** Connects again after pause. */
  resume(): void;
  /** Does not wait for the next attempt, and tries again after a refusal. An open connection is checked. */
  reconnectNow(): void;
  /** Closes for good. */
  close(): void;
}

/** Same as new Fleetcast(url, options). */
export function connect(url: string | URL, options?: Options): Fleetcast;
