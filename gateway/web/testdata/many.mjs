// A client with many channels that writes a line whenever all of them are subscribed: how many
// messages that took, how often onError was called, and after how many milliseconds.
// Its arguments are the gateway's URL, the number of channels, and the client's module.
import { pathToFileURL } from "node:url";

const [url, number, module = "fleetcast.js"] = process.argv.slice(2);
const { connect } = await import(pathToFileURL(module));

let sent = 0;
let errors = 0;
let subscribed = 0;
let since = performance.now();

class Counting extends WebSocket {
  constructor(...args) {
    super(...args);
    sent = errors = subscribed = 0;
    since = performance.now();
    this.addEventListener("message", ({ data }) => {
      if (!data.startsWith('{"type":"subscribed"')) return;
      subscribed++;
      if (subscribed === Number(number)) {
        // The client hears of it after this listener.
        setTimeout(() => console.log(JSON.stringify({ sent, errors, ms: Math.round(performance.now() - since) })));
      }
    });
  }
  send(text) {
    sent++;
    super.send(text);
  }
}

const client = connect(url, { WebSocket: Counting, random: () => 0, onError: () => errors++ });
for (let i = 0; i < Number(number); i++) client.subscribe(`room:${i}`, () => {});

process.stdin.on("end", () => client.close()).resume();
