// A broadcast server that parses the JSON of each event and writes it anew. It
// prints its port.
import { createRequire } from "node:module";
const { WebSocketServer } = createRequire(import.meta.url)("ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket) => {
  socket.on("message", (message) => {
    const text = message.toString();
    if (!text.startsWith("P")) return;
    const event = "P" + JSON.stringify(JSON.parse(text.slice(1)));
    for (const client of server.clients) client.send(event);
  });
  socket.on("error", () => {});
});
