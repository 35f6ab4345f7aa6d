// Clients on the npm package ws, one for each offer of permessage-deflate; see
// deflate_test.go. It prints a line of JSON for each.
import { createRequire } from "node:module";

const WebSocket = createRequire(import.meta.url)("ws");
const { url, offers, texts, gateway } = JSON.parse(await new Response(process.stdin).text());

// open resolves with a socket whose messages next() gives one after the other.
function open(offer) {
  const perMessageDeflate = { threshold: 0, ...offer };
  const socket = new WebSocket(url, { perMessageDeflate });
  const messages = [], waiting = [];
  socket.on("message", (data, binary) => (waiting.length ? waiting.shift().resolve({ data, binary }) : messages.push({ data, binary })));
  socket.on("upgrade", (response) => (socket.answer = response.headers["sec-websocket-extensions"]));
  const fail = (problem) => { socket.problem ??= problem; for (const w of waiting) w.reject(problem); };
  socket.on("error", fail);
  socket.on("close", (code) => fail(new Error(`closed with ${code}`)));
  socket.next = () => messages.length ? Promise.resolve(messages.shift()) : new Promise((resolve, reject) => socket.problem ? reject(socket.problem) : waiting.push({ resolve, reject }));
  return new Promise((resolve, reject) => { socket.on("open", () => resolve(socket)); socket.on("error", reject); });
}

// send sends a message, in so many frames.
function send(socket, data, binary, frames) {
  const size = Math.ceil(data.length / frames);
  for (let i = 0; i < frames; i++) socket.send(data.subarray(i * size, (i + 1) * size), { binary, fin: i === frames - 1 });
}

async function echoes(socket) {
  for (const [i, text] of texts.entries()) {
    const data = Buffer.from(text);
    for (const [binary, frames] of [[false, 1], [true, 1 + (i % 4)]]) {
      send(socket, data, binary, frames);
      const got = await socket.next();
      if (got.binary !== binary || !got.data.equals(data)) throw new Error(`message ${i}: ${got.data.length} bytes came back, not ${data.length}`);
    }
  }
}

async function events(socket, channel) {
  const hear = async () => JSON.parse((await socket.next()).data.toString());
  const say = (command) => send(socket, Buffer.from(JSON.stringify(command)), false, 2);
  await hear();
  say({ type: "subscribe", channel });
  await hear();
  for (const text of texts) {
    say({ type: "publish", channel, data: text });
    const heard = [await hear(), await hear()];
    if (!heard.some((m) => m.type === "published") || !heard.some((m) => m.type === "event" && m.data === text)) throw new Error(`heard ${JSON.stringify(heard).slice(0, 300)}`);
  }
}

async function run(offer, i) {
  try {
    const socket = await open(offer);
    await (gateway ? events(socket, `${gateway}.${i}`) : echoes(socket));
    const { bytesRead, bytesWritten } = socket._socket;
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.close(1000);
    return { i, extensions: socket.answer, received: bytesRead, sent: bytesWritten, code: await closed };
  } catch (problem) {
    return { i, problem: String(problem) };
  }
}

let next = 0;
await Promise.all(Array.from({ length: 8 }, async () => {
  while (next < offers.length) {
    const i = next++;
    console.log(JSON.stringify(await run(offers[i], i)));
  }
}));
