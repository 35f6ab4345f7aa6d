// The log of events: rows that are drawn once a frame, in bounded number.
//
// A record is {kind, at, channel, text}; an event's also has offset, arrived (performance.now()),
// latency (milliseconds or null) and recovered. at is its time as Date.now() gives it.
import { count, counted, duration, pretty, timeOfDay } from "./format.js";

const MAX_ROWS = 1000;
const MAX_WAITING = 900; // records: less, so that the row that tells of dropped ones stays with them
const MAX_WEIGHT = 8 * 1024 * 1024; // characters of data in all rows, and of those that wait
const PER_FRAME = 100; // rows: more would not be seen, and would hold up the page
const MAX_LINE = 300; // characters of data in a row that is not expanded
const NEAR = 8; // pixels from the end that count as the end

const KINDS = { gap: "gap", recovered: "recovered", error: "error", state: "connection", skipped: "not shown" };
const NO_LATENCY = "The data has no number “sent” (milliseconds since 1970)";
const EARLIER = "It was published before this page had subscribed, or while it was not connected";
const CLOCKS = "Measured from “sent” in the data; the clocks of sender and reader must agree";

const weight = (record) => record.text.length;

/** Records that wait to be drawn. When there are too many, the oldest are dropped and counted. */
class Backlog {
  #records = [];
  #head = 0;
  #weight = 0;
  #events = 0; // dropped since the last take
  #others = 0;

  get size() {
    return this.#records.length - this.#head;
  }

  /** All that waits, oldest first. */
  records() {
    return this.#records.slice(this.#head);
  }

