// Writes figures into the page. What is written is text, never markup: names of
// channels and addresses come from outside. An element is touched only if what it
// says changes.

import * as format from "./format.js";
import { imbalance, tally } from "./figures.js";

export const $ = (id) => document.getElementById(id);

export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// make makes an element of a class with children, which may be texts.
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

// tile writes a tile's value and the note beneath it.
export function tile(id, value, note = "") {
  const [big, small] = $(id).children;
  write(big, value);
  write(small, note || "\u00a0");
  const title = note.length > 24 ? note : "";
  if (small.title !== title) small.title = title;
}

// rows gives a table's body n rows, which build makes, and returns them. Those
// that are there stay, with what has the focus in them.
function rows(body, n, build) {
  while (body.rows.length > n) body.rows[body.rows.length - 1].remove();
  while (body.rows.length < n) body.append(build());
  return body.rows;
}

// bar draws a share from 0 to 1 behind a cell's text.
function bar(cell, share) {
  const width = Math.min(1, Math.max(0, share || 0)).toFixed(3);
  if (cell.style.getPropertyValue("--share") !== width) cell.style.setProperty("--share", width);
}

const shardColumns = [
  { key: "clients", show: format.count },
  { key: "subscriptions", show: format.count },
  { key: "deliveries", show: format.measure },
  { key: "turn", show: format.quantile, size: (quantile) => quantile?.value ?? null },
  { key: "busy", show: format.percent, most: 1 },
  { key: "mailbox", show: format.count },
  { key: "queued", show: format.count },
  { key: "backlog", show: format.bytes },
];

// shards shows what figures.shardRows returns.
export function shards(figures) {
  const body = $("shards").tBodies[0];
  rows(body, figures.length, () => {
    const row = make("tr", "", make("th"), ...shardColumns.map(() => make("td", "bar")));
    row.cells[0].scope = "row";
    return row;
  });
  const sizes = shardColumns.map(({ key, size = (value) => value }) => figures.map((row) => size(row[key])));
  const most = shardColumns.map((column, i) => column.most ?? Math.max(0, ...sizes[i]));
  for (const [i, figure] of figures.entries()) {
    const { cells } = body.rows[i];
    write(cells[0], String(i));
    for (const [j, column] of shardColumns.entries()) {
      write(cells[j + 1], column.show(figure[column.key]));
      bar(cells[j + 1], most[j] > 0 ? sizes[j][i] / most[j] : 0);
    }
  }
  strip("Clients", figures.map((row) => row.clients));
  strip("Deliveries per second", figures.map((row) => row.deliveries));
  strip("Busy share", figures.map((row) => row.busy), 1);
}

const strips = new Map();

// strip draws one bar per shard, side by side, and says how uneven they are.
function strip(name, values, most = Math.max(0, ...values)) {
  if (!strips.has(name)) {
    const made = { bars: make("div", "strip-bars"), text: make("p", "strip-text") };
    made.bars.setAttribute("role", "img");
    $("strips").append(make("div", "strip", make("h3", "", name), made.bars, made.text));
    strips.set(name, made);
  }
  const { bars, text } = strips.get(name);
  while (bars.children.length > values.length) bars.lastChild.remove();
  while (bars.children.length < values.length) bars.append(make("i", ""));
  values.forEach((value, i) => bar(bars.children[i], most > 0 ? value / most : 0));
  const uneven = imbalance(values);
  const words = values.every((value) => value === null) ? format.NONE
    : values.length < 2 ? "one shard"
      : !uneven ? "nothing to compare"
        : `most: shard ${uneven.index}, ${uneven.times.toFixed(1)} times the mean`;
  write(text, words);
  if (bars.getAttribute("aria-label") !== words) bars.setAttribute("aria-label", words);
}

// named writes a name from outside into a cell that shows as much as fits.
function named(cell, text) {
  const safe = format.name(text);
  if (!cell.firstElementChild) cell.append(make("bdi"));
  write(cell.firstElementChild, safe);
  if (cell.title !== safe) cell.title = safe;
}

