// The verdict: what is not well, and what to do. Pure.

import { MINUTE, RECENT, at, quantile, shardRows, spread, total } from "./figures.js";
import * as format from "./format.js";

// What is not well any more. Each has its reason.
export const THRESHOLDS = {
  silence: 3000, // ms without an answer: two polls were missed
  full: 0.9, // of a limit: time is left to raise it, and normal swings do not reach it
  paused: 5000, // ms for which publishers waited at every look; shorter is how the budget works
  turn: 0.05, // s, p99 of a loop's turns: a hundred times the slice of a fan-out; all its clients wait as long
  publishToWrite: 0.1, // s, p99: where people begin to see that it lags; a loaded gateway takes some milliseconds
  busy: 0.9, // of a loop's time: what comes on top will queue
  backlog: 1 << 20, // bytes: less is what sockets swing by
  backlogGrowth: 1.1, // times within RECENT: it does not drain by itself
  lagging: 0.01, // of the clients: more are not a few bad lines
  laggingLeast: 10, // clients, so that a small fleet's one bad line is no alarm
  oldest: 10, // s that an event has waited for a client
  pingTimeouts: 0.01, // of the clients within a minute: more are not a few lost phones
  pingTimeoutsLeast: 10, // a minute, for small fleets
  failures: 10, // handshakes a minute that fail in a way that strangers cause too, by probing
  publishErrors: 1, // a minute: a publisher's event was lost
};

const handshakeAdvice = {
  full: "Raise --max-clients and the descriptor limit, or add a gateway.",
  forbidden_origin: "If it is your page: name its origin with --allow-origin.",
  too_slow: "The network is slow, or someone holds connections open; put a proxy in front.",
  not_found: "Clients connect to the wrong path; it is /ws.",
  no_upgrade: "Is a proxy in front? It must pass Upgrade and Connection on.",
  bad_host: "Is a proxy in front? It must pass Host on.",
  vanished: "Clients give up within the handshake: too slow a network or gateway?",
};

// ownDoing are failures that strangers hardly cause: the first one counts.
const ownDoing = new Set(["full", "forbidden_origin"]);

const plural = (n, one, many) => `${format.count(n)} ${n === 1 ? one : many}`;
const listed = (counts) => counts.map(([name, n]) => `${format.name(name)} ${format.count(n)}`).join(", ");
const within = (seconds) => (Math.abs(seconds - MINUTE / 1000) < 5 ? "in the last minute" : `in the last ${Math.max(1, Math.round(seconds))} s`);

// judge returns what is not well, the worst first: [{id, level, text, advice}],
// where level is "bad" or "warn" and id stays the same while the matter does.
// history: of figures.js. silence: {ms, since, message} without an answer, where
// since is a time of day. laggards: as /api/laggards answers, or null. flood: of
// flood.js, or null; its until is a time of day if it is over.
export function judge({ history, silence, laggards, flood }) {
  const found = [];
  const add = (level, id, text, advice) => found.push({ level, id, text, advice });
  const quiet = silence && (silence.message || silence.ms >= THRESHOLDS.silence);
  if (quiet) tellSilence(add, silence);
  if (history.last && !quiet) {
    const { stats } = history.last;
    tellState(add, stats);
    tellLimits(add, stats);
    tellPublishers(add, history);
    tellBacklog(add, history, laggards);
    tellMinute(add, history);
    tellLoops(add, history);
    if (flood) tellFlood(found, flood);
  }
  return ranked(found);
}

// ranked puts what is bad first, then the flood, which is the cause of what follows.
function ranked(found) {
  const rank = ({ level, id }) => (level === "bad" ? 0 : id === "flood" ? 1 : 2);
  return found.toSorted((a, b) => rank(a) - rank(b));
}

// What a flooded channel brings about. Whoever is concerned is its victim.
const effects = new Set(["paused", "credits", "limit-backlog", "backlog", "lagging", "oldest", "slow", "latency", "turns", "busy"]);

// tellFlood names a flooded channel if something suffers from it: one that is loud
// and harms nobody is none.
function tellFlood(found, { channel, text, sender, until }) {
  const harmed = found.filter(({ id }) => effects.has(id));
  if (!harmed.length) return;
  for (const item of harmed) item.advice = "An effect of the flooded channel: see there first.";
  const when = until ? ` until ${format.clock(until)}` : "";
  found.push({
    level: "warn", id: "flood", text: `The channel ${format.name(channel)} ${until ? "was" : "is"} flooded${when}: ${text}.`,
    advice: (sender ? `Most is sent by ${sender}: ` : "Several publishers send: see those with the highest rates, and ") +
      "stop it at its source, disconnect it, or bound it with --publisher-rate.",
  });
}

