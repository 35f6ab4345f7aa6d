// Asks the gateway how it is, again and again, and shows it.

import { Failure, ask, open } from "./api.js";
import * as dialogs from "./dialogs.js";
import { Course, History, MINUTE, at, hookRows, identityFigures, keptFigures, rates, shardRows, sum } from "./figures.js";
import { findFlood } from "./flood.js";
import * as format from "./format.js";
import * as key from "./key.js";
import * as plots from "./plots.js";
import * as tables from "./tables.js";
import { THRESHOLDS, judge, steady } from "./verdict.js";

const PAUSE = 1000; // ms between polls while the page is seen
const PAUSE_HIDDEN = 10_000; // and while it is not
const PAUSE_FAILED = 2000; // and while nothing answers
const PATIENCE = 6000; // ms for /api/stats: it names a loop that does not answer after 5 s
const ABSENT = 60_000; // ms until something is asked for again that the gateway does not offer
const MANY_CHANNELS = 50_000; // the gateway looks at all for its list: not so often beyond
const CALM = 60, UNWELL = 10; // polls between two such lists then, and while something is not well
const HOLD = 5000; // ms for which the verdict keeps what has gone
const TELL_RESTART = 300_000; // ms for which a restart is told

const history = new History();
const course = new Course(plots.width);
const matters = new Map();
const began = performance.now();
let failure = null; // {since, message} while the API does not answer
let answered = null; // {at, wall}: when it last did
let restart = null; // {at, wall}: when the process was last seen to be another one
let clockOffset = 0; // ms by which the gateway's time of day is ahead of ours
let round = 0;
let redraw = () => {};

// A part of the API that is asked for beside the statistics.
class Part {
  #absentUntil = -Infinity;
  answer = null;
  list = null;
  words = format.NONE;

  constructor(path, key) {
    Object.assign(this, { path, key });
  }

  async refresh() {
    if (performance.now() < this.#absentUntil) return;
    try {
      const { body } = await ask(this.path);
      this.list = Array.isArray(body[this.key]) ? body[this.key].slice(0, 10) : [];
      this.answer = { ...body, [this.key]: this.list };
    } catch (error) {
      if (error.status === 404 || error.status === 501) this.#absentUntil = performance.now() + ABSENT;
      this.answer = this.list = null;
      this.words = error.status === 404 ? "This gateway does not tell." : `Not to be had: ${error.message}`;
    }
  }
}

const channels = new Part("/api/channels?order=subscribers&limit=10", "channels");
const loud = {
  events: new Part("/api/channels?order=events&limit=10", "channels"),
  bytes: new Part("/api/channels?order=bytes&limit=10", "channels"),
  deliveries: new Part("/api/channels?order=deliveries&limit=10", "channels"),
};
const senders = new Part("/api/publishers?limit=10", "publishers");
const laggards = new Part("/api/laggards?limit=10", "laggards");

// What is asked for in turn, one part with each poll. For channels the gateway looks at
// all that it keeps.
const turns = [loud.events, senders, loud.bytes, loud.events, senders, loud.deliveries, loud.events, senders, channels];
let well = true;
let lastFlood = null; // {flood, wall}: when it was last seen

// refreshParts asks for what is due in this round.
async function refreshParts(many) {
  const all = round === 0 || (many && round % (well ? CALM : UNWELL) === 0); // at first, so that the page is whole at once
  const due = all ? new Set(turns) : many ? [senders] : [turns[round % turns.length]];
  for (const part of due) await part.refresh();
  if (round % 2 === 0) await laggards.refresh();
}

// flooded is the flood of the moment, or the last one within a minute: what it has
// done is told for as long.
function flooded() {
  const flood = findFlood(Object.values(loud).map(({ answer }) => answer), senders.answer);
  const wall = Date.now();
  if (flood) lastFlood = { flood, wall };
  else if (lastFlood && wall - lastFlood.wall > MINUTE) lastFlood = null;
  return lastFlood && { ...lastFlood.flood, until: flood ? undefined : lastFlood.wall };
}

async function poll() {
  try {
    const { body, date } = await ask("/api/stats", { patience: PATIENCE });
    if (typeof body.total !== "object" || body.total === null) throw new Failure(200, "the answer has no statistics");
    take(body, date);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.status === 401 || error.status === 403 || error.status === 429) {
      await key.asked(error.message);
      return poll();
    }
    failure = { since: failure?.since ?? Date.now(), message: error.message };
    course.gap(Date.now() / 1000);
  }
  show();
  if (failure) {
    dialogs.fail(failure);
    return;
  }
  // One request at a time, and these not with every poll.
  await refreshParts(history.last.stats.publish?.streams > MANY_CHANNELS);
  round++;
  await dialogs.refresh();
  showParts();
}

// take remembers an answer.
function take(stats, date) {
  const now = performance.now(), wall = Date.now();
  failure = null;
  answered = { at: now, wall };
  clockOffset = date === null ? 0 : date - wall;
  if (history.add({ at: now, stats })) {
    restart = { at: now, wall };
    course.gap(wall / 1000);
    course.mark(wall / 1000);
    return;
  }
  const before = history.before;
  const rate = before && rates(before, history.last);
  if (!before) course.gap(wall / 1000);
  else {
    course.add(wall / 1000, [rate?.deliveries, rate?.events, at(stats, "total.clients"),
      rate?.p50?.value, rate?.p99?.value, at(stats, "backlog_memory_bytes")]);
  }
}

