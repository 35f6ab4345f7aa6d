// The dialogs: a client in detail, and the question before something is ended.

import { ask, client as path } from "./api.js";
import { senderName } from "./flood.js";
import * as format from "./format.js";
import { $, make, write } from "./tables.js";

const shownChannels = 200;
let wanted = null; // the client that is looked at
let poll = () => {};
let question = 0; // that was asked last

// wire makes the buttons work. soon is called when there is something to ask for
// at once; clients tells how many are connected, or null.
export function wire(soon, clients) {
  poll = soon;
  $("client-close").addEventListener("click", () => $("client").close());
  $("client").addEventListener("close", () => { wanted = null; });
  $("client-disconnect").addEventListener("click", () => disconnect(wanted));
  $("confirm-cancel").addEventListener("click", () => $("confirm").close());
  $("drain").addEventListener("click", () => drain(clients()));
  $("find").addEventListener("submit", (event) => {
    event.preventDefault();
    const id = $("find-id").value.trim();
    if (id) open(id);
    else $("find-id").focus();
  });
}

// open looks at a client.
export function open(id) {
  wanted = id;
  write($("client-id"), format.name(id));
  state("Asking …");
  for (const fact of document.querySelectorAll("[data-fact]")) write(fact, format.NONE);
  $("client-channels").replaceChildren();
  $("client-disconnect").disabled = true;
  $("client").classList.remove("stale");
  if (!$("client").open) $("client").showModal();
  poll();
}

function state(text) {
  write($("client-state"), text || "\u00a0");
}

// refresh asks for the client that is looked at, if any.
export async function refresh() {
  const id = wanted;
  if (id === null) return;
  let answer, failure;
  try {
    answer = (await ask(path(id))).body;
  } catch (error) {
    failure = error;
  }
  if (id !== wanted) return; // another is looked at meanwhile
  if (failure) {
    fail(failure);
    return;
  }
  $("client").classList.remove("stale");
  $("client-disconnect").disabled = false;
  show(answer);
}

// fail says why nothing is known of the client that is looked at, if any.
export function fail({ status, message }) {
  if (wanted === null) return;
  $("client").classList.add("stale");
  $("client-disconnect").disabled = true;
  state(status === 404 ? "No such client is connected: it may have gone." : `Not to be had: ${message}`);
}

function show(answer) {
  const backlog = answer.backlog ?? {};
  const facts = {
    address: format.name(answer.address),
    shard: format.count(answer.shard),
    connected: `${format.age(answer.age_seconds)} ago, ${format.moment(answer.connected_at)}`,
    rtt: format.seconds(answer.rtt_seconds),
    received: format.bytes(answer.received_bytes),
    sent: format.bytes(answer.sent_bytes),
    backlog: `${format.bytes(backlog.bytes)}, ${format.count(backlog.messages)} messages`,
    oldest: format.seconds(backlog.oldest_seconds),
  };
  for (const [name, text] of Object.entries(facts)) write(document.querySelector(`[data-fact="${name}"]`), text);
  const names = Array.isArray(answer.channels) ? answer.channels : [];
  const lines = names.slice(0, shownChannels).map(format.name);
  const more = (answer.subscriptions ?? names.length) - lines.length;
  if (more > 0) lines.push(`and ${format.count(more)} more`);
  if (!lines.length) lines.push("none");
  const list = $("client-channels");
  while (list.children.length > lines.length) list.lastChild.remove();
  while (list.children.length < lines.length) list.append(make("li", "", make("bdi")));
  lines.forEach((line, i) => write(list.children[i].firstChild, line));
  state("");
}

// confirm asks before act is called. act may fail: then its message is shown and
// the question stays.
function confirm({ title, text, go, act }) {
  const mine = ++question;
  // It may be closed, and another asked, before act has ended.
  const open = () => mine === question && $("confirm").open;
  write($("confirm-title"), title);
  write($("confirm-text"), text);
  write($("confirm-go"), go);
  $("confirm-error").hidden = true;
  $("confirm-go").disabled = false;
  $("confirm-go").onclick = async () => {
    $("confirm-go").disabled = true;
    try {
      const done = await act();
      notice(done);
      if (open()) $("confirm").close();
    } catch (error) {
      const words = `It did not work: ${error.message}`;
      if (!open()) {
        notice(`${title} ${words}`);
      } else {
        write($("confirm-error"), words);
        $("confirm-error").hidden = false;
        $("confirm-go").disabled = false;
      }
    }
    poll();
  };
  $("confirm").showModal();
}

function notice(text) {
  write($("notice"), `${format.clock(Date.now())} ${text}`);
  $("notice").hidden = false;
}

function disconnect(id) {
  confirm({
    title: `Disconnect client ${format.name(id)}?`,
    text: "Its connection is closed with code 1008. What waits for it goes out first if it reads that within 2 seconds. Most clients connect again by themselves; this one gets no events until it does.",
    go: "Disconnect",
    async act() {
      await ask(`${path(id)}/disconnect`, { method: "POST" });
      if (wanted === id) $("client").close();
      return `Client ${format.name(id)} was disconnected.`;
    },
  });
}

// sender asks whether a publisher is to be disconnected; one that is a client is
// looked at instead.
export function sender(publisher) {
  if (publisher.protocol === "websocket") {
    open(String(publisher.publisher));
    return;
  }
  const who = senderName(publisher);
  confirm({
    title: `Disconnect ${who}?`,
    text: `It has sent ${format.count(publisher.events)} events, ${format.measure(publisher.events_per_second)} a second. It is told the reason by an error, and what it has sent and was not handled yet is dropped. ` +
      "Most libraries connect again at once: --publisher-rate bounds what each connection publishes.",
    go: "Disconnect",
    async act() {
      await ask(`/api/publishers/${encodeURIComponent(publisher.publisher)}/disconnect`, { method: "POST" });
      return `Disconnected: ${who}.`;
    },
  });
}

function drain(clients) {
  const who = clients === null ? "All clients" : `All ${format.count(clients)} clients`;
  confirm({
    title: "Drain this gateway?",
    text: `It takes no more clients and publishers. ${who} are told to come back, each after a time of its own, get what waits for them, and are closed with code 1001. ` +
      "Then the process ends. It does not run again unless something starts it, and this page ends with it.",
    go: "Drain and end the process",
    async act() {
      await ask("/api/drain", { method: "POST" });
      return "The gateway drains.";
    },
  });
}
