// Client of a fleetcast gateway (protocol fleetcast.v1) for browsers and Node.
//
// One Fleetcast keeps one WebSocket open: it connects again when the connection ends, subscribes
// anew from the last event seen, and says what was missed. Everything runs on the event loop that
// made it; callbacks are never called from within a method of the client.
//
// From the top: limits, errors, the back-off, the watch over a silent connection, subscriptions,
// and the client, which owns all of them.

const PROTOCOL = "fleetcast.v1";

// Times in milliseconds.
const BACKOFF_BASE = 500;
const BACKOFF_CAP = 30_000;
const STABLE_AFTER = 10_000; // a connection that was open this long starts the back-off anew
const CONNECT_TIMEOUT = 15_000; // from the attempt to the gateway's welcome
const PONG_TIMEOUT = 10_000; // of silence, while a pong is awaited
const TICK = 10_000; // how often the watch looks at the clock
const LATE = 5_000; // a timer this much behind tells of sleep or a frozen tab
const DEFAULT_PING_INTERVAL = 25_000; // until the gateway has named its own
const MAX_RETRY_AFTER = 3_600_000; // that the gateway can ask for; timers overflow at 2^31

// Limits of one subscribe command that names many channels. Its JSON stays under the smallest
// --max-message that a gateway is likely to have.
const BATCH_CHANNELS = 128;
const BATCH_BYTES = 4096;
const MAX_CHANNEL_BYTES = 255;

const utf8 = new TextEncoder();

// Refusals of subscriptions that may pass while the connection stays.
const TEMPORARY = new Set(["not_available", "rate_limited", "internal"]);

/**
 * An error with a `code`: one of the protocol's, or one of the client's own. retryAfter is for
 * how many milliseconds the gateway asks not to try again, if it does.
 */
export class FleetcastError extends Error {
  constructor(code, message, { channel, cause, retryAfter } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "FleetcastError";
    this.code = code;
    this.channel = channel;
    this.retryAfter = retryAfter;
  }
}

// The pause that a message of the gateway asks for, or undefined.
function pauseOf({ retry_after_ms: pause }) {
  return typeof pause === "number" && pause >= 0 ? Math.min(pause, MAX_RETRY_AFTER) : undefined;
}

/** Delays between attempts: exponential with full jitter, so that no two clients keep step. */
class Backoff {
  #random;
  #failures = 0;

  constructor(random) {
    this.#random = random;
  }

  reset() {
    this.#failures = 0;
  }

