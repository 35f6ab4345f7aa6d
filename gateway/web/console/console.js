// The console page: subscribes to channels and shows what comes. It owns the client; the log, the
// status line, the chips and the publish panel have modules of their own.
import { connect } from "../fleetcast.js";
import { Chip } from "./channels.js";
import { channelsOf, count, counted, dataText, fragmentOf } from "./format.js";
import { Log } from "./log.js";
import { PublishPanel } from "./publish.js";
import { Status, whyClosed } from "./status.js";

const FIRST_CHANNEL = "news";
const MAX_CHANNELS = 128; // as many as gateways allow a client by default, until this one has told
const MAX_PUBLISHED = 100; // own events whose arrival is awaited
const TICK = 1000; // ms between the chips' numbers

const $ = (id) => document.getElementById(id);

class Console {
  #url;
  #client;
  #message = ""; // the one that is being handled, as it came
  // name -> {chip, subscription, last: how many events to begin with, latest: the offset up to which
  // events are those that were missed}
  #chips = new Map();
  #selected = "";
  #wasOpen = false;
  #lost = false; // since it was open last
  #published = new Map(); // "offset channel" -> when it was sent, until it arrives
  #log;
  #status;
  #panel;

  constructor(config) {
    const url = new URL(config.path, location.href);
    url.protocol = url.protocol.replace(/^http/, "ws");
    this.#url = url;
    this.#status = new Status(url.href);
    this.#log = new Log(
      { scroller: $("scroller"), rows: $("rows"), empty: $("empty"), newest: $("newest"), totals: $("totals") },
      () => this.#showPause(),
    );
    this.#panel = new PublishPanel(config, (channel, data) => this.#publish(channel, data), announce);
    this.#client = this.#connect();
    this.#status.watch(() => this.#client);
    $("identity").hidden = $("user").hidden = !config.tokens;
    const last = remembered("last");
    if ([...$("last").options].some(({ value }) => value === last)) $("last").value = last;
    this.#follow();
    addEventListener("hashchange", () => this.#follow());
    this.#bindControls();
    this.#bindKeys();
    let ticked = performance.now();
    setInterval(() => {
      const now = performance.now();
      for (const { chip } of this.#chips.values()) chip.tick((now - ticked) / 1000);
      ticked = now;
    }, TICK);
  }

  #connect(token) {
    const page = this;
    // A client that another one has replaced says that it is closed.
    const still = (listener) => (what) => client === this.#client && listener(what);
    const client = connect(this.#url, {
      token,
      onState: still((state) => this.#state(state)),
      onGap: still((gap) => this.#gap(gap)),
      onError: still((error) => this.#error(error)),
      WebSocket: class extends WebSocket {
        constructor(...args) {
          super(...args);
          // Heard before the client's own listener, which comes later.
          this.addEventListener("message", ({ data }) => page.#hear(data));
        }
      },
    });
    return client;
  }

  // Connects anew with a token, or without one if the text is empty.
  #identify(text) {
    const before = this.#client;
    try {
      this.#client = this.#connect(text === "" ? undefined : text);
    } catch {
      complain("token", "This is no token: it has characters that no JSON Web Token has.");
      return;
    }
    complain("token", "");
    for (const [name, entry] of this.#chips) {
      entry.subscription = this.#follows(name, entry.last, entry.subscription.position);
    }
    before.close();
    this.#panel.identify(text !== "");
  }

  // Channels ----------------------------------------------------------------------------------

  // Brings the subscriptions in line with the address.
  #follow() {
    const wanted = channelsOf(location.hash);
    if (wanted.length === 0) wanted.push(FIRST_CHANNEL);
    for (const name of [...this.#chips.keys()]) if (!wanted.includes(name)) this.#unsubscribe(name);
    for (const name of wanted) {
      if (!this.#subscribe(name)) this.#log.add(row("error", "", $("channel-error").textContent));
    }
    this.#show(this.#chips.has(this.#selected) ? this.#selected : ([...this.#chips.keys()][0] ?? ""));
  }

  // Returns whether the page has the channel. If not, it says why.
  #subscribe(name) {
    if (this.#chips.has(name)) return true;
    try {
      const most = this.#client.limits?.channels ?? MAX_CHANNELS;
      if (this.#chips.size >= most) throw new Error(`the gateway takes ${most} channels of a page at most`);
      const last = Number($("last").value);
      const subscription = this.#follows(name, last);
      const chip = new Chip(name, () => this.#show(name), () => this.#remove(name));
      this.#chips.set(name, { chip, subscription, last, latest: 0 });
      $("chips").append(chip.element);
      complain("channel", "");
      return true;
    } catch (error) {
      complain("channel", `Not subscribed to “${name.slice(0, 100)}”: ${error.message}.`);
      return false;
    }
  }

  #follows(name, last, since = null) {
    let begun = since !== null;
    return this.#client.subscribe(name, (data, info) => this.#event(data, info), {
      since,
      last: last > 0 ? last : undefined,
      onSubscribed: () => this.#chips.get(name)?.chip.accept(),
      onRecovered: (recovery) => {
        if (begun) this.#recovered(recovery);
        begun = true;
      },
    });
  }

  #unsubscribe(name) {
    const { chip, subscription } = this.#chips.get(name);
    subscription.unsubscribe();
    chip.element.remove();
    this.#chips.delete(name);
  }

  #remove(name) {
    this.#unsubscribe(name);
    this.#keepAddress();
    const next = [...this.#chips.keys()].at(-1) ?? "";
    this.#show(this.#selected === name ? next : this.#selected);
    if (next === "") $("channel").focus();
    else this.#chips.get(next).chip.focus();
    announce(`Unsubscribed from ${name}`);
  }

  #keepAddress() {
    history.replaceState(null, "", fragmentOf(this.#chips.keys()));
  }

  #show(name) {
    this.#selected = name;
    for (const [other, { chip }] of this.#chips) chip.select(other === name);
    this.#panel.show(name);
    $("empty").textContent = name === "" ? "No channel: subscribe to one above." : `No events yet. Publish one to ${name} with a command of this page: it appears here at once.`;
  }

  // What the client says -----------------------------------------------------------------------

  #event(data, { channel, offset, recovered }) {
    const at = Date.now();
    const arrived = performance.now();
    this.#chips.get(channel).chip.event();
    const key = `${offset} ${channel}`;
    const sentAt = this.#published.get(key);
    this.#published.delete(key);
    const sent = typeof data?.sent === "number" ? at - data.sent : null;
    const latency = sentAt !== undefined ? arrived - sentAt : recovered ? null : sent;
    const text = dataText(this.#message, data);
    this.#log.add({ kind: "event", at, arrived, channel, offset, latency, recovered, own: sentAt !== undefined, text });
  }

  #hear(message) {
    this.#message = message;
  }

  // The missed events follow, and a gap for those that are lost.
  #recovered({ channel, from, latest, lost }) {
    this.#chips.get(channel).latest = latest;
    const events = latest - from - (lost ? lost.to - lost.from + 1 : 0);
    if (events > 0) this.#log.add(row("recovered", channel, `${counted(events, "event")} published while this page was not connected.`));
  }

  #gap({ channel, from, to, reset }) {
    const { chip, latest } = this.#chips.get(channel);
    chip.gap();
    const events = from === to ? `Event ${from} was missed` : `Events ${from} to ${to} were missed`;
    let text;
    if (reset) {
      text = "The channel began anew: the gateway has lost its count, and how many events were missed nobody knows.";
      if (to > 0) text += ` Of the new count: ${events.toLowerCase()}.`;
    } else if (to <= latest || /^\{"type":"(subscribed|history)"/.test(this.#message)) {
      text = `${events}: published while this page was not connected, and not kept by the gateway.`;
    } else {
      text = `${events}: the gateway left them out.`;
    }
    this.#log.add(row("gap", channel, text));
  }

  #error({ code, channel, channels = [], message }) {
    for (const name of channel === undefined ? channels : [channel]) this.#chips.get(name)?.chip.refuse(code);
    const others = channels.length > 1 ? `; ${channels.length} channels in all` : "";
    this.#log.add(row("error", channel ?? "", `${message} (${code})${others}`));
  }

  #state(state) {
    this.#status.show(state);
    if (state.state === "open") {
      if (this.#wasOpen) this.#log.add(row("state", "", `Connected again, as client ${state.client}${state.user ? ` of ${state.user}` : ""}.`));
      this.#wasOpen = true;
      this.#lost = false;
    } else if (state.state === "waiting" && this.#wasOpen && !this.#lost) {
      this.#lost = true;
      const why = state.code === undefined ? "the network is gone" : whyClosed(state);
      this.#log.add(row("state", "", `Connection lost: ${why}.`));
    }
  }

  // The answer and the event may come in either order.
  async #publish(channel, data) {
    const sentAt = performance.now();
    const { offset } = await this.#client.publish(channel, data);
    const took = performance.now() - sentAt;
    if (this.#chips.has(channel) && !this.#log.measured(channel, offset, sentAt)) {
      this.#published.set(`${offset} ${channel}`, sentAt);
      if (this.#published.size > MAX_PUBLISHED) this.#published.delete(this.#published.keys().next().value);
    }
    return { offset, took };
  }

  // What the reader says ------------------------------------------------------------------------

  #bindControls() {
    $("subscribe").addEventListener("submit", (event) => {
      event.preventDefault();
      const names = $("channel").value.split(/\s+/).filter((name) => name !== "");
      if (names.length === 0) return;
      if (!names.every((name) => this.#subscribe(name))) return;
      $("channel").value = "";
      this.#keepAddress();
      this.#show(names.at(-1));
      announce(`Subscribed to ${names.join(" ")}`);
    });
    $("identity").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = $("token").value.trim();
      $("token").value = "";
      this.#identify(text);
    });
    $("pause").addEventListener("click", () => this.#pause());
    $("clear").addEventListener("click", () => this.#clear());
    $("expand-all").addEventListener("click", () => this.#expandAll());
    $("filter").addEventListener("input", () => this.#log.filter($("filter").value));
    $("help-open").addEventListener("click", () => $("help").showModal());
    $("last").addEventListener("change", () => remember("last", $("last").value));
    $("shortcuts").checked = remembered("shortcuts") !== "off";
    $("shortcuts").addEventListener("change", () => remember("shortcuts", $("shortcuts").checked ? "on" : "off"));
  }

  #bindKeys() {
    const actions = {
      s: () => $("channel").focus(),
      "/": () => $("filter").focus(),
      p: () => this.#pause(),
      c: () => this.#clear(),
      e: () => this.#expandAll(),
      n: () => this.#log.toNewest(),
      "?": () => $("help").showModal(),
    };
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || $("help").open) return;
      if (event.target.matches("input, select, textarea")) {
        if (event.key === "Escape") event.target.blur();
        return;
      }
      if (!Object.hasOwn(actions, event.key) || !$("shortcuts").checked) return;
      event.preventDefault();
      actions[event.key]();
    });
  }