function show() {
  showVerdict();
  redraw();
  const { last, before } = history;
  if (!last) return;
  const rate = before && rates(before, last);
  showTiles(last.stats, rate);
  tables.shards(shardRows(before, last));
  const minute = history.minute(), { total: all, publish } = last.stats;
  const { http_request: pages, ...ends } = all.disconnects ?? {}; // whoever opens a page is no client
  tables.counts("disconnects", ends, minute.disconnects);
  tables.counts("handshakes", all.handshake_failures, minute.handshakes);
  tables.counts("commands", all.command_errors, minute.commands);
  tables.counts("publish", publish?.errors, minute.publish);
  tables.counts("refused", publish?.refused, minute.refused);
  tables.kept(keptFigures(last.stats), rate?.recovered);
  tables.counts("recoveries", all.recoveries, minute.recoveries);
  tables.identity(identityFigures(last.stats), hookRows(history.since(MINUTE), last));
  tables.counts("tokens", last.stats.tokens?.refused, minute.tokens);
}

function showParts() {
  tables.channels(channels.list, channels.words);
  tables.loud(loud.events.list, loud.events.words);
  tables.senders(senders.list, senders.words, dialogs.sender);
  tables.laggards(laggards.list, at(laggards.answer ?? {}, "total"), laggards.words, dialogs.open);
}

// showVerdict also runs while an answer is awaited, to tell of the silence.
function showVerdict() {
  const now = performance.now();
  const ms = now - (answered?.at ?? began);
  const silence = { ms, since: failure?.since ?? answered?.wall, message: failure?.message };
  const quiet = Boolean(failure) || ms >= expected() + THRESHOLDS.silence;
  const found = judge({ history, silence: quiet ? silence : null, laggards: laggards.answer, flood: flooded() });
  well = found.length === 0;
  const items = history.last || quiet ? steady(found, matters, now, HOLD) : null;
  document.body.classList.toggle("stale", quiet);
  const told = [];
  if (answered) told.push(`Last answer ${format.clock(answered.wall)}.`);
  if (restart && now - restart.at < TELL_RESTART) told.push(`The gateway was restarted; seen ${format.clock(restart.wall)}. Rates begin anew.`);
  tables.verdict(items, told.join(" "));
}

function showTiles(stats, rate) {
  const number = (path) => at(stats, path), { tile } = tables;
  const limit = (path) => (number(path) === null ? "" : `of ${format.count(number(path))}`);
  const inAll = (n) => (n === null ? "" : `${format.count(n)} in all`);
  tile("clients", format.count(number("total.clients")), limit("limits.max_clients"));
  tile("subscriptions", format.count(number("total.subscriptions")), perClient(number("total.subscriptions"), number("total.clients")));
  tile("channels", format.count(number("publish.streams")), limit("limits.max_channels"));
  const paused = sum(number("publish.paused"), number("total.paused"));
  tile("publishers", format.count(number("publish.publishers")), paused ? `${format.count(paused)} paused` : limit("limits.max_publishers"));
  tile("events", format.measure(rate?.events), inAll(sum(number("publish.events"), number("total.client_published"))));
  tile("deliveries", format.measure(rate?.deliveries), inAll(number("total.deliveries")));
  tile("grouping", format.measure(rate?.deliveriesPerWrite), "since the last look");
  tile("bytes", format.bytes(rate?.bytesOut), number("total.bytes_out") === null ? "" : `${format.bytes(number("total.bytes_out"))} in all`);
  tile("latency", format.quantile(rate?.p99), `p50 ${format.quantile(rate?.p50)}`);
  const lagging = number("total.lagging");
  const bound = number("limits.backlog_memory_bytes");
  tile("backlog", format.bytes(number("backlog_memory_bytes")),
    [bound === null ? "" : `of ${format.bytes(bound)}`, lagging === null ? "" : lagging === 1 ? "1 client lags" : `${format.count(lagging)} clients lag`].filter(Boolean).join(", "));
  const credits = number("limits.credits_bytes");
  tile("credits", format.bytes(number("publish.credits_used_bytes")), credits === null ? "" : `of ${format.bytes(credits)}`);
  const started = Date.parse(stats.started_at);
  const up = Number.isNaN(started) ? null : (Date.now() + clockOffset - started) / 1000;
  tile("uptime", format.age(up), typeof stats.version === "string" ? `version ${format.name(stats.version)}` : "");
}

function perClient(subscriptions, clients) {
  return clients > 0 && subscriptions !== null ? `${format.measure(subscriptions / clients)} per client` : "";
}

const expected = () => (document.visibilityState === "hidden" ? PAUSE_HIDDEN : PAUSE);

let awake = () => {};

// soon ends the pause between two polls.
const soon = () => awake();

function pause() {
  const length = Math.max(expected(), failure ? PAUSE_FAILED : 0);
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, length);
    awake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

async function run() {
  tables.$("host").textContent = location.host;
  key.wire(open, soon);
  dialogs.wire(soon, () => (history.last ? at(history.last.stats, "total.clients") : null));
  redraw = plots.draw(course);
  document.addEventListener("visibilitychange", soon);
  addEventListener("online", soon);
  setInterval(showVerdict, 1000);
  for (;;) {
    await poll();
    await pause();
  }
}

run();