function namedRow(cells) {
  const row = make("tr", "", make("th"), ...Array.from({ length: cells - 1 }, () => make("td")));
  row.cells[0].scope = "row";
  return row;
}

// channels shows the answer's channels by subscribers.
// Null: words say why there are none.
export function channels(list, words) {
  const shown = rows($("top").tBodies[0], list?.length ?? 0, () => namedRow(4));
  for (const [i, channel] of (list ?? []).entries()) {
    const { cells } = shown[i];
    named(cells[0], channel.channel);
    write(cells[1], format.count(channel.subscribers));
    write(cells[2], format.count(channel.offset));
    write(cells[3], format.measure(channel.events_per_second));
  }
  write($("top-empty"), list ? (list.length ? "" : "No channel is in use.") : words);
}

// loud shows the answer's channels by rate.
export function loud(list, words) {
  const shown = rows($("loud").tBodies[0], list?.length ?? 0, () => namedRow(4));
  for (const [i, channel] of (list ?? []).entries()) {
    const { cells } = shown[i];
    named(cells[0], channel.channel);
    write(cells[1], format.measure(channel.events_per_second));
    write(cells[2], format.bytes(channel.bytes_per_second));
    write(cells[3], format.measure(channel.deliveries_per_second));
  }
  write($("loud-empty"), list ? (list.length ? "" : "No channel is in use.") : words);
}

// senders shows the answer's publishers by rate. open is called with the one that is
// asked for.
export function senders(list, words, open) {
  const shown = rows($("senders").tBodies[0], list?.length ?? 0, () => {
    const row = namedRow(4);
    const button = make("button", "link");
    button.type = "button";
    button.addEventListener("click", () => open(row.sender));
    row.cells[0].append(button);
    return row;
  });
  for (const [i, sender] of (list ?? []).entries()) {
    const { cells } = shown[i];
    shown[i].sender = sender;
    const [button] = cells[0].children;
    write(button, format.name(sender.name || sender.publisher));
    button.disabled = sender.protocol === "http";
    button.title = `${format.name(sender.publisher)}, ${format.name(sender.protocol)}${sender.paused ? ", waits for credit" : ""}`;
    named(cells[1], sender.address);
    write(cells[2], format.measure(sender.events_per_second));
    write(cells[3], format.bytes(sender.bytes_per_second));
  }
  write($("senders-empty"), list ? (list.length ? "" : "Nobody publishes.") : words);
}

// laggards shows the answer's clients, of which there are total. open is called with the
// name of one that is asked for.
export function laggards(list, total, words, open) {
  const shown = rows($("laggards").tBodies[0], list?.length ?? 0, () => {
    const row = namedRow(4);
    const button = make("button", "link");
    button.type = "button";
    button.addEventListener("click", () => open(button.value));
    row.cells[0].append(button);
    return row;
  });
  for (const [i, laggard] of (list ?? []).entries()) {
    const { cells } = shown[i];
    const [button] = cells[0].children;
    button.value = String(laggard.client);
    write(button, format.name(laggard.client));
    button.title = "Look at this client";
    named(cells[1], laggard.address);
    write(cells[2], format.bytes(laggard.backlog_bytes));
    write(cells[3], format.seconds(laggard.oldest_seconds));
  }
  const more = total - (list?.length ?? 0);
  write($("laggards-empty"), !list ? words : !list.length ? "Every client keeps up." : more > 0 ? `and ${format.count(more)} more` : "");
}

// kept shows what figures.keptFigures returns. rate is how many events a second clients get
// from the history. Without figures there is nothing to show.
export function kept(figures, rate) {
  $("kept").hidden = !figures;
  if (!figures) return;
  const fact = (name, text) => write($("kept").querySelector(`[data-fact="${name}"]`), text);
  fact("events", format.count(figures.events));
  fact("bytes", format.bytes(figures.bytes) + (figures.most === null ? "" : ` of ${format.bytes(figures.most)}`));
  fact("evicted", format.count(figures.evicted));
  fact("catching", format.count(figures.catching));
  fact("recovered", format.count(figures.recovered) + (rate > 0 ? `, ${format.measure(rate)}/s` : ""));
}

