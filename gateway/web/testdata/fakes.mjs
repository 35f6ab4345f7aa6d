// A clock, a network and a page that tests move by hand.
import { Fleetcast } from "../fleetcast.js";

export class FakeClock {
  time = 1_000_000;
  #timers = new Map();
  #next = 1;

  now = () => this.time;
  setTimeout = (callback, delay) => {
    this.#timers.set(this.#next, { at: this.time + delay, callback });
    return this.#next++;
  };
  clearTimeout = (timer) => this.#timers.delete(timer);

  get timers() {
    return this.#timers.size;
  }

  // advance runs what falls due in the next ms, each timer at its own time.
  advance(ms) {
    const end = this.time + ms;
    for (;;) {
      const [first] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at);
      if (!first || first[1].at > end) break;
      this.time = Math.max(this.time, first[1].at);
      this.#timers.delete(first[0]);
      first[1].callback();
    }
    this.time = end;
  }

  // set moves the time of day by ms, as a user or NTP does: no timer notices.
  set(ms) {
    this.time += ms;
    for (const timer of this.#timers.values()) timer.at += ms;
  }

  // sleep passes ms in which nothing runs. What fell due runs with the next advance, late.
  sleep(ms) {
    this.time += ms;
  }
}

export class FakePage extends EventTarget {
  navigator = { onLine: true };
  listeners = 0;
  document = Object.assign(new EventTarget(), { visibilityState: "visible" });

  addEventListener(...args) {
    this.listeners++;
    super.addEventListener(...args);
  }
  removeEventListener(...args) {
    this.listeners--;
    super.removeEventListener(...args);
  }
  go(online) {
    this.navigator.onLine = online;
    this.dispatchEvent(new Event(online ? "online" : "offline"));
  }
  show() {
    this.document.dispatchEvent(new Event("visibilitychange"));
  }
}

// microtasks lets everything run that was queued with queueMicrotask or await.
export const microtasks = () => new Promise((resolve) => setImmediate(resolve));

// The limits that a gateway tells by default.
export const LIMITS = {
  commands_per_second: 100,
  commands_burst: 2000,
  publishes_per_second: 100,
  publishes_burst: 200,
  channels: 128,
  names_per_command: 1024,
  message_bytes: 65536,
  event_bytes: 65536,
  channel_bytes: 255,
};

// A client on fakes. sockets are all it ever made; log is what its callbacks heard.
export class Rig {
  clock = new FakeClock();
  page = new FakePage();
  sockets = [];
  states = [];
  gaps = [];
  errors = [];
  random = 0.5;
  limits = LIMITS; // that the gateway tells; undefined for one that tells none

  constructor(options = {}) {
    const rig = this;
    class FakeWebSocket {
      sent = [];
      closed = null;
      constructor(url, protocols) {
        Object.assign(this, { url, protocols });
        rig.sockets.push(this);
      }
      send(text) {
        this.sent.push(JSON.parse(text));
      }
      close(code, reason) {
        this.closed ??= { code, reason };
      }
    }
    this.client = new Fleetcast("ws://gateway.test/ws", {
      WebSocket: FakeWebSocket,
      clock: this.clock,
      random: () => this.random,
      window: this.page,
      onState: (state) => this.states.push(state),
      onGap: (gap) => this.gaps.push(gap),
      onError: (error) => this.errors.push(error),
      ...options,
    });
  }

  get socket() {
    return this.sockets.at(-1);
  }

  // say lets the gateway send messages on the latest connection.
  say(...messages) {
    for (const m of messages) this.socket.onmessage?.({ data: typeof m === "string" ? m : JSON.stringify(m) });
  }

  // standing is what the gateway tells about who the client is.
  async open(standing = {}) {
    await microtasks();
    this.say({ type: "welcome", client: "c1", ping_interval_ms: 25000, limits: this.limits, ...standing });
    await microtasks();
    return this;
  }

  drop(code = 1006, reason = "") {
    this.socket.onclose?.({ code, reason });
  }

