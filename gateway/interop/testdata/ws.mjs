// A WebSocket client on the npm package ws, driven by lines of JSON; see
// script_test.go. Debian's package is found where NODE_PATH says.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const WebSocket = createRequire(import.meta.url)("ws");
const options = JSON.parse(process.argv[2]);
const tell = (event, more) => console.log(JSON.stringify({ event, ...more }));

const socket = new WebSocket(options.url, options.subprotocols ?? [], {
  perMessageDeflate: options.deflate ?? false,
  headers: options.header ?? {},
});
socket.on("open", () => tell("open", { subprotocol: socket.protocol, extensions: socket.extensions }));
socket.on("message", (data, binary) => tell(binary ? "binary" : "text", { data: data.toString(binary ? "base64" : "utf8") }));
socket.on("pong", (data) => tell("pong", { data: data.toString() }));
socket.on("error", (error) => tell("error", { data: String(error) }));
socket.on("unexpected-response", (_, response) => tell("error", { data: `status ${response.statusCode}` }));
socket.on("close", (code, reason) => {
  tell("close", { code, data: reason.toString() });
  commands.close();
});

const commands = createInterface({ input: process.stdin });
commands.on("line", (line) => {
  const { command, data, code } = JSON.parse(line);
  switch (command) {
    case "text":
      return socket.send(data);
    case "binary":
      return socket.send(Buffer.from(data, "base64"));
    case "ping":
      return socket.ping(data);
    case "close":
      return socket.close(code, data);
  }
});