// identity shows who clients are: what figures.identityFigures and figures.hookRows return.
// Without figures there is nothing to show.
export function identity(figures, hooks) {
  $("identity").hidden = !figures;
  if (!figures) return;
  const fact = (name, text) => write($("identity").querySelector(`[data-fact="${name}"]`), text);
  fact("accepted", format.count(figures.accepted));
  fact("verifications", format.count(figures.verifications) + (figures.waiting > 0 ? `, ${format.count(figures.waiting)} wait` : ""));
  fact("cached", format.percent(figures.cached));
  fact("failing", format.count(figures.failing));
  fact("blocked", format.count(figures.blocked));
  const shown = rows($("hooks").tBodies[0], hooks.length, () => namedRow(7));
  for (const [i, hook] of hooks.entries()) {
    const { cells } = shown[i];
    named(cells[0], hook.name === "" ? "connect hook" : hook.name);
    write(cells[1], format.measure(hook.asked));
    write(cells[2], format.count(hook.refused));
    write(cells[3], format.count(hook.failed));
    write(cells[4], format.quantile(hook.p99));
    write(cells[5], format.count(hook.waiting));
    write(cells[6], hook.open ? "fails, rests" : "is asked");
    cells[6].classList.toggle("error", hook.open);
  }
  write($("hooks-empty"), hooks.length ? "" : "There is no hook.");
}

// counts shows a table of reasons: what the last minute added, and all.
export function counts(id, all, minute) {
  const known = tally(all);
  const names = Object.keys(known).filter((name) => known[name] > 0).sort();
  const body = $(id).tBodies[0];
  const shown = rows(body, Math.max(1, names.length), () => namedRow(3));
  if (!names.length) {
    [...shown[0].cells].forEach((cell, i) => write(cell, i ? "" : "none"));
    return;
  }
  for (const [i, name] of names.entries()) {
    write(shown[i].cells[0], format.name(name).replaceAll("_", " "));
    write(shown[i].cells[1], format.count(minute[name] ?? 0));
    write(shown[i].cells[2], format.count(known[name]));
    shown[i].classList.toggle("active", (minute[name] ?? 0) > 0);
  }
}

// verdict shows what is not well: items of verdict.judge, or null while nothing is known.
export function verdict(items, remark) {
  const bad = items?.some(({ level }) => level === "bad");
  const mood = !items ? "none" : bad ? "bad" : items.length ? "warn" : "good";
  const headline = !items ? "Asking the gateway"
    : items.length === 0 ? "All is well"
      : items.length === 1 ? "One thing is not well" : `${items.length} things are not well`;
  const section = $("verdict");
  if (section.className !== `verdict ${mood}`) section.className = `verdict ${mood}`;
  write($("headline"), headline);
  const list = $("matters");
  while (list.children.length > (items?.length ?? 0)) list.lastChild.remove();
  for (const [i, { level, id, text, advice }] of (items ?? []).entries()) {
    if (!list.children[i]) list.append(make("li", "", make("b"), " ", make("span")));
    const line = list.children[i];
    line.className = level;
    line.dataset.id = id;
    write(line.children[0], text);
    write(line.children[1], advice);
  }
  write($("remark"), remark || "\u00a0");
  announce(headline, items ?? []);
  document.title = `${{ none: "…", good: "✓", warn: "!", bad: "✗" }[mood]} fleetcast ${location.host}`;
}

let announced = "";

// announce tells a screen reader when what is not well is another thing; that a
// number in it moved is not said.
function announce(headline, items) {
  const key = headline + items.map(({ id }) => id).join();
  if (key === announced) return;
  announced = key;
  write($("announcement"), [headline, ...items.map(({ text }) => text)].join(". "));
}