  next() {
    const most = Math.min(BACKOFF_CAP, BACKOFF_BASE * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    return this.#random() * most;
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

/** A handler's interest in one channel. Made by Fleetcast.subscribe. */
class Subscription {
  #client;
  #position;

  constructor(client, channel, handler, options) {
    this.#client = client;
    this.#position = options.since && { epoch: options.since.epoch, offset: options.since.offset };
    this.channel = channel;
    this.handler = handler;
    this.onGap = options.onGap;
    this.active = true;
  }

  /** The last event seen, {epoch, offset}; null until the gateway has answered. */
  get position() {
    return this.#position ? { ...this.#position } : null;
  }

  unsubscribe() {
    this.#client._unsubscribe(this);
  }

  // The gateway's deliveries go on after answer; returns the gap up to it, or null.
  _start(answer) {
    const last = this.#position;
    if (last && last.epoch === answer.epoch) return this._advance(answer.offset + 1);
    this.#position = { epoch: answer.epoch, offset: answer.offset };
    return last ? { channel: this.channel, from: 1, to: answer.offset, reset: true } : null;
  }

  // Everything before offset has passed; returns the gap that this leaves, or null.
  _advance(offset) {
    const from = this.#position.offset + 1;
    if (offset <= from) return null;
    this.#position.offset = offset - 1;
    return { channel: this.channel, from, to: offset - 1, reset: false };
  }

  // Whether the event of that offset is news; it is then counted as seen.
  _take(offset) {
    if (offset <= this.#position.offset) return false;
    this.#position.offset = offset;
    return true;
  }
}

/** A connection to a gateway that is kept. */
export class Fleetcast {
  #url;
  #WebSocket;
  #clock;
  #window;
  #callbacks;

  #state = { state: "connecting" };
  #backoff;
  #timer; // of the next attempt, or of the one under way
  #notBefore = 0; // when a goodbye allows to come back
  #offlineSeen = false;
  #removeListeners = () => {};

  #socket = null;
  #watch = null; // set from the welcome to the connection's end
  #probe; // the id of the watch's last ping
  #openedAt = 0;
  #goodbye = false;

  #nextId = 1;
  #replies = new Map(); // id -> what waits for its reply
  // name -> {name, subscriptions, state, position}. States: idle (to be asked for), asked, live,
  // refused (until the next connection), deferred (until the retry timer).
  #channels = new Map();
  #flushing = false;
  #left = new Set(); // names that are unsubscribed, of which the gateway has not heard
  #retryBackoff;
  #retryTimer;
  #retryAt;

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
    this.#backoff = new Backoff(random);
    this.#retryBackoff = new Backoff(random);
    this.#window = options.window === undefined ? globalThis : options.window;
    this.#callbacks = { onState: options.onState, onGap: options.onGap, onError: options.onError };
    this.#listen();
    queueMicrotask(() => this.#attempt());
  }

  /** Where the connection stands; see onState. */
  get state() {
    return this.#state;
  }

  /** Calls handler(data, {channel, epoch, offset}) for each event of channel from now on. */
  subscribe(channel, handler, options = {}) {
    this.#mustNotBeClosed();
    checkChannel(channel);
    if (typeof handler !== "function") throw new TypeError("subscribe: the handler is not a function");
    if (options.since) checkPosition(options.since);
    const subscription = new Subscription(this, channel, handler, options);
    let entry = this.#channels.get(channel);
    if (!entry) {
      entry = { name: channel, subscriptions: new Set(), state: "idle", position: null };
      this.#channels.set(channel, entry);
    }
    entry.subscriptions.add(subscription);
    if (entry.state === "live") {
      const position = { ...entry.position };
      const gap = subscription._start(position);
      if (gap) queueMicrotask(() => this.#tellGap(subscription, gap));
    } else if (entry.state !== "asked") {
      entry.state = "idle";
      this.#flushSoon();
    }
    return subscription;
  }

  /** Resolves to {offset} when the gateway has sequenced the event. Never sends twice. */
  async publish(channel, data) {
    this.#mustNotBeClosed();
    checkChannel(channel);
    if (!this.#watch) {
      throw new FleetcastError("not_connected", `publish ${channel}: not connected, nothing was sent`, { channel });
    }
    const id = this.#nextId++;
    const message = encodePublish(id, channel, data);
    return new Promise((resolve, reject) => {
      this.#replies.set(id, { channel, resolve, reject });
      this.#socket.send(message);
    });
  }

  /** Resolves to the milliseconds that a message to the gateway and its answer take. */
  async ping() {
    this.#mustNotBeClosed();
    if (!this.#watch) throw new FleetcastError("not_connected", "ping: not connected");
    const id = this.#nextId++;
    const sent = performance.now();
    return new Promise((resolve, reject) => {
      this.#replies.set(id, {
        resolve: () => resolve(performance.now() - sent),
        reject: (cause) => reject(new FleetcastError(cause.code, `ping: ${cause.message}`, { cause, retryAfter: cause.retryAfter })),
      });
      this.#send({ type: "ping", id });
    });
  }

  /** Closes for good. Publishes and pings without an answer are rejected with code "closed". */
  close() {
    if (this.#state.state === "closed") return;
    this.#removeListeners();
    this.#endConnection(1000, "");
    this.#rejectReplies(new FleetcastError("closed", "the client was closed"));
    for (const entry of this.#channels.values()) {
      for (const subscription of entry.subscriptions) subscription.active = false;
    }
    this.#channels.clear();
    this.#state = { state: "closed" };
    queueMicrotask(() => this.#call(this.#callbacks.onState, this.#state));
  }

  // Connection -------------------------------------------------------------------------------

  #attempt() {
    if (this.#state.state === "closed") return;
    if (this.#offline()) {
      this.#waitForNetwork();
      return;
    }
    this.#setState({ state: "connecting" });
    if (this.#state.state === "closed") return; // by the callback
    let socket;
    try {
      socket = new this.#WebSocket(this.#url, [PROTOCOL]);
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
    socket.onclose = (event) => this.#lose(event.code, event.reason);
    socket.onerror = () => {}; // a close always follows, and says as much
  }

  #welcome(message) {
    if (this.#watch) return;
    this.#clock.clearTimeout(this.#timer);
    this.#openedAt = this.#clock.now();
    this.#notBefore = 0;
    this.#retryBackoff.reset();
    const interval = message.ping_interval_ms > 0 ? message.ping_interval_ms : DEFAULT_PING_INTERVAL;
    this.#watch = new Watch(
      this.#clock,
      interval,
      () => this.#send({ type: "ping", id: (this.#probe = this.#nextId++) }),
      () => this.#lose(0, "no pong in time"),
    );
    this.#setState({ state: "open", client: message.client });
    this.#flush();
  }

  // The connection is over, or was found dead: come back later. Code 0 is the client's own finding.
  #lose(code, reason) {
    const wasUp = this.#watch !== null && this.#clock.now() - this.#openedAt >= STABLE_AFTER;
    if (wasUp) this.#backoff.reset();
    this.#endConnection(4000, reason);
    const lost = new FleetcastError("connection_lost", "the connection ended before the answer: done or not, nobody knows");
    this.#rejectReplies(lost);
    for (const entry of this.#channels.values()) entry.state = "idle";
    this.#left.clear();
    const delay = this.#goodbye ? this.#goodbyeRemainder() : this.#backoff.next();
    this.#wait(delay, { code, reason });
  }

  // Lets go of the socket. A close of one that is dead could take minutes, so nobody waits for it.
  #endConnection(code, reason) {
    this.#clock.clearTimeout(this.#timer);
    this.#clock.clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#watch?.stop();
    this.#watch = null;
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

  #send(command) {
    this.#socket.send(JSON.stringify(command));
  }

  // The page ----------------------------------------------------------------------------------

  #listen() {
    const page = this.#window;
    const listeners = [
      [page, "online", () => this.#online()],
      [page, "offline", () => this.#wentOffline()],
      [page, "pageshow", () => this.#wake()],
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
    if (!this.#offlineSeen) return;
    this.#offlineSeen = false;
    if (this.#state.state !== "waiting") return;
    this.#clock.clearTimeout(this.#timer);
    const delay = this.#goodbyeRemainder();
    if (delay > 0) this.#wait(delay);
    else this.#attempt();
  }

  // The machine may have slept: timers do not count that time everywhere.
  #wake() {
    this.#watch?.check();
    const { state, retryAt } = this.#state;
    if (state === "waiting" && retryAt !== null && this.#clock.now() >= retryAt) {
      this.#clock.clearTimeout(this.#timer);
      this.#attempt();
    }
  }

  // Messages ----------------------------------------------------------------------------------

  #receive(text) {
    this.#watch?.heard();
    let message;
    try {
      message = JSON.parse(text);
    } catch (cause) {
      this.#report(new FleetcastError("bad_message", "a message of the gateway is not JSON", { cause }));
      return;
    }
    switch (message?.type) {
      case "event":
        this.#event(message);
        break;
      case "gap":
        this.#gap(message);
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
      case "unsubscribed":
      case "published":
      case "error":
        this.#reply(message);
        break;
      // Others belong to later versions, or need no answer.
    }
  }

  #event({ channel, offset, data }) {
    const entry = this.#live(channel);
    if (!entry) return;
    const { epoch } = entry.position;
    entry.position.offset = Math.max(entry.position.offset, offset);
    for (const subscription of [...entry.subscriptions]) {
      this.#tellGap(subscription, subscription._advance(offset));
      if (!subscription.active || !subscription._take(offset)) continue;
      this.#call(subscription.handler, data, { channel, epoch, offset });
    }
  }

  #gap({ channel, to }) {
    const entry = this.#live(channel);
    if (!entry) return;
    entry.position.offset = Math.max(entry.position.offset, to);
    for (const subscription of [...entry.subscriptions]) {
      this.#tellGap(subscription, subscription._advance(to + 1));
    }
  }

  // Events of a subscription that was given up may still come while its successor waits for
  // its answer. They are not the successor's.
  #live(channel) {
    const entry = this.#channels.get(channel);
    return entry?.state === "live" ? entry : null;
  }

  // The answer to a ping of the page's own says nothing about the watch's, which was sent later.
  #pong({ id }) {
    const waiting = this.#replies.get(id);
    this.#replies.delete(id);
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
    const waiting = this.#replies.get(message.id);
    if (waiting?.entries) {
      this.#subscribeReply(message, waiting);
      return;
    }
    this.#replies.delete(message.id);
    if (message.type === "published") {
      waiting?.resolve({ offset: message.offset });
    } else if (message.type === "error") {
      this.#failed(message, waiting);
    }
  }

  // A command other than subscribe was refused.
  #failed({ id, code, message, ...rest }, waiting) {
    const retryAfter = pauseOf(rest);
    const error = new FleetcastError(code, message, { channel: waiting?.channel, retryAfter });
    if (waiting?.reject) waiting.reject(error);
    else if (id !== undefined && id === this.#probe) this.#watch?.pong(); // as good a sign of life
    else if (waiting?.leaves && code === "rate_limited") this.#leaveLater(waiting.channel, retryAfter);
    else if (code !== "not_subscribed") this.#report(error); // see _unsubscribe
  }

  // Subscriptions -----------------------------------------------------------------------------

  // Subscriptions that are made in one go travel together.
  #flushSoon() {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush() {
    if (!this.#watch) return; // the welcome flushes
    let batch = [];
    let bytes = 0;
    for (const entry of this.#channels.values()) {
      if (entry.state !== "idle") continue;
      const since = earliest(entry.subscriptions);
      if (since) {
        this.#ask([entry], since);
        continue;
      }
      const size = utf8.encode(JSON.stringify(entry.name)).length + 1;
      if (batch.length === BATCH_CHANNELS || bytes + size > BATCH_BYTES) {
        this.#ask(batch);
        batch = [];
        bytes = 0;
      }
      batch.push(entry);
      bytes += size;
    }
    if (batch.length > 0) this.#ask(batch);
  }

  #ask(entries, since) {
    const id = this.#nextId++;
    for (const entry of entries) entry.state = "asked";
    this.#replies.set(id, { entries: new Map(entries.map((entry) => [entry.name, entry])), errors: [] });
    if (entries.length === 1) this.#send({ type: "subscribe", id, channel: entries[0].name, since });
    else this.#send({ type: "subscribe", id, channels: entries.map((entry) => entry.name) });
  }

  // Each channel of the command gets one reply. Errors name none: they belong, in order, to the
  // channels that are left when as many errors came.
  #subscribeReply(message, waiting) {
    if (message.type === "subscribed") {
      const entry = waiting.entries.get(message.channel);
      waiting.entries.delete(message.channel);
      if (entry) this.#subscribed(entry, message);
    } else {
      waiting.errors.push(message);
    }
    if (waiting.entries.size > waiting.errors.length) return;
    this.#replies.delete(message.id);
    [...waiting.entries.values()].forEach((entry, i) => this.#refused(entry, waiting.errors[i]));
  }

  #subscribed(entry, { epoch, offset }) {
    if (this.#channels.get(entry.name) !== entry) return; // given up meanwhile
    entry.state = "live";
    entry.position = { epoch, offset };
    for (const subscription of [...entry.subscriptions]) {
      this.#tellGap(subscription, subscription._start(entry.position));
    }
  }

  #refused(entry, { code, message, ...rest }) {
    if (this.#channels.get(entry.name) !== entry) return;
    const retryAfter = pauseOf(rest);
    if (code === "already_subscribed") {
      // The unsubscribe before it was refused.
      entry.state = "deferred";
      this.#leave(entry.name);
      this.#retryLater(retryAfter);
      return;
    }
    entry.state = TEMPORARY.has(code) ? "deferred" : "refused";
    if (entry.state === "deferred") this.#retryLater(retryAfter);
    this.#report(new FleetcastError(code, message, { channel: entry.name, retryAfter }));
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
    this.#retryAt = at;
    this.#retryTimer = this.#clock.setTimeout(() => this.#retry(), delay);
  }

  #retry() {
    this.#retryTimer = undefined;
    for (const name of this.#left) {
      if (!this.#channels.has(name)) this.#leave(name); // else its subscribe will see to it
    }
    this.#left.clear();
    for (const entry of this.#channels.values()) {
      if (entry.state === "deferred") entry.state = "idle";
    }
    this.#flush();
  }

  #leave(channel) {
    const id = this.#nextId++;
    this.#replies.set(id, { channel, leaves: true });
    this.#send({ type: "unsubscribe", id, channel });
  }

  #leaveLater(channel, pause) {
    this.#left.add(channel);
    this.#retryLater(pause);
  }

  /** @private Called by Subscription.unsubscribe. */
  _unsubscribe(subscription) {
    if (!subscription.active) return;
    subscription.active = false;
    const entry = this.#channels.get(subscription.channel);
    entry.subscriptions.delete(subscription);
    if (entry.subscriptions.size > 0) return;
    this.#channels.delete(entry.name);
    // If the subscribe under way is refused, the answer to this is not_subscribed, which is fine.
    if (entry.state === "asked" || entry.state === "live") {
      this.#leave(entry.name);
    }
  }

  #tellGap(subscription, gap) {
    if (!gap || !subscription.active) return;
    this.#call(subscription.onGap, gap);
    this.#call(this.#callbacks.onGap, gap);
  }

  // Callbacks ---------------------------------------------------------------------------------

  #setState(state) {
    this.#state = state;
    this.#call(this.#callbacks.onState, state);
  }

