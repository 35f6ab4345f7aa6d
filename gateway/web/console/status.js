// The line that tells where the connection stands.
import { duration } from "./format.js";

const COUNTDOWN = 100; // ms between its changes
const PING_INTERVAL = 5000;

const $ = (id) => document.getElementById(id);

/** Why a connection ended, in words. */
export function whyClosed({ code, reason }) {
  const words = {
    0: reason,
    1001: "the gateway is stopping",
    1006: "cut or refused (code 1006)",
    1013: "this page was too slow for its events",
  }[code];
  return words ?? `closed with code ${code}${reason ? `: ${reason}` : ""}`;
}

/** Why the gateway does not let the page in, in words. */
export function whyRefused(reason) {
  if (reason === "authentication_required") return "the gateway lets nobody in without a token";
  return `the gateway does not let this page in: ${reason}`;
}

/** Shows the client's states. */
export class Status {
  #url;
  #client;
  #state = { state: "connecting" };
  #timer;

  constructor(url) {
    this.#url = url;
  }

  /** Measures the round trips of the client that client() returns from now on. */
  watch(client) {
    this.#client = client;
    setInterval(() => this.#ping(), PING_INTERVAL);
  }

  show(state) {
    this.#state = state;
    clearInterval(this.#timer);
    const draining = state.state === "waiting" && state.code === 1001;
    const kind = draining ? "draining" : state.state;
    $("connection").dataset.state = kind;
    const words = { connecting: "connecting", open: "connected", waiting: "waiting", draining: "gateway draining", refused: "refused" };
    $("state").textContent = words[kind] ?? kind;
    $("client-name").textContent = state.client ?? "–";
    $("user-name").textContent = state.user ?? "–";
    this.#detail();
    if (state.state === "open") this.#ping();
    else $("round-trip").textContent = "–";
    if (state.state === "waiting") this.#timer = setInterval(() => this.#detail(), COUNTDOWN);
  }

  #detail() {
    const { state, retryAt } = this.#state;
    let text = "";
    if (state === "connecting") text = `to ${this.#url}`;
    if (state === "refused") text = whyRefused(this.#state.reason);
    if (state === "waiting") {
      const when = retryAt === null ? "until the network is back" : `next attempt in ${seconds(retryAt - Date.now())}`;
      text = this.#state.code === undefined ? when : `${when}; ${whyClosed(this.#state)}`;
    }
    $("state-detail").textContent = text;
  }

  async #ping() {
    if (this.#state.state !== "open" || document.hidden) return;
    try {
      $("round-trip").textContent = duration(await this.#client().ping());
    } catch {
      // The connection's end is shown as a state.
    }
  }
}

const seconds = (ms) => `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
