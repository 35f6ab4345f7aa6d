// Floods: whether one channel is most of all that goes through the gateway, and
// who sends most. Pure.

import { at } from "./figures.js";
import * as format from "./format.js";

// A channel floods if it is more than half of all by one of these measures, and
// above its least rate: below, a gateway has no trouble with it.
const measures = [
  { key: "events_per_second", least: 500, of: "events", show: (n) => `${format.measure(n)} events/s` },
  { key: "bytes_per_second", least: 256 << 10, of: "bytes", show: (n) => `${format.bytes(n)}/s` },
  { key: "deliveries_per_second", least: 10_000, of: "deliveries", show: (n) => `${format.measure(n)} deliveries/s` },
];
const most = 0.5; // of all

// findFlood returns {channel, text, sender} of the channel with the largest share,
// or null. loud: answers of /api/channels with an order, senders: that of
// /api/publishers, or null.
export function findFlood(loud, senders) {
  let found = null;
  for (const { key, least, of, show } of measures) {
    for (const answer of loud) {
      const all = at(answer ?? {}, `total.${key}`);
      for (const channel of answer?.channels ?? []) {
        const rate = at(channel, key);
        if (!(rate >= least) || !(all > 0) || rate / all <= most) continue;
        const share = Math.min(1, rate / all);
        if (found && found.share >= share) continue;
        found = { share, channel: String(channel.channel), text: `${show(rate)}, ${format.percent(share)} of all ${of}` };
      }
    }
  }
  return found && { channel: found.channel, text: found.text, sender: findSender(senders) };
}

// findSender is the publisher that sends more than half of all events or bytes.
function findSender(senders) {
  for (const { key, show } of measures.slice(0, 2)) {
    const all = at(senders ?? {}, `total.${key}`);
    for (const publisher of senders?.publishers ?? []) {
      const rate = at(publisher, key);
      if (rate > 0 && all > 0 && rate / all > most) return `${senderName(publisher)} (${show(rate)}, ${format.percent(Math.min(1, rate / all))} of all)`;
    }
  }
  return null;
}

// senderName is what a publisher is called: what it calls itself, what it is, and
// where it comes from.
export function senderName({ publisher, name, protocol, address }) {
  const what = { websocket: "the client", http: "the API" }[protocol] ?? "publisher";
  const id = protocol === "http" ? "" : ` ${format.name(publisher)}`;
  const called = name ? ` "${format.name(name)}"` : "";
  return `${what}${id}${called}${address ? ` at ${format.name(address)}` : ""}`;
}