  /** Adds a record and returns how many events were dropped for it. */
  push(record) {
    this.#records.push(record);
    this.#weight += weight(record);
    const before = this.#events;
    while (this.size > MAX_WAITING || (this.#weight > MAX_WEIGHT && this.size > 1)) {
      if (this.#shift().kind === "event") this.#events++;
      else this.#others++;
    }
    return this.#events - before;
  }

  /** Takes at most n records, with one in their place for those that were dropped. */
  take(n) {
    const taken = [];
    if (n > 0 && this.#events + this.#others > 0) taken.push(this.#skipped());
    while (taken.length < n && this.size > 0) taken.push(this.#shift());
    return taken;
  }

  clear() {
    this.#records = [];
    this.#head = this.#weight = this.#events = this.#others = 0;
  }

  #shift() {
    const record = this.#records[this.#head];
    this.#records[this.#head++] = undefined;
    this.#weight -= weight(record);
    if (this.#head > MAX_WAITING) {
      this.#records = this.#records.slice(this.#head);
      this.#head = 0;
    }
    return record;
  }

  #skipped() {
    const others = this.#others > 0 ? ` and ${counted(this.#others, "other row")}` : "";
    const text = `${counted(this.#events, "event")}${others} arrived and are not shown: more came than this page keeps.`;
    this.#events = this.#others = 0;
    return { kind: "skipped", at: Date.now(), channel: "", text };
  }
}

/** The log in the page. Elements: scroller, rows, empty, newest (a button), totals. */
export class Log {
  #page;
  #rows = []; // {record, element, expanded}, oldest first
  #byElement = new WeakMap();
  #weight = 0;
  #backlog = new Backlog();
  #received = 0; // events
  #dropped = 0; // events that were never drawn
  #filter = "";
  #expandAll = false;
  #paused = false;
  #following = true; // the newest row is kept in view
  #top = 0; // where the log was scrolled to last
  #scheduled = false;
  #onDraw;

  constructor(page, onDraw) {
    this.#page = page;
    this.#onDraw = onDraw;
    const { scroller, rows, newest } = page;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // The rows' height is known for good only when they are drawn.
    const sizes = new ResizeObserver(() => this.#following && this.#toEnd());
    sizes.observe(scroller);
    sizes.observe(rows);
    newest.addEventListener("click", () => this.toNewest());
    rows.addEventListener("click", (event) => this.#clicked(event));
    rows.addEventListener("keydown", (event) => this.#key(event));
    rows.addEventListener("focusin", ({ target }) => this.#focused(target.closest("[role=row]")));
  }

  get paused() {
    return this.#paused;
  }

  /** How many records wait to be drawn. */
  get waiting() {
    return this.#backlog.size;
  }

  add(record) {
    if (record.kind === "event") this.#received++;
    this.#dropped += this.#backlog.push(record);
    this.#schedule();
  }

  /** Gives the event its latency, if it is here, and returns whether it is. */
  measured(channel, offset, sentAt) {
    const is = (record) => record.kind === "event" && record.channel === channel && record.offset === offset;
    const row = this.#rows.findLast(({ record }) => is(record));
    const record = row?.record ?? this.#backlog.records().findLast(is);
    if (!record) return false;
    record.latency = record.arrived - sentAt;
    record.own = true;
    if (row) showLatency(row.element.children[3], record);
    return true;
  }

  pause(on) {
    this.#paused = on;
    this.#schedule();
  }

  /** Takes everything away, also what waits, and counts from 0. */
  clear() {
    this.#backlog.clear();
    this.#rows = [];
    this.#weight = this.#received = this.#dropped = 0;
    this.#page.rows.replaceChildren();
    this.#following = true;
    this.#schedule();
  }

  /** Shows only events whose channel, offset or data contain text, in any case. */
  filter(text) {
    this.#filter = text.toLowerCase();
    for (const row of this.#rows) row.element.hidden = !this.#passes(row.record);
    if (this.#following) this.#toEnd();
    this.#schedule();
  }

  expandAll(on) {
    this.#expandAll = on;
    for (const row of this.#rows) this.#expand(row, on);
    if (this.#following) this.#toEnd();
  }

  toNewest() {
    this.#following = true;
    this.#toEnd();
    this.#schedule();
  }

  // Drawing -----------------------------------------------------------------------------------

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
    });
  }

  // What a reader looks at stays where it is: only while the newest row is followed do old ones go.
  #draw() {
    if (!this.#paused) {
      const room = this.#weight > MAX_WEIGHT ? 0 : MAX_ROWS - this.#rows.length;
      const most = this.#following ? PER_FRAME : Math.min(PER_FRAME, room);
      const taken = this.#backlog.take(most);
      if (taken.length > 0) this.#append(taken);
      if (taken.length === most && most > 0 && this.#backlog.size > 0) this.#schedule();
    }
    const { empty, newest } = this.#page;
    empty.hidden = this.#rows.length > 0;
    newest.hidden = this.#following || (this.#atEnd() && this.#backlog.size === 0);
    const waiting = this.#paused ? 0 : this.#backlog.size;
    newest.textContent = waiting > 0 ? `↓ ${count(waiting)} more` : "↓ newest";
    this.#showTotals();
    this.#onDraw();
  }

  #append(records) {
    const fragment = document.createDocumentFragment();
    for (const record of records) {
      const row = { record, element: build(record), expanded: false };
      row.element.hidden = !this.#passes(record);
      this.#byElement.set(row.element, row);
      if (this.#expandAll) this.#expand(row, true);
      this.#weight += weight(record);
      this.#rows.push(row);
      fragment.append(row.element);
    }
    this.#page.rows.append(fragment);
    if (this.#following) {
      this.#trim();
      this.#toEnd();
    }
    this.#keepTabStop();
  }

  #trim() {
    let gone = 0;
    while (this.#rows.length - gone > MAX_ROWS || (this.#weight > MAX_WEIGHT && this.#rows.length - gone > 1)) {
      this.#weight -= weight(this.#rows[gone++].record);
    }
    const removed = this.#rows.splice(0, gone);
    const hadFocus = removed.some(({ element }) => element === document.activeElement);
    for (const { element } of removed) element.remove();
    if (hadFocus) this.#rows[0].element.focus({ preventScroll: true });
  }

  #showTotals() {
    const parts = [`${counted(this.#received, "event")} received`];
    if (this.#dropped > 0) parts.push(`${count(this.#dropped)} not shown`);
    if (this.#filter !== "") {
      const events = this.#rows.filter(({ record }) => record.kind === "event");
      // A hidden row has been found not to pass; to search all data for each frame would stop the page.
      const shown = events.filter(({ element }) => !element.hidden).length;
      parts.push(`${count(shown)} of the last ${count(events.length)} match the filter`);
    } else if (this.#received > 0) {
      parts.push(`${counted(this.#rows.length, "row")} here`);
    }
    this.#page.totals.textContent = parts.join(" · ");
  }

  // Everything but events stays in view: it tells of what a filter might be looking for.
  #passes({ kind, channel, offset, text }) {
    if (this.#filter === "" || kind !== "event") return true;
    return `${channel} ${offset} ${text}`.toLowerCase().includes(this.#filter);
  }

  #expand(row, on) {
    if (row.record.kind !== "event" || row.expanded === on) return;
    row.expanded = on;
    row.element.setAttribute("aria-expanded", String(on));
    showData(row.element.lastChild, row.record, on);
  }

  // Moving about ------------------------------------------------------------------------------

  #atEnd() {
    const { scroller } = this.#page;
    return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight <= NEAR;
  }

  #toEnd() {
    const { scroller } = this.#page;
    scroller.scrollTop = scroller.scrollHeight;
    this.#top = scroller.scrollTop;
  }

  // Only a reader scrolls up; that the end is further down may be due to new rows.
  #scrolled() {
    const { scrollTop } = this.#page.scroller;
    const up = scrollTop < this.#top;
    this.#top = scrollTop;
    const following = this.#atEnd() || (this.#following && !up);
    if (following === this.#following) return;
    this.#following = following;
    this.#schedule();
  }

  #toggle(element) {
    const row = this.#byElement.get(element);
    this.#expand(row, !row.expanded);
    this.#following &&= this.#atEnd();
    this.#schedule();
  }

  #clicked({ target }) {
    const element = target.closest("[role=row]");
    // A click that ends the selection of text is no wish to expand.
    if (!element || target.closest("pre") || !getSelection().isCollapsed) return;
    this.#toggle(element);
  }

  #focused(element) {
    if (!element) return;
    this.#setTabStop(element);
    if (element === this.#rows.at(-1)?.element) return;
    this.#following = false;
    this.#schedule();
  }

  #key(event) {
    const visible = this.#rows.filter(({ element }) => !element.hidden).map(({ element }) => element);
    const at = visible.indexOf(event.target);
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: visible.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") this.#toggle(event.target);
    else if (to !== undefined) visible[to]?.focus();
    else return;
    event.preventDefault();
  }

  // The log is one stop of the Tab key: the row that was last visited, or the newest.
  #keepTabStop() {
    const stop = this.#page.rows.querySelector("[tabindex='0']");
    if (stop && stop === document.activeElement) return;
    this.#setTabStop(this.#rows.findLast(({ element }) => !element.hidden)?.element);
  }

