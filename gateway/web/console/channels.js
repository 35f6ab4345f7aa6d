// The chips of the channels that the page subscribes to.
import { count, counted } from "./format.js";

/** A chip: what is known of one channel, and its element. */
export class Chip {
  #select;
  #numbers;
  #events = 0;
  #gaps = 0;
  #rate = 0;
  #counted = 0; // events at the last tick
  #refused = "";

  /** select and remove are called when the reader asks for them. */
  constructor(name, select, remove) {
    this.name = name;
    this.#select = document.createElement("button");
    this.#select.type = "button";
    this.#select.title = "Show how to publish to this channel";
    this.#select.addEventListener("click", select);
    const label = document.createElement("bdi");
    label.textContent = name;
    this.#numbers = document.createElement("small");
    this.#select.append(label, " ", this.#numbers);
    const removal = document.createElement("button");
    removal.type = "button";
    removal.className = "remove";
    removal.textContent = "×";
    removal.setAttribute("aria-label", `Unsubscribe from ${name}`);
    removal.title = "Unsubscribe";
    removal.addEventListener("click", remove);
    this.element = document.createElement("li");
    this.element.append(this.#select, removal);
    this.select(false);
    this.#show();
  }

  event() {
    this.#events++;
    this.#refused = "";
  }

  gap() {
    this.#gaps++;
  }

  /** The gateway has accepted the channel, perhaps at a later try. */
  accept() {
    this.#refused = "";
  }

  refuse(code) {
    this.#refused = code;
    this.#show();
  }

  reset() {
    this.#events = this.#gaps = this.#counted = 0;
    this.#show();
  }

  select(on) {
    this.#select.setAttribute("aria-pressed", String(on));
  }

  focus() {
    this.#select.focus();
  }

  /** Brings the numbers up to date; seconds have passed since the last time. */
  tick(seconds) {
    this.#rate = (this.#events - this.#counted) / seconds;
    this.#counted = this.#events;
    this.#show();
  }

  #show() {
    const parts = [counted(this.#events, "event")];
    if (this.#rate > 0) parts.push(`${count(Math.max(1, Math.round(this.#rate)))}/s`);
    if (this.#gaps > 0) parts.push(counted(this.#gaps, "gap"));
    if (this.#refused !== "") parts.splice(0, parts.length, `refused: ${this.#refused}`);
    this.#numbers.textContent = parts.join(" · ");
    this.element.className = this.#refused !== "" ? "refused" : this.#gaps > 0 ? "gaps" : "";
  }
}