function tellSilence(add, { since, message }) {
  const from = since ? ` since ${format.clock(since)}` : "";
  add("bad", "silent", `The admin API does not answer${from}${message ? ` (${message})` : ""}. The numbers are old.`,
    "Does the process run? Read the end of its log; if it runs, look at /debug/pprof/.");
}

function tellState(add, stats) {
  if (stats.ready === false) {
    add("bad", "unready", "The gateway takes no clients: it is starting or draining.",
      "If nobody stops it, read its log. Clients come back to another gateway, or when it runs again.");
  }
}

function tellLimits(add, stats) {
  const limits = [
    ["clients", "Client connections", "total.connections", "max_clients", "Raise --max-clients and the descriptor limit, or add a gateway."],
    ["channels", "Channels", "publish.streams", "max_channels", "Raise --max-channels, or find who makes up names."],
    ["publishers", "Publishers", "publish.publishers", "max_publishers", "Raise --max-publishers, or find who does not close connections."],
  ];
  for (const [id, what, path, limit, advice] of limits) {
    const most = at(stats, `limits.${limit}`);
    let used = at(stats, path);
    if (id === "channels" && used !== null) used -= at(stats, "publish.streams_unused") ?? 0; // those make room
    if (used === null || !(most > 0) || used < THRESHOLDS.full * most) continue;
    const level = used >= most ? "bad" : "warn";
    add(level, `limit-${id}`, `${what}: ${format.count(used)} of ${format.count(most)} (${format.percent(used / most)}).`, advice);
  }
  const held = at(stats, "backlog_memory_bytes"), bound = at(stats, "limits.backlog_memory_bytes");
  if (held !== null && bound > 0 && held >= THRESHOLDS.full * bound) {
    add("bad", "limit-backlog", `The backlogs hold ${format.bytes(held)} of ${format.bytes(bound)} (${format.percent(held / bound)}).`,
      "At the bound the clients with the largest are cut off. See the loudest channels and the laggards; raise --backlog-memory if there is memory.");
  }
}

function tellPublishers(add, history) {
  const paused = (stats) => (at(stats, "publish.paused") ?? 0) + (at(stats, "total.paused") ?? 0);
  const { stats } = history.last;
  const used = at(stats, "publish.credits_used_bytes"), most = at(stats, "limits.credits_bytes");
  const advice = "Events come faster than they go out: see turns, busy shares and backlog; publish less, or add a gateway.";
  if (history.always(THRESHOLDS.paused, (s) => paused(s) > 0)) {
    add("warn", "paused", `Publishers are pushed back: ${plural(paused(stats), "waits", "wait")} for credit.`, advice);
  } else if (used !== null && most > 0 && history.always(THRESHOLDS.paused, (s) => at(s, "publish.credits_used_bytes") >= THRESHOLDS.full * most)) {
    add("warn", "credits", `Credits: ${format.bytes(used)} of ${format.bytes(most)} are in use.`, advice);
  }
}

function tellBacklog(add, history, laggards) {
  const { stats } = history.last;
  const advice = "Look at the laggards: a few bad lines can be disconnected; many mean that the network out is full.";
  const backlog = at(stats, "backlog_memory_bytes"), was = history.since(RECENT);
  const from = was ? at(was.stats, "backlog_memory_bytes") : null;
  const bound = at(stats, "limits.backlog_memory_bytes");
  if (backlog >= THRESHOLDS.backlog && from !== null && backlog > THRESHOLDS.backlogGrowth * from) {
    add("warn", "backlog", `The backlog grows: ${format.bytes(backlog)}${bound > 0 ? ` of ${format.bytes(bound)}` : ""}, ${format.bytes(from)} a moment ago.`, advice);
  }
  // The list was asked for at another moment: what is said must fit what it shows.
  const lagging = at(laggards ?? {}, "total") ?? at(stats, "total.lagging"), clients = at(stats, "total.clients");
  if (lagging !== null && lagging >= Math.max(THRESHOLDS.laggingLeast, THRESHOLDS.lagging * clients)) {
    add("warn", "lagging", `${plural(lagging, "client lags", "clients lag")} (${format.percent(lagging / clients)} of all).`, advice);
  }
  const oldest = Math.max(0, ...(laggards?.laggards ?? []).map((laggard) => at(laggard, "oldest_seconds") ?? 0));
  if (oldest >= THRESHOLDS.oldest) {
    add("warn", "oldest", `A client's events have waited for ${format.seconds(oldest)}.`, advice);
  }
}

