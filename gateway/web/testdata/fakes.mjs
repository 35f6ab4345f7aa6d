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

// The names of channels in a command, whose elements may be objects.
export const namesOf = ({ channel, channels = [channel] }) => channels.map((element) => element.channel ?? element);

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
      sent = []; // and not heard yet
      all = [];
      closed = null;
      constructor(url, protocols) {
        Object.assign(this, { url, protocols });
        rig.sockets.push(this);
      }
      send(text) {
        this.sent.push(JSON.parse(text));
        this.all.push(this.sent.at(-1));
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

  // last is the latest command of that type, about that channel alone.
  last(type, channel) {
    return this.socket.all.findLast((m) => m.type === type && m.channel === channel);
  }

  // accept answers a command: all that it asks for is done.
  accept({ type, id, ...command }) {
    const answer = { type: `${type}d`, id, epoch: "E1", offset: 0 };
    this.say(...namesOf(command).map((name) => ({ ...answer, channel: name })));
  }

  // answer answers the subscribe command that names channel alone. more is what a gateway with
  // history adds.
  answer(channel, offset, epoch = "E1", more = {}) {
    const { id } = this.last("subscribe", channel);
    this.say({ type: "subscribed", id, channel, epoch, offset, ...more });
  }

  // events answers the history command about channel.
  events(channel, offsets, { epoch = "E1", latest = offsets.at(-1) ?? 0, more = false } = {}) {
    const { id } = this.last("history", channel);
    this.say({ type: "history", id, channel, epoch, latest, events: offsets.map((offset) => ({ offset, data: offset })), more });
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
// real one does. heard are all the commands that it got. Without history it is an older one.
export class FakeGateway {
  heard = [];
  refused = 0; // names
  channels = new Set();
  history = true;
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
      if (!this.history && command.channels?.some((element) => element.channel)) {
        const pause = this.#take(0);
        const refusal = pause > 0 ? { code: "rate_limited", retry_after_ms: Math.ceil(pause) } : { code: "bad_request" };
        this.#rig.say({ type: "error", id: command.id, message: "", ...refusal });
        continue;
      }
      const names = namesOf(command);
      let behind = 0;
      this.#rig.say(...names.map((channel) => {
        const pause = this.#take(behind);
        if (pause > 0) behind++;
        const asks = this.history && (command.since || command.channels?.some((element) => element.channel === channel));
        return this.#answer(command, channel, pause, asks ? { recovered: true, latest: 0 } : {});
      }));
    }
  }

  #answer({ type, id }, channel, pause, recovery) {
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
    return { type: `${type}d`, id, channel, epoch: "E1", offset: 0, ...recovery };
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

// A gateway with history: streams of numbered events, of which each keeps the latest ones, and a
// connection whose events and answers come one by one, in any order that the real one may have.
export class FakeStreams {
  channels = new Map(); // name -> {epoch, top}
  #rig;
  #keep;
  #socket;
  #commands = [];
  #cursors = new Map(); // name -> the offset of the next event

  constructor(rig, names, keep) {
    this.#rig = rig;
    this.#keep = keep;
    for (const name of names) this.channels.set(name, { epoch: "E1", top: 0 });
  }

  publish(name) {
    this.channels.get(name).top++;
  }

  // restart loses a stream: its subscribers are gone.
  restart(name) {
    const stream = this.channels.get(name);
    stream.epoch = `E${Number(stream.epoch.slice(1)) + 1}`;
    stream.top = 0;
  }

  // first is the offset of the first event that is kept.
  first(name) {
    return Math.max(1, this.channels.get(name).top - this.#keep + 1);
  }

  // answer answers the oldest command. Returns false if there is none.
  answer() {
    this.#listen();
    const command = this.#commands.shift();
    if (!command) return false;
    if (command.type === "history") this.#history(command);
    else for (const element of command.channels ?? [command]) this.#do(command, element.channel ?? element, element.channel ? element : {});
    return true;
  }

  // deliver sends the next event of a channel, or the gap before it. Returns false if there is none.
  deliver(name) {
    this.#listen();
    const next = this.#cursors.get(name);
    const { top } = this.channels.get(name);
    if (next === undefined || next > top) return false;
    const first = this.first(name);
    this.#cursors.set(name, Math.max(next + 1, first));
    if (next < first) this.#rig.say({ type: "gap", channel: name, from: next, to: first - 1 });
    else this.#rig.say({ type: "event", channel: name, offset: next, data: this.#data(name, next) });
    return true;
  }

  #listen() {
    if (this.#socket !== this.#rig.socket) {
      this.#socket = this.#rig.socket;
      this.#commands = [];
      this.#cursors.clear();
    }
    if (this.#socket?.onmessage) this.#commands.push(...this.#rig.heard());
  }

  #do({ type, id }, channel, { since, last }) {
    if (type === "unsubscribe") {
      this.#cursors.delete(channel);
      this.#rig.say({ type: "unsubscribed", id, channel });
      return;
    }
    const { epoch, top } = this.channels.get(channel);
    const first = this.first(channel);
    const answer = { type: "subscribed", id, channel, epoch, offset: top };
    if (since || last) answer.latest = top;
    if (last) answer.offset = Math.max(first - 1, top - last);
    if (since) answer.recovered = false;
    if (since?.epoch === epoch && since.offset <= top) {
      answer.offset = since.offset;
      answer.recovered = since.offset + 1 >= first;
      if (!answer.recovered) answer.lost = { from: since.offset + 1, to: first - 1 };
    }
    this.#cursors.set(channel, answer.offset + 1);
    this.#rig.say(answer);
  }

  #history({ id, channel, since }) {
    const { epoch, top } = this.channels.get(channel);
    const from = Math.max(this.first(channel), since.epoch === epoch ? since.offset + 1 : 1);
    const to = Math.min(top, from + 2);
    const events = [];
    for (let offset = from; offset <= to; offset++) events.push({ offset, data: this.#data(channel, offset) });
    this.#rig.say({ type: "history", id, channel, epoch, latest: top, events, more: to < top });
  }

  #data(channel, offset) {
    return `${channel} ${this.channels.get(channel).epoch} ${offset}`;
  }
}
