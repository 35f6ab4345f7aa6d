// Written from fleetcast.js: change that, and run go test -run Written -update.
(function () {
"use strict";

// Client of a fleetcast gateway (protocol fleetcast.v1) for browsers and Node.
//
// One Fleetcast keeps one WebSocket open: it connects again when the connection ends, subscribes
// from the last event seen, so that the gateway sends what was missed, and says what the gateway
// does not have any more. Everything runs on the event loop that made it; callbacks are never called
// from within a method of the client.
//
// From the top: limits, errors, listeners, the back-off, rates, the watch over a silent
// connection, tokens, subscriptions, the channels that they need, and the client, which owns all
// of them.

const PROTOCOL = "fleetcast.v1";
const BEARER = "bearer."; // how the subprotocol begins that shows a token

// Times in milliseconds.
const BACKOFF_INITIAL = 500;
const BACKOFF_MAX = 30_000;
const STABLE_AFTER = 10_000; // a connection that was open this long starts the back-off anew
const CONNECT_TIMEOUT = 15_000; // from the attempt to the gateway's welcome
const CLOSE_TIMEOUT = 1000; // from an attempt's error to its close, which Node 20 leaves out
const PONG_TIMEOUT = 10_000; // of silence, while a pong is awaited
const TICK = 10_000; // how often the watch looks at the clock
const LATE = 5_000; // a timer this much behind tells of sleep or a frozen tab
const DEFAULT_PING_INTERVAL = 25_000; // until the gateway has named its own
const MAX_RETRY_AFTER = 3_600_000; // that the gateway can ask for; timers overflow at 2^31
const TOKEN_TIMEOUT = 30_000; // of one call of getToken
const TOKEN_MARGIN = 60_000; // a token that ends sooner is not shown if there can be a new one
const TICKET_LIFE = 290_000; // from the welcome; the gateway allows five minutes at most
const HIDDEN_PAUSE = 300_000; // the most between failed calls of getToken while the page is hidden
const PACE = 250; // between two messages with channels, when the gateway's rate holds them up

// Limits of one command that names several channels, where the gateway does not tell its own.
const BATCH_CHANNELS = 128;
const BATCH_BYTES = 4096;
const MAX_BATCH_CHANNELS = 1024; // whatever the gateway allows
const COMMAND_BYTES = 64; // of such a command without the names
const MAX_CHANNEL_BYTES = 255;

// Limits of what can be asked of a history.
const MAX_LAST = 1_000_000; // events before the live ones
const MAX_HISTORY = 1000; // events of one answer

const MAX_IDEMPOTENCY = 64; // bytes of the name of an event

// Calls for tokens of subscriptions that are under way at a time.
const TOKEN_CALLS = 8;

// Close codes for who a client is.
const UNAUTHENTICATED = 4401;
const FORBIDDEN = 4403;

// The share of a rate that is used, since clocks differ.
const RATE_SHARE = 0.98;

const utf8 = new TextEncoder();
const byteLength = (text) => utf8.encode(text).length;

// Refusals of subscriptions that may pass while the connection stays.
const TEMPORARY = new Set(["not_available", "internal"]);

// Refusals of a whole command, whatever channels it names.
const MALFORMED = new Set(["bad_request", "unknown_type"]);

// Refusals of authenticate that say nothing about the token.
const NOT_NOW = new Set(["not_available", "internal", "rate_limited", "timeout"]);

/**
 * An error with a `code`: one of the protocol's, or one of the client's own. `channel` is the
 * channel that it is about, `channels` are all of them if it is about several. retryAfter is for
 * how many milliseconds the gateway asks not to try again, if it does. An error with the code
 * refused has the gateway's `reason`, one with the code conflict the channel's `position`.
 */
class FleetcastError extends Error {
  constructor(code, message, { channel, channels, cause, retryAfter, reason, position } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "FleetcastError";
    this.code = code;
    this.channel = channel;
    this.channels = channels;
    this.retryAfter = retryAfter;
    this.reason = reason;
    this.position = position;
  }
}

// The pause that a message of the gateway asks for, or undefined.
function pauseOf({ retry_after_ms: pause }) {
  return typeof pause === "number" && pause >= 0 ? Math.min(pause, MAX_RETRY_AFTER) : undefined;
}

// The limits that a welcome tells: null if it tells none, undefined for each that it leaves out.
function limitsOf({ limits }) {
  if (typeof limits !== "object" || limits === null) return null;
  const limit = (key) => (Number.isFinite(limits[key]) && limits[key] > 0 ? limits[key] : undefined);
  return Object.freeze({
    commandsPerSecond: limit("commands_per_second"),
    commandsBurst: limit("commands_burst"),
    publishesPerSecond: limit("publishes_per_second"),
    publishesBurst: limit("publishes_burst"),
    channels: limit("channels"),
    namesPerCommand: limit("names_per_command"),
    messageBytes: limit("message_bytes"),
    eventBytes: limit("event_bytes"),
    channelBytes: limit("channel_bytes"),
  });
}

/** The listeners of one object, by the name of what they listen to. */
class Listeners {
  #names;
  #sets = new Map(); // there may be thousands of subscriptions: only those that are used

  constructor(initial) {
    this.#names = Object.keys(initial);
    for (const [name, listener] of Object.entries(initial)) {
      if (listener !== undefined && listener !== null) this.add(name, listener);
    }
  }

  /** Returns the function that removes the listener. */
  add(name, listener) {
    if (typeof listener !== "function") throw new TypeError(`the listener to ${name} is not a function`);
    this.#check(name);
    if (!this.#sets.has(name)) this.#sets.set(name, new Set());
    this.#sets.get(name).add(listener);
    return () => this.remove(name, listener);
  }

  remove(name, listener) {
    this.#check(name);
    this.#sets.get(name)?.delete(listener);
  }

  of(name) {
    return [...(this.#sets.get(name) ?? [])];
  }

  #check(name) {
    if (this.#names.includes(name)) return;
    throw new TypeError(`there is nothing named ${name} to listen to, only ${this.#names.join(", ")}`);
  }
}

/** Delays between attempts: exponential with full jitter, so that no two clients keep step. */
class Backoff {
  #random;
  #initial;
  #max;
  #failures = 0;

  constructor(random, { initial = BACKOFF_INITIAL, max = Math.max(BACKOFF_MAX, initial) } = {}) {
    if (!(initial > 0 && initial <= max && max <= MAX_RETRY_AFTER)) {
      throw new TypeError(`backoff needs 0 < initial <= max <= ${MAX_RETRY_AFTER}, in milliseconds`);
    }
    this.#random = random;
    this.#initial = initial;
    this.#max = max;
  }

  reset() {
    this.#failures = 0;
  }

  next() {
    const most = Math.min(this.#max, this.#initial * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    return this.#random() * most;
  }
}

/** Counts what a rate of the gateway allows. Without a rate everything is allowed. */
class Bucket {
  #clock;
  #perMS = 0;
  #left = Infinity;
  #at;

  burst = Infinity; // the most that is ever allowed at once

  constructor(clock, perSecond, burst = 1) {
    this.#clock = clock;
    this.#at = clock.now();
    if (perSecond === undefined) return;
    this.#perMS = (perSecond * RATE_SHARE) / 1000;
    this.#left = this.burst = Math.max(1, Math.floor(burst));
  }

  /** How many are allowed now; negative if more were taken than were allowed. */
  get left() {
    const now = this.#clock.now();
    const passed = Math.max(0, now - this.#at); // the clock may be set back
    this.#at = now;
    this.#left = Math.min(this.burst, this.#left + passed * this.#perMS);
    return this.#left;
  }

  /** Takes n, and returns what arrived wants to know of it. */
  take(n) {
    const taken = { left: this.left, at: this.#at };
    this.#left -= n;
    return taken;
  }

  /**
   * What was taken has arrived, perhaps only now. A gateway whose own count was full until then has
   * allowed nothing more for the time on the way.
   */
  arrived({ left, at }) {
    const surplus = left + (this.#clock.now() - at) * this.#perMS - this.burst;
    if (surplus > 0) this.#left -= surplus;
  }

  /** After how many milliseconds n are allowed, or all that ever are at once. */
  wait(n) {
    const missing = Math.min(n, this.burst) - this.left;
    return missing > 0 ? Math.ceil(missing / this.#perMS) : 0;
  }

  /** n of those that were taken were not counted by the gateway. */
  give(n) {
    this.#left = Math.min(this.burst, this.left + n);
  }

  /** How many are allowed in so many milliseconds, on average. */
  within(ms) {
    return this.burst === Infinity ? Infinity : this.#perMS * ms;
  }

  /** What subscriptions leave for publishes and pings: what a second allows, but at most a quarter. */
  get reserve() {
    return this.burst === Infinity ? 0 : Math.floor(Math.min(this.burst / 4, this.#perMS * 1000));
  }
}

/**
 * Watches over an open connection. Pages do not see a WebSocket's pings, so a connection that
 * died silently looks idle. After two quiet ping intervals, after sleep, and whenever asked to
 * check, it sends a ping of the protocol and declares the connection dead if the line stays
 * silent for PONG_TIMEOUT.
 */
class Watch {
  #clock;
  #quiet;
  #tick;
  #ping;
  #dead;
  #heardAt;
  #due = 0;
  #timer;
  #awaitsPong = false;
  #secondChance = false;

  constructor(clock, pingInterval, ping, dead) {
    this.#clock = clock;
    this.#quiet = 2 * pingInterval;
    this.#tick = Math.min(TICK, pingInterval);
    this.#ping = ping;
    this.#dead = dead;
    this.#heardAt = clock.now();
    this.#arm(this.#tick);
  }

  heard() {
    this.#heardAt = this.#clock.now();
  }

  // Only the pong ends a check: other messages may have lain in a buffer since before the sleep.
  pong() {
    if (!this.#awaitsPong) return;
    this.#awaitsPong = false;
    this.#secondChance = false;
    this.#arm(this.#tick);
  }

  check() {
    if (!this.#awaitsPong) this.#probe();
  }

  stop() {
    this.#clock.clearTimeout(this.#timer);
  }

  #probe() {
    this.#awaitsPong = true;
    // Armed first: a ping that finds the connection gone stops the watch.
    this.#arm(PONG_TIMEOUT);
    this.#ping();
  }

  #arm(delay) {
    this.#clock.clearTimeout(this.#timer);
    this.#due = this.#clock.now() + delay;
    this.#timer = this.#clock.setTimeout(() => this.#fire(), delay);
  }

  #fire() {
    const now = this.#clock.now();
    // A clock that was set back counts as silence too, hence abs.
    const silence = Math.abs(now - this.#heardAt);
    if (now - this.#due > LATE && !this.#secondChance) {
      // The pong of an earlier ping may not have had its chance. It gets one more, not many: a
      // tab in the background has no timer that is on time.
      this.#secondChance = this.#awaitsPong;
      this.#probe();
    } else if (!this.#awaitsPong) {
      if (silence >= this.#quiet) this.#probe();
      else this.#arm(this.#tick);
    } else if (silence < PONG_TIMEOUT) {
      this.#arm(PONG_TIMEOUT - silence); // the pong waits behind what still arrives
    } else {
      this.#dead();
    }
  }
}

// What may be the name of a subprotocol (RFC 9110, 5.6.2). Every JSON Web Token is.
const isToken = (text) => typeof text === "string" && /^[\w!#$%&'*+.^`|~-]+$/.test(text);

// Calls a getToken of the page. promise resolves to a token, or null if there is none to be had, and
// is rejected with an error of the code get_token. After cancel it stays as it is. No error shows
// what getToken has returned.
function callForToken(clock, getToken, context, channel) {
  const controller = new AbortController();
  let timer;
  const promise = new Promise((resolve, reject) => {
    const fail = (why, cause) => reject(new FleetcastError("get_token", `getToken ${why}`, { channel, cause }));
    timer = clock.setTimeout(() => {
      fail(`has not answered within ${TOKEN_TIMEOUT} ms`);
      controller.abort();
    }, TOKEN_TIMEOUT);
    const end = (settle) => (value) => {
      clock.clearTimeout(timer);
      if (!controller.signal.aborted) settle(value);
    };
    const got = (token) => {
      if (token === null || token === undefined) resolve(null);
      else if (isToken(token)) resolve(token);
      else fail(`returned what is no token: ${typeof token === "string" ? "text that is empty or has other characters" : typeof token}`);
    };
    Promise.resolve()
      .then(() => getToken({ ...context, signal: controller.signal }))
      .then(end(got), end((cause) => fail(`failed: ${cause}`, cause)));
  });
  const cancel = () => {
    clock.clearTimeout(timer);
    controller.abort();
  };
  return { promise, cancel };
}

/**
 * Who the client says it is: its token, and the ticket that stands for the token for a while. The
 * page is asked for a token by one call at a time, whose result is for everybody who waits.
 */
class Credentials {
  #clock;
  #getToken;
  #fixed; // the option token
  #token; // undefined: there is none
  #fetched = false;
  #endsAt = Infinity; // of the token, as far as the gateway has told
  #ticket;
  #ticketEndsAt = 0;
  #refused = false; // the last token was
  #call = null;

  constructor(clock, { token, getToken }) {
    if (token !== undefined && !isToken(token)) throw new TypeError("connect: the token is no text that can be one");
    if (getToken !== undefined && typeof getToken !== "function") throw new TypeError("connect: getToken is not a function");
    this.#clock = clock;
    this.#getToken = getToken;
    this.#fixed = this.#token = token;
  }

  /** Whether there can be another token. */
  get renewable() {
    return this.#getToken !== undefined;
  }

  /** Whether the client shows anything at all. */
  get any() {
    return this.renewable || this.#fixed !== undefined;
  }

  get token() {
    return this.#token;
  }

  /** Whether the token came from getToken, and the gateway has not accepted or refused it yet. */
  get fetched() {
    return this.#fetched;
  }

  /** What to show: {text, ticket, fetched}, without text if nothing; null if a token must be asked for. */
  present() {
    const now = this.#clock.now();
    const ends = this.#endsAt - now < TOKEN_MARGIN;
    if (this.#ticket !== undefined && now < this.#ticketEndsAt && !ends) return { text: this.#ticket, ticket: true };
    if (this.#token !== undefined && !(ends && this.renewable)) return { text: this.#token, fetched: this.#fetched };
    return this.renewable ? null : {};
  }

  /** Asks the page for a token: resolves to it, or to null, or is rejected as callForToken's promise. */
  async ask(reason = this.#refused ? "refused" : "connect") {
    const call = (this.#call ??= callForToken(this.#clock, this.#getToken, { reason }));
    try {
      const token = await call.promise;
      if (this.#call === call && token !== null) this.#take(token);
      return token;
    } finally {
      if (this.#call === call) this.#call = null;
    }
  }

  // The ticket stands for the token before.
  #take(token) {
    this.#token = token;
    this.#fetched = true;
    this.#endsAt = Infinity;
    this.#ticket = undefined;
  }

  /** The gateway knows the client by what it has shown, and tells what a welcome does. */
  accepted({ expires_in_ms: expires, ticket }, shown) {
    const now = this.#clock.now();
    if (!this.any) return;
    this.#refused = this.#fetched = false;
    this.#endsAt = expires > 0 ? now + expires : Infinity;
    // A ticket that was got for another one ends with that.
    const life = now + TICKET_LIFE;
    this.#ticketEndsAt = shown.ticket ? Math.min(this.#ticketEndsAt, life) : life;
    this.#ticket = isToken(ticket) ? ticket : undefined;
  }

  dropTicket() {
    this.#ticket = undefined;
  }

  /** The token was refused. */
  drop() {
    this.forget();
    this.#refused = true;
  }

  /** Begins anew. */
  forget() {
    this.#ticket = undefined;
    this.#token = this.renewable ? undefined : this.#fixed;
    this.#endsAt = Infinity;
    this.#fetched = this.#refused = false;
  }

  /** Gives up the call that is under way. */
  cancel() {
    this.#call?.cancel();
    this.#call = null;
  }
}

/** A handler's interest in one channel. Made by Fleetcast.subscribe. */
class Subscription {
  #channels;
  #handler;
  #listeners;
  #position;
  #last;
  #recover;
  #begun = false; // it was subscribed before
  #getToken;
  #state = "pending";
  #error = null;

  constructor(channels, channel, handler, options) {
    this.#channels = channels;
    this.#handler = handler;
    this.#listeners = new Listeners({
      gap: options.onGap,
      reset: options.onReset,
      recovered: options.onRecovered,
      state: options.onState,
      subscribed: options.onSubscribed,
    });
    this.#position = options.since ? { epoch: options.since.epoch, offset: options.since.offset } : null;
    this.#last = options.last;
    this.#recover = options.recover ?? true;
    this.#getToken = options.getToken;
    this.channel = channel;
  }

  /** The last event seen, {epoch, offset}; null until the gateway has answered. */
  get position() {
    return this.#position ? { ...this.#position } : null;
  }

  /** pending, subscribed, refused or unsubscribed. */
  get state() {
    return this.#state;
  }

  /** Why the gateway has refused or ended it last, or null. */
  get error() {
    return this.#error;
  }

  get active() {
    return this.#state !== "unsubscribed";
  }

  /** Listens to gap, reset, recovered, state or subscribed; returns the function that stops it. */
  on(name, listener) {
    return this.#listeners.add(name, listener);
  }

  off(name, listener) {
    this.#listeners.remove(name, listener);
  }

  unsubscribe() {
    if (this.active) this.#channels.remove(this);
  }

  /** @private */
  _listeners(name) {
    return this.#listeners.of(name);
  }

  /** @private */
  get _handler() {
    return this.#handler;
  }

  /** @private */
  get _getToken() {
    return this.#getToken;
  }

  // What is under way to get earlier events while the channel is live already: {offset, reset, begun},
  // offset being that of the last event that it has. Until then live events are not for it.
  /** @private */
  _behind = null;

  /** @private How many of the latest events it wants if it has no position; undefined if none. */
  get _last() {
    return this.#begun && !this.#recover ? undefined : this.#last;
  }

  /** @private What it wants before live events: {since}, {last}, or null. */
  get _wish() {
    if (this.#begun && !this.#recover) return null;
    if (this.#position) return { since: this.position };
    return this.#last === undefined ? null : { last: this.#last };
  }

  /** @private Returns whether the state is another than before. */
  _enter(state, error) {
    this.#error = error;
    if (this.#state === state) return false;
    this.#state = state;
    return true;
  }

  /** @private It goes on from there. */
  _begin(epoch, offset) {
    this.#position = { epoch, offset };
    this.#begun = true;
  }

  // Everything before offset has passed; returns the gap that this leaves, or null.
  /** @private */
  _advance(offset) {
    const from = this.#position.offset + 1;
    if (offset <= from) return null;
    this.#position.offset = offset - 1;
    return { channel: this.channel, from, to: offset - 1, reset: false };
  }

  // Whether the event of that offset is news; it is then counted as seen.
  /** @private */
  _take(offset) {
    if (offset <= this.#position.offset) return false;
    this.#position.offset = offset;
    return true;
  }
}

// The states of a channel at the gateway, and what they are for its subscriptions. At most one
// command is under way for a channel; the gateway may subscribe the client by itself meanwhile.
const CHANNEL_STATES = {
  tokenless: "pending", // to be asked for, once there is a token for it
  calling: "pending", // the page is asked for this token
  idle: "pending", // to be asked for
  asked: "pending", // a subscribe is under way
  live: "subscribed",
  leaving: "pending", // an unsubscribe is under way
  deferred: "pending", // refused for now; tried again by the retry timer
  full: "refused", // refused for want of room; tried again when another channel is left
  refused: "refused", // until the next connection
};

// The states in which a channel counts against the gateway's limit.
const HELD = new Set(["asked", "live", "leaving"]);

/**
 * The channels of a client: which the gateway has to be asked for or told to leave, and when. It
 * keeps to the limits that the gateway tells. Where those are not known, or the gateway refuses
 * all the same, it sends one message at a time, and pauses for as long as the gateway asks.
 */
class Channels {
  #clock;
  #client;
  // name -> {name, subscriptions, state, position, error, liveSince, and for tokens: getToken, call,
  // token, refresh; auto: the gateway has subscribed the client by itself; awaited: live although the
  // answer to a subscribe is not here yet; muted: a refusal was reported before; and of the last
  // subscribe: asked: {since} or {last}, while it is under way; latest: the offset up to which events
  // are recovered ones; lost: {from, to} of those that do not come; epoch}
  #entries = new Map();

  #open = false;
  #limits = null;
  #pace = null; // of all commands; null: one message at a time
  #history = false; // the gateway keeps events, as far as is known
  #inFlight = 0; // messages
  #namesInFlight = 0;
  #timer; // of the next flush
  #quiet; // the timer of the pause that the gateway has asked for
  #quietUntil = 0;
  #flushing = false;

  #toLeave = new Set();
  #byState = { tokenless: new Set(), idle: new Set(), deferred: new Set(), full: new Set() };
  #calls = 0; // for tokens
  #due = new Set(); // live, and to be asked for with another token, which is to be got
  #ready = new Set(); // the same, with the token
  #behind = new Set(); // subscriptions of live channels for which earlier events are to be asked for
  #random;
  #held = 0;
  #leaving = 0;
  #reported = new Set(); // codes of refusals that may pass, until all have passed
  #retryBackoff;
  #retryTimer;
  #retryAt;
  #retryWhenSeen = null; // a retry that is put off because the page is hidden

  /**
   * client has nextId(), send(id, text, waiting), later(call), call(callback, ...), report(error), listeners(name),
   * and patience(delay), which is longer than delay while the page is hidden.
   */
  constructor(clock, random, client) {
    this.#clock = clock;
    this.#client = client;
    this.#random = random;
    this.#retryBackoff = new Backoff(random);
  }

  get subscriptions() {
    return [...this.#entries.values()].flatMap((entry) => [...entry.subscriptions]);
  }

  /** The gateway has said welcome. pace counts the commands of the connection. */
  connected(limits, pace) {
    this.#open = true;
    this.#limits = limits;
    this.#pace = limits && pace;
    this.#history = limits !== null; // gateways that do not tell their limits are older
    this.#reported.clear();
    this.#retryBackoff.reset();
    this.#flush();
  }

  /** The connection is over: all is to be asked for anew. */
  lost() {
    this.#stop();
    for (const entry of [...this.#entries.values()]) {
      if (entry.state !== "idle") entry.token = undefined; // it was shown
      entry.auto = entry.awaited = entry.muted = false;
      this.#turn(entry, "idle");
      if (entry.subscriptions.size === 0) this.#forget(entry);
    }
  }

  /** Ends all subscriptions. */
  close() {
    this.#stop();
    for (const subscription of this.subscriptions) this.#enter(subscription, "unsubscribed", null);
    for (const entry of this.#entries.values()) {
      this.#endCall(entry);
      this.#endRefresh(entry);
    }
    this.#entries.clear();
  }

  #stop() {
    this.#open = false;
    for (const timer of [this.#timer, this.#quiet, this.#retryTimer]) this.#clock.clearTimeout(timer);
    this.#quiet = this.#retryTimer = undefined;
    this.#inFlight = this.#namesInFlight = 0;
    this.#toLeave.clear();
  }

  add(subscription) {
    let entry = this.#entries.get(subscription.channel);
    const isNew = !entry;
    if (isNew) entry = this.#newEntry(subscription.channel);
    entry.subscriptions.add(subscription);
    entry.getToken ??= subscription._getToken;
    if (isNew || entry.state === "refused" || (entry.state === "idle" && this.#needsToken(entry))) this.#turn(entry, "idle");
    if (entry.state === "live" && entry.position) this.#begin(subscription, entry);
    else this.#enter(subscription, CHANNEL_STATES[entry.state], entry.error);
    this.#settle(entry);
  }

  remove(subscription) {
    const entry = this.#entries.get(subscription.channel);
    entry.subscriptions.delete(subscription);
    entry.getToken = [...entry.subscriptions].find((other) => other._getToken)?._getToken;
    if (entry.subscriptions.size === 0) entry.auto = false; // the page is done with it
    this.#enter(subscription, "unsubscribed", null);
    this.#settle(entry);
  }

  #newEntry(name) {
    const entry = { name, subscriptions: new Set(), state: "idle", position: null, error: null, asked: null, latest: 0, lost: null };
    this.#entries.set(name, entry);
    return entry;
  }

  // Delivery ----------------------------------------------------------------------------------

  // While an unsubscribe is under way the position is kept: it may be refused.
  event({ channel, offset, data }) {
    const entry = this.#entries.get(channel);
    if (!entry?.position) return;
    const { epoch } = entry.position;
    entry.position.offset = Math.max(entry.position.offset, offset);
    if (entry.state !== "live") return;
    const recovered = offset <= entry.latest;
    for (const subscription of [...entry.subscriptions]) {
      if (!subscription._behind) this.#deliver(subscription, { epoch, offset, recovered }, data);
    }
  }

  gap({ channel, to }) {
    const entry = this.#entries.get(channel);
    if (!entry?.position) return;
    entry.position.offset = Math.max(entry.position.offset, to);
    if (entry.state !== "live") return;
    for (const subscription of [...entry.subscriptions]) {
      if (!subscription._behind) this.#skip(subscription, to);
    }
  }

  #deliver(subscription, { epoch, offset, recovered }, data) {
    if (subscription.state !== "subscribed") return;
    this.#skip(subscription, offset - 1);
    if (subscription.state !== "subscribed" || !subscription._take(offset)) return;
    this.#client.call(subscription._handler, data, { channel: subscription.channel, epoch, offset, recovered });
  }

  // The subscription does not get what it has not up to that offset.
  #skip(subscription, to) {
    if (subscription.state === "subscribed") this.#tell(subscription, "gap", subscription._advance(to + 1));
  }

  // To the listeners of the subscription, and to those of the client.
  #tell(subscription, name, what) {
    if (!what || !subscription.active) return;
    for (const listener of [...subscription._listeners(name), ...this.#client.listeners(name)]) this.#client.call(listener, what);
  }

  // Where subscriptions begin ------------------------------------------------------------------

  // The channel is live, and its events go on behind its position. latest is for an answer that tells
  // the offset of the channel's latest event.
  #begin(subscription, entry, latest) {
    const start = this.#startOf(subscription, entry, latest);
    this.#behind.delete(subscription);
    subscription._behind = null;
    if (!start.behind) {
      this.#go(subscription, entry, start);
      return;
    }
    subscription._behind = { offset: start.from, reset: start.reset, begun: false };
    this.#behind.add(subscription);
    this.#flushSoon();
  }

  // From where a subscription goes on. reset: nobody knows what it has missed. behind: what it wants
  // lies before the channel's events that come, so it is to be asked for.
  #startOf(subscription, { position, latest: recent, lost, asked }, latest) {
    const mine = subscription.position;
    const { epoch, offset } = position;
    const top = Math.max(offset, recent);
    const foreign = mine !== null && mine.epoch !== epoch;
    const reset = foreign || mine?.offset > latest;
    if (mine && !reset) {
      if (subscription._wish === null) return { from: Math.max(mine.offset, top), reset };
      if (mine.offset >= offset) return { from: mine.offset, reset };
      // The gateway has left out what it was asked for.
      const covered = asked?.since?.epoch === epoch && asked.since.offset <= mine.offset;
      return covered || !this.#history ? { from: offset, reset } : { from: mine.offset, reset, behind: true };
    }
    const last = mine && !foreign ? undefined : subscription._last;
    if (last === undefined) return { from: top, reset };
    const from = Math.max(0, top - last, lost?.to ?? 0);
    if (from >= offset) return { from, reset };
    // The gateway has no more.
    if (asked?.last >= last || !this.#history) return { from: offset, reset };
    return { from, reset, behind: true };
  }

  // The subscription gets what comes behind from.
  #go(subscription, entry, { from, reset }, latest = Math.max(entry.position.offset, entry.latest)) {
    const before = subscription.position;
    const asks = subscription._wish !== null;
    const { channel } = subscription;
    const { epoch } = entry.position;
    this.#enter(subscription, "subscribed", null);
    subscription._begin(epoch, from);
    let gap = null;
    if (reset) gap = { channel, from: 1, to: from, reset };
    else if (before && from > before.offset) gap = { channel, from: before.offset + 1, to: from, reset };
    let lost = null; // also what the gateway will tell as a gap
    if (before && !reset) lost = gap ? { from: gap.from, to: gap.to } : behindOffset(entry.lost, before.offset);
    const recovered = !reset && lost === null;
    const place = { channel, epoch, offset: from, recovered: recovered && before !== null };
    const start = before && !reset ? before.offset : from;
    const recovery = { channel, epoch, recovered, lost, from: start, latest: Math.max(start, latest) };
    this.#client.later(() => {
      if (reset) this.#tell(subscription, "reset", { channel, epoch, offset: from, previous: before });
      this.#tell(subscription, "gap", gap);
      if (!subscription.active) return;
      for (const listener of subscription._listeners("subscribed")) this.#client.call(listener, place);
      if (asks) this.#tell(subscription, "recovered", recovery);
    });
  }

  // Earlier events for those who come to a live channel -----------------------------------------

  #sendCatchUps() {
    for (const subscription of this.#behind) {
      if (this.#allowed(1, this.#behind.size) === 0) return;
      this.#behind.delete(subscription);
      const entry = this.#entries.get(subscription.channel);
      const { epoch } = entry.position;
      const behind = subscription._behind;
      const id = this.#client.nextId();
      const since = { epoch, offset: behind.offset };
      const text = JSON.stringify({ type: "history", id, channel: entry.name, since, limit: MAX_HISTORY });
      if (byteLength(text) > (this.#limits?.messageBytes ?? Infinity)) this.#endCatchUp(subscription, entry);
      else this.#send("history", id, text, [entry], { subscription, behind });
    }
  }

  // An answer is as new as the last event that has come, so that nothing is between its last page and
  // the live events.
  #caughtUp(entry, { epoch, latest, events, more }, { subscription, behind }) {
    if (subscription._behind !== behind) return; // it has ended, or begun anew
    if (epoch !== entry.position.epoch || !Array.isArray(events)) {
      this.#endCatchUp(subscription, entry);
      return;
    }
    const fresh = events.filter(({ offset }) => offset > behind.offset);
    if (!behind.begun) {
      const from = fresh.length > 0 ? fresh[0].offset - 1 : entry.position.offset;
      this.#go(subscription, entry, { from, reset: behind.reset }, latest);
      behind.begun = true;
    }
    this.#client.later(() => {
      for (const { offset, data } of fresh) this.#deliver(subscription, { epoch, offset, recovered: true }, data);
    });
    if (more && fresh.length > 0) {
      behind.offset = fresh.at(-1).offset;
      this.#behind.add(subscription);
    } else {
      this.#client.later(() => subscription._behind === behind && this.#endCatchUp(subscription, entry));
    }
  }

  // The subscription gets live events from now on. What it has not got by now it does not get.
  #endCatchUp(subscription, entry) {
    const { begun, reset } = subscription._behind;
    subscription._behind = null;
    const from = entry.position.offset;
    if (begun) this.#skip(subscription, from);
    else this.#go(subscription, entry, { from, reset });
  }

  #enter(subscription, state, error) {
    if (state !== "subscribed") {
      subscription._behind = null;
      this.#behind.delete(subscription);
    }
    if (!subscription._enter(state, error)) return;
    this.#client.later(() => {
      for (const listener of subscription._listeners("state")) this.#client.call(listener, state);
    });
  }

  // What is to be done -------------------------------------------------------------------------

  // The one place where a channel's state changes.
  #turn(entry, state, error = entry.error) {
    if (state === "idle" && this.#needsToken(entry)) state = "tokenless";
    this.#held += HELD.has(state) - HELD.has(entry.state);
    this.#leaving += (state === "leaving") - (entry.state === "leaving");
    this.#byState[entry.state]?.delete(entry);
    this.#byState[state]?.add(entry);
    entry.state = state;
    entry.error = state === "live" ? null : error;
    if (!HELD.has(state)) entry.position = null;
    if (state !== "live" && state !== "leaving") this.#endRefresh(entry);
    if (state === "live") return; // each subscription begins by itself
    for (const subscription of entry.subscriptions) this.#enter(subscription, CHANNEL_STATES[state], error);
  }

  #forget(entry) {
    this.#endCall(entry);
    this.#endRefresh(entry);
    this.#byState[entry.state]?.delete(entry);
    this.#entries.delete(entry.name);
  }

  // Decides what a channel needs. While a command is under way, its answer decides.
  #settle(entry) {
    const wanted = entry.subscriptions.size > 0;
    if (entry.state === "live") {
      if ((wanted || entry.auto) && entry.position) this.#toLeave.delete(entry);
      else if (!entry.awaited) this.#toLeave.add(entry);
    } else if (!HELD.has(entry.state) && !wanted) {
      this.#forget(entry);
    }
    if (this.#toLeave.size + this.#byState.idle.size + this.#byState.tokenless.size > 0) this.#flushSoon();
  }

  // What is asked for in one go travels together.
  #flushSoon() {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  // Sends what may be sent now. What has to wait is sent by the timer, or when an answer comes.
  #flush() {
    if (!this.#open) return;
    this.#clock.clearTimeout(this.#timer);
    this.#callForTokens();
    if (this.#limits?.channels !== undefined) this.#fill();
    for (;;) {
      const type = this.#toLeave.size > 0 ? "unsubscribe" : "subscribe";
      const queue = type === "unsubscribe" ? this.#toLeave : this.#byState.idle;
      if (queue.size === 0) break;
      let most = Math.min(queue.size, this.#limits?.namesPerCommand ?? BATCH_CHANNELS, MAX_BATCH_CHANNELS);
      if (type === "subscribe") most = Math.min(most, this.#room());
      if (most === 0) {
        if (this.#leaving === 0) this.#noRoom();
        break;
      }
      const allowed = this.#allowed(most, queue.size);
      if (allowed === 0) break;
      this.#ask(type, queue, Math.min(most, allowed));
    }
    this.#sendRefreshes();
    this.#sendCatchUps();
    const { tokenless, idle, deferred } = this.#byState;
    if (this.#inFlight + this.#calls + this.#toLeave.size + this.#behind.size + tokenless.size + idle.size + deferred.size === 0) {
      this.#reported.clear();
      this.#retryBackoff.reset();
    }
  }

  // How many channels more the gateway lets this client have.
  #room() {
    return Math.max(0, (this.#limits?.channels ?? Infinity) - this.#held);
  }

  // Channels for which there was no room take what there is now.
  #fill() {
    for (const entry of this.#byState.full) {
      if (this.#byState.idle.size >= this.#room()) return;
      this.#turn(entry, "idle");
    }
  }

  #noRoom() {
    const code = "limit_exceeded";
    const message = `the gateway lets a client have ${this.#limits.channels} channels`;
    const entries = [...this.#byState.idle];
    for (const entry of entries) this.#turn(entry, "full", new FleetcastError(code, message, { channel: entry.name }));
    this.#client.report(aboutChannels(code, message, entries.map((entry) => entry.name)));
  }

  // How many of the names that wait may be sent now; if none, when to look again is settled.
  #allowed(most, waiting) {
    if (this.#quiet !== undefined) return 0;
    if (!this.#pace) return this.#inFlight === 0 ? most : 0;
    const { burst, reserve } = this.#pace;
    // More than a burst may arrive together if it was held up on the way.
    const unanswered = burst - reserve - this.#namesInFlight;
    if (unanswered < 1) return 0;
    const worthwhile = Math.min(waiting, most, Math.max(1, Math.floor(this.#pace.within(PACE))));
    const wait = this.#pace.wait(worthwhile + reserve);
    if (wait > 0) {
      this.#clock.clearTimeout(this.#timer);
      this.#timer = this.#clock.setTimeout(() => this.#flush(), wait);
      return 0;
    }
    return Math.max(1, Math.floor(Math.min(this.#pace.left - reserve, unanswered)));
  }

  // Sends one message for the first channels of the queue, as many as may be and fit.
  #ask(type, queue, most) {
    const mostBytes = this.#limits?.messageBytes ?? BATCH_BYTES;
    const entries = [];
    let bytes = COMMAND_BYTES;
    for (const entry of queue) {
      entry.asked = type === "subscribe" ? wishOf(entry) : null;
      bytes += byteLength(JSON.stringify(this.#element(entry))) + 1;
      if (entries.length === most || (entries.length > 0 && bytes > mostBytes)) break;
      // A token travels with one name.
      if (entry.token !== undefined && entries.length > 0) break;
      entries.push(entry);
      if (entry.token !== undefined) break;
    }
    for (const entry of entries) {
      queue.delete(entry);
      this.#turn(entry, type === "subscribe" ? "asked" : "leaving");
    }
    const id = this.#client.nextId();
    const text = entries.length > 1 ? this.#batch(type, id, entries) : this.#command(type, id, entries[0]);
    if (text === null) {
      const error = new FleetcastError("limit_exceeded", `${type}: a message for this channel is longer than the gateway takes`, { channel: entries[0].name });
      this.#turn(entries[0], "refused", error);
      this.#client.report(error);
      return;
    }
    this.#send(type, id, text, entries, { objects: entries.length > 1 && entries.some(({ asked }) => asked) });
  }

  #send(type, id, text, entries, more) {
    this.#inFlight++;
    this.#namesInFlight += entries.length;
    const taken = this.#pace?.take(entries.length);
    const channels = new Map(entries.map((entry) => [entry.name, entry]));
    const waiting = { type, channels, names: entries.length, taken, refusals: new Map(), pause: undefined, ...more };
    this.#client.send(id, text, waiting);
  }

  // A channel among others in a command. Older gateways take only names there.
  #element({ name, asked }) {
    return asked && this.#history ? { channel: name, ...asked } : name;
  }

  #batch(type, id, entries) {
    const text = JSON.stringify({ type, id, channels: entries.map((entry) => this.#element(entry)) });
    if (!this.#history) for (const entry of entries) entry.asked = null;
    return text;
  }

  // The text of a command for one channel, or null if the gateway would close the connection for its length.
  #command(type, id, entry) {
    const fits = (text) => byteLength(text) <= (this.#limits?.messageBytes ?? Infinity);
    const command = { type, id, channel: entry.name, token: type === "subscribe" ? entry.token : undefined };
    const whole = JSON.stringify({ ...command, ...entry.asked });
    if (fits(whole)) return whole;
    entry.asked = null;
    const short = JSON.stringify(command);
    return fits(short) ? short : null;
  }

  // Answers -----------------------------------------------------------------------------------

  /** Takes an answer to a command. Returns whether it was the last one. */
  answer(message, waiting) {
    if (message.type === "error" && MALFORMED.has(message.code)) {
      if (waiting.objects) this.#withoutHistory(waiting);
      else for (const entry of waiting.channels.values()) this.#refused(entry, message, waiting);
      waiting.channels.clear();
    } else {
      // There is one answer for each name, in their order. Errors do not name the channel.
      const name = message.type === "error" ? waiting.channels.keys().next().value : message.channel;
      const entry = waiting.channels.get(name);
      if (!waiting.channels.delete(name)) return false;
      if (message.type === "error") this.#refused(entry, message, waiting);
      else if (waiting.type === "refresh") this.#refreshed(message);
      else if (waiting.type === "history") this.#caughtUp(entry, message, waiting);
      else if (message.type === "subscribed") this.#subscribed(entry, message);
      else this.#left(entry);
    }
    if (waiting.channels.size > 0) return false;
    this.#inFlight--;
    this.#namesInFlight -= waiting.names;
    if (waiting.taken) this.#pace?.arrived(waiting.taken);
    this.#reportRefusals(waiting);
    if (waiting.pause !== undefined) this.#pauseFor(waiting.pause);
    this.#flush();
    return true;
  }

  // The gateway allows less than it has told. Pauses that several messages are told add up, since
  // each is for the names of one.
  #pauseFor(pause) {
    this.#pace = null;
    const now = this.#clock.now();
    const rest = this.#quiet === undefined ? 0 : Math.max(0, this.#quietUntil - now);
    this.#quietUntil = now + Math.min(rest + pause, MAX_RETRY_AFTER);
    this.#clock.clearTimeout(this.#quiet);
    this.#quiet = this.#clock.setTimeout(() => {
      this.#quiet = undefined;
      this.#flush();
    }, this.#quietUntil - now);
  }

  #subscribed(entry, message) {
    this.#turn(entry, "live");
    entry.awaited = entry.muted = false;
    entry.token = undefined;
    this.#refreshIn(entry, message.refresh_in_ms);
    this.#goLive(entry, message);
    this.#settle(entry);
  }

  // The channel's subscriptions begin. A gateway that does not answer what it was asked has no history.
  #goLive(entry, { epoch, offset, latest, recovered, lost }) {
    if (entry.asked && latest === undefined) this.#history = false;
    entry.liveSince = this.#clock.now();
    entry.epoch = epoch;
    entry.position = { epoch, offset };
    entry.lost = lost ?? null;
    // If the position is not known, what comes are live events.
    entry.latest = recovered === false && !lost ? offset : (latest ?? offset);
    for (const subscription of entry.subscriptions) this.#begin(subscription, entry, latest);
    entry.asked = null; // it says nothing of those who join
  }

  // The gateway is an older one, which takes only names for channels, and has counted one command.
  #withoutHistory({ channels, names }) {
    this.#history = false;
    this.#pace?.give(names - 1);
    for (const entry of channels.values()) this.#turn(entry, "idle");
  }

  // The gateway has room for another channel. See #fill, too.
  #left(entry) {
    this.#turn(entry, "idle");
    this.#roomForAnother();
    this.#settle(entry);
  }

  #roomForAnother() {
    const next = this.#firstWithoutRoom();
    if (next) this.#turn(next, "idle");
  }

  #firstWithoutRoom() {
    for (const entry of this.#byState.full) return entry;
    for (const entry of this.#byState.deferred) if (entry.error.code === "limit_exceeded") return entry;
    return null;
  }

  #refused(entry, message, waiting) {
    const { code } = message;
    const pause = pauseOf(message);
    if (code === "rate_limited") {
      waiting.pause = Math.max(waiting.pause ?? 0, pause ?? this.#retryBackoff.next());
    }
    if (waiting.type === "unsubscribe") {
      this.#notLeft(entry, message, waiting);
      return;
    }
    if (waiting.type === "history") {
      this.#notCaughtUp(entry, code, waiting);
      return;
    }
    if (waiting.type === "refresh") {
      if (entry.refresh) this.#refreshLater(entry, new FleetcastError(code, message.message, { channel: entry.name, retryAfter: pause }));
      return;
    }
    if (entry.awaited) { // the gateway has subscribed the client by itself meanwhile
      entry.awaited = false;
      this.#settle(entry);
      return;
    }
    const error = new FleetcastError(code, message.message, { channel: entry.name, retryAfter: pause });
    if (code !== "rate_limited") entry.token = undefined;
    if (code === "rate_limited") {
      this.#turn(entry, "idle", error);
    } else if (code === "already_subscribed") {
      this.#turn(entry, "live"); // from where is not known: it is left, and asked for anew
    } else if (code === "limit_exceeded" && this.#limits?.channels === undefined) {
      this.#turn(entry, "full", error);
    } else if (code === "limit_exceeded" || TEMPORARY.has(code)) {
      this.#turn(entry, "deferred", error); // the whole gateway is full, or stops
      this.#retryLater(pause);
    } else {
      this.#turn(entry, "refused", error);
      if (entry.subscriptions.size > 0 && !(entry.muted && code === "permission_denied")) this.#client.report(error);
    }
    const passes = code !== "already_subscribed" && entry.state !== "refused";
    if (passes && entry.subscriptions.size > 0) this.#gather(error, waiting);
    this.#settle(entry);
  }

  // Earlier events were refused: the subscription does without them.
  #notCaughtUp(entry, code, { subscription, behind }) {
    if (code === "unknown_type") this.#history = false;
    if (subscription._behind !== behind) return;
    if (code === "rate_limited") this.#behind.add(subscription);
    else this.#endCatchUp(subscription, entry);
  }

  // An unsubscribe was refused.
  #notLeft(entry, message, waiting) {
    const error = new FleetcastError(message.code, message.message, { channel: entry.name, retryAfter: pauseOf(message) });
    if (message.code !== "rate_limited") {
      if (message.code !== "not_subscribed") this.#client.report(error);
      this.#left(entry);
      return;
    }
    this.#gather(error, waiting);
    this.#turn(entry, "live");
    if (entry.position) for (const subscription of entry.subscriptions) this.#begin(subscription, entry);
    this.#settle(entry);
  }

  #gather(error, { refusals }) {
    const gathered = refusals.get(error.code) ?? { message: error.message, names: [], retryAfter: undefined };
    gathered.names.push(error.channel);
    if (error.retryAfter !== undefined) gathered.retryAfter = Math.max(gathered.retryAfter ?? 0, error.retryAfter);
    refusals.set(error.code, gathered);
  }

  // What may pass is told once, and not again before all is well.
  #reportRefusals({ refusals }) {
    for (const [code, { message, names, retryAfter }] of refusals) {
      if (this.#reported.has(code)) continue;
      this.#reported.add(code);
      this.#client.report(aboutChannels(code, message, names, retryAfter));
    }
  }

  // What was refused for now is tried again together: after the longest of the pauses that the
  // gateway asks for, or, where it asks for none, with back-off.
  #retryLater(pause) {
    if (pause === undefined && this.#retryTimer !== undefined) return;
    const delay = pause ?? this.#retryBackoff.next();
    const at = this.#clock.now() + delay;
    if (this.#retryTimer !== undefined) {
      if (at <= this.#retryAt) return;
      this.#clock.clearTimeout(this.#retryTimer);
    }
    this.#retryIn(delay);
  }

  #retryIn(delay) {
    this.#clock.clearTimeout(this.#retryTimer);
    this.#retryAt = this.#clock.now() + delay;
    this.#retryWhenSeen = null;
    this.#retryTimer = this.#clock.setTimeout(() => {
      this.#retryTimer = undefined;
      for (const entry of [...this.#byState.deferred]) this.#turn(entry, "idle");
      this.#flush();
    }, delay);
  }

  // Tokens of subscriptions ---------------------------------------------------------------------

  #needsToken(entry) {
    return entry.getToken !== undefined && entry.token === undefined;
  }

  // Asks the page for tokens, for a few channels at a time.
  #callForTokens() {
    for (const entry of this.#byState.tokenless) {
      if (this.#calls >= TOKEN_CALLS) return;
      this.#turn(entry, "calling");
      if (!entry.call) this.#callForToken(entry);
    }
    for (const entry of this.#due) {
      if (this.#calls >= TOKEN_CALLS) return;
      if (entry.state !== "live") continue;
      this.#due.delete(entry);
      if (!entry.call && entry.getToken) this.#callForToken(entry);
    }
  }

  // The connection may end meanwhile; then the token is for the next one.
  #callForToken(entry) {
    const call = (entry.call = callForToken(this.#clock, entry.getToken, { reason: "subscribe", channel: entry.name }, entry.name));
    this.#calls++;
    const over = (then) => (result) => {
      if (entry.call !== call) return;
      this.#endCall(entry);
      then(result);
      this.#flush();
    };
    call.promise.then(over((token) => this.#gotToken(entry, token)), over((error) => this.#noToken(entry, error)));
  }

  #endCall(entry) {
    if (!entry.call) return;
    entry.call.cancel();
    entry.call = null;
    this.#calls--;
  }

  #gotToken(entry, token) {
    if (token !== null) {
      entry.token = token;
      if (entry.state === "calling" || entry.state === "tokenless") this.#turn(entry, "idle");
      else if (entry.refresh) this.#ready.add(entry);
    } else if (entry.state === "calling") {
      const error = new FleetcastError("no_token", `subscribe ${entry.name}: getToken has no token`, { channel: entry.name });
      this.#turn(entry, "refused", error);
      this.#client.report(error);
    }
  }

  // As for other refusals that may pass.
  #noToken(entry, error) {
    if (entry.refresh) this.#refreshLater(entry, error);
    if (entry.state !== "calling") return;
    this.#turn(entry, "deferred", error);
    if (!this.#reported.has(error.code)) this.#client.report(error);
    this.#reported.add(error.code);
    this.#retryPatiently();
  }

  #retryPatiently() {
    if (this.#retryTimer !== undefined) return;
    const delay = this.#retryBackoff.next();
    const patience = this.#client.patience(delay);
    this.#retryIn(patience);
    if (patience > delay) this.#retryWhenSeen = this.#clock.now() + delay;
  }

  /** The page is seen again. */
  seen() {
    if (this.#retryTimer === undefined || this.#retryWhenSeen === null) return;
    this.#retryIn(Math.max(0, this.#retryWhenSeen - this.#clock.now()));
  }

  // Another token in time ------------------------------------------------------------------------

  // The gateway has told when it wants another token for the subscription; not if undefined.
  #refreshIn(entry, delay) {
    this.#endRefresh(entry);
    if (!(delay > 0) || !entry.getToken) return;
    entry.refresh = { at: this.#clock.now() + delay, backoff: new Backoff(this.#random), failed: false };
    this.#armRefresh(entry);
  }

  // Timers overflow at 2^31 ms, which tokens may outlast.
  #armRefresh(entry) {
    const { refresh } = entry;
    const delay = Math.max(0, refresh.at - this.#clock.now());
    refresh.timer = this.#clock.setTimeout(() => {
      if (this.#clock.now() < refresh.at) {
        this.#armRefresh(entry);
        return;
      }
      this.#due.add(entry);
      this.#flush();
    }, Math.min(delay, MAX_RETRY_AFTER));
  }

  #endRefresh(entry) {
    this.#clock.clearTimeout(entry.refresh?.timer);
    entry.refresh = undefined;
    this.#due.delete(entry);
    this.#ready.delete(entry);
  }

  // The subscriptions stay as they are meanwhile.
  #sendRefreshes() {
    for (const entry of this.#ready) {
      if (entry.state !== "live") continue;
      if (this.#allowed(1, this.#ready.size) === 0) return;
      this.#ready.delete(entry);
      const id = this.#client.nextId();
      const text = JSON.stringify({ type: "subscribe", id, channel: entry.name, token: entry.token });
      entry.token = undefined;
      if (byteLength(text) <= (this.#limits?.messageBytes ?? Infinity)) this.#send("refresh", id, text, [entry]);
    }
  }

  // Mostly the channel's events go on, so its position is known better than the answer tells. But
  // the subscription may have ended while the command was under way; then it has begun anew.
  #refreshed(message) {
    const entry = this.#entries.get(message.channel) ?? this.#newEntry(message.channel);
    if (entry.state === "live" && entry.position) this.#refreshIn(entry, message.refresh_in_ms);
    else if (entry.state !== "leaving") this.#subscribed(Object.assign(entry, { asked: null }), message);
  }

  // The subscription lasts until its last token ends.
  #refreshLater(entry, error) {
    const { refresh } = entry;
    if (!refresh.failed && !NOT_NOW.has(error.code)) this.#client.report(error);
    refresh.failed ||= !NOT_NOW.has(error.code);
    refresh.at = this.#clock.now() + (error.retryAfter ?? 0) + this.#client.patience(refresh.backoff.next());
    this.#armRefresh(entry);
  }

  // What the gateway does by itself ------------------------------------------------------------

  /** The gateway has subscribed the client. */
  granted({ channel, epoch, offset }) {
    const entry = this.#entries.get(channel) ?? this.#newEntry(channel);
    if (entry.state === "live" || entry.state === "leaving") return; // the answer to a command tells
    entry.awaited = entry.state === "asked";
    entry.auto = true;
    entry.asked = null;
    this.#turn(entry, "live");
    this.#goLive(entry, { epoch, offset });
    if (entry.subscriptions.size > 0) return;
    for (const listener of this.#client.listeners("auto")) this.#client.call(listener, { channel, epoch, offset });
  }

  /** The gateway has ended a subscription. */
  withdrawn({ channel, code = "permission_denied" }) {
    const entry = this.#entries.get(channel);
    if (entry?.state !== "live") return; // the answer to a command tells
    this.#toLeave.delete(entry);
    entry.auto = false;
    if (entry.awaited) {
      entry.awaited = false;
      this.#turn(entry, "asked");
      return;
    }
    const error = new FleetcastError(code, `the gateway has ended the subscription to ${channel}: ${code}`, { channel });
    this.#roomForAnother();
    if (code === "withdrawn") this.#endAll(entry, error);
    else if (code === "permission_expired" || (entry.getToken && code.startsWith("token_"))) this.#renew(entry, error);
    else this.#turn(entry, "refused", error);
    if (entry.state === "refused" && entry.subscriptions.size > 0) this.#client.report(error);
    this.#settle(entry);
  }

  // An operator has ended the subscriptions: they are not asked for again.
  #endAll(entry, error) {
    if (entry.subscriptions.size > 0) this.#client.report(error);
    for (const subscription of entry.subscriptions) this.#enter(subscription, "unsubscribed", error);
    entry.subscriptions.clear();
    this.#turn(entry, "idle", null);
  }

  // What allowed the subscription has ended: its token, or the word of a hook. One that is
  // over at once must not make a loop.
  #renew(entry, error) {
    if (this.#clock.now() - entry.liveSince >= STABLE_AFTER) {
      this.#turn(entry, "idle", error);
      return;
    }
    this.#turn(entry, "deferred", error);
    this.#retryPatiently();
  }

  /** The client may do other things than before: what was denied is asked for again, and is not reported again. */
  reconsider() {
    for (const entry of this.#entries.values()) {
      if (entry.state !== "refused" || entry.error?.code !== "permission_denied") continue;
      entry.muted = true;
      this.#turn(entry, "idle");
    }
    this.#flush();
  }
}

function aboutChannels(code, message, names, retryAfter) {
  return new FleetcastError(code, message, { channel: names.length === 1 ? names[0] : undefined, channels: names, retryAfter });
}

/** A connection to a gateway that is kept. */
class Fleetcast {
  #url;
  #WebSocket;
  #clock;
  #random;
  #window;
  #listeners;
  #calls = []; // callbacks that are due

  #state = { state: "connecting" };
  #backoff;
  #timer; // of the next attempt, or of the one under way
  #notBefore = 0; // when a goodbye allows to come back
  #shelved = false; // the page is in the back-forward cache
  #offlineSeen = false;
  #removeListeners = () => {};

  #credentials;
  #asking = null; // set while an attempt waits for a token
  #shown = {}; // what the latest attempt has shown of the credentials
  #hurried = false; // it has come back at once after a refusal, and not stayed since
  #freshRefused = 0; // tokens in a row that were new and refused
  #tokenBackoff;
  #warned = false; // that the gateway takes no notice of tokens
  #tokenNotBefore = 0; // when getToken may be called after it has failed
  #whenSeen = null; // when to go on, were the page not hidden
  #refreshAt = null; // when to get a new token for the open connection
  #refreshTimer;
  #refreshing = false;
  #refreshRefused = false; // the last token for that
  #unsent = false; // the token that is held is still to be taken by the open connection
  #user = null;
  #expiresAt = null;

  #socket = null;
  #watch = null; // set from the welcome to the connection's end
  #probe; // the id of the watch's last ping
  #openedAt = 0;
  #goodbye = false;
  #limits = null;
  #commands; // what the gateway's rates allow, while it is connected
  #publishes;

  #nextId = 1;
  #replies = new Map(); // id -> what waits for its reply
  #channels;

  constructor(url, options = {}) {
    this.#url = absolute(url);
    this.#WebSocket = options.WebSocket ?? globalThis.WebSocket;
    if (!this.#WebSocket) {
      throw new FleetcastError("no_websocket", "this runtime has no WebSocket; give one as options.WebSocket");
    }
    this.#clock = options.clock ?? {
      now: () => Date.now(),
      setTimeout: (f, delay) => globalThis.setTimeout(f, delay),
      clearTimeout: (timer) => globalThis.clearTimeout(timer),
    };
    const random = options.random ?? Math.random;
    this.#random = random;
    this.#backoff = new Backoff(random, options.backoff);
    this.#tokenBackoff = new Backoff(random, options.backoff);
    this.#credentials = new Credentials(this.#clock, options);
    this.#window = options.window === undefined ? globalThis : options.window;
    this.#listeners = new Listeners({
      state: options.onState,
      gap: options.onGap,
      reset: options.onReset,
      recovered: options.onRecovered,
      error: options.onError,
      auto: options.onAuto,
    });
    this.#channels = new Channels(this.#clock, random, {
      nextId: () => this.#nextId++,
      send: (id, text, waiting) => {
        this.#replies.set(id, waiting);
        this.#socket.send(text);
      },
      later: (call) => this.#later(call),
      call: (callback, ...args) => this.#call(callback, ...args),
      report: (error) => this.#report(error),
      listeners: (name) => this.#listeners.of(name),
      patience: (delay) => this.#patience(delay),
    });
    this.#listen();
    queueMicrotask(() => this.#attempt());
  }

  /** Where the connection stands; see onState. */
  get state() {
    return this.#state;
  }

  /** What the gateway allows this connection; null while there is none, or if it does not tell. */
  get limits() {
    return this.#limits;
  }

  /** The user as whom the gateway knows this client, or null. It stays while the client connects again. */
  get user() {
    return this.#user;
  }

  /** When that ends unless there is a new token, as Date.now() counts; null: never, or not known. */
  get expiresAt() {
    return this.#expiresAt;
  }

  /** All subscriptions that have not ended, those of a channel one behind the other. */
  get subscriptions() {
    return this.#channels.subscriptions;
  }

  /** Listens to state, gap, reset, recovered, auto or error; returns the function that stops it. */
  on(name, listener) {
    return this.#listeners.add(name, listener);
  }

  off(name, listener) {
    this.#listeners.remove(name, listener);
  }

  /**
   * Calls handler(data, {channel, epoch, offset, recovered}) for each event of channel from now on,
   * before those for the ones behind the position since, or for the last ones.
   */
  subscribe(channel, handler, options = {}) {
    this.#mustNotBeClosed();
    checkChannel(channel);
    if (typeof handler !== "function") throw new TypeError("subscribe: the handler is not a function");
    if (options.since) checkPosition(options.since);
    checkCount("subscribe: last", options.last, MAX_LAST);
    if (options.recover !== undefined && typeof options.recover !== "boolean") throw new TypeError("subscribe: recover is not true or false");
    if (options.getToken !== undefined && typeof options.getToken !== "function") throw new TypeError("subscribe: getToken is not a function");
    const subscription = new Subscription(this.#channels, channel, handler, options);
    this.#channels.add(subscription);
    return subscription;
  }

  /**
   * Resolves to {offset} when the gateway has sequenced the event. Never sends twice. Options are
   * timeout, in milliseconds, and signal, an AbortSignal; and idempotency, a name of the event, and
   * expect, the channel's position: with one of them it resolves to {epoch, offset, duplicate}.
   */
  async publish(channel, data, options = {}) {
    this.#mustNotBeClosed();
    checkChannel(channel);
    const what = `publish ${channel}`;
    const conditions = conditionsOf(options);
    this.#mustBeReady(what, channel, options);
    const json = encodeData(what, channel, data);
    const id = this.#nextId++;
    const text = `{"type":"publish","id":${id},"channel":${JSON.stringify(channel)},"data":${json}${conditions}}`;
    this.#mustFit(what, channel, json, text);
    this.#takeCommand(what, channel, this.#publishes);
    const { epoch, offset, duplicate = false } = await this.#request(id, text, what, channel, options);
    return conditions === "" ? { offset } : { epoch, offset, duplicate };
  }

  /**
   * Resolves to {epoch, latest, events, more}: events [{offset, data}] that the gateway still has of a
   * channel, in order: those behind the position since, those before the offset before, or the latest
   * ones, and at most limit. Other options are those of publish.
   */
  async history(channel, options = {}) {
    this.#mustNotBeClosed();
    checkChannel(channel);
    const { since, before, limit } = options;
    if (since) checkPosition(since);
    checkCount("history: before", before, Number.MAX_SAFE_INTEGER);
    checkCount("history: limit", limit, MAX_HISTORY);
    if (since && before !== undefined) throw new TypeError("history: since and before exclude each other");
    const what = `history ${channel}`;
    this.#mustBeReady(what, channel, options);
    const id = this.#nextId++;
    const position = since ? { epoch: since.epoch, offset: since.offset } : undefined;
    const text = JSON.stringify({ type: "history", id, channel, since: position, before, limit });
    this.#mustFit(what, channel, "", text);
    this.#takeCommand(what, channel);
    const { epoch, latest, events, more } = await this.#request(id, text, what, channel, options);
    return { epoch, latest, events, more };
  }

  /** Resolves to the milliseconds that a message to the gateway and its answer take. Options are those of publish. */
  async ping(options = {}) {
    this.#mustNotBeClosed();
    this.#mustBeReady("ping", undefined, options);
    this.#takeCommand("ping");
    const id = this.#nextId++;
    const sent = performance.now();
    await this.#request(id, JSON.stringify({ type: "ping", id }), "ping", undefined, options);
    return performance.now() - sent;
  }

  /** Ends the connection until resume. Subscriptions stay, with their positions. */
  pause() {
    this.#mustNotBeClosed();
    if (this.#state.state === "paused") return;
    this.#credentials.cancel();
    this.#endConnection(1000, "");
    this.#rejectReplies(connectionLost());
    this.#channels.lost();
    this.#setState({ state: "paused" });
  }

  /** Connects again after pause; nothing if it is not paused. */
  resume() {
    this.#mustNotBeClosed();
    if (this.#state.state !== "paused") return;
    const delay = this.#goodbye ? this.#goodbyeRemainder() : 0;
    if (delay > 0) this.#wait(delay);
    else this.#attemptSoon();
  }

  /**
   * Does not wait for the next attempt, for a goodbye's time, or for the network, and tries again
   * after a refusal: it is for people who ask for it. A connection that is open is checked.
   */
  reconnectNow() {
    this.#mustNotBeClosed();
    if (this.#socket) this.#watch?.check();
    else this.#attemptSoon(true);
  }

  /** Closes for good. Publishes and pings without an answer are rejected with code "closed". */
  close() {
    if (this.#state.state === "closed") return;
    this.#removeListeners();
    this.#credentials.cancel();
    this.#user = this.#expiresAt = null;
    this.#endConnection(1000, "");
    this.#rejectReplies(new FleetcastError("closed", "the client was closed"));
    this.#channels.close();
    this.#setState({ state: "closed" });
  }

  // Connection -------------------------------------------------------------------------------

  #attemptSoon(evenOffline = false) {
    this.#clock.clearTimeout(this.#timer);
    this.#state = { state: "connecting" };
    queueMicrotask(() => this.#attempt(evenOffline));
  }

  // asked: somebody wants it now, whatever the client waits for.
  #attempt(asked = false) {
    const { state } = this.#state;
    if (state === "closed" || state === "paused" || state === "refused" || this.#socket || this.#asking) return;
    this.#clock.clearTimeout(this.#timer);
    this.#whenSeen = null;
    if (this.#offline() && !asked) {
      this.#waitForNetwork();
      return;
    }
    const shown = this.#credentials.present();
    const pause = shown || asked ? 0 : this.#tokenNotBefore - this.#clock.now();
    if (pause > 0) {
      this.#wait(pause);
      return;
    }
    this.#setState({ state: "connecting" });
    if (shown) this.#dial(shown);
    else void this.#askThenDial();
  }

  async #askThenDial() {
    const asking = (this.#asking = {});
    let token;
    let failure;
    try {
      token = await this.#credentials.ask();
    } catch (error) {
      failure = error;
    }
    if (this.#asking !== asking) return;
    this.#asking = null;
    if (failure) this.#wait(this.#tokenFailed(failure), { code: 0, reason: failure.message });
    else if (token === null) this.#giveUp(0, "no_token");
    else this.#dial(this.#credentials.present());
    this.#callAll();
  }

  // A call of getToken has failed; returns how long to wait. #wake shortens that.
  #tokenFailed(error) {
    this.#report(error);
    const now = this.#clock.now();
    const delay = this.#tokenBackoff.next();
    this.#tokenNotBefore = now + delay;
    const patience = this.#patience(delay);
    this.#whenSeen = patience > delay ? this.#tokenNotBefore : null;
    return patience;
  }

  // A page that nobody sees does not ask for tokens again and again.
  #patience(delay) {
    const hidden = this.#window?.document?.visibilityState === "hidden";
    return hidden ? Math.max(delay, HIDDEN_PAUSE * (1 - this.#random() / 2)) : delay;
  }

  #dial(shown) {
    this.#shown = shown;
    const protocols = shown.text === undefined ? [PROTOCOL] : [PROTOCOL, BEARER + shown.text];
    let socket;
    try {
      socket = new this.#WebSocket(this.#url, protocols);
    } catch (cause) {
      this.#report(new FleetcastError("connect", `connect to ${this.#url}: ${cause}`, { cause }));
      this.#wait(this.#backoff.next());
      return;
    }
    this.#socket = socket;
    this.#goodbye = false;
    this.#timer = this.#clock.setTimeout(() => this.#lose(0, "no welcome in time"), CONNECT_TIMEOUT);
    // What a socket says after it was given up is not heard: #endConnection removes these.
    socket.onmessage = (event) => this.#receive(event.data);
    // A close always follows an error. Browsers do not tell pages what failed; the package ws and
    // Node do, with the status of a refused handshake or the network's error.
    let failure = "";
    socket.onerror = (event) => {
      failure = event?.message || failure;
      if (this.#watch) return;
      this.#clock.clearTimeout(this.#timer);
      this.#timer = this.#clock.setTimeout(() => this.#lose(0, failure || "the attempt failed"), CLOSE_TIMEOUT);
    };
    socket.onclose = (event) => this.#lose(event.code, event.reason || failure);
  }

  #welcome(message) {
    if (this.#watch) return;
    this.#clock.clearTimeout(this.#timer);
    this.#openedAt = this.#clock.now();
    this.#notBefore = 0;
    const limits = (this.#limits = limitsOf(message));
    this.#commands = new Bucket(this.#clock, limits?.commandsPerSecond, limits?.commandsBurst);
    this.#publishes = new Bucket(this.#clock, limits?.publishesPerSecond, limits?.publishesBurst);
    const interval = message.ping_interval_ms > 0 ? message.ping_interval_ms : DEFAULT_PING_INTERVAL;
    this.#watch = new Watch(
      this.#clock,
      interval,
      () => this.#sendProbe(),
      () => this.#lose(0, "no pong in time"),
    );
    this.#freshRefused = 0;
    this.#credentials.accepted(message, this.#shown);
    this.#tokenAccepted(message);
    this.#warnIfIgnored(message);
    if (message.authenticate_within_ms !== undefined && !this.#credentials.any) {
      this.#giveUp(UNAUTHENTICATED, "authentication_required");
      return;
    }
    this.#setState({ state: "open", client: message.client, ...(this.#user !== null && { user: this.#user }) });
    this.#channels.connected(limits, this.#commands);
  }

  // A gateway that is not asked to know clients takes no notice of tokens. Everything works then, but
  // for everybody: that is for the developer to know, and no error of the page.
  #warnIfIgnored({ user, expires_in_ms: expires, ticket, authenticate_within_ms: within }) {
    if (this.#warned || this.#shown.text === undefined || (user ?? expires ?? ticket ?? within) !== undefined) return;
    this.#warned = true;
    console.warn("fleetcast: this client showed a token, and the gateway does not say who it is. Has the gateway token-secret, issuers or connect-hook?");
  }

  // The gateway says who the client is.
  #tokenAccepted({ user, expires_in_ms: expires, refresh_in_ms: refresh }) {
    const now = this.#clock.now();
    this.#user = typeof user === "string" ? user : null;
    this.#expiresAt = expires > 0 ? now + expires : null;
    this.#tokenBackoff.reset();
    this.#tokenNotBefore = 0;
    this.#whenSeen = null;
    this.#refreshAt = refresh > 0 && this.#credentials.renewable ? now + refresh : null;
    this.#armRefresh();
  }

  // Timers overflow at 2^31 ms, which tokens may outlast.
  #armRefresh() {
    this.#clock.clearTimeout(this.#refreshTimer);
    if (this.#refreshAt === null) return;
    const delay = Math.max(0, this.#refreshAt - this.#clock.now());
    this.#refreshTimer = this.#clock.setTimeout(() => void this.#refreshIfDue(), Math.min(delay, MAX_RETRY_AFTER));
  }

  // Shows a new token in the open connection when it is time. Without a network, the end of the
  // outage calls it again.
  async #refreshIfDue() {
    if (this.#refreshAt === null || this.#refreshing) return;
    if (this.#clock.now() < this.#refreshAt) {
      this.#armRefresh();
      return;
    }
    if (this.#offline()) return;
    const socket = this.#socket;
    this.#refreshing = true;
    let outcome;
    try {
      outcome = await this.#refresh(socket);
    } catch (error) {
      outcome = () => this.#refreshFailed(error);
    }
    if (this.#socket !== socket) return; // #endConnection has ended the refresh
    this.#refreshing = false;
    outcome();
    this.#callAll();
  }

  // Returns what is to be done then.
  async #refresh(socket) {
    const unsent = this.#unsent;
    const token = unsent ? this.#credentials.token : await this.#credentials.ask(this.#refreshRefused ? "refused" : "refresh");
    if (this.#socket !== socket) return undefined;
    if (token === null) return () => this.#giveUp(0, "no_token");
    this.#unsent = true;
    const id = this.#nextId++;
    this.#commands.take(1);
    const text = JSON.stringify({ type: "authenticate", id, token });
    await this.#request(id, text, "authenticate", undefined, { timeout: CONNECT_TIMEOUT });
    return () => {}; // #authenticated has done it
  }

  // At once, since what the gateway withdraws by the new token follows.
  #authenticated(message) {
    this.#unsent = this.#refreshRefused = false;
    this.#credentials.accepted(message, {});
    this.#tokenAccepted(message);
    this.#channels.reconsider();
  }

  // The client stays who it is until that ends.
  #refreshFailed(error) {
    const { code } = error;
    let delay;
    if (code === "get_token") {
      delay = this.#tokenFailed(error);
    } else if (code === "permission_denied") { // the token is of another user
      this.#hangUp(1000, "");
      this.#attemptSoon();
      return;
    } else if (NOT_NOW.has(code)) {
      delay = (error.retryAfter ?? 0) + this.#tokenBackoff.next();
    } else {
      this.#report(error);
      delay = this.#refreshRefused ? this.#tokenBackoff.next() : 0;
      this.#tokenNotBefore = this.#clock.now() + delay;
      this.#unsent = false;
      this.#refreshRefused = true;
      this.#credentials.drop();
    }
    this.#refreshAt = this.#clock.now() + delay;
    this.#armRefresh();
  }

  #sendProbe() {
    this.#commands.take(1);
    this.#probe = this.#nextId++;
    this.#socket.send(JSON.stringify({ type: "ping", id: this.#probe }));
  }

  // The connection is over, or was found dead: come back later. Code 0 is the client's own finding.
  #lose(code, reason) {
    const welcomed = this.#watch !== null;
    const wasUp = welcomed && this.#clock.now() - this.#openedAt >= STABLE_AFTER;
    if (wasUp) {
      this.#backoff.reset();
      this.#hurried = false;
    }
    this.#hangUp(4000, reason);
    const verdict = this.#judge(code, welcomed);
    if (verdict === "give up") {
      this.#giveUp(code, reason);
    } else {
      const pause = () => (verdict === "at once" ? 0 : this.#backoff.next());
      this.#wait(this.#goodbye ? this.#goodbyeRemainder() : pause(), { code, reason });
    }
    this.#callAll();
  }

  // What to do after a close that is about who the client is, and about others: "wait".
  #judge(code, welcomed) {
    if (code === FORBIDDEN) return "give up";
    if (code !== UNAUTHENTICATED) return "wait";
    const { ticket, fetched } = this.#shown;
    if (ticket && !welcomed) {
      this.#credentials.dropTicket(); // the token is still good, as far as anybody knows
      return "at once";
    }
    // Who shows no token may have one in a cookie, and a new one by now.
    if (!this.#credentials.any && welcomed) return "wait";
    if (!this.#credentials.renewable) return "give up";
    // What was got for the refresh that came too late is still good.
    if (!(welcomed && this.#credentials.fetched)) this.#credentials.drop();
    if (fetched && !welcomed && ++this.#freshRefused >= 2) return "give up";
    if (this.#hurried) return "wait";
    this.#hurried = true;
    return "at once";
  }

  // Ends the connection, if there is one, and all that waits for it.
  #hangUp(code, reason) {
    this.#endConnection(code, reason);
    this.#rejectReplies(connectionLost());
    this.#channels.lost();
  }

  // The client may not connect, and to try again does not help. reason is the gateway's, or no_token.
  #giveUp(code, reason) {
    this.#hangUp(1000, "");
    this.#credentials.forget();
    this.#hurried = false;
    this.#freshRefused = this.#tokenNotBefore = 0;
    this.#user = this.#expiresAt = null;
    this.#setState({ state: "refused", code, reason });
    const what = reason === "no_token" ? "getToken has no token" : `the gateway refuses this client: ${reason}`;
    this.#report(new FleetcastError("refused", what, { reason }));
  }

  // Lets go of the socket. A close of one that is dead could take minutes, so nobody waits for it.
  #endConnection(code, reason) {
    this.#clock.clearTimeout(this.#timer);
    this.#clock.clearTimeout(this.#refreshTimer);
    this.#refreshAt = this.#whenSeen = this.#asking = null;
    this.#refreshing = this.#refreshRefused = this.#unsent = false;
    this.#watch?.stop();
    this.#watch = null;
    this.#limits = null;
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = null;
    socket.onclose = null;
    try {
      socket.close(code, reason);
    } catch {
      // It is already gone.
    }
  }

  #wait(delay, why = {}) {
    if (this.#offline()) {
      this.#waitForNetwork(why);
      return;
    }
    this.#timer = this.#clock.setTimeout(() => this.#attempt(), delay);
    this.#setState({ state: "waiting", retryAt: this.#clock.now() + delay, ...why });
  }

  #waitForNetwork(why = {}) {
    this.#offlineSeen = true;
    this.#clock.clearTimeout(this.#timer);
    this.#setState({ state: "waiting", retryAt: null, ...why });
  }

  #goodbyeRemainder() {
    return Math.min(Math.max(0, this.#notBefore - this.#clock.now()), MAX_RETRY_AFTER);
  }

  // The page ----------------------------------------------------------------------------------

  #listen() {
    const page = this.#window;
    const listeners = [
      [page, "online", () => this.#online()],
      [page, "offline", () => this.#wentOffline()],
      [page, "pagehide", (event) => event.persisted && this.#shelve()],
      [page, "pageshow", () => this.#show()],
      [page?.document, "visibilitychange", () => page.document.visibilityState === "visible" && this.#wake()],
      [page?.document, "resume", () => this.#wake()],
    ].filter(([target]) => typeof target?.addEventListener === "function");
    for (const [target, name, listener] of listeners) target.addEventListener(name, listener);
    this.#removeListeners = () => {
      for (const [target, name, listener] of listeners) target.removeEventListener(name, listener);
    };
  }

  #offline() {
    return this.#window?.navigator?.onLine === false;
  }

  // An open connection stays: it may outlive a short outage, and the check at its end tells.
  #wentOffline() {
    this.#offlineSeen = true;
    if (this.#state.state === "waiting") this.#waitForNetwork();
  }

  // Repeated online events do not shorten the back-off: only one that ends an outage counts.
  #online() {
    this.#watch?.check();
    void this.#refreshIfDue();
    if (!this.#offlineSeen) return;
    this.#offlineSeen = false;
    if (this.#state.state !== "waiting") return;
    this.#clock.clearTimeout(this.#timer);
    const delay = this.#goodbyeRemainder();
    if (delay > 0) this.#wait(delay);
    else this.#attempt();
  }

  // The page goes to the back-forward cache. Nothing runs there, but the browser may keep the socket
  // open for minutes, and the gateway would send to nobody.
  #shelve() {
    const { state } = this.#state;
    if (state === "closed" || state === "paused" || state === "refused") return;
    this.#shelved = true;
    this.#credentials.cancel();
    this.#endConnection(1000, "");
    this.#rejectReplies(connectionLost());
    this.#channels.lost();
    this.#setState({ state: "waiting", retryAt: null });
    this.#callAll();
  }

  #show() {
    const shelved = this.#shelved;
    this.#shelved = false;
    if (!shelved || this.#state.state !== "waiting") this.#wake();
    else if (this.#goodbye && this.#goodbyeRemainder() > 0) this.#wait(this.#goodbyeRemainder());
    else this.#attempt();
  }

  // The machine may have slept: timers do not count that time everywhere. What was put off because
  // the page was hidden goes on.
  #wake() {
    this.#watch?.check();
    this.#channels.seen();
    if (this.#whenSeen !== null) {
      const delay = Math.max(0, this.#whenSeen - this.#clock.now());
      this.#whenSeen = null;
      if (this.#refreshAt !== null) {
        this.#refreshAt = this.#clock.now() + delay;
        this.#armRefresh();
      } else if (this.#state.state === "waiting" && this.#state.retryAt !== null) {
        const { code, reason } = this.#state;
        this.#clock.clearTimeout(this.#timer);
        this.#wait(delay, { code, reason });
      }
    }
    void this.#refreshIfDue();
    const { state, retryAt } = this.#state;
    if (state === "waiting" && retryAt !== null && this.#clock.now() >= retryAt) {
      this.#clock.clearTimeout(this.#timer);
      this.#attempt();
    }
  }

  // Messages ----------------------------------------------------------------------------------

  // Callbacks that are due come before those of this message.
  #receive(text) {
    this.#callAll();
    this.#watch?.heard();
    let message;
    try {
      message = JSON.parse(text);
    } catch (cause) {
      this.#report(new FleetcastError("bad_message", "a message of the gateway is not JSON", { cause }));
    }
    this.#handle(message);
    this.#callAll();
  }

  #handle(message) {
    switch (message?.type) {
      case "event":
        this.#channels.event(message);
        break;
      case "gap":
        this.#channels.gap(message);
        break;
      case "welcome":
        this.#welcome(message);
        break;
      case "pong":
        this.#pong(message);
        break;
      case "goodbye":
        this.#sentAway(message);
        break;
      case "subscribed":
        if (message.id === undefined) this.#channels.granted(message);
        else this.#reply(message);
        break;
      case "unsubscribed":
        if (message.id === undefined) this.#channels.withdrawn(message);
        else this.#reply(message);
        break;
      case "published":
      case "history":
      case "authenticated":
      case "error":
        this.#reply(message);
        break;
      // Others belong to later versions, or need no answer.
    }
  }

  // The answer to a ping of the page's own says nothing about the watch's, which was sent later.
  #pong({ id }) {
    const waiting = this.#replies.get(id);
    if (waiting) waiting.resolve();
    else this.#watch?.pong();
  }

  #sentAway(message) {
    const pause = pauseOf(message);
    if (pause === undefined) return;
    this.#goodbye = true;
    this.#notBefore = this.#clock.now() + pause;
  }

  #reply(message) {
    const { id, type } = message;
    const waiting = this.#replies.get(id);
    if (waiting?.channels) {
      if (this.#channels.answer(message, waiting)) this.#replies.delete(id);
    } else if (type === "published" || type === "history") {
      waiting?.resolve(message);
    } else if (type === "authenticated") {
      if (!waiting) return; // it was given up
      this.#authenticated(message);
      waiting.resolve();
    } else if (type === "error") {
      this.#refused(message, waiting);
    }
  }

  // A command about no subscription was refused.
  #refused(message, waiting) {
    const { id, code, epoch, offset } = message;
    const position = code === "conflict" ? { epoch, offset } : undefined;
    const error = new FleetcastError(code, message.message, { channel: waiting?.channel, retryAfter: pauseOf(message), position });
    if (waiting) waiting.reject(error);
    else if (id !== undefined && id === this.#probe) this.#watch?.pong(); // as good a sign of life
    else if (id === undefined) this.#report(error); // else whoever has asked has given up
  }

  // Requests ----------------------------------------------------------------------------------

  #mustBeReady(what, channel, { timeout, signal }) {
    if (timeout !== undefined && !(timeout > 0 && timeout <= MAX_RETRY_AFTER)) {
      throw new TypeError(`${what}: the timeout must be more than 0 and at most ${MAX_RETRY_AFTER} ms`);
    }
    if (signal !== undefined && typeof signal?.addEventListener !== "function") {
      throw new TypeError(`${what}: the signal is not an AbortSignal`);
    }
    if (signal?.aborted) throw new FleetcastError("aborted", `${what}: aborted, nothing was sent`, { channel, cause: signal.reason });
    if (!this.#watch) throw new FleetcastError("not_connected", `${what}: not connected, nothing was sent`, { channel });
  }

  // The gateway closes the connection for a message that is too long.
  #mustFit(what, channel, data, text) {
    const { eventBytes = Infinity, messageBytes = Infinity } = this.#limits ?? {};
    if (text.length * 3 <= Math.min(eventBytes, messageBytes)) return;
    for (const [name, bytes, most] of [["data", byteLength(data), eventBytes], ["message", byteLength(text), messageBytes]]) {
      if (bytes <= most) continue;
      throw new FleetcastError("limit_exceeded", `${what}: the ${name} has ${bytes} bytes, the gateway takes ${most}; nothing was sent`, { channel });
    }
  }

  // What the gateway would refuse is refused here: nothing is queued.
  #takeCommand(what, channel, publishes) {
    const retryAfter = Math.max(this.#commands.wait(1), publishes?.wait(1) ?? 0);
    if (retryAfter > 0) {
      throw new FleetcastError("rate_limited", `${what}: more than the gateway's rate allows; nothing was sent`, { channel, retryAfter });
    }
    this.#commands.take(1);
    publishes?.take(1);
  }

  // Sends a command and resolves to its answer.
  #request(id, text, what, channel, { timeout, signal }) {
    return new Promise((resolve, reject) => {
      const giveUp = (code, why, cause) =>
        waiting.reject(new FleetcastError(code, `${what}: ${why} before the answer: done or not, nobody knows`, { channel, cause }));
      const aborted = () => giveUp("aborted", "aborted", signal.reason);
      const timer = timeout === undefined ? undefined : this.#clock.setTimeout(() => giveUp("timeout", `${timeout} ms passed`), timeout);
      const ending = (settle) => (value) => {
        this.#replies.delete(id);
        this.#clock.clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
        settle(value);
      };
      const waiting = { channel, resolve: ending(resolve), reject: ending(reject) };
      signal?.addEventListener("abort", aborted);
      this.#replies.set(id, waiting);
      this.#socket.send(text);
    });
  }

  #rejectReplies(error) {
    const waiting = [...this.#replies.values()];
    this.#replies.clear();
    for (const { reject } of waiting) reject?.(error);
  }

  // Callbacks ---------------------------------------------------------------------------------

  #setState(state) {
    this.#state = state;
    this.#later(() => {
      for (const listener of this.#listeners.of("state")) this.#call(listener, state);
    });
  }

  // Callbacks wait until the client's own work is done: none is called from within a method, and
  // none finds the client in the middle of a change.
  #later(call) {
    this.#calls.push(call);
    if (this.#calls.length === 1) queueMicrotask(() => this.#callAll());
  }

  #callAll() {
    while (this.#calls.length > 0) {
      const calls = this.#calls;
      this.#calls = [];
      for (const call of calls) call();
    }
  }

  // Nothing that a callback throws reaches the client, nor, if it is async, the runtime.
  #call(callback, ...args) {
    const failed = (cause) => this.#report(new FleetcastError("callback", `a callback failed: ${cause}`, { cause }));
    try {
      const result = callback(...args);
      if (typeof result?.then === "function") result.then(undefined, failed);
    } catch (cause) {
      failed(cause);
    }
  }

  #report(error) {
    this.#later(() => {
      const listeners = this.#listeners.of("error");
      if (listeners.length === 0) console.error(error);
      for (const listener of listeners) {
        try {
          listener(error);
        } catch (cause) {
          console.error(cause);
        }
      }
    });
  }

  #mustNotBeClosed() {
    if (this.#state.state === "closed") throw new FleetcastError("closed", "the client was closed");
  }
}

/** Same as new Fleetcast(url, options). */
function connect(url, options) {
  return new Fleetcast(url, options);
}

function connectionLost() {
  return new FleetcastError("connection_lost", "the connection ended before the answer: done or not, nobody knows");
}

// Pages may name the gateway by a path, or by http.
function absolute(url) {
  if (!(url instanceof URL) && (typeof url !== "string" || url === "")) {
    throw new TypeError(`connect: the gateway's URL must be a URL or a string that is not empty, not ${url === "" ? "an empty one" : typeof url}`);
  }
  const absoluteURL = new URL(url, globalThis.location?.href);
  absoluteURL.protocol = absoluteURL.protocol.replace(/^http/, "ws");
  if (!["ws:", "wss:"].includes(absoluteURL.protocol)) {
    throw new TypeError(`connect: ${absoluteURL.href} is not a URL for WebSocket: it must begin with ws, wss, http or https`);
  }
  if (absoluteURL.hash !== "") throw new TypeError(`connect: ${absoluteURL.href} has a fragment, which WebSocket does not allow`);
  return absoluteURL.href;
}

// What is no name in any version. The gateway judges the rest.
function checkChannel(channel) {
  const ok = typeof channel === "string" && channel !== "" && !/\p{Surrogate}/u.test(channel);
  if (!ok || byteLength(channel) > MAX_CHANNEL_BYTES) {
    throw new FleetcastError("bad_channel", "a channel's name is 1 to 255 bytes of text", { channel });
  }
}

const isText = (text) => typeof text === "string" && !/\p{Surrogate}/u.test(text);

function checkPosition({ epoch, offset }, name = "since") {
  if (isText(epoch) && Number.isSafeInteger(offset) && offset >= 0) return;
  throw new TypeError(`${name} is {epoch, offset}, as a subscription's position gives it`);
}

// The members of a publish that say under which conditions.
function conditionsOf({ idempotency, expect }) {
  let members = "";
  if (idempotency !== undefined) {
    if (!isText(idempotency) || idempotency === "" || byteLength(idempotency) > MAX_IDEMPOTENCY) {
      throw new TypeError(`publish: idempotency must be text of 1 to ${MAX_IDEMPOTENCY} bytes`);
    }
    members += `,"idempotency":${JSON.stringify(idempotency)}`;
  }
  if (expect) {
    checkPosition(expect, "expect");
    members += `,"expect":${JSON.stringify({ epoch: expect.epoch, offset: expect.offset })}`;
  }
  return members;
}

function checkCount(what, n, most) {
  if (n === undefined || (Number.isSafeInteger(n) && n > 0 && n <= most)) return;
  throw new TypeError(`${what} must be an integer from 1 to ${most}`);
}

function encodeData(what, channel, data) {
  let json;
  try {
    json = JSON.stringify(data);
  } catch (cause) {
    throw new FleetcastError("bad_request", `${what}: the data cannot be JSON: ${cause}`, { channel, cause });
  }
  if (json === undefined) {
    throw new FleetcastError("bad_request", `${what}: ${typeof data} is not JSON`, { channel });
  }
  return json;
}

// What to ask for, for all subscriptions of a channel: {since}, {last} or null. It is where the one that
// is furthest behind left off: those further on drop what they have seen. Of positions in several
// epochs, those in the channel's last one may still be known.
function wishOf({ subscriptions, epoch }) {
  let since;
  let last = 0;
  for (const { _wish: wish } of subscriptions) {
    if (wish?.since) {
      const earlier = wish.since.epoch === since?.epoch ? wish.since.offset < since.offset : wish.since.epoch === epoch;
      if (!since || earlier) since = wish.since;
    } else if (wish) {
      last = Math.max(last, wish.last);
    }
  }
  if (since) return { since };
  return last > 0 ? { last } : null;
}

// What of the lost events {from, to} lies behind an offset, or null.
function behindOffset(lost, offset) {
  if (!lost || lost.to <= offset) return null;
  return { from: Math.max(lost.from, offset + 1), to: lost.to };
}

globalThis.Fleetcast = Fleetcast;
})();
