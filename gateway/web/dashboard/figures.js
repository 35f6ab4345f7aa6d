// Figures: from answers of /api/stats, which count from the start of the
// process, to rates, quantiles and counts of a time. Pure: whoever calls says what
// time it is, in milliseconds of one clock that never goes back.

export const REACH = 300_000; // ms: how far back plots show
export const MINUTE = 60_000; // ms: over which ends and refusals are counted
export const RECENT = 10_000; // ms: over which the verdict takes quantiles, so that one slow moment is no alarm
// Answers that are further apart than this (ms) have no rate: nobody looked
// meanwhile. It is above the longest pause between two polls of a hidden page.
export const FARTHEST = 25_000;

const maxSamples = 1000; // whatever the clock says

// at returns the number at a path such as "total.bytes_out", or null.
export function at(stats, path) {
  let value = stats;
  for (const key of path.split(".")) value = value?.[key];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

// sum adds what is there; null if nothing is.
export function sum(...values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce((a, b) => a + b, 0) : null;
}

const counters = [
  "total.accepted", "total.events", "total.deliveries", "total.writes", "total.bytes_in", "total.bytes_out",
  "total.client_messages", "total.client_published", "publish.events", "publish.requests", "publish.bytes_in", "publish.bytes_out",
  "total.turn_seconds.count", "total.publish_to_write_seconds.count",
];

// restarted tells whether the process that answered after is another one than
// that which answered before: it says so, or a counter fell.
export function restarted(before, after) {
  if (before.started_at !== undefined && after.started_at !== undefined && before.started_at !== after.started_at) return true;
  if ((before.shards?.length ?? 0) !== (after.shards?.length ?? 0) && before.shards) return true;
  return counters.some((path) => {
    const [was, is] = [at(before, path), at(after, path)];
    return was !== null && is !== null && is < was;
  });
}

// growth is how much a counter grew; null if it is unknown, and never negative.
function growth(before, after) {
  return before === null || after === null || after < before ? null : after - before;
}

// spread is the histogram of what was observed between two cumulative ones: null
// if either is missing, or they do not belong together.
export function spread(before, after) {
  if (!Array.isArray(before?.buckets) || !Array.isArray(after?.buckets)) return null;
  if (before.buckets.length !== after.buckets.length) return null;
  const count = growth(at(before, "count"), at(after, "count"));
  const total = growth(at(before, "sum"), at(after, "sum"));
  const buckets = [];
  for (const [i, bucket] of after.buckets.entries()) {
    const n = before.buckets[i].le === bucket.le ? growth(before.buckets[i].count, bucket.count) : null;
    if (n === null) return null;
    buckets.push({ le: bucket.le, count: n });
  }
  return count === null || total === null ? null : { count, sum: total, buckets };
}

// quantile is the value below which a share q of what a histogram counts lies,
// taken to be spread evenly within its bucket. beyond: it lies in the last bucket,
// which has no end, so that it is larger than value. Null without observations.
export function quantile(histogram, q) {
  if (!histogram || !(histogram.count > 0)) return null;
  const rank = q * histogram.count;
  let below = 0, from = 0;
  for (const { le, count } of histogram.buckets) {
    if (count >= rank && count > below) {
      return { value: from + (le - from) * Math.max(0, (rank - below) / (count - below)), beyond: false };
    }
    below = count;
    from = le;
  }
  return { value: from, beyond: true };
}

// rates are a second's worth of what two samples differ by, and what else a pair
// of samples tells. Fields are null where an answer did not have the figure.
export function rates(before, after) {
  const seconds = (after.at - before.at) / 1000;
  if (!(seconds > 0)) return null;
  const grown = (path) => growth(at(before.stats, path), at(after.stats, path));
  const rate = (n) => (n === null ? null : n / seconds);
  const deliveries = grown("total.deliveries"), writes = grown("total.writes");
  const latency = spread(before.stats.total?.publish_to_write_seconds, after.stats.total?.publish_to_write_seconds);
  return {
    seconds,
    events: rate(sum(grown("publish.events"), grown("total.client_published"))),
    deliveries: rate(deliveries),
    deliveriesPerWrite: deliveries > 0 && writes > 0 ? deliveries / writes : null,
    bytesOut: rate(grown("total.bytes_out")),
    recovered: rate(grown("total.events_recovered")),
    p50: quantile(latency, 0.5),
    p99: quantile(latency, 0.99),
  };
}

// shardRows are the figures of each shard. before may be null: then there are
// only those of the moment.
export function shardRows(before, after) {
  const seconds = before ? (after.at - before.at) / 1000 : 0;
  return (after.stats.shards ?? []).map((shard, i) => {
    const was = seconds > 0 ? before.stats.shards?.[i] : undefined;
    const deliveries = was ? growth(at(was, "deliveries"), at(shard, "deliveries")) : null;
    const turns = was ? spread(was.turn_seconds, shard.turn_seconds) : null;
    return {
      clients: at(shard, "clients"),
      subscriptions: at(shard, "subscriptions"),
      deliveries: deliveries === null ? null : deliveries / seconds,
      turn: quantile(turns, 0.99),
      busy: turns ? Math.min(1, turns.sum / seconds) : null,
      mailbox: at(shard, "mailbox_depth"),
      queued: at(shard, "queued_events"),
      backlog: at(shard, "backlog_bytes"),
    };
  });
}

// hooksOf are the hooks that an answer tells of, by name.
function hooksOf(stats) {
  const hooks = Object.entries(stats?.subscribe_hooks ?? {});
  return new Map(Object.keys(stats?.connect_hook?.requests ?? {}).length > 0 ? [["", stats.connect_hook], ...hooks] : hooks);
}

const failures = ["hook_failed", "hook_timeout", "hook_busy", "hook_open"];

// hookRows are the figures of each hook, of the time between two samples. The name of the
// connect hook is empty. before may be null: then there are only those of the moment.
export function hookRows(before, after) {
  const seconds = before ? (after.at - before.at) / 1000 : 0;
  const known = hooksOf(before?.stats);
  return [...hooksOf(after.stats)].map(([name, hook]) => {
    const was = seconds > 0 ? known.get(name) : undefined;
    const grown = was ? grownBy(was.requests, hook.requests) : null;
    return {
      name,
      asked: grown ? total(grown) / seconds : null,
      refused: grown ? grown.refused ?? 0 : null,
      failed: grown ? sum(0, ...failures.map((outcome) => grown[outcome])) : null,
      p99: was ? quantile(spread(was.seconds, hook.seconds), 0.99) : null,
      waiting: at(hook, "waiting"),
      open: at(hook, "open") > 0,
    };
  });
}

// identityFigures are the figures of tokens and users; null if the gateway has neither an
// issuer of tokens nor a hook, and nobody is blocked.
export function identityFigures(stats) {
  const blocked = at(stats, "users_blocked");
  const issuers = Object.keys(stats.tokens?.refused ?? {}).length > 0;
  if (!issuers && hooksOf(stats).size === 0 && !(blocked > 0)) return null;
  const hits = at(stats, "tokens.cache_hits"), looked = sum(hits, at(stats, "tokens.cache_misses"));
  return {
    accepted: at(stats, "tokens.accepted"),
    verifications: at(stats, "tokens.verifications"),
    cached: looked > 0 ? hits / looked : null,
    waiting: at(stats, "tokens.waiting"),
    failing: at(stats, "tokens.issuers_failing"),
    blocked,
  };
}

// keptFigures are the figures of what is kept of events, and of the clients that come back
// for them; null if the gateway does not keep any.
export function keptFigures(stats) {
  const events = at(stats, "publish.history_events");
  return events === null ? null : {
    events,
    bytes: at(stats, "publish.history_bytes"),
    most: at(stats, "limits.history_memory_bytes"),
    evicted: at(stats, "publish.history_evicted"),
    catching: at(stats, "total.catching_up"),
    recovered: at(stats, "total.events_recovered"),
  };
}

// imbalance tells which of several values is the largest, and how many times the
// mean it is. Null for fewer than two, or where there is nothing to compare.
export function imbalance(values) {
  const known = values.filter((value) => value !== null);
  const mean = known.reduce((a, b) => a + b, 0) / known.length;
  if (known.length < 2 || !(mean > 0)) return null;
  const largest = Math.max(...known);
  return { index: values.indexOf(largest), times: largest / mean };
}

// tally brings counts by name to an object without a prototype: names come from
// outside. What counts without names goes by the name "any".
export function tally(value) {
  const counts = Object.create(null);
  if (typeof value === "number") counts.any = value;
  for (const [name, n] of Object.entries(typeof value === "object" && value ? value : {})) {
    if (typeof n === "number") counts[name] = n;
  }
  return counts;
}

// grownBy are the counts by name that were added between two answers.
export function grownBy(before, after) {
  const was = tally(before), grown = tally(after);
  for (const name of Object.keys(grown)) grown[name] = Math.max(0, grown[name] - (was[name] ?? 0));
  return grown;
}

// total adds counts by name.
export const total = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);