  #setTabStop(element) {
    for (const old of this.#page.rows.querySelectorAll("[tabindex='0']")) old.tabIndex = -1;
    if (element) element.tabIndex = 0;
  }
}

// Rows ----------------------------------------------------------------------------------------

function cell(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.setAttribute("role", "gridcell");
  element.textContent = text;
  return element;
}

function build(record) {
  const element = document.createElement("div");
  element.setAttribute("role", "row");
  element.className = record.kind;
  element.tabIndex = -1;
  element.append(cell("time", timeOfDay(record.at)), cell("channel", record.channel));
  if (record.kind !== "event") {
    const words = cell("words", record.text);
    words.setAttribute("aria-colspan", "3");
    words.dataset.kind = KINDS[record.kind];
    element.append(words);
    return element;
  }
  element.classList.toggle("earlier", record.recovered);
  element.setAttribute("aria-expanded", "false");
  element.append(cell("offset number", String(record.offset)), cell("latency number", ""), cell("data", ""));
  showLatency(element.children[3], record);
  showData(element.lastChild, record, false);
  return element;
}

function showLatency(element, { latency, own, recovered }) {
  const none = recovered ? "recovered" : "–";
  element.textContent = latency === null ? none : duration(latency);
  if (latency === null) element.title = recovered ? EARLIER : NO_LATENCY;
  else element.title = own ? "From sending on this page to arrival" : CLOCKS;
}

function showData(element, { text }, expanded) {
  const content = document.createElement(expanded ? "pre" : "code");
  content.textContent = expanded ? pretty(text) : text.length > MAX_LINE ? `${text.slice(0, MAX_LINE)}… (${count(text.length)} characters)` : text;
  element.replaceChildren(content);
}