function tellMinute(add, history) {
  const minute = history.minute(), when = within(minute.seconds);
  const slow = (minute.disconnects.slow_consumer ?? 0) + (minute.disconnects.backlogs_full ?? 0), lost = minute.disconnects.ping_timeout ?? 0;
  const clients = at(history.last.stats, "total.clients") ?? 0;
  if (slow > 0) {
    add("warn", "slow", `${plural(slow, "client was", "clients were")} disconnected as too slow ${when}.`,
      "Their lines or programs do not keep up. See the channels with the highest rates: publish less to these, or see --slow-after and --slow-policy.");
  }
  if (lost >= Math.max(THRESHOLDS.pingTimeoutsLeast, THRESHOLDS.pingTimeouts * clients)) {
    add("warn", "lost", `${plural(lost, "client", "clients")} did not answer pings ${when}.`,
      "Look at the network and the proxies between: many at once share a path.");
  }
  const failures = Object.entries(minute.handshakes)
    .filter(([reason, n]) => reason !== "draining" && n >= (ownDoing.has(reason) ? 1 : THRESHOLDS.failures))
    .sort(([a, n], [b, m]) => (b === "full") - (a === "full") || m - n); // the one that is ours to mend comes first
  if (failures.length) {
    const level = failures.some(([reason]) => reason === "full") ? "bad" : "warn";
    const advice = (Object.hasOwn(handshakeAdvice, failures[0][0]) && handshakeAdvice[failures[0][0]]) || "Look at what the clients send; --log-connections tells of each.";
    add(level, "handshakes", `Handshakes fail ${when}: ${listed(failures)}.`, advice);
  }
  if (minute.evicted > 0) {
    add("warn", "history", `${plural(minute.evicted, "channel", "channels")} lost the history early ${when}: all histories together are beyond --history-memory.`,
      "Clients that come back to these channels are told what is lost. Raise --history-memory if there is memory, or lower the bounds in --history.");
  }
  tellRefusals(add, minute, when);
}

function tellRefusals(add, minute, when) {
  const errors = Object.entries(minute.publish).filter(([code, n]) => {
    return n >= THRESHOLDS.publishErrors;
  });
  if (errors.length) {
    add("warn", "publish", `Publishes were refused ${when}: ${listed(errors)}.`, "The publisher's log has the message; docs/publishing.md explains the codes.");
  }
  if (total(minute.refused) > 0) {
    add("warn", "refused", `Publishers were turned away ${when}: ${listed(Object.entries(minute.refused).filter(([, n]) => n > 0))}.`,
      "If there are too many: raise --max-publishers, or find who does not close connections.");
  }
}

function tellLoops(add, history) {
  const from = history.since(RECENT), to = history.last;
  if (!from) return;
  const latency = quantile(spread(from.stats.total?.publish_to_write_seconds, to.stats.total?.publish_to_write_seconds), 0.99);
  if (latency && latency.value >= THRESHOLDS.publishToWrite) {
    add("warn", "latency", `Events are late: publish to write p99 ${format.quantile(latency)}.`,
      "See which shard is busy; are there processors enough, or a channel with very many subscribers?");
  }
  const rows = shardRows(from, to);
  const worst = (value) => rows.reduce((best, row, i) => (value(row) > (best < 0 ? -1 : value(rows[best])) ? i : best), -1);
  const slow = worst((row) => row.turn?.value ?? -1), busy = worst((row) => row.busy ?? -1);
  if (slow >= 0 && rows[slow].turn.value >= THRESHOLDS.turn) {
    add("warn", "turns", `Loop turns are long: shard ${slow}, p99 ${format.quantile(rows[slow].turn)}.`,
      "Does another program take the processors? Otherwise take a profile at /debug/pprof/profile.");
  }
  if (busy >= 0 && rows[busy].busy >= THRESHOLDS.busy) {
    const count = rows.filter((row) => row.busy >= THRESHOLDS.busy).length;
    add("warn", "busy", `${plural(count, "shard is", "shards are")} busy all the time: shard ${busy}, ${format.percent(rows[busy].busy)}.`,
      count === rows.length ? "The machine is full: add a gateway." : "Clients are spread unevenly, or one channel is large; see the shards.");
  }
}

// steady keeps what has gone from the list for hold ms, so that a matter that
// comes and goes does not make the page jump. seen is a Map that belongs to the
// caller. What is said of silence goes at once.
export function steady(found, seen, now, hold) {
  for (const item of found) seen.set(item.id, { item, until: now + hold });
  if (found.some(({ id }) => id === "silent")) return found;
  const kept = [];
  for (const [id, { item, until }] of seen) {
    if (now >= until || (id === "silent" && !found.includes(item))) seen.delete(id);
    else kept.push(item);
  }
  return ranked(kept);
}
