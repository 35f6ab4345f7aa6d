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

// A client on fakes. sockets are all it ever made; log is what its callbacks heard.
export class Rig {
  clock = new FakeClock();
  page = new FakePage();
  sockets = [];
  states = [];
  gaps = [];
  errors = [];
  random = 0.5;

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

  async open() {
    await microtasks();
    this.say({ type: "welcome", client: "c1", ping_interval_ms: 25000 });
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

  // answer answers the subscribe command that names channel alone.
  answer(channel, offset, epoch = "E1") {
    const command = this.socket.sent.findLast((m) => m.type === "subscribe" && m.channel === channel);
    this.say({ type: "subscribed", id: command.id, channel, epoch, offset });
  }

  event(channel, offset, data = offset) {
    this.say({ type: "event", channel, offset, data });
  }

  // back loses the connection and opens the next.
  async back() {
    this.drop();
    this.clock.advance(30_000);
    await this.open();
  }
}