  // heard returns what the client sent on the latest connection since it was last asked.
  heard() {
    return this.socket.sent.splice(0);
  }

  // live subscribes and lets the gateway answer.
  async live(channel, handler, { offset = 0, epoch = "E1", ...options } = {}) {
    const subscription = this.client.subscribe(channel, handler, options);
    await microtasks();
    this.answer(channel, offset, epoch);
    return subscription;
  }

  // accept answers a command: all that it asks for is done.
  accept({ type, id, channel, channels = [channel] }) {
    const answer = { type: `${type}d`, id, epoch: "E1", offset: 0 };
    this.say(...channels.map((name) => ({ ...answer, channel: name })));
  }

  // answer answers the subscribe command that names channel alone.
  answer(channel, offset, epoch = "E1") {
    const command = this.socket.sent.findLast((m) => m.type === "subscribe" && m.channel === channel);
    this.say({ type: "subscribed", id: command.id, channel, epoch, offset });
  }

  event(channel, offset, data = offset) {
    this.say({ type: "event", channel, offset, data });
  }

  // back loses the connection and opens the next.
  async back(standing) {
    await this.again();
    await this.open(standing);
  }

  // again loses the connection and lets the next attempt come.
  async again(code, reason) {
    this.drop(code, reason);
    await this.attempt();
  }

  // attempt passes the time until the next attempt.
  async attempt() {
    this.clock.advance(this.client.state.retryAt - this.clock.time);
    await microtasks();
  }
}

// A gateway that answers what a rig's client sends, under a rate and a limit of channels, as the
// real one does. heard are all the commands that it got.
export class FakeGateway {
  heard = [];
  refused = 0; // names
  channels = new Set();
  #rig;
  #socket;
  #limits;
  #due = 0;

  constructor(rig, limits) {
    this.#rig = rig;
    this.#limits = limits;
  }

  // serve answers what was sent since the last time.
  serve() {
    if (this.#socket !== this.#rig.socket) {
      this.#socket = this.#rig.socket;
      this.#due = this.#rig.clock.time;
      this.channels.clear();
    }
    for (const command of this.#rig.heard()) {
      this.heard.push(command);
      const names = command.channels ?? [command.channel];
      let behind = 0;
      this.#rig.say(...names.map((channel) => {
        const pause = this.#take(behind);
        if (pause > 0) behind++;
        return this.#answer(command, channel, pause);
      }));
    }
  }

  #answer({ type, id }, channel, pause) {
    const refusal = { type: "error", id, message: "" };
    if (pause > 0) {
      this.refused++;
      return { ...refusal, code: "rate_limited", retry_after_ms: Math.ceil(pause) };
    }
    if (type === "ping") return { type: "pong", id };
    if (type === "publish") return { type: "published", id, channel, offset: 1 };
    if (type === "unsubscribe") this.channels.delete(channel);
    else if (this.channels.size >= (this.#limits.channels ?? Infinity)) return { ...refusal, code: "limit_exceeded" };
    else this.channels.add(channel);
    return { type: `${type}d`, id, channel, epoch: "E1", offset: 0 };
  }

  #take(behind) {
    const { perSecond, burst } = this.#limits;
    if (perSecond === undefined) return 0;
    const interval = 1000 / perSecond;
    const now = this.#rig.clock.time;
    const due = Math.max(this.#due, now);
    const wait = due - now - interval * (burst - 1);
    if (wait <= 1e-6) {
      this.#due = due + interval;
      return 0;
    }
    return Math.min(wait + interval * behind, Math.max(wait, interval * burst));
  }

  // until lets time pass in steps until done() holds, and returns the milliseconds that took.
  async until(done, { step = 10, most = 200_000 } = {}) {
    const start = this.#rig.clock.time;
    for (;;) {
      await microtasks();
      this.serve();
      if (done()) return this.#rig.clock.time - start;
      if (this.#rig.clock.time - start > most) throw new Error(`not done after ${most} ms`);
      this.#rig.clock.advance(step);
    }
  }
}