  #pause() {
    this.#log.pause(!this.#log.paused);
    announce(this.#log.paused ? "Paused" : "Resumed");
  }

  #showPause() {
    const { paused, waiting } = this.#log;
    $("pause").setAttribute("aria-pressed", String(paused));
    const text = paused ? `Paused: ${count(waiting)} waiting` : "Pause";
    if ($("pause").textContent !== text) $("pause").textContent = text;
  }

  #clear() {
    this.#log.clear();
    for (const { chip } of this.#chips.values()) chip.reset();
    announce("Cleared");
  }

  #expandAll() {
    const on = $("expand-all").getAttribute("aria-pressed") !== "true";
    $("expand-all").setAttribute("aria-pressed", String(on));
    this.#log.expandAll(on);
  }
}

const row = (kind, channel, text) => ({ kind, at: Date.now(), channel, text });

// Browsers may forbid pages to keep anything.
function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // It holds until the page is closed.
  }
}

function announce(text) {
  $("announcer").textContent = text;
}

// Complains about what is in a field, or with an empty text not any more.
function complain(field, text) {
  $(`${field}-error`).textContent = text;
  $(`${field}-error`).hidden = text === "";
}

async function start() {
  try {
    const response = await fetch(new URL("config.json", import.meta.url));
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    new Console(await response.json());
  } catch (error) {
    $("connection").dataset.state = "failed";
    $("state").textContent = `This page cannot start: ${error.message}. Reload it when the gateway runs.`;
    throw error;
  }
}

await start();