// History keeps the samples of the last minute. A sample is {at, stats}: when it
// came, and the answer of /api/stats.
export class History {
  #samples = [];

  // add takes a sample and tells whether the process was another one before. Then
  // all that is older is forgotten.
  add(sample) {
    const last = this.last;
    const fresh = last !== null && restarted(last.stats, sample.stats);
    if (fresh || sample.at - last?.at > MINUTE) this.#samples = []; // or nobody looked for a minute
    this.#samples.push(sample);
    // One sample from before the minute is kept, to count from.
    while (this.#samples.length > maxSamples || this.#samples[1]?.at <= sample.at - MINUTE) this.#samples.shift();
    // Shards have many numbers, and are only looked at for a short time.
    for (const old of this.#samples) {
      if (old.stats.shards && old.at < sample.at - 2 * RECENT) old.stats = { ...old.stats, shards: undefined };
    }
    return fresh;
  }

  get last() { return this.#samples.at(-1) ?? null; }

  // before is the sample before the last, if it is near enough for rates.
  get before() {
    const before = this.#samples.at(-2);
    return before && this.last.at - before.at <= FARTHEST ? before : null;
  }

  // since is the latest sample that is at least ms older than the last one, or
  // else the oldest; null if there is only one.
  since(ms) {
    if (this.#samples.length < 2) return null;
    return this.#samples.findLast((sample) => sample.at <= this.last.at - ms) ?? this.#samples[0];
  }

  // always tells whether a condition held in every sample of the last ms, and
  // whether they reach that far.
  always(ms, condition) {
    const from = this.since(ms);
    if (!from || this.last.at - from.at < ms) return false;
    return this.#samples.slice(this.#samples.indexOf(from)).every(({ stats }) => condition(stats));
  }

  // minute counts, by reason, what the last minute has added.
  minute() {
    const from = this.since(MINUTE), to = this.last;
    const grown = (pick) => grownBy(from ? pick(from.stats) : pick(to.stats), pick(to.stats));
    return {
      seconds: from ? (to.at - from.at) / 1000 : 0,
      disconnects: grown((s) => s.total?.disconnects),
      handshakes: grown((s) => s.total?.handshake_failures),
      commands: grown((s) => s.total?.command_errors),
      publish: grown((s) => s.publish?.errors),
      refused: grown((s) => s.publish?.refused),
      tokens: grown((s) => s.tokens?.refused),
      recoveries: grown((s) => s.total?.recoveries),
      evicted: from ? growth(at(from.stats, "publish.history_evicted"), at(to.stats, "publish.history_evicted")) : null,
      requests: from ? growth(at(from.stats, "publish.requests"), at(to.stats, "publish.requests")) : null,
    };
  }
}

// Course keeps what plots show: rows of numbers, the first of them the time in
// seconds. A row of nulls is a gap in every line.
export class Course {
  #width;
  #columns;
  marks = []; // seconds at which the process was another one

  constructor(width) {
    this.#width = width;
    this.#columns = Array.from({ length: width + 1 }, () => []);
  }

  get columns() { return this.#columns; }

  add(seconds, values) {
    const [times] = this.#columns;
    if (times.length && seconds <= times.at(-1)) return; // the time of day was set back
    times.push(seconds);
    for (let i = 0; i < this.#width; i++) this.#columns[i + 1].push(values?.[i] ?? null);
    let old = Math.max(0, times.length - maxSamples);
    while (times[old] < seconds - REACH / 1000) old++;
    if (old) for (const column of this.#columns) column.splice(0, old);
    this.marks = this.marks.filter((mark) => mark >= seconds - REACH / 1000);
  }

  gap(seconds) {
    this.add(seconds, null);
  }

  mark(seconds) {
    this.marks.push(seconds);
  }
}