  // Nothing that a callback throws reaches the client, nor, if it is async, the runtime.
  #call(callback, ...args) {
    if (!callback) return;
    const failed = (cause) => this.#report(new FleetcastError("callback", `a callback failed: ${cause}`, { cause }));
    try {
      const result = callback(...args);
      if (typeof result?.then === "function") result.then(undefined, failed);
    } catch (cause) {
      failed(cause);
    }
  }

  #report(error) {
    try {
      if (this.#callbacks.onError) this.#callbacks.onError(error);
      else console.error(error);
    } catch (cause) {
      console.error(cause);
    }
  }

  #rejectReplies(error) {
    const waiting = [...this.#replies.values()];
    this.#replies.clear();
    for (const { reject } of waiting) reject?.(error);
  }

  #mustNotBeClosed() {
    if (this.#state.state === "closed") throw new FleetcastError("closed", "the client was closed");
  }
}

/** Same as new Fleetcast(url, options). */
export function connect(url, options) {
  return new Fleetcast(url, options);
}

// Pages may name the gateway by a path, or by http.
function absolute(url) {
  const absoluteURL = new URL(url, globalThis.location?.href);
  absoluteURL.protocol = absoluteURL.protocol.replace(/^http/, "ws");
  return absoluteURL.href;
}

// What is no name in any version. The gateway judges the rest.
function checkChannel(channel) {
  const ok = typeof channel === "string" && channel !== "" && !/\p{Surrogate}/u.test(channel);
  if (!ok || utf8.encode(channel).length > MAX_CHANNEL_BYTES) {
    throw new FleetcastError("bad_channel", "a channel's name is 1 to 255 bytes of text", { channel });
  }
}

function checkPosition({ epoch, offset }) {
  if (typeof epoch !== "string" || !Number.isSafeInteger(offset) || offset < 0) {
    throw new TypeError("since is {epoch, offset}, as a subscription's position gives it");
  }
}

function encodePublish(id, channel, data) {
  let json;
  try {
    json = JSON.stringify(data);
  } catch (cause) {
    throw new FleetcastError("bad_request", `publish ${channel}: the data cannot be JSON: ${cause}`, { channel, cause });
  }
  if (json === undefined) {
    throw new FleetcastError("bad_request", `publish ${channel}: ${typeof data} is not JSON`, { channel });
  }
  return `{"type":"publish","id":${id},"channel":${JSON.stringify(channel)},"data":${json}}`;
}

// Where a channel's subscriptions left off: those further on drop what they have seen.
function earliest(subscriptions) {
  let since;
  for (const { position } of subscriptions) {
    if (position && (!since || position.offset < since.offset)) since = position;
  }
  return since;
}
